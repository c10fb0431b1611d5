//! The tasks: prompts, labels, sessions, and the one model of the process. No tensor and no C is known here.

mod batch;
mod classification;
mod classifier;
mod definition;
mod evaluation;
mod fit;
mod instance;
mod model;
mod options;
mod prompt;
mod reply;
mod sentiment;
mod session;
mod text;
mod trie;

pub use batch::{Batch, OnProgress};
pub use classification::{Classification, Task};
pub use definition::{Calibration, Example, Label, TaskDefinition};
pub use evaluation::{Evaluation, LabelEvaluation};
pub use model::Model;
pub use options::{ClassifyOptions, LoadOptions, ReplyOptions, SessionOptions};
pub use reply::{OnPiece, Reply, Turn};
pub use sentiment::{Polarity, Sentiment};
pub use session::{Exchange, Session};
pub use text::check as check_text;

use crate::engine::Prefill;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    fn new(prefill: Prefill, reply_tokens: usize, elapsed: Duration) -> Self {
        let Prefill { prompt: prompt_tokens, cached: cached_tokens } = prefill;
        Self { prompt_tokens, cached_tokens, reply_tokens, elapsed_ms: elapsed.as_secs_f64() * 1e3 }
    }
}
