//! Many texts in one call.

use super::classification::{Classification, Task};
use super::classifier::Scores;
use super::{ClassifyOptions, TaskDefinition, text};
use crate::engine::{CancelToken, Interrupt};
use crate::error::{Error, ErrorKind, Result};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// Texts between two reports of progress.
const STEP: usize = 64;

/// Gets the number of texts that are done; `Break` ends the batch.
pub type OnProgress<'a> = dyn FnMut(usize) -> ControlFlow<()> + 'a;

/// The results of a batch, in the order of its texts.
#[derive(Debug)]
pub struct Batch {
    /// The task that made it.
    pub definition: Arc<TaskDefinition>,
    /// The score from which on a row was sure.
    pub threshold: f64,
    /// What was found in each text, or why nothing was: a text's own error, or that the batch ended before it.
    pub rows: Vec<Result<Classification>>,
}

impl Task {
    /// Finds the labels of many texts, packed into as few passes as fit. Results equal those of
    /// [`classify`](Task::classify), to the bit.
    ///
    /// A text that cannot be classified is its own row's error. A batch that is cancelled, by the token or by
    /// `on_progress`, or that passes its deadline keeps the rows that are done; the others have that error.
    ///
    /// # Errors
    /// `InvalidOption`; `OutOfMemory`, `ModelNotFinite` and the like, which are nobody's row.
    pub fn classify_batch(
        &self,
        texts: &[&str],
        options: &ClassifyOptions,
        cancel: Option<CancelToken>,
        on_progress: &mut OnProgress,
    ) -> Result<Batch> {
        self.classify_rows(texts.iter().map(|&text| Ok(text)).collect(), options, cancel, on_progress)
    }

    /// As [`classify_batch`](Self::classify_batch), of texts that may be errors already.
    pub(crate) fn classify_rows(
        &self,
        texts: Vec<Result<&str>>,
        options: &ClassifyOptions,
        cancel: Option<CancelToken>,
        on_progress: &mut OnProgress,
    ) -> Result<Batch> {
        options.check()?;
        let interrupt = options.interrupt(cancel);
        let mut rows = Vec::with_capacity(texts.len());
        let mut texts = texts.into_iter();
        let mut ended: Option<Error> = None;
        while texts.len() > 0 {
            let step: Vec<_> = texts.by_ref().take(STEP).collect();
            match &ended {
                Some(error) => rows.extend(step.iter().map(|_| Err(again(error)))),
                None => ended = self.classify_step(step, options, &interrupt, &mut rows)?,
            }
            if ended.is_none() && on_progress(rows.len()).is_break() {
                ended = Some(Error::new(ErrorKind::Cancelled, "the batch was ended by its progress callback"));
            }
        }
        Ok(Batch {
            definition: self.classifier.definition().clone(),
            threshold: self.classifier.threshold(options),
            rows,
        })
    }

    /// Adds a row for each of `texts`. Returns what ended the batch, if something did.
    fn classify_step(
        &self,
        texts: Vec<Result<&str>>,
        options: &ClassifyOptions,
        interrupt: &Interrupt,
        rows: &mut Vec<Result<Classification>>,
    ) -> Result<Option<Error>> {
        let (classifier, engine) = (&self.classifier, &self.model.engine);
        let started = Instant::now();
        let mut prompts = Vec::new();
        let own_errors: Vec<Option<Error>> = engine
            .in_parallel(texts, |text| {
                let text = text?;
                text::check(text)?;
                classifier.prompt(engine, text, options.truncate)
            })
            .into_iter()
            .map(|prompt| prompt.map(|prompt| prompts.push(prompt)).err())
            .collect();
        let mut scores = Vec::with_capacity(prompts.len());
        let mut done = |_: usize, found: Scores| scores.push(found);
        let ended = match classifier.score_each(engine, &prompts, options.label_mass, interrupt, &mut done) {
            Ok(()) => None,
            Err(error) if error.is_interrupt() => Some(error),
            Err(error) => return Err(error),
        };
        let elapsed = started.elapsed() / own_errors.len().max(1) as u32;
        let mut scores = scores.into_iter();
        for own in own_errors {
            rows.push(match (own, &ended) {
                (Some(error), _) => Err(error),
                (None, ended) => match (scores.next(), ended) {
                    (Some(scores), _) => Ok(classifier.found(scores, options, elapsed)),
                    (None, Some(error)) => Err(again(error)),
                    (None, None) => unreachable!("there is a score for each prompt"),
                },
            });
        }
        Ok(ended)
    }
}

/// The same error for another row.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.message())
}
