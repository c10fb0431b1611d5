//! The one shape of callbacks.

use std::ffi::{c_char, c_void};
use std::ops::ControlFlow;

/// Gets a piece of text: whole code points of UTF-8, `len` bytes with a NUL after them, valid during the call only.
/// Returning anything but 0 stops what produces the text.
///
/// It runs on the thread that made the call. It may call the library, except for the session whose call it is in (that
/// gets `QAIO_STATUS_BUSY`). It must return normally: no exception and no longjmp may leave it.
pub type qaio_callback = Option<unsafe extern "C" fn(user_data: *mut c_void, piece: *const c_char, len: usize) -> i32>;

/// A callback with its user data. No callback means "go on".
#[derive(Clone, Copy)]
pub(crate) struct Callback {
    function: qaio_callback,
    user_data: *mut c_void,
}

impl Callback {
    pub(crate) fn new(function: qaio_callback, user_data: *mut c_void) -> Self {
        Self { function, user_data }
    }

    /// Calls it with `text`.
    pub(crate) fn call(&self, text: &str) -> ControlFlow<()> {
        let Some(function) = self.function else { return ControlFlow::Continue(()) };
        let mut bytes = Vec::with_capacity(text.len() + 1);
        bytes.extend_from_slice(text.as_bytes());
        bytes.push(0);
        // SAFETY: the header asks for a function of this shape; the bytes outlive the call.
        match unsafe { function(self.user_data, bytes.as_ptr().cast(), text.len()) } {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}
