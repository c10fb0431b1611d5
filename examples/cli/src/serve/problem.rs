//! What a client is told when something is wrong: problem details (RFC 9457) with the library's status names.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qaio::{Error, ErrorKind};
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;
use utoipa::ToSchema;

/// Why a request failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({"type": "about:blank", "title": "Bad Request", "status": 400, "code": "EMPTY_TEXT",
    "detail": "the text is empty or only white space; give at least one character"}))]
pub struct Problem {
    /// Always `about:blank`: the title says as much.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// For programs: the library's status (`EMPTY_TEXT`) or one of the server's (`QUEUE_FULL`).
    code: &'static str,
    /// For people: what is wrong, with its value, and what to do.
    detail: String,
    /// Seconds after which trying again makes sense.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", title, status: status.as_u16(), code, detail: detail.into(), retry_after: None }
    }

    /// The same, with the advice when to try again.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait.as_secs_f64().ceil().max(1.0) as u64);
        self
    }

    pub fn code(&self) -> &'static str {
        self.code
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// As OpenAI's clients expect it, beside the problem's own fields.
    pub fn for_openai(&self) -> Value {
        let kind = if self.status < 500 { "invalid_request_error" } else { "server_error" };
        let mut body = json!(self);
        body["error"] = json!({"message": self.detail, "type": kind, "param": null, "code": self.code});
        body
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail)
    }

    pub fn internal() -> Self {
        let detail = "the server failed; its log has the reason, and the request may be sent again";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", detail)
    }

    fn response(&self, body: &Value) -> Response {
        let mut response = (self.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    /// The answer of `/v1`.
    pub fn into_openai_response(self) -> Response {
        self.response(&self.for_openai())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.response(&json!(self))
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code) = match error.kind() {
            ErrorKind::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            ErrorKind::InvalidUtf8 => (StatusCode::BAD_REQUEST, "INVALID_UTF8"),
            ErrorKind::EmptyText => (StatusCode::BAD_REQUEST, "EMPTY_TEXT"),
            ErrorKind::ContextOverflow => (StatusCode::PAYLOAD_TOO_LARGE, "CONTEXT_OVERFLOW"),
            ErrorKind::UnknownOption => (StatusCode::BAD_REQUEST, "UNKNOWN_OPTION"),
            ErrorKind::InvalidOption => (StatusCode::BAD_REQUEST, "INVALID_OPTION"),
            ErrorKind::InvalidTask => (StatusCode::BAD_REQUEST, "INVALID_TASK"),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            ErrorKind::Busy => (StatusCode::CONFLICT, "BUSY"),
            ErrorKind::Cancelled => (StatusCode::SERVICE_UNAVAILABLE, "CANCELLED"),
            ErrorKind::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
            ErrorKind::OutOfMemory => (StatusCode::SERVICE_UNAVAILABLE, "OUT_OF_MEMORY"),
            ErrorKind::Io => (StatusCode::INTERNAL_SERVER_ERROR, "IO"),
            ErrorKind::ModelIncomplete => (StatusCode::INTERNAL_SERVER_ERROR, "MODEL_INCOMPLETE"),
            ErrorKind::ModelCorrupt => (StatusCode::INTERNAL_SERVER_ERROR, "MODEL_CORRUPT"),
            ErrorKind::ModelUnsupported => (StatusCode::INTERNAL_SERVER_ERROR, "MODEL_UNSUPPORTED"),
            ErrorKind::ModelNotFinite => (StatusCode::INTERNAL_SERVER_ERROR, "MODEL_NOT_FINITE"),
            ErrorKind::ModelConflict => (StatusCode::INTERNAL_SERVER_ERROR, "MODEL_CONFLICT"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        };
        Self::new(status, code, error.to_string())
    }
}
