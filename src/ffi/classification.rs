//! `qaio_classification`: what a task finds in a text.

use super::boundary::{OwnedText, borrow, free, guard_value, handle};
use crate::task::Classification;
use std::ffi::c_char;

/// Which of a task's labels a text has, and how sure that is.
///
/// Freed by `qaio_classification_free`; may outlive task and model. Its getters answer NULL with their zero. Threads: any
/// number at once.
pub struct qaio_classification {
    _opaque: [u8; 0],
}
handle!(qaio_classification, b"QCLS", ClassificationHandle);

/// What a `qaio_classification` holds.
pub(crate) struct ClassificationHandle {
    found: Classification,
    label: OwnedText,
    id: OwnedText,
    json: OwnedText,
}

impl ClassificationHandle {
    pub(crate) fn new(found: Classification) -> Self {
        let label = found.label();
        Self {
            label: OwnedText::new(&label.text),
            id: OwnedText::new(&label.id),
            json: OwnedText::new(&found.to_json()),
            found,
        }
    }
}

/// The number of the likeliest label, in the order of the task's definition; -1 for NULL.
///
/// Threads: any.
///
/// # Safety
/// classification is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_classification_index(classification: *const qaio_classification) -> i32 {
    // SAFETY: as promised by the caller.
    guard_value(-1, || unsafe { Ok(borrow(classification, "classification")?.found.index as i32) })
}

/// The text of the likeliest label. Owned by the handle; NULL for NULL.
///
/// @param len NULL, or gets the length in bytes.
///
/// Threads: any.
///
/// # Safety
/// classification is NULL or a live handle; len is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_classification_label(
    classification: *const qaio_classification,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe { borrow(classification, "classification")?.label.give(len) })
}

/// The id of the likeliest label: its text, unless the task's definition has another. Owned by the handle; NULL for NULL.
///
/// @param len NULL, or gets the length in bytes.
///
/// Threads: any.
///
/// # Safety
/// classification is NULL or a live handle; len is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_classification_id(
    classification: *const qaio_classification,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe { borrow(classification, "classification")?.id.give(len) })
}

/// The probability of the likeliest label among the labels, 0 to 1; 0 for NULL.
///
/// Threads: any.
///
/// # Safety
/// classification is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_classification_score(classification: *const qaio_classification) -> f64 {
    // SAFETY: as promised by the caller.
    guard_value(0.0, || unsafe { Ok(borrow(classification, "classification")?.found.score) })
}

/// The probability of the label with this number among the labels; they sum to 1. 0 for NULL, and for a number that no
/// label has.
///
/// Threads: any.
///
/// # Safety
/// classification is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_classification_probability(
    classification: *const qaio_classification,
    index: usize,
) -> f64 {
    // SAFETY: as promised by the caller.
    guard_value(0.0, || unsafe {
        Ok(borrow(classification, "classification")?.found.probabilities.get(index).copied().unwrap_or(0.0))
    })
}

/// The probability that the model's answer begins as one of the labels, 0 to 1: low means that it wanted to say something
/// else. -1 if it was not measured; 0 for NULL.
///
/// Threads: any.
///
/// # Safety
/// classification is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_classification_label_mass(classification: *const qaio_classification) -> f64 {
    // SAFETY: as promised by the caller.
    guard_value(0.0, || unsafe { Ok(borrow(classification, "classification")?.found.label_mass.unwrap_or(-1.0)) })
}

/// 1 if score or label mass is too low to rely on, else 0; 0 for NULL.
///
/// Threads: any.
///
/// # Safety
/// classification is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_classification_unsure(classification: *const qaio_classification) -> i32 {
    // SAFETY: as promised by the caller.
    guard_value(0, || unsafe { Ok(borrow(classification, "classification")?.found.unsure.into()) })
}

/// All of it as a JSON object: label, id, index, score, probabilities (by label), label_mass (null if it was not measured),
/// unsure, and usage as in `qaio_sentiment_json`. Owned by the handle; NULL for NULL.
///
/// @param len NULL, or gets the length in bytes.
///
/// Threads: any.
///
/// # Safety
/// classification is NULL or a live handle; len is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_classification_json(
    classification: *const qaio_classification,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe { borrow(classification, "classification")?.json.give(len) })
}

/// Frees the result. NULL: nothing happens.
///
/// Threads: any, when no other thread uses this handle any more.
///
/// # Safety
/// classification is NULL or a handle that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_classification_free(classification: *mut qaio_classification) {
    // SAFETY: as promised by the caller.
    unsafe { free(classification) }
}
