//! Products with quantised weights: the activations are quantised too (to 8 bits, per block), the sums of a block are
//! integers. Block formats are candle's; so are the dot products, except those of [`int8`] and
//! [`k_quants`].

use super::{Activations, for_each_tile, int8, k_quants};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::k_quants::{
    BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K, BlockQ8_0, GgmlType,
};

/// Calls `$function::<Block>($args)` with the block type of `$dtype`.
macro_rules! with_block {
    ($dtype:expr, $function:ident($($arg:expr),*)) => {
        match $dtype {
            GgmlDType::Q4_0 => $function::<BlockQ4_0>($($arg),*),
            GgmlDType::Q4_1 => $function::<BlockQ4_1>($($arg),*),
            GgmlDType::Q5_0 => $function::<BlockQ5_0>($($arg),*),
            GgmlDType::Q5_1 => $function::<BlockQ5_1>($($arg),*),
            GgmlDType::Q8_0 => $function::<BlockQ8_0>($($arg),*),
            GgmlDType::Q4K => $function::<BlockQ4K>($($arg),*),
            GgmlDType::Q5K => $function::<BlockQ5K>($($arg),*),
            GgmlDType::Q6K => $function::<BlockQ6K>($($arg),*),
            other => unreachable!("{other:?} is not a block type; the loader refuses it"),
        }
    };
}

/// `out[t, r] = Σ_c x[t, c] · weights[r, c]`.
///
/// `weights`: `[rows, columns]` as blocks of `dtype`, `x`: `[tokens, columns]`, `out`: `[tokens, rows]`.
pub(crate) fn matmul(dtype: GgmlDType, weights: &[u8], columns: usize, x: &Activations, out: &mut [f32]) {
    if int8::handles(dtype) {
        return int8::matmul(dtype, weights, columns, x, out);
    }
    if k_quants::handles(dtype) {
        return k_quants::matmul(dtype, weights, columns, x, out);
    }
    match dtype {
        GgmlDType::Q4_1 => matmul_blocks::<BlockQ4_1>(weights, columns, x, out),
        GgmlDType::Q5_1 => matmul_blocks::<BlockQ5_1>(weights, columns, x, out),
        other => unreachable!("{other:?} has kernels of its own"),
    }
}

/// The dot products of `x` with some `rows` only; equal to those elements of [`matmul`].
pub(crate) fn dot_rows(dtype: GgmlDType, weights: &[u8], columns: usize, x: &Activations, rows: &[u32]) -> Vec<f32> {
    if int8::handles(dtype) {
        return int8::dot_rows(dtype, weights, columns, x, rows);
    }
    if k_quants::handles(dtype) {
        return k_quants::dot_rows(dtype, weights, columns, x, rows);
    }
    match dtype {
        GgmlDType::Q4_1 => dot_rows_blocks::<BlockQ4_1>(weights, columns, x.values, rows),
        GgmlDType::Q5_1 => dot_rows_blocks::<BlockQ5_1>(weights, columns, x.values, rows),
        other => unreachable!("{other:?} has kernels of its own"),
    }
}

/// `row` as f32.
pub(crate) fn decode(dtype: GgmlDType, row: &[u8], out: &mut [f32]) {
    with_block!(dtype, decode_blocks(row, out));
}

/// Whether a weight of `row` is NaN or infinite, which takes a scale that is (or is astronomically large).
pub(crate) fn any_scale_not_finite(dtype: GgmlDType, row: &[u8]) -> bool {
    let blocks = row.chunks_exact(dtype.type_size());
    if int8::handles(dtype) {
        return blocks.fold(false, |any, block| any | (block[1] & 0x7c == 0x7c));
    }
    let mut wide = vec![0.0f32; blocks.len() * dtype.block_size()];
    decode(dtype, row, &mut wide);
    !wide.iter().sum::<f32>().is_finite()
}

/// Quantises `x` into `row`.
pub(crate) fn encode(dtype: GgmlDType, x: &[f32], row: &mut [u8]) {
    with_block!(dtype, encode_blocks(x, row));
}

/// The bytes of an alignment that suits `dtype`.
pub(crate) fn alignment(dtype: GgmlDType) -> usize {
    fn of<T: GgmlType>() -> usize {
        align_of::<T>()
    }
    match dtype {
        GgmlDType::F32 => align_of::<f32>(),
        GgmlDType::F16 | GgmlDType::BF16 => align_of::<u16>(),
        block => with_block!(block, of()),
    }
}

/// Raw bytes as blocks.
fn blocks<T: GgmlType>(bytes: &[u8]) -> &[T] {
    assert!(bytes.as_ptr().cast::<T>().is_aligned() && bytes.len().is_multiple_of(size_of::<T>()));
    // SAFETY: aligned and of whole length, as asserted. The block types are plain `repr(C)` structs of integers and
    // f16, for which any bits are valid.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>())
    }
}

/// Raw bytes as blocks to be written.
fn blocks_mut<T: GgmlType>(bytes: &mut [u8]) -> &mut [T] {
    assert!(bytes.as_ptr().cast::<T>().is_aligned() && bytes.len().is_multiple_of(size_of::<T>()));
    // SAFETY: as in `blocks`, and the slice is borrowed mutably.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len() / size_of::<T>())
    }
}

fn matmul_blocks<T: GgmlType>(weights: &[u8], columns: usize, x: &Activations, out: &mut [f32]) {
    let weights = blocks::<T>(weights);
    let per_row = columns / T::BLCK_SIZE;
    let rows = weights.len() / per_row;
    let x_blocks = quantize::<T::VecDotType>(x.values);
    for_each_tile::<4>(x.pool, rows, rows * x.values.len(), out, |tile| {
        let tile_rows = tile.rows().map(|row| &weights[row * per_row..][..per_row]);
        for (token, x) in x_blocks.chunks_exact(per_row).enumerate() {
            tile.put(token, tile_rows.map(|row| T::vec_dot(columns, row, x)));
        }
    });
}

fn dot_rows_blocks<T: GgmlType>(weights: &[u8], columns: usize, x: &[f32], rows: &[u32]) -> Vec<f32> {
    let weights = blocks::<T>(weights);
    let per_row = columns / T::BLCK_SIZE;
    let x = quantize::<T::VecDotType>(x);
    rows.iter().map(|&row| T::vec_dot(columns, &weights[row as usize * per_row..][..per_row], &x)).collect()
}

fn decode_blocks<T: GgmlType>(row: &[u8], out: &mut [f32]) {
    if row.as_ptr().cast::<T>().is_aligned() {
        return T::to_float(blocks(row), out);
    }
    let mut copy = vec![T::zeros(); row.len() / size_of::<T>()];
    // SAFETY: `copy` has room for `row`, and any bits are a valid block (see `blocks`).
    #[allow(unsafe_code)]
    unsafe {
        std::ptr::copy_nonoverlapping(row.as_ptr(), copy.as_mut_ptr().cast::<u8>(), size_of_val(&copy[..]));
    }
    T::to_float(&copy, out);
}

fn encode_blocks<T: GgmlType>(x: &[f32], row: &mut [u8]) {
    T::from_float(x, blocks_mut(row));
}

/// Activations in the format that a weight's dot product wants.
fn quantize<T: GgmlType>(x: &[f32]) -> Vec<T> {
    let mut out = vec![T::zeros(); x.len() / T::BLCK_SIZE];
    T::from_float(x, &mut out);
    out
}
