//! The variants for ARM's 64-bit processors: NEON, and its dot product instruction where there is one.
//!
//! Four rows are multiplied where they lie, with up to four tokens at a time; each row's integers are added across its register
//! at the end of a block.

use super::super::activations::{Bytes, Vector};
use super::super::for_each_tile;
use super::BLOCK;
use crate::engine::pool::Pool;
use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

/// Rows that are computed together.
const ROWS: usize = 4;
/// Tokens that are computed together: with the rows, 16 registers of sums at the end of a block.
const TOKENS: usize = 4;

/// A block format: an f16 scale, then 32 packed weights.
pub(super) trait Format {
    /// Of a block.
    const BYTES: usize;

    /// The weights of a block. `packed` points after its scale, to `BYTES - 2` readable bytes.
    #[allow(unsafe_code)]
    unsafe fn weights(packed: *const u8) -> [int8x16_t; 2];
}

/// 32 signed bytes.
pub(super) struct Q8_0;

impl Format for Q8_0 {
    const BYTES: usize = 2 + BLOCK;

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn weights(packed: *const u8) -> [int8x16_t; 2] {
        // SAFETY: 32 bytes are readable, as the trait asks.
        unsafe { [vld1q_s8(packed.cast()), vld1q_s8(packed.add(16).cast())] }
    }
}

/// A bit for each weight, then nibbles as in [`Q4_0`]: together 16 too large.
pub(super) struct Q5_0;

impl Format for Q5_0 {
    const BYTES: usize = 2 + BLOCK / 8 + BLOCK / 2;

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn weights(packed: *const u8) -> [int8x16_t; 2] {
        // SAFETY: 20 bytes are readable, as the trait asks; every processor of this kind has NEON.
        unsafe {
            let bits = vreinterpretq_u8_u32(vdupq_n_u32(packed.cast::<u32>().read_unaligned()));
            // Each byte gets the byte that has its bit.
            let spread = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
            let own = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
            // What has the bit is its nibble, what has not is 16 less.
            let weights = |nibbles, spread| {
                let set = vtstq_u8(vqtbl1q_u8(bits, spread), own);
                vreinterpretq_s8_u8(vorrq_u8(nibbles, vbicq_u8(vdupq_n_u8(0xf0), set)))
            };
            let pairs = vld1q_u8(packed.add(BLOCK / 8));
            [
                weights(vandq_u8(pairs, vdupq_n_u8(15)), spread),
                weights(vshrq_n_u8::<4>(pairs), vaddq_u8(spread, vdupq_n_u8(2))),
            ]
        }
    }
}

/// 16 low nibbles, then the 16 high ones, each 8 too large.
pub(super) struct Q4_0;

impl Format for Q4_0 {
    const BYTES: usize = 2 + BLOCK / 2;

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn weights(packed: *const u8) -> [int8x16_t; 2] {
        // SAFETY: 16 bytes are readable, as the trait asks; every processor of this kind has NEON.
        unsafe {
            let pairs = vld1q_u8(packed);
            [vandq_u8(pairs, vdupq_n_u8(15)), vshrq_n_u8::<4>(pairs)]
                .map(|nibbles| vsubq_s8(vreinterpretq_s8_u8(nibbles), vdupq_n_s8(8)))
        }
    }
}

/// How 16 bytes are multiplied with 16.
pub(super) trait Dot {
    fn runs_here() -> bool;

    /// Four sums, of the products with 32 bytes. No byte of `x` is -128. The processor must have what
    /// [`Dot::runs_here`] asks for.
    #[allow(unsafe_code)]
    unsafe fn products(weights: [int8x16_t; 2], x: [int8x16_t; 2]) -> int32x4_t;
}

/// By NEON alone: two products are added up in 16 bits.
pub(super) struct Plain;

