//! A vocabulary of Qwen's size for a model of noise, made of nothing but this file.
//!
//! Texts should cost about as many tokens as with the real one: a Chinese character is a token, and so are the words that
//! the prompts are made of. Control tokens have their true numbers; what is left over is filled with names.

use super::shape::VOCABULARY;
use std::collections::HashMap;

/// Words that are one token, longer ones after the shorter ones that they contain.
const WORDS: [&str; 24] = [
    "system",
    "user",
    "assistant",
    "正面",
    "负面",
    "情感",
    "情绪",
    "用户",
    "分析",
    "一个",
    "关注",
    "判断",
    "下面",
    "回答",
    "文本",
    "友善",
    "助手",
    "根据",
    "状态",
    "给予",
    "适当",
    "回应",
    "只有",
    "我们",
];

/// From U+4E00 on the ideographs, before them the punctuation that goes with them.
const CHARACTERS: [std::ops::RangeInclusive<char>; 3] =
    ['\u{3001}'..='\u{3011}', '\u{FF01}'..='\u{FF5E}', '\u{4E00}'..='\u{9FFF}'];

/// Number and spelling of the control tokens.
const CONTROL: [(usize, &str); 3] = [(151_643, "<|endoftext|>"), (151_644, "<|im_start|>"), (151_645, "<|im_end|>")];
/// What Qwen3 has besides; they may be shown.
const THOUGHT: [(usize, &str); 2] = [(151_667, "<think>"), (151_668, "</think>")];

/// GGUF's token types.
const NORMAL: i32 = 1;
const CONTROL_TYPE: i32 = 3;
const USER_DEFINED: i32 = 4;

/// The tokenizer's part of a GGUF file.
pub struct Vocabulary {
    pub tokens: Vec<String>,
    pub types: Vec<i32>,
    /// Each two tokens with a space between them.
    pub merges: Vec<String>,
}

impl Vocabulary {
    pub fn new(thinks: bool) -> Self {
        let alphabet = byte_alphabet();
        let mut growing = Growing { known: HashMap::new(), tokens: Vec::new(), merges: Vec::new() };
        for &character in &alphabet {
            growing.add(character.to_string());
        }
        let spelled =
            |text: &str| -> Vec<String> { text.bytes().map(|byte| alphabet[usize::from(byte)].to_string()).collect() };
        for character in CHARACTERS.into_iter().flatten() {
            growing.join(&spelled(&character.to_string()));
        }
        for word in WORDS {
            let parts: Vec<String> = match word.is_ascii() {
                true => spelled(word),
                false => word.chars().map(|character| spelled(&character.to_string()).concat()).collect(),
            };
            growing.join(&parts);
        }
        let Growing { mut tokens, merges, .. } = growing;
        tokens.extend((tokens.len()..VOCABULARY).map(|id| format!("[unused{id}]")));
        let mut types = vec![NORMAL; VOCABULARY];
        for (id, content) in CONTROL {
            (tokens[id], types[id]) = (content.to_owned(), CONTROL_TYPE);
        }
        for (id, content) in THOUGHT.into_iter().filter(|_| thinks) {
            (tokens[id], types[id]) = (content.to_owned(), USER_DEFINED);
        }
        Self { tokens, types, merges }
    }
}

/// Tokens and how they come about, in order.
struct Growing {
    known: HashMap<String, usize>,
    tokens: Vec<String>,
    merges: Vec<String>,
}

impl Growing {
    fn add(&mut self, token: String) -> bool {
        let new = !self.known.contains_key(&token);
        if new {
            self.known.insert(token.clone(), self.tokens.len());
            self.tokens.push(token);
        }
        new
    }

    /// Makes one token of `parts`, which are tokens, from the left.
    fn join(&mut self, parts: &[String]) {
        let mut joined = parts[0].clone();
        for part in &parts[1..] {
            let merge = format!("{joined} {part}");
            joined += part;
            if self.add(joined.clone()) {
                self.merges.push(merge);
            }
        }
    }
}

/// The character that stands for each byte in the spelling of tokens: printable Latin-1 for itself, the others for those
/// from U+0100 on (as OpenAI's GPT-2 began it, `bytes_to_unicode` in encoder.py).
fn byte_alphabet() -> Vec<char> {
    let mut stand_ins = '\u{100}'..;
    let shown = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let character = |byte: u8| match shown(byte) {
        true => Some(char::from(byte)),
        false => stand_ins.next(),
    };
    (0..=u8::MAX).filter_map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_true_size_and_no_token_twice() {
        let vocabulary = Vocabulary::new(true);
        let distinct: std::collections::HashSet<_> = vocabulary.tokens.iter().collect();
        assert_eq!((vocabulary.tokens.len(), distinct.len()), (VOCABULARY, VOCABULARY));
        assert_eq!(vocabulary.tokens[151_645], "<|im_end|>");
    }

    #[test]
    fn each_merge_joins_two_tokens_to_one() {
        let vocabulary = Vocabulary::new(false);
        let tokens: std::collections::HashSet<&str> = vocabulary.tokens.iter().map(String::as_str).collect();
        for merge in &vocabulary.merges {
            let (left, right) = merge.split_once(' ').expect("two tokens");
            assert!([left, right, &format!("{left}{right}")].iter().all(|token| tokens.contains(token)), "{merge}");
        }
    }
}
