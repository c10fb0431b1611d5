//! Label scoring: which of a task's answers the model would give, and how surely.

use super::definition::TaskDefinition;
use super::text;
use super::trie::{Branch, Trie};
use crate::engine::{Engine, Interrupt, Kv, Message, Prefill, Role};
use crate::error::{Result, fail};
use once_cell::sync::OnceCell;
use std::sync::Arc;

/// A task on a model. Its constant head is prefilled once and shared by all calls and threads.
pub(crate) struct Classifier {
    definition: Arc<TaskDefinition>,
    trie: Trie,
    head: Vec<u32>,
    primed: OnceCell<Kv>,
    correction: Correction,
}

/// What scoring gives.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    /// Probability of each label among the labels; sums to 1.
    pub(crate) probabilities: Vec<f64>,
    /// Probability that the answer begins as one of the labels, if it was asked for.
    pub(crate) mass: Option<f64>,
    pub(crate) prefill: Prefill,
}

impl Classifier {
    /// `definition` has been checked. Content-free texts, if it has some, are scored here.
    ///
    /// # Errors
    /// `InvalidTask` when the prompt leaves no room in the context, or labels cannot be told apart; those of scoring.
    pub(crate) fn new(engine: &Engine, definition: TaskDefinition, interrupt: &Interrupt) -> Result<Self> {
        let tokenizer = engine.tokenizer();
        let labels: Vec<_> = definition
            .labels
            .iter()
            .map(|label| Ok((label.text.as_str(), tokenizer.encode(&label.text)?)))
            .collect::<Result<_>>()?;
        let trie = Trie::new(&labels, engine.markup().im_end())?;
        let opening = definition.frame()[0];
        let head = engine.markup().head(tokenizer, &before(&definition), Role::User, opening)?;
        let most = engine.context().saturating_sub(longest(&trie) + 16);
        if head.len() > most {
            let (tokens, context) = (head.len(), engine.context());
            fail!(
                InvalidTask,
                "system and examples are {tokens} tokens of a context of {context}, which leaves no room for a text; \
                 shorten them, or load with a larger context"
            );
        }
        let correction = Correction::new(&definition);
        let mut classifier = Self { definition: Arc::new(definition), trie, head, primed: OnceCell::new(), correction };
        let content_free = classifier.definition.calibration.content_free.clone();
        if !content_free.is_empty() {
            let prompts: Vec<_> =
                content_free.iter().map(|text| classifier.prompt(engine, text, false)).collect::<Result<_>>()?;
            let mut mean = vec![0.0; classifier.definition.labels.len()];
            classifier.score_each(engine, &prompts, false, interrupt, &mut |_, scores| {
                for (mean, p) in mean.iter_mut().zip(scores.probabilities) {
                    *mean += p / prompts.len() as f64;
                }
            })?;
            classifier.correction = Correction { content_free: Some(mean), ..Correction::new(&classifier.definition) };
        }
        Ok(classifier)
    }

    /// Prefills the head now, so that the first call need not.
    pub(crate) fn prime(&self, engine: &Engine, interrupt: &Interrupt) -> Result<()> {
        primed(&self.primed, engine, &self.head, interrupt).map(drop)
    }

    pub(crate) fn definition(&self) -> &Arc<TaskDefinition> {
        &self.definition
    }

    /// The prompt about `text`.
    ///
    /// # Errors
    /// `ContextOverflow`, unless `truncate` may cut the middle out of the text.
    pub(crate) fn prompt(&self, engine: &Engine, text: &str, truncate: bool) -> Result<Vec<u32>> {
        let render = |text: &str| {
            let mut messages = before(&self.definition);
            messages.push(Message::new(Role::User, framed(&self.definition, text)));
            messages
        };
        text::prompt(engine, text, truncate, longest(&self.trie), &render)
    }

    /// Scores the labels as the answer to `prompt`.
    pub(crate) fn score(&self, engine: &Engine, prompt: &[u32], mass: bool, interrupt: &Interrupt) -> Result<Scores> {
        let mut kv = primed(&self.primed, engine, &self.head, interrupt)?;
        let (hidden, prefill) = engine.prefill(&mut kv, prompt, interrupt)?;
        self.walk(engine, prompt, kv, &hidden, prefill, mass, interrupt)
    }

