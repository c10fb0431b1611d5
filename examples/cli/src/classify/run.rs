//! A run over all rows of an input.

use super::ClassifyArgs;
use super::convert::convert;
use super::format::{Encoding, Finish};
use super::input::{Input, Source};
use super::labelling::{Labelling, Position};
use super::output::Encoder;
use super::progress::Progress;
use super::results::Results;
use super::resume::{Part, State};
use super::row::Fingerprint;
use super::summary::{Summary, Tally};
use crate::failure::Failure;
use crate::note;
use qaio::{CancelToken, ClassifyOptions, Model, Task};
use serde_json::{Value, json};
use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::time::Instant;

/// Where the rows go, and in which form.
pub struct Plan<'a> {
    encoding: Encoding,
    finish: Finish,
    out: Option<&'a Path>,
}

impl<'a> Plan<'a> {
    /// Also decides which columns of `source` are needed.
    pub fn new(source: &mut Source, out: Option<&'a Path>) -> Result<Self, Failure> {
        let (encoding, finish) = match out {
            Some(out) => source.format.to_file(out)?,
            None => (source.format.to_stdout(), Finish::AsTheyAre),
        };
        source.whole = finish != Finish::BesideParquet;
        Ok(Self { encoding, finish, out })
    }
}

/// What a run needs.
pub struct Run<'a> {
    pub source: &'a Source<'a>,
    pub own: &'a ClassifyArgs,
    pub plan: &'a Plan<'a>,
    pub model: &'a Model,
    pub task: &'a Task,
    pub options: &'a ClassifyOptions,
    pub cancel: CancelToken,
}

impl Run<'_> {
    /// From the first row, or the first that an earlier run has not done, to the last.
    pub fn all(&self, mut input: Input, results: Results) -> Result<Summary, Failure> {
        let encoder = Encoder { encoding: self.plan.encoding, header: input.columns.clone(), results };
        let mut at = self.beginning();
        let mut progress = Progress::new(&input, self.plan.out.is_some() || !stdout().is_terminal());
        input.cancel_with(&self.cancel);
        let mut part = None;
        if let Some(out) = self.plan.out {
            let mut opened = Part::open(out, self.fresh(&input), self.own.force)?;
            (input, at) = self.go_on(input, &mut opened)?;
            progress.go_on_from(&input, at.tally.rows);
            part = Some(opened);
        }
        let (resumed, began) = (at.tally.rows, Instant::now());
        let mut labelling = Labelling { run: self, encoder: &encoder, input, part, at, progress };
        let ended = labelling.rows();
        let Labelling { part, at, progress, .. } = labelling;
        drop(progress);
        if part.is_some() && matches!(ended, Err(Failure::Interrupted)) {
            note::hint(&format!("(Stopped after {} rows; the same command goes on from there.)", at.tally.rows));
        }
        ended?;
        if let Some(part) = part {
            let result = convert(&part, self.plan.finish, self.source.file, &encoder.results, &self.cancel)?;
            part.finish(&result)?;
        }
        Ok(Summary { task: self.task.definition().clone(), tally: at.tally, resumed, time: began.elapsed() })
    }

    /// Passes over the rows that `part` has done.
    ///
    /// # Errors
    /// When they are not the same any more; `--force` starts over where that can be done.
    fn go_on(&self, mut input: Input, part: &mut Part) -> Result<(Input, Position), Failure> {
        let mut at = self.beginning();
        for _ in 0..part.state.tally.rows {
            if self.cancel.is_cancelled() {
                return Err(Failure::Interrupted);
            }
            match input.next()? {
                Some(row) => at.fingerprint.add(&row),
                None => break,
            }
        }
        if at.fingerprint.text() == part.state.fingerprint {
            at.tally = part.state.tally.clone();
            return Ok((input, at));
        }
        if !self.own.force || self.source.is_stdin() {
            let (name, part) = (&input.name, part.rows().display());
            return Err(Failure::Message(format!(
                "the rows of {name} that {part} has done are not the same any more; remove {part} to start over"
            )));
        }
        let input = self.source.open()?;
        part.start_over(self.fresh(&input))?;
        Ok((input, self.beginning()))
    }

    fn beginning(&self) -> Position {
        Position { fingerprint: Fingerprint::default(), tally: Tally::new(self.task.definition()) }
    }

    fn fresh(&self, input: &Input) -> State {
        let Position { fingerprint, tally } = self.beginning();
        State { identity: self.identity(input), bytes: 0, fingerprint: fingerprint.text(), tally }
    }

    /// What makes another run the same one, but for the rows, which have their fingerprint. The names are seen by people.
    /// Fractions are in texts, which are sure to be read as they were written.
    fn identity(&self, input: &Input) -> Value {
        let (own, model) = (self.own, self.model.info());
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "task": self.task.definition().to_json(),
            "model": [model.name, model.architecture, model.format, model.parameters.to_string()],
            "format": format!("{:?}", self.source.format),
            "columns": input.columns,
            "--column": own.column,
            "--out": format!("{:?}", (self.plan.encoding, self.plan.finish)),
            "--prefix": own.prefix,
            "--probabilities": own.probabilities,
            "--threshold": own.threshold.as_ref().map(ToString::to_string),
            "--truncate": own.truncate,
        })
    }
}
