//! Loads the model that the command line names.

use crate::args::ModelArgs;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::note;
use qaio::{CancelToken, Model};
use std::sync::Arc;

const DEMONSTRATION: &str = "This is the built-in model, for demonstration only. For a real Qwen: --model PATH";

pub fn model(args: &ModelArgs, interrupts: &Interrupts) -> Result<Arc<Model>, Failure> {
    interrupts.during(|cancel| cancellable(args, cancel))
}

/// The same, for a caller that has a token already.
pub fn cancellable(args: &ModelArgs, cancel: CancelToken) -> Result<Arc<Model>, Failure> {
    let options = args.options()?;
    if args.model.is_none() && cfg!(feature = "builtin-model") {
        note::hint(DEMONSTRATION);
    }
    Ok(Model::load(args.model.as_deref(), &options, Some(cancel))?)
}
