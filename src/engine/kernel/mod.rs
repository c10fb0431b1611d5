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

/// A matrix that several threads fill, each its own columns.
pub(crate) struct Scatter<'a> {
    start: *mut f32,
    /// Columns of the matrix.
    stride: usize,
    length: usize,
    filled: std::marker::PhantomData<&'a mut [f32]>,
}

// SAFETY: `put` is the only access, and its callers write disjoint elements (see there).
#[allow(unsafe_code)]
unsafe impl Sync for Scatter<'_> {}

impl<'a> Scatter<'a> {
    /// `out`: `[rows, stride]`.
    pub(crate) fn new(out: &'a mut [f32], stride: usize) -> Self {
        Self { start: out.as_mut_ptr(), stride, length: out.len(), filled: std::marker::PhantomData }
    }

    /// Writes one element.
    ///
    /// # Safety
    /// No other thread may write or read the element (`row`, `column`) while this `Scatter` lives.
    #[allow(unsafe_code)]
    #[inline(always)]
    pub(crate) unsafe fn put(&self, row: usize, column: usize, value: f32) {
        let at = row * self.stride + column;
        assert!(column < self.stride && at < self.length);
        // SAFETY: in bounds, as asserted, and not shared, as the caller promises.
        unsafe { *self.start.add(at) = value }
    }
}

/// Calls `tile(first_row)` for each group of four rows, on several threads if the work (`multiplications` in all) is
/// worth it.
pub(crate) fn for_each_tile(rows: usize, multiplications: usize, tile: impl Fn(usize) + Sync) {
    let tiles = rows.div_ceil(4);
    if multiplications < SERIAL_WORK {
        (0..tiles).for_each(|index| tile(index * 4));
        return;
    }
    let worth_a_task = (SERIAL_WORK / 2 / (multiplications / tiles).max(1)).max(1);
    (0..tiles).into_par_iter().with_min_len(worth_a_task).for_each(|index| tile(index * 4));
}
