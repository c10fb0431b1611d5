//! The assistant's answer.

use super::{Model, Polarity, ReplyOptions, Sentiment, Usage, classifier, prompt, text};
use crate::engine::{CancelToken, Engine, Interrupt, Kv, Message, Request, Role, StopReason};
use crate::error::{Result, fail};
use once_cell::sync::OnceCell;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::time::Instant;

/// Gets a reply's text in pieces of whole code points; `Break` ends the reply.
pub type OnPiece<'a> = dyn FnMut(&str) -> ControlFlow<()> + 'a;

/// A reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// What the assistant says.
    pub text: String,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// What it cost.
    pub usage: Usage,
}

impl Reply {
    /// As a JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data")
    }
}

/// A sentiment and the reply to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Turn {
    /// What the message felt like.
    pub sentiment: Sentiment,
    /// The answer.
    pub reply: Reply,
}

/// The assistant's role: its instructions are prefilled once and shared by all replies.
pub(crate) struct Assistant {
    head: Vec<u32>,
    primed: OnceCell<Kv>,
}

impl Assistant {
    pub(crate) fn new(engine: &Engine) -> Result<Self> {
        let system = Message::new(Role::System, prompt::ASSISTANT);
        let head = engine.markup().head(engine.tokenizer(), &[system], Role::User, "")?;
        Ok(Self { head, primed: OnceCell::new() })
    }

    /// A KV that begins with the role's instructions.
    pub(crate) fn kv(&self, engine: &Engine, interrupt: &Interrupt) -> Result<Kv> {
        classifier::primed(&self.primed, engine, &self.head, interrupt)
    }
}

impl Model {
    /// Replies to `text` with `sentiment` in mind; without one it is found first.
    ///
    /// # Errors
    /// `EmptyText`, `ContextOverflow`, `InvalidOption`; `Cancelled` and `DeadlineExceeded` before the first token
    /// (later the reply ends with that reason instead).
    pub fn reply(
        &self,
        text: &str,
        sentiment: Option<&Sentiment>,
        options: &ReplyOptions,
        cancel: Option<CancelToken>,
        on_piece: &mut OnPiece,
    ) -> Result<Reply> {
        options.check()?;
        text::check(text)?;
        let interrupt = options.interrupt(cancel);
        match sentiment {
            Some(sentiment) => self.reply_until(text, sentiment.mood(), options, &interrupt, on_piece),
            None => {
                let sentiment = self.sentiment_until(text, &options.for_sentiment(), &interrupt)?;
                self.reply_until(text, sentiment.mood(), options, &interrupt, on_piece)
            }
        }
    }

    /// Answers a conversation that the caller keeps: the assistant's next message after `messages`. If they begin with
    /// instructions, those hold and nothing is added; if not, it is the assistant's role that answers, with the last
    /// message's sentiment in mind. With `truncate` the oldest messages after the instructions go when the context is full.
    ///
    /// # Errors
    /// `InvalidArgument` unless the last message is the user's; those of [`reply`](Self::reply).
    pub fn complete(
        &self,
        messages: &[Message],
        options: &ReplyOptions,
        cancel: Option<CancelToken>,
        on_piece: &mut OnPiece,
    ) -> Result<Reply> {
        options.check()?;
        let Some((last, before)) = messages.split_last().filter(|(last, _)| last.role == Role::User) else {
            fail!(
                InvalidArgument,
                "the last message is not the user's; end the conversation with what is to be answered"
            );
        };
        text::check(&last.content)?;
        let interrupt = options.interrupt(cancel);
        let instructions = before.iter().take_while(|message| message.role == Role::System).count();
        let (instructions, before) = before.split_at(instructions);
        let role = [Message::new(Role::System, prompt::ASSISTANT)];
        let (instructions, mood) = match instructions {
            [] => (&role[..], self.sentiment_until(&last.content, &options.for_sentiment(), &interrupt)?.mood()),
            own => (own, None),
        };
        let render = |kept: &[Message], text: &str| {
            let last = [Message::new(Role::User, prompt::with_mood(text, mood))];
            instructions.iter().chain(kept).chain(&last).cloned().collect()
        };
        let room = self.room(options);
        let prompt = text::prompt_after(&self.engine, before, &last.content, options.truncate, room, &render)?;
        let mut kv = self.assistant.kv(&self.engine, &interrupt)?;
        self.answer(&mut kv, &prompt, options, &interrupt, on_piece)
    }

