//! `qaio_reply`: the assistant's answer, and the turn that has both.

use super::boundary::{Out, OwnedText, borrow, borrow_optional, free, give, guard, guard_value, handle, parsed, text};
use super::callback::{Callback, qaio_callback};
use super::cancel::qaio_cancel;
use super::model::qaio_model;
use super::sentiment::{SentimentHandle, qaio_sentiment};
use super::status::qaio_status;
use crate::engine::StopReason;
use crate::task::{Reply, ReplyOptions, Turn};
use std::ffi::{c_char, c_void};

/// Why a reply ended. The numbers are permanent.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum qaio_stop_reason {
    /// The model had said all.
    End = 0,
    /// max_tokens, or the end of the context, was reached.
    Length = 1,
    /// One of the stop strings came up; it is not part of the text.
    StopString = 2,
    /// The callback returned something other than 0.
    Callback = 3,
    /// The cancel token was set after the first token.
    Cancelled = 4,
    /// The deadline passed after the first token.
    Deadline = 5,
}

impl From<StopReason> for qaio_stop_reason {
    fn from(reason: StopReason) -> Self {
        match reason {
            StopReason::End => Self::End,
            StopReason::Length => Self::Length,
            StopReason::StopString => Self::StopString,
            StopReason::Callback => Self::Callback,
            StopReason::Cancelled => Self::Cancelled,
            StopReason::Deadline => Self::Deadline,
        }
    }
}

/// A reply of the assistant.
///
/// Freed by `qaio_reply_free`; may outlive the model. Its getters answer NULL with their zero. Threads: any number at
/// once.
pub struct qaio_reply {
    _opaque: [u8; 0],
}
handle!(qaio_reply, b"QRPL", ReplyHandle);

/// What a `qaio_reply` holds.
pub(crate) struct ReplyHandle {
    stop_reason: StopReason,
    text: OwnedText,
    json: OwnedText,
}

impl ReplyHandle {
    pub(crate) fn new(reply: &Reply) -> Self {
        Self {
            stop_reason: reply.stop_reason,
            text: OwnedText::new(&reply.text),
            json: OwnedText::new(&reply.to_json()),
        }
    }
}

/// The places for the two results of a turn; either may be missing.
pub(crate) struct TurnOut {
    sentiment: Option<Out<*mut qaio_sentiment>>,
    reply: Option<Out<*mut qaio_reply>>,
}

impl TurnOut {
    /// # Safety
    /// As [`Out::optional`].
    pub(crate) unsafe fn new(
        sentiment: *mut *mut qaio_sentiment,
        reply: *mut *mut qaio_reply,
    ) -> crate::error::Result<Self> {
        // SAFETY: as promised by the caller.
        unsafe {
            Ok(Self {
                sentiment: Out::optional(sentiment, "out_sentiment")?,
                reply: Out::optional(reply, "out_reply")?,
            })
        }
    }

    pub(crate) fn set(self, turn: Turn) {
        // Both are made before either is given out.
        let reply = self.reply.map(|out| (out, ReplyHandle::new(&turn.reply)));
        let sentiment = self.sentiment.map(|out| (out, SentimentHandle::new(turn.sentiment)));
        if let Some((out, reply)) = reply {
            out.set(give(reply));
        }
        if let Some((out, sentiment)) = sentiment {
            out.set(give(sentiment));
        }
    }
}

