//! Text to token ids and back. Text never becomes a control token, whatever it says.
//!
//! The byte-level BPE is Hugging Face's `tokenizers`. Its list of added tokens stays here, outside of it: control
//! tokens are written by number (see [`markup`](super::markup)), never looked for in text.

use super::bytes::{self, Access};
use super::gguf::{Gguf, Value};
use super::tokenizer_json;
use crate::error::{Error, ErrorKind, Result, fail};
use std::collections::HashMap;
use tokenizers::models::bpe::{BPE, BpeBuilder, Vocab};
use tokenizers::{
    DecoderWrapper, Model, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerBuilder,
    TokenizerImpl,
};

type Bpe = TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// A byte-level BPE and the tokens beside it.
pub struct Tokenizer {
    bpe: Bpe,
    /// Added tokens by id.
    added: HashMap<u32, Added>,
    /// The byte behind each character of a token's spelling.
    bytes: HashMap<char, u8>,
    longest: usize,
}

/// A token beside the BPE.
pub(super) struct Added {
    pub(super) content: String,
    /// Control tokens are not shown in text.
    pub(super) control: bool,
}

/// The largest vocabulary, and as many merges. The largest of a Qwen so far is 248,320; a token and its merge take some
/// 300 bytes.
pub(super) const MAX_TOKENS: usize = 1 << 18;

/// Memory for a token or a merge while a tokenizer is read.
const PER_TOKEN: usize = 256;

/// Normaliser and pre-tokeniser of all Qwen models, which a GGUF file names ("qwen2") but does not contain.
const QWEN2_NORMALIZER: &str = r#"{"type":"NFC"}"#;
const QWEN2_PRE_TOKENIZER: &str = r#"{"type":"Sequence","pretokenizers":[
    {"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated","invert":false},
    {"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false,"use_regex":false}]}"#;

/// GGUF's token types.
const GGUF_NORMAL: i64 = 1;
const GGUF_CONTROL: i64 = 3;
const GGUF_USER_DEFINED: i64 = 4;

impl Tokenizer {
    /// From the bytes of `tokenizer.json`.
    ///
    /// # Errors
    /// `ModelCorrupt` when they are not a tokenizer with a BPE model.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let parts = tokenizer_json::read(json)?;
        Self::assemble(parts.model, parts.normalizer, parts.pre_tokenizer, parts.added)
    }

    /// From a GGUF file's metadata.
    ///
    /// # Errors
    /// `ModelCorrupt` when an entry is missing or contradicts another, `ModelUnsupported` for another kind of tokenizer.
    pub(crate) fn from_gguf(gguf: &Gguf) -> Result<Self> {
        let kind = gguf.text("tokenizer.ggml.model").unwrap_or("(none)");
        let split = gguf.text("tokenizer.ggml.pre").unwrap_or("(none)");
        if kind != "gpt2" || split != "qwen2" {
            fail!(ModelUnsupported, "tokenizer {kind}/{split} is not supported; Qwen's is gpt2/qwen2");
        }
        let Some(tokens) = gguf.array("tokenizer.ggml.tokens") else {
            fail!(ModelCorrupt, "tokenizer.ggml.tokens is missing");
        };
        let Some(merges) = gguf.array("tokenizer.ggml.merges") else {
            fail!(ModelCorrupt, "tokenizer.ggml.merges is missing");
        };
        for (count, what) in [(tokens.len(), "tokens"), (merges.len(), "merges")] {
            if count > MAX_TOKENS {
                fail!(ModelCorrupt, "{count} {what} are more than a tokenizer of Qwen has ({MAX_TOKENS} at most)");
            }
        }
        bytes::has_room((tokens.len() + merges.len()) * PER_TOKEN, Access::ReadWrite, "the tokenizer")?;
        let mut types = gguf.array("tokenizer.ggml.token_type").into_iter().flat_map(|types| types.iter());
        let mut vocabulary = Vocab::default();
        let mut added = HashMap::new();
        for (id, token) in (0u32..).zip(tokens.iter()) {
            let Value::Text(token) = token else { fail!(ModelCorrupt, "token {id} is not text") };
            match types.next() {
                None | Some(Value::Int(GGUF_NORMAL)) => {
                    vocabulary.insert(token.to_owned(), id);
                }
                Some(Value::Int(kind)) if kind == GGUF_CONTROL || kind == GGUF_USER_DEFINED => {
                    added.insert(id, Added { content: token.to_owned(), control: kind == GGUF_CONTROL });
                }
                // Unused rows that pad the vocabulary.
                Some(_) => {}
            }
        }
        let mut pairs = Vec::new();
        for merge in merges.iter() {
            let pair = match merge {
                Value::Text(text) => text.split_once(' '),
                _ => None,
            };
            let Some((left, right)) = pair else { fail!(ModelCorrupt, "merge {merge:?} is not two tokens") };
            pairs.push((left.to_owned(), right.to_owned()));
        }
        let model = builder(vocabulary, pairs)?.build().map_err(corrupt)?;
        let normalizer = serde_json::from_str(QWEN2_NORMALIZER).expect("a constant");
        let pre_tokenizer = serde_json::from_str(QWEN2_PRE_TOKENIZER).expect("a constant");
        Self::assemble(model, Some(normalizer), Some(pre_tokenizer), added)
    }

    fn assemble(
        model: BPE,
        normalizer: Option<NormalizerWrapper>,
        pre_tokenizer: Option<PreTokenizerWrapper>,
        added: HashMap<u32, Added>,
    ) -> Result<Self> {
        let bpe = TokenizerBuilder::default()
            .with_model(model)
            .with_normalizer(normalizer)
            .with_pre_tokenizer(pre_tokenizer)
            .with_post_processor(None)
            .with_decoder(None)
            .build()
            .map_err(corrupt)?;
        // The spelling has at least as many bytes as the token.
        let tokens = 0..bpe.get_model().get_vocab_size() as u32;
        let longest = tokens.filter_map(|id| bpe.get_model().id_to_token(id)).map(|spelling| spelling.len()).max();
        Ok(Self { longest: longest.unwrap_or(1), bpe, added, bytes: byte_alphabet() })
    }

    /// Tokens of `text`. None of them is a control token.
    ///
    /// # Errors
    /// `Internal` if the tokenizer fails on valid UTF-8, which would be a bug.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        match self.bpe.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(error) => Err(Error::new(ErrorKind::Internal, "the tokenizer failed").caused_by(error)),
        }
    }

    /// The id of the added token written `content`, such as `<|im_end|>`.
    pub fn added(&self, content: &str) -> Option<u32> {
        self.added.iter().find(|(_, token)| token.content == content).map(|(&id, _)| id)
    }

    /// Appends the bytes that token `id` stands for; a control token stands for none. They may end inside a character.
    pub fn decode_into(&self, id: u32, out: &mut Vec<u8>) {
        if let Some(added) = self.added.get(&id) {
            if !added.control {
                out.extend_from_slice(added.content.as_bytes());
            }
        } else if let Some(spelling) = self.bpe.get_model().id_to_token(id) {
            out.extend(spelling.chars().filter_map(|c| self.bytes.get(&c)));
        }
    }

    /// Text of more bytes than this has more than `tokens` tokens, so it need not be encoded to know that.
    pub fn most_bytes(&self, tokens: usize) -> usize {
        // Composing characters (NFC) shortens text to a third at most.
        tokens.saturating_mul(3 * self.longest)
    }

    /// Tokens, added ones included.
    pub fn len(&self) -> usize {
        self.bpe.get_model().get_vocab_size() + self.added.len()
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The largest id plus one; the model's embedding must have as many rows.
    pub(crate) fn id_limit(&self) -> usize {
        let added = self.added.keys().map(|&id| id as usize + 1).max().unwrap_or(0);
        // Ids of the BPE are dense from 0 in every Qwen; a gap would make this bound too low, not unsafe.
        added.max(self.bpe.get_model().get_vocab_size())
    }
}

