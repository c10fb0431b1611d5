//! `/v1`: as OpenAI's clients expect it. A conversation with the model, or, with a task behind the model's name
//! (`qaio-mini:sentiment`), the label of its last message with the labels' logarithmic probabilities.

use super::input::{self, Json, Options, Peer};
use super::problem::Problem;
use super::queue::Permit;
use super::sse::{self, Events};
use super::state::{Loaded, Shared};
use super::work::Work;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use qaio::engine::{Message, Role};
use qaio::{CancelToken, Classification, Reply, ReplyOptions, StopReason, Task};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use utoipa::ToSchema;
use uuid::Uuid;

/// A chat completion request. Fields that are not listed are ignored, as OpenAI's server does.
#[derive(Deserialize, ToSchema)]
pub struct CompletionIn {
    /// The model's name from `GET /v1/models`; with `:task` behind it the answer is a label.
    #[schema(example = "qaio-mini")]
    model: String,
    /// The conversation; the last message is the user's.
    messages: Vec<MessageIn>,
    /// Send the answer as chunks.
    #[serde(default)]
    stream: Option<bool>,
    /// `{"include_usage": true}` adds a last chunk with the usage.
    #[serde(default)]
    stream_options: Option<StreamOptions>,
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
enum ContentIn {
    Text(String),
    Parts(Vec<PartIn>),
}

/// A part of a message.
#[derive(Deserialize, ToSchema)]
struct PartIn {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: String,
}

/// One text, or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum StopIn {
    One(String),
    Several(Vec<String>),
}

/// What a stream has beside its text.
#[derive(Deserialize, ToSchema)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// The answer to a request, and how it is put.
#[derive(Clone)]
struct Form {
    id: String,
    created: u64,
    model: String,
    include_usage: bool,
}

/// What is to be computed.
enum Question {
    Reply { messages: Vec<Message>, options: Box<ReplyOptions> },
    Label { task: Arc<Task>, text: String, top: Option<usize> },
}

/// What came of it.
enum Answer {
    Reply(Reply),
    Label(Box<Classification>, Option<usize>),
}

/// The models, and each task on them
#[utoipa::path(get, path = "/v1/models", tag = "openai", responses((status = 200, body = Object), (status = "4XX", body = Problem),
    (status = "5XX", body = Problem)))]
pub async fn models(State(app): State<Shared>) -> Result<axum::Json<Value>, Response> {
    let loaded = app.loaded().map_err(Problem::into_openai_response)?;
    let name = loaded.model.info().name;
    let tasks = loaded.tasks.iter().map(|task| format!("{name}:{}", task.definition().name));
    let model = |id: String| json!({"id": id, "object": "model", "created": 0, "owned_by": "qaio"});
    let data: Vec<Value> = std::iter::once(name.clone()).chain(tasks).map(model).collect();
    Ok(axum::Json(json!({"object": "list", "data": data})))
}

