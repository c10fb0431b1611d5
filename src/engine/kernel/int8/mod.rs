//! Products with Q8_0 and Q4_0 weights, the formats that this library makes itself.
//!
//! The activations are quantised like the weights: signed bytes with a scale per block of 32. An element of a product is
//! defined as `Σ (bytes · bytes) · (scale · scale)` over the blocks: the integers of a block are added exactly, so in any
//! order, the blocks with one multiply-add each, in theirs. All [`VARIANTS`] give the same bits.
//!
//! Few tokens (decode) are multiplied with the weights where they lie; for many (prefill, batches) rows are unpacked once
//! and used for all tokens.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod vnni;

use super::{Activations, LANES, TO_INTEGER, by_cpu, for_each_tile, multiply_add};
use crate::engine::pool::Pool;
use candle_core::quantized::GgmlDType;
use half::f16;
use std::sync::OnceLock;

/// Elements that share a scale.
const BLOCK: usize = 32;

/// Activations that one thread quantises at a time.
const PART: usize = 1 << 14;

/// Activations as bytes: `quants` `[tokens, columns]`; `scales` and `sums` of quants `[tokens, columns / BLOCK]`.
pub(super) struct Bytes {
    quants: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
    /// The same in 16 bits, when a variant asks for it.
    wide: OnceLock<Vec<i16>>,
}

/// One token of [`Bytes`].
#[derive(Clone, Copy)]
struct Vector<'a> {
    quants: &'a [i8],
    scales: &'a [f32],
    sums: &'a [i32],
}

/// Whether this module handles `dtype`.
pub(super) fn handles(dtype: GgmlDType) -> bool {
    matches!(dtype, GgmlDType::Q8_0 | GgmlDType::Q4_0)
}

/// Products for an instruction set.
struct Variant {
    name: &'static str,
    runs_here: fn() -> bool,
    q8_0: Matmul,
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
        q4_0: avx2::matmul::<avx2::Q4_0, vnni::Whole<8>>,
    },
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "avx2+fma+vnni",
        runs_here: <vnni::Halves<128> as avx2::Panel>::runs_here,
        q8_0: avx2::matmul::<avx2::Q8_0, vnni::Halves<128>>,
        q4_0: avx2::matmul::<avx2::Q4_0, vnni::Halves<8>>,
    },
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "avx2+fma",
        runs_here: super::has_avx2,
        q8_0: avx2::matmul::<avx2::Q8_0, avx2::Pairs>,
        q4_0: avx2::matmul::<avx2::Q4_0, avx2::Nibbles>,
    },
    Variant {
        name: if cfg!(target_arch = "aarch64") { "neon" } else { "portable" },
        runs_here: || true,
        q8_0: |pool, weights, columns, x, out| by_definition(GgmlDType::Q8_0, pool, weights, columns, x, out),
        q4_0: |pool, weights, columns, x, out| by_definition(GgmlDType::Q4_0, pool, weights, columns, x, out),
    },
];

impl Variant {
    fn of(&self, dtype: GgmlDType) -> Matmul {
        if dtype == GgmlDType::Q8_0 { self.q8_0 } else { self.q4_0 }
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
        if dtype == GgmlDType::Q8_0 {
            quants.copy_from_slice(bytemuck::cast_slice(packed));
        } else {
            // The low nibbles are the first half of the block, the high ones the second.
            for (i, &pair) in packed.iter().enumerate() {
                quants[i] = (pair & 15) as i8 - 8;
                quants[i + BLOCK / 2] = (pair >> 4) as i8 - 8;
            }
        }
    }
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

impl Bytes {
    /// The largest of a block becomes 127.
    pub(super) fn new(pool: &Pool, x: &[f32]) -> Self {
        let blocks = x.len() / BLOCK;
        let (mut quants, mut scales, mut sums) = (vec![0; x.len()], vec![0.0; blocks], vec![0; blocks]);
        let per_block = scales.chunks_mut(PART / BLOCK).zip(sums.chunks_mut(PART / BLOCK));
        let parts = x.chunks(PART).zip(quants.chunks_mut(PART)).zip(per_block);
        pool.map(parts.collect(), |((x, quants), (scales, sums))| quantize(x, quants, scales, sums));
        Self { quants, scales, sums, wide: OnceLock::new() }
    }

    fn wide(&self) -> &[i16] {
        self.wide.get_or_init(|| self.quants.iter().map(|&quant| i16::from(quant)).collect())
    }

    fn vectors(&self, columns: usize) -> impl Iterator<Item = Vector<'_>> {
        let blocks = columns / BLOCK;
        let per_block = self.scales.chunks_exact(blocks).zip(self.sums.chunks_exact(blocks));
        let vectors = self.quants.chunks_exact(columns).zip(per_block);
        vectors.map(|(quants, (scales, sums))| Vector { quants, scales, sums })
    }
}

by_cpu! {
    fn quantize(x: &[f32], quants: &mut [i8], scales: &mut [f32], sums: &mut [i32]) = quantize_body
}

#[inline(always)]
fn quantize_body<const FMA: bool>(x: &[f32], quants: &mut [i8], scales: &mut [f32], sums: &mut [i32]) {
    let blocks = x.as_chunks::<BLOCK>().0.iter().zip(quants.as_chunks_mut::<BLOCK>().0);
    for (((x, quants), scale), sum) in blocks.zip(scales).zip(sums) {
        let mut lanes = [0f32; LANES];
        for x in x.as_chunks::<LANES>().0 {
            for (lane, x) in lanes.iter_mut().zip(x) {
                *lane = if x.abs() > *lane { x.abs() } else { *lane };
            }
        }
        let largest = lanes.into_iter().fold(0.0, f32::max);
        *scale = largest / 127.0;
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        for (quant, x) in quants.iter_mut().zip(x) {
            *quant = (x * inverse + TO_INTEGER).to_bits() as i8;
        }
        *sum = quants.iter().map(|&quant| i32::from(quant)).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        Pool::new(2).unwrap()
    }

    /// All that this processor can run.
    fn variants() -> impl Iterator<Item = &'static Variant> {
        VARIANTS.iter().filter(|variant| (variant.runs_here)())
    }

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
        for dtype in [GgmlDType::Q8_0, GgmlDType::Q4_0] {
            for (rows, columns) in [(1, 32), (7, 96), (16, 256), (33, 288), (50, 1024)] {
                let weights = encoded(dtype, &noise(rows * columns, 5));
                for tokens in [1, 2, 3, 4, 5, 7, 8, 13, 24] {
                    let x = noise(tokens * columns, 6);
                    let defined = defined(dtype, &weights, columns, &x);
                    for variant in variants() {
                        let mut out = vec![0.0; tokens * rows];
                        variant.of(dtype)(&pool(), &weights, columns, &Bytes::new(&pool(), &x), &mut out);
                        assert_eq!(out, defined, "{} {dtype:?} {rows} x {columns}, {tokens} tokens", variant.name);
                    }
                }
            }
        }
    }

    #[test]
    fn the_variant_without_fused_multiply_add_agrees() {
        let bytes = [1, 2].map(|seed| Bytes::new(&pool(), &noise(256, seed)));
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
                let x = Bytes::new(&pool(), &vec![value; tokens * columns]);
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
        for dtype in [GgmlDType::Q8_0, GgmlDType::Q4_0] {
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
