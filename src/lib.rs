//! qaio (Qwen All-in-One): one small Qwen chat model per process, as sentiment analyst and as empathetic assistant.
//!
//! ```no_run
//! use qaio::{LoadOptions, Model, ReplyOptions};
//! use std::ops::ControlFlow;
//!
//! let model = Model::load(None, &LoadOptions::default(), None)?;
//! let turn = model.turn(
//!     "终于把bug修完了，感觉整个人都轻松了！",
//!     &ReplyOptions::default(),
//!     None,
//!     &mut |sentiment| {
//!         println!("{}", sentiment.line());
//!         ControlFlow::Continue(())
//!     },
//!     &mut |piece| {
//!         print!("{piece}");
//!         ControlFlow::Continue(())
//!     },
//! )?;
//! assert_eq!(turn.sentiment.polarity, qaio::Polarity::Positive);
//! # Ok::<(), qaio::Error>(())
//! ```
//!
//! | layer | knows | does not know |
//! |---|---|---|
//! | [`engine`] | tensors, tokens, KV, sampling | prompts, C |
//! | [`task`] | prompts, labels, sessions, the process's one model | tensors, C |
//! | `ffi` | pointers, statuses, handles: the C ABI of `include/qaio.h` | everything else |

#[cfg(panic = "abort")]
compile_error!("qaio turns panics into statuses at its border: build it with panic = \"unwind\"");

/// The README's Rust is run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "builtin-model")]
mod builtin;
pub mod engine;
mod error;
pub mod ffi;
pub mod task;

pub use engine::{CancelToken, Precision, StopReason};
pub use error::{Error, ErrorKind, Result};
pub use task::{
    Batch, Calibration, Classification, ClassifyOptions, Evaluation, Example, Exchange, Label, LabelEvaluation,
    LoadOptions, Model, OnPiece, OnProgress, Polarity, Reply, ReplyOptions, Sentiment, Session, SessionOptions, Task,
    TaskDefinition, Turn, Usage, check_text,
};
