//! Where a model comes from: a Hugging Face directory, a GGUF file, or bytes in memory.

use super::bytes::{self, Access, Bytes, io_error};
use super::checkpoint::Checkpoint;
use super::gguf::Gguf;
use super::pool::Pool;
use super::qwen::Qwen;
use super::{Config, GenerationConfig, Interrupt, Markup, Precision, Tokenizer};
use crate::error::{Error, ErrorKind, Result, fail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model that can be loaded.
#[derive(Clone, Debug)]
pub enum Source {
    /// A Hugging Face directory, or a GGUF file.
    Path(PathBuf),
    /// The bytes of a GGUF file.
    Memory(Arc<Vec<u8>>),
    /// A GGUF file compiled into the program.
    Static {
        /// What to call it.
        name: &'static str,
        /// The file.
        data: &'static [u8],
    },
}

impl Source {
    /// A copy of `data`, the bytes of a GGUF file.
    ///
    /// # Errors
    /// `OutOfMemory`.
    pub fn memory(data: &[u8]) -> Result<Self> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(data.len()).map_err(|_| Error::out_of_memory("a copy of the model", data.len()))?;
        copy.extend_from_slice(data);
        Ok(Source::Memory(Arc::new(copy)))
    }
}

/// How to read a source.
#[derive(Clone, Copy)]
pub(crate) struct Loading<'a> {
    pub(crate) precision: Precision,
    /// Whether files are mapped, rather than copied into memory.
    pub(crate) mmap: bool,
    /// The threads that convert.
    pub(crate) pool: &'a Arc<Pool>,
    /// Checked before each tensor.
    pub(crate) interrupt: &'a Interrupt,
}

/// What reading a source gives.
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) generation: GenerationConfig,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) markup: Markup,
    pub(crate) qwen: Qwen,
}

impl Source {
    /// Reads and checks everything.
    pub(crate) fn read(&self, how: Loading) -> Result<Parts> {
        match self {
            Source::Path(path) => {
                let metadata = std::fs::metadata(path).map_err(|error| io_error(&error, path))?;
                if metadata.is_dir() {
                    read_directory(path, how)
                } else {
                    read_gguf(
                        Bytes::open(path, how.mmap)?,
                        &path.file_stem().unwrap_or_default().to_string_lossy(),
                        how,
                    )
                    .map_err(|error| error.at(path.display()))
                }
            }
            Source::Memory(data) => {
                read_gguf(Bytes::Owned(data.clone()), "(memory)", how).map_err(|error| error.at("the model in memory"))
            }
            Source::Static { name, data } => read_gguf(Bytes::Static(data), name, how),
        }
    }
}

fn read_directory(directory: &Path, how: Loading) -> Result<Parts> {
    let at = |name: &str| directory.join(name);
    let config_text = read_text(&at("config.json"))?;
    let config = Config::from_json(&config_text).map_err(|error| error.at(at("config.json").display()))?;
    let config_json: Value = serde_json::from_str(&config_text).unwrap_or_default();
    let generation_json = read_optional_json(&at("generation_config.json"))?;
    let generation = GenerationConfig::from_json(&generation_json, &config_json);

    // The tokenizer first: reading it takes memory for a moment, which must not come on top of the weights.
    let path = at("tokenizer.json");
    let json = read_file(&path, MAX_TOKENIZER)?;
    bytes::has_room(json.len().saturating_mul(TOKENIZER_PER_BYTE), Access::ReadWrite, "the tokenizer")?;
    let tokenizer = Tokenizer::from_json(&json).map_err(|error| error.at(path.display()))?;
    drop(json);
    let template = match read_text(&at("chat_template.jinja")) {
        Ok(template) => Some(template),
        Err(_) => chat_template(&read_optional_json(&at("tokenizer_config.json"))?),
    };
    let markup = Markup::new(&tokenizer, config.family, template.as_deref()).map_err(|e| e.at(path.display()))?;
    check_vocabulary(&tokenizer, &config).map_err(|error| error.at(path.display()))?;

    let checkpoint = Checkpoint::from_directory(directory, how)?;
    let qwen = Qwen::load(config.clone(), &checkpoint).map_err(|error| error.at(directory.display()))?;
    let full = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let name = full.file_name().map_or_else(|| full.display().to_string(), |name| name.to_string_lossy().into_owned());
    Ok(Parts { name, config, generation, tokenizer, markup, qwen })
}

fn read_gguf(file: Bytes, name: &str, how: Loading) -> Result<Parts> {
    let file = Arc::new(file);
    let gguf = Gguf::parse(file.as_slice())?;
    let config = Config::from_gguf(&gguf)?;
    let generation = GenerationConfig::from_gguf(&gguf);
    let tokenizer = Tokenizer::from_gguf(&gguf)?;
    let markup = Markup::new(&tokenizer, config.family, gguf.text("tokenizer.chat_template"))?;
    check_vocabulary(&tokenizer, &config)?;
    let checkpoint = Checkpoint::from_gguf(&file, &gguf, how);
    let name = gguf.text("general.name").unwrap_or(name).to_owned();
    let qwen = Qwen::load(config.clone(), &checkpoint)?;
    Ok(Parts { name, config, generation, tokenizer, markup, qwen })
}

fn check_vocabulary(tokenizer: &Tokenizer, config: &Config) -> Result<()> {
    let tokens = tokenizer.id_limit();
    if tokens > config.vocab_size {
        fail!(
            ModelCorrupt,
            "the tokenizer has ids up to {}, the model only {} rows; the files do not belong together",
            tokens - 1,
            config.vocab_size
        );
    }
    Ok(())
}

/// The template among the settings of `tokenizer_config.json`: text, or a list of named ones.
pub fn chat_template(settings: &Value) -> Option<String> {
    match settings.get("chat_template")? {
        Value::String(template) => Some(template.clone()),
        Value::Array(named) => {
            let default = named.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some("default"))?;
            default.get("template").and_then(Value::as_str).map(str::to_owned)
        }
        _ => None,
    }
}

/// The most bytes of `tokenizer.json`: several times what the largest of a Qwen has.
const MAX_TOKENIZER: u64 = 64 << 20;
/// Memory for a tokenizer while it is read, by the byte of its file. Qwen's take less than 6.
const TOKENIZER_PER_BYTE: usize = 8;
/// The most bytes of each other text beside the weights; they have a few kilobytes.
const MAX_TEXT: u64 = 1 << 20;

fn read_file(path: &Path, most: u64) -> Result<Vec<u8>> {
    bytes::read(path, most).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::new(
            ErrorKind::ModelIncomplete,
            format!(
                "{} is missing; a model directory needs config.json, tokenizer.json and safetensors",
                path.display()
            ),
        ),
        _ => error,
    })
}

fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_file(path, MAX_TEXT)?).map_err(|error| {
        Error::new(ErrorKind::ModelCorrupt, format!("{} is not UTF-8; fetch it again", path.display())).caused_by(error)
    })
}

/// The JSON of a file that a model may lack; null if it does.
fn read_optional_json(path: &Path) -> Result<Value> {
    match read_text(path) {
        Err(error) if error.kind() == ErrorKind::ModelIncomplete => Ok(Value::Null),
        Err(error) => Err(error),
        Ok(text) => serde_json::from_str(&text).map_err(|error| {
            Error::new(ErrorKind::ModelCorrupt, format!("{} is not valid JSON; fetch it again", path.display()))
                .caused_by(error)
        }),
    }
}
