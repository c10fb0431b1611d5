//! The variants for AVX2 with FMA and F16C, and what those for later instruction sets share with them.
//!
//! For few tokens eight rows are multiplied where they lie; their integers are added across registers. For many tokens 16
//! rows at a time are unpacked into a [`Panel`], where the same columns of all rows stand side by side, so that each sum
//! has a place in a register of its own and nothing is added across.

#![allow(clippy::needless_range_loop, reason = "several arrays of registers go by the same index")]

use super::super::activations::{Bytes, Vector};
use super::super::avx2::{self, add_up_each, floats, load_both, store};
use super::super::{Tile, for_each_tile};
use super::BLOCK;
use crate::engine::pool::Pool;
use std::arch::x86_64::*;

/// Rows of a panel.
pub(super) const ROWS: usize = 16;
/// Blocks of a panel: it takes a quarter of the first cache.
pub(super) const BLOCKS: usize = 8;
/// From this many tokens on unpacking pays.
const UNPACK_FROM: usize = 8;

/// A block format: an f16 scale, then 32 packed weights.
pub(super) trait Format {
    /// Of a block.
    const BYTES: usize;

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

/// A bit for each weight, then nibbles as in [`Q4_0`]: together 16 too large.
pub(super) struct Q5_0;

impl Format for Q5_0 {
    const BYTES: usize = 2 + BLOCK / 8 + BLOCK / 2;
    const EXCESS: i32 = 0;

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn weights(packed: *const u8) -> __m256i {
        // SAFETY: 20 bytes are readable, as the trait asks.
        let (bits, nibbles) = unsafe { (packed.cast::<i32>().read_unaligned(), Q4_0::weights(packed.add(BLOCK / 8))) };
        // Each byte gets the byte that has its bit.
        let spread = _mm256_setr_epi64x(0, 0x0101_0101_0101_0101, 0x0202_0202_0202_0202, 0x0303_0303_0303_0303);
        let bits = _mm256_shuffle_epi8(_mm256_set1_epi32(bits), spread);
        let own = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64.cast_signed());
        let unset = _mm256_cmpeq_epi8(_mm256_and_si256(bits, own), _mm256_setzero_si256());
        // What has the bit is its nibble, what has not is 16 less.
        _mm256_or_si256(nibbles, _mm256_and_si256(unset, _mm256_set1_epi8(-16)))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn products(weights: __m256i, x: __m256i) -> __m256i {
        // SAFETY: the features that it asks for are this function's too.
        unsafe { Q8_0::products(weights, x) }
    }
}

/// 16 low nibbles, then the 16 high ones, each 8 too large.
pub(super) struct Q4_0;

impl Format for Q4_0 {
    const BYTES: usize = 2 + BLOCK / 2;
    const EXCESS: i32 = 8;

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

/// See [`super::matmul`]. The processor must have AVX2, FMA, F16C and what `P` needs.
pub(super) fn matmul<F: Format, P: Panel>(pool: &Pool, weights: &[u8], columns: usize, x: &Bytes, out: &mut [f32]) {
    let row_bytes = columns / BLOCK * F::BYTES;
    let rows = weights.len() / row_bytes;
    let work = rows * x.quants.len();
    let vectors: Vec<Vector> = x.vectors(columns).collect();
    assert!(super::super::has_avx2() && P::runs_here() && columns.is_multiple_of(BLOCK));
    if vectors.len() >= UNPACK_FROM {
        let x = Tokens { quants: P::activations(x), scales: &x.scales, sums: &x.sums, columns };
        for_each_tile::<ROWS>(pool, rows, work, out, |tile| {
            let packed = tile.rows().map(|row| &weights[row * row_bytes..][..row_bytes]);
            // SAFETY: the processor has what it takes, as asserted.
            #[allow(unsafe_code)]
            unsafe {
                unpacked::<F, P>(packed, &x, tile);
            }
        });
        return;
    }
    // SAFETY: the processor has what it takes, as asserted.
    #[allow(unsafe_code)]
    avx2::in_place(
        pool,
        weights,
        row_bytes,
        &vectors,
        out,
        |rows, vectors| unsafe { in_place::<F, 1>(rows, vectors) },
        |rows, vectors| unsafe { in_place::<F, 2>(rows, vectors) },
    );
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
            let too_much = _mm256_set1_epi32(F::EXCESS * i32::from(vector.sums[block]));
            let products = _mm256_sub_epi32(add_up_each(products), too_much);
            let scale = _mm256_mul_ps(row_scales, _mm256_set1_ps(vector.scales[block]));
            *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), scale, *sum);
        }
    }
    sums.map(|sum| floats(sum))
}

/// Activations of many tokens, `[tokens, columns]`.
pub(super) struct Tokens<'a, Q> {
    quants: &'a [Q],
    scales: &'a [f32],
    sums: &'a [i16],
    columns: usize,
}

