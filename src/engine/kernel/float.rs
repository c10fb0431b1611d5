//! Products with f32, f16 and bf16 weights. Activations and sums are f32; 16-bit weights are widened exactly.

use super::{LANES, add_up, by_cpu, for_each_tile, multiply_add};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// A weight type that widens to f32.
pub(crate) trait Element: Copy + Sync {
    /// `row` as f32, in `scratch` unless it is f32 already.
    fn widen<'a>(row: &'a [Self], scratch: &'a mut [f32]) -> &'a [f32];
}

impl Element for f32 {
    fn widen<'a>(row: &'a [Self], _: &'a mut [f32]) -> &'a [f32] {
        row
    }
}

impl Element for f16 {
    fn widen<'a>(row: &'a [Self], scratch: &'a mut [f32]) -> &'a [f32] {
        row.convert_to_f32_slice(scratch);
        scratch
    }
}

impl Element for bf16 {
    fn widen<'a>(row: &'a [Self], scratch: &'a mut [f32]) -> &'a [f32] {
        for (wide, narrow) in scratch.iter_mut().zip(row) {
            *wide = f32::from_bits(u32::from(narrow.to_bits()) << 16);
        }
        scratch
    }
}

/// `out[t, r] = Σ_c x[t, c] · weights[r, c]`.
///
/// `weights`: `[rows, columns]`, `x`: `[tokens, columns]`, `out`: `[tokens, rows]`.
pub(crate) fn matmul<T: Element>(weights: &[T], columns: usize, x: &[f32], out: &mut [f32]) {
    let rows = weights.len() / columns;
    for_each_tile(rows, weights.len() * (x.len() / columns), out, |tile| {
        let mut scratch = [const { Vec::new() }; 4];
        let mut weights_of = [&[][..]; 4];
        for ((slot, scratch), row) in weights_of.iter_mut().zip(&mut scratch).zip(tile.rows()) {
            if size_of::<T>() < size_of::<f32>() {
                scratch.resize(columns, 0.0);
            }
            *slot = T::widen(&weights[row * columns..][..columns], scratch);
        }
        let mut pairs = x.chunks_exact(2 * columns);
        for (pair, two) in pairs.by_ref().enumerate() {
            let [first, second] = dot_4x2(weights_of, [&two[..columns], &two[columns..]]);
            tile.put(2 * pair, first);
            tile.put(2 * pair + 1, second);
        }
        if !pairs.remainder().is_empty() {
            tile.put(x.len() / columns - 1, dot_4x1(weights_of, pairs.remainder()));
        }
    });
}

by_cpu! {
    /// The dot product of two vectors of equal length.
    pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 = dot_body
}

by_cpu! {
    /// Dot products of 4 rows with 2 vectors: the register tile of prefill.
    fn dot_4x2(rows: [&[f32]; 4], x: [&[f32]; 2]) -> [[f32; 4]; 2] = dot_4x2_body
}

by_cpu! {
    /// Dot products of 4 rows with 1 vector: decode.
    fn dot_4x1(rows: [&[f32]; 4], x: &[f32]) -> [f32; 4] = dot_4x1_body
}

#[inline(always)]
pub(super) fn dot_body<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    tile_body::<FMA, 1, 1>([a], [b])[0][0]
}

#[inline(always)]
fn dot_4x2_body<const FMA: bool>(rows: [&[f32]; 4], x: [&[f32]; 2]) -> [[f32; 4]; 2] {
    tile_body::<FMA, 4, 2>(rows, x)
}

#[inline(always)]
fn dot_4x1_body<const FMA: bool>(rows: [&[f32]; 4], x: &[f32]) -> [f32; 4] {
    tile_body::<FMA, 4, 1>(rows, [x])[0]
}

/// All dot products of `rows` with `x`. Lane `i` adds the products at `i`, `i + 8`, `i + 16`, …; the order of operations of each is the same for any `R` and `X`.
#[inline(always)]
fn tile_body<const FMA: bool, const R: usize, const X: usize>(rows: [&[f32]; R], x: [&[f32]; X]) -> [[f32; R]; X] {
    let length = x[0].len();
    let whole = length / LANES * LANES;
    let rows = rows.map(|row| &row[..length]);
    let x = x.map(|x| &x[..length]);
    let mut sums = [[[0f32; LANES]; R]; X];
    let mut at = 0;
    while at < whole {
        for j in 0..X {
            let x: &[f32; LANES] = x[j][at..at + LANES].try_into().expect("a whole block");
            for i in 0..R {
                let row: &[f32; LANES] = rows[i][at..at + LANES].try_into().expect("a whole block");
                for lane in 0..LANES {
                    sums[j][i][lane] = multiply_add::<FMA>(row[lane], x[lane], sums[j][i][lane]);
                }
            }
        }
        at += LANES;
    }
    let mut out = [[0f32; R]; X];
    for j in 0..X {
        for i in 0..R {
            let mut sum = add_up(sums[j][i]);
            for at in whole..length {
                sum = multiply_add::<FMA>(rows[i][at], x[j][at], sum);
            }
            out[j][i] = sum;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(length: usize, step: f32) -> Vec<f32> {
        (0..length).map(|i| ((i as f32 * step).sin() * 3.0).fract()).collect()
    }

    #[test]
    fn matmul_agrees_with_f64_at_odd_sizes() {
        for (rows, columns, tokens) in [(1, 1, 1), (5, 7, 3), (4, 8, 2), (13, 67, 5), (66, 130, 4)] {
            let weights = ramp(rows * columns, 0.37);
            let x = ramp(tokens * columns, 0.71);
            let mut out = vec![0.0; tokens * rows];
            matmul(&weights, columns, &x, &mut out);
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
    fn the_variant_without_fused_multiply_add_agrees() {
        let rows = ramp(4 * 100, 0.37);
        let x = ramp(2 * 100, 0.71);
        let tile = [0, 1, 2, 3].map(|i| &rows[i * 100..][..100]);
        let pair = [&x[..100], &x[100..]];
        let fused = tile_body::<true, 4, 2>(tile, pair);
        let plain = tile_body::<false, 4, 2>(tile, pair);
        for (fused, plain) in fused.as_flattened().iter().zip(plain.as_flattened()) {
            assert!((fused - plain).abs() < 1e-4);
        }
    }

    #[test]
    fn a_token_gets_the_same_bits_alone_and_among_others() {
        let (rows, columns, tokens) = (37, 100, 7);
        let weights = ramp(rows * columns, 0.37);
        let x = ramp(tokens * columns, 0.71);
        let mut together = vec![0.0; tokens * rows];
        matmul(&weights, columns, &x, &mut together);
        for t in 0..tokens {
            let mut alone = vec![0.0; rows];
            matmul(&weights, columns, &x[t * columns..][..columns], &mut alone);
            assert_eq!(alone, together[t * rows..][..rows]);
            assert_eq!(dot(&weights[..columns], &x[t * columns..][..columns]), alone[0]);
        }
    }
}
