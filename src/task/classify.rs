//! Label scoring: which of a closed set of answers the model would give, and how surely.

use crate::engine::{Engine, Interrupt, Kv, Message, Prefill, Role};
use crate::error::{Result, fail};
use once_cell::sync::OnceCell;

/// A prompt whose answer is one of a few labels. Its constant head is prefilled once and shared by all calls.
pub(crate) struct Classifier {
    labels: Vec<u32>,
    head: Vec<u32>,
    primed: OnceCell<Kv>,
}

/// What scoring gives.
pub(crate) struct Scores {
    /// Probability of each label among the labels; sums to 1.
    pub(crate) probabilities: Vec<f64>,
    /// Probability of all labels together among all tokens, if it was asked for.
    pub(crate) mass: Option<f64>,
    pub(crate) prefill: Prefill,
}

impl Classifier {
    /// `system` and `opening` (the beginning of the user's message) are the constant head; `labels` the answers.
    ///
    /// # Errors
    /// `ModelUnsupported` when a label is not a single token of the model's vocabulary.
    pub(crate) fn new(engine: &Engine, system: Message, opening: &str, labels: &[&str]) -> Result<Self> {
        let tokenizer = engine.tokenizer();
        let mut ids = Vec::new();
        for label in labels {
            match tokenizer.encode(label)?[..] {
                [id] => ids.push(id),
                ref tokens => fail!(
                    ModelUnsupported,
                    "the label {label} is {} tokens in this model's vocabulary; it must be one: use a Qwen model",
                    tokens.len()
                ),
            }
        }
        let head = engine.markup().head(tokenizer, &[system], Role::User, opening)?;
        Ok(Self { labels: ids, head, primed: OnceCell::new() })
    }

    /// Scores the labels as the answer to `prompt`, which begins with the head.
    pub(crate) fn score(&self, engine: &Engine, prompt: &[u32], mass: bool, interrupt: &Interrupt) -> Result<Scores> {
        let mut kv = primed(&self.primed, engine, &self.head, interrupt)?;
        let (hidden, prefill) = engine.prefill(&mut kv, prompt, interrupt)?;
        let (labels, all) = match mass {
            true => {
                let logits = engine.logits(&hidden)?;
                (self.labels.iter().map(|&id| logits[id as usize]).collect(), Some(logits))
            }
            false => (engine.logits_of(&hidden, &self.labels)?, None),
        };
        let total = log_sum_exp(&labels);
        Ok(Scores {
            probabilities: labels.iter().map(|&logit| (f64::from(logit) - total).exp()).collect(),
            mass: all.map(|all| (total - log_sum_exp(&all)).exp()),
            prefill,
        })
    }
}

/// A copy (by reference) of the KV of `head`, computed by the first call that needs it.
pub(crate) fn primed(cell: &OnceCell<Kv>, engine: &Engine, head: &[u32], interrupt: &Interrupt) -> Result<Kv> {
    cell.get_or_try_init(|| {
        let mut kv = engine.new_kv();
        engine.prefill(&mut kv, head, interrupt)?;
        Ok(kv)
    })
    .cloned()
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    f64::from(largest) + sum.ln()
}
