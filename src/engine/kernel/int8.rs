//! Products with Q8_0 and Q4_0 weights, the formats that this library makes itself.
//!
//! Four rows at a time are unpacked to signed bytes and f32 scales per block of 32; the activations are quantised once
//! per product in the same way. A dot product multiplies bytes, adds up integers within a block and floats across blocks.
//! With AVX2, Q8_0 is read where it lies, for two tokens at once, which changes no bit of the result.

use super::{LANES, add_up, for_each_tile, multiply_add};
use candle_core::quantized::GgmlDType;
use half::f16;
use half::slice::HalfFloatSliceExt;

/// Elements that share a scale.
const BLOCK: usize = 32;

/// Vectors of signed bytes with a scale per block: `quants` `[rows, columns]`, `scales` `[rows, columns / BLOCK]`.
struct Bytes {
    quants: Vec<i8>,
    scales: Vec<f32>,
}

/// Whether this module handles `dtype`.
pub(super) fn handles(dtype: GgmlDType) -> bool {
    matches!(dtype, GgmlDType::Q8_0 | GgmlDType::Q4_0)
}

/// `out[t, r] = Σ_c x[t, c] · weights[r, c]`; see [`super::quantized::matmul`].
pub(super) fn matmul(dtype: GgmlDType, weights: &[u8], columns: usize, x: &[f32], out: &mut [f32]) {
    let row_bytes = columns / BLOCK * dtype.type_size();
    let rows = weights.len() / row_bytes;
    let x = quantize(x);
    for_each_tile(rows, rows * x.quants.len(), out, |tile| {
        let packed = tile.rows().map(|row| &weights[row * row_bytes..][..row_bytes]);
        #[cfg(target_arch = "x86_64")]
        if dtype == GgmlDType::Q8_0 && super::has_avx2() {
            let mut row_scales = vec![[0.0; 4]; columns / BLOCK];
            let vectors = x.quants.chunks_exact(columns).zip(x.scales.chunks_exact(columns / BLOCK));
            let mut vectors = vectors.enumerate();
            // SAFETY: the processor has AVX2, FMA and F16C, as just asked.
            #[allow(unsafe_code)]
            unsafe {
                avx2::scales_of_4(packed, &mut row_scales);
                while let Some((token, first)) = vectors.next() {
                    if let Some((_, second)) = vectors.next() {
                        let [sums, next] = match token {
                            0 => avx2::dot_4_in_place::<2, true>(packed, &row_scales, [first, second]),
                            _ => avx2::dot_4_in_place::<2, false>(packed, &row_scales, [first, second]),
                        };
                        tile.put(token, sums);
                        tile.put(token + 1, next);
                    } else {
                        let [sums] = avx2::dot_4_in_place::<1, true>(packed, &row_scales, [first]);
                        tile.put(token, sums);
                    }
                }
            }
            return;
        }
        let unpacked = unpack(dtype, packed, columns);
        let tokens = x.quants.chunks_exact(columns).zip(x.scales.chunks_exact(columns / BLOCK));
        for (token, (quants, scales)) in tokens.enumerate() {
            tile.put(token, dot_4(&unpacked, quants, scales));
        }
    });
}

/// The dot products of `x` with some `rows`; equal to those elements of [`matmul`].
pub(super) fn dot_rows(dtype: GgmlDType, weights: &[u8], columns: usize, x: &[f32], rows: &[u32]) -> Vec<f32> {
    let row_bytes = columns / BLOCK * dtype.type_size();
    let x = quantize(x);
    let one = |&row: &u32| {
        let row = &weights[row as usize * row_bytes..][..row_bytes];
        dot_4(&unpack(dtype, [row; 4], columns), &x.quants, &x.scales)[0]
    };
    rows.iter().map(one).collect()
}

