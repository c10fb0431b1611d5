//! `POST /api/classify` and `GET /api/tasks`: which label a text has.

use super::input::{self, Json, Options, Peer};
use super::problem::Problem;
use super::state::Shared;
use super::wire::ClassificationOut;
use super::work;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use qaio::{Batch, TaskDefinition};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use utoipa::ToSchema;

/// Texts of one request.
const MOST_TEXTS: usize = 1000;

/// One text, or many.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassifyIn {
    /// One text; the answer is its classification.
    #[serde(default)]
    #[schema(example = "项目延期了，客户又要投诉，压力好大。")]
    text: Option<String>,
    /// Or up to 1,000 texts; the answer has `results`, in their order.
    #[serde(default)]
    #[schema(max_items = 1000)]
    texts: Option<Vec<String>>,
    /// A name from `GET /api/tasks`.
    #[serde(default = "sentiment")]
    #[schema(example = "sentiment")]
    task: String,
    /// How: `threshold`, `label_mass`, `truncate`, `deadline_ms`.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"truncate": true}))]
    options: Options,
}

fn sentiment() -> String {
    "sentiment".to_owned()
}

/// The labels of many texts.
#[derive(Serialize, ToSchema)]
pub struct ResultsOut {
    /// In the order of the texts.
    results: Vec<ResultOut>,
}

/// The label of one of many texts, or why it has none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ResultOut {
    /// What was found.
    Found(ClassificationOut),
    /// A text that could not be classified; the others are.
    Failed {
        /// Why.
        error: Problem,
    },
}

/// A task that is offered.
#[derive(Serialize, ToSchema)]
pub struct TaskOut {
    /// Its name.
    #[schema(example = "sentiment")]
    name: String,
    /// What it is for.
    description: Option<String>,
    /// A score below this is unsure.
    threshold: f64,
    /// Its answers.
    labels: Vec<LabelOut>,
}

/// One of a task's answers.
#[derive(Serialize, ToSchema)]
pub struct LabelOut {
    /// What the model says.
    #[schema(example = "正面")]
    text: String,
    /// What programs call it.
    #[schema(example = "positive")]
    id: String,
    /// What it means.
    description: Option<String>,
}

/// The label of a text, or of up to 1,000
///
/// Results do not depend on how many texts are asked about at once. A text that cannot be classified has an `error` of its own.
#[utoipa::path(post, path = "/api/classify", tag = "tasks", request_body = ClassifyIn,
    responses((status = 200, description = "What was found: one classification for `text`, `results` for `texts`",
        content((ClassificationOut = "application/json"), (ResultsOut = "application/json"))),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn classify(
    State(app): State<Shared>,
    Extension(peer): Extension<Peer>,
    Json(body): Json<ClassifyIn>,
) -> Result<Response, Problem> {
    let task = app.loaded()?.task(&body.task)?.clone();
    let options = input::classify_options(&body.options, &app)?;
    match (body.text, body.texts) {
        (Some(text), None) => {
            let found =
                work::run(&app, &peer.client(), move |cancel| task.classify(&text, &options, Some(cancel))).await?;
            app.metrics.count_texts(1);
            Ok(axum::Json(ClassificationOut::from(&found)).into_response())
        }
        (None, Some(texts)) => {
            if texts.len() > MOST_TEXTS {
                let detail = format!("texts has {} entries; send at most {MOST_TEXTS} at a time", texts.len());
                return Err(Problem::bad_request("TOO_MANY", detail));
            }
            app.metrics.count_texts(texts.len());
            let client = peer.client();
            let batch = work::run(&app, &client, move |cancel| {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                task.classify_batch(&texts, &options, Some(cancel), &mut |_| ControlFlow::Continue(()))
            });
            Ok(axum::Json(ResultsOut::from(batch.await?)).into_response())
        }
        _ => {
            Err(Problem::bad_request("INVALID_ARGUMENT", "give either text (one string) or texts (a list of strings)"))
        }
    }
}

/// The tasks that are offered
#[utoipa::path(get, path = "/api/tasks", tag = "tasks",
    responses((status = 200, body = [TaskOut]), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub async fn tasks(State(app): State<Shared>) -> Result<axum::Json<Vec<TaskOut>>, Problem> {
    Ok(axum::Json(app.loaded()?.tasks.iter().map(|task| TaskOut::from(task.definition())).collect()))
}

impl From<&TaskDefinition> for TaskOut {
    fn from(definition: &TaskDefinition) -> Self {
        let labels = definition.labels.iter().cloned().map(|label| {
            let qaio::Label { text, id, description } = label;
            LabelOut { text, id, description }
        });
        let TaskDefinition { name, description, threshold, .. } = definition.clone();
        Self { name, description, threshold, labels: labels.collect() }
    }
}

impl From<Batch> for ResultsOut {
    fn from(batch: Batch) -> Self {
        let results = batch.rows.into_iter().map(|row| match row {
            Ok(found) => ResultOut::Found((&found).into()),
            Err(error) => ResultOut::Failed { error: error.into() },
        });
        Self { results: results.collect() }
    }
}
