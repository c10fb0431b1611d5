//! What is multiplied with weights: floats, and the same as bytes for quantised weights.

use super::{LANES, TO_INTEGER, by_cpu, int8, k_quants};
use crate::engine::pool::Pool;
use std::sync::OnceLock;

/// Activations `[tokens, columns]` that several matrices are multiplied with, and the threads that do it.
pub(crate) struct Activations<'a> {
    pub(super) pool: &'a Pool,
    pub(super) values: &'a [f32],
    /// Made when the first matrix asks for them.
    bytes: OnceLock<Bytes>,
    k_bytes: OnceLock<Bytes>,
}

impl<'a> Activations<'a> {
    pub(crate) fn new(pool: &'a Pool, values: &'a [f32]) -> Self {
        Self { pool, values, bytes: OnceLock::new(), k_bytes: OnceLock::new() }
    }

    pub(crate) fn pool(&self) -> &'a Pool {
        self.pool
    }

    pub(crate) fn values(&self) -> &[f32] {
        self.values
    }

    /// In the blocks of [`int8`].
    pub(super) fn bytes(&self) -> &Bytes {
        self.bytes.get_or_init(|| Bytes::new(self.pool, self.values, int8::BLOCK, int8::BLOCK))
    }

    /// In the blocks of [`k_quants`].
    pub(super) fn k_bytes(&self) -> &Bytes {
        self.k_bytes.get_or_init(|| Bytes::new(self.pool, self.values, k_quants::BLOCK, k_quants::PART))
    }
}

/// Floats that one thread quantises at a time, a multiple of every block.
const AT_ONCE: usize = 1 << 14;

/// Activations as signed bytes: `quants` `[tokens, columns]`, `scales` `[tokens, columns / block]`, and the `sums` of quants
/// `[tokens, columns / part]`.
pub(super) struct Bytes {
    block: usize,
    part: usize,
    pub(super) quants: Vec<i8>,
    pub(super) scales: Vec<f32>,
    pub(super) sums: Vec<i16>,
    /// The quants in 16 bits, when a variant asks for them.
    #[cfg(target_arch = "x86_64")]
    wide: OnceLock<Vec<i16>>,
}

/// One token of [`Bytes`].
#[derive(Clone, Copy)]
pub(super) struct Vector<'a> {
    pub(super) quants: &'a [i8],
    pub(super) scales: &'a [f32],
    pub(super) sums: &'a [i16],
}

impl Bytes {
    /// The largest of a block becomes 127. `part` divides `block` and is at most 256.
    pub(super) fn new(pool: &Pool, x: &[f32], block: usize, part: usize) -> Self {
        let (mut quants, mut scales, mut sums) =
            (vec![0; x.len()], vec![0.0; x.len() / block], vec![0; x.len() / part]);
        let per_block = scales.chunks_mut(AT_ONCE / block).zip(sums.chunks_mut(AT_ONCE / part));
        let some = x.chunks(AT_ONCE).zip(quants.chunks_mut(AT_ONCE)).zip(per_block);
        pool.map(some.collect(), |((x, quants), (scales, sums))| quantize(x, quants, scales, sums));
        Self {
            block,
            part,
            quants,
            scales,
            sums,
            #[cfg(target_arch = "x86_64")]
            wide: OnceLock::new(),
        }
    }

    #[cfg(target_arch = "x86_64")]
    pub(super) fn wide(&self) -> &[i16] {
        self.wide.get_or_init(|| self.quants.iter().map(|&quant| i16::from(quant)).collect())
    }

    pub(super) fn vectors(&self, columns: usize) -> impl Iterator<Item = Vector<'_>> {
        let scales = self.scales.chunks_exact(columns / self.block);
        let sums = self.sums.chunks_exact(columns / self.part);
        let vectors = self.quants.chunks_exact(columns).zip(scales).zip(sums);
        vectors.map(|((quants, scales), sums)| Vector { quants, scales, sums })
    }
}

by_cpu! {
    /// As many blocks as there are `scales`, as many parts as there are `sums`.
    fn quantize(x: &[f32], quants: &mut [i8], scales: &mut [f32], sums: &mut [i16]) = quantize_body
}

#[inline(always)]
fn quantize_body<const FMA: bool>(x: &[f32], quants: &mut [i8], scales: &mut [f32], sums: &mut [i16]) {
    let (block, part) = (x.len() / scales.len(), x.len() / sums.len());
    for ((x, quants), scale) in x.chunks_exact(block).zip(quants.chunks_exact_mut(block)).zip(scales) {
        let mut lanes = [0f32; LANES];
        for x in x.as_chunks::<LANES>().0 {
            for (lane, x) in lanes.iter_mut().zip(x) {
                *lane = if x.abs() > *lane { x.abs() } else { *lane };
            }
        }
        let largest = lanes.into_iter().fold(0.0, f32::max);
        *scale = largest / 127.0;
        let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
        for (quants, x) in quants.as_chunks_mut::<LANES>().0.iter_mut().zip(x.as_chunks::<LANES>().0) {
            for (quant, x) in quants.iter_mut().zip(x) {
                *quant = (x * inverse + TO_INTEGER).to_bits() as i8;
            }
        }
    }
    for (sum, quants) in sums.iter_mut().zip(quants.chunks_exact(part)) {
        *sum = quants.iter().map(|&quant| i16::from(quant)).sum();
    }
}
