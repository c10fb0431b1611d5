//! The process's model with its two roles.

use super::classifier::Classifier;
use super::instance::{self, Identity};
use super::reply::Assistant;
use super::{LoadOptions, TaskDefinition};
use crate::engine::{CancelToken, Engine, EngineOptions, Info, Interrupt, Source, io_error};
use crate::error::{Result, fail};
use std::hash::{DefaultHasher, Hasher};
use std::path::Path;
use std::sync::Arc;

/// A loaded model: weights, tokenizer, configuration and the two roles. Immutable; shared by all threads.
///
/// One per process: loading what is loaded already gives the same one again.
pub struct Model {
    pub(crate) engine: Engine,
    pub(crate) analyst: Classifier,
    pub(crate) assistant: Assistant,
}

impl Model {
    /// Loads the model at `path` (a Hugging Face directory or a GGUF file), or the built-in one.
    ///
    /// # Errors
    /// `ModelConflict` while another model is held; those of [`Engine::load`]; those of the options.
    pub fn load(path: Option<&Path>, options: &LoadOptions, cancel: Option<CancelToken>) -> Result<Arc<Self>> {
        match path {
            None => Self::get(Identity::Builtin, builtin, options, cancel),
            Some(path) if path.as_os_str().is_empty() => {
                fail!(
                    NotFound,
                    "the path is empty; give a directory or a GGUF file, or none at all for the built-in model"
                )
            }
            Some(path) => {
                let canonical = path.canonicalize().map_err(|error| io_error(&error, path))?;
                Self::get(Identity::Path(canonical), || Ok(Source::Path(path.to_owned())), options, cancel)
            }
        }
    }

    /// Loads a GGUF file whose bytes are `data`; they are copied.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_memory(data: &[u8], options: &LoadOptions, cancel: Option<CancelToken>) -> Result<Arc<Self>> {
        let mut hasher = DefaultHasher::new();
        hasher.write(data);
        let identity = Identity::Memory(data.len(), hasher.finish());
        Self::get(identity, || Source::memory(data), options, cancel)
    }

    /// Facts about the model.
    pub fn info(&self) -> Info {
        self.engine.info()
    }

    /// The engine beneath, for what the roles do not offer.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn get(
        identity: Identity,
        source: impl FnOnce() -> Result<Source>,
        options: &LoadOptions,
        cancel: Option<CancelToken>,
    ) -> Result<Arc<Self>> {
        options.check()?;
        let interrupt = options.interrupt(cancel);
        instance::get_or_load(identity, options, &interrupt, || Self::read(&source()?, options, &interrupt))
    }

    fn read(source: &Source, options: &LoadOptions, interrupt: &Interrupt) -> Result<Self> {
        let engine_options = EngineOptions {
            precision: options.precision.unwrap_or_default(),
            threads: options.threads,
            context: options.context,
            mmap: options.mmap,
        };
        let engine = Engine::load(source, &engine_options, interrupt)?;
        let analyst = Classifier::new(&engine, TaskDefinition::shipped("sentiment")?, interrupt)?;
        let assistant = Assistant::new(&engine)?;
        Ok(Self { engine, analyst, assistant })
    }
}

#[cfg(feature = "builtin-model")]
fn builtin() -> Result<Source> {
    Ok(Source::Static { name: "qaio-mini", data: crate::builtin::MODEL })
}

#[cfg(not(feature = "builtin-model"))]
fn builtin() -> Result<Source> {
    fail!(
        NotFound,
        "this build carries no built-in model; give the path of one, or build with the feature builtin-model"
    )
}