/// A chat completion, or a label
///
/// As OpenAI's clients send it. Without a system message the assistant's own instructions hold.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = CompletionIn,
    responses((status = 200, description = "The completion, or the stream of its chunks", content(
        (Object = "application/json"), (String = "text/event-stream"))), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn chat_completions(
    State(app): State<Shared>,
    Extension(peer): Extension<Peer>,
    body: Result<Json<CompletionIn>, Problem>,
) -> Result<Response, Response> {
    complete(app, peer, body).await.map_err(Problem::into_openai_response)
}

async fn complete(app: Shared, peer: Peer, body: Result<Json<CompletionIn>, Problem>) -> Result<Response, Problem> {
    let Json(body) = body?;
    let question = Question::new(&body, &app)?;
    let form = Form {
        id: format!("chatcmpl-{}", Uuid::new_v4().simple()),
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        model: body.model,
        include_usage: body.stream_options.is_some_and(|options| options.include_usage),
    };
    let permit = app.queue.admitted(&peer.client()).await?;
    if body.stream == Some(true) {
        return Ok(sse::respond(move |events| answer_in_chunks(app, form, question, permit, events)));
    }
    let answer = answer(&app, question, permit, None).await?;
    Ok(axum::Json(form.whole(&answer)).into_response())
}

impl Question {
    fn new(body: &CompletionIn, app: &Shared) -> Result<Self, Problem> {
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

async fn answer_in_chunks(app: Shared, form: Form, question: Question, permit: Permit, events: Events) {
    events.send_data(form.chunk(json!({"role": "assistant", "content": ""}), Value::Null).to_string());
    match answer(&app, question, permit, Some((form.clone(), events.clone()))).await {
        Ok(answer) => {
            events.send_data(form.chunk(json!({}), json!(answer.finish_reason())).to_string());
            if form.include_usage {
                let mut last = form.chunk(Value::Null, Value::Null);
                last["choices"] = json!([]);
                last["usage"] = answer.usage();
                events.send_data(last.to_string());
            }
            events.send_data("[DONE]");
        }
        Err(problem) => {
            events.send_data(problem.for_openai().to_string());
        }
    }
}

async fn answer(
    app: &Shared,
    question: Question,
    permit: Permit,
    stream: Option<(Form, Events)>,
) -> Result<Answer, Problem> {
    let shared = app.clone();
    Work::begin(permit, move |cancel| compute(&shared, &question, cancel, stream.as_ref())).done(app).await?
}

fn compute(
    app: &Shared,
    question: &Question,
    cancel: CancelToken,
    stream: Option<&(Form, Events)>,
) -> Result<Answer, Problem> {
    let send = |delta: Value| match stream {
        Some((form, events)) if !events.send_data(form.chunk(delta, Value::Null).to_string()) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    match question {
        Question::Reply { messages, options } => {
            let model = &app.loaded()?.model;
            let reply =
                model.complete(messages, options, Some(cancel), &mut |piece| send(json!({"content": piece})))?;
            app.metrics.count_reply(&reply.usage);
            Ok(Answer::Reply(reply))
        }
        Question::Label { task, text, top } => {
            let options = input::classify_options(&Options::new(), app)?;
            let found = task.classify(text, &options, Some(cancel))?;
            app.metrics.count_texts(1);
            let _ = send(json!({"content": found.definition.labels[found.index].text}));
            Ok(Answer::Label(Box::new(found), *top))
        }
    }
}

impl Answer {
    fn text(&self) -> &str {
        match self {
            Answer::Reply(reply) => &reply.text,
            Answer::Label(found, _) => &found.definition.labels[found.index].text,
        }
    }

    fn finish_reason(&self) -> &'static str {
        match self {
            Answer::Reply(reply) if matches!(reply.stop_reason, StopReason::Length | StopReason::Deadline) => "length",
            _ => "stop",
        }
    }

    fn usage(&self) -> Value {
        let (usage, completion) = match self {
            Answer::Reply(reply) => (reply.usage, reply.usage.reply_tokens),
            Answer::Label(found, _) => (found.usage, 1),
        };
        json!({
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": usage.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        })
    }

    /// The labels' logarithmic probabilities, the likeliest first, in the place of a token's.
    fn logprobs(&self) -> Value {
        let Answer::Label(found, Some(top)) = self else { return Value::Null };
        let mut labels: Vec<(&str, f64)> = found
            .definition
            .labels
            .iter()
            .map(|label| label.text.as_str())
            .zip(found.probabilities.iter().copied())
            .collect();
        labels.sort_by(|a, b| b.1.total_cmp(&a.1));
        let entry =
            |&(text, p): &(&str, f64)| json!({"token": text, "logprob": p.max(1e-300).ln(), "bytes": text.as_bytes()});
        let mut first = entry(&labels[0]);
        first["top_logprobs"] = labels.iter().take(*top).map(entry).collect();
        json!({"content": [first], "refusal": null})
    }
}

impl Form {
    fn whole(&self, answer: &Answer) -> Value {
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": answer.text(), "refusal": null},
                "logprobs": answer.logprobs(), "finish_reason": answer.finish_reason(),
            }],
            "usage": answer.usage(),
        })
    }

    fn chunk(&self, delta: Value, finish_reason: Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason}],
        })
    }
}
