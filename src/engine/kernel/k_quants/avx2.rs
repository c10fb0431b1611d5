//! The variants for AVX2 with FMA and F16C: eight rows in place for few tokens, 16 unpacked rows for many, as in
//! [`int8`](super::super::int8). A part's products are added up in 16 bits and multiplied with its scale while they are added
//! up further, so that nothing is a float before the end of a block.

#![allow(clippy::needless_range_loop, reason = "several arrays of registers go by the same index")]

use super::super::activations::{Activations, Vector};
use super::super::avx2::{self, add_up_each, floats, load_both};
use super::super::int8::avx2::Quads;
use super::super::{Tile, for_each_tile};
use super::{BLOCK, PART, PARTS};
use std::arch::x86_64::*;

/// Rows of a panel.
const ROWS: usize = 16;
/// Tokens of the register tile.
const TOKENS: usize = 4;
/// From this many tokens on unpacking pays.
const UNPACK_FROM: usize = 8;
/// Weights of a register.
const LINE: usize = 32;

/// A block format. The unsafe functions need AVX2, and `BYTES` readable bytes at `block`.
pub(super) trait Format {
    /// Of a block.
    const BYTES: usize;

    /// Where its floats are.
    const D: usize;
    const M: usize;

    /// So many quads of columns can be added up in 16 bits.
    const QUADS: usize;

    /// The quants of columns `32 · line` to `32 · line + 31`.
    #[allow(unsafe_code)]
    unsafe fn quants(block: *const u8, line: usize) -> __m256i;

    /// The scales of the even parts, then those of the odd ones.
    #[allow(unsafe_code)]
    unsafe fn scales(block: *const u8) -> __m256i;

    /// The offsets of all parts.
    #[allow(unsafe_code)]
    unsafe fn offsets(block: *const u8) -> __m256i;
}

/// The eight scales and the eight offsets of Q4_K and Q5_K, in 16 bits each.
#[inline]
#[target_feature(enable = "avx2")]
fn integers(packed: [u32; 3]) -> [__m128i; 2] {
    let [first, second, third] = packed;
    let low = |word: u32| word & 0x3f3f_3f3f;
    let high = |nibbles: u32, above: u32| nibbles & 0x0f0f_0f0f | (above >> 2) & 0x3030_3030;
    let eight = |low: u32, high: u32| {
        _mm_cvtepu8_epi16(_mm_cvtsi64_si128((u64::from(high) << 32 | u64::from(low)).cast_signed()))
    };
    [eight(low(first), high(third, first)), eight(low(second), high(third >> 4, second))]
}

pub(super) struct Q4K;

