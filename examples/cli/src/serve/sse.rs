//! Server-sent events: how a reply comes piece by piece.

use super::problem::Problem;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde::Serialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;

/// Silence after which a comment keeps the connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Where a stream's events are put in. A reader that is slow holds nothing up: a reply is short, and its events wait here.
#[derive(Clone)]
pub struct Events(mpsc::UnboundedSender<Event>);

impl Events {
    /// Sends an event with a name; false when nobody reads any more.
    pub fn send(&self, name: &'static str, data: &impl Serialize) -> bool {
        let data = serde_json::to_string(data).unwrap_or_default();
        self.0.send(Event::default().event(name).data(data)).is_ok()
    }

    /// Sends an event without a name.
    pub fn send_data(&self, data: impl Into<String>) -> bool {
        self.0.send(Event::default().data(data.into())).is_ok()
    }

    /// Sends what went wrong after the stream began.
    pub fn fail(&self, problem: &Problem) {
        self.send("error", problem);
    }
}

/// A response of the events that `produce` sends. When the reader goes away, `produce` is dropped.
pub fn respond<F: Future<Output = ()> + Send + 'static>(produce: impl FnOnce(Events) -> F) -> Response {
    let (sender, receiver) = mpsc::unbounded_channel();
    let producer = Box::pin(produce(Events(sender)));
    let stream = futures_util::stream::unfold((Some(producer), receiver), |(mut producer, mut receiver)| async move {
        loop {
            tokio::select! {
                biased;
                event = receiver.recv() => return event.map(|event| (Ok::<_, Infallible>(event), (producer, receiver))),
                () = finished(&mut producer) => producer = None,
            }
        }
    });
    with_keep_alive(stream)
}

/// Until the producer, if there is one, is done.
async fn finished<F: Future<Output = ()> + Unpin>(producer: &mut Option<F>) {
    match producer {
        Some(producer) => producer.await,
        None => std::future::pending().await,
    }
}

fn with_keep_alive(stream: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    ([("x-accel-buffering", "no")], Sse::new(stream).keep_alive(keep_alive)).into_response()
}
