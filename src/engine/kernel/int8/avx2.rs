//! The variants for AVX2 with FMA and F16C.
//!
//! For few tokens eight rows are multiplied where they lie; their integers are added across registers. For many tokens 16
//! rows at a time are unpacked into a [`Panel`], where the same columns of all rows stand side by side, so that each sum
//! has a place in a register of its own and nothing is added across.

use super::super::{Tile, for_each_tile};
use super::{BLOCK, Bytes, Vector};
use crate::engine::pool::Pool;
use std::arch::x86_64::*;

/// Rows of a panel.
const ROWS: usize = 16;
/// Blocks of a panel: it takes a quarter of the first cache.
const BLOCKS: usize = 8;
/// Tokens of the register tile: with 16 rows, 8 registers of sums.
const TOKENS: usize = 4;
/// From this many tokens on unpacking pays.
const UNPACK_FROM: usize = 8;

/// A block format: an f16 scale, then 32 packed weights.
pub(super) trait Format {
    /// Of a block.
    const BYTES: usize;

    /// Unpacked weights of 16 rows.
    type Panel: Panel;

    /// How much more than the weights the bytes are.
    const EXCESS: i32;

    /// The bytes of a block. `packed` points after its scale, to `BYTES - 2` readable bytes.
    #[allow(unsafe_code)]
    unsafe fn weights(packed: *const u8) -> __m256i;

    /// The products of these bytes with activations, each two added up.
    #[allow(unsafe_code)]
    unsafe fn products(weights: __m256i, x: __m256i) -> __m256i;
}

/// 32 signed bytes.
pub(super) struct Q8_0;

