//! A GGUF file as a source: its metadata is carried over as it is.

use super::gguf_reader::{self, Head};
use super::metadata::Metadata;
use super::names;
use super::source::{Source, Tensor, misshapen, missing, unreadable};
use crate::failure::Failure;
use qaio::engine::Config;
use serde_json::json;
use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The model in the GGUF file at `path`.
pub fn open(path: &Path) -> Result<Source, Failure> {
    let at = |message: String| Failure::Message(format!("{}: {message}", path.display()));
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let length = file.metadata().map_err(|error| unreadable(path, &error))?.len();
    if length == 0 {
        return Err(Failure::Message(format!("{} is empty; fetch it again", path.display())));
    }
    let head = gguf_reader::read(BufReader::new(file), length).map_err(at)?;
    let config = config(&head).map_err(at)?;
    check_tokenizer(&head.metadata, config.vocab_size).map_err(at)?;

    let parts = names::parts(&config);
    for part in &parts {
        let Some(tensor) = head.tensors.iter().find(|tensor| tensor.name == part.gguf) else {
            return Err(missing(path, &part.gguf));
        };
        if tensor.shape != part.shape {
            return Err(misshapen(path, &part.gguf, &tensor.shape, &part.shape));
        }
    }
    let known: HashSet<String> = parts.into_iter().map(|part| part.gguf).collect();
    let tensors = head.tensors.into_iter().map(|info| Tensor {
        known: known.contains(&info.name),
        own_name: info.name.clone(),
        name: info.name,
        dtype: info.dtype,
        shape: info.shape,
        file: 0,
        offset: info.offset,
    });
    Ok(Source {
        tensors: tensors.collect(),
        metadata: head.metadata,
        files: vec![path.to_owned()],
        bytes: length,
        alignment: head.alignment,
        layers: config.layers,
        tied: config.tied,
        left_out: Vec::new(),
    })
}

/// The shape of the model. The library checks what a `config.json` says, so it is told in those words.
fn config(head: &Head) -> Result<Config, String> {
    let metadata = &head.metadata;
    let architecture = metadata.text("general.architecture").ok_or("general.architecture is missing")?;
    if metadata.int("split.count").is_some_and(|count| count > 1) {
        return Err("this is one part of a split file; merge the parts first, with llama-gguf-split --merge".to_owned());
    }
    let scaling = metadata.text(&format!("{architecture}.rope.scaling.type"));
    if let Some(scaling) = scaling.filter(|&kind| kind != "none") {
        return Err(format!("rope scaling \"{scaling}\" is not supported; use the model without it"));
    }
    let embedding = head.tensors.iter().find(|tensor| tensor.name == "token_embd.weight");
    let embedding = embedding.ok_or("tensor token_embd.weight is missing")?;
    let json = json!({
        "model_type": architecture,
        "vocab_size": embedding.shape[0],
        "tie_word_embeddings": !head.tensors.iter().any(|tensor| tensor.name == "output.weight"),
    });
    let mut json = json.as_object().cloned().unwrap_or_default();
    // Another architecture has other keys, so it is refused before they are looked for.
    let needed: &[(&str, &str)] = match architecture {
        "qwen2" | "qwen3" => &[
            ("attention.head_count", "num_attention_heads"),
            ("embedding_length", "hidden_size"),
            ("feed_forward_length", "intermediate_size"),
            ("block_count", "num_hidden_layers"),
        ],
        _ => &[],
    };
    let optional = [
        ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"),
        ("context_length", "max_position_embeddings"),
    ];
    for &(key, name) in needed.iter().chain(&optional) {
        let key = format!("{architecture}.{key}");
        match metadata.int(&key) {
            Some(n) if (1..=1 << 20).contains(&n) => json.insert(name.to_owned(), n.into()),
            Some(n) => return Err(format!("{key} is {n}; expected 1 to {}", 1 << 20)),
            None if needed.iter().any(|(_, needed)| *needed == name) => return Err(format!("{key} is missing")),
            None => None,
        };
    }
    for (key, name) in [("rope.freq_base", "rope_theta"), ("attention.layer_norm_rms_epsilon", "rms_norm_eps")] {
        if let Some(value) = metadata.float(&format!("{architecture}.{key}")) {
            json.insert(name.to_owned(), value.into());
        }
    }
    Config::from_json(&json!(json).to_string()).map_err(|error| error.to_string())
}

fn check_tokenizer(metadata: &Metadata, vocabulary: usize) -> Result<(), String> {
    let kind = metadata.text("tokenizer.ggml.model").unwrap_or("(none)");
    let split = metadata.text("tokenizer.ggml.pre").unwrap_or("(none)");
    if kind != "gpt2" || split != "qwen2" {
        return Err(format!("tokenizer {kind}/{split} is not supported; Qwen's is gpt2/qwen2"));
    }
    for key in ["tokenizer.ggml.tokens", "tokenizer.ggml.merges"] {
        if metadata.length(key).is_none() {
            return Err(format!("{key} is missing"));
        }
    }
    match metadata.length("tokenizer.ggml.tokens") {
        Some(tokens) if tokens > vocabulary as u64 => Err(format!(
            "the tokenizer has ids up to {}, the model only {vocabulary} rows; the files do not belong together",
            tokens - 1
        )),
        _ => Ok(()),
    }
}