/// `T` tokens' blocks, as many as the panel has: quants `[blocks, BLOCK]`, scales and sums of quants `[blocks]`.
pub(super) struct Group<'a, Q, const T: usize> {
    pub(super) quants: [&'a [[Q; BLOCK]]; T],
    pub(super) scales: [&'a [f32]; T],
    pub(super) sums: [&'a [i16]; T],
}

impl<Q> Tokens<'_, Q> {
    /// `T` tokens from `token` on, `count` blocks from `first` on.
    #[inline(always)]
    fn group<const T: usize>(&self, token: usize, first: usize, count: usize) -> Group<'_, Q, T> {
        let (blocks, quants) = (self.columns / BLOCK, self.quants.as_chunks::<BLOCK>().0);
        let mut group = Group { quants: [&quants[..0]; T], scales: [&[][..]; T], sums: [&[][..]; T] };
        for t in 0..T {
            let at = (token + t) * blocks + first;
            group.quants[t] = &quants[at..][..count];
            group.scales[t] = &self.scales[at..][..count];
            group.sums[t] = &self.sums[at..][..count];
        }
        group
    }
}

/// Unpacked weights of 16 rows and up to 8 blocks. The unsafe functions need AVX2, FMA and what [`Panel::runs_here`] asks for.
pub(super) trait Panel {
    /// How activations are stored.
    type Quant: Copy + Sync;

    /// Tokens of the register tile, a power of two.
    const TOKENS: usize;

    fn runs_here() -> bool;

    fn activations(x: &Bytes) -> &[Self::Quant];

    fn new() -> Box<Self>;

    /// Takes a block of the first (`half` 0) or last eight rows.
    #[allow(unsafe_code)]
    unsafe fn fill(&mut self, block: usize, half: usize, weights: [__m256i; 8]);

    /// Adds the products with `T` tokens, at most [`Panel::TOKENS`], to `sums`. `scales`: of the weights, `[blocks, rows]`.
    #[allow(unsafe_code)]
    unsafe fn add<const T: usize>(
        &self,
        scales: &[[f32; ROWS]],
        x: &Group<Self::Quant, T>,
        sums: &mut [[f32; ROWS]; T],
    );
}

/// Products of 16 rows with all tokens.
#[target_feature(enable = "avx2,fma,f16c")]
fn unpacked<F: Format, P: Panel>(rows: [&[u8]; ROWS], x: &Tokens<P::Quant>, tile: &Tile<ROWS>) {
    let blocks = x.columns / BLOCK;
    let mut sums = vec![[0f32; ROWS]; x.quants.len() / x.columns];
    let mut panel = P::new();
    let mut scales = [[0f32; ROWS]; BLOCKS];
    for first in (0..blocks).step_by(BLOCKS) {
        let scales = &mut scales[..BLOCKS.min(blocks - first)];
        for (block, scales) in scales.iter_mut().enumerate() {
            unpack::<F, P>(rows, first + block, block, &mut panel, scales);
        }
        let mut token = 0;
        if P::TOKENS >= 8 {
            add_each::<P, 8>(&panel, scales, x, first, &mut token, &mut sums);
        }
        add_each::<P, 4>(&panel, scales, x, first, &mut token, &mut sums);
        add_each::<P, 2>(&panel, scales, x, first, &mut token, &mut sums);
        add_each::<P, 1>(&panel, scales, x, first, &mut token, &mut sums);
    }
    for (token, sums) in sums.into_iter().enumerate() {
        tile.put(token, sums);
    }
}

/// Adds the products of the panel, whose blocks are those from `first` on, with the tokens from `token` on, `T` at a time as
/// long as there are so many.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_each<P: Panel, const T: usize>(
    panel: &P,
    scales: &[[f32; ROWS]],
    x: &Tokens<P::Quant>,
    first: usize,
    token: &mut usize,
    sums: &mut [[f32; ROWS]],
) {
    for sums in sums[*token..].as_chunks_mut::<T>().0 {
        // SAFETY: the processor has what the panel needs, which `matmul` asserts.
        #[allow(unsafe_code)]
        unsafe {
            panel.add(scales, &x.group(*token, first, scales.len()), sums);
        }
        *token += T;
    }
}

/// Block `from` of each row, into block `to` of the panel.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn unpack<F: Format, P: Panel>(rows: [&[u8]; ROWS], from: usize, to: usize, panel: &mut P, scales: &mut [f32; ROWS]) {
    let (halves, _) = rows.as_chunks::<8>();
    for (half, rows) in halves.iter().enumerate() {
        let (weights, row_scales) = block_of_8!(F, rows, from);
        scales[half * 8..][..8].copy_from_slice(&floats(row_scales));
        // SAFETY: the processor has what the panel needs, which `matmul` asserts.
        #[allow(unsafe_code)]
        unsafe {
            panel.fill(to, half, weights);
        }
    }
}