impl Format for Q8_0 {
    const BYTES: usize = 2 + BLOCK;
    const EXCESS: i32 = 0;
    type Panel = Pairs;

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn weights(packed: *const u8) -> __m256i {
        // SAFETY: 32 bytes are readable, as the trait asks.
        unsafe { _mm256_loadu_si256(packed.cast()) }
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn products(weights: __m256i, x: __m256i) -> __m256i {
        // |w| · (x with the sign of w): the first factor is unsigned, as the instruction wants it, and with |x| <= 127 two
        // products fit into 16 bits.
        _mm256_maddubs_epi16(_mm256_sign_epi8(weights, weights), _mm256_sign_epi8(x, weights))
    }
}

/// 16 low nibbles, then the 16 high ones, each 8 too large.
pub(super) struct Q4_0;

impl Format for Q4_0 {
    const BYTES: usize = 2 + BLOCK / 2;
    const EXCESS: i32 = 8;
    type Panel = Quads;

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn weights(packed: *const u8) -> __m256i {
        // SAFETY: 16 bytes are readable, as the trait asks.
        let pairs = unsafe { _mm_loadu_si128(packed.cast()) };
        let nibbles = _mm256_set_m128i(_mm_srli_epi16::<4>(pairs), pairs);
        _mm256_and_si256(nibbles, _mm256_set1_epi8(15))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn products(weights: __m256i, x: __m256i) -> __m256i {
        _mm256_maddubs_epi16(weights, x)
    }
}

/// A block of eight rows: its weights `[__m256i; 8]`, and its scale in each row `__m256`. A macro, because it must be inlined and a
/// function with target features cannot insist.
macro_rules! block_of_8 {
    ($format:ty, $rows:expr, $block:expr) => {{
        let mut weights = [_mm256_setzero_si256(); 8];
        // Put together as integers, for which there are units that have nothing else to do.
        let mut scales = [0u64; 2];
        for i in 0..8 {
            let bytes = &$rows[i][$block * <$format>::BYTES..][..<$format>::BYTES];
            scales[i / 4] |= u64::from(u16::from_le_bytes([bytes[0], bytes[1]])) << (i % 4 * 16);
            // SAFETY: after the scale, the slice has the bytes that are read.
            #[allow(unsafe_code)]
            unsafe {
                weights[i] = <$format>::weights(bytes.as_ptr().add(2));
            }
        }
        let [low, high] = scales.map(u64::cast_signed);
        (weights, _mm256_cvtph_ps(_mm_set_epi64x(high, low)))
    }};
}

/// See [`super::matmul`]. The processor must have AVX2, FMA and F16C.
pub(super) fn matmul<F: Format>(pool: &Pool, weights: &[u8], columns: usize, x: &Bytes, out: &mut [f32]) {
    let row_bytes = columns / BLOCK * F::BYTES;
    let rows = weights.len() / row_bytes;
    let work = rows * x.quants.len();
    let vectors: Vec<Vector> = x.vectors(columns).collect();
    assert!(super::super::has_avx2() && columns.is_multiple_of(BLOCK));
    if vectors.len() >= UNPACK_FROM {
        let x = Tokens { quants: F::Panel::activations(x), scales: &x.scales, sums: &x.sums, columns };
        for_each_tile::<ROWS>(pool, rows, work, out, |tile| {
            let packed = tile.rows().map(|row| &weights[row * row_bytes..][..row_bytes]);
            // SAFETY: the processor has what it takes, as asserted.
            #[allow(unsafe_code)]
            unsafe {
                unpacked::<F>(packed, &x, tile);
            }
        });
        return;
    }
    for_each_tile::<8>(pool, rows, work, out, |tile| {
        let packed = tile.rows().map(|row| &weights[row * row_bytes..][..row_bytes]);
        for (pair, vectors) in vectors.chunks(2).enumerate() {
            // SAFETY: the processor has what it takes, as asserted.
            #[allow(unsafe_code)]
            unsafe {
                match *vectors {
                    [first, second] => {
                        let [sums, next] = in_place::<F, 2>(packed, [first, second]);
                        tile.put(2 * pair, sums);
                        tile.put(2 * pair + 1, next);
                    }
                    [only] => tile.put(2 * pair, in_place::<F, 1>(packed, [only])[0]),
                    _ => {}
                }
            }
        }
    });
}

/// Dot products of eight rows with each of `T` vectors. The eight rows after these are fetched from memory meanwhile: the
/// processor does not see them coming.
#[target_feature(enable = "avx2,fma,f16c")]
fn in_place<F: Format, const T: usize>(rows: [&[u8]; 8], vectors: [Vector; T]) -> [[f32; 8]; T] {
    let blocks = rows[0].len() / F::BYTES;
    assert!(rows.iter().all(|row| row.len() == blocks * F::BYTES));
    assert!(vectors.iter().all(|x| x.quants.len() == blocks * BLOCK && x.scales.len() == blocks));
    let mut sums = [_mm256_setzero_ps(); T];
    for block in 0..blocks {
        let mut x = [_mm256_setzero_si256(); T];
        for (x, vector) in x.iter_mut().zip(&vectors) {
            // SAFETY: as asserted, `quants` has 32 bytes for each block.
            #[allow(unsafe_code)]
            unsafe {
                *x = _mm256_loadu_si256(vector.quants.as_ptr().add(block * BLOCK).cast());
            }
        }
        // A hint about addresses, which nobody reads: they may be past the end.
        for row in rows {
            _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(8 * row.len() + block * F::BYTES).cast());
        }
        let (weights, row_scales) = block_of_8!(F, rows, block);
        for ((sum, x), vector) in sums.iter_mut().zip(x).zip(&vectors) {
            let products = weights.map(|weights| {
                // SAFETY: the features that it asks for are this function's too.
                #[allow(unsafe_code)]
                let pairs = unsafe { F::products(weights, x) };
                _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
            });
            let too_much = _mm256_set1_epi32(F::EXCESS * vector.sums[block]);
            let products = _mm256_sub_epi32(add_up_each(products), too_much);
            let scale = _mm256_mul_ps(row_scales, _mm256_set1_ps(vector.scales[block]));
            *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), scale, *sum);
        }
    }
    sums.map(|sum| floats(sum))
}

