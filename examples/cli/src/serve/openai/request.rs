//! What clients ask for, and what of it is to be computed.

use crate::serve::input::{self, Options};
use crate::serve::problem::Problem;
use crate::serve::state::{Loaded, Shared};
use axum::http::StatusCode;
use qaio::engine::{Message, Role};
use qaio::{ReplyOptions, Task};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// A chat completion request. Fields that are not listed are ignored, as OpenAI's server does.
#[derive(Deserialize, ToSchema)]
pub struct CompletionIn {
    /// The model's name from `GET /v1/models`; with `:task` behind it the answer is a label.
    #[schema(example = "qaio-mini")]
    pub model: String,
    /// The conversation; the last message is the user's.
    messages: Vec<MessageIn>,
    /// Send the answer as chunks.
    #[serde(default)]
    pub stream: Option<bool>,
    /// `{"include_usage": true}` adds a last chunk with the usage.
    #[serde(default)]
    pub stream_options: Option<StreamOptions>,
    /// Most tokens of the answer.
    #[serde(default)]
    #[schema(minimum = 1)]
    max_tokens: Option<u64>,
    /// The newer name of `max_tokens`.
    #[serde(default)]
    #[schema(minimum = 1)]
    max_completion_tokens: Option<u64>,
    /// 0 to 2.
    #[serde(default)]
    temperature: Option<f64>,
    /// 0 (exclusive) to 1.
    #[serde(default)]
    top_p: Option<f64>,
    /// Same seed, same conversation, same answer.
    #[serde(default)]
    seed: Option<u64>,
    /// Up to 16 texts that end the answer.
    #[serde(default)]
    stop: Option<StopIn>,
    /// Only 1.
    #[serde(default)]
    n: Option<u64>,
    /// Of labels: give their logarithmic probabilities. Needs a model with `:task`.
    #[serde(default)]
    logprobs: Option<bool>,
    /// How many of the labels, 0 to 20.
    #[serde(default)]
    #[schema(maximum = 20)]
    top_logprobs: Option<usize>,
    /// Not offered.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Vec<Value>>,
}

/// One message.
#[derive(Deserialize, ToSchema)]
pub struct MessageIn {
    /// `system` (or `developer`), `user` or `assistant`.
    #[schema(example = "user")]
    role: String,
    /// The text.
    content: ContentIn,
}

/// A text, or parts of type `text`.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ContentIn {
    Text(String),
    Parts(Vec<PartIn>),
}

/// A part of a message.
#[derive(Deserialize, ToSchema)]
pub struct PartIn {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

/// One text, or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum StopIn {
    One(String),
    Several(Vec<String>),
}

/// What a stream has beside its text.
#[derive(Deserialize, ToSchema)]
pub struct StreamOptions {
    #[serde(default)]
    pub include_usage: bool,
}

/// What is to be computed.
pub enum Question {
    Reply { messages: Vec<Message>, options: Box<ReplyOptions> },
    Label { task: Arc<Task>, text: String, top: Option<usize> },
}

impl Question {
    /// What `body` asks for, all of it checked.
    pub fn new(body: &CompletionIn, app: &Shared) -> Result<Self, Problem> {
        let loaded = app.loaded()?;
        if body.n.is_some_and(|n| n != 1) {
            return Err(Problem::bad_request("INVALID_OPTION", "n is not 1; ask once for each answer"));
        }
        if body.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
            return Err(Problem::bad_request("INVALID_OPTION", "tools are not offered; leave them out"));
        }
        let messages = body.messages.iter().map(Message::try_from).collect::<Result<Vec<_>, _>>()?;
        match task(&body.model, loaded)? {
            Some(task) => {
                let Some(last) = messages.last().filter(|last| last.role == Role::User) else {
                    return Err(Problem::bad_request(
                        "INVALID_ARGUMENT",
                        "the last message is not the user's; it is what is labelled",
                    ));
                };
                let top = (body.logprobs == Some(true)).then(|| body.top_logprobs.unwrap_or(0).min(20));
                Ok(Self::Label { task, text: last.content.clone(), top })
            }
            None if body.logprobs == Some(true) => {
                let name = &body.model;
                let detail =
                    format!("logprobs are measured for labels: set model to {name}:sentiment, or leave logprobs out");
                Err(Problem::bad_request("INVALID_OPTION", detail))
            }
            None => Ok(Self::Reply { messages, options: Box::new(body.options(app)?) }),
        }
    }
}

/// The task that a model's name asks for, if any; 404 for a model that is not the loaded one.
fn task(model: &str, loaded: &Loaded) -> Result<Option<Arc<Task>>, Problem> {
    let name = loaded.model.info().name;
    let rest = model.strip_prefix(&name).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "UNKNOWN_MODEL", format!("the model {model:?} is not loaded; use {name:?}"))
    })?;
    match rest.strip_prefix(':') {
        Some(task) => loaded.task(task).cloned().map(Some),
        None if rest.is_empty() => Ok(None),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "UNKNOWN_MODEL",
            format!("the model {model:?} is not loaded; use {name:?}, or {name:?} with a colon and a task"),
        )),
    }
}

impl CompletionIn {
    /// As the library's options.
    fn options(&self, app: &Shared) -> Result<ReplyOptions, Problem> {
        let mut options = Options::new();
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                options.insert(key.to_owned(), value);
            }
        };
        set("max_tokens", self.max_completion_tokens.or(self.max_tokens).map(Value::from));
        set("temperature", self.temperature.map(Value::from));
        set("top_p", self.top_p.map(Value::from));
        set("seed", self.seed.map(Value::from));
        let stop = self.stop.as_ref().map(|stop| match stop {
            StopIn::One(stop) => vec![stop.clone()],
            StopIn::Several(stops) => stops.clone(),
        });
        set("stop", stop.map(Value::from));
        input::reply_options(&options, app)
    }
}

impl TryFrom<&MessageIn> for Message {
    type Error = Problem;

    fn try_from(message: &MessageIn) -> Result<Self, Problem> {
        let role = match message.role.as_str() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            other => {
                let detail = format!("the role {other:?} is not known; use system, user or assistant");
                return Err(Problem::bad_request("INVALID_ARGUMENT", detail));
            }
        };
        let content = match &message.content {
            ContentIn::Text(text) => text.clone(),
            ContentIn::Parts(parts) => {
                if let Some(part) = parts.iter().find(|part| part.kind != "text") {
                    let detail = format!("a part of type {:?} cannot be read; send text", part.kind);
                    return Err(Problem::bad_request("INVALID_ARGUMENT", detail));
                }
                parts.iter().map(|part| part.text.as_str()).collect()
            }
        };
        Ok(Self::new(role, content))
    }
}
