//! Puts a turn on standard output: as text while it comes, or as JSON when it is complete.

use crate::failure::Failure;
use qaio::{Sentiment, Turn};
use std::cell::{Cell, OnceCell};
use std::io::{self, Write, stdout};
use std::ops::ControlFlow;

/// Says one turn.
pub struct Speaker {
    json: bool,
    in_line: Cell<bool>,
    failed: OnceCell<io::Error>,
}

impl Speaker {
    pub fn new(json: bool) -> Self {
        Self { json, in_line: Cell::new(false), failed: OnceCell::new() }
    }

    /// The line of the sentiment.
    pub fn sentiment(&self, sentiment: &Sentiment) -> ControlFlow<()> {
        match self.json {
            true => ControlFlow::Continue(()),
            false => self.write(&format!("{}\n", sentiment.line())),
        }
    }

    /// A piece of the reply.
    pub fn piece(&self, piece: &str) -> ControlFlow<()> {
        if self.json {
            return ControlFlow::Continue(());
        }
        self.in_line.set(true);
        self.write(piece)
    }

    /// The end of a turn that came to `result`, which is handed on; a failure to write comes first.
    pub fn end(self, result: qaio::Result<Turn>) -> Result<Turn, Failure> {
        let _ = match &result {
            Ok(Turn { sentiment, reply }) if self.json => {
                self.write(&format!("{{\"sentiment\":{},\"reply\":{}}}\n", sentiment.to_json(), reply.to_json()))
            }
            Ok(_) => self.write("\n"),
            Err(_) if self.in_line.get() => self.write("\n"),
            Err(_) => ControlFlow::Continue(()),
        };
        match self.failed.into_inner() {
            Some(error) => Err(Failure::Output(error)),
            None => Ok(result?),
        }
    }

    fn write(&self, text: &str) -> ControlFlow<()> {
        if self.failed.get().is_some() {
            return ControlFlow::Break(());
        }
        match write(text) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                let _ = self.failed.set(error);
                ControlFlow::Break(())
            }
        }
    }
}

/// Writes `text` where it is seen at once.
pub fn write(text: &str) -> io::Result<()> {
    let mut stdout = stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
