//! Why the command ends early, and what the shell gets to know of it.

use crate::note;
use qaio::{Error, ErrorKind};
use std::io;
use std::process::ExitCode;

/// A reason to end.
#[derive(Debug)]
pub enum Failure {
    /// The library refused or failed.
    Library(Error),
    /// Anything else; the sentence says what.
    Message(String),
    /// The command line asks for what cannot be; the sentence says what.
    Usage(String),
    /// Standard output cannot be written.
    Output(io::Error),
    /// Ctrl-C.
    Interrupted,
    /// Something that standard error has been told about already.
    Reported,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Cancelled => Failure::Interrupted,
            _ => Failure::Library(error),
        }
    }
}

impl Failure {
    /// One line on standard error, if there is something to say.
    pub fn report(&self) {
        if let Some(message) = self.message() {
            note::error(&message);
        }
    }

    /// What to say of it.
    pub fn message(&self) -> Option<String> {
        match self {
            Failure::Library(error) => Some(error.to_string()),
            Failure::Message(message) | Failure::Usage(message) => Some(message.clone()),
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => None,
            Failure::Output(error) => {
                Some(format!("standard output cannot be written: {error}; check where it is redirected to"))
            }
            Failure::Interrupted | Failure::Reported => None,
        }
    }

    /// As `qaio --help` lists them.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Library(error) if error.kind() == ErrorKind::InvalidOption => ExitCode::from(2),
            Failure::Usage(_) => ExitCode::from(2),
            // Whoever reads the output has read enough.
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Failure::Library(_) | Failure::Message(_) | Failure::Output(_) | Failure::Reported => ExitCode::FAILURE,
            Failure::Interrupted => ExitCode::from(130),
        }
    }
}