/// The sum of each of eight registers.
#[inline]
#[target_feature(enable = "avx2")]
fn add_up_each([a, b, c, d, e, f, g, h]: [__m256i; 8]) -> __m256i {
    // Each half of a register has a half of the sums of its four.
    let low = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let high = _mm256_hadd_epi32(_mm256_hadd_epi32(e, f), _mm256_hadd_epi32(g, h));
    _mm256_add_epi32(_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high))
}

/// Activations of many tokens, `[tokens, columns]`.
struct Tokens<'a, Q> {
    quants: &'a [Q],
    scales: &'a [f32],
    sums: &'a [i32],
    columns: usize,
}

/// Unpacked weights of 16 rows and up to 8 blocks. The unsafe functions need AVX2.
pub(super) trait Panel {
    /// How activations are stored.
    type Quant: Copy + Sync;

    fn activations(x: &Bytes) -> &[Self::Quant];

    fn new() -> Box<Self>;

    /// Takes a block of the first (`half` 0) or last eight rows.
    #[allow(unsafe_code)]
    unsafe fn fill(&mut self, block: usize, half: usize, weights: [__m256i; 8]);

    /// The integers of a block for `T` tokens, whose 32 quants these are, and the sums of these.
    #[allow(unsafe_code)]
    unsafe fn products<const T: usize>(
        &self,
        block: usize,
        quants: [&[Self::Quant; BLOCK]; T],
        sums: [i32; T],
    ) -> [[__m256i; 2]; T];
}

/// Products of 16 rows with all tokens.
#[target_feature(enable = "avx2,fma,f16c")]
fn unpacked<F: Format>(rows: [&[u8]; ROWS], x: &Tokens<<F::Panel as Panel>::Quant>, tile: &Tile<ROWS>) {
    let blocks = x.columns / BLOCK;
    let mut sums = vec![[0f32; ROWS]; x.quants.len() / x.columns];
    let mut panel = F::Panel::new();
    let mut scales = [[0f32; ROWS]; BLOCKS];
    for first in (0..blocks).step_by(BLOCKS) {
        let scales = &mut scales[..BLOCKS.min(blocks - first)];
        for (block, scales) in scales.iter_mut().enumerate() {
            unpack::<F>(rows, first + block, block, &mut *panel, scales);
        }
        let mut groups = sums.chunks_exact_mut(TOKENS);
        let mut token = 0;
        for group in groups.by_ref() {
            add::<F::Panel, TOKENS>(&panel, scales, x, token, first, group);
            token += TOKENS;
        }
        let rest = groups.into_remainder();
        match rest.len() {
            3 => add::<F::Panel, 3>(&panel, scales, x, token, first, rest),
            2 => add::<F::Panel, 2>(&panel, scales, x, token, first, rest),
            1 => add::<F::Panel, 1>(&panel, scales, x, token, first, rest),
            _ => {}
        }
    }
    for (token, sums) in sums.into_iter().enumerate() {
        tile.put(token, sums);
    }
}

/// Block `from` of each row, into block `to` of the panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<F: Format>(rows: [&[u8]; ROWS], from: usize, to: usize, panel: &mut F::Panel, scales: &mut [f32; ROWS]) {
    let (halves, _) = rows.as_chunks::<8>();
    for (half, rows) in halves.iter().enumerate() {
        let (weights, row_scales) = block_of_8!(F, rows, from);
        scales[half * 8..][..8].copy_from_slice(&floats(row_scales));
        // SAFETY: the features that it asks for are this function's too.
        #[allow(unsafe_code)]
        unsafe {
            panel.fill(to, half, weights);
        }
    }
}

