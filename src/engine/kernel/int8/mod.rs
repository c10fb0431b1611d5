//! Products with weights in blocks of 32 with one scale: Q8_0 and Q4_0, the formats that this library makes itself, and Q5_0.
//!
//! The activations are quantised like the weights: signed bytes with a scale per block of 32. An element of a product is
//! defined as `Σ (bytes · bytes) · (scale · scale)` over the blocks: the integers of a block are added exactly, so in any
//! order, the blocks with one multiply-add each, in theirs. All [`VARIANTS`] give the same bits.
//!
//! Few tokens (decode) are multiplied with the weights where they lie; for many (prefill, batches) rows are unpacked once
//! and used for all tokens.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod vnni;

use super::activations::{Activations, Bytes, Vector};
use super::{by_cpu, for_each_tile, multiply_add};
use crate::engine::pool::Pool;
use candle_core::quantized::GgmlDType;
use half::f16;

/// Elements that share a scale.
pub(super) const BLOCK: usize = 32;

/// Whether this module handles `dtype`.
pub(super) fn handles(dtype: GgmlDType) -> bool {
    matches!(dtype, GgmlDType::Q8_0 | GgmlDType::Q5_0 | GgmlDType::Q4_0)
}

/// Products for an instruction set.
struct Variant {
    name: &'static str,
    runs_here: fn() -> bool,
    q8_0: Matmul,
    q5_0: Matmul,
    q4_0: Matmul,
}

/// Threads, weights, columns, activations, products.
type Matmul = fn(&Pool, &[u8], usize, &Bytes, &mut [f32]);

/// The fastest first.
const VARIANTS: &[Variant] = &[
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "avx512+vnni",
        runs_here: <vnni::Whole<128> as avx2::Panel>::runs_here,
        q8_0: avx2::matmul::<avx2::Q8_0, vnni::Whole<128>>,
        q5_0: avx2::matmul::<avx2::Q5_0, vnni::Whole<128>>,
        q4_0: avx2::matmul::<avx2::Q4_0, vnni::Whole<8>>,
    },
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "avx2+fma+vnni",
        runs_here: <vnni::Halves<128> as avx2::Panel>::runs_here,
        q8_0: avx2::matmul::<avx2::Q8_0, vnni::Halves<128>>,
        q5_0: avx2::matmul::<avx2::Q5_0, vnni::Halves<128>>,
        q4_0: avx2::matmul::<avx2::Q4_0, vnni::Halves<8>>,
    },
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "avx2+fma",
        runs_here: super::has_avx2,
        q8_0: avx2::matmul::<avx2::Q8_0, avx2::Pairs>,
        q5_0: avx2::matmul::<avx2::Q5_0, avx2::Pairs>,
        q4_0: avx2::matmul::<avx2::Q4_0, avx2::Nibbles>,
    },
    #[cfg(target_arch = "aarch64")]
    Variant {
        name: "neon+dotprod",
        runs_here: <neon::DotProduct as neon::Dot>::runs_here,
        q8_0: neon::matmul::<neon::Q8_0, neon::DotProduct>,
        q5_0: neon::matmul::<neon::Q5_0, neon::DotProduct>,
        q4_0: neon::matmul::<neon::Q4_0, neon::DotProduct>,
    },
    #[cfg(target_arch = "aarch64")]
    Variant {
        name: "neon",
        runs_here: <neon::Plain as neon::Dot>::runs_here,
        q8_0: neon::matmul::<neon::Q8_0, neon::Plain>,
        q5_0: neon::matmul::<neon::Q5_0, neon::Plain>,
        q4_0: neon::matmul::<neon::Q4_0, neon::Plain>,
    },
    Variant {
        name: "portable",
        runs_here: || true,
        q8_0: |pool, weights, columns, x, out| by_definition(GgmlDType::Q8_0, pool, weights, columns, x, out),
        q5_0: |pool, weights, columns, x, out| by_definition(GgmlDType::Q5_0, pool, weights, columns, x, out),
        q4_0: |pool, weights, columns, x, out| by_definition(GgmlDType::Q4_0, pool, weights, columns, x, out),
    },
];

