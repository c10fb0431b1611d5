//! The inner loops, and the only place of the engine with `unsafe` arithmetic.
//!
//! Each result is a fixed sequence of operations per output element, whatever the number of tokens, threads or
//! neighbours, so that the same text gives the same logits in any company. Which instruction set runs is decided at
//! run time; see [`name`].

mod activations;
pub(crate) mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
pub(crate) mod float;
mod int8;
mod k_quants;
pub(crate) mod quantized;

pub(crate) use activations::Activations;

use super::pool::Pool;
use std::marker::PhantomData;
use std::ops::Range;

/// Work below this many multiplications is not worth waking a second thread for.
const SERIAL_WORK: usize = 1 << 17;

/// Whether the variants for AVX2 and its companions FMA and F16C may run.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
        && std::arch::is_x86_feature_detected!("fma")
        && std::arch::is_x86_feature_detected!("f16c")
}

/// The name of the instruction set in use, for `qaio_model_info`.
pub(crate) fn name() -> &'static str {
    int8::name()
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

/// Added to a small number, this leaves its nearest integer (ties to even) in the low bits.
const TO_INTEGER: f32 = 12_582_912.0;

/// `eˣ` to within two units in the last place; 0 below -87, infinite above 88. Without a branch, so that a loop of it becomes
/// vectors. The reduction to `2ⁿ · eʳ` and the polynomial for `eʳ` are those of Cephes (Moshier, `expf.c`).
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const TERMS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

    // Within the exponents that are normal numbers; what lies outside becomes 0 and infinity at the end.
    let inside = x.clamp(-87.0, 88.0);
    let shifted = multiply_add::<FMA>(inside, std::f32::consts::LOG2_E, TO_INTEGER);
    let n = shifted - TO_INTEGER;
    let r = multiply_add::<FMA>(n, -LN_2[1], multiply_add::<FMA>(n, -LN_2[0], inside));
    let terms = TERMS[1..].iter().fold(TERMS[0], |sum, &term| multiply_add::<FMA>(sum, r, term));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    let found = multiply_add::<FMA>(terms, r * r, r + 1.0) * power;
    if x < -87.0 {
        0.0
    } else if x > 88.0 {
        f32::INFINITY
    } else {
        found
    }
}

by_cpu! {
    /// `gate ← silu(gate) · up`, with `silu(x) = x / (1 + e⁻ˣ)`.
    pub(crate) fn silu_times(gate: &mut [f32], up: &[f32]) = silu_times_body
}

#[inline(always)]
fn silu_times_body<const FMA: bool>(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = *gate / (1.0 + exp::<FMA>(-*gate)) * up;
    }
}

/// Float accumulators per dot product.
const LANES: usize = 8;

/// The sum of the accumulators, in the order that every dot product here uses.
#[inline(always)]
fn add_up(s: [f32; LANES]) -> f32 {
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}

/// Up to `R` rows of weights, and the right to write their products.
pub(crate) struct Tile<'a, const R: usize> {
    /// The first row.
    first: usize,
    /// Rows of all weights; the last tile may have fewer than `R` of its own.
    rows: usize,
    /// `[tokens, rows]`, which all tiles fill together.
    out: *mut f32,
    length: usize,
    filled: PhantomData<&'a mut [f32]>,
}

impl<const R: usize> Tile<'_, R> {
    /// The rows; where the tile is short, its last one again.
    fn rows(&self) -> [usize; R] {
        std::array::from_fn(|i| (self.first + i).min(self.rows - 1))
    }

    /// The rows, none of them twice.
    fn own_rows(&self) -> Range<usize> {
        self.first..(self.first + R).min(self.rows)
    }

    /// Writes the products of the rows with one token; those of repeated rows are left out.
    #[inline(always)]
    fn put(&self, token: usize, sums: [f32; R]) {
        let own = self.own_rows();
        let at = token * self.rows + own.start;
        assert!(at + own.len() <= self.length);
        // SAFETY: in bounds, as asserted. `for_each_tile` borrows the matrix mutably and makes one tile for each `R` rows, so no
        // other tile writes these elements, and nobody reads them meanwhile.
        #[allow(unsafe_code)]
        unsafe {
            std::ptr::copy_nonoverlapping(sums.as_ptr(), self.out.add(at), own.len());
        }
    }
}

/// Fills `out`, `[tokens, rows]`, by calling `fill` for each group of `R` rows, on several threads if the work
/// (`multiplications` in all) is worth it.
pub(crate) fn for_each_tile<const R: usize>(
    pool: &Pool,
    rows: usize,
    multiplications: usize,
    out: &mut [f32],
    fill: impl Fn(&Tile<R>) + Sync,
) {
    /// The address of a matrix that several threads fill.
    struct Shared(*mut f32);
    // SAFETY: it is only handed to tiles, which write disjoint elements (see `Tile::put`).
    #[allow(unsafe_code)]
    unsafe impl Sync for Shared {}

    let length = out.len();
    let shared = &Shared(out.as_mut_ptr());
    let tile = |index: usize| {
        fill(&Tile { first: index * R, rows, out: shared.0, length, filled: PhantomData });
    };
    let tiles = rows.div_ceil(R);
    if multiplications < SERIAL_WORK {
        (0..tiles).for_each(tile);
        return;
    }
    // A few tiles at a time: taking a task is an atomic step.
    let of_a_task = (SERIAL_WORK / 2 / (multiplications / tiles).max(1)).max(1);
    pool.run(tiles.div_ceil(of_a_task), &|task| {
        (task * of_a_task..tiles.min((task + 1) * of_a_task)).for_each(tile);
    });
}

/// What the tests of the quantised formats share.
#[cfg(test)]
mod testing {
    use super::{Pool, quantized};
    use candle_core::quantized::GgmlDType;

    pub(super) fn pool() -> Pool {
        Pool::new(2).unwrap()
    }

    pub(super) fn noise(length: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    pub(super) fn encoded(dtype: GgmlDType, x: &[f32]) -> Vec<u8> {
        let bytes = x.len() / dtype.block_size() * dtype.type_size();
        let mut words = vec![0u32; bytes / 4 + 1];
        let encoded = &mut bytemuck::cast_slice_mut(&mut words)[..bytes];
        quantized::encode(dtype, x, encoded);
        encoded.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_the_mathematics() {
        let mut x = -86.9f32;
        while x < 87.9 {
            let exact = f64::from(x).exp();
            for found in [exp::<true>(x), exp::<false>(x)] {
                assert!(
                    (f64::from(found) / exact - 1.0).abs() < 2.0 * f64::from(f32::EPSILON),
                    "{x}: {found}, {exact}"
                );
            }
            x += 0.0137;
        }
        assert_eq!(
            [-1e30, f32::NEG_INFINITY, -88.0, 0.0, 89.0, f32::INFINITY].map(exp::<true>),
            [0.0, 0.0, 0.0, 1.0, f32::INFINITY, f32::INFINITY]
        );
        assert!(exp::<true>(f32::NAN).is_nan());
    }
}
