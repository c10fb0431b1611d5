//! The inner loops, and the only place of the engine with `unsafe` arithmetic.
//!
//! Each result is a fixed sequence of operations per output element, whatever the number of tokens, threads or
//! neighbours, so that the same text gives the same logits in any company. Which instruction set runs is decided at
//! run time; see [`name`].

pub(crate) mod attention;
pub(crate) mod float;
mod int8;
pub(crate) mod quantized;

use rayon::prelude::*;
use std::marker::PhantomData;

/// Work below this many multiplications is not worth waking a second thread for.
const SERIAL_WORK: usize = 1 << 17;

/// Whether the variants for AVX2 and its companions FMA and F16C may run.
#[inline]
pub(crate) fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("fma")
            && std::arch::is_x86_feature_detected!("f16c")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// The name of the instruction set in use, for `qaio_model_info`.
pub(crate) fn name() -> &'static str {
    if has_avx2() {
        "avx2+fma"
    } else if cfg!(target_arch = "aarch64") {
        "neon"
    } else {
        "portable"
    }
}

/// Defines `$name`, compiled once for AVX2 + FMA and once for the plain target, chosen at run time. `$body` takes the
/// constant `FMA` first: with it a multiply-add rounds once, without it twice (a fused one in software is slow).
macro_rules! by_cpu {
    ($(#[$doc:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $body:ident) => {
        $(#[$doc])*
        #[inline]
        $vis fn $name($($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn with_avx2($($arg: $type),*) $(-> $out)? {
                    $body::<true>($($arg),*)
                }
                if $crate::engine::kernel::has_avx2() {
                    // SAFETY: the processor has AVX2 and FMA, as just asked.
                    #[allow(unsafe_code)]
                    return unsafe { with_avx2($($arg),*) };
                }
            }
            $body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}
pub(crate) use by_cpu;

/// `a · b + c`, fused where `FMA` says that this is one instruction.
#[inline(always)]
pub(crate) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Float accumulators per dot product.
const LANES: usize = 8;

/// The sum of the accumulators, in the order that every dot product here uses.
#[inline(always)]
fn add_up(s: [f32; LANES]) -> f32 {
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

/// Up to four rows of weights, and the right to write their products.
pub(crate) struct Tile<'a> {
    /// The first row.
    first: usize,
    /// Rows of all weights; the last tile may have fewer than four of its own.
    rows: usize,
    /// `[tokens, rows]`, which all tiles fill together.
    out: *mut f32,
    length: usize,
    filled: PhantomData<&'a mut [f32]>,
}

impl Tile<'_> {
    /// The four rows; where the tile is short, its last one again.
    fn rows(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|i| (self.first + i).min(self.rows - 1))
    }

    /// Writes the products of the rows with one token; those of repeated rows are left out.
    #[inline(always)]
    fn put(&self, token: usize, sums: [f32; 4]) {
        for (row, sum) in (self.first..self.rows).zip(sums) {
            let at = token * self.rows + row;
            assert!(at < self.length);
            // SAFETY: in bounds, as asserted. `for_each_tile` borrows the matrix mutably and makes one tile for each
            // four rows, so no other tile writes the element, and nobody reads it meanwhile.
            #[allow(unsafe_code)]
            unsafe {
                *self.out.add(at) = sum;
            }
        }
    }
}

/// Fills `out`, `[tokens, rows]`, by calling `fill` for each group of four rows, on several threads if the work
/// (`multiplications` in all) is worth it.
pub(crate) fn for_each_tile(rows: usize, multiplications: usize, out: &mut [f32], fill: impl Fn(&Tile) + Sync) {
    /// The address of a matrix that several threads fill.
    struct Shared(*mut f32);
    // SAFETY: it is only handed to tiles, which write disjoint elements (see `Tile::put`).
    #[allow(unsafe_code)]
    unsafe impl Sync for Shared {}

    let length = out.len();
    let shared = &Shared(out.as_mut_ptr());
    let tile = |index: usize| {
        fill(&Tile { first: index * 4, rows, out: shared.0, length, filled: PhantomData });
    };
    let tiles = rows.div_ceil(4);
    if multiplications < SERIAL_WORK {
        (0..tiles).for_each(tile);
        return;
    }
    let worth_a_task = (SERIAL_WORK / 2 / (multiplications / tiles).max(1)).max(1);
    (0..tiles).into_par_iter().with_min_len(worth_a_task).for_each(tile);
}
