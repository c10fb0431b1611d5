//! The one model of the process.
//!
//! Loading what is loaded gives another reference to it; loading something else while it is held is refused. When the
//! last reference goes, the memory goes.

use super::{LoadOptions, Model};
use crate::engine::Interrupt;
use crate::error::{Result, fail};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// What tells one model from another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Identity {
    Builtin,
    /// The canonical path.
    Path(std::path::PathBuf),
    /// Length and hash of the bytes.
    Memory(usize, u64),
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Identity::Builtin => f.write_str("the built-in model"),
            Identity::Path(path) => path.display().fmt(f),
            Identity::Memory(length, _) => write!(f, "a model of {length} bytes from memory"),
        }
    }
}

enum State {
    Empty,
    Loading,
    Loaded { identity: Identity, options: LoadOptions, model: Weak<Model> },
}

static STATE: Mutex<State> = Mutex::new(State::Empty);
static CHANGED: Condvar = Condvar::new();

/// How often a thread that waits for another one's loading looks at its own deadline and token.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The process's model, if it is `identity`; else what `load` gives, if there is none.
pub(crate) fn get_or_load(
    identity: Identity,
    options: &LoadOptions,
    interrupt: &Interrupt,
    load: impl FnOnce() -> Result<Model>,
) -> Result<Arc<Model>> {
    let mut state = lock();
    loop {
        interrupt.check()?;
        match &*state {
            State::Loading => {
                state = CHANGED.wait_timeout(state, LOOK_AGAIN).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            State::Loaded { identity: held, options: held_options, model } => {
                if let Some(model) = model.upgrade() {
                    if *held != identity {
                        fail!(ModelConflict, "{held} is loaded in this process; free its handles before {identity}");
                    }
                    agree(held_options, options, &model)?;
                    return Ok(model);
                }
            }
            State::Empty => {}
        }
        break;
    }
    *state = State::Loading;
    drop(state);
    // Whatever happens while loading, others must not wait for ever.
    let unblock = Unblock;
    let model = Arc::new(load()?);
    *lock() = State::Loaded { identity, options: options.clone(), model: Arc::downgrade(&model) };
    drop(unblock);
    // Not before: whoever gets the message may load the model too.
    let info = model.info();
    log::info!("loaded {}: {} parameters, {}, {} threads", info.name, info.parameters, info.format, info.threads);
    Ok(model)
}

/// Whether what is asked for, where it is asked for at all, is what is loaded.
fn agree(held: &LoadOptions, asked: &LoadOptions, model: &Model) -> Result<()> {
    let info = model.info();
    if asked.precision.is_some_and(|precision| precision != held.precision.unwrap_or_default()) {
        fail!(
            ModelConflict,
            "the model is loaded with precision {:?} ({}), not {:?}; free its handles first, or leave precision out",
            held.precision.unwrap_or_default(),
            info.format,
            asked.precision.unwrap_or_default()
        );
    }
    // More than the model's own context means that one.
    let context = asked.context.map(|context| context.min(model.engine().context_limit()));
    for (name, asked, held) in [("threads", asked.threads, info.threads), ("context", context, info.context)] {
        if asked.is_some_and(|asked| asked != held) {
            fail!(
                ModelConflict,
                "the model is loaded with {name} {held}, not {}; free its handles first, or leave {name} out",
                asked.unwrap_or_default()
            );
        }
    }
    if asked.mmap.is_some_and(|mmap| mmap != held.mmap.unwrap_or(true)) {
        fail!(
            ModelConflict,
            "the model is loaded with mmap {}; free its handles first, or leave mmap out",
            held.mmap.unwrap_or(true)
        );
    }
    Ok(())
}

/// Ends the state of loading when dropped, also by a panic.
struct Unblock;

impl Drop for Unblock {
    fn drop(&mut self) {
        let mut state = lock();
        if matches!(*state, State::Loading) {
            *state = State::Empty;
        }
        CHANGED.notify_all();
    }
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
