//! The tokens of a `tokenizer.json` as GGUF lists them.

use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// GGUF's token types.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// How all Qwen models cut text before the merges; GGUF has only a name for it ("qwen2").
const QWEN2_SPLIT: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The tokens of a model.
pub struct Vocabulary {
    /// By id, one for each row of the embedding.
    pub tokens: Vec<String>,
    /// Of each token.
    pub types: Vec<i32>,
    /// Two tokens with a space between them, the first merged first.
    pub merges: Vec<String>,
    added: HashMap<String, u32>,
}

impl Vocabulary {
    /// The id of the added token written `content`, such as `<|im_end|>`.
    pub fn added(&self, content: &str) -> Option<u32> {
        self.added.get(content).copied()
    }
}

#[derive(Deserialize)]
struct TokenizerJson {
    model: Bpe,
    pre_tokenizer: Option<Value>,
    #[serde(default)]
    added_tokens: Vec<Added>,
}

#[derive(Deserialize)]
struct Bpe {
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

/// Newer files have pairs, older ones a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Text(String),
    Pair(String, String),
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

/// The tokens of `json`, filled up to `rows`.
///
/// # Errors
/// What is wrong with the file, without its name.
pub fn read(json: &[u8], rows: usize) -> Result<Vocabulary, String> {
    let file: TokenizerJson =
        serde_json::from_slice(json).map_err(|error| format!("not a usable BPE tokenizer; fetch it again: {error}"))?;
    if file.pre_tokenizer.as_ref().is_none_or(|value| splits(value) != [QWEN2_SPLIT]) {
        return Err("its pre_tokenizer is not Qwen's, and GGUF has no place for another; use the tokenizer.json that \
                    the model was published with"
            .to_owned());
    }
    let ids = file.model.vocab.values().copied().chain(file.added_tokens.iter().map(|token| token.id));
    if let Some(id) = ids.max().filter(|&id| id as usize >= rows) {
        return Err(format!(
            "the tokenizer has ids up to {id}, the model only {rows} rows; the files do not belong together"
        ));
    }
    let mut tokens: Vec<String> = (0..rows).map(|id| format!("[PAD{id}]")).collect();
    let mut types = vec![UNUSED; rows];
    for (token, id) in file.model.vocab {
        tokens[id as usize] = token;
        types[id as usize] = NORMAL;
    }
    let mut added = HashMap::new();
    for Added { id, content, special } in file.added_tokens {
        types[id as usize] = if special || looks_special(&content) { CONTROL } else { USER_DEFINED };
        tokens[id as usize].clone_from(&content);
        added.insert(content, id);
    }
    let merges = file.model.merges.into_iter().map(|merge| match merge {
        Merge::Text(text) => text,
        Merge::Pair(left, right) => format!("{left} {right}"),
    });
    Ok(Vocabulary { tokens, types, merges: merges.collect(), added })
}

/// Qwen marks some of its control tokens (`<|fim_prefix|>`) as text; readers of GGUF expect them as what they are.
fn looks_special(content: &str) -> bool {
    content.starts_with("<|") && content.ends_with("|>")
}

/// The expressions that a pre-tokeniser cuts at.
fn splits(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("Regex").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(splits)).collect()
        }
        Value::Array(values) => values.iter().flat_map(splits).collect(),
        _ => Vec::new(),
    }
}