/// Four rows of weights as bytes and scales.
fn unpack(dtype: GgmlDType, rows: [&[u8]; 4], columns: usize) -> Bytes {
    let mut quants = vec![0i8; 4 * columns];
    let mut halves = Vec::with_capacity(4 * columns / BLOCK);
    for (row, quants) in rows.into_iter().zip(quants.chunks_exact_mut(columns)) {
        for (block, quants) in row.chunks_exact(dtype.type_size()).zip(quants.as_chunks_mut::<BLOCK>().0) {
            halves.push(f16::from_le_bytes([block[0], block[1]]));
            let packed = &block[2..];
            if dtype == GgmlDType::Q8_0 {
                quants.copy_from_slice(bytemuck::cast_slice(packed));
            } else {
                // Q4_0: the low nibbles are the first half of the block, the high ones the second.
                for (i, &pair) in packed.iter().enumerate() {
                    quants[i] = (pair & 15) as i8 - 8;
                    quants[i + BLOCK / 2] = (pair >> 4) as i8 - 8;
                }
            }
        }
    }
    let mut scales = vec![0.0; halves.len()];
    halves.convert_to_f32_slice(&mut scales);
    Bytes { quants, scales }
}

/// Activations as bytes: the largest of a block becomes 127.
fn quantize(x: &[f32]) -> Bytes {
    let mut bytes = Bytes { quants: vec![0; x.len()], scales: vec![0.0; x.len() / BLOCK] };
    quantize_into(x, &mut bytes.quants, &mut bytes.scales);
    bytes
}

super::by_cpu! {
    fn quantize_into(x: &[f32], quants: &mut [i8], scales: &mut [f32]) = quantize_body
}

#[inline(always)]
fn quantize_body<const FMA: bool>(x: &[f32], quants: &mut [i8], scales: &mut [f32]) {
    let blocks = x.as_chunks::<BLOCK>().0.iter().zip(quants.as_chunks_mut::<BLOCK>().0);
    for ((x, quants), scale) in blocks.zip(scales) {
        let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        *scale = largest / 127.0;
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        for (quant, x) in quants.iter_mut().zip(x) {
            *quant = (x * inverse).round_ties_even() as i8;
        }
    }
}

/// Dot products of a tile's four rows with one vector.
fn dot_4(tile: &Bytes, quants: &[i8], scales: &[f32]) -> [f32; 4] {
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2() {
        // SAFETY: the processor has AVX2 and FMA, as just asked.
        #[allow(unsafe_code)]
        return unsafe { avx2::dot_4(tile, quants, scales) };
    }
    dot_4_portable::<{ cfg!(target_arch = "aarch64") }>(tile, quants, scales)
}