/// Replies to a text with its sentiment in mind.
///
/// @param text      any UTF-8; it need not be NUL-terminated.
/// @param len       its length in bytes.
/// @param sentiment what `qaio_model_sentiment` found; NULL: it is found first.
/// @param options   JSON or NULL. "max_tokens": at least 1 (default 256). "temperature": 0 (always the likeliest token)
///                  to 10. "top_k": 0 is off. "top_p": 0 (exclusive) to 1. "min_p": 0 to 1. "repetition_penalty": 0.1
///                  to 10, 1 is off. (These five default to the model's generation_config.json.) "seed": same seed,
///                  same text, same reply (default 0). "stop": up to 16 texts that end the reply. "truncate": cut the
///                  middle out of a text that is too long (default false: it is refused). "context": up to 256 passages
///                  that the reply may draw on, the most important first; they go into the prompt as data.
///                  "context_tokens": most tokens of all of them (default 512, at most half of the model's context); what
///                  does not fit is cut or left out. "deadline_ms".
/// @param cancel    NULL, or a token that ends the call early.
/// @param on_piece  NULL, or gets the reply's text as it comes; returning anything but 0 ends the reply.
/// @param user_data handed to on_piece.
/// @param out       NULL, or gets the whole reply; the caller owns it.
///
/// @return OK, also for a reply that ended early (see `qaio_reply_stop_reason`); INVALID_ARGUMENT; INVALID_UTF8;
///         EMPTY_TEXT; CONTEXT_OVERFLOW; UNKNOWN_OPTION; INVALID_OPTION; CANCELLED and DEADLINE_EXCEEDED (before the
///         first token); FORKED; OUT_OF_MEMORY; INTERNAL.
///
/// Threads: any; on_piece runs on the calling one.
///
/// # Safety
/// Handles are NULL or live; text points to len readable bytes; options is NULL or NUL-terminated; out is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_model_reply(
    model: *const qaio_model,
    text: *const c_char,
    len: usize,
    sentiment: *const qaio_sentiment,
    options: *const c_char,
    cancel: *const qaio_cancel,
    on_piece: qaio_callback,
    user_data: *mut c_void,
    out: *mut *mut qaio_reply,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::optional(out, "out")?;
        let model = borrow(model, "model")?.model();
        let sentiment = borrow_optional(sentiment, "sentiment")?.map(|handle| &handle.sentiment);
        let options = parsed(options, ReplyOptions::from_json)?;
        let cancel = borrow_optional(cancel, "cancel")?.cloned();
        let on_piece = Callback::new(on_piece, user_data);
        let text = self::text(text, len, "text")?;
        let reply = model.reply(text, sentiment, &options, cancel, &mut |piece| on_piece.call(piece))?;
        if let Some(out) = out {
            out.set(give(ReplyHandle::new(&reply)));
        }
        Ok(())
    })
}

/// Sentiment and reply in one call: the label is known before the first word.
///
/// @param text          any UTF-8; it need not be NUL-terminated.
/// @param len           its length in bytes.
/// @param options       as for `qaio_model_reply`.
/// @param cancel        NULL, or a token that ends the call early.
/// @param on_sentiment  NULL, or is called once before the reply with the sentiment as JSON (as `qaio_sentiment_json`);
///                      returning anything but 0 ends the turn without a reply.
/// @param on_piece      NULL, or gets the reply's text as it comes; returning anything but 0 ends the reply.
/// @param user_data     handed to both.
/// @param out_sentiment NULL, or gets the sentiment; the caller owns it.
/// @param out_reply     NULL, or gets the whole reply; the caller owns it.
///
/// @return as `qaio_model_reply`.
///
/// Threads: any; the callbacks run on the calling one.
///
/// # Safety
/// Handles are NULL or live; text points to len readable bytes; options is NULL or NUL-terminated; the outputs are NULL
/// or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_model_turn(
    model: *const qaio_model,
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
        let model = borrow(model, "model")?.model();
        let options = parsed(options, ReplyOptions::from_json)?;
        let cancel = borrow_optional(cancel, "cancel")?.cloned();
        let on_sentiment = Callback::new(on_sentiment, user_data);
        let on_piece = Callback::new(on_piece, user_data);
        let text = self::text(text, len, "text")?;
        out.set(model.turn(
            text,
            &options,
            cancel,
            &mut |sentiment| on_sentiment.call(&sentiment.to_json()),
            &mut |piece| on_piece.call(piece),
        )?);
        Ok(())
    })
}

/// What the assistant said. Owned by the handle; NULL for NULL.
///
/// @param len NULL, or gets the length in bytes.
///
/// Threads: any.
///
/// # Safety
/// reply is NULL or a live handle; len is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_reply_text(reply: *const qaio_reply, len: *mut usize) -> *const c_char {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe { borrow(reply, "reply")?.text.give(len) })
}

/// Why the reply ended; QAIO_STOP_REASON_END for NULL.
///
/// Threads: any.
///
/// # Safety
/// reply is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_reply_stop_reason(reply: *const qaio_reply) -> qaio_stop_reason {
    // SAFETY: as promised by the caller.
    guard_value(qaio_stop_reason::End, || unsafe { Ok(borrow(reply, "reply")?.stop_reason.into()) })
}

/// All of it as a JSON object: text, stop_reason ("end", "length", "stop_string", "callback", "cancelled" or
/// "deadline"), and usage with prompt_tokens, cached_tokens, reply_tokens and elapsed_ms. Owned by the handle; NULL for
/// NULL.
///
/// @param len NULL, or gets the length in bytes.
///
/// Threads: any.
///
/// # Safety
/// reply is NULL or a live handle; len is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_reply_json(reply: *const qaio_reply, len: *mut usize) -> *const c_char {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe { borrow(reply, "reply")?.json.give(len) })
}

/// Frees the reply. NULL: nothing happens.
///
/// Threads: any, when no other thread uses this handle any more.
///
/// # Safety
/// reply is NULL or a handle that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_reply_free(reply: *mut qaio_reply) {
    // SAFETY: as promised by the caller.
    unsafe { free(reply) }
}