/// Defines [`Panel::add`] for a panel in registers of 256 bits: `$products` gives the integers `[[__m256i; 2]; T]` of block
/// `$block` for the group `$x`. A macro for the sake of `$features`, which all of it must be compiled for.
macro_rules! add_by_halves {
    ($features:literal, |$panel:ident, $block:ident, $x:ident| $products:expr) => {
        #[inline]
        #[allow(unsafe_code)]
        #[target_feature(enable = $features)]
        unsafe fn add<const T: usize>(
            &self,
            scales: &[[f32; ROWS]],
            $x: &Group<Self::Quant, T>,
            sums: &mut [[f32; ROWS]; T],
        ) {
            let $panel = self;
            for ($block, row_scales) in scales.iter().enumerate() {
                let products: [[__m256i; 2]; T] = $products;
                for t in 0..T {
                    let scale = _mm256_set1_ps($x.scales[t][$block]);
                    for half in 0..2 {
                        let (sum, row_scales) = (&mut sums[t][half * 8..][..8], &row_scales[half * 8..][..8]);
                        // SAFETY: both slices have the eight floats of a register.
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
    };
}
pub(super) use add_by_halves;

/// For each two columns the pairs of all rows: two products of 16 bits are added to 32 at once.
#[repr(align(64))]
pub(super) struct Pairs([[i16; 2 * ROWS]; BLOCKS * BLOCK / 2]);

impl Panel for Pairs {
    type Quant = i16;
    const TOKENS: usize = 4;

    fn runs_here() -> bool {
        super::super::has_avx2()
    }

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

    add_by_halves!("avx2,fma,f16c", |panel, block, x| {
        let mut products = [[_mm256_setzero_si256(); 2]; T];
        for (pair, weights) in panel.0[block * BLOCK / 2..][..BLOCK / 2].iter().enumerate() {
            let weights = load_both(weights);
            for t in 0..T {
                let two = &x.quants[t][block].as_chunks::<2>().0[pair];
                let two = _mm256_set1_epi32(bytemuck::cast(*two));
                for half in 0..2 {
                    products[t][half] = _mm256_add_epi32(products[t][half], _mm256_madd_epi16(weights[half], two));
                }
            }
        }
        products
    });
}

/// For each four columns the quads of all rows, as unsigned bytes: `EXCESS` too large.
#[repr(align(64))]
pub(in super::super) struct Quads<const EXCESS: i32>([[u8; 4 * ROWS]; BLOCKS * BLOCK / 4]);

impl<const EXCESS: i32> Quads<EXCESS> {
    pub(in super::super) fn empty() -> Self {
        Self([[0; 4 * ROWS]; BLOCKS * BLOCK / 4])
    }

    /// The quads of a block.
    #[inline(always)]
    pub(super) fn block(&self, block: usize) -> &[[u8; 4 * ROWS]] {
        &self.0[block * BLOCK / 4..][..BLOCK / 4]
    }

    /// Four columns of all rows.
    #[inline(always)]
    pub(in super::super) fn quad(&self, quad: usize) -> &[u8; 4 * ROWS] {
        &self.0[quad]
    }

    /// See [`Panel::fill`]. Takes signed bytes when `EXCESS` is 128.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(in super::super) fn fill(&mut self, block: usize, half: usize, mut weights: [__m256i; 8]) {
        if EXCESS == 128 {
            for weights in &mut weights {
                *weights = _mm256_xor_si256(*weights, _mm256_set1_epi8(-128));
            }
        }
        let [a, b, c, d, e, f, g, h] = weights;
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
}

/// Weights from 0 to 15: the products of a block fit into 16 bits together.
pub(super) struct Nibbles(Quads<{ Q4_0::EXCESS }>);

impl Panel for Nibbles {
    type Quant = i8;
    const TOKENS: usize = 4;

    fn runs_here() -> bool {
        super::super::has_avx2()
    }

    fn activations(x: &Bytes) -> &[i8] {
        &x.quants
    }

    fn new() -> Box<Self> {
        Box::new(Self(Quads::empty()))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2")]
    unsafe fn fill(&mut self, block: usize, half: usize, weights: [__m256i; 8]) {
        self.0.fill(block, half, weights);
    }

    add_by_halves!("avx2,fma,f16c", |panel, block, x| {
        let mut products = [[_mm256_setzero_si256(); 2]; T];
        for (quad, weights) in panel.0.block(block).iter().enumerate() {
            let weights = load_both(weights);
            for t in 0..T {
                let four = &x.quants[t][block].as_chunks::<4>().0[quad];
                let four = _mm256_set1_epi32(bytemuck::cast(*four));
                for half in 0..2 {
                    products[t][half] = _mm256_add_epi16(products[t][half], _mm256_maddubs_epi16(weights[half], four));
                }
            }
        }
        for t in 0..T {
            let too_much = _mm256_set1_epi32(Q4_0::EXCESS * i32::from(x.sums[t][block]));
            for half in 0..2 {
                let wide = _mm256_madd_epi16(products[t][half], _mm256_set1_epi16(1));
                products[t][half] = _mm256_sub_epi32(wide, too_much);
            }
        }
        products
    });
}
