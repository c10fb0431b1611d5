//! What each call returns, and the message that goes with it.

use super::boundary::last_error;
use crate::error::ErrorKind;
use std::ffi::c_char;

/// What a call came to. The numbers are permanent.
///
/// The code is for programs; for people, `qaio_last_error()` has a sentence that names the value or file and the remedy.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum qaio_status {
    /// Done. Outputs are written in this case only.
    Ok = 0,
    /// An argument that the function cannot accept, such as NULL where a handle is needed, or a freed handle.
    InvalidArgument = 1,
    /// Text or a path is not UTF-8; the message has the byte offset.
    InvalidUtf8 = 2,
    /// The text is empty or only white space.
    EmptyText = 3,
    /// The text does not fit into the model's context; the message has the numbers. See the option `truncate`.
    ContextOverflow = 4,
    /// The options have an unknown key; the message names the nearest known one.
    UnknownOption = 5,
    /// An option has the wrong type or is out of range, or the options are not JSON.
    InvalidOption = 6,
    /// The path does not exist.
    NotFound = 7,
    /// The operating system could not read a file.
    Io = 8,
    /// The model's directory lacks a file that is needed.
    ModelIncomplete = 9,
    /// A model file is truncated or damaged, or two of them do not belong together.
    ModelCorrupt = 10,
    /// A well-formed model that this library cannot run; the message names its architecture or type.
    ModelUnsupported = 11,
    /// A weight of the model, or a result computed from it, is NaN or infinite.
    ModelNotFinite = 12,
    /// Another model, or the same one with other options, is loaded; free its handles first.
    ModelConflict = 13,
    /// The call's cancel token was set.
    Cancelled = 14,
    /// The call's deadline passed.
    DeadlineExceeded = 15,
    /// The session is in the middle of another call.
    Busy = 16,
    /// This process is a fork of one that used the library; call exec, or load after the fork only.
    Forked = 17,
    /// Memory ran out.
    OutOfMemory = 18,
    /// A bug in the library; the message has the details.
    Internal = 19,
    /// A task file is not valid; the message names the field.
    InvalidTask = 20,
}

impl From<ErrorKind> for qaio_status {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument => Self::InvalidArgument,
            ErrorKind::InvalidUtf8 => Self::InvalidUtf8,
            ErrorKind::EmptyText => Self::EmptyText,
            ErrorKind::ContextOverflow => Self::ContextOverflow,
            ErrorKind::UnknownOption => Self::UnknownOption,
            ErrorKind::InvalidOption => Self::InvalidOption,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Io => Self::Io,
            ErrorKind::ModelIncomplete => Self::ModelIncomplete,
            ErrorKind::ModelCorrupt => Self::ModelCorrupt,
            ErrorKind::ModelUnsupported => Self::ModelUnsupported,
            ErrorKind::ModelNotFinite => Self::ModelNotFinite,
            ErrorKind::ModelConflict => Self::ModelConflict,
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::DeadlineExceeded => Self::DeadlineExceeded,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Forked => Self::Forked,
            ErrorKind::OutOfMemory => Self::OutOfMemory,
            ErrorKind::InvalidTask => Self::InvalidTask,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

/// The message of this thread's last call that returns a status: what failed, with which value or file, and what to do.
/// Empty if that call succeeded. Owned by the library, valid until the thread's next such call. Never NULL.
///
/// Threads: each thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn qaio_last_error() -> *const c_char {
    last_error()
}

/// The name of a status, such as "QAIO_STATUS_BUSY"; "QAIO_STATUS_UNKNOWN" for a number that is none. Static.
///
/// Threads: any.
#[unsafe(no_mangle)]
pub extern "C" fn qaio_status_name(status: i32) -> *const c_char {
    let name = match status {
        0 => c"QAIO_STATUS_OK",
        1 => c"QAIO_STATUS_INVALID_ARGUMENT",
        2 => c"QAIO_STATUS_INVALID_UTF8",
        3 => c"QAIO_STATUS_EMPTY_TEXT",
        4 => c"QAIO_STATUS_CONTEXT_OVERFLOW",
        5 => c"QAIO_STATUS_UNKNOWN_OPTION",
        6 => c"QAIO_STATUS_INVALID_OPTION",
        7 => c"QAIO_STATUS_NOT_FOUND",
        8 => c"QAIO_STATUS_IO",
        9 => c"QAIO_STATUS_MODEL_INCOMPLETE",
        10 => c"QAIO_STATUS_MODEL_CORRUPT",
        11 => c"QAIO_STATUS_MODEL_UNSUPPORTED",
        12 => c"QAIO_STATUS_MODEL_NOT_FINITE",
        13 => c"QAIO_STATUS_MODEL_CONFLICT",
        14 => c"QAIO_STATUS_CANCELLED",
        15 => c"QAIO_STATUS_DEADLINE_EXCEEDED",
        16 => c"QAIO_STATUS_BUSY",
        17 => c"QAIO_STATUS_FORKED",
        18 => c"QAIO_STATUS_OUT_OF_MEMORY",
        19 => c"QAIO_STATUS_INTERNAL",
        20 => c"QAIO_STATUS_INVALID_TASK",
        _ => c"QAIO_STATUS_UNKNOWN",
    };
    name.as_ptr()
}
