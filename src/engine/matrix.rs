//! A weight matrix in any of the supported formats, borrowed from the model file where its format allows.

use super::bytes::{Bytes, zeroed};
use super::kernel::{Activations, float, quantized};
use super::pool::Pool;
use crate::error::{Error, ErrorKind, Result};
use candle_core::quantized::GgmlDType;
use half::{bf16, f16};
use std::ops::Range;
use std::sync::Arc;

/// `[rows, columns]`, row-major; a row maps an input of `columns` to one output.
#[derive(Debug)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) dtype: GgmlDType,
    data: Data,
}

#[derive(Debug)]
enum Data {
    /// A range of the model file.
    Shared(Arc<Bytes>, Range<usize>),
    /// Our own copy, in a buffer of words so that any format is aligned.
    Owned(Vec<u32>, usize),
}

/// Rows converted at a time while loading: enough for the threads, little beside the weights.
const CONVERTED_AT_ONCE: usize = 1 << 20;

impl Matrix {
    /// The tensor at `range` of `file`, as it is if `to` is its own type, else converted.
    ///
    /// # Errors
    /// `ModelNotFinite` if a weight is NaN or infinite, `OutOfMemory`.
    pub(crate) fn load(
        pool: &Pool,
        file: &Arc<Bytes>,
        range: Range<usize>,
        from: GgmlDType,
        to: GgmlDType,
        [rows, columns]: [usize; 2],
    ) -> Result<Self> {
        let aligned = file.as_slice()[range.clone()].as_ptr().align_offset(quantized::alignment(from)) == 0;
        if from == to && aligned {
            let matrix = Self { rows, columns, dtype: to, data: Data::Shared(file.clone(), range) };
            matrix.check_finite(pool)?;
            return Ok(matrix);
        }
        let row_bytes = columns / to.block_size() * to.type_size();
        let mut words = zeroed::<u32>((rows * row_bytes).div_ceil(4), "the weights")?;
        let out = &mut bytemuck::cast_slice_mut::<u32, u8>(&mut words)[..rows * row_bytes];
        let source_row = range.len() / rows;
        let step = (CONVERTED_AT_ONCE / columns).max(1);
        for (index, chunk) in out.chunks_mut(step * row_bytes).enumerate() {
            let start = range.start + index * step * source_row;
            let end = start + chunk.len() / row_bytes * source_row;
            let source = &file.as_slice()[start..end];
            let of_a_task = step.div_ceil(4 * pool.threads());
            let tasks = chunk.chunks_mut(of_a_task * row_bytes).zip(source.chunks(of_a_task * source_row)).enumerate();
            let converted = pool.map(tasks.collect(), |(task, (rows, source))| {
                let first = index * step + task * of_a_task;
                convert(from, to, columns, source, rows).map_err(|row| not_finite(first + row))
            });
            converted.into_iter().collect::<Result<()>>()?;
            file.release(start..end);
        }
        let matrix = Self { rows, columns, dtype: to, data: Data::Owned(words, rows * row_bytes) };
        matrix.check_finite(pool)?;
        Ok(matrix)
    }

    /// Bytes of the weights.
    pub(crate) fn size(&self) -> usize {
        self.bytes().len()
    }

    /// `out[t, r] = Σ_c x[t, c] · self[r, c]`, with `x`: `[tokens, columns]`, `out`: `[tokens, rows]`.
    pub(crate) fn apply(&self, x: &Activations, out: &mut [f32]) {
        let bytes = self.bytes();
        match self.dtype {
            GgmlDType::F32 => float::matmul::<f32>(bytemuck::cast_slice(bytes), self.columns, x, out),
            GgmlDType::F16 => float::matmul::<f16>(bytemuck::cast_slice(bytes), self.columns, x, out),
            GgmlDType::BF16 => float::matmul::<bf16>(bytemuck::cast_slice(bytes), self.columns, x, out),
            block => quantized::matmul(block, bytes, self.columns, x, out),
        }
    }

    /// The outputs of some `rows` only, for one input `x`: `[columns]`. Bit-equal to those of [`apply`](Self::apply).
    pub(crate) fn apply_rows(&self, x: &Activations, rows: &[u32]) -> Vec<f32> {
        match self.dtype {
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => {
                let mut row = vec![0.0; self.columns];
                rows.iter()
                    .map(|&index| {
                        self.read_row(index as usize, &mut row);
                        float::dot(&row, x.values())
                    })
                    .collect()
            }
            block => quantized::dot_rows(block, self.bytes(), self.columns, x, rows),
        }
    }

