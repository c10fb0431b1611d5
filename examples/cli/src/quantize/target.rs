//! What `--to` asks for, and which type each tensor gets by it.

use super::source::{Source, Tensor};
use super::types::{self, is_larger, is_quantized};
use candle_core::quantized::GgmlDType;
use clap::ValueEnum;

/// The type of most weights of the result.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
#[allow(non_camel_case_types, reason = "ggml's own spelling")]
pub enum Target {
    /// 8.5 bits a weight; replies are hardly ever other ones
    #[value(name = "q8_0")]
    Q8_0,
    /// 4.5 bits a weight; the output matrix (the embedding, where the two are one) has 6.6
    #[value(name = "q4_0")]
    Q4_0,
    /// About 4.9 bits a weight, better than q4_0: llama.cpp's Q4_K_M, whose output matrix, and half of whose value and
    /// down projections, have 6.6
    #[value(name = "q4_k")]
    Q4_K,
    /// 16 bits a weight, for conversion only: nothing is quantised
    #[value(name = "f16")]
    F16,
}

/// What becomes of a tensor.
pub struct Planned<'a> {
    pub tensor: &'a Tensor,
    pub dtype: GgmlDType,
    /// The type that it should have had, were its rows not too short.
    pub instead_of: Option<GgmlDType>,
}

impl Target {
    /// The type that most matrices get.
    pub fn dtype(self) -> GgmlDType {
        match self {
            Target::Q8_0 => GgmlDType::Q8_0,
            Target::Q4_0 => GgmlDType::Q4_0,
            Target::Q4_K => GgmlDType::Q4K,
            Target::F16 => GgmlDType::F16,
        }
    }

    /// llama.cpp's number of a whole file's type (LLAMA_FTYPE_MOSTLY_…).
    pub fn file_type(self) -> u32 {
        match self {
            Target::F16 => 1,
            Target::Q4_0 => 2,
            Target::Q8_0 => 7,
            Target::Q4_K => 15,
        }
    }

    /// What becomes of each tensor of `source`, in its order.
    ///
    /// # Errors
    /// The first tensor that would only grow, unless that is allowed.
    pub fn plan(self, source: &Source, allow_requantize: bool) -> Result<Vec<Planned<'_>>, String> {
        let mut plan = Vec::new();
        for tensor in &source.tensors {
            let mut planned = Planned { tensor, dtype: tensor.dtype, instead_of: None };
            if tensor.known && tensor.shape.len() == 1 {
                planned.dtype = GgmlDType::F32;
            } else if tensor.known {
                if !allow_requantize && is_quantized(tensor.dtype) && is_larger(self.dtype(), tensor.dtype) {
                    return Err(self.pointless(tensor));
                }
                let wanted = self.wanted(&tensor.name, source);
                let fitting = fitting(wanted, tensor.columns());
                // A finer type than the target's own makes nothing better of what is coarse already.
                let grows = is_quantized(tensor.dtype) && is_larger(fitting, tensor.dtype);
                if allow_requantize || !grows {
                    planned.dtype = fitting;
                    planned.instead_of = (fitting != wanted).then_some(wanted);
                }
            }
            plan.push(planned);
        }
        Ok(plan)
    }

    /// The type of the matrix called `name` if its rows are long enough. Which of them deserve more bits is
    /// llama.cpp's choice for files of these types, so that sizes and figures can be compared.
    fn wanted(self, name: &str, source: &Source) -> GgmlDType {
        let finer = match self {
            Target::Q8_0 | Target::F16 => false,
            _ if name == "output.weight" || (source.tied && name == "token_embd.weight") => true,
            Target::Q4_0 => false,
            Target::Q4_K => {
                let layer = layer(name).filter(|_| name.contains("attn_v") || name.contains("ffn_down"));
                layer.is_some_and(|layer| is_sensitive(layer, source.layers))
            }
        };
        if finer { GgmlDType::Q6K } else { self.dtype() }
    }

    fn pointless(self, tensor: &Tensor) -> String {
        let (name, has, to) = (&tensor.name, types::name(tensor.dtype), types::name(self.dtype()));
        format!(
            "tensor {name} is {has} already, and as {to} it would be larger but no better: what was rounded away does \
             not come back; use the model in f32, f16 or bf16, or a type no larger than {has} (--allow-requantize does \
             it anyway)"
        )
    }
}

/// The layer of a tensor called `blk.N.…`.
fn layer(name: &str) -> Option<usize> {
    name.strip_prefix("blk.")?.split('.').next()?.parse().ok()
}

/// The first and the last eighth of the layers, and each third one between.
fn is_sensitive(layer: usize, layers: usize) -> bool {
    let eighth = layers / 8;
    layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2
}

/// `wanted`, or the type that takes its place where rows of `columns` are no whole number of its blocks.
fn fitting(wanted: GgmlDType, columns: usize) -> GgmlDType {
    let smaller = match wanted {
        GgmlDType::Q4K => GgmlDType::Q5_0,
        GgmlDType::Q6K => GgmlDType::Q8_0,
        other => other,
    };
    let fits = |dtype: &GgmlDType| columns.is_multiple_of(dtype.block_size());
    [wanted, smaller].into_iter().find(fits).unwrap_or(GgmlDType::F16)
}