/// Adds the products of the panel, whose blocks are those from `first` on, with `T` tokens from `token` on.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add<P: Panel, const T: usize>(
    panel: &P,
    panel_scales: &[[f32; ROWS]],
    x: &Tokens<P::Quant>,
    token: usize,
    first: usize,
    sums: &mut [[f32; ROWS]],
) {
    // Loops in place of `map`: what is not compiled for this function's features cannot be inlined into it.
    let (blocks, count) = (x.columns / BLOCK, panel_scales.len());
    let all = x.quants.as_chunks::<BLOCK>().0;
    let mut quants = [&all[..0]; T];
    let mut scales = [&x.scales[..0]; T];
    let mut block_sums = [&x.sums[..0]; T];
    for t in 0..T {
        let at = (token + t) * blocks + first;
        quants[t] = &all[at..][..count];
        scales[t] = &x.scales[at..][..count];
        block_sums[t] = &x.sums[at..][..count];
    }
    let sums: &mut [[f32; ROWS]; T] = sums.try_into().expect("one for each token");
    for (block, row_scales) in panel_scales.iter().enumerate() {
        let mut here = [&all[0]; T];
        let mut sums_here = [0; T];
        for t in 0..T {
            here[t] = &quants[t][block];
            sums_here[t] = block_sums[t][block];
        }
        // SAFETY: the features that it asks for are this function's too.
        #[allow(unsafe_code)]
        let products = unsafe { panel.products(block, here, sums_here) };
        for t in 0..T {
            let scale = _mm256_set1_ps(scales[t][block]);
            for half in 0..2 {
                let (sum, row_scales) = (&mut sums[t][half * 8..][..8], &row_scales[half * 8..][..8]);
                // SAFETY: both slices have the eight floats of a register.
                #[allow(unsafe_code)]
                unsafe {
                    let scale = _mm256_mul_ps(_mm256_loadu_ps(row_scales.as_ptr()), scale);
                    let product = _mm256_cvtepi32_ps(products[t][half]);
                    let total = _mm256_fmadd_ps(product, scale, _mm256_loadu_ps(sum.as_ptr()));
                    _mm256_storeu_ps(sum.as_mut_ptr(), total);
                }
            }
        }
    }
}

/// For each two columns the pairs of all rows: two products of 16 bits are added to 32 at once.
#[repr(align(64))]
pub(super) struct Pairs([[i16; 2 * ROWS]; BLOCKS * BLOCK / 2]);

impl Panel for Pairs {
    type Quant = i16;

    fn activations(x: &Bytes) -> &[i16] {
        x.wide()
    }