    /// Row `index` as f32, into `out`: `[columns]`.
    pub(crate) fn read_row(&self, index: usize, out: &mut [f32]) {
        let row_bytes = self.size() / self.rows;
        decode(self.dtype, &self.bytes()[index * row_bytes..][..row_bytes], out);
    }

    fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Shared(file, range) => &file.as_slice()[range.clone()],
            Data::Owned(words, length) => &bytemuck::cast_slice(words)[..*length],
        }
    }

    /// One pass over the weights (over the decoded values, so that a broken scale shows too).
    fn check_finite(&self, pool: &Pool) -> Result<()> {
        let row_bytes = self.size() / self.rows;
        let is_broken = |row: &[u8]| match self.dtype {
            GgmlDType::F32 => any_exponent_full::<u32>(row, 0x7f80_0000),
            GgmlDType::F16 => any_exponent_full::<u16>(row, 0x7c00),
            GgmlDType::BF16 => any_exponent_full::<u16>(row, 0x7f80),
            dtype => quantized::any_scale_not_finite(dtype, row),
        };
        let of_a_task = self.rows.div_ceil(4 * pool.threads());
        let tasks = self.bytes().chunks(of_a_task * row_bytes).enumerate().collect();
        let broken = pool
            .map(tasks, |(task, rows)| rows.chunks(row_bytes).position(is_broken).map(|row| task * of_a_task + row));
        match broken.into_iter().flatten().next() {
            None => Ok(()),
            Some(row) => Err(not_finite(row)),
        }
    }
}

/// Rows of one format to rows of another. Gives back which row, if any, has a weight that is not finite.
fn convert(from: GgmlDType, to: GgmlDType, columns: usize, source: &[u8], rows: &mut [u8]) -> Result<(), usize> {
    if from == to {
        rows.copy_from_slice(source);
        return Ok(());
    }
    let mut wide = vec![0.0f32; columns];
    let count = source.len() / (columns / from.block_size() * from.type_size());
    let (source_row, row) = (source.len() / count, rows.len() / count);
    for (index, (source, row)) in source.chunks(source_row).zip(rows.chunks_mut(row)).enumerate() {
        decode(from, source, &mut wide);
        // Looked at here already: quantising would hide a NaN.
        if !wide.iter().all(|weight| weight.is_finite()) {
            return Err(index);
        }
        encode(to, &wide, row);
    }
    Ok(())
}

fn not_finite(row: usize) -> Error {
    Error::new(
        ErrorKind::ModelNotFinite,
        format!("row {row} has a weight that is NaN or infinite; the file is damaged: fetch it again"),
    )
}

/// Whether a float of `row` has all bits of its exponent (`mask`) set, which means NaN or infinite.
fn any_exponent_full<B: bytemuck::Pod + std::ops::BitAnd<Output = B> + PartialEq>(row: &[u8], mask: B) -> bool {
    bytemuck::cast_slice::<u8, B>(row).iter().fold(false, |any, &bits| any | (bits & mask == mask))
}

/// A row of any type as f32.
pub(crate) fn decode(dtype: GgmlDType, row: &[u8], out: &mut [f32]) {
    match dtype {
        GgmlDType::F32 => {
            for (out, bytes) in out.iter_mut().zip(row.as_chunks::<4>().0) {
                *out = f32::from_le_bytes(*bytes);
            }
        }
        GgmlDType::F16 => {
            for (out, bytes) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                *out = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        GgmlDType::BF16 => {
            for (out, bytes) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                *out = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
        block => quantized::decode(block, row, out),
    }
}

fn encode(dtype: GgmlDType, x: &[f32], row: &mut [u8]) {
    match dtype {
        GgmlDType::F32 => row.copy_from_slice(bytemuck::cast_slice(x)),
        GgmlDType::F16 => {
            for (bytes, &x) in row.as_chunks_mut::<2>().0.iter_mut().zip(x) {
                *bytes = f16::from_f32(x).to_le_bytes();
            }
        }
        GgmlDType::BF16 => {
            for (bytes, &x) in row.as_chunks_mut::<2>().0.iter_mut().zip(x) {
                *bytes = bf16::from_f32(x).to_le_bytes();
            }
        }
        block => quantized::encode(block, x, row),
    }
}