/// The definition of [`dot_4`]: each lane adds four neighbouring products of every block. The other variants do the same operations in the same order.
fn dot_4_portable<const FMA: bool>(tile: &Bytes, quants: &[i8], scales: &[f32]) -> [f32; 4] {
    let (columns, blocks) = (quants.len(), scales.len());
    std::array::from_fn(|i| {
        let row = tile.quants[i * columns..][..columns].as_chunks::<BLOCK>().0;
        let row_scales = &tile.scales[i * blocks..][..blocks];
        let mut lanes = [0f32; LANES];
        for (((row, x), row_scale), scale) in row.iter().zip(quants.as_chunks::<BLOCK>().0).zip(row_scales).zip(scales)
        {
            for (lane, (row, x)) in lanes.iter_mut().zip(row.as_chunks::<4>().0.iter().zip(x.as_chunks::<4>().0)) {
                let sum: i32 = row.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
                *lane = multiply_add::<FMA>(sum as f32, row_scale * scale, *lane);
            }
        }
        add_up(lanes)
    })
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::super::{LANES, add_up};
    use super::{BLOCK, Bytes};
    use std::arch::x86_64::*;

    /// Bytes of a Q8_0 block: an f16 scale, then 32 signed bytes.
    const Q8_0: usize = 2 + BLOCK;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot_4(tile: &Bytes, quants: &[i8], scales: &[f32]) -> [f32; 4] {
        let (columns, blocks) = (quants.len(), scales.len());
        assert!(columns == blocks * BLOCK && tile.quants.len() == 4 * columns && tile.scales.len() == 4 * blocks);
        let mut sums = [_mm256_setzero_ps(); 4];
        for (block, scale) in scales.iter().enumerate() {
            let x = load(quants, block * BLOCK);
            for (i, sum) in sums.iter_mut().enumerate() {
                let w = load(&tile.quants, i * columns + block * BLOCK);
                *sum = add_block(w, x, tile.scales[i * blocks + block] * scale, *sum);
            }
        }
        add_up_all(sums)
    }

    /// The f16 scales of four rows of Q8_0 blocks as f32, block by block.
    #[target_feature(enable = "avx2,f16c")]
    pub(super) fn scales_of_4(rows: [&[u8]; 4], scales: &mut [[f32; 4]]) {
        let rows = rows.map(|row| row.as_chunks::<Q8_0>().0);
        for (block, scales) in scales.iter_mut().enumerate() {
            let half = |row: usize| i16::from_le_bytes([rows[row][block][0], rows[row][block][1]]);
            let halves = _mm_set_epi16(0, 0, 0, 0, half(3), half(2), half(1), half(0));
            // SAFETY: `scales` has room for the four floats of the register.
            #[allow(unsafe_code)]
            unsafe {
                _mm_storeu_ps(scales.as_mut_ptr(), _mm_cvtph_ps(halves));
            }
        }
    }

    /// As [`dot_4`] for each of `T` vectors, with rows of Q8_0 blocks whose scales are `row_scales`. For two vectors all sums
    /// stay in registers. With `AHEAD` the four rows after these are fetched from memory meanwhile: the processor does not
    /// see them coming while it computes with these for several tokens.
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn dot_4_in_place<const T: usize, const AHEAD: bool>(
        rows: [&[u8]; 4],
        row_scales: &[[f32; 4]],
        vectors: [(&[i8], &[f32]); T],
    ) -> [[f32; 4]; T] {
        let blocks = row_scales.len();
        assert!(rows.iter().all(|row| row.len() == blocks * Q8_0));
        assert!(vectors.iter().all(|(quants, scales)| quants.len() == blocks * BLOCK && scales.len() == blocks));
        let mut sums = [[_mm256_setzero_ps(); 4]; T];
        for (block, row_scales) in row_scales.iter().enumerate() {
            let mut x = [_mm256_setzero_si256(); T];
            let mut products = [[0f32; 4]; T];
            for ((x, products), (quants, scales)) in x.iter_mut().zip(&mut products).zip(vectors) {
                // SAFETY: as asserted, `quants` has 32 bytes for each block.
                #[allow(unsafe_code)]
                unsafe {
                    *x = _mm256_loadu_si256(quants.as_ptr().add(block * BLOCK).cast());
                }
                *products = row_scales.map(|row_scale| row_scale * scales[block]);
            }
            for (i, row) in rows.iter().enumerate() {
                if AHEAD {
                    // A hint about an address, which nobody reads: it may be past the end.
                    _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(4 * row.len() + block * Q8_0).cast());
                }
                // SAFETY: as asserted, `row` has a scale of 2 bytes and 32 bytes more for each block.
                #[allow(unsafe_code)]
                let w = unsafe { _mm256_loadu_si256(row.as_ptr().add(block * Q8_0 + 2).cast()) };
                for ((sums, products), x) in sums.iter_mut().zip(&products).zip(x) {
                    sums[i] = add_block(w, x, products[i], sums[i]);
                }
            }
        }
        sums.map(|sums| add_up_all(sums))
    }

    /// Adds the dot product of one block to the lanes of `sum`.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_block(w: __m256i, x: __m256i, scale: f32, sum: __m256) -> __m256 {
        // |w| · (x with the sign of w): the first factor is unsigned, as the instruction wants it, and with |x| <= 127
        // two products fit into 16 bits.
        let pairs = _mm256_maddubs_epi16(_mm256_sign_epi8(w, w), _mm256_sign_epi8(x, w));
        let quads = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
        _mm256_fmadd_ps(quads, _mm256_set1_ps(scale), sum)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_up_all(sums: [__m256; 4]) -> [f32; 4] {
        sums.map(|sum| {
            let mut lanes = [0f32; LANES];
            // SAFETY: `lanes` has room for the eight floats of the register.
            #[allow(unsafe_code)]
            unsafe {
                _mm256_storeu_ps(lanes.as_mut_ptr(), sum);
            }
            add_up(lanes)
        })
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn load(bytes: &[i8], at: usize) -> __m256i {
        let block = &bytes[at..at + BLOCK];
        // SAFETY: the slice has the 32 bytes that are read.
        #[allow(unsafe_code)]
        unsafe {
            _mm256_loadu_si256(block.as_ptr().cast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    fn encoded(dtype: GgmlDType, x: &[f32]) -> Vec<u8> {
        let mut words = vec![0u32; x.len() / BLOCK * dtype.type_size() / 4 + 1];
        let bytes = &mut bytemuck::cast_slice_mut(&mut words)[..x.len() / BLOCK * dtype.type_size()];
        super::super::quantized::encode(dtype, x, bytes);
        bytes.to_vec()
    }

    #[test]
    fn the_variants_agree() {
        let tile = Bytes { quants: quantize(&noise(4 * 256, 1)).quants, scales: noise(32, 2) };
        let x = quantize(&noise(256, 3));
        let portable = dot_4_portable::<true>(&tile, &x.quants, &x.scales);
        let chosen = dot_4(&tile, &x.quants, &x.scales);
        for (a, b) in portable.iter().zip(chosen) {
            // With a fused multiply-add the very bits; without one, a rounding per block.
            let allowed = if super::super::has_avx2() || cfg!(target_arch = "aarch64") { 0.0 } else { 1e-3 };
            assert!((a - b).abs() <= allowed, "{portable:?} {chosen:?}");
        }
    }

    #[test]
    fn extreme_bytes_do_not_overflow() {
        let tile = Bytes { quants: vec![-128; 4 * BLOCK], scales: vec![1.0; 4] };
        for x in [-127i8, 127] {
            let expected = -128.0 * f32::from(x) * BLOCK as f32;
            assert_eq!(dot_4(&tile, &[x; BLOCK], &[1.0]), [expected; 4]);
        }
    }

    #[test]
    fn products_are_those_of_the_decoded_weights() {
        for dtype in [GgmlDType::Q8_0, GgmlDType::Q4_0] {
            let (rows, columns) = (7, 96);
            let weights = encoded(dtype, &noise(rows * columns, 5));
            let x = noise(2 * columns, 6);
            let mut out = vec![0.0; 2 * rows];
            matmul(dtype, &weights, columns, &x, &mut out);
            let row_bytes = weights.len() / rows;
            let mut wide = vec![0.0; columns];
            for row in 0..rows {
                super::super::quantized::decode(dtype, &weights[row * row_bytes..][..row_bytes], &mut wide);
                for token in 0..2 {
                    let exact: f32 = wide.iter().zip(&x[token * columns..][..columns]).map(|(w, x)| w * x).sum();
                    // Each activation is off by at most half a step of 1/127.
                    let allowed = wide.iter().map(|w| w.abs()).sum::<f32>() / 254.0;
                    assert!((out[token * rows + row] - exact).abs() <= allowed, "{dtype:?} {row} {token}");
                }
                let mut alone = vec![0.0; rows];
                matmul(dtype, &weights, columns, &x[..columns], &mut alone);
                assert_eq!(alone, out[..rows]);
                assert_eq!(dot_rows(dtype, &weights, columns, &x[..columns], &[row as u32]), [out[row]]);
            }
        }
    }
}
