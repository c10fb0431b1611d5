//! The tensor types of GGUF that qaio reads: number in the file, candle's type, ggml's name.

use candle_core::quantized::GgmlDType;

const TYPES: [(u32, GgmlDType, &str); 11] = [
    (0, GgmlDType::F32, "f32"),
    (1, GgmlDType::F16, "f16"),
    (2, GgmlDType::Q4_0, "q4_0"),
    (3, GgmlDType::Q4_1, "q4_1"),
    (6, GgmlDType::Q5_0, "q5_0"),
    (7, GgmlDType::Q5_1, "q5_1"),
    (8, GgmlDType::Q8_0, "q8_0"),
    (12, GgmlDType::Q4K, "q4_k"),
    (13, GgmlDType::Q5K, "q5_k"),
    (14, GgmlDType::Q6K, "q6_k"),
    (30, GgmlDType::BF16, "bf16"),
];

/// The type that the file numbers `id`.
pub fn from_id(id: u32) -> Option<GgmlDType> {
    TYPES.iter().find(|(number, ..)| *number == id).map(|&(_, dtype, _)| dtype)
}

/// The number of `dtype` in a file.
pub fn id(dtype: GgmlDType) -> u32 {
    entry(dtype).0
}

/// The name of `dtype`, as `--to` spells it.
pub fn name(dtype: GgmlDType) -> &'static str {
    entry(dtype).2
}

/// Whether weights of `dtype` are in blocks that share a scale.
pub fn is_quantized(dtype: GgmlDType) -> bool {
    dtype.block_size() > 1
}

/// Whether a weight takes more room as `a` than as `b`.
pub fn is_larger(a: GgmlDType, b: GgmlDType) -> bool {
    a.type_size() * b.block_size() > b.type_size() * a.block_size()
}

/// Bytes of `elements` weights; none if that is no whole number of blocks or more than can be counted.
pub fn size(dtype: GgmlDType, elements: u64) -> Option<u64> {
    let block = dtype.block_size() as u64;
    if !elements.is_multiple_of(block) {
        return None;
    }
    (elements / block).checked_mul(dtype.type_size() as u64)
}

fn entry(dtype: GgmlDType) -> (u32, GgmlDType, &'static str) {
    *TYPES.iter().find(|(_, known, _)| *known == dtype).expect("files are read and made of these types only")
}
