//! `generation_config.json`: how the model's makers want it sampled, and which tokens end a reply.

use super::Sampling;
use super::gguf::Gguf;
use serde_json::Value;

/// Defaults of generation.
#[derive(Clone, Debug, Default)]
pub struct GenerationConfig {
    /// How to pick tokens.
    pub sampling: Sampling,
    /// Tokens that end a reply.
    pub end_ids: Vec<u32>,
}

/// What a model without a setting of its own gets when it samples at all, as in transformers.
const TEMPERATURE: f64 = 1.0;

impl GenerationConfig {
    /// From the parsed `generation_config.json` (or null) and the parsed `config.json`. What is absent or of the wrong
    /// type keeps its default: these files only advise.
    pub(crate) fn from_json(generation: &Value, config: &Value) -> Self {
        let float = |key: &str, default: f64| generation.get(key).and_then(Value::as_f64).unwrap_or(default) as f32;
        let samples = generation.get("do_sample").and_then(Value::as_bool).unwrap_or(false);
        let sampling = Sampling {
            temperature: if samples { float("temperature", TEMPERATURE) } else { 0.0 },
            top_k: generation.get("top_k").and_then(Value::as_u64).unwrap_or(0) as usize,
            top_p: float("top_p", 1.0),
            min_p: float("min_p", 0.0),
            repetition_penalty: float("repetition_penalty", 1.0),
            seed: 0,
        };
        let end_ids = [generation, config].into_iter().flat_map(|json| ids(json.get("eos_token_id"))).collect();
        Self { sampling: sane(sampling), end_ids }
    }

    /// From a GGUF file's metadata.
    pub(crate) fn from_gguf(gguf: &Gguf) -> Self {
        let float = |key: &str, default: f64| gguf.float(&format!("general.sampling.{key}")).unwrap_or(default) as f32;
        let sampling = Sampling {
            temperature: float("temp", 0.0),
            top_k: gguf.int("general.sampling.top_k").map_or(0, |n| n.max(0) as usize),
            top_p: float("top_p", 1.0),
            min_p: float("min_p", 0.0),
            repetition_penalty: float("penalty_repeat", 1.0),
            seed: 0,
        };
        let keys = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.padding_token_id"];
        let end_ids = keys.iter().filter_map(|key| u32::try_from(gguf.int(key)?).ok()).collect();
        Self { sampling: sane(sampling), end_ids }
    }
}

/// Values out of range fall back to their default.
fn sane(sampling: Sampling) -> Sampling {
    let or = |value: f32, fine: bool, default: f32| if fine { value } else { default };
    let Sampling { temperature: t, top_p: p, min_p: m, repetition_penalty: r, .. } = sampling;
    Sampling {
        temperature: or(t, t.is_finite() && t >= 0.0, 0.0),
        top_p: or(p, p > 0.0 && p <= 1.0, 1.0),
        min_p: or(m, (0.0..=1.0).contains(&m), 0.0),
        repetition_penalty: or(r, r.is_finite() && r > 0.0, 1.0),
        ..sampling
    }
}

/// One id or a list of them.
fn ids(value: Option<&Value>) -> Vec<u32> {
    let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Some(Value::Array(values)) => values.iter().filter_map(one).collect(),
        Some(value) => one(value).into_iter().collect(),
        None => Vec::new(),
    }
}
