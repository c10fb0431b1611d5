//! Conversations: `POST /api/sessions`, `GET` and `DELETE /api/sessions/{id}`, and where they are kept.

use super::input::Json;
use super::problem::Problem;
use super::state::{Loaded, Shared};
use super::store::Store;
use super::wire::SentimentOut;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use qaio::{Exchange, Session, SessionOptions};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::OwnedMutexGuard;
use utoipa::ToSchema;
use uuid::Uuid;

/// Conversations whose keys and values stay in memory; others are computed again when they go on.
const WARM: usize = 16;
/// Conversations in memory. Without a folder the one that was not used for longest is lost then.
const MOST: usize = 4096;

/// All conversations.
pub struct Sessions {
    known: Mutex<HashMap<Uuid, Arc<Conversation>>>,
    store: Option<Store>,
}

/// One conversation.
pub struct Conversation {
    id: Uuid,
    options: SessionOptions,
    /// Ready to go on; locked while it does.
    warm: Arc<tokio::sync::Mutex<Option<Session>>>,
    /// What was said, for those who look while it goes on.
    said: RwLock<Arc<Vec<Exchange>>>,
    used: Mutex<Instant>,
}

/// The right to continue a conversation.
pub type Turn = OwnedMutexGuard<Option<Session>>;

impl Sessions {
    pub fn new(store: Option<Store>) -> Self {
        Self { known: Mutex::default(), store }
    }

    fn create(&self, options: SessionOptions) -> Result<Uuid, Problem> {
        let id = Uuid::new_v4();
        if let Some(store) = &self.store {
            store.write(id, &options, &[]).map_err(|error| not_kept(&error))?;
        }
        self.remember(id, options, Vec::new());
        Ok(id)
    }

    /// The conversation of this id, from memory or from disk.
    pub fn get(&self, id: &str) -> Result<Arc<Conversation>, Problem> {
        let unknown = || Problem::not_found(format!("there is no session {id:?}; POST /api/sessions begins one"));
        let id = Uuid::parse_str(id).map_err(|_| unknown())?;
        if let Some(known) = self.known().get(&id) {
            *known.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return Ok(known.clone());
        }
        match self.store.as_ref().map(|store| store.read(id)) {
            Some(Ok(Some((options, exchanges)))) => Ok(self.remember(id, options, exchanges)),
            Some(Err(error)) => Err(not_kept(&error)),
            Some(Ok(None)) | None => Err(unknown()),
        }
    }

    fn remember(&self, id: Uuid, options: SessionOptions, exchanges: Vec<Exchange>) -> Arc<Conversation> {
        let conversation = Arc::new(Conversation {
            id,
            options,
            warm: Arc::default(),
            said: RwLock::new(Arc::new(exchanges)),
            used: Mutex::new(Instant::now()),
        });
        let mut known = self.known();
        if known.len() >= MOST
            && let Some(oldest) =
                known.values().filter(|one| !one.is_busy()).min_by_key(|one| one.used()).map(|one| one.id)
        {
            known.remove(&oldest);
        }
        // Another request may have read it at the same time; there must be one of each.
        known.entry(id).or_insert(conversation).clone()
    }

    fn delete(&self, conversation: &Conversation) -> Result<(), Problem> {
        self.known().remove(&conversation.id);
        self.store.as_ref().map_or(Ok(()), |store| store.delete(conversation.id)).map_err(|error| not_kept(&error))
    }

    /// Takes down what a turn has led to. With `again` the last exchange was replaced.
    pub fn keep(&self, conversation: &Conversation, session: &Session, again: bool) -> Result<(), Problem> {
        let said = session.history().to_vec();
        let kept = match (&self.store, said.last()) {
            (Some(store), Some(last)) if !again => store.add(conversation.id, last),
            (Some(store), _) => store.write(conversation.id, &conversation.options, &said),
            (None, _) => Ok(()),
        };
        *conversation.said.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(said);
        self.cool();
        kept.map_err(|error| not_kept(&error))
    }

