//! `qaio_sentiment`: the one-line classification, and the full result.

use super::boundary::{Out, OwnedText, borrow, borrow_optional, free, give, guard, guard_value, handle, parsed, text};
use super::cancel::qaio_cancel;
use super::model::qaio_model;
use super::status::qaio_status;
use crate::task::{ClassifyOptions, Polarity, Sentiment};
use std::ffi::c_char;

/// The two ends of sentiment. The numbers are permanent.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum qaio_polarity {
    /// Unhappy: the label 负面.
    Negative = 0,
    /// Happy: the label 正面.
    Positive = 1,
}

impl From<Polarity> for qaio_polarity {
    fn from(polarity: Polarity) -> Self {
        match polarity {
            Polarity::Negative => Self::Negative,
            Polarity::Positive => Self::Positive,
        }
    }
}

/// What a text's sentiment is and how sure that is.
///
/// Freed by `qaio_sentiment_free`; may outlive the model. Its getters answer NULL with their zero. Threads: any number
/// at once.
pub struct qaio_sentiment {
    _opaque: [u8; 0],
}
handle!(qaio_sentiment, b"QSEN", SentimentHandle);

/// What a `qaio_sentiment` holds.
pub(crate) struct SentimentHandle {
    pub(crate) sentiment: Sentiment,
    label: OwnedText,
    line: OwnedText,
    json: OwnedText,
}

impl SentimentHandle {
    pub(crate) fn new(sentiment: Sentiment) -> Self {
        Self {
            label: OwnedText::new(sentiment.polarity.label()),
            line: OwnedText::new(sentiment.line()),
            json: OwnedText::new(&sentiment.to_json()),
            sentiment,
        }
    }
}

/// Is this text happy? The whole answer in one call.
///
/// @param text     any UTF-8; it need not be NUL-terminated.
/// @param len      its length in bytes.
/// @param polarity gets QAIO_POLARITY_POSITIVE or QAIO_POLARITY_NEGATIVE.
/// @param score    NULL, or gets the probability of that answer among the two, 0.5 to 1.
///
/// @return OK; INVALID_ARGUMENT; INVALID_UTF8; EMPTY_TEXT; CONTEXT_OVERFLOW; FORKED; OUT_OF_MEMORY; INTERNAL.
///
/// Threads: any.
///
/// # Safety
/// model is NULL or a live handle; text points to len readable bytes; polarity and score are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_model_classify_sentiment(
    model: *const qaio_model,
    text: *const c_char,
    len: usize,
    polarity: *mut qaio_polarity,
    score: *mut f64,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let polarity = Out::new(polarity, "polarity")?;
        let score = Out::optional(score, "score")?;
        let model = borrow(model, "model")?.model();
        let options = ClassifyOptions { label_mass: false, ..ClassifyOptions::default() };
        let sentiment = model.sentiment(self::text(text, len, "text")?, &options, None)?;
        polarity.set(sentiment.polarity.into());
        if let Some(score) = score {
            score.set(sentiment.score);
        }
        Ok(())
    })
}

/// Finds the sentiment of a text, with everything that is known about it.
///
/// @param text    any UTF-8; it need not be NUL-terminated.
/// @param len     its length in bytes.
/// @param options JSON or NULL. "threshold": a lower score counts as unsure, 0 to 1 (default 0.6). "label_mass":
///                whether to measure it (default true; costs a pass over the vocabulary). "truncate": cut the middle
///                out of a text that is too long (default false: it is refused). "deadline_ms".
/// @param cancel  NULL, or a token that ends the call early.
/// @param out     gets the result; the caller owns it.
///
/// @return OK; INVALID_ARGUMENT; INVALID_UTF8; EMPTY_TEXT; CONTEXT_OVERFLOW; UNKNOWN_OPTION; INVALID_OPTION; CANCELLED;
///         DEADLINE_EXCEEDED; FORKED; OUT_OF_MEMORY; INTERNAL.
///
/// Threads: any.
///
/// # Safety
/// Handles are NULL or live; text points to len readable bytes; options is NULL or NUL-terminated; out is NULL or
/// writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_model_sentiment(
    model: *const qaio_model,
    text: *const c_char,
    len: usize,
    options: *const c_char,
    cancel: *const qaio_cancel,
    out: *mut *mut qaio_sentiment,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        let model = borrow(model, "model")?.model();
        let options = parsed(options, ClassifyOptions::from_json)?;
        let cancel = borrow_optional(cancel, "cancel")?.cloned();
        let sentiment = model.sentiment(self::text(text, len, "text")?, &options, cancel)?;
        out.set(give(SentimentHandle::new(sentiment)));
        Ok(())
    })
}

