//! A directory from Hugging Face as a source: configuration, tokenizer and safetensors become what a GGUF file says.

use super::describe::{self, Settings};
use super::source::{Source, Tensor, misshapen, missing, unreadable};
use super::{names, safetensors_file, vocabulary};
use crate::failure::Failure;
use candle_core::quantized::GgmlDType;
use qaio::engine::{Config, Markup, Tokenizer, chat_template, safetensors_files};
use safetensors::Dtype;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What Hugging Face's files hold beside the weights of the architecture, and nothing is lost without.
const KNOWN_EXTRAS: [&str; 2] = ["lm_head.weight", "rotary_emb.inv_freq"];

/// The model in the directory at `path`.
pub fn open(path: &Path) -> Result<Source, Failure> {
    let settings = settings(path)?;
    let config_path = path.join("config.json");
    let config = Config::from_json(&settings.config_text).map_err(|error| error.at(config_path.display()))?;

    let tokenizer_path = path.join("tokenizer.json");
    let json = read(&tokenizer_path)?;
    let at = |error: qaio::Error| error.at(tokenizer_path.display());
    // The library knows best whether it will be able to use the result.
    let tokenizer = Tokenizer::from_json(&json).map_err(at)?;
    Markup::new(&tokenizer, config.family, settings.template.as_deref()).map_err(at)?;
    drop(tokenizer);
    let vocabulary = vocabulary::read(&json, config.vocab_size)
        .map_err(|message| Failure::Message(format!("{}: {message}", tokenizer_path.display())))?;

    let mut weights = Weights::find(path)?;
    let config = Config { tied: config.tied || !weights.tensors.contains_key("lm_head.weight"), ..config };
    let mut tensors = Vec::new();
    for part in names::parts(&config) {
        let Some(tensor) = weights.tensors.remove(&part.hugging_face) else {
            return Err(missing(path, &part.hugging_face));
        };
        if tensor.shape != part.shape {
            return Err(misshapen(&weights.files[tensor.file], &part.hugging_face, &tensor.shape, &part.shape));
        }
        tensors.push(Tensor { name: part.gguf, ..tensor });
    }
    let mut left_out: Vec<String> = weights.tensors.into_keys().collect();
    left_out.retain(|name| !KNOWN_EXTRAS.iter().any(|known| name.ends_with(known)));
    left_out.sort_unstable();

    Ok(Source {
        metadata: describe::metadata(&name(path), &config, &settings, &vocabulary),
        tensors,
        files: weights.files,
        bytes: weights.bytes,
        alignment: 32,
        layers: config.layers,
        tied: config.tied,
        left_out,
    })
}

/// The name of the directory, whatever way it is written.
fn name(path: &Path) -> String {
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    full.file_name().map_or_else(|| full.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn settings(path: &Path) -> Result<Settings, Failure> {
    let config_text = text(&path.join("config.json"))?;
    let tokenizer = optional_json(&path.join("tokenizer_config.json"))?;
    let template = match std::fs::read_to_string(path.join("chat_template.jinja")) {
        Ok(template) => Some(template),
        Err(_) => chat_template(&tokenizer),
    };
    Ok(Settings {
        config: serde_json::from_str(&config_text).unwrap_or_default(),
        config_text,
        generation: optional_json(&path.join("generation_config.json"))?,
        tokenizer,
        template,
    })
}

/// The tensors of all weight files.
struct Weights {
    tensors: HashMap<String, Tensor>,
    files: Vec<PathBuf>,
    bytes: u64,
}

impl Weights {
    fn find(directory: &Path) -> Result<Self, Failure> {
        let mut weights = Self { tensors: HashMap::new(), files: Vec::new(), bytes: 0 };
        for name in safetensors_files(directory)? {
            let path = directory.join(&name);
            if !path.exists() {
                return Err(Failure::Message(format!(
                    "{} is listed in model.safetensors.index.json but missing; fetch the model again",
                    path.display()
                )));
            }
            weights.add(path)?;
        }
        Ok(weights)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), Failure> {
        let header = safetensors_file::read(&path)?;
        for (name, info) in header.tensors {
            let dtype = match info.dtype {
                Dtype::F32 => GgmlDType::F32,
                Dtype::F16 => GgmlDType::F16,
                Dtype::BF16 => GgmlDType::BF16,
                other => {
                    return Err(Failure::Message(format!(
                        "{}: tensor {name} has type {other:?}; F32, F16 and BF16 are supported",
                        path.display()
                    )));
                }
            };
            let tensor = Tensor {
                name: String::new(),
                own_name: name.clone(),
                dtype,
                shape: info.shape,
                file: self.files.len(),
                offset: header.data + info.data_offsets.0 as u64,
                known: true,
            };
            self.tensors.insert(name, tensor);
        }
        self.bytes += header.length;
        self.files.push(path);
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::Message(format!(
            "{} is missing; a model directory needs config.json, tokenizer.json and safetensors",
            path.display()
        )),
        _ => unreadable(path, &error),
    })
}

fn text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?)
        .map_err(|error| Failure::Message(format!("{} is not UTF-8; fetch it again: {error}", path.display())))
}

/// The JSON of a file that a model may lack; null if it does.
fn optional_json(path: &Path) -> Result<Value, Failure> {
    if !path.exists() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text(path)?)
        .map_err(|error| Failure::Message(format!("{} is not valid JSON; fetch it again: {error}", path.display())))
}
