//! Runs the library on threads of its own, so that the server goes on serving; ends the work of a client that went away.

use super::problem::Problem;
use super::queue::Permit;
use super::state::Shared;
use qaio::CancelToken;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often a running request looks whether the server closes.
const CLOSING: Duration = Duration::from_millis(50);

/// Work that is under way; dropping this ends it.
pub struct Work<T> {
    handle: JoinHandle<T>,
    cancel: CancelToken,
}

impl<T: Send + 'static> Work<T> {
    /// Begins `work`; the permit is given back when it is done.
    pub fn begin(permit: Permit, work: impl FnOnce(CancelToken) -> T + Send + 'static) -> Self {
        let cancel = CancelToken::new();
        let token = cancel.clone();
        let handle = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(token)
        });
        Self { handle, cancel }
    }

    /// Until it is done. The server's end ends it too.
    pub async fn done(&mut self, app: &Shared) -> Result<T, Problem> {
        loop {
            match tokio::time::timeout(CLOSING, &mut self.handle).await {
                Ok(Ok(result)) => return Ok(result),
                Ok(Err(panic)) => {
                    tracing::error!("a request failed: {panic}");
                    return Err(Problem::internal());
                }
                Err(_) if app.closing.is_cancelled() => self.cancel.cancel(),
                Err(_) => {}
            }
        }
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Waits for the turn of `client`, then does `work` and returns what came of it.
pub async fn run<T: Send + 'static>(
    app: &Shared,
    client: &str,
    work: impl FnOnce(CancelToken) -> qaio::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let permit = app.queue.admitted(client).await?;
    Ok(Work::begin(permit, work).done(app).await??)
}
