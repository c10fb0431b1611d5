//! Reads requests: JSON bodies with errors that name the place, and options that the library checks.

use super::problem::Problem;
use super::state::Shared;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use qaio::{ClassifyOptions, ReplyOptions};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::net::SocketAddr;

/// Bytes of the largest request.
pub const MOST_BYTES: usize = 4 << 20;

/// Options of the library, as JSON.
pub type Options = Map<String, Value>;

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        let essence = kind.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let detail = format!("the content type is {kind:?}; send application/json");
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail));
        }
        let body = Bytes::from_request(request, state).await.map_err(unreadable)?;
        parse(&body).map(Json)
    }
}

fn unreadable(rejection: BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("the request has more than {MOST_BYTES} bytes; send less at a time");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "TOO_LARGE", detail)
        }
        status if status.is_client_error() => Problem::new(status, "UNREADABLE", rejection.body_text()),
        _ => Problem::bad_request("UNREADABLE", format!("the request could not be read: {}", rejection.body_text())),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(body).map_err(|error| {
        Problem::bad_request("INVALID_UTF8", format!("the body is not UTF-8 from byte {} on", error.valid_up_to()))
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("{path}: ") };
        Problem::bad_request("INVALID_JSON", format!("{place}{}", error.inner()))
    })?;
    reader.end().map_err(|error| Problem::bad_request("INVALID_JSON", format!("after the JSON: {error}")))?;
    Ok(value)
}

/// Options for replies; computing longer than the server allows ends a reply.
pub fn reply_options(options: &Options, app: &Shared) -> Result<ReplyOptions, Problem> {
    let mut options = ReplyOptions::from_json(&Value::from(options.clone()).to_string())?;
    options.deadline_ms = Some(deadline(options.deadline_ms, app));
    Ok(options)
}

/// Options for labels.
pub fn classify_options(options: &Options, app: &Shared) -> Result<ClassifyOptions, Problem> {
    let mut options = ClassifyOptions::from_json(&Value::from(options.clone()).to_string())?;
    options.deadline_ms = Some(deadline(options.deadline_ms, app));
    Ok(options)
}

fn deadline(asked: Option<u64>, app: &Shared) -> u64 {
    let most = app.timeout.as_millis() as u64;
    asked.map_or(most, |asked| asked.min(most))
}

/// The other end of the connection.
#[derive(Clone, Copy)]
pub struct Peer(pub SocketAddr);

impl Peer {
    /// Who waits in one line.
    pub fn client(self) -> String {
        self.0.ip().to_string()
    }
}