/// The likelier of the two; QAIO_POLARITY_NEGATIVE for NULL.
///
/// Threads: any.
///
/// # Safety
/// sentiment is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_sentiment_polarity(sentiment: *const qaio_sentiment) -> qaio_polarity {
    // SAFETY: as promised by the caller.
    guard_value(qaio_polarity::Negative, || unsafe { Ok(borrow(sentiment, "sentiment")?.sentiment.polarity.into()) })
}

/// The probability of that answer among the two, 0.5 to 1; 0 for NULL.
///
/// Threads: any.
///
/// # Safety
/// sentiment is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_sentiment_score(sentiment: *const qaio_sentiment) -> f64 {
    // SAFETY: as promised by the caller.
    guard_value(0.0, || unsafe { Ok(borrow(sentiment, "sentiment")?.sentiment.score) })
}

/// The probability of both answers together among all that the model could say, 0 to 1: low means that it wanted to say
/// something else. -1 if it was not measured; 0 for NULL.
///
/// Threads: any.
///
/// # Safety
/// sentiment is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_sentiment_label_mass(sentiment: *const qaio_sentiment) -> f64 {
    // SAFETY: as promised by the caller.
    guard_value(0.0, || unsafe { Ok(borrow(sentiment, "sentiment")?.sentiment.label_mass.unwrap_or(-1.0)) })
}

/// 1 if score or label mass is too low to rely on, else 0; 0 for NULL.
///
/// Threads: any.
///
/// # Safety
/// sentiment is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_sentiment_unsure(sentiment: *const qaio_sentiment) -> i32 {
    // SAFETY: as promised by the caller.
    guard_value(0, || unsafe { Ok(borrow(sentiment, "sentiment")?.sentiment.unsure.into()) })
}

/// The label, 正面 or 负面. Owned by the handle; NULL for NULL.
///
/// @param len NULL, or gets the length in bytes.
///
/// Threads: any.
///
/// # Safety
/// sentiment is NULL or a live handle; len is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_sentiment_label(sentiment: *const qaio_sentiment, len: *mut usize) -> *const c_char {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe { borrow(sentiment, "sentiment")?.label.give(len) })
}

/// The line that announces the label: 😄 LLM 情感判断: 正面. Owned by the handle; NULL for NULL.
///
/// @param len NULL, or gets the length in bytes.
///
/// Threads: any.
///
/// # Safety
/// sentiment is NULL or a live handle; len is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_sentiment_line(sentiment: *const qaio_sentiment, len: *mut usize) -> *const c_char {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe { borrow(sentiment, "sentiment")?.line.give(len) })
}

/// All of it as a JSON object: label, score, label_mass (null if it was not measured), unsure, line, and usage with
/// prompt_tokens, cached_tokens (of these, not computed again), reply_tokens and elapsed_ms. Owned by the handle; NULL
/// for NULL.
///
/// @param len NULL, or gets the length in bytes.
///
/// Threads: any.
///
/// # Safety
/// sentiment is NULL or a live handle; len is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_sentiment_json(sentiment: *const qaio_sentiment, len: *mut usize) -> *const c_char {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe { borrow(sentiment, "sentiment")?.json.give(len) })
}

/// Frees the result. NULL: nothing happens.
///
/// Threads: any, when no other thread uses this handle any more.
///
/// # Safety
/// sentiment is NULL or a handle that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_sentiment_free(sentiment: *mut qaio_sentiment) {
    // SAFETY: as promised by the caller.
    unsafe { free(sentiment) }
}
