//! Messages for the host's log. Nothing is ever written to stdout or stderr.

use super::boundary::guard;
use super::callback::{Callback, qaio_callback};
use super::status::qaio_status;
use crate::error::{Result, fail};
use log::{LevelFilter, Log, Metadata, Record};
use std::ffi::c_void;
use std::sync::{PoisonError, RwLock};

/// How much to log. The numbers are permanent.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum qaio_log_level {
    /// Nothing.
    Off = 0,
    /// What failed in the background.
    Error = 1,
    /// What looks wrong.
    Warn = 2,
    /// Loading and freeing of models.
    Info = 3,
    /// Everything.
    Debug = 4,
}

struct HostLog(RwLock<Option<Callback>>);

static HOST_LOG: HostLog = HostLog(RwLock::new(None));

// SAFETY: the header says that the log callback may be called from any thread with its user data.
unsafe impl Send for Callback {}
// SAFETY: as above.
unsafe impl Sync for Callback {}

impl Log for HostLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("qaio")
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Copied out, so that the callback may set another one.
        let callback = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(callback) = callback {
            let _ = callback.call(&format!("{}: {}", record.level().as_str().to_lowercase(), record.args()));
        }
    }

    fn flush(&self) {}
}

/// Sets who gets the library's log messages, in place of the one before. The library itself never prints.
///
/// @param level     a qaio_log_level; messages beyond it are not made.
/// @param callback  gets each message, such as "info: loaded qaio-mini"; its result is ignored. NULL: nobody.
/// @param user_data handed to callback.
///
/// @return OK; INVALID_ARGUMENT (no such level; or the host is a Rust program with a logger of its own, which gets the
///         messages instead); OUT_OF_MEMORY; FORKED; INTERNAL.
///
/// Threads: any. The callback may be called from any thread, and a last time shortly after another one was set.
#[unsafe(no_mangle)]
pub extern "C" fn qaio_log_set(level: i32, callback: qaio_callback, user_data: *mut c_void) -> qaio_status {
    guard(|| set(level, callback.map(|_| Callback::new(callback, user_data))))
}

fn set(level: i32, callback: Option<Callback>) -> Result<()> {
    let filter = match level {
        0 => LevelFilter::Off,
        1 => LevelFilter::Error,
        2 => LevelFilter::Warn,
        3 => LevelFilter::Info,
        4 => LevelFilter::Debug,
        _ => fail!(InvalidArgument, "level is {level}; it must be a qaio_log_level, 0 to 4"),
    };
    static REGISTERED: once_cell::sync::OnceCell<()> = once_cell::sync::OnceCell::new();
    REGISTERED.get_or_try_init(|| match log::set_logger(&HOST_LOG) {
        Ok(()) => Ok(()),
        Err(_) => fail!(InvalidArgument, "this Rust program has a logger of its own, which gets the messages already"),
    })?;
    *HOST_LOG.0.write().unwrap_or_else(PoisonError::into_inner) = callback;
    log::set_max_level(filter);
    Ok(())
}
