//! Products with Q4_K, Q5_K and Q6_K weights, the formats of most GGUF files.
//!
//! A block of 256 weights has two floats `d` and `m`, and for each part of 16 an integer scale and an integer offset (in Q4_K
//! and Q5_K two parts share them): `weight = d · (scale · quant) - m · offset`. The activations are signed bytes with a scale
//! `s` per block. An element of a product is defined as the sum over the blocks, in their order and with one multiply-add
//! each, of `(Σ scale · quant · byte) · (d · s)` and `-(Σ offset · byte) · (m · s)`; what is in the sums are integers, which
//! are added exactly. All variants give the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;

use super::activations::{Activations, Vector};
use super::{by_cpu, for_each_tile, multiply_add};
use candle_core::quantized::GgmlDType;
use half::f16;

/// Weights that share the floats.
pub(super) const BLOCK: usize = 256;
/// Weights that share the integers.
pub(super) const PART: usize = 16;
const PARTS: usize = BLOCK / PART;

/// A block, unpacked.
struct Block {
    quants: [u8; BLOCK],
    scales: [i16; PARTS],
    offsets: [i16; PARTS],
    d: f32,
    m: f32,
}

/// Whether this module handles `dtype`.
pub(super) fn handles(dtype: GgmlDType) -> bool {
    matches!(dtype, GgmlDType::Q4K | GgmlDType::Q5K | GgmlDType::Q6K)
}

/// `out[t, r] = Σ_c x[t, c] · weights[r, c]`; see [`super::quantized::matmul`].
pub(super) fn matmul(dtype: GgmlDType, weights: &[u8], columns: usize, x: &Activations, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2() {
        return match dtype {
            GgmlDType::Q4K => avx2::matmul::<avx2::Q4K>(weights, columns, x, out),
            GgmlDType::Q5K => avx2::matmul::<avx2::Q5K>(weights, columns, x, out),
            _ => avx2::matmul::<avx2::Q6K>(weights, columns, x, out),
        };
    }
    let row_bytes = columns / BLOCK * dtype.type_size();
    let rows = weights.len() / row_bytes;
    for_each_tile::<1>(x.pool, rows, rows * x.values.len(), out, |tile| {
        let [row] = tile.rows();
        let row = unpack_row(dtype, &weights[row * row_bytes..][..row_bytes]);
        for (token, x) in x.k_bytes().vectors(columns).enumerate() {
            tile.put(token, [dot(&row, x)]);
        }
    });
}

/// The dot products of `x` with some `rows`; equal to those elements of [`matmul`].
pub(super) fn dot_rows(dtype: GgmlDType, weights: &[u8], columns: usize, x: &Activations, rows: &[u32]) -> Vec<f32> {
    let row_bytes = columns / BLOCK * dtype.type_size();
    let x = x.k_bytes().vectors(columns).next().expect("one vector");
    let row = |&row: &u32| unpack_row(dtype, &weights[row as usize * row_bytes..][..row_bytes]);
    rows.iter().map(|index| dot(&row(index), x)).collect()
}

fn unpack_row(dtype: GgmlDType, row: &[u8]) -> Vec<Block> {
    let unpack = match dtype {
        GgmlDType::Q4K => unpack_q4_k,
        GgmlDType::Q5K => unpack_q5_k,
        _ => unpack_q6_k,
    };
    row.chunks_exact(dtype.type_size()).map(unpack).collect()
}

/// `d`, `m`, 12 bytes of integers, then nibbles: of each 32 bytes the low ones, then the high ones.
fn unpack_q4_k(block: &[u8]) -> Block {
    let (scales, offsets) = integers(block);
    let mut quants = [0; BLOCK];
    for (quants, packed) in quants.chunks_exact_mut(64).zip(block[16..].chunks_exact(32)) {
        for (i, byte) in packed.iter().enumerate() {
            quants[i] = byte & 15;
            quants[i + 32] = byte >> 4;
        }
    }
    Block { quants, scales, offsets, d: float(&block[..2]), m: float(&block[2..4]) }
}