    /// Frees the keys and values of all but the conversations that were used last.
    fn cool(&self) {
        let mut warm: Vec<_> = self.known().values().cloned().collect();
        warm.sort_by_key(|conversation| std::cmp::Reverse(conversation.used()));
        for conversation in &warm[WARM.min(warm.len())..] {
            if let Ok(mut session) = conversation.warm.try_lock() {
                *session = None;
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Arc<Conversation>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Conversation {
    pub fn id(&self) -> String {
        self.id.to_string()
    }

    /// The right to continue it, or 409 while it goes on already.
    pub fn turn(&self) -> Result<Turn, Problem> {
        self.warm.clone().try_lock_owned().map_err(|_| {
            let detail = "the session is answering already; wait for the reply, or end it by closing its connection";
            Problem::new(StatusCode::CONFLICT, "BUSY", detail)
        })
    }

    /// The session itself, made of what was said if it is not warm.
    pub fn warm<'a>(&self, turn: &'a mut Turn, loaded: &Loaded) -> qaio::Result<&'a mut Session> {
        if turn.is_none() {
            **turn = Some(Session::restore(loaded.model.clone(), &self.options, self.said().to_vec())?);
        }
        Ok(turn.as_mut().expect("it was just made"))
    }

    /// What was said.
    pub fn said(&self) -> Arc<Vec<Exchange>> {
        self.said.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_busy(&self) -> bool {
        self.warm.try_lock().is_err()
    }

    fn used(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_kept(error: &std::io::Error) -> Problem {
    tracing::error!("a session's file: {error}");
    let detail =
        format!("the session's file cannot be used: {error}; free space or permissions, or serve with --forget");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "IO", detail)
}

/// How a session begins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// The assistant's instructions in place of the built-in ones.
    #[serde(default)]
    system: Option<String>,
}

/// A session that has begun.
#[derive(Serialize, ToSchema)]
pub struct SessionCreated {
    /// Names it in later requests; whoever knows it can read the conversation.
    id: String,
}

/// A conversation.
#[derive(Serialize, ToSchema)]
pub struct SessionOut {
    /// Its name.
    id: String,
    /// Whether it is answering at the moment.
    busy: bool,
    /// Oldest first.
    messages: Vec<MessageOut>,
}

/// One message of a conversation.
#[derive(Serialize, ToSchema)]
pub struct MessageOut {
    /// `user` or `assistant`.
    role: &'static str,
    /// What was said.
    content: String,
    /// Of the user's messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    sentiment: Option<SentimentOut>,
    /// Of the assistant's messages: why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_reason: Option<&'static str>,
}

/// Begin a conversation
///
/// It remembers what is said until it is deleted, or for 30 days after its last message.
#[utoipa::path(post, path = "/api/sessions", tag = "sessions", request_body = NewSession,
    responses((status = 201, body = SessionCreated), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn create(
    State(app): State<Shared>,
    Json(new): Json<NewSession>,
) -> Result<(StatusCode, axum::Json<SessionCreated>), Problem> {
    let id = app.sessions.create(SessionOptions { system: new.system })?.to_string();
    Ok((StatusCode::CREATED, axum::Json(SessionCreated { id })))
}

/// Read a conversation
#[utoipa::path(get, path = "/api/sessions/{id}", tag = "sessions", params(("id" = String, Path, description = "The session's id")),
    responses((status = 200, body = SessionOut), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn read(State(app): State<Shared>, Path(id): Path<String>) -> Result<axum::Json<SessionOut>, Problem> {
    let conversation = app.sessions.get(&id)?;
    let (busy, said) = (conversation.is_busy(), conversation.said());
    let messages = said.iter().flat_map(|Exchange { message, turn, .. }| {
        let user = MessageOut {
            role: "user",
            content: message.clone(),
            sentiment: Some((&turn.sentiment).into()),
            stop_reason: None,
        };
        let stop_reason = Some(turn.reply.stop_reason.name());
        [user, MessageOut { role: "assistant", content: turn.reply.text.clone(), sentiment: None, stop_reason }]
    });
    Ok(axum::Json(SessionOut { id, busy, messages: messages.collect() }))
}

/// Forget a conversation
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "sessions", params(("id" = String, Path, description = "The session's id")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn delete(State(app): State<Shared>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let conversation = app.sessions.get(&id)?;
    app.sessions.delete(&conversation)?;
    Ok(StatusCode::NO_CONTENT)
}
