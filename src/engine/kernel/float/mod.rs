//! Products with f32, f16 and bf16 weights. Activations and sums are f32; 16-bit weights are widened exactly.
//!
//! A dot product has eight sums: lane `i` adds the products at `i`, `i + 8`, `i + 16`, …, each with one multiply-add; then the
//! lanes are added up, then what is left over. Every variant keeps this order for each element.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::{Activations, LANES, add_up, by_cpu, for_each_tile, multiply_add};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Rows that a thread computes together.
const ROWS: usize = 16;
/// Tokens that are computed together: with the rows they stay in the second cache.
const TOKENS: usize = 24;
/// Tokens of the register tile: with four rows, 12 registers of sums.
const TILE: usize = 3;

/// A weight type that widens to f32.
pub(crate) trait Element: Copy + Sync {
    fn to_f32(self) -> f32;

    /// `row` as f32, in `scratch` unless it is f32 already.
    fn widen<'a>(row: &'a [Self], scratch: &'a mut Vec<f32>) -> &'a [f32];

    /// Eight elements. They must be readable, and the processor have AVX2 and F16C.
    #[cfg(target_arch = "x86_64")]
    #[allow(unsafe_code)]
    unsafe fn load(elements: *const Self) -> std::arch::x86_64::__m256;
}

/// `out[t, r] = Σ_c x[t, c] · weights[r, c]`.
///
/// `weights`: `[rows, columns]`, `x`: `[tokens, columns]`, `out`: `[tokens, rows]`.
pub(crate) fn matmul<T: Element>(weights: &[T], columns: usize, x: &Activations, out: &mut [f32]) {
    let (pool, rows, x) = (x.pool, weights.len() / columns, x.values);
    let row = |row: usize| &weights[row * columns..][..columns];
    for_each_tile::<ROWS>(pool, rows, rows * x.len(), out, |tile| {
        let rows = tile.rows().map(row);
        if x.len() <= TILE * columns {
            return products(rows, x, columns, |token, sums| tile.put(token, sums));
        }
        let mut scratch = [const { Vec::new() }; ROWS];
        let mut wide = [&[][..]; ROWS];
        for ((wide, row), scratch) in wide.iter_mut().zip(rows).zip(&mut scratch) {
            *wide = T::widen(row, scratch);
        }
        products(wide, x, columns, |token, sums| tile.put(token, sums));
    });
}

/// Dot products of `rows` with each of the tokens `x`.
fn products<T: Element>(rows: [&[T]; ROWS], x: &[f32], columns: usize, put: impl Fn(usize, [f32; ROWS])) {
    let mut sums = [[0f32; ROWS]; TOKENS];
    for (block, x) in x.chunks(TOKENS * columns).enumerate() {
        let tokens = x.len() / columns;
        for (quad, rows) in rows.as_chunks::<4>().0.iter().enumerate() {
            let token = |token: usize| &x[token * columns..][..columns];
            let mut put = |token: usize, four: [f32; 4]| sums[token][4 * quad..][..4].copy_from_slice(&four);
            let mut at = 0;
            while at + TILE <= tokens {
                let three = dot_4(*rows, [token(at), token(at + 1), token(at + 2)]);
                (at..).zip(three).for_each(|(token, four)| put(token, four));
                at += TILE;
            }
            for at in at..tokens {
                let [four] = dot_4(*rows, [token(at)]);
                put(at, four);
            }
        }
        for (token, sums) in sums[..tokens].iter().enumerate() {
            put(block * TOKENS + token, *sums);
        }
    }
}

/// Dot products of four rows with `X` vectors.
#[inline]
pub(super) fn dot_4<T: Element, const X: usize>(rows: [&[T]; 4], x: [&[f32]; X]) -> [[f32; 4]; X] {
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2() {
        // SAFETY: the processor has AVX2, FMA and F16C, as just asked.
        #[allow(unsafe_code)]
        return unsafe { avx2::dot_4(rows, x) };
    }
    x.map(|x| rows.map(|row| dot_body::<{ cfg!(target_arch = "aarch64") }, T>(row, x)))
}

/// Adds rows, each times its weight, to `out`, in their order. `rows`: `[weights, out]`.
pub(super) fn add_weighted<T: Element>(weights: &[f32], rows: &[T], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2() {
        // SAFETY: the processor has AVX2, FMA and F16C, as just asked.
        #[allow(unsafe_code)]
        return unsafe { avx2::add_weighted(weights, rows, out) };
    }
    for (&weight, row) in weights.iter().zip(rows.chunks_exact(out.len())) {
        for (out, value) in out.iter_mut().zip(row) {
            *out = multiply_add::<{ cfg!(target_arch = "aarch64") }>(weight, value.to_f32(), *out);
        }
    }
}

by_cpu! {
    /// The dot product of two vectors of equal length.
    pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 = dot_of_floats
}

