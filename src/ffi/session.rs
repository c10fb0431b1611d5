//! `qaio_session`: a conversation.

use super::boundary::{Out, OwnedText, borrow, borrow_optional, free, give, guard, handle, parsed, text};
use super::callback::{Callback, qaio_callback};
use super::cancel::qaio_cancel;
use super::model::qaio_model;
use super::reply::{TurnOut, qaio_reply};
use super::sentiment::qaio_sentiment;
use super::status::qaio_status;
use crate::error::{Result, fail};
use crate::task::{ReplyOptions, Session, SessionOptions};
use std::ffi::{c_char, c_void};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

/// A conversation with the assistant: each message is answered with those before it in mind.
///
/// Freed by `qaio_session_free`; keeps the model alive. Threads: one call at a time. A call while another is running,
/// also from that one's own callback, gets `QAIO_STATUS_BUSY` at once.
pub struct qaio_session {
    _opaque: [u8; 0],
}
handle!(qaio_session, b"QSES", Arc<Mutex<State>>);

/// What a `qaio_session` holds. A call keeps it alive even if the handle is freed meanwhile.
pub(crate) struct State {
    session: Session,
    /// What the last `qaio_session_history` gave out.
    history: OwnedText,
}

impl State {
    fn new(session: Session) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { session, history: OwnedText::new("[]") }))
    }
}

fn enter(state: &Mutex<State>) -> Result<MutexGuard<'_, State>> {
    match state.try_lock() {
        Ok(state) => Ok(state),
        // A call that panicked left the history as it was: the KV is only a cache of it.
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            fail!(Busy, "the session is in the middle of another call; wait for it, or fork the session")
        }
    }
}

/// Begins a conversation.
///
/// @param options JSON or NULL. "system": the assistant's instructions in place of the built-in ones.
/// @param out     gets the session; the caller owns it.
///
/// @return OK; INVALID_ARGUMENT; UNKNOWN_OPTION; INVALID_OPTION; OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: any.
///
/// # Safety
/// model is NULL or a live handle; options is NULL or NUL-terminated; out is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_session_create(
    model: *const qaio_model,
    options: *const c_char,
    out: *mut *mut qaio_session,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        let model = borrow(model, "model")?.model();
        let options = parsed(options, SessionOptions::from_json)?;
        out.set(give(State::new(Session::new(model, &options)?)));
        Ok(())
    })
}

/// Says something and gets sentiment and reply, as `qaio_model_turn`, with the conversation so far in mind.
///
/// A reply that ended early stays in the history as far as it came. After any status but OK the history is as before.
/// With the option "truncate" a conversation that is too long forgets its oldest messages.
///
/// @return as `qaio_model_turn`; BUSY.
///
/// Threads: one call at a time per session; the callbacks run on the calling thread.
///
/// # Safety
/// As `qaio_model_turn`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_session_send(
    session: *mut qaio_session,
    text: *const c_char,
    len: usize,
    options: *const c_char,
    cancel: *const qaio_cancel,
    on_sentiment: qaio_callback,
    on_piece: qaio_callback,
    user_data: *mut c_void,
    out_sentiment: *mut *mut qaio_sentiment,
    out_reply: *mut *mut qaio_reply,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = TurnOut::new(out_sentiment, out_reply)?;
        let state = borrow(session, "session")?.clone();
        let mut state = enter(&state)?;
        let options = parsed(options, ReplyOptions::from_json)?;
        let cancel = borrow_optional(cancel, "cancel")?.cloned();
        let on_sentiment = Callback::new(on_sentiment, user_data);
        let on_piece = Callback::new(on_piece, user_data);
        let text = self::text(text, len, "text")?;
        out.set(state.session.send(
            text,
            &options,
            cancel,
            &mut |sentiment| on_sentiment.call(&sentiment.to_json()),
            &mut |piece| on_piece.call(piece),
        )?);
        Ok(())
    })
}

/// Forgets the conversation; the instructions stay.
///
/// @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: one call at a time per session.
///
/// # Safety
/// session is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_session_reset(session: *mut qaio_session) -> qaio_status {
    // SAFETY: as promised by the caller.
    guard(|| unsafe {
        enter(borrow(session, "session")?)?.session.reset();
        Ok(())
    })
}

/// Makes a second session that goes on from here; what both have in common is shared, not copied.
///
/// @param out gets the new session; the caller owns it.
///
/// @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: one call at a time per session.
///
/// # Safety
/// session is NULL or a live handle; out is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_session_fork(session: *mut qaio_session, out: *mut *mut qaio_session) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        let session = enter(borrow(session, "session")?)?.session.clone();
        out.set(give(State::new(session)));
        Ok(())
    })
}

/// The conversation so far as a JSON array, oldest first: {"role": "user", "content", "label", "score"} and {"role":
/// "assistant", "content", "stop_reason"} in turn.
///
/// @param json gets the text, owned by the session and valid until its next call.
/// @param len  NULL, or gets its length in bytes.
///
/// @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: one call at a time per session.
///
/// # Safety
/// session is NULL or a live handle; json and len are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_session_history(
    session: *mut qaio_session,
    json: *mut *const c_char,
    len: *mut usize,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let json = Out::new(json, "json")?;
        let mut state = enter(borrow(session, "session")?)?;
        state.history = OwnedText::new(&state.session.history_json());
        json.set(state.history.give(len)?);
        Ok(())
    })
}

/// Frees the session. NULL: nothing happens.
///
/// Threads: any, when no other thread uses this handle any more.
///
/// # Safety
/// session is NULL or a handle that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_session_free(session: *mut qaio_session) {
    // SAFETY: as promised by the caller.
    unsafe { free(session) }
}
