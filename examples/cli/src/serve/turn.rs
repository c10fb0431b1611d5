//! `POST /api/turn`: a message, its sentiment, and the reply; at once, or piece by piece.

use super::input::{self, Json, Options, Peer};
use super::problem::Problem;
use super::queue::{Permit, Place};
use super::sessions::Conversation;
use super::sse::{self, Events};
use super::state::Shared;
use super::wire::{SentimentOut, TurnOut};
use super::work::Work;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use qaio::{CancelToken, ReplyOptions, Turn};
use serde::Deserialize;
use serde_json::json;
use std::ops::ControlFlow;
use std::sync::Arc;
use utoipa::ToSchema;

/// A message to the assistant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TurnIn {
    /// The message. Left out with `regenerate`.
    #[serde(default)]
    #[schema(example = "终于把bug修完了，感觉整个人都轻松了！")]
    text: Option<String>,
    /// The conversation that it belongs to; without one the message stands alone.
    #[serde(default)]
    session: Option<String>,
    /// Answer the session's last message anew, in place of the last reply.
    #[serde(default)]
    regenerate: bool,
    /// Send the answer as server-sent events: `queued`, `sentiment`, `piece` (many), then `done` or `error`. So does the header
    /// `Accept: text/event-stream`.
    #[serde(default)]
    stream: bool,
    /// How to reply: `max_tokens`, `temperature`, `top_p`, `top_k`, `min_p`, `repetition_penalty`, `seed`, `stop`, `truncate`,
    /// `context` (passages that the reply may draw on), `context_tokens`, `deadline_ms`.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"max_tokens": 60, "temperature": 0}))]
    options: Options,
}

/// What is to be answered, all of it checked.
struct Question {
    text: String,
    options: ReplyOptions,
    again: bool,
    conversation: Option<Arc<Conversation>>,
}

/// Sentiment and reply for a message
///
/// With `stream` the answer is a stream of server-sent events; a client that closes the connection ends its reply, and what was
/// said till then stays in the session.
#[utoipa::path(post, path = "/api/turn", tag = "chat", request_body = TurnIn,
    responses((status = 200, description = "Sentiment and reply, or the stream of them", content(
        (TurnOut = "application/json"), (String = "text/event-stream"))), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn turn(
    State(app): State<Shared>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Json(body): Json<TurnIn>,
) -> Result<Response, Problem> {
    app.loaded()?;
    let client = body.session.clone().unwrap_or_else(|| peer.client());
    let stream = body.stream || accepts_events(&headers);
    let question = Question::new(body, &app)?;
    if stream {
        let place = app.queue.enter(&client)?;
        return Ok(sse::respond(move |events| answer_in_pieces(app, question, place, events)));
    }
    let permit = app.queue.admitted(&client).await?;
    Ok(axum::Json(answer(&app, question, permit, None).await?).into_response())
}

impl Question {
    fn new(body: TurnIn, app: &Shared) -> Result<Self, Problem> {
        let TurnIn { text, session, regenerate: again, options, .. } = body;
        let conversation = session.map(|id| app.sessions.get(&id)).transpose()?;
        let options = input::reply_options(&options, app)?;
        let text = match (text, again, &conversation) {
            (Some(text), false, _) => text,
            (None, true, Some(conversation)) => match conversation.said().last() {
                Some(last) => last.message.clone(),
                None => {
                    return Err(Problem::bad_request("INVALID_ARGUMENT", "the session has no message to answer anew"));
                }
            },
            (None, false, _) => {
                return Err(Problem::bad_request("INVALID_ARGUMENT", "text is missing; it is the message to answer"));
            }
            _ => {
                let detail = "regenerate answers a session's last message: it needs session, and no text";
                return Err(Problem::bad_request("INVALID_ARGUMENT", detail));
            }
        };
        qaio::check_text(&text)?;
        Ok(Self { text, options, again, conversation })
    }
}

async fn answer_in_pieces(app: Shared, question: Question, place: Place, events: Events) {
    let permit = match place {
        Place::Admitted(permit) => Ok(permit),
        Place::Waiting(mut wait) => loop {
            let ahead = *wait.ahead.borrow_and_update();
            events.send("queued", &json!({"ahead": ahead}));
            let mut changes = wait.ahead.clone();
            tokio::select! {
                permit = wait.admitted() => break permit,
                // The sender goes when the turn has come.
                Ok(()) = changes.changed() => {}
            }
        },
    };
    let outcome = match permit {
        Ok(permit) => answer(&app, question, permit, Some(events.clone())).await,
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok(turn) => {
            events.send("done", &turn);
        }
        Err(problem) => events.fail(&problem),
    }
}

/// Does the work, and tells `events` of it as it goes on.
async fn answer(app: &Shared, question: Question, permit: Permit, events: Option<Events>) -> Result<TurnOut, Problem> {
    let (shared, session) = (app.clone(), question.conversation.as_ref().map(|conversation| conversation.id()));
    let mut work = Work::begin(permit, move |cancel| say(&shared, &question, events.as_ref(), cancel));
    let turn = work.done(app).await??;
    Ok(TurnOut::new(&turn, session))
}

fn say(app: &Shared, question: &Question, events: Option<&Events>, cancel: CancelToken) -> Result<Turn, Problem> {
    let loaded = app.loaded()?;
    let heard = |sent: bool| if sent { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
    let mut on_sentiment = |sentiment: &_| {
        app.metrics.first_label();
        events
            .map_or(ControlFlow::Continue(()), |events| heard(events.send("sentiment", &SentimentOut::from(sentiment))))
    };
    let mut on_piece = |piece: &str| {
        events.map_or(ControlFlow::Continue(()), |events| heard(events.send("piece", &json!({"text": piece}))))
    };
    let Question { text, options, again, conversation } = question;
    let turn = match conversation {
        None => loaded.model.turn(text, options, Some(cancel), &mut on_sentiment, &mut on_piece)?,
        Some(conversation) => {
            let mut turn = conversation.turn()?;
            let session = conversation.warm(&mut turn, loaded)?;
            let said = match again {
                true => session.answer_again(options, Some(cancel), &mut on_sentiment, &mut on_piece)?,
                false => session.send(text, options, Some(cancel), &mut on_sentiment, &mut on_piece)?,
            };
            app.sessions.keep(conversation, session, *again)?;
            said
        }
    };
    app.metrics.count_reply(&turn.reply.usage);
    Ok(turn)
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accepted| accepted.to_str().ok());
    accepted.is_some_and(|accepted| accepted.split(',').any(|kind| kind.trim().starts_with("text/event-stream")))
}
