//! Weights from one type to another: through f32, in candle's blocks.

use super::types;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use half::{bf16, f16};

/// Why a row of weights cannot be converted.
pub enum Refusal {
    /// A weight is NaN or infinite.
    NotFinite { row: usize },
    /// A weight is too large for the type, or for the scale of its blocks.
    TooLarge { row: usize, weight: f32 },
    /// candle refuses; it has no reason to.
    Failed(candle_core::Error),
}

/// The rows in `bytes`, each of `columns` weights of type `from`, as type `to`.
pub fn convert(from: GgmlDType, to: GgmlDType, bytes: &[u8], columns: usize) -> Result<Vec<u8>, Refusal> {
    let weights = decode(from, bytes).map_err(Refusal::Failed)?;
    for (row, weights) in weights.chunks(columns).enumerate() {
        // NaN is ignored by `max`, so it is looked for by itself.
        if !weights.iter().all(|weight| weight.is_finite()) {
            return Err(Refusal::NotFinite { row });
        }
        let largest = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
        if to != from && !matches!(to, GgmlDType::F32 | GgmlDType::BF16) && largest > f16::MAX.to_f32() {
            return Err(Refusal::TooLarge { row, weight: largest });
        }
    }
    if from == to {
        return Ok(bytes.to_vec());
    }
    encode(to, &weights, columns).map_err(Refusal::Failed)
}

fn decode(dtype: GgmlDType, bytes: &[u8]) -> candle_core::Result<Vec<f32>> {
    let halves = || bytes.as_chunks::<2>().0.iter();
    Ok(match dtype {
        GgmlDType::F32 => bytes.as_chunks::<4>().0.iter().map(|&four| f32::from_le_bytes(four)).collect(),
        GgmlDType::F16 => halves().map(|&two| f16::from_le_bytes(two).to_f32()).collect(),
        GgmlDType::BF16 => halves().map(|&two| bf16::from_le_bytes(two).to_f32()).collect(),
        block => {
            let elements = bytes.len() / block.type_size() * block.block_size();
            match block.from_data(bytes.into()).dequantize(elements)? {
                candle_core::CpuStorage::F32(weights) => weights,
                _ => candle_core::bail!("{} does not become f32", types::name(block)),
            }
        }
    })
}

fn encode(dtype: GgmlDType, weights: &[f32], columns: usize) -> candle_core::Result<Vec<u8>> {
    Ok(match dtype {
        GgmlDType::F32 => weights.iter().flat_map(|weight| weight.to_le_bytes()).collect(),
        GgmlDType::F16 => weights.iter().flat_map(|&weight| f16::from_f32(weight).to_le_bytes()).collect(),
        GgmlDType::BF16 => weights.iter().flat_map(|&weight| bf16::from_f32(weight).to_le_bytes()).collect(),
        block => {
            let mut blocks = block.cpu_zeros(weights.len());
            match block {
                // Told that all columns matter equally, candle tries more scales: as near to the weights as llama.cpp's
                // own, where its quick way is 5 % further off.
                GgmlDType::Q4K | GgmlDType::Q6K => {
                    blocks.from_float_imatrix(weights, &vec![1.0; columns], columns);
                }
                _ => blocks.from_float(weights),
            }
            QTensor::new(QStorage::Cpu(blocks), weights.len())?.data()?.into_owned()
        }
    })
}
