//! `/v1`: as OpenAI's clients expect it. A conversation with the model, or, with a task behind the model's name
//! (`qaio-mini:sentiment`), the label of its last message with the labels' logarithmic probabilities.

mod answer;
mod request;

use super::input::{self, Json, Options, Peer};
use super::problem::Problem;
use super::queue::Permit;
use super::sse::{self, Events};
use super::state::Shared;
use super::work::Work;
use answer::{Answer, Form};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use qaio::CancelToken;
use request::{CompletionIn, Question};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

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
            let _ = send(json!({"content": found.label().text}));
            Ok(Answer::Label(Box::new(found), *top))
        }
    }
}
