//! Reads `tokenizer.json`. The file is not trusted: what is large in a real one is bounded while it is read, and what is
//! small in a real one is refused when it is large, so that no file makes more memory of itself than its size allows.

use super::tokenizer::{Added, MAX_TOKENS, builder, corrupt};
use crate::error::{Result, fail};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

/// What the file says.
pub(super) struct Parts {
    pub(super) model: BPE,
    pub(super) normalizer: Option<NormalizerWrapper>,
    pub(super) pre_tokenizer: Option<PreTokenizerWrapper>,
    pub(super) added: HashMap<u32, Added>,
}

/// The most bytes of JSON of a normaliser or a pre-tokeniser; Qwen's take a few hundred.
const MAX_RULES: usize = 1 << 16;

/// Reads the bytes of `tokenizer.json`.
///
/// # Errors
/// `ModelCorrupt` when they are not a tokenizer with a BPE model, `ModelUnsupported` for what no Qwen has.
pub(super) fn read(json: &[u8]) -> Result<Parts> {
    let file: TokenizerJson = serde_json::from_slice(json).map_err(|error| corrupt(error.into()))?;
    let added = file.added_tokens.into_iter();
    Ok(Parts {
        normalizer: rules("normalizer", file.normalizer)?,
        pre_tokenizer: rules("pre_tokenizer", file.pre_tokenizer)?,
        added: added.map(|token| (token.id, Added { content: token.content, control: token.special })).collect(),
        model: file.model.build()?,
    })
}

/// The parts of `tokenizer.json` that matter here. What is small in a real file is left as it is at first, so that what
/// should be small cannot fill the memory.
#[derive(Deserialize)]
struct TokenizerJson<'a> {
    model: BpeJson,
    #[serde(borrow)]
    normalizer: Option<&'a RawValue>,
    #[serde(borrow)]
    pre_tokenizer: Option<&'a RawValue>,
    #[serde(default, deserialize_with = "bounded")]
    added_tokens: Vec<AddedJson>,
}

/// The model, read here rather than by `tokenizers`, which holds all merges twice while it finds out which of two ways
/// they are written in.
#[derive(Deserialize)]
struct BpeJson {
    r#type: Option<String>,
    #[serde(deserialize_with = "vocabulary")]
    vocab: Vocab,
    #[serde(deserialize_with = "bounded")]
    merges: Vec<Merge>,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    fuse_unk: bool,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

#[derive(Deserialize)]
struct AddedJson {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

impl BpeJson {
    fn build(self) -> Result<BPE> {
        if let Some(kind) = self.r#type.filter(|kind| kind != "BPE") {
            fail!(ModelUnsupported, "its model is of type \"{kind}\"; Qwen's is BPE");
        }
        let affixes = [
            ("continuing_subword_prefix", self.continuing_subword_prefix),
            ("end_of_word_suffix", self.end_of_word_suffix),
        ];
        for (key, affix) in affixes {
            if let Some(affix) = affix.filter(|affix| !affix.is_empty()) {
                fail!(ModelUnsupported, "its {key} is \"{affix}\"; Qwen's has none");
            }
        }
        let merges = self.merges.into_iter().map(|Merge(left, right)| (left, right)).collect();
        let mut builder = builder(self.vocab, merges)?
            .ignore_merges(self.ignore_merges)
            .byte_fallback(self.byte_fallback)
            .fuse_unk(self.fuse_unk);
        if let Some(unknown) = self.unk_token {
            builder = builder.unk_token(unknown);
        }
        builder.build().map_err(corrupt)
    }
}

/// The rules under `key`, if there are any.
fn rules<T: DeserializeOwned>(key: &str, json: Option<&RawValue>) -> Result<Option<T>> {
    let Some(json) = json else { return Ok(None) };
    let length = json.get().len();
    if length > MAX_RULES {
        fail!(ModelUnsupported, "{key} has {length} bytes; Qwen's has a few hundred, and {MAX_RULES} are read at most");
    }
    serde_json::from_str(json.get()).map(Some).map_err(|error| corrupt(error.into()))
}

/// Reads a map from token to id, and gives up when it passes [`MAX_TOKENS`].
fn vocabulary<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vocab, D::Error> {
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = Vocab;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            write!(formatter, "a map of at most {MAX_TOKENS} tokens to their ids")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Vocab, A::Error> {
            let mut entries = Vocab::default();
            while let Some((token, id)) = map.next_entry()? {
                if entries.len() == MAX_TOKENS {
                    return Err(A::Error::invalid_length(MAX_TOKENS + 1, &self));
                }
                entries.insert(token, id);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_map(Entries)
}

/// Reads a list, and gives up when it passes [`MAX_TOKENS`].
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> std::result::Result<Vec<T>, D::Error> {
    struct Elements<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            write!(formatter, "a list of at most {MAX_TOKENS} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Vec<T>, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = list.next_element()? {
                if elements.len() == MAX_TOKENS {
                    return Err(A::Error::invalid_length(MAX_TOKENS + 1, &self));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }
    deserializer.deserialize_seq(Elements(PhantomData))
}

/// A merge, written as `"left right"` or as `["left", "right"]`.
struct Merge(String, String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Tokens;
        impl<'de> Visitor<'de> for Tokens {
            type Value = Merge;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("two tokens")
            }

            fn visit_str<E: Error>(self, text: &str) -> std::result::Result<Merge, E> {
                let (left, right) =
                    text.split_once(' ').ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))?;
                Ok(Merge(left.to_owned(), right.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Merge, A::Error> {
                match (list.next_element()?, list.next_element()?, list.next_element::<IgnoredAny>()?) {
                    (Some(left), Some(right), None) => Ok(Merge(left, right)),
                    _ => Err(A::Error::custom("a merge is not two tokens")),
                }
            }
        }
        deserializer.deserialize_any(Tokens)
    }
}
