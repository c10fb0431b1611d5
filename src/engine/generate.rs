//! Decodes a reply token by token: sampling, the reasons to stop, and text as it comes.

use super::draft::Draft;
use super::{Engine, Interrupt, Kv, Prefill, Sampler, Sampling, Utf8Stream, finite};
use crate::error::{ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The model ended its turn.
    End,
    /// The most tokens allowed, or the end of the context, was reached.
    Length,
    /// A stop string appeared (it is not part of the text).
    StopString,
    /// The callback asked to stop.
    Callback,
    /// A cancel token was set.
    Cancelled,
    /// The deadline passed.
    Deadline,
}

impl StopReason {
    /// In lower case, as JSON results spell it.
    pub fn name(self) -> &'static str {
        match self {
            StopReason::End => "end",
            StopReason::Length => "length",
            StopReason::StopString => "stop_string",
            StopReason::Callback => "callback",
            StopReason::Cancelled => "cancelled",
            StopReason::Deadline => "deadline",
        }
    }
}

/// What to generate.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The whole prompt.
    pub prompt: &'a [u32],
    /// How to pick tokens.
    pub sampling: Sampling,
    /// Most tokens of the reply.
    pub max_tokens: usize,
    /// Texts that end the reply.
    pub stop: &'a [String],
}

/// What was generated.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The reply, without stop string and control tokens.
    pub text: String,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// The reply's tokens, the ending one excluded.
    pub tokens: Vec<u32>,
    /// What the prompt cost.
    pub prefill: Prefill,
    /// How many of the tokens were guessed beforehand (see `draft.rs`), and cost next to nothing.
    pub guessed: usize,
}

impl Engine {
    /// Generates a reply to `request.prompt`, using what `kv` holds of it already. `piece` gets the text in pieces of
    /// whole code points and may stop the reply.
    ///
    /// # Errors
    /// Those of [`Engine::prefill`]. When interrupted after the first token, the reply so far is returned instead.
    pub fn generate(
        &self,
        kv: &mut Kv,
        request: &Request,
        interrupt: &Interrupt,
        piece: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generated> {
        let (mut logits, prefill) = self.next_logits(kv, request.prompt, interrupt)?;
        let decoding = self.batcher.decoding();
        let mut sampler = Sampler::new(request.sampling);
        let mut seen = request.prompt.to_vec();
        let mut text = ReplyText::new(request.stop);
        // `logits` are those after what was seen and each of the `guessed` tokens; those in use are after `right` of them.
        let (mut draft, mut guessed, mut right) = (Draft::new(), Vec::new(), 0);
        let mut guessed_right = 0;
        let stop_reason = loop {
            let left = request.prompt.len().saturating_add(request.max_tokens).min(self.context()) - seen.len();
            if left == 0 {
                break StopReason::Length;
            }
            let vocabulary = self.config.vocab_size;
            let token = sampler.pick(&mut logits[right * vocabulary..][..vocabulary], &seen);
            if self.is_end(token) {
                break StopReason::End;
            }
            seen.push(token);
            self.tokenizer().decode_into(token, text.stream.buffer());
            if let Some(reason) = text.advance(piece) {
                break reason;
            }
            if guessed.get(right) == Some(&token) {
                right += 1;
                guessed_right += 1;
                continue;
            }
            if left == 1 {
                break StopReason::Length;
            }
            draft.learn(guessed.len(), right);
            // Others fill the passes as well as guesses do, and for certain.
            guessed = if decoding.is_alone() { draft.guess(&seen, left - 1).to_vec() } else { Vec::new() };
            right = 0;
            match self.extend(kv, &[&seen[..], &guessed].concat(), 1 + guessed.len(), interrupt) {
                Ok((computed, _)) => logits = finite(computed.logits)?,
                Err(error) if error.kind() == ErrorKind::Cancelled => break StopReason::Cancelled,
                Err(error) if error.kind() == ErrorKind::DeadlineExceeded => break StopReason::Deadline,
                Err(error) => return Err(error),
            }
        };
        kv.truncate(seen.len());
        let stop_reason = text.finish(stop_reason, piece);
        let tokens = seen.split_off(request.prompt.len());
        Ok(Generated { text: text.sent, stop_reason, tokens, prefill, guessed: guessed_right })
    }
}

/// The text of a reply: what was sent, and what is held back because a stop string may be beginning in it.
struct ReplyText<'a> {
    stream: Utf8Stream,
    stop: &'a [String],
    held: String,
    sent: String,
}

