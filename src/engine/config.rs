//! The shape of a model, from `config.json` or from a GGUF file's metadata, checked before anything is allocated.

use super::gguf::Gguf;
use crate::error::{Result, fail};
use serde_json::{Map, Value};

/// A family of models that share one architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Qwen1.5, Qwen2 and Qwen2.5: biases on the query, key and value projections.
    Qwen2,
    /// Qwen3 (dense): no biases, queries and keys normalised per head.
    Qwen3,
}

impl Family {
    /// The name that `config.json` (`model_type`) and GGUF (`general.architecture`) use.
    pub fn name(self) -> &'static str {
        match self {
            Family::Qwen2 => "qwen2",
            Family::Qwen3 => "qwen3",
        }
    }

    fn from_name(name: &str) -> Result<Self> {
        match name {
            "qwen2" => Ok(Family::Qwen2),
            "qwen3" => Ok(Family::Qwen3),
            other => fail!(
                ModelUnsupported,
                "architecture \"{other}\" is not supported; use a Qwen1.5, Qwen2 or Qwen2.5 (qwen2) or a dense Qwen3 (qwen3)"
            ),
        }
    }
}

/// The shape of a model.
#[derive(Clone, Debug)]
pub struct Config {
    /// Architecture.
    pub family: Family,
    /// Rows of the embedding; may be more than the tokenizer has tokens.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; `heads` is a multiple.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Base of the rotary embedding.
    pub rope_theta: f32,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f32,
    /// Most tokens of a prompt and its answer together.
    pub context: usize,
    /// Whether the output matrix is the embedding.
    pub tied: bool,
}

/// No model that this library is for is near these; a larger number is a damaged file.
const MAX_DIMENSION: u64 = 1 << 20;
const MAX_LAYERS: u64 = 1 << 10;

impl Config {
    /// From the text of `config.json`.
    ///
    /// # Errors
    /// `ModelCorrupt` for bad JSON or impossible numbers, `ModelUnsupported` for another architecture.
    pub fn from_json(text: &str) -> Result<Self> {
        let json: Value = match serde_json::from_str(text) {
            Ok(json) => json,
            Err(error) => fail!(ModelCorrupt, "not valid JSON ({error}); fetch it again"),
        };
        let Some(json) = json.as_object() else { fail!(ModelCorrupt, "not a JSON object; fetch it again") };
        let Some(name) = json.get("model_type").and_then(Value::as_str) else {
            fail!(ModelCorrupt, "model_type is missing");
        };
        let family = Family::from_name(name)?;
        refuse_unknown_variants(json)?;
        let heads = number(json, "num_attention_heads", None)?;
        let hidden_size = number(json, "hidden_size", None)?;
        // Newer files keep the base in `rope_parameters`, older ones at the top.
        let rope_theta = json
            .get("rope_theta")
            .or_else(|| json.get("rope_parameters").and_then(|parameters| parameters.get("rope_theta")))
            .map_or(Some(10_000.0), Value::as_f64);
        let config = Self {
            family,
            vocab_size: number(json, "vocab_size", None)?,
            hidden_size,
            intermediate_size: number(json, "intermediate_size", None)?,
            layers: number(json, "num_hidden_layers", None)?,
            heads,
            kv_heads: number(json, "num_key_value_heads", Some(heads))?,
            head_dim: number(json, "head_dim", Some(hidden_size / heads.max(1)))?,
            rope_theta: rope_theta.unwrap_or(f64::NAN) as f32,
            rms_norm_eps: json.get("rms_norm_eps").map_or(Some(1e-6), Value::as_f64).unwrap_or(f64::NAN) as f32,
            context: number(json, "max_position_embeddings", Some(32_768))?,
            tied: json.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
        };
        config.checked()
    }

