//! A task on the process's model, and what it finds in a text.

use super::classifier::{Classifier, Scores};
use super::definition::{Label, TaskDefinition};
use super::{ClassifyOptions, Model, Usage, text};
use crate::engine::{CancelToken, Interrupt};
use crate::error::Result;
use serde::Serialize;
use serde_json::{Map, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A label mass below this means that the model wanted to say something else.
const LEAST_MASS: f64 = 0.05;

/// A task, ready to be used by any number of threads. Immutable.
pub struct Task {
    pub(crate) model: Arc<Model>,
    pub(crate) classifier: Classifier,
}

/// Which label a text has, and how sure that is.
#[derive(Clone, Debug)]
pub struct Classification {
    /// The task that found it.
    pub definition: Arc<TaskDefinition>,
    /// The number of the likeliest label; of equals the first.
    pub index: usize,
    /// Its probability among the labels.
    pub score: f64,
    /// The probability of each label; sums to 1.
    pub probabilities: Vec<f64>,
    /// Probability that the model's answer begins as one of the labels, 0 to 1; `None` if it was not measured.
    pub label_mass: Option<f64>,
    /// Whether score or label mass is too low to rely on.
    pub unsure: bool,
    /// What it cost.
    pub usage: Usage,
}

impl Task {
    /// Puts a task on `model`: checks it, prefills its prompt and scores its content-free texts.
    ///
    /// # Errors
    /// `InvalidTask` with the field and the remedy; `Cancelled`.
    pub fn new(model: &Arc<Model>, definition: TaskDefinition, cancel: Option<CancelToken>) -> Result<Self> {
        definition.check()?;
        let interrupt = Interrupt::new(cancel, None);
        let classifier = Classifier::new(&model.engine, definition, &interrupt)?;
        classifier.prime(&model.engine, &interrupt)?;
        Ok(Self { model: model.clone(), classifier })
    }

    /// What the task was made of.
    pub fn definition(&self) -> &TaskDefinition {
        self.classifier.definition()
    }

    /// Finds the label of `text`.
    ///
    /// # Errors
    /// `EmptyText`, `ContextOverflow`, `InvalidOption`; `Cancelled` and `DeadlineExceeded`.
    pub fn classify(
        &self,
        text: &str,
        options: &ClassifyOptions,
        cancel: Option<CancelToken>,
    ) -> Result<Classification> {
        options.check()?;
        self.classifier.classify(&self.model, text, options, &options.interrupt(cancel))
    }
}

impl Classifier {
    pub(crate) fn classify(
        &self,
        model: &Model,
        text: &str,
        options: &ClassifyOptions,
        interrupt: &Interrupt,
    ) -> Result<Classification> {
        let started = Instant::now();
        text::check(text)?;
        let prompt = self.prompt(&model.engine, text, options.truncate)?;
        let scores = self.score(&model.engine, &prompt, options.label_mass, interrupt)?;
        Ok(self.found(scores, options, started.elapsed()))
    }

    /// The score from which on a label is sure.
    pub(crate) fn threshold(&self, options: &ClassifyOptions) -> f64 {
        options.threshold.unwrap_or(self.definition().threshold)
    }

    /// What `scores` mean.
    pub(crate) fn found(
        &self,
        Scores { probabilities, mass, prefill }: Scores,
        options: &ClassifyOptions,
        elapsed: Duration,
    ) -> Classification {
        let index = likeliest(&probabilities);
        let score = probabilities[index];
        Classification {
            definition: self.definition().clone(),
            index,
            score,
            probabilities,
            label_mass: mass,
            unsure: score < self.threshold(options) || mass.is_some_and(|mass| mass < LEAST_MASS),
            usage: Usage::new(prefill, 0, elapsed),
        }
    }
}

/// The number of the largest; of equals the first.
fn likeliest(probabilities: &[f64]) -> usize {
    (1..probabilities.len()).fold(0, |best, i| if probabilities[i] > probabilities[best] { i } else { best })
}

impl Classification {
    /// The likeliest label.
    pub fn label(&self) -> &Label {
        &self.definition.labels[self.index]
    }

    /// As a JSON object.
    pub fn to_json(&self) -> String {
        let label = self.label();
        let labels = self.definition.labels.iter().zip(&self.probabilities);
        let probabilities: Map<_, _> = labels.map(|(label, p)| (label.text.clone(), json!(p))).collect();
        #[derive(Serialize)]
        struct Json<'a> {
            label: &'a str,
            id: &'a str,
            index: usize,
            score: f64,
            probabilities: Map<String, serde_json::Value>,
            label_mass: Option<f64>,
            unsure: bool,
            usage: Usage,
        }
        let json = Json {
            label: &label.text,
            id: &label.id,
            index: self.index,
            score: self.score,
            probabilities,
            label_mass: self.label_mass,
            unsure: self.unsure,
            usage: self.usage,
        };
        serde_json::to_string(&json).expect("plain data")
    }
}
