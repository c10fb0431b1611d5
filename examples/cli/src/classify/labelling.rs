//! Labels rows, a batch at a time.

use super::input::Input;
use super::output::Encoder;
use super::progress::Progress;
use super::results::Found;
use super::resume::Part;
use super::row::{Content, Fingerprint, Row};
use super::run::Run;
use super::summary::Tally;
use crate::failure::Failure;
use qaio::ErrorKind;
use std::io::{Write, stdout};
use std::iter::zip;
use std::ops::ControlFlow;

/// How far a run is.
pub struct Position {
    pub fingerprint: Fingerprint,
    pub tally: Tally,
}

/// A run under way.
pub struct Labelling<'a> {
    pub run: &'a Run<'a>,
    pub encoder: &'a Encoder,
    pub input: Input,
    /// None for standard output.
    pub part: Option<Part>,
    pub at: Position,
    pub progress: Progress,
}

impl Labelling<'_> {
    /// All rows that are left. What is done when it fails has been written.
    pub fn rows(&mut self) -> Result<(), Failure> {
        if self.part.as_ref().is_none_or(|part| part.state.bytes == 0) {
            self.write(&self.encoder.head())?;
        }
        loop {
            let rows = self.input.take(self.run.own.batch as usize)?;
            if rows.is_empty() {
                return Ok(());
            }
            self.batch(&rows)?;
            self.progress.show(self.at.tally.rows);
        }
    }

    fn batch(&mut self, rows: &[Row]) -> Result<(), Failure> {
        if self.at.tally.rows == 0 {
            // What is wrong with the first row is wrong with all of them.
            self.encoder.results.check(&self.input.name, keys(&rows[0]))?;
        }
        let texts: Vec<_> = rows.iter().map(|row| self.text(row)).collect();
        let good: Vec<&str> = texts.iter().filter_map(|text| text.as_deref().ok()).collect();
        let done = self.at.tally.rows;
        let on_progress = &mut |rows: usize| {
            self.progress.show(done + rows as u64);
            ControlFlow::Continue(())
        };
        let (task, options, cancel) = (self.run.task, self.run.options, self.run.cancel.clone());
        let mut found = task.classify_batch(&good, options, Some(cancel), on_progress)?.rows.into_iter();
        let mut bytes = Vec::new();
        let mut ended = Ok(());
        for (row, text) in zip(rows, texts) {
            let found: Found = match text.map(|_| found.next()) {
                Ok(Some(Err(error))) if error.kind() == ErrorKind::Cancelled => {
                    ended = Err(Failure::Interrupted);
                    break;
                }
                Ok(Some(found)) => found.map_err(|error| error.to_string()),
                Ok(None) => Err("the row was passed over".to_owned()),
                Err(own) => Err(own),
            };
            self.at.fingerprint.add(row);
            self.at.tally.add(&row.place, &found);
            bytes.extend(self.encoder.row(row, &found));
        }
        self.write(&bytes)?;
        ended
    }

    /// What is to be labelled, or why nothing can be.
    fn text<'r>(&self, row: &'r Row) -> Result<&'r str, String> {
        match self.encoder.results.clash(keys(row)) {
            Some(key) => Err(format!("{} has `{key}` already, unlike the first row; use --prefix", row.place)),
            None => row.text(&self.run.own.column),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.part {
            Some(part) => part.append(bytes, self.at.fingerprint.text(), &self.at.tally),
            None => {
                let mut stdout = stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Failure::Output)
            }
        }
    }
}

/// The fields that a row has of its own.
fn keys(row: &Row) -> &[String] {
    match &row.content {
        Content::Object { keys, .. } => keys,
        Content::Record(_) => &[],
    }
}
