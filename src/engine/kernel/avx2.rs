//! What the variants for AVX2 share.

use std::arch::x86_64::*;

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