    /// Sentiment and reply in one call. `on_sentiment` is called before the first piece of the reply.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn turn(
        &self,
        text: &str,
        options: &ReplyOptions,
        cancel: Option<CancelToken>,
        on_sentiment: &mut dyn FnMut(&Sentiment) -> ControlFlow<()>,
        on_piece: &mut OnPiece,
    ) -> Result<Turn> {
        options.check()?;
        let interrupt = options.interrupt(cancel);
        self.turn_until(text, options, &interrupt, on_sentiment, |sentiment| {
            self.reply_until(text, sentiment.mood(), options, &interrupt, on_piece)
        })
    }

    /// The sentiment of `text`, and unless `on_sentiment` breaks off, what `reply` makes of it.
    pub(crate) fn turn_until(
        &self,
        text: &str,
        options: &ReplyOptions,
        interrupt: &Interrupt,
        on_sentiment: &mut dyn FnMut(&Sentiment) -> ControlFlow<()>,
        reply: impl FnOnce(&Sentiment) -> Result<Reply>,
    ) -> Result<Turn> {
        let started = Instant::now();
        let sentiment = self.sentiment_until(text, &options.for_sentiment(), interrupt)?;
        let reply = match on_sentiment(&sentiment) {
            ControlFlow::Break(()) => Reply::unsaid(started),
            ControlFlow::Continue(()) => reply(&sentiment)?,
        };
        Ok(Turn { sentiment, reply })
    }

    fn reply_until(
        &self,
        text: &str,
        mood: Option<Polarity>,
        options: &ReplyOptions,
        interrupt: &Interrupt,
        on_piece: &mut OnPiece,
    ) -> Result<Reply> {
        let passages = self.passages(options)?;
        let messages = |text: &str| {
            let system = Message::new(Role::System, prompt::ASSISTANT);
            let message = prompt::with_passages(prompt::with_mood(text, mood), text, &passages);
            vec![system, Message::new(Role::User, message)]
        };
        let prompt = text::prompt(&self.engine, text, options.truncate, self.room(options), &messages)?;
        let mut kv = self.assistant.kv(&self.engine, interrupt)?;
        self.answer(&mut kv, &prompt, options, interrupt, on_piece)
    }

    /// Generates the assistant's answer to `prompt`.
    pub(crate) fn answer(
        &self,
        kv: &mut Kv,
        prompt: &[u32],
        options: &ReplyOptions,
        interrupt: &Interrupt,
        on_piece: &mut OnPiece,
    ) -> Result<Reply> {
        let started = Instant::now();
        let request = Request {
            prompt,
            sampling: options.sampling(self.engine.sampling()),
            max_tokens: options.max_tokens,
            stop: &options.stop,
        };
        let generated = self.engine.generate(kv, &request, interrupt, on_piece)?;
        let usage = Usage::new(generated.prefill, generated.tokens.len(), started.elapsed());
        Ok(Reply { text: generated.text, stop_reason: generated.stop_reason, usage })
    }

    /// The passages of `options` that fit into their budget, the last of them perhaps cut.
    pub(crate) fn passages(&self, options: &ReplyOptions) -> Result<Vec<String>> {
        let mut left = options.context_tokens.min(self.engine.context() / 2);
        let mut kept = Vec::new();
        for passage in &options.context {
            let (passage, tokens) = text::beginning(&self.engine, passage.trim(), left)?;
            left -= tokens;
            if passage.is_empty() {
                break;
            }
            kept.push(passage);
        }
        Ok(kept)
    }

    /// Tokens of the context that a prompt must leave for the reply: what is asked for, but at most half of it all.
    pub(crate) fn room(&self, options: &ReplyOptions) -> usize {
        match options.truncate {
            true => options.max_tokens.min(self.engine.context() / 2),
            false => 1,
        }
    }
}

impl Reply {
    /// No reply, because the callback stopped the turn at its sentiment.
    fn unsaid(started: Instant) -> Self {
        let usage = Usage::new(Default::default(), 0, started.elapsed());
        Self { text: String::new(), stop_reason: StopReason::Callback, usage }
    }
}
