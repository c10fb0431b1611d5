//! Ctrl-C: the first ends the work that is going on; the second, or one with no work going on, ends the process.

use crate::note;
use qaio::CancelToken;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What Ctrl-C acts on.
pub struct Interrupts {
    token: CancelToken,
    working: Arc<AtomicBool>,
}

impl Interrupts {
    /// Takes Ctrl-C over from the shell's default.
    pub fn install() -> Self {
        let interrupts = Self { token: CancelToken::new(), working: Arc::default() };
        let (token, working) = (interrupts.token.clone(), interrupts.working.clone());
        // If this fails, Ctrl-C still ends the process.
        let _ = ctrlc::set_handler(move || {
            if working.load(Ordering::SeqCst) && !token.is_cancelled() {
                token.cancel();
            } else {
                note::end_line();
                exit(130);
            }
        });
        interrupts
    }

    /// Does `work`, which ends early when the token that it gets is set.
    pub fn during<T>(&self, work: impl FnOnce(CancelToken) -> T) -> T {
        self.token.reset();
        self.working.store(true, Ordering::SeqCst);
        let result = work(self.token.clone());
        self.working.store(false, Ordering::SeqCst);
        result
    }
}
