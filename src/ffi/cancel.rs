//! `qaio_cancel`: stops calls from another thread.

use super::boundary::{Out, borrow, free, give, guard, guard_light, handle};
use super::status::qaio_status;
use crate::engine::CancelToken;

/// A switch that ends the calls it was given to.
///
/// Set before a call's first token it makes the call return `QAIO_STATUS_CANCELLED`; later the reply ends where it is,
/// with `QAIO_STOP_REASON_CANCELLED`. Freed by `qaio_cancel_free`, also while a call still uses it. Threads: any number
/// at once.
pub struct qaio_cancel {
    _opaque: [u8; 0],
}
handle!(qaio_cancel, b"QCNL", CancelToken);

/// Makes a token that is not set. The caller owns it.
///
/// @return OK; INVALID_ARGUMENT (out is NULL); OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: any.
///
/// # Safety
/// out is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_cancel_create(out: *mut *mut qaio_cancel) -> qaio_status {
    // SAFETY: as promised by the caller.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        out.set(give(CancelToken::new()));
        Ok(())
    })
}

/// Ends the calls that have this token, now and later, until it is reset.
///
/// @return OK; INVALID_ARGUMENT; FORKED; INTERNAL.
///
/// Threads: any, also from a callback.
///
/// # Safety
/// cancel is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_cancel_set(cancel: *const qaio_cancel) -> qaio_status {
    // SAFETY: as promised by the caller.
    guard_light(|| unsafe {
        borrow(cancel, "cancel")?.cancel();
        Ok(())
    })
}

/// Makes a token that was set usable for new calls.
///
/// @return OK; INVALID_ARGUMENT; FORKED; INTERNAL.
///
/// Threads: any.
///
/// # Safety
/// cancel is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_cancel_reset(cancel: *const qaio_cancel) -> qaio_status {
    // SAFETY: as promised by the caller.
    guard_light(|| unsafe {
        borrow(cancel, "cancel")?.reset();
        Ok(())
    })
}

/// Frees the token. Calls that have it go on and can no longer be cancelled. NULL: nothing happens.
///
/// Threads: any, when no other thread uses this handle any more.
///
/// # Safety
/// cancel is NULL or a handle that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_cancel_free(cancel: *mut qaio_cancel) {
    // SAFETY: as promised by the caller.
    unsafe { free(cancel) }
}