    /// From a GGUF file's metadata.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Self> {
        let Some(architecture) = gguf.text("general.architecture") else {
            fail!(ModelCorrupt, "general.architecture is missing");
        };
        let family = Family::from_name(architecture)?;
        let int = |key: &str, default: Option<usize>| -> Result<usize> {
            let key = format!("{architecture}.{key}");
            match (gguf.int(&key), default) {
                (Some(n), _) if n > 0 && n as u64 <= MAX_DIMENSION => Ok(n as usize),
                (Some(n), _) => fail!(ModelCorrupt, "{key} is {n}; expected 1 to {MAX_DIMENSION}"),
                (None, Some(default)) => Ok(default),
                (None, None) => fail!(ModelCorrupt, "{key} is missing"),
            }
        };
        let float = |key: &str, default: f64| gguf.float(&format!("{architecture}.{key}")).unwrap_or(default) as f32;
        if let Some(scaling) = gguf.text(&format!("{architecture}.rope.scaling.type")).filter(|&kind| kind != "none") {
            fail!(ModelUnsupported, "rope scaling \"{scaling}\" is not supported; use the model without it");
        }
        let Some(embedding) = gguf.tensors.get("token_embd.weight") else {
            fail!(ModelCorrupt, "tensor token_embd.weight is missing");
        };
        let heads = int("attention.head_count", None)?;
        let hidden_size = int("embedding_length", None)?;
        let config = Self {
            family,
            vocab_size: embedding.shape[0],
            hidden_size,
            intermediate_size: int("feed_forward_length", None)?,
            layers: int("block_count", None)?,
            heads,
            kv_heads: int("attention.head_count_kv", Some(heads))?,
            head_dim: int("attention.key_length", Some(hidden_size / heads))?,
            rope_theta: float("rope.freq_base", 10_000.0),
            rms_norm_eps: float("attention.layer_norm_rms_epsilon", 1e-6),
            context: int("context_length", Some(32_768))?,
            tied: !gguf.tensors.contains_key("output.weight"),
        };
        config.checked()
    }

    fn checked(self) -> Result<Self> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            fail!(
                ModelCorrupt,
                "{} attention heads are not a multiple of {} key-value heads",
                self.heads,
                self.kv_heads
            );
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            fail!(ModelCorrupt, "head dimension {} is not even and positive", self.head_dim);
        }
        if self.layers as u64 > MAX_LAYERS {
            fail!(ModelCorrupt, "{} layers; expected at most {MAX_LAYERS}", self.layers);
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            fail!(ModelCorrupt, "rope_theta is not a positive number");
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps >= 0.0) {
            fail!(ModelCorrupt, "rms_norm_eps is not a small positive number");
        }
        Ok(self)
    }
}

/// Variants of the architecture that would load and then compute something else.
fn refuse_unknown_variants(json: &Map<String, Value>) -> Result<()> {
    if json.get("use_sliding_window").and_then(Value::as_bool) == Some(true) {
        fail!(ModelUnsupported, "use_sliding_window is true; attention over a sliding window is not supported");
    }
    let scaling = json.get("rope_scaling").filter(|scaling| !scaling.is_null()).or_else(|| json.get("rope_parameters"));
    let kind = scaling.and_then(|s| s.get("rope_type").or_else(|| s.get("type"))).and_then(Value::as_str);
    if let Some(kind) = kind.filter(|&kind| kind != "default") {
        fail!(ModelUnsupported, "rope scaling \"{kind}\" is not supported; set rope_scaling to null in config.json");
    }
    if let Some(activation) = json.get("hidden_act").and_then(Value::as_str).filter(|&name| name != "silu") {
        fail!(ModelUnsupported, "hidden_act \"{activation}\" is not supported; Qwen uses silu");
    }
    Ok(())
}

fn number(json: &Map<String, Value>, key: &str, default: Option<usize>) -> Result<usize> {
    match (json.get(key), default) {
        (None | Some(Value::Null), Some(default)) => Ok(default),
        (None | Some(Value::Null), None) => fail!(ModelCorrupt, "{key} is missing"),
        (Some(value), _) => match value.as_u64() {
            Some(n) if (1..=MAX_DIMENSION).contains(&n) => Ok(n as usize),
            _ => fail!(ModelCorrupt, "{key} is {value}; expected a number from 1 to {MAX_DIMENSION}"),
        },
    }
}
