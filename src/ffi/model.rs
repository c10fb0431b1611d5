//! `qaio_model`: loading, facts, freeing.

use super::boundary::{Out, OwnedText, borrow, borrow_optional, bytes, free, give, guard, handle, parsed, string};
use super::cancel::qaio_cancel;
use super::status::qaio_status;
use crate::task::{LoadOptions, Model};
use once_cell::sync::OnceCell;
use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;

/// A loaded model: weights, tokenizer and prompts, immutable.
///
/// One model lives in a process; every handle to it is the same instance. It lives as long as any handle, session or
/// running call uses it. Freed by `qaio_model_free`. Threads: one handle may be used by any number of threads at once.
pub struct qaio_model {
    _opaque: [u8; 0],
}
handle!(qaio_model, b"QMDL", ModelHandle);

/// What a `qaio_model` holds.
pub(crate) struct ModelHandle {
    model: Arc<Model>,
    info: OnceCell<OwnedText>,
}

impl ModelHandle {
    fn new(model: Arc<Model>) -> Self {
        Self { model, info: OnceCell::new() }
    }

    /// The model, kept alive by the call that uses it even if the handle is freed meanwhile.
    pub(crate) fn model(&self) -> Arc<Model> {
        self.model.clone()
    }
}

/// Loads a model, or gives another handle to the one that is loaded already.
///
/// @param path    a directory in Hugging Face's layout (config.json, tokenizer.json, *.safetensors) or a GGUF file, of
///                Qwen1.5, Qwen2, Qwen2.5 or Qwen3 (dense); UTF-8. NULL: the built-in demonstration model.
///                The files are memory-mapped: leave them as they are while the model is loaded, or set "mmap": false.
/// @param options JSON or NULL. "precision": "auto" (default; a GGUF file as it is, safetensors as q8), "f32", "bf16",
///                "q8", "q4". "threads": 1 to 1024 (default: physical cores). "context": most tokens of a prompt and
///                its reply, 64 to 1048576 (default and upper limit: the model's own). "mmap": true (default), or
///                false to copy the weights into memory, after which nobody can pull them away by truncating the file.
///                "deadline_ms".
///                An option that is left out agrees with whatever is loaded.
/// @param cancel  NULL, or a token that ends loading early.
/// @param out     gets the handle; the caller owns it.
///
/// @return OK; INVALID_ARGUMENT (out is NULL); INVALID_UTF8; UNKNOWN_OPTION; INVALID_OPTION; NOT_FOUND; IO;
///         MODEL_INCOMPLETE; MODEL_CORRUPT; MODEL_UNSUPPORTED; MODEL_NOT_FINITE; MODEL_CONFLICT (something else is
///         loaded); CANCELLED; DEADLINE_EXCEEDED; FORKED; OUT_OF_MEMORY; INTERNAL.
///
/// Threads: any; of several that load the same at once, one loads and the others wait for it.
///
/// # Safety
/// Strings are NUL-terminated; out is NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_model_load(
    path: *const c_char,
    options: *const c_char,
    cancel: *const qaio_cancel,
    out: *mut *mut qaio_model,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        let path = string(path, "path")?.map(Path::new);
        let options = parsed(options, LoadOptions::from_json)?;
        let cancel = borrow_optional(cancel, "cancel")?.cloned();
        out.set(give(ModelHandle::new(Model::load(path, &options, cancel)?)));
        Ok(())
    })
}

/// Loads a GGUF file from memory. As `qaio_model_load` otherwise.
///
/// @param data the file's bytes; they are copied, so the caller may free them right after.
/// @param len  their number.
///
/// @return as `qaio_model_load`, without NOT_FOUND, IO and MODEL_INCOMPLETE.
///
/// Threads: any.
///
/// # Safety
/// data points to len readable bytes; the rest as `qaio_model_load`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_model_load_memory(
    data: *const u8,
    len: usize,
    options: *const c_char,
    cancel: *const qaio_cancel,
    out: *mut *mut qaio_model,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let out = Out::new(out, "out")?;
        let data = bytes(data, len, "data")?;
        let options = parsed(options, LoadOptions::from_json)?;
        let cancel = borrow_optional(cancel, "cancel")?.cloned();
        out.set(give(ModelHandle::new(Model::load_memory(data, &options, cancel)?)));
        Ok(())
    })
}

/// Facts about the model as a JSON object: name, architecture, parameters, format, weight_bytes, kv_bytes_per_token,
/// context, vocabulary, layers, threads, kernels.
///
/// @param json gets the text, owned by the handle and valid until it is freed.
/// @param len  NULL, or gets its length in bytes.
///
/// @return OK; INVALID_ARGUMENT; OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: any.
///
/// # Safety
/// model is NULL or a live handle; json and len are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_model_info(
    model: *const qaio_model,
    json: *mut *const c_char,
    len: *mut usize,
) -> qaio_status {
    // SAFETY: the caller promises what each of these asks for.
    guard(|| unsafe {
        let json = Out::new(json, "json")?;
        let model = borrow(model, "model")?;
        let info = model.info.get_or_init(|| OwnedText::new(&model.model.info().to_json()));
        json.set(info.give(len)?);
        Ok(())
    })
}

/// Frees a handle. The model itself goes with the last of its users. NULL: nothing happens.
///
/// Threads: any, when no other thread uses this handle any more.
///
/// # Safety
/// model is NULL or a handle that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qaio_model_free(model: *mut qaio_model) {
    // SAFETY: as promised by the caller.
    unsafe { free(model) }
}
