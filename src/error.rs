//! The one error type of the library: what kind of failure, a sentence for people, and the cause beneath it.
//!
//! The kind is for programs (it becomes a `qaio_status` at the C border), the message is for people: it names
//! the value or file that failed and says what to do about it.

use std::error::Error as StdError;
use std::fmt;

/// Short for a result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is. Each has a `QAIO_STATUS_…` of the same name in the C header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument that no call can accept, such as a NULL pointer where a value is needed.
    InvalidArgument,
    /// Text that is not UTF-8.
    InvalidUtf8,
    /// Text without a single visible character.
    EmptyText,
    /// The prompt does not fit into the model's context.
    ContextOverflow,
    /// An option's name is not known.
    UnknownOption,
    /// An option's value has the wrong type or is out of range, or the options are not JSON.
    InvalidOption,
    /// The path does not exist.
    NotFound,
    /// Reading failed for a reason of the operating system.
    Io,
    /// A file that every model needs is missing.
    ModelIncomplete,
    /// A file is truncated, damaged or contradicts another one.
    ModelCorrupt,
    /// A well-formed model that this library cannot run.
    ModelUnsupported,
    /// A weight or a result is NaN or infinite.
    ModelNotFinite,
    /// Another model, or the same one with other options, is loaded in this process.
    ModelConflict,
    /// A cancel token was set.
    Cancelled,
    /// The deadline passed.
    DeadlineExceeded,
    /// The session is in the middle of another call.
    Busy,
    /// The process is a `fork` of the one that loaded the library.
    Forked,
    /// Memory ran out.
    OutOfMemory,
    /// A task file is not valid.
    InvalidTask,
    /// A bug in the library; the message has the panic's text.
    Internal,
}

/// An error: [kind](ErrorKind), message, and the error beneath it where there is one.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with a message that names the value and the remedy.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds the error that caused this one.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts `place` (a file, a field) before the message.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message alone, without its causes ([`Display`](fmt::Display) prints both).
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether a call was merely told to end.
    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(self.kind, ErrorKind::Cancelled | ErrorKind::DeadlineExceeded)
    }

    /// Memory for `what` could not be had.
    pub(crate) fn out_of_memory(what: impl fmt::Display, bytes: usize) -> Self {
        Self::new(
            ErrorKind::OutOfMemory,
            format!("no memory for {what} ({bytes} bytes); free memory, or load with a smaller precision or context"),
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// Returns early with an [`Error`] of the named kind: `fail!(NotFound, "{path} does not exist")`.
macro_rules! fail {
    ($kind:ident, $($message:tt)+) => {
        return Err($crate::error::Error::new($crate::error::ErrorKind::$kind, format!($($message)+)))
    };
}
pub(crate) use fail;