    fn new() -> Box<Self> {
        Box::new(Self([[0; 2 * ROWS]; BLOCKS * BLOCK / 2]))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2")]
    unsafe fn fill(&mut self, block: usize, half: usize, [a, b, c, d, e, f, g, h]: [__m256i; 8]) {
        let pairs = &mut self.0[block * BLOCK / 2..][..BLOCK / 2];
        // The pairs of two rows side by side, in the order of the columns within each half of a register; then those of
        // four, then of eight.
        for (start, [ab, cd, ef, gh]) in [
            (0, [(a, b), (c, d), (e, f), (g, h)].map(|(x, y)| _mm256_unpacklo_epi16(x, y))),
            (4, [(a, b), (c, d), (e, f), (g, h)].map(|(x, y)| _mm256_unpackhi_epi16(x, y))),
        ] {
            let four = [
                (_mm256_unpacklo_epi32(ab, cd), _mm256_unpacklo_epi32(ef, gh)),
                (_mm256_unpackhi_epi32(ab, cd), _mm256_unpackhi_epi32(ef, gh)),
            ];
            for (i, (first, last)) in four.into_iter().enumerate() {
                let eight = [_mm256_unpacklo_epi64(first, last), _mm256_unpackhi_epi64(first, last)];
                for (j, eight) in eight.into_iter().enumerate() {
                    let pair = start + 2 * i + j;
                    let (low, high) = (_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
                    store(&mut pairs[pair], half, _mm256_cvtepi8_epi16(low));
                    store(&mut pairs[pair + 8], half, _mm256_cvtepi8_epi16(high));
                }
            }
        }
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2")]
    unsafe fn products<const T: usize>(
        &self,
        block: usize,
        quants: [&[i16; BLOCK]; T],
        _: [i32; T],
    ) -> [[__m256i; 2]; T] {
        let mut products = [[_mm256_setzero_si256(); 2]; T];
        for (pair, weights) in self.0[block * BLOCK / 2..][..BLOCK / 2].iter().enumerate() {
            let weights = load_both(weights);
            for t in 0..T {
                let two = &quants[t].as_chunks::<2>().0[pair];
                let two = _mm256_set1_epi32(bytemuck::cast(*two));
                for half in 0..2 {
                    products[t][half] = _mm256_add_epi32(products[t][half], _mm256_madd_epi16(weights[half], two));
                }
            }
        }
        products
    }
}

/// For each four columns the quads of all rows, from 0 to 15: the products of a block fit into 16 bits together.
#[repr(align(64))]
pub(super) struct Quads([[u8; 4 * ROWS]; BLOCKS * BLOCK / 4]);

impl Panel for Quads {
    type Quant = i8;

    fn activations(x: &Bytes) -> &[i8] {
        &x.quants
    }

    fn new() -> Box<Self> {
        Box::new(Self([[0; 4 * ROWS]; BLOCKS * BLOCK / 4]))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2")]
    unsafe fn fill(&mut self, block: usize, half: usize, [a, b, c, d, e, f, g, h]: [__m256i; 8]) {
        let quads = &mut self.0[block * BLOCK / 4..][..BLOCK / 4];
        // As in `Pairs`, but only four rows fit into a half.
        let low = [(a, b), (c, d), (e, f), (g, h)].map(|(x, y)| _mm256_unpacklo_epi32(x, y));
        let high = [(a, b), (c, d), (e, f), (g, h)].map(|(x, y)| _mm256_unpackhi_epi32(x, y));
        for (start, [ab, cd, ef, gh]) in [(0, low), (2, high)] {
            let four = [
                (_mm256_unpacklo_epi64(ab, cd), _mm256_unpacklo_epi64(ef, gh)),
                (_mm256_unpackhi_epi64(ab, cd), _mm256_unpackhi_epi64(ef, gh)),
            ];
            for (i, (first, last)) in four.into_iter().enumerate() {
                store(&mut quads[start + i], half, _mm256_permute2x128_si256::<0x20>(first, last));
                store(&mut quads[start + i + 4], half, _mm256_permute2x128_si256::<0x31>(first, last));
            }
        }
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2")]
    unsafe fn products<const T: usize>(
        &self,
        block: usize,
        quants: [&[i8; BLOCK]; T],
        sums: [i32; T],
    ) -> [[__m256i; 2]; T] {
        let mut products = [[_mm256_setzero_si256(); 2]; T];
        for (quad, weights) in self.0[block * BLOCK / 4..][..BLOCK / 4].iter().enumerate() {
            let weights = load_both(weights);
            for t in 0..T {
                let four = &quants[t].as_chunks::<4>().0[quad];
                let four = _mm256_set1_epi32(bytemuck::cast(*four));
                for half in 0..2 {
                    products[t][half] = _mm256_add_epi16(products[t][half], _mm256_maddubs_epi16(weights[half], four));
                }
            }
        }
        for (products, sum) in products.iter_mut().zip(sums) {
            let too_much = _mm256_set1_epi32(Q4_0::EXCESS * sum);
            for product in products {
                *product = _mm256_sub_epi32(_mm256_madd_epi16(*product, _mm256_set1_epi16(1)), too_much);
            }
        }
        products
    }
}

/// Both registers of a line of a panel.
#[inline]
#[target_feature(enable = "avx2")]
fn load_both<T: bytemuck::Pod, const N: usize>(line: &[T; N]) -> [__m256i; 2] {
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
fn store<T: bytemuck::Pod, const N: usize>(line: &mut [T; N], half: usize, register: __m256i) {
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
fn floats(register: __m256) -> [f32; 8] {
    let mut floats = [0f32; 8];
    // SAFETY: `floats` has room for the eight of the register.
    #[allow(unsafe_code)]
    unsafe {
        _mm256_storeu_ps(floats.as_mut_ptr(), register);
    }
    floats
}