/// As [`unpack_q4_k`], with a fifth bit for each weight before the nibbles: bit `i` of each of 32 bytes for the `i`-th 32.
fn unpack_q5_k(block: &[u8]) -> Block {
    let (fifth, nibbles) = block[16..].split_at(BLOCK / 8);
    let mut unpacked = unpack_q4_k(&[&block[..16], nibbles].concat());
    for (i, quant) in unpacked.quants.iter_mut().enumerate() {
        *quant |= (fifth[i % 32] >> (i / 32) & 1) << 4;
    }
    unpacked
}

/// For each half of the block 64 bytes of low and high nibbles; then for each half 32 bytes with the two bits above of four
/// weights each; a scale for each part; `d`. The quants are 32 too large, which is the offset.
fn unpack_q6_k(block: &[u8]) -> Block {
    let (nibbles, rest) = block.split_at(BLOCK / 2);
    let (bits, rest) = rest.split_at(BLOCK / 4);
    let mut quants = [0; BLOCK];
    for (i, quant) in quants.iter_mut().enumerate() {
        let (half, quarter, at) = (i / 128, i % 128 / 32, i % 32);
        let nibble = nibbles[half * 64 + quarter % 2 * 32 + at] >> (quarter / 2 * 4) & 15;
        *quant = nibble | (bits[half * 32 + at] >> (quarter * 2) & 3) << 4;
    }
    let scales = std::array::from_fn(|part| i16::from(rest[part].cast_signed()));
    let d = float(&rest[PARTS..]);
    Block { quants, scales, offsets: scales.map(|scale| 32 * scale), d, m: d }
}

/// Scales and offsets of Q4_K and Q5_K, six bits each: of the first four of eight in bytes of their own, of the last four as a
/// nibble and two bits above the first four.
fn integers(block: &[u8]) -> ([i16; PARTS], [i16; PARTS]) {
    let packed = &block[4..16];
    let scale = |i: usize| if i < 4 { packed[i] & 63 } else { packed[i + 4] & 15 | packed[i - 4] >> 6 << 4 };
    let offset = |i: usize| if i < 4 { packed[i + 4] & 63 } else { packed[i + 4] >> 4 | packed[i] >> 6 << 4 };
    (std::array::from_fn(|part| i16::from(scale(part / 2))), std::array::from_fn(|part| i16::from(offset(part / 2))))
}

