//! What all requests share.

use super::guard::Guard;
use super::metrics::Metrics;
use super::problem::Problem;
use super::queue::Queue;
use super::sessions::Sessions;
use axum::http::StatusCode;
use qaio::{CancelToken, Model, Task};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub struct App {
    pub guard: Guard,
    pub queue: Arc<Queue>,
    pub sessions: Sessions,
    pub metrics: Metrics,
    /// Set when replies that still run must end.
    pub closing: CancelToken,
    /// How long a request may compute.
    pub timeout: Duration,
    loaded: OnceLock<Result<Loaded, Problem>>,
}

/// The model and what is offered on it.
pub struct Loaded {
    pub model: Arc<Model>,
    /// In the order in which they are listed; the first is `sentiment`.
    pub tasks: Vec<Arc<Task>>,
    /// Whether it is the built-in demonstration model.
    pub demonstration: bool,
}

pub type Shared = Arc<App>;

impl App {
    pub fn new(guard: Guard, queue: Arc<Queue>, sessions: Sessions, timeout: Duration) -> Shared {
        let (metrics, closing, loaded) = (Metrics::new(queue.clone()), CancelToken::new(), OnceLock::new());
        Arc::new(Self { guard, queue, sessions, metrics, closing, timeout, loaded })
    }

    /// Tells all requests what came of loading; done once.
    pub fn set_loaded(&self, outcome: Result<Loaded, Problem>) {
        let _ = self.loaded.set(outcome);
    }

    /// The model, or 503 while it loads.
    pub fn loaded(&self) -> Result<&Loaded, Problem> {
        match self.loaded.get() {
            Some(Ok(loaded)) => Ok(loaded),
            Some(Err(problem)) => Err(problem.clone()),
            None => {
                let detail = "the model is loading; try again in a second";
                Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "LOADING", detail)
                    .retry_after(Duration::from_secs(1)))
            }
        }
    }
}

impl Loaded {
    /// The task of this name.
    pub fn task(&self, name: &str) -> Result<&Arc<Task>, Problem> {
        self.tasks.iter().find(|task| task.definition().name == name).ok_or_else(|| {
            let names: Vec<_> = self.tasks.iter().map(|task| task.definition().name.as_str()).collect();
            Problem::not_found(format!("there is no task {name:?} here; use one of {}", names.join(", ")))
        })
    }
}