/// A builder of a BPE model with these tokens and merges.
///
/// # Errors
/// `ModelCorrupt` when a merge makes a token longer than any there is, which `tokenizers` 0.23 would panic over; it finds
/// out itself about one that makes no token at all.
pub(super) fn builder(vocabulary: Vocab, merges: Vec<(String, String)>) -> Result<BpeBuilder> {
    let longest = vocabulary.keys().map(String::len).max().unwrap_or(0);
    if let Some((left, right)) = merges.iter().find(|(left, right)| left.len() + right.len() > longest) {
        fail!(ModelCorrupt, "there is no token for the merge of {left:?} and {right:?}; fetch the tokenizer again");
    }
    // Its cache would be one per thread, which grows, outlives the model, and is gone when a thread makes its last calls.
    Ok(BPE::builder().vocab_and_merges(vocabulary, merges).cache_capacity(0))
}

pub(super) fn corrupt(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::new(ErrorKind::ModelCorrupt, "not a usable BPE tokenizer; fetch it again").caused_by(error)
}

/// GPT-2's printable stand-ins for bytes (`bytes_to_unicode` in OpenAI's encoder.py): printable Latin-1 stands for
/// itself, the rest for U+0100 and up, in order.
fn byte_alphabet() -> HashMap<char, u8> {
    let mut stand_in = 0x100;
    (0..=u8::MAX)
        .map(|byte| {
            let shown = match byte {
                b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
                _ => {
                    stand_in += 1;
                    char::from_u32(stand_in - 1).expect("below U+0144")
                }
            };
            (shown, byte)
        })
        .collect()
}