impl Variant {
    fn of(&self, dtype: GgmlDType) -> Matmul {
        match dtype {
            GgmlDType::Q8_0 => self.q8_0,
            GgmlDType::Q5_0 => self.q5_0,
            _ => self.q4_0,
        }
    }

    /// The fastest that this processor has.
    fn best() -> &'static Self {
        VARIANTS.iter().find(|variant| (variant.runs_here)()).expect("the last runs everywhere")
    }
}

/// The name of the instruction set in use.
pub(super) fn name() -> &'static str {
    Variant::best().name
}

/// `out[t, r] = Σ_c x[t, c] · weights[r, c]`; see [`super::quantized::matmul`].
pub(super) fn matmul(dtype: GgmlDType, weights: &[u8], columns: usize, x: &Activations, out: &mut [f32]) {
    Variant::best().of(dtype)(x.pool, weights, columns, x.bytes(), out);
}

fn by_definition(dtype: GgmlDType, pool: &Pool, weights: &[u8], columns: usize, x: &Bytes, out: &mut [f32]) {
    let row_bytes = columns / BLOCK * dtype.type_size();
    let rows = weights.len() / row_bytes;
    for_each_tile::<1>(pool, rows, rows * x.quants.len(), out, |tile| {
        let mut unpacked = vec![0; columns];
        let mut scales = vec![0.0; columns / BLOCK];
        let [row] = tile.rows();
        unpack(dtype, &weights[row * row_bytes..][..row_bytes], &mut unpacked, &mut scales);
        for (token, x) in x.vectors(columns).enumerate() {
            tile.put(token, [dot(&unpacked, &scales, x)]);
        }
    });
}

/// The dot products of `x` with some `rows`; equal to those elements of [`matmul`].
pub(super) fn dot_rows(dtype: GgmlDType, weights: &[u8], columns: usize, x: &Activations, rows: &[u32]) -> Vec<f32> {
    let row_bytes = columns / BLOCK * dtype.type_size();
    let mut unpacked = vec![0; columns];
    let mut scales = vec![0.0; columns / BLOCK];
    let one = |&row: &u32| {
        unpack(dtype, &weights[row as usize * row_bytes..][..row_bytes], &mut unpacked, &mut scales);
        dot(&unpacked, &scales, x.bytes().vectors(columns).next().expect("one vector"))
    };
    rows.iter().map(one).collect()
}

/// A row of weights as bytes and scales.
fn unpack(dtype: GgmlDType, row: &[u8], quants: &mut [i8], scales: &mut [f32]) {
    let blocks = row.chunks_exact(dtype.type_size()).zip(quants.as_chunks_mut::<BLOCK>().0);
    for ((block, quants), scale) in blocks.zip(scales) {
        *scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
        let packed = &block[2..];
        match dtype {
            GgmlDType::Q8_0 => quants.copy_from_slice(bytemuck::cast_slice(packed)),
            GgmlDType::Q5_0 => {
                let fifth = u32::from_le_bytes([packed[0], packed[1], packed[2], packed[3]]);
                let bit = |i: usize| (fifth >> i & 1) as i8 * 16;
                for (i, [low, high]) in nibbles(&packed[4..]).enumerate() {
                    quants[i] = (low | bit(i)) - 16;
                    quants[i + BLOCK / 2] = (high | bit(i + BLOCK / 2)) - 16;
                }
            }
            _ => {
                for (i, [low, high]) in nibbles(packed).enumerate() {
                    quants[i] = low - 8;
                    quants[i + BLOCK / 2] = high - 8;
                }
            }
        }
    }
}

/// The low and the high half of each byte: the low ones are the first half of a block, the high ones the second.
fn nibbles(packed: &[u8]) -> impl Iterator<Item = [i8; 2]> {
    packed.iter().map(|&byte| [byte & 15, byte >> 4].map(u8::cast_signed))
}

by_cpu! {
    /// The definition of an element of a product.
    fn dot(weights: &[i8], weight_scales: &[f32], x: Vector) -> f32 = dot_body
}