    /// Scores each of `prompts`, many in one pass, and gives the results to `done` in order; they are the same as those
    /// of [`score`](Self::score), to the bit.
    ///
    /// # Errors
    /// When interrupted; what was done till then has been given out.
    pub(crate) fn score_each(
        &self,
        engine: &Engine,
        prompts: &[Vec<u32>],
        mass: bool,
        interrupt: &Interrupt,
        done: &mut dyn FnMut(usize, Scores),
    ) -> Result<()> {
        let head = primed(&self.primed, engine, &self.head, interrupt)?;
        engine.prefill_each(&head, prompts, interrupt, &mut |index, kv, hidden, prefill| {
            done(index, self.walk(engine, &prompts[index], kv, hidden, prefill, mass, interrupt)?);
            Ok(())
        })
    }

    /// Asks the model at each fork of the labels; `hidden` is the state after `prompt`, which `kv` holds.
    #[allow(clippy::too_many_arguments, reason = "what prefilling gave, and how to go on")]
    fn walk(
        &self,
        engine: &Engine,
        prompt: &[u32],
        mut kv: Kv,
        hidden: &[f32],
        prefill: Prefill,
        mass: bool,
        interrupt: &Interrupt,
    ) -> Result<Scores> {
        let forks = self.trie.forks();
        // Logarithmic probability of reaching each fork, and each label.
        let mut reached = vec![0.0; forks.len()];
        let mut labels = vec![0.0; self.definition.labels.len()];
        for (number, fork) in forks.iter().enumerate() {
            let logits = match fork.path.is_empty() {
                true => engine.logits_of(hidden, &fork.tokens)?,
                false => {
                    let (hidden, _) = engine.prefill(&mut kv, &[prompt, &fork.path].concat(), interrupt)?;
                    engine.logits_of(&hidden, &fork.tokens)?
                }
            };
            let total = log_sum_exp(&logits);
            for (&branch, &logit) in fork.branches.iter().zip(&logits) {
                let log_p = reached[number] + f64::from(logit) - total;
                match branch {
                    Branch::Label(label) => labels[label] = log_p,
                    Branch::Fork(next) => reached[next] = log_p,
                }
            }
        }
        let mass = match mass {
            true => Some(self.mass(&engine.logits(hidden)?)),
            false => None,
        };
        Ok(Scores { probabilities: self.correction.apply(&labels), mass, prefill })
    }

    /// The share of the labels' first tokens among all.
    fn mass(&self, logits: &[f32]) -> f64 {
        let first = &self.trie.forks()[0];
        let starts = if first.path.is_empty() { &first.tokens[..] } else { &first.path[..1] };
        let starts: Vec<f32> = starts.iter().map(|&id| logits[id as usize]).collect();
        (log_sum_exp(&starts) - log_sum_exp(logits)).exp()
    }
}

/// What a task's calibration makes of the model's probabilities.
struct Correction {
    content_free: Option<Vec<f64>>,
    bias: Vec<f64>,
    temperature: f64,
}

impl Correction {
    fn new(definition: &TaskDefinition) -> Self {
        Self { content_free: None, bias: definition.biases(), temperature: definition.calibration.temperature }
    }

    /// From logarithmic probabilities to corrected probabilities.
    fn apply(&self, log_p: &[f64]) -> Vec<f64> {
        let corrected = log_p.iter().enumerate().map(|(label, log_p)| {
            let base = self.content_free.as_ref().map_or(0.0, |p| p[label].max(f64::MIN_POSITIVE).ln());
            (log_p - base) / self.temperature + self.bias[label]
        });
        softmax(corrected.collect())
    }
}

/// `exp(x) / Σ exp(x)`.
pub(crate) fn softmax(mut x: Vec<f64>) -> Vec<f64> {
    let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    x.iter_mut().for_each(|x| *x = (*x - largest).exp());
    let sum: f64 = x.iter().sum();
    x.iter_mut().for_each(|x| *x /= sum);
    x
}

/// The conversation before the text: instructions and examples.
fn before(definition: &TaskDefinition) -> Vec<Message> {
    let mut messages = vec![Message::new(Role::System, definition.system.as_str())];
    for example in &definition.examples {
        messages.push(Message::new(Role::User, framed(definition, &example.text)));
        messages.push(Message::new(Role::Assistant, example.label.as_str()));
    }
    messages
}

fn framed(definition: &TaskDefinition, text: &str) -> String {
    let [before, after] = definition.frame();
    format!("{before}{text}{after}")
}

/// Tokens of the longest way to a fork.
fn longest(trie: &Trie) -> usize {
    trie.forks().iter().map(|fork| fork.path.len()).max().unwrap_or(0)
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