impl Dot for Plain {
    fn runs_here() -> bool {
        true
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn products(weights: [int8x16_t; 2], x: [int8x16_t; 2]) -> int32x4_t {
        // SAFETY: every processor of this kind has NEON.
        unsafe {
            let low = vmull_s8(vget_low_s8(weights[0]), vget_low_s8(x[0]));
            let high = vmull_high_s8(weights[0], x[0]);
            let low = vmlal_s8(low, vget_low_s8(weights[1]), vget_low_s8(x[1]));
            let high = vmlal_high_s8(high, weights[1], x[1]);
            vpadalq_s16(vpaddlq_s16(low), high)
        }
    }
}

/// By the instruction that adds up four products in 32 bits.
pub(super) struct DotProduct;

impl Dot for DotProduct {
    fn runs_here() -> bool {
        is_aarch64_feature_detected!("dotprod")
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn products(weights: [int8x16_t; 2], x: [int8x16_t; 2]) -> int32x4_t {
        // In assembly, because the compiler's name for it is not stable yet.
        // SAFETY: the processor has the instruction, as the trait asks; it changes one register only.
        unsafe {
            let mut sums = vdupq_n_s32(0);
            for half in 0..2 {
                asm!(
                    ".arch_extension dotprod",
                    "sdot {sums:v}.4s, {weights:v}.16b, {x:v}.16b",
                    sums = inout(vreg) sums,
                    weights = in(vreg) weights[half],
                    x = in(vreg) x[half],
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            sums
        }
    }
}

/// See [`super::matmul`]. The processor must have what `D` needs.
pub(super) fn matmul<F: Format, D: Dot>(pool: &Pool, weights: &[u8], columns: usize, x: &Bytes, out: &mut [f32]) {
    let row_bytes = columns / BLOCK * F::BYTES;
    let rows = weights.len() / row_bytes;
    let vectors: Vec<Vector> = x.vectors(columns).collect();
    assert!(D::runs_here() && columns.is_multiple_of(BLOCK));
    for_each_tile::<ROWS>(pool, rows, rows * x.quants.len(), out, |tile| {
        let packed = tile.rows().map(|row| &weights[row * row_bytes..][..row_bytes]);
        let (groups, rest) = vectors.as_chunks::<TOKENS>();
        for (group, vectors) in groups.iter().enumerate() {
            let sums = in_place::<F, D, TOKENS>(packed, *vectors);
            (group * TOKENS..).zip(sums).for_each(|(token, sums)| tile.put(token, sums));
        }
        for (token, vector) in (groups.len() * TOKENS..).zip(rest) {
            let [sums] = in_place::<F, D, 1>(packed, [*vector]);
            tile.put(token, sums);
        }
    });
}

/// Dot products of four rows with each of `T` vectors. The processor must have what `D` needs.
fn in_place<F: Format, D: Dot, const T: usize>(rows: [&[u8]; ROWS], vectors: [Vector; T]) -> [[f32; ROWS]; T] {
    let blocks = rows[0].len() / F::BYTES;
    assert!(rows.iter().all(|row| row.len() == blocks * F::BYTES));
    assert!(vectors.iter().all(|x| x.quants.len() == blocks * BLOCK && x.scales.len() == blocks));
    let mut out = [[0f32; ROWS]; T];
    // SAFETY: a block of a row has the bytes that are read, as asserted, and so has a block of quants; `out` has room for a
    // register per token. Every processor of this kind has NEON, and this one what `D` needs, which `matmul` asserts.
    #[allow(unsafe_code)]
    unsafe {
        let mut sums = [vdupq_n_f32(0.0); T];
        for block in 0..blocks {
            let here = rows.map(|row| row.as_ptr().add(block * F::BYTES));
            let weights = here.map(|block| F::weights(block.add(2)));
            let row_scales = floats(here.map(|block| u16::from_le(block.cast::<u16>().read_unaligned())));
            for t in 0..T {
                let x = vectors[t].quants.as_ptr().add(block * BLOCK);
                let x = [vld1q_s8(x), vld1q_s8(x.add(16))];
                let [a, b, c, d] = weights.map(|weights| D::products(weights, x));
                let products = vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d));
                let scale = vmulq_n_f32(row_scales, vectors[t].scales[block]);
                sums[t] = vfmaq_f32(sums[t], vcvtq_f32_s32(products), scale);
            }
        }
        for t in 0..T {
            vst1q_f32(out[t].as_mut_ptr(), sums[t]);
        }
    }
    out
}

/// Finite f16 as f32: the exponent of what is moved into place is 112 too small.
#[inline(always)]
#[allow(unsafe_code)]
fn floats(halves: [u16; ROWS]) -> float32x4_t {
    // SAFETY: `halves` are as long as the register; every processor of this kind has NEON.
    unsafe {
        let halves = vmovl_u16(vld1_u16(halves.as_ptr()));
        let sign = vshlq_n_u32::<16>(vandq_u32(halves, vdupq_n_u32(0x8000)));
        let magnitude = vreinterpretq_f32_u32(vshlq_n_u32::<13>(vandq_u32(halves, vdupq_n_u32(0x7fff))));
        let magnitude = vmulq_n_f32(magnitude, f32::from_bits((127 + 112) << 23));
        vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(magnitude), sign))
    }
}
