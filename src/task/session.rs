//! A conversation: its history, and the KV of it.
//!
//! The history is the truth; the KV is only a cache of its beginning. Each message renders the whole conversation and
//! computes what the KV does not hold yet, so nothing that ends early can leave the two apart.

use super::{Model, OnPiece, ReplyOptions, Sentiment, SessionOptions, Turn, prompt, text};
use crate::engine::{CancelToken, Kv, Message, Role};
use crate::error::{Result, fail};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A conversation with the assistant. [`Clone`] forks it: both go on from here, sharing the KV so far.
#[derive(Clone)]
pub struct Session {
    model: Arc<Model>,
    system: String,
    exchanges: Vec<Exchange>,
    kv: Kv,
}

/// One message and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Exchange {
    /// What the user said.
    pub message: String,
    /// Passages that it was answered with.
    pub passages: Vec<String>,
    /// Sentiment and reply.
    pub turn: Turn,
}

impl Session {
    /// A conversation without a message yet.
    ///
    /// # Errors
    /// `InvalidOption`.
    pub fn new(model: Arc<Model>, options: &SessionOptions) -> Result<Self> {
        options.check()?;
        let system = options.system.clone().unwrap_or_else(|| prompt::ASSISTANT.to_owned());
        let kv = model.engine.new_kv();
        Ok(Self { model, system, exchanges: Vec::new(), kv })
    }

    /// Says `text` and gets sentiment and reply, as [`Model::turn`] does, with the conversation so far in mind. A reply
    /// that ended early stays in the history as far as it came; after an error the history is as before.
    ///
    /// # Errors
    /// As [`Model::turn`].
    pub fn send(
        &mut self,
        text: &str,
        options: &ReplyOptions,
        cancel: Option<CancelToken>,
        on_sentiment: &mut dyn FnMut(&Sentiment) -> ControlFlow<()>,
        on_piece: &mut OnPiece,
    ) -> Result<Turn> {
        options.check()?;
        let interrupt = options.interrupt(cancel);
        let model = self.model.clone();
        let passages = model.passages(options)?;
        let turn = model.turn_until(text, options, &interrupt, on_sentiment, |sentiment| {
            let prompt = self.prompt(text, &passages, sentiment, options)?;
            if self.kv.tokens().is_empty() {
                self.kv = model.assistant.kv(&model.engine, &interrupt)?;
            }
            model.answer(&mut self.kv, &prompt, options, &interrupt, on_piece)
        })?;
        self.exchanges.push(Exchange { message: text.to_owned(), passages, turn: turn.clone() });
        Ok(turn)
    }

    /// A conversation that goes on after `exchanges`, which were kept elsewhere.
    ///
    /// # Errors
    /// `InvalidOption`.
    pub fn restore(model: Arc<Model>, options: &SessionOptions, exchanges: Vec<Exchange>) -> Result<Self> {
        Ok(Self { exchanges, ..Self::new(model, options)? })
    }

    /// Answers the last message anew, in place of the last reply; after an error the history is as before.
    ///
    /// # Errors
    /// `InvalidArgument` when nothing was said yet; those of [`send`](Self::send).
    pub fn answer_again(
        &mut self,
        options: &ReplyOptions,
        cancel: Option<CancelToken>,
        on_sentiment: &mut dyn FnMut(&Sentiment) -> ControlFlow<()>,
        on_piece: &mut OnPiece,
    ) -> Result<Turn> {
        let Some(last) = self.exchanges.pop() else {
            fail!(InvalidArgument, "the session has no message to answer anew");
        };
        let turn = self.send(&last.message, options, cancel, on_sentiment, on_piece);
        if turn.is_err() {
            self.exchanges.push(last);
        }
        turn
    }

    /// The conversation so far, oldest first.
    pub fn history(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// The history as a JSON array of messages, each with role and content; the user's also with label and score.
    pub fn history_json(&self) -> String {
        let messages = self.exchanges.iter().flat_map(|Exchange { message, turn, .. }| {
            let Turn { sentiment, reply } = turn;
            [
                json!({"role": "user", "content": message, "label": sentiment.polarity, "score": sentiment.score}),
                json!({"role": "assistant", "content": reply.text, "stop_reason": reply.stop_reason.name()}),
            ]
        });
        serde_json::Value::from_iter(messages).to_string()
    }

    /// Forgets the conversation; the instructions stay.
    pub fn reset(&mut self) {
        self.exchanges.clear();
        self.kv = self.model.engine.new_kv();
    }

    /// The prompt of the conversation with `text` at its end, shortened as `options` allow: first the oldest exchanges
    /// go, then the middle of the text.
    fn prompt(
        &self,
        text: &str,
        passages: &[String],
        sentiment: &Sentiment,
        options: &ReplyOptions,
    ) -> Result<Vec<u32>> {
        let render = |kept: &[Exchange], text: &str| self.messages(kept, text, passages, sentiment);
        let room = self.model.room(options);
        text::prompt_after(&self.model.engine, &self.exchanges, text, options.truncate, room, &render)
    }

    fn messages(&self, exchanges: &[Exchange], text: &str, passages: &[String], sentiment: &Sentiment) -> Vec<Message> {
        let said = |text: &str, passages: &[String], sentiment: &Sentiment| {
            let message = prompt::with_mood(text, sentiment.mood());
            Message::new(Role::User, prompt::with_passages(message, text, passages))
        };
        let mut messages = vec![Message::new(Role::System, self.system.as_str())];
        for Exchange { message, passages, turn } in exchanges {
            messages.push(said(message, passages, &turn.sentiment));
            messages.push(Message::new(Role::Assistant, turn.reply.text.as_str()));
        }
        messages.push(said(text, passages, sentiment));
        messages
    }
}
