//! `qaio_batch`: what a task finds in many texts, and how good that is.

use super::boundary::{Out, OwnedText, borrow, free, give, guard, guard_value, handle, slice};
use super::classification::{ClassificationHandle, qaio_classification};
use super::status::qaio_status;
use crate::error::{Error, Result, fail};
use crate::task::Batch;
use std::ffi::c_char;
use std::sync::Mutex;

/// The results of `qaio_task_classify_batch`, one row for each text, in their order.
///
/// Freed by `qaio_batch_free`; may outlive task and model. Its getters answer NULL with their zero. Threads: any number at
/// once, but see `qaio_batch_evaluate` and `qaio_batch_fit`.
pub struct qaio_batch {
    _opaque: [u8; 0],
}
handle!(qaio_batch, b"QBAT", BatchHandle);

/// What a `qaio_batch` holds.
pub(crate) struct BatchHandle {
    batch: Batch,
    /// -1 for a row with an error.
    indexes: Vec<i32>,
    /// `[rows, labels]`; NaN for a row with an error.
    probabilities: Vec<f64>,
    /// What the last evaluation or fit gave out.
    json: Mutex<OwnedText>,
}

impl BatchHandle {
    pub(crate) fn new(batch: Batch) -> Self {
        let labels = batch.definition.labels.len();
        let mut probabilities = Vec::with_capacity(batch.rows.len() * labels);
        let indexes = batch.rows.iter().map(|row| match row {
            Ok(found) => {
                probabilities.extend(&found.probabilities);
                found.index as i32
            }
            Err(_) => {
                probabilities.extend(std::iter::repeat_n(f64::NAN, labels));
                -1
            }
        });
        Self { indexes: indexes.collect(), probabilities, json: Mutex::new(OwnedText::new("")), batch }
    }

    /// Compares the rows with `truth` and gives the JSON of the result to C.
    ///
    /// # Safety
    /// truth points to count readable numbers; json and len are NULL or writable.
    unsafe fn compared(
        &self,
        truth: *const i32,
        count: usize,
        json: *mut *const c_char,
        len: *mut usize,
        compare: impl FnOnce(&Batch, &[Option<usize>]) -> Result<String>,
    ) -> Result<()> {
        // SAFETY: as promised by the caller.
        unsafe {
            let json = Out::new(json, "json")?;
            let truth: Vec<_> =
                slice(truth, count, "truth")?.iter().map(|&label| usize::try_from(label).ok()).collect();
            let Ok(mut kept) = self.json.try_lock() else {
                fail!(Busy, "the batch is in the middle of another evaluation; wait for it");
            };
            *kept = OwnedText::new(&compare(&self.batch, &truth)?);
            json.set(kept.give(len)?);
        }
        Ok(())
    }
}

/// The number of rows; 0 for NULL.
///
/// Threads: any.
///
/// # Safety
/// batch is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_batch_count(batch: *const qaio_batch) -> usize {
    // SAFETY: as promised by the caller.
    guard_value(0, || unsafe { Ok(borrow(batch, "batch")?.batch.rows.len()) })
}

/// The number of each row's likeliest label, in the order of the task's definition; -1 where the row has an error. As many
/// as `qaio_batch_count` says. Owned by the handle; NULL for NULL.
///
/// Threads: any.
///
/// # Safety
/// batch is NULL or a live handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_batch_indexes(batch: *const qaio_batch) -> *const i32 {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe { Ok(borrow(batch, "batch")?.indexes.as_ptr()) })
}

/// The probabilities of all labels, row by row; NaN where the row has an error. Owned by the handle; NULL for NULL.
///
/// @param labels NULL, or gets the number of labels, which is the length of a row.
///
/// Threads: any.
///
/// # Safety
/// batch is NULL or a live handle; labels is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_batch_probabilities(batch: *const qaio_batch, labels: *mut usize) -> *const f64 {
    // SAFETY: as promised by the caller.
    guard_value(std::ptr::null(), || unsafe {
        let batch = borrow(batch, "batch")?;
        if let Some(labels) = Out::optional(labels, "labels")? {
            labels.set(batch.batch.definition.labels.len());
        }
        Ok(batch.probabilities.as_ptr())
    })
}

/// One row, with everything that is known about it; or its status, if it has an error (`qaio_last_error` has the
/// sentence).
///
/// @param row from 0 to `qaio_batch_count` - 1.
/// @param out gets the result; the caller owns it.
///
/// @return OK; INVALID_ARGUMENT (also for a row that does not exist); OUT_OF_MEMORY; FORKED; INTERNAL; and the row's own:
///         INVALID_UTF8; EMPTY_TEXT; CONTEXT_OVERFLOW; CANCELLED; DEADLINE_EXCEEDED.
///
/// Threads: any.
///
/// # Safety
/// batch is NULL or a live handle; out is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_batch_row(
    batch: *const qaio_batch,
    row: usize,
    out: *mut *mut qaio_classification,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        let rows = &borrow(batch, "batch")?.batch.rows;
        match rows.get(row) {
            Some(Ok(found)) => out.set(give(ClassificationHandle::new(found.clone()))),
            Some(Err(error)) => return Err(Error::new(error.kind(), error.to_string())),
            None => fail!(InvalidArgument, "row is {row}; the batch has {} rows, from 0 on", rows.len()),
        }
        Ok(())
    })
}

/// Compares the rows with their true labels: a JSON object with rows, failed, unlabelled, accuracy, macro_f1,
/// calibration_error (expected, ten bins), brier, log_loss, threshold, coverage (share of rows at or above it),
/// sure_accuracy, confusion (rows by true label, then found label), and for each of labels: label, rows, found, precision,
/// recall, f1.
///
/// @param truth the number of each row's true label; below 0 where it is not known.
/// @param count as `qaio_batch_count`.
/// @param json  gets the text, owned by the batch and valid until its next evaluation or fit.
/// @param len   NULL, or gets its length in bytes.
///
/// @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: one evaluation or fit at a time per batch.
///
/// # Safety
/// batch is NULL or a live handle; truth points to count readable numbers; json and len are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_batch_evaluate(
    batch: *mut qaio_batch,
    truth: *const i32,
    count: usize,
    json: *mut *const c_char,
    len: *mut usize,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        borrow(batch, "batch")?.compared(truth, count, json, len, |batch, truth| Ok(batch.evaluate(truth)?.to_json()))
    })
}

/// The definition of the batch's task with a calibration (a bias per label, and a temperature) that fits the true labels: a
/// task file, ready to be saved and given to `qaio_task_create`. A few dozen rows are enough; few rows change little.
///
/// @param truth the number of each row's true label; below 0 where it is not known.
/// @param count as `qaio_batch_count`.
/// @param json  gets the text, owned by the batch and valid until its next evaluation or fit.
/// @param len   NULL, or gets its length in bytes.
///
/// @return OK; INVALID_ARGUMENT; BUSY; OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: one evaluation or fit at a time per batch.
///
/// # Safety
/// batch is NULL or a live handle; truth points to count readable numbers; json and len are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_batch_fit(
    batch: *mut qaio_batch,
    truth: *const i32,
    count: usize,
    json: *mut *const c_char,
    len: *mut usize,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        borrow(batch, "batch")?.compared(truth, count, json, len, |batch, truth| Ok(batch.fit(truth)?.to_json()))
    })
}

/// Frees the batch. NULL: nothing happens.
///
/// Threads: any, when no other thread uses this handle any more.
///
/// # Safety
/// batch is NULL or a handle that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_batch_free(batch: *mut qaio_batch) {
    // SAFETY: as promised by the caller.
    unsafe { free(batch) }
}