fn float(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

by_cpu! {
    /// The definition of an element of a product.
    fn dot(row: &[Block], x: Vector) -> f32 = dot_body
}

#[inline(always)]
fn dot_body<const FMA: bool>(row: &[Block], x: Vector) -> f32 {
    let x = x.quants.as_chunks::<BLOCK>().0.iter().zip(x.sums.as_chunks::<PARTS>().0).zip(x.scales);
    row.iter().zip(x).fold(0.0, |sum, (block, ((quants, sums), scale))| {
        let (mut scaled, mut offset) = (0, 0);
        let parts = block.quants.as_chunks::<PART>().0.iter().zip(quants.as_chunks::<PART>().0);
        let integers = block.scales.iter().zip(block.offsets).zip(sums);
        for ((weights, x), ((&part_scale, part_offset), &sum)) in parts.zip(integers) {
            let products: i32 = weights.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
            scaled += i32::from(part_scale) * products;
            offset += i32::from(part_offset) * i32::from(sum);
        }
        let sum = multiply_add::<FMA>(scaled as f32, block.d * scale, sum);
        multiply_add::<FMA>(-(offset as f32), block.m * scale, sum)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kernel::quantized;
    use crate::engine::kernel::testing::{encoded, noise, pool};

    const FORMATS: [GgmlDType; 3] = [GgmlDType::Q4K, GgmlDType::Q5K, GgmlDType::Q6K];

    /// Any bytes, but floats that are small numbers.
    fn arbitrary(dtype: GgmlDType, blocks: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            noise(blocks * dtype.type_size(), 9).iter().map(|x| ((x + 1.0) * 128.0) as u8).collect();
        for block in bytes.chunks_exact_mut(dtype.type_size()) {
            let floats = if dtype == GgmlDType::Q6K { vec![208] } else { vec![0, 2] };
            for at in floats {
                let float = f16::from_f32(0.01 + f32::from(block[at]) / 999.0);
                block[at..at + 2].copy_from_slice(&float.to_le_bytes());
            }
        }
        bytes
    }

    fn products(dtype: GgmlDType, weights: &[u8], columns: usize, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let rows = weights.len() / (columns / BLOCK * dtype.type_size());
        let all: Vec<u32> = (0..rows as u32).collect();
        let mut out = vec![0.0; x.len() / columns * rows];
        matmul(dtype, weights, columns, &Activations::new(&pool(), x), &mut out);
        let of_token = |x| dot_rows(dtype, weights, columns, &Activations::new(&pool(), x), &all);
        (out, x.chunks_exact(columns).flat_map(of_token).collect())
    }

    #[test]
    fn any_number_of_rows_columns_and_tokens_gives_the_defined_bits() {
        for dtype in FORMATS {
            for (rows, columns) in [(1, 256), (7, 512), (16, 256), (33, 768)] {
                let weights = arbitrary(dtype, rows * columns / BLOCK);
                for tokens in [1, 2, 3, 4, 7, 8, 13, 15] {
                    let (found, defined) = products(dtype, &weights, columns, &noise(tokens * columns, 6));
                    assert_eq!(found, defined, "{dtype:?} {rows} x {columns}, {tokens} tokens");
                }
            }
        }
    }

    #[test]
    fn extreme_bytes_do_not_overflow() {
        for (dtype, floats) in [(GgmlDType::Q4K, 0..4), (GgmlDType::Q5K, 0..4), (GgmlDType::Q6K, 208..210)] {
            for scale in [0xff, 0x7f, 0x80] {
                let mut block = vec![0xff; dtype.type_size()];
                if dtype == GgmlDType::Q6K {
                    block[192..208].fill(scale);
                }
                for float in block[floats.clone()].chunks_exact_mut(2) {
                    float.copy_from_slice(&f16::ONE.to_le_bytes());
                }
                for value in [-127.0, 127.0] {
                    for tokens in [1, 9] {
                        let (found, defined) = products(dtype, &block.repeat(8), BLOCK, &vec![value; tokens * BLOCK]);
                        assert_eq!(found, defined);
                        let mut wide = vec![0.0; BLOCK];
                        quantized::decode(dtype, &block, &mut wide);
                        let exact: f64 = wide.iter().map(|w| f64::from(w * value)).sum();
                        assert!((f64::from(found[0]) / exact - 1.0).abs() < 1e-6, "{dtype:?}: {} {exact}", found[0]);
                    }
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_the_decoded_weights() {
        for dtype in FORMATS {
            let (rows, columns) = (7, 512);
            let weights = encoded(dtype, &noise(rows * columns, 5));
            let x = noise(columns, 6);
            let (found, _) = products(dtype, &weights, columns, &x);
            let mut wide = vec![0.0; columns];
            for (row, found) in weights.chunks_exact(weights.len() / rows).zip(found) {
                quantized::decode(dtype, row, &mut wide);
                let exact: f32 = wide.iter().zip(&x).map(|(w, x)| w * x).sum();
                // Each activation is off by at most half a step of 1/127.
                let allowed = wide.iter().map(|w| w.abs()).sum::<f32>() / 254.0;
                assert!((found - exact).abs() <= allowed, "{dtype:?}: {found} {exact}");
            }
        }
    }

    #[test]
    fn the_variant_without_fused_multiply_add_agrees() {
        let weights = unpack_row(GgmlDType::Q4K, &encoded(GgmlDType::Q4K, &noise(512, 1)));
        let values = noise(512, 2);
        let pool = pool();
        let x = Activations::new(&pool, &values);
        let [fused, plain] =
            [dot_body::<true>, dot_body::<false>].map(|dot| dot(&weights, x.k_bytes().vectors(512).next().unwrap()));
        assert!((fused - plain).abs() < 1e-3);
    }
}
