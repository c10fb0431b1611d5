//! In which number format the weight matrices are held.

use crate::error::{Error, ErrorKind, Result};
use candle_core::quantized::GgmlDType;
use serde::Deserialize;

/// The format of the weight matrices in memory. Norms and biases are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// What the file has, if it is a GGUF file; `q8` for safetensors.
    #[default]
    Auto,
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
    /// 8-bit blocks of 32 (Q8_0): 8.5 bits a weight.
    Q8,
    /// 4-bit blocks of 32 (Q4_0): 4.5 bits a weight.
    Q4,
}

impl Precision {
    /// All names, as options and the command line spell them.
    pub const NAMES: [&str; 5] = ["auto", "f32", "bf16", "q8", "q4"];

    /// The precision called `name`.
    ///
    /// # Errors
    /// `InvalidOption` for any other name.
    pub fn from_name(name: &str) -> Result<Self> {
        serde_json::from_value(name.into()).map_err(|_| {
            let names = Self::NAMES.join(", ");
            Error::new(ErrorKind::InvalidOption, format!("precision \"{name}\" does not exist; use one of {names}"))
        })
    }

    /// The format of a matrix stored as `stored` with rows of `columns`.
    pub(crate) fn of_matrix(self, stored: GgmlDType, gguf: bool, columns: usize) -> GgmlDType {
        let wanted = match self {
            Precision::Auto if gguf => stored,
            Precision::F32 => GgmlDType::F32,
            Precision::Bf16 => GgmlDType::BF16,
            Precision::Auto | Precision::Q8 => GgmlDType::Q8_0,
            Precision::Q4 => GgmlDType::Q4_0,
        };
        // A row that is not a whole number of blocks cannot be quantised; it stays wider.
        if columns.is_multiple_of(wanted.block_size()) { wanted } else { GgmlDType::F32 }
    }
}

/// The name of a format as ggml spells it.
pub(crate) fn format_name(dtype: GgmlDType) -> &'static str {
    match dtype {
        GgmlDType::F32 => "F32",
        GgmlDType::F16 => "F16",
        GgmlDType::BF16 => "BF16",
        GgmlDType::Q4_0 => "Q4_0",
        GgmlDType::Q4_1 => "Q4_1",
        GgmlDType::Q5_0 => "Q5_0",
        GgmlDType::Q5_1 => "Q5_1",
        GgmlDType::Q8_0 => "Q8_0",
        GgmlDType::Q4K => "Q4_K",
        GgmlDType::Q5K => "Q5_K",
        GgmlDType::Q6K => "Q6_K",
        _ => "other",
    }
}
