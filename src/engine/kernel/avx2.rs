//! What the variants for AVX2 share.

use super::activations::Vector;
use super::for_each_tile;
use crate::engine::pool::Pool;
use std::arch::x86_64::*;

/// Products of packed `weights`, `[rows, row_bytes]`, with a few tokens: eight rows at a time, with two tokens or one.
pub(super) fn in_place(
    pool: &Pool,
    weights: &[u8],
    row_bytes: usize,
    vectors: &[Vector],
    out: &mut [f32],
    with_one: impl Fn([&[u8]; 8], [Vector; 1]) -> [[f32; 8]; 1] + Sync,
    with_two: impl Fn([&[u8]; 8], [Vector; 2]) -> [[f32; 8]; 2] + Sync,
) {
    let rows = weights.len() / row_bytes;
    let work = rows * vectors.iter().map(|vector| vector.quants.len()).sum::<usize>();
    for_each_tile::<8>(pool, rows, work, out, |tile| {
        let packed = tile.rows().map(|row| &weights[row * row_bytes..][..row_bytes]);
        let (pairs, last) = vectors.as_chunks();
        for (pair, vectors) in pairs.iter().enumerate() {
            let [sums, next] = with_two(packed, *vectors);
            tile.put(2 * pair, sums);
            tile.put(2 * pair + 1, next);
        }
        if let [only] = last {
            tile.put(2 * pairs.len(), with_one(packed, [*only])[0]);
        }
    });
}

/// The sum of each of eight registers.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add_up_each([a, b, c, d, e, f, g, h]: [__m256i; 8]) -> __m256i {
    // Each half of a register has a half of the sums of its four.
    let low = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let high = _mm256_hadd_epi32(_mm256_hadd_epi32(e, f), _mm256_hadd_epi32(g, h));
    _mm256_add_epi32(_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high))
}

/// Both registers of a line of a panel.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_both<T: bytemuck::Pod, const N: usize>(line: &[T; N]) -> [__m256i; 2] {
    const { assert!(size_of::<[T; N]>() == 64) };
    // SAFETY: a line is as long as two registers, as asserted.
    #[allow(unsafe_code)]
    unsafe {
        [_mm256_loadu_si256(line.as_ptr().cast()), _mm256_loadu_si256(line.as_ptr().cast::<__m256i>().add(1))]
    }
}

/// Writes the first or last register of a line.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store<T: bytemuck::Pod, const N: usize>(line: &mut [T; N], half: usize, register: __m256i) {
    const { assert!(size_of::<[T; N]>() == 64) };
    assert!(half < 2);
    // SAFETY: a line is as long as two registers, as asserted.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_storeu_si256(line.as_mut_ptr().cast::<__m256i>().add(half), register);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn floats(register: __m256) -> [f32; 8] {
    let mut floats = [0f32; 8];
    // SAFETY: `floats` has room for the eight of the register.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_storeu_ps(floats.as_mut_ptr(), register);
    }
    floats
}