impl Format for Q4K {
    const BYTES: usize = 4 + 12 + BLOCK / 2;
    const D: usize = 0;
    const M: usize = 2;
    const QUADS: usize = 8;

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn quants(block: *const u8, line: usize) -> __m256i {
        // SAFETY: within the block, as the trait asks.
        let pairs = unsafe { _mm256_loadu_si256(block.add(16 + line / 2 * LINE).cast()) };
        let nibbles = if line.is_multiple_of(2) { pairs } else { _mm256_srli_epi16::<4>(pairs) };
        _mm256_and_si256(nibbles, _mm256_set1_epi8(15))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scales(block: *const u8) -> __m256i {
        // SAFETY: within the block, as the trait asks.
        let [scales, _] = integers(unsafe { block.add(4).cast::<[u32; 3]>().read_unaligned() });
        _mm256_set_m128i(scales, scales)
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn offsets(block: *const u8) -> __m256i {
        // SAFETY: within the block, as the trait asks.
        let [_, offsets] = integers(unsafe { block.add(4).cast::<[u32; 3]>().read_unaligned() });
        _mm256_set_m128i(_mm_unpackhi_epi16(offsets, offsets), _mm_unpacklo_epi16(offsets, offsets))
    }
}

pub(super) struct Q5K;

impl Format for Q5K {
    const BYTES: usize = 4 + 12 + BLOCK / 8 + BLOCK / 2;
    const D: usize = 0;
    const M: usize = 2;
    const QUADS: usize = 4;

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn quants(block: *const u8, line: usize) -> __m256i {
        // SAFETY: within the block, as the trait asks; the nibbles lie as in Q4_K, but behind the bits.
        let (bits, nibbles) =
            unsafe { (_mm256_loadu_si256(block.add(16).cast()), Q4K::quants(block.add(BLOCK / 8), line)) };
        let own = _mm256_set1_epi8((1u8 << line).cast_signed());
        let set = _mm256_cmpeq_epi8(_mm256_and_si256(bits, own), own);
        _mm256_or_si256(nibbles, _mm256_and_si256(set, _mm256_set1_epi8(16)))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scales(block: *const u8) -> __m256i {
        // SAFETY: the block begins as one of Q4_K does.
        unsafe { Q4K::scales(block) }
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn offsets(block: *const u8) -> __m256i {
        // SAFETY: the block begins as one of Q4_K does.
        unsafe { Q4K::offsets(block) }
    }
}

pub(super) struct Q6K;

/// Where the scales of Q6_K are.
const Q6K_SCALES: usize = BLOCK / 2 + BLOCK / 4;

impl Format for Q6K {
    const BYTES: usize = Q6K_SCALES + PARTS + 2;
    const D: usize = Q6K_SCALES + PARTS;
    const M: usize = Self::D;
    const QUADS: usize = 2;

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn quants(block: *const u8, line: usize) -> __m256i {
        let (half, quarter) = (line / 4, line % 4);
        // SAFETY: within the block, as the trait asks.
        let (pairs, bits) = unsafe {
            (
                _mm256_loadu_si256(block.add(half * 64 + quarter % 2 * LINE).cast()),
                _mm256_loadu_si256(block.add(BLOCK / 2 + half * LINE).cast()),
            )
        };
        let nibbles = if quarter < 2 { pairs } else { _mm256_srli_epi16::<4>(pairs) };
        let bits = match quarter {
            0 => _mm256_slli_epi16::<4>(bits),
            1 => _mm256_slli_epi16::<2>(bits),
            2 => bits,
            _ => _mm256_srli_epi16::<2>(bits),
        };
        _mm256_or_si256(_mm256_and_si256(nibbles, _mm256_set1_epi8(15)), _mm256_and_si256(bits, _mm256_set1_epi8(0x30)))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn scales(block: *const u8) -> __m256i {
        // SAFETY: within the block, as the trait asks.
        let scales = unsafe { _mm_loadu_si128(block.add(Q6K_SCALES).cast()) };
        let even_then_odd = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
        _mm256_cvtepi8_epi16(_mm_shuffle_epi8(scales, even_then_odd))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn offsets(block: *const u8) -> __m256i {
        // SAFETY: within the block, as the trait asks.
        let scales = unsafe { _mm_loadu_si128(block.add(Q6K_SCALES).cast()) };
        _mm256_slli_epi16::<5>(_mm256_cvtepi8_epi16(scales))
    }
}

/// See [`super::matmul`]. The processor must have AVX2, FMA and F16C.
pub(super) fn matmul<F: Format>(weights: &[u8], columns: usize, x: &Activations, out: &mut [f32]) {
    let row_bytes = columns / BLOCK * F::BYTES;
    let rows = weights.len() / row_bytes;
    let work = rows * x.values.len();
    let vectors: Vec<Vector> = x.k_bytes().vectors(columns).collect();
    assert!(super::super::has_avx2() && columns.is_multiple_of(BLOCK));
    if vectors.len() >= UNPACK_FROM {
        for_each_tile::<ROWS>(x.pool, rows, work, out, |tile| {
            let packed = tile.rows().map(|row| &weights[row * row_bytes..][..row_bytes]);
            // SAFETY: the processor has what it takes, as asserted.
            #[allow(unsafe_code)]
            unsafe {
                unpacked::<F>(packed, &vectors, tile);
            }
        });
        return;
    }
    // SAFETY: the processor has what it takes, as asserted.
    #[allow(unsafe_code)]
    avx2::in_place(
        x.pool,
        weights,
        row_bytes,
        &vectors,
        out,
        |rows, vectors| unsafe { in_place::<F, 1>(rows, vectors) },
        |rows, vectors| unsafe { in_place::<F, 2>(rows, vectors) },
    );
}

/// The float at `at` of block `block` of each of eight rows.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn floats_of_8(rows: [&[u8]; 8], at: usize) -> __m256 {
    // Put together as integers, for which there are units that have nothing else to do.
    let mut halves = [0u64; 2];
    for (i, row) in rows.iter().enumerate() {
        halves[i / 4] |= u64::from(u16::from_le_bytes([row[at], row[at + 1]])) << (i % 4 * 16);
    }
    let [low, high] = halves.map(u64::cast_signed);
    _mm256_cvtph_ps(_mm_set_epi64x(high, low))
}

/// Dot products of eight rows with each of `T` vectors. The eight rows after these are fetched from memory meanwhile.
#[target_feature(enable = "avx2,fma,f16c")]
fn in_place<F: Format, const T: usize>(rows: [&[u8]; 8], vectors: [Vector; T]) -> [[f32; 8]; T] {
    let blocks = rows[0].len() / F::BYTES;
    assert!(rows.iter().all(|row| row.len() == blocks * F::BYTES));
    let mut sums = [_mm256_setzero_ps(); T];
    for block in 0..blocks {
        let mut x = [&[[0; LINE]; BLOCK / LINE]; T];
        let mut x_sums = [_mm256_setzero_si256(); T];
        for t in 0..T {
            x[t] = vectors[t].quants[block * BLOCK..][..BLOCK].as_chunks().0.try_into().expect("256 are 8 times 32");
            x_sums[t] = load_sums(&vectors[t].sums[block * PARTS..][..PARTS]);
        }
        let here = rows.map(|row| &row[block * F::BYTES..][..F::BYTES]);
        let mut scaled = [[_mm256_setzero_si256(); 8]; T];
        let mut offsets = [[_mm256_setzero_si256(); 8]; T];
        for r in 0..8 {
            let row = here[r].as_ptr();
            // A hint about addresses, which nobody reads: they may be past the end.
            for line in 0..F::BYTES.div_ceil(64) {
                _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(8 * rows[r].len() + 64 * line).cast());
            }
            // SAFETY: `here` has the bytes of a block; the features are this function's.
            #[allow(unsafe_code)]
            let (scales, row_offsets) = unsafe { (F::scales(row), F::offsets(row)) };
            let mut own = [_mm256_setzero_si256(); T];
            for line in 0..BLOCK / LINE {
                // SAFETY: the same.
                #[allow(unsafe_code)]
                let quants = unsafe { F::quants(row, line) };
                let scale = _mm256_shuffle_epi8(scales, _mm256_set1_epi16(0x0100 + 0x0202 * line as i16));
                for t in 0..T {
                    let products = _mm256_maddubs_epi16(quants, load_line(&x[t][line]));
                    own[t] = _mm256_add_epi32(own[t], _mm256_madd_epi16(products, scale));
                }
            }
            for t in 0..T {
                scaled[t][r] = own[t];
                offsets[t][r] = _mm256_madd_epi16(row_offsets, x_sums[t]);
            }
        }
        let (d, m) = (floats_of_8(here, F::D), floats_of_8(here, F::M));
        for t in 0..T {
            let scale = _mm256_set1_ps(vectors[t].scales[block]);
            sums[t] = add_block(sums[t], add_up_each(scaled[t]), add_up_each(offsets[t]), d, m, scale);
        }
    }
    let mut out = [[0f32; 8]; T];
    for t in 0..T {
        out[t] = floats(sums[t]);
    }
    out
}

/// Adds a block to the sums of eight rows.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_block(sum: __m256, scaled: __m256i, offset: __m256i, d: __m256, m: __m256, scale: __m256) -> __m256 {
    let sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(scaled), _mm256_mul_ps(d, scale), sum);
    _mm256_fnmadd_ps(_mm256_cvtepi32_ps(offset), _mm256_mul_ps(m, scale), sum)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_line(line: &[i8; LINE]) -> __m256i {
    // SAFETY: a line is as long as a register.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_loadu_si256(line.as_ptr().cast())
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_sums(sums: &[i16]) -> __m256i {
    let sums: &[i16; PARTS] = sums.try_into().expect("one for each part");
    // SAFETY: 16 integers of 16 bits are a register.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_loadu_si256(sums.as_ptr().cast())
    }
}

/// A block of 16 rows, unpacked: the same columns of all rows side by side.
struct Panel {
    quants: Quads<0>,
    /// For each part the scales of all rows, each twice.
    scales: [[i16; 2 * ROWS]; PARTS],
    /// For each two parts the offsets of all rows.
    offsets: [[i16; 2 * ROWS]; PARTS / 2],
    d: [f32; ROWS],
    m: [f32; ROWS],
}

/// Products of 16 rows with all tokens.
#[target_feature(enable = "avx2,fma,f16c")]
fn unpacked<F: Format>(rows: [&[u8]; ROWS], vectors: &[Vector], tile: &Tile<ROWS>) {
    let mut sums = vec![[0f32; ROWS]; vectors.len()];
    let mut panel = Panel {
        quants: Quads::empty(),
        scales: [[0; 2 * ROWS]; PARTS],
        offsets: [[0; 2 * ROWS]; PARTS / 2],
        d: [0.0; ROWS],
        m: [0.0; ROWS],
    };
    for block in 0..rows[0].len() / F::BYTES {
        unpack::<F>(rows.map(|row| &row[block * F::BYTES..][..F::BYTES]), &mut panel);
        let (fours, rest) = vectors.as_chunks::<TOKENS>();
        let (sums_of_fours, sums_of_rest) = sums.as_chunks_mut::<TOKENS>();
        for (x, sums) in fours.iter().zip(sums_of_fours) {
            add::<F, TOKENS>(&panel, x, block, sums);
        }
        for (x, sums) in rest.iter().zip(sums_of_rest) {
            add::<F, 1>(&panel, std::array::from_ref(x), block, std::array::from_mut(sums));
        }
    }
    for (token, sums) in sums.into_iter().enumerate() {
        tile.put(token, sums);
    }
}

/// A block of each row.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<F: Format>(rows: [&[u8]; ROWS], panel: &mut Panel) {
    for (half, rows) in rows.as_chunks::<8>().0.iter().enumerate() {
        for line in 0..BLOCK / LINE {
            let mut quants = [_mm256_setzero_si256(); 8];
            for r in 0..8 {
                // SAFETY: each has the bytes of a block; the features are this function's.
                #[allow(unsafe_code)]
                unsafe {
                    quants[r] = F::quants(rows[r].as_ptr(), line);
                }
            }
            panel.quants.fill(line, half, quants);
        }
        for r in 0..8 {
            // SAFETY: the same.
            #[allow(unsafe_code)]
            let (scales, offsets) = unsafe { (F::scales(rows[r].as_ptr()), F::offsets(rows[r].as_ptr())) };
            let (scales, offsets) = (integers_of(scales), integers_of(offsets));
            let row = 8 * half + r;
            for part in 0..PARTS {
                panel.scales[part][2 * row..][..2].fill(scales[part % 2 * PARTS / 2 + part / 2]);
                panel.offsets[part / 2][2 * row + part % 2] = offsets[part];
            }
        }
        panel.d[8 * half..][..8].copy_from_slice(&floats(floats_of_8(*rows, F::D)));
        panel.m[8 * half..][..8].copy_from_slice(&floats(floats_of_8(*rows, F::M)));
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn integers_of(register: __m256i) -> [i16; PARTS] {
    let mut integers = [0; PARTS];
    // SAFETY: 16 integers of 16 bits are a register.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_storeu_si256(integers.as_mut_ptr().cast(), register);
    }
    integers
}

/// Adds the products of the panel with block `block` of `T` tokens.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add<F: Format, const T: usize>(panel: &Panel, x: &[Vector; T], block: usize, sums: &mut [[f32; ROWS]; T]) {
    let mut quads = [&[[0; 4]; BLOCK / 4]; T];
    let mut x_sums = [&[[0; 2]; PARTS / 2]; T];
    for t in 0..T {
        quads[t] = x[t].quants[block * BLOCK..][..BLOCK].as_chunks().0.try_into().expect("256 are 64 times 4");
        x_sums[t] = x[t].sums[block * PARTS..][..PARTS].as_chunks().0.try_into().expect("16 are 8 times 2");
    }
    let mut scaled = [[_mm256_setzero_si256(); 2]; T];
    for group in 0..BLOCK / 4 / F::QUADS {
        let mut products = [[_mm256_setzero_si256(); 2]; T];
        for quad in group * F::QUADS..(group + 1) * F::QUADS {
            let weights = load_both(panel.quants.quad(quad));
            for t in 0..T {
                let four = _mm256_set1_epi32(bytemuck::cast(quads[t][quad]));
                for half in 0..2 {
                    products[t][half] = _mm256_add_epi16(products[t][half], _mm256_maddubs_epi16(weights[half], four));
                }
            }
        }
        let scales = load_both(&panel.scales[group * F::QUADS * 4 / PART]);
        for t in 0..T {
            for half in 0..2 {
                let more = _mm256_madd_epi16(products[t][half], scales[half]);
                scaled[t][half] = _mm256_add_epi32(scaled[t][half], more);
            }
        }
    }
    let mut offset = [[_mm256_setzero_si256(); 2]; T];
    for (pair, offsets) in panel.offsets.iter().enumerate() {
        let offsets = load_both(offsets);
        for t in 0..T {
            let two = _mm256_set1_epi32(bytemuck::cast(x_sums[t][pair]));
            for half in 0..2 {
                offset[t][half] = _mm256_add_epi32(offset[t][half], _mm256_madd_epi16(offsets[half], two));
            }
        }
    }
    for half in 0..2 {
        let (d, m) = (&panel.d[8 * half..][..8], &panel.m[8 * half..][..8]);
        for t in 0..T {
            let scale = _mm256_set1_ps(x[t].scales[block]);
            let sum = &mut sums[t][8 * half..][..8];
            // SAFETY: all of them have the eight floats of a register.
            #[allow(unsafe_code)]
            unsafe {
                let [d, m, before] =
                    [_mm256_loadu_ps(d.as_ptr()), _mm256_loadu_ps(m.as_ptr()), _mm256_loadu_ps(sum.as_ptr())];
                let after = add_block(before, scaled[t][half], offset[t][half], d, m, scale);
                _mm256_storeu_ps(sum.as_mut_ptr(), after);
            }
        }
    }
}
