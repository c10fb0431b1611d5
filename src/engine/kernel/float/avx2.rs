//! The variant for AVX2 with FMA and F16C.

use super::super::{LANES, add_up};
use super::Element;
use std::arch::x86_64::*;

/// See [`super::dot_4`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn dot_4<T: Element, const X: usize>(rows: [&[T]; 4], x: [&[f32]; X]) -> [[f32; 4]; X] {
    let length = rows[0].len();
    assert!(rows.iter().all(|row| row.len() == length) && x.iter().all(|x| x.len() == length));
    let whole = length / LANES * LANES;
    let mut sums = [[_mm256_setzero_ps(); 4]; X];
    for at in (0..whole).step_by(LANES) {
        let mut vectors = [_mm256_setzero_ps(); X];
        for t in 0..X {
            // SAFETY: eight elements from `at` on are within all of them, as asserted.
            #[allow(unsafe_code)]
            unsafe {
                vectors[t] = _mm256_loadu_ps(x[t].as_ptr().add(at));
            }
        }
        for r in 0..4 {
            // SAFETY: the same; the features are this function's.
            #[allow(unsafe_code)]
            let weights = unsafe { T::load(rows[r].as_ptr().add(at)) };
            for t in 0..X {
                sums[t][r] = _mm256_fmadd_ps(weights, vectors[t], sums[t][r]);
            }
        }
    }
    let mut out = [[0f32; 4]; X];
    for t in 0..X {
        for r in 0..4 {
            let mut lanes = [0f32; LANES];
            // SAFETY: `lanes` has room for the eight floats of the register.
            #[allow(unsafe_code)]
            unsafe {
                _mm256_storeu_ps(lanes.as_mut_ptr(), sums[t][r]);
            }
            let rest = rows[r][whole..].iter().zip(&x[t][whole..]);
            out[t][r] = rest.fold(add_up(lanes), |sum, (row, &x)| row.to_f32().mul_add(x, sum));
        }
    }
    out
}

/// See [`super::add_weighted`].
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn add_weighted<T: Element>(weights: &[f32], rows: &[T], out: &mut [f32]) {
    let width = out.len();
    let mut at = 0;
    while at + 8 * LANES <= width {
        add_weighted_part::<T, 8>(weights, rows, width, at, out);
        at += 8 * LANES;
    }
    while at + LANES <= width {
        add_weighted_part::<T, 1>(weights, rows, width, at, out);
        at += LANES;
    }
    for (at, out) in out.iter_mut().enumerate().skip(at) {
        let column = rows.iter().skip(at).step_by(width);
        *out = weights.iter().zip(column).fold(*out, |sum, (weight, row)| weight.mul_add(row.to_f32(), sum));
    }
}

/// The `R` registers from element `at` on, whose sums stay in them.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_weighted_part<T: Element, const R: usize>(
    weights: &[f32],
    rows: &[T],
    width: usize,
    at: usize,
    out: &mut [f32],
) {
    let out = &mut out[at..at + R * LANES];
    let mut sums = [_mm256_setzero_ps(); R];
    for (r, sum) in sums.iter_mut().enumerate() {
        // SAFETY: `out` has the floats of `R` registers.
        #[allow(unsafe_code)]
        unsafe {
            *sum = _mm256_loadu_ps(out.as_ptr().add(r * LANES));
        }
    }
    for (&weight, row) in weights.iter().zip(rows.chunks_exact(width)) {
        let (weight, row) = (_mm256_set1_ps(weight), &row[at..at + R * LANES]);
        for (r, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `row` has the elements of `R` registers; the features are this function's.
            #[allow(unsafe_code)]
            let values = unsafe { T::load(row.as_ptr().add(r * LANES)) };
            *sum = _mm256_fmadd_ps(weight, values, *sum);
        }
    }
    for (r, sum) in sums.into_iter().enumerate() {
        // SAFETY: `out` has the floats of `R` registers.
        #[allow(unsafe_code)]
        unsafe {
            _mm256_storeu_ps(out.as_mut_ptr().add(r * LANES), sum);
        }
    }
}
