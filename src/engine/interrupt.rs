//! When to give up: a cancel token that any thread can set, and a deadline.

use crate::error::{Result, fail};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A flag that stops every call it was given to. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the calls that hold this token, now and later. May be called from any thread, at any time.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Makes a cancelled token usable again.
    pub fn reset(&self) {
        self.0.store(false, Ordering::Release);
    }

    /// Whether the token is set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What may end a call early. Loading checks it per tensor, prefill and decode per layer.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    cancels: Vec<CancelToken>,
    deadline: Option<Instant>,
}

impl Interrupt {
    /// Never gives up.
    pub fn never() -> Self {
        Self::default()
    }

    /// Gives up when `cancel` is set or `within` has passed from now.
    pub fn new(cancel: Option<CancelToken>, within: Option<Duration>) -> Self {
        let deadline = within.and_then(|within| Instant::now().checked_add(within));
        Self { cancels: cancel.into_iter().collect(), deadline }
    }

    /// Gives up as soon as one of `interrupts` does.
    pub(super) fn any<'a>(interrupts: impl Iterator<Item = &'a Interrupt>) -> Self {
        let mut any = Self::never();
        for Self { cancels, deadline } in interrupts {
            any.cancels.extend_from_slice(cancels);
            any.deadline = any.deadline.into_iter().chain(*deadline).min();
        }
        any
    }

    /// # Errors
    /// `Cancelled` or `DeadlineExceeded` when it is time to give up.
    pub fn check(&self) -> Result<()> {
        if self.cancels.iter().any(CancelToken::is_cancelled) {
            fail!(Cancelled, "the call was cancelled by its token");
        }
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            fail!(DeadlineExceeded, "the deadline passed before the call was done; raise deadline_ms");
        }
        Ok(())
    }
}
