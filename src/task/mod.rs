//! The tasks: prompts, labels, sessions, and the one model of the process. No tensor and no C is known here.

mod classify;
mod instance;
mod model;
mod options;
mod prompt;
mod reply;
mod sentiment;
mod session;
mod text;

pub use model::Model;
pub use options::{LoadOptions, ReplyOptions, SentimentOptions, SessionOptions};
pub use reply::{OnPiece, Reply, Turn};
pub use sentiment::{Polarity, Sentiment};
pub use session::{Exchange, Session};

use crate::engine::Prefill;
use serde::Serialize;
use std::time::Instant;

/// What a call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of these, not computed again because a shared prefix or the session holds them.
    pub cached_tokens: usize,
    /// Tokens of the reply.
    pub reply_tokens: usize,
    /// Wall time in milliseconds.
    pub elapsed_ms: f64,
}

impl Usage {
    fn new(prefill: Prefill, reply_tokens: usize, started: Instant) -> Self {
        let Prefill { prompt: prompt_tokens, cached: cached_tokens } = prefill;
        Self { prompt_tokens, cached_tokens, reply_tokens, elapsed_ms: started.elapsed().as_secs_f64() * 1e3 }
    }
}
