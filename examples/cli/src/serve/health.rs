//! Whether the server is well: `/healthz`, `/readyz`, `/metrics`, and `/api/info` for people.

use super::problem::Problem;
use super::state::Shared;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// The server and its model.
#[derive(Serialize, ToSchema)]
pub struct InfoOut {
    /// qaio's version.
    version: &'static str,
    /// Name, architecture, parameters, format, context, threads and more.
    #[schema(value_type = Object)]
    model: Value,
    /// Whether it is the built-in model, which is for demonstration only.
    demonstration: bool,
    /// Requests that compute at the moment.
    running: usize,
    /// Requests that wait for their turn.
    waiting: usize,
}

/// Whether the server runs
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Object)))]
pub async fn healthz() -> axum::Json<Value> {
    axum::Json(json!({"status": "ok"}))
}

/// Whether the model is loaded
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Object), (status = 503, body = Problem)))]
pub async fn readyz(State(app): State<Shared>) -> Result<axum::Json<Value>, Problem> {
    app.loaded()?;
    Ok(axum::Json(json!({"status": "ready"})))
}

/// The server and its model
#[utoipa::path(get, path = "/api/info", tag = "health", responses((status = 200, body = InfoOut), (status = "4XX", body = Problem),
    (status = "5XX", body = Problem)))]
pub async fn info(State(app): State<Shared>) -> Result<axum::Json<InfoOut>, Problem> {
    let loaded = app.loaded()?;
    let (running, waiting) = app.queue.load();
    let model = json!(loaded.model.info());
    Ok(axum::Json(InfoOut {
        version: env!("CARGO_PKG_VERSION"),
        model,
        demonstration: loaded.demonstration,
        running,
        waiting,
    }))
}

/// Figures for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "health", responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub async fn metrics(State(app): State<Shared>) -> Response {
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match app.metrics.text() {
        Ok(text) => ([(header::CONTENT_TYPE, KIND)], text).into_response(),
        Err(_) => Problem::internal().into_response(),
    }
}
