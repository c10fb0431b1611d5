//! `qaio_task`: a role of your own with a closed set of answers.

use super::batch::{BatchHandle, qaio_batch};
use super::boundary::{
    Out, OwnedText, borrow, borrow_optional, free, give, guard, handle, parsed, slice, string, text,
};
use super::callback::{Callback, qaio_callback};
use super::cancel::qaio_cancel;
use super::classification::{ClassificationHandle, qaio_classification};
use super::model::qaio_model;
use super::status::qaio_status;
use crate::error::fail;
use crate::task::{ClassifyOptions, Task, TaskDefinition};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// A task: a role with a closed set of answers (its labels), such as the intent of a message. Immutable.
///
/// Freed by `qaio_task_free`; keeps the model alive. Threads: one handle may be used by any number of threads at once.
pub struct qaio_task {
    _opaque: [u8; 0],
}
handle!(qaio_task, b"QTSK", TaskHandle);

/// What a `qaio_task` holds.
pub(crate) struct TaskHandle {
    task: Arc<Task>,
    definition: OwnedText,
}

/// Makes a task of its definition: checks it, and prefills its prompt once for all calls.
///
/// @param definition the name of a task that comes with the library ("sentiment", "intent", "language"), or the text of a
///                   task file, NUL-terminated JSON: "name"; "system", the instructions; "template", the user's message
///                   with {text} where the text goes; "labels", 2 to 64 texts, or objects with "text", "id" and
///                   "description"; and if wanted "threshold" (default 0.6), "examples" (objects with "text" and
///                   "label") and "calibration" (an object with "content_free", texts that say nothing; "bias", by
///                   label id; "temperature"). tasks/task.schema.json has the rest.
/// @param cancel     NULL, or a token that ends the call early.
/// @param out        gets the task; the caller owns it.
///
/// @return OK; INVALID_ARGUMENT; INVALID_UTF8; INVALID_TASK (the message names the field); NOT_FOUND (no such name);
///         CANCELLED; FORKED; OUT_OF_MEMORY; INTERNAL.
///
/// Threads: any.
///
/// # Safety
/// Handles are NULL or live; definition is NULL or NUL-terminated; out is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_task_create(
    model: *const qaio_model,
    definition: *const c_char,
    cancel: *const qaio_cancel,
    out: *mut *mut qaio_task,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        let model = borrow(model, "model")?.model();
        let Some(definition) = string(definition, "definition")? else {
            fail!(InvalidArgument, "definition is NULL; pass the text of a task file, or the name of a shipped task");
        };
        let cancel = borrow_optional(cancel, "cancel")?.cloned();
        let task = Task::new(&model, TaskDefinition::named_or_json(definition)?, cancel)?;
        let definition = OwnedText::new(&task.definition().to_json());
        out.set(give(TaskHandle { task: Arc::new(task), definition }));
        Ok(())
    })
}

/// The task's definition as JSON, as a task file has it. Labels are numbered in its order.
///
/// @param json gets the text, owned by the handle and valid until it is freed.
/// @param len  NULL, or gets its length in bytes.
///
/// @return OK; INVALID_ARGUMENT; OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: any.
///
/// # Safety
/// task is NULL or a live handle; json and len are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_task_definition(
    task: *const qaio_task,
    json: *mut *const c_char,
    len: *mut usize,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let json = Out::new(json, "json")?;
        json.set(borrow(task, "task")?.definition.give(len)?);
        Ok(())
    })
}

/// Finds the label of a text.
///
/// @param text    any UTF-8; it need not be NUL-terminated.
/// @param len     its length in bytes.
/// @param options JSON or NULL, as for `qaio_model_sentiment`; "threshold" is the task's own by default.
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
pub unsafe extern "C" fn qaio_task_classify(
    task: *const qaio_task,
    text: *const c_char,
    len: usize,
    options: *const c_char,
    cancel: *const qaio_cancel,
    out: *mut *mut qaio_classification,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        let task = borrow(task, "task")?.task.clone();
        let options = parsed(options, ClassifyOptions::from_json)?;
        let cancel = borrow_optional(cancel, "cancel")?.cloned();
        let found = task.classify(self::text(text, len, "text")?, &options, cancel)?;
        out.set(give(ClassificationHandle::new(found)));
        Ok(())
    })
}

/// Finds the labels of many texts, packed into as few passes as fit. Each result equals that of `qaio_task_classify`.
///
/// A text that cannot be classified fails alone: its row has the status. A batch that is ended early, by its callback, its
/// token or its deadline, keeps the rows that are done and is OK all the same; the others have the status CANCELLED or
/// DEADLINE_EXCEEDED.
///
/// @param texts       count pointers to UTF-8; they need not be NUL-terminated.
/// @param lens        the length of each in bytes; NULL if all are NUL-terminated.
/// @param count       how many; 0 is fine.
/// @param options     as for `qaio_task_classify`; "deadline_ms" is for the whole batch.
/// @param cancel      NULL, or a token that ends the batch early.
/// @param on_progress NULL, or gets {"done": number, "total": number} after each few dozen texts.
/// @param user_data   given to on_progress.
/// @param out         gets the results; the caller owns them.
///
/// @return OK; INVALID_ARGUMENT; UNKNOWN_OPTION; INVALID_OPTION; FORKED; OUT_OF_MEMORY; INTERNAL.
///
/// Threads: any; the callback runs on the calling thread.
///
/// # Safety
/// Handles are NULL or live; texts and lens point to count readable elements each, and each text to its bytes; options is
/// NULL or NUL-terminated; out is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_task_classify_batch(
    task: *const qaio_task,
    texts: *const *const c_char,
    lens: *const usize,
    count: usize,
    options: *const c_char,
    cancel: *const qaio_cancel,
    on_progress: qaio_callback,
    user_data: *mut c_void,
    out: *mut *mut qaio_batch,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        let task = borrow(task, "task")?.task.clone();
        let options = parsed(options, ClassifyOptions::from_json)?;
        let cancel = borrow_optional(cancel, "cancel")?.cloned();
        let on_progress = Callback::new(on_progress, user_data);
        let texts = slice(texts, count, "texts")?;
        let lens = if lens.is_null() { None } else { Some(slice(lens, count, "lens")?) };
        let rows = texts.iter().enumerate().map(|(row, &start)| match lens {
            Some(lens) => text(start, lens[row], "text"),
            None => match string(start, "text")? {
                Some(text) => Ok(text),
                None => fail!(InvalidArgument, "text is NULL; pass a pointer to its bytes"),
            },
        });
        let batch = task.classify_rows(rows.collect(), &options, cancel, &mut |done| {
            on_progress.call(&format!("{{\"done\": {done}, \"total\": {count}}}"))
        })?;
        out.set(give(BatchHandle::new(batch)));
        Ok(())
    })
}

/// Frees the task. NULL: nothing happens.
///
/// Threads: any, when no other thread uses this handle any more.
///
/// # Safety
/// task is NULL or a handle that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_task_free(task: *mut qaio_task) {
    // SAFETY: as promised by the caller.
    unsafe { free(task) }
}
