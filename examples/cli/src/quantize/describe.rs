//! What a GGUF file says of a model from Hugging Face.

use super::metadata::Metadata;
use super::vocabulary::Vocabulary;
use qaio::engine::{Config, Family};
use serde_json::Value;

/// The settings in a model's directory; null what is not there.
pub struct Settings {
    /// `config.json`
    pub config: Value,
    /// The same as it is written.
    pub config_text: String,
    /// `generation_config.json`
    pub generation: Value,
    /// `tokenizer_config.json`
    pub tokenizer: Value,
    /// The chat template.
    pub template: Option<String>,
}

/// The metadata of the model called `name`, but for the types of its tensors.
pub fn metadata(name: &str, config: &Config, settings: &Settings, vocabulary: &Vocabulary) -> Metadata {
    let mut metadata = Metadata::default();
    metadata.set_text("general.architecture", config.family.name());
    metadata.set_text("general.type", "model");
    metadata.set_text("general.name", name);
    sampling(&mut metadata, &settings.generation);
    shape(&mut metadata, config);
    tokens(&mut metadata, settings, vocabulary);
    metadata
}

fn shape(metadata: &mut Metadata, config: &Config) {
    let key = |name: &str| format!("{}.{name}", config.family.name());
    let mut set = |name: &str, value: usize| metadata.set_u32(key(name), value as u32);
    set("block_count", config.layers);
    set("context_length", config.context);
    set("embedding_length", config.hidden_size);
    set("feed_forward_length", config.intermediate_size);
    set("attention.head_count", config.heads);
    set("attention.head_count_kv", config.kv_heads);
    // Without them the width of a head is the model's divided by the heads.
    if config.family == Family::Qwen3 || config.head_dim * config.heads != config.hidden_size {
        set("attention.key_length", config.head_dim);
        set("attention.value_length", config.head_dim);
    }
    set("vocab_size", config.vocab_size);
    metadata.set_f32(key("rope.freq_base"), config.rope_theta);
    metadata.set_f32(key("attention.layer_norm_rms_epsilon"), config.rms_norm_eps);
}

/// How the model's makers want it sampled; nothing for a model that is not.
fn sampling(metadata: &mut Metadata, generation: &Value) {
    if generation.get("do_sample").and_then(Value::as_bool) == Some(true) {
        let temperature = generation.get("temperature").and_then(Value::as_f64).unwrap_or(1.0);
        metadata.set_f32("general.sampling.temp", temperature as f32);
    }
    if let Some(top_k) = generation.get("top_k").and_then(Value::as_i64).and_then(|k| i32::try_from(k).ok()) {
        metadata.set_i32("general.sampling.top_k", top_k);
    }
    for (name, key) in [("top_p", "top_p"), ("min_p", "min_p"), ("repetition_penalty", "penalty_repeat")] {
        if let Some(value) = generation.get(name).and_then(Value::as_f64) {
            metadata.set_f32(format!("general.sampling.{key}"), value as f32);
        }
    }
}

fn tokens(metadata: &mut Metadata, settings: &Settings, vocabulary: &Vocabulary) {
    metadata.set_text("tokenizer.ggml.model", "gpt2");
    metadata.set_text("tokenizer.ggml.pre", "qwen2");
    metadata.set_texts("tokenizer.ggml.tokens", &vocabulary.tokens);
    metadata.set_i32s("tokenizer.ggml.token_type", &vocabulary.types);
    metadata.set_texts("tokenizer.ggml.merges", &vocabulary.merges);

    // By name where the tokenizer's settings have one, else by number.
    let id = |name: &str| {
        let named = match settings.tokenizer.get(format!("{name}_token")) {
            Some(Value::Object(token)) => token.get("content").and_then(Value::as_str),
            other => other.and_then(Value::as_str),
        };
        let numbered = || ids(settings, &format!("{name}_token_id")).first().copied();
        named.and_then(|name| vocabulary.added(name)).or_else(numbered)
    };
    let (end, padding) = (id("eos"), id("pad"));
    // A reply also ends at whatever else the settings name.
    let other_end = ids(settings, "eos_token_id").into_iter().find(|&id| Some(id) != end && Some(id) != padding);
    for (name, id) in [("eos", end), ("eot", other_end), ("padding", padding), ("bos", id("bos"))] {
        if let Some(id) = id.filter(|&id| (id as usize) < vocabulary.tokens.len()) {
            metadata.set_u32(format!("tokenizer.ggml.{name}_token_id"), id);
        }
    }
    metadata.set_bool("tokenizer.ggml.add_bos_token", false);
    if let Some(template) = &settings.template {
        metadata.set_text("tokenizer.chat_template", template);
    }
}

/// The ids that the generation's and the model's settings have under `key`: one, or a list of them.
fn ids(settings: &Settings, key: &str) -> Vec<u32> {
    let one = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let of = |value: &Value| match value {
        Value::Array(values) => values.iter().filter_map(one).collect(),
        value => one(value).into_iter().collect::<Vec<_>>(),
    };
    [&settings.generation, &settings.config].into_iter().filter_map(|json| json.get(key)).flat_map(of).collect()
}