impl<'a> ReplyText<'a> {
    fn new(stop: &'a [String]) -> Self {
        Self { stream: Utf8Stream::default(), stop, held: String::new(), sent: String::new() }
    }

    /// Sends what the stream has completed. Returns why to stop, if so.
    fn advance(&mut self, piece: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Option<StopReason> {
        self.held += &self.stream.take();
        let found = self.stop.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = found {
            self.held.truncate(at);
            return self.send(self.held.len(), piece).or(Some(StopReason::StopString));
        }
        let kept = self.stop.iter().map(|stop| open_overlap(&self.held, stop)).max().unwrap_or(0);
        self.send(self.held.len() - kept, piece)
    }

    /// Sends what was held back, unless the reply was stopped.
    fn finish(&mut self, reason: StopReason, piece: &mut dyn FnMut(&str) -> ControlFlow<()>) -> StopReason {
        match reason {
            StopReason::End | StopReason::Length => self.send(self.held.len(), piece).unwrap_or(reason),
            _ => reason,
        }
    }

    fn send(&mut self, length: usize, piece: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Option<StopReason> {
        if length == 0 {
            return None;
        }
        let rest = self.held.split_off(length);
        let ready = std::mem::replace(&mut self.held, rest);
        self.sent += &ready;
        piece(&ready).is_break().then_some(StopReason::Callback)
    }
}

/// The length of the longest end of `text` that is a beginning of `stop`.
fn open_overlap(text: &str, stop: &str) -> usize {
    let lengths = stop.char_indices().map(|(at, _)| at).skip(1).filter(|&at| at <= text.len());
    lengths.filter(|&at| text.as_bytes().ends_with(&stop.as_bytes()[..at])).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tokens: &[&str], stop: &[&str]) -> (Vec<String>, Option<StopReason>) {
        let stop: Vec<String> = stop.iter().map(|&s| s.to_owned()).collect();
        let mut text = ReplyText::new(&stop);
        let mut pieces = Vec::new();
        let mut collect = |piece: &str| {
            pieces.push(piece.to_owned());
            ControlFlow::Continue(())
        };
        let mut reason = None;
        for token in tokens {
            text.stream.buffer().extend_from_slice(token.as_bytes());
            reason = text.advance(&mut collect);
            if reason.is_some() {
                break;
            }
        }
        if reason.is_none() {
            text.finish(StopReason::End, &mut collect);
        }
        (pieces, reason)
    }

    #[test]
    fn a_stop_string_is_found_across_pieces_and_never_sent() {
        let (pieces, reason) = run(&["Hel", "lo #", "#", "# more"], &["###"]);
        assert_eq!((pieces.concat().as_str(), reason), ("Hello ", Some(StopReason::StopString)));
    }

    #[test]
    fn text_held_back_for_a_stop_string_comes_out_in_the_end() {
        let (pieces, reason) = run(&["a#", "#b", "##"], &["###", "结束"]);
        assert_eq!((pieces.concat().as_str(), reason), ("a##b##", None));
    }

    #[test]
    fn the_earliest_stop_string_wins() {
        let (pieces, reason) = run(&["one two three"], &["three", "two"]);
        assert_eq!((pieces.concat().as_str(), reason), ("one ", Some(StopReason::StopString)));
    }
}