#[inline(always)]
fn dot_body<const FMA: bool>(weights: &[i8], weight_scales: &[f32], x: Vector) -> f32 {
    let blocks = weights.as_chunks::<BLOCK>().0.iter().zip(x.quants.as_chunks::<BLOCK>().0);
    blocks.zip(weight_scales).zip(x.scales).fold(0.0, |sum, (((weights, x), weight_scale), scale)| {
        let products: i32 = weights.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
        multiply_add::<FMA>(products as f32, weight_scale * scale, sum)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{encoded, noise, pool};
    use super::*;

    /// All that this processor can run.
    fn variants() -> impl Iterator<Item = &'static Variant> {
        VARIANTS.iter().filter(|variant| (variant.runs_here)())
    }

    /// Each element by the definition, in the arithmetic of the machine.
    fn defined(dtype: GgmlDType, weights: &[u8], columns: usize, x: &[f32]) -> Vec<f32> {
        let rows = weights.len() / (columns / BLOCK * dtype.type_size());
        let all: Vec<u32> = (0..rows as u32).collect();
        x.chunks_exact(columns)
            .flat_map(|x| dot_rows(dtype, weights, columns, &Activations::new(&pool(), x), &all))
            .collect()
    }

    #[test]
    fn any_number_of_rows_columns_and_tokens_gives_the_defined_bits() {
        for dtype in [GgmlDType::Q8_0, GgmlDType::Q5_0, GgmlDType::Q4_0] {
            for (rows, columns) in [(1, 32), (7, 96), (16, 256), (33, 288), (50, 1024)] {
                let weights = encoded(dtype, &noise(rows * columns, 5));
                for tokens in [1, 2, 3, 4, 5, 7, 8, 13, 24] {
                    let x = noise(tokens * columns, 6);
                    let defined = defined(dtype, &weights, columns, &x);
                    for variant in variants() {
                        let mut out = vec![0.0; tokens * rows];
                        variant.of(dtype)(&pool(), &weights, columns, &Bytes::new(&pool(), &x, BLOCK, BLOCK), &mut out);
                        assert_eq!(out, defined, "{} {dtype:?} {rows} x {columns}, {tokens} tokens", variant.name);
                    }
                }
            }
        }
    }

    #[test]
    fn the_variant_without_fused_multiply_add_agrees() {
        let bytes = [1, 2].map(|seed| Bytes::new(&pool(), &noise(256, seed), BLOCK, BLOCK));
        let [weights, x] = bytes.each_ref().map(|bytes| bytes.vectors(256).next().unwrap());
        let [fused, plain] = [dot_body::<true>, dot_body::<false>].map(|dot| dot(weights.quants, weights.scales, x));
        assert!((fused - plain).abs() < 1e-3);
    }

    #[test]
    fn extreme_bytes_do_not_overflow() {
        let columns = 2 * BLOCK;
        let mut row = Vec::new();
        for _ in 0..2 {
            row.extend(f16::ONE.to_le_bytes());
            row.extend([0x80; BLOCK]);
        }
        for value in [-127.0, 127.0] {
            for tokens in [1, 2, 5, 15] {
                let x = Bytes::new(&pool(), &vec![value; tokens * columns], BLOCK, BLOCK);
                for variant in variants() {
                    let mut out = vec![0.0; tokens * 16];
                    (variant.q8_0)(&pool(), &row.repeat(16), columns, &x, &mut out);
                    assert_eq!(out, vec![-128.0 * value * columns as f32; tokens * 16], "{}", variant.name);
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_the_decoded_weights() {
        for dtype in [GgmlDType::Q8_0, GgmlDType::Q5_0, GgmlDType::Q4_0] {
            let (rows, columns) = (7, 96);
            let weights = encoded(dtype, &noise(rows * columns, 5));
            let x = noise(columns, 6);
            let row_bytes = weights.len() / rows;
            let mut wide = vec![0.0; columns];
            for (row, found) in defined(dtype, &weights, columns, &x).into_iter().enumerate() {
                super::super::quantized::decode(dtype, &weights[row * row_bytes..][..row_bytes], &mut wide);
                let exact: f32 = wide.iter().zip(&x).map(|(w, x)| w * x).sum();
                // Each activation is off by at most half a step of 1/127.
                let allowed = wide.iter().map(|w| w.abs()).sum::<f32>() / 254.0;
                assert!((found - exact).abs() <= allowed, "{dtype:?} {row}");
            }
        }
    }
}