#[inline(always)]
fn dot_of_floats<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    dot_body::<FMA, f32>(a, b)
}

/// The definition.
#[inline(always)]
fn dot_body<const FMA: bool, T: Element>(row: &[T], x: &[f32]) -> f32 {
    let (blocks, rest) = row.as_chunks::<LANES>();
    let (x_blocks, x_rest) = x.as_chunks::<LANES>();
    let mut sums = [0f32; LANES];
    for (row, x) in blocks.iter().zip(x_blocks) {
        for lane in 0..LANES {
            sums[lane] = multiply_add::<FMA>(row[lane].to_f32(), x[lane], sums[lane]);
        }
    }
    let products = rest.iter().zip(x_rest);
    products.fold(add_up(sums), |sum, (row, &x)| multiply_add::<FMA>(row.to_f32(), x, sum))
}

impl Element for f32 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self
    }

    fn widen<'a>(row: &'a [Self], _: &'a mut Vec<f32>) -> &'a [f32] {
        row
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load(elements: *const Self) -> std::arch::x86_64::__m256 {
        // SAFETY: eight elements are readable, as the trait asks.
        unsafe { std::arch::x86_64::_mm256_loadu_ps(elements) }
    }
}

impl Element for f16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        self.to_f32()
    }

    fn widen<'a>(row: &'a [Self], scratch: &'a mut Vec<f32>) -> &'a [f32] {
        scratch.resize(row.len(), 0.0);
        row.convert_to_f32_slice(scratch);
        scratch
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load(elements: *const Self) -> std::arch::x86_64::__m256 {
        use std::arch::x86_64::*;
        // SAFETY: eight elements are readable, as the trait asks.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(elements.cast()) })
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    fn widen<'a>(row: &'a [Self], scratch: &'a mut Vec<f32>) -> &'a [f32] {
        scratch.clear();
        scratch.extend(row.iter().map(|&narrow| Element::to_f32(narrow)));
        scratch
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,f16c")]
    unsafe fn load(elements: *const Self) -> std::arch::x86_64::__m256 {
        use std::arch::x86_64::*;
        // SAFETY: eight elements are readable, as the trait asks.
        let narrow = unsafe { _mm_loadu_si128(elements.cast()) };
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(narrow)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::pool::Pool;

    fn pool() -> Pool {
        Pool::new(2).unwrap()
    }

    fn ramp(length: usize, step: f32) -> Vec<f32> {
        (0..length).map(|i| ((i as f32 * step).sin() * 3.0).fract()).collect()
    }

    #[test]
    fn matmul_agrees_with_f64_at_odd_sizes() {
        for (rows, columns, tokens) in [(1, 1, 1), (5, 7, 3), (4, 8, 2), (13, 67, 5), (66, 130, 4)] {
            let weights = ramp(rows * columns, 0.37);
            let x = ramp(tokens * columns, 0.71);
            let mut out = vec![0.0; tokens * rows];
            matmul(&weights, columns, &Activations::new(&pool(), &x), &mut out);
            for t in 0..tokens {
                for r in 0..rows {
                    let exact: f64 =
                        (0..columns).map(|c| f64::from(weights[r * columns + c]) * f64::from(x[t * columns + c])).sum();
                    assert!((f64::from(out[t * rows + r]) - exact).abs() < 1e-4, "{rows}x{columns}, {t}, {r}");
                }
            }
        }
    }

    #[test]
    fn every_variant_gives_the_defined_bits() {
        let (rows, columns, tokens) = (37, 100, 31);
        let weights = ramp(rows * columns, 0.37);
        let x = ramp(tokens * columns, 0.71);
        fn check<T: Element>(weights: &[T], columns: usize, x: &[f32]) {
            let (rows, tokens) = (weights.len() / columns, x.len() / columns);
            for tokens in [1, 2, 3, 4, tokens] {
                let mut out = vec![0.0; tokens * rows];
                matmul(weights, columns, &Activations::new(&pool(), &x[..tokens * columns]), &mut out);
                for (t, x) in x.chunks_exact(columns).take(tokens).enumerate() {
                    for (r, row) in weights.chunks_exact(columns).enumerate() {
                        let mut scratch = Vec::new();
                        assert_eq!(out[t * rows + r], dot(T::widen(row, &mut scratch), x), "token {t}, row {r}");
                    }
                }
            }
        }
        check(&weights, columns, &x);
        check(&weights.iter().map(|&weight| f16::from_f32(weight)).collect::<Vec<_>>(), columns, &x);
        check(&weights.iter().map(|&weight| bf16::from_f32(weight)).collect::<Vec<_>>(), columns, &x);
    }

    #[test]
    fn the_variant_without_fused_multiply_add_agrees() {
        let (row, x) = (ramp(100, 0.37), ramp(100, 0.71));
        assert!((dot_body::<true, f32>(&row, &x) - dot_body::<false, f32>(&row, &x)).abs() < 1e-4);
    }
}
