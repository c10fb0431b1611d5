//! Ctrl-C: the first ends the work that is going on; the second, or one with no work going on, ends the process.

use crate::note;
use qaio::CancelToken;
use std::process::exit;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A Ctrl-C this soon after the work has ended by itself was meant for the work.
const TOO_LATE: Duration = Duration::from_millis(300);

/// What Ctrl-C acts on.
pub struct Interrupts {
    token: CancelToken,
    phase: Arc<Mutex<Phase>>,
}

#[derive(Clone, Copy)]
enum Phase {
    Idle,
    Working,
    EndedAt(Instant),
}

impl Interrupts {
    /// Takes Ctrl-C over from the shell's default.
    pub fn install() -> Self {
        let interrupts = Self { token: CancelToken::new(), phase: Arc::new(Mutex::new(Phase::Idle)) };
        let (token, phase) = (interrupts.token.clone(), interrupts.phase.clone());
        // If this fails, Ctrl-C still ends the process.
        let _ = ctrlc::set_handler(move || {
            let phase = *phase.lock().unwrap_or_else(PoisonError::into_inner);
            match phase {
                Phase::Working if !token.is_cancelled() => token.cancel(),
                phase if is_too_late(phase, &token) => {}
                _ => {
                    note::end_line();
                    exit(130);
                }
            }
        });
        interrupts
    }

    /// Does `work`, which ends early when the token that it gets is set.
    pub fn during<T>(&self, work: impl FnOnce(CancelToken) -> T) -> T {
        self.token.reset();
        self.enter(Phase::Working);
        let result = work(self.token.clone());
        self.enter(Phase::EndedAt(Instant::now()));
        result
    }

    /// Whether a Ctrl-C of now, come as a key and not as a signal, was meant for work that has just ended by itself.
    pub fn is_too_late(&self) -> bool {
        is_too_late(*self.phase.lock().unwrap_or_else(PoisonError::into_inner), &self.token)
    }

    fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

fn is_too_late(phase: Phase, token: &CancelToken) -> bool {
    matches!(phase, Phase::EndedAt(when) if !token.is_cancelled() && when.elapsed() < TOO_LATE)
}
