//! Loads the model that the command line names.

use crate::args::ModelArgs;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::note;
use crate::pull::{PulledName, Store};
use qaio::{CancelToken, Model};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

const DEMONSTRATION: &str = "This is the built-in model, for demonstration only. For a real Qwen: --model PATH";

pub fn model(args: &ModelArgs, interrupts: &Interrupts) -> Result<Arc<Model>, Failure> {
    interrupts.during(|cancel| cancellable(args, cancel))
}

/// The same, for a caller that has a token already.
pub fn cancellable(args: &ModelArgs, cancel: CancelToken) -> Result<Arc<Model>, Failure> {
    let options = args.options()?;
    let path = path(args)?;
    if path.is_none() && cfg!(feature = "builtin-model") {
        note::hint(DEMONSTRATION);
    }
    Ok(Model::load(path.as_deref(), &options, Some(cancel))?)
}

/// Where the model lies; None is the built-in one. What is here wins over what was pulled.
pub fn path(args: &ModelArgs) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = &args.model else { return Ok(None) };
    let missing = path.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
    match path.to_str().and_then(PulledName::parse) {
        Some(name) if missing => Store::from_env()?.find(&name).map(Some),
        _ => Ok(Some(path.clone())),
    }
}
