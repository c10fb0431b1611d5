//! `qaio eval`: measures a task on texts whose labels are known.

mod report;

use crate::args::Args;
use crate::classify::{self, Format, Input, Progress, Row, Source};
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::{load, note, speaker, task};
use qaio::{Batch, CancelToken, Classification, ClassifyOptions, Error, ErrorKind, Task, TaskDefinition};
use serde_json::Number;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  qaio eval dev.csv --task sentiment
  qaio eval dev.jsonl --task intent --column question --label intent
  qaio eval dev.csv --task urgency.json --fit urgency-fitted.json
  qaio eval test.csv --task urgency-fitted.json --json | jq .accuracy

Files as in `qaio classify --help`. The true label is a label's text or id; rows without one are passed over. Fit on some
rows and measure on others: a fitted task is always good on the rows that it has seen.";

/// Rows that are labelled together.
const BATCH: usize = 256;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct EvalArgs {
    /// The file with texts and labels; - reads standard input
    pub file: PathBuf,

    /// A task of `qaio task list`, or a task file
    #[arg(long, value_name = "NAME|FILE.json")]
    pub task: String,

    /// The column, or field, with the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub column: String,

    /// The column, or field, with the true label
    #[arg(long, value_name = "NAME", default_value = "label")]
    pub label: String,

    /// How to read the file, if its extension does not say it
    #[arg(long, value_name = "NAME", value_enum)]
    pub format: Option<Format>,

    /// Fit the task to these rows, and write it to this file
    #[arg(long, value_name = "OUT.json")]
    pub fit: Option<PathBuf>,

    /// Overwrite what is there
    #[arg(long, requires = "fit")]
    pub force: bool,

    /// A score from this on is sure, 0 to 1 [default: the task's]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub threshold: Option<Number>,

    /// Cut the middle out of a text that is too long, instead of refusing it
    #[arg(long)]
    pub truncate: bool,
}

pub fn run(args: &Args, own: &EvalArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    let options = classify::options(own.threshold.as_ref(), own.truncate)?;
    let definition = task::definition(&own.task)?;
    let source = Source::new(&own.file, own.format, vec![&own.column, &own.label], false)?;
    let input = source.open()?;
    classify::refuse(own.fit.as_deref(), own.force)?;
    let model = load::model(&args.model, interrupts)?;
    let (batch, truth) = interrupts.during(|cancel| {
        input.cancel_with(&cancel);
        let task = Task::new(&model, definition, Some(cancel.clone()))?;
        all(input, own, &task, &options, &cancel)
    })?;
    if batch.rows.is_empty() {
        let file = own.file.display();
        return Err(Failure::Message(format!("{file} has no rows; give some with a text and its true label")));
    }
    let evaluation = batch.evaluate(&truth)?;
    let text = match args.json {
        true => format!("{}\n", evaluation.to_json()),
        false => report::text(&evaluation, &batch.definition),
    };
    if let Some(to) = &own.fit {
        let task = batch.fit(&truth)?.to_json();
        std::fs::write(to, format!("{task}\n")).map_err(|error| classify::unwritable(to, &error))?;
        note::hint(&format!("(The fitted task is in {}. Measure it on other rows.)", to.display()));
    }
    speaker::write(&text).map_err(Failure::Output)
}

/// What `task` finds in all rows, and their true labels.
fn all(
    mut input: Input,
    own: &EvalArgs,
    task: &Task,
    options: &ClassifyOptions,
    cancel: &CancelToken,
) -> Result<(Batch, Vec<Option<usize>>), Failure> {
    let definition = Arc::new(task.definition().clone());
    let threshold = options.threshold.unwrap_or(definition.threshold);
    let mut batch = Batch { definition: definition.clone(), threshold, rows: Vec::new() };
    let mut truth = Vec::new();
    let progress = Progress::new(&input, true);
    loop {
        let rows = input.take(BATCH)?;
        if rows.is_empty() {
            return Ok((batch, truth));
        }
        for row in &rows {
            truth.push(true_label(row, &definition, &input.name, &own.label)?);
        }
        batch.rows.extend(found(&rows, own, task, options, cancel)?);
        progress.show(batch.rows.len() as u64);
    }
}

/// What `task` finds in `rows`, or why it does not.
fn found(
    rows: &[Row],
    own: &EvalArgs,
    task: &Task,
    options: &ClassifyOptions,
    cancel: &CancelToken,
) -> Result<Vec<qaio::Result<Classification>>, Failure> {
    let texts: Vec<_> = rows.iter().map(|row| row.text(&own.column)).collect();
    let good: Vec<&str> = texts.iter().filter_map(|text| text.as_deref().ok()).collect();
    let on_progress = &mut |_| ControlFlow::Continue(());
    let mut found = task.classify_batch(&good, options, Some(cancel.clone()), on_progress)?.rows.into_iter();
    if cancel.is_cancelled() {
        return Err(Failure::Interrupted);
    }
    let bad = |problem: String| Error::new(ErrorKind::InvalidArgument, problem);
    let row = |text: Result<&str, String>| {
        text.map_err(bad).and_then(|_| found.next().unwrap_or_else(|| Err(bad("the row was passed over".to_owned()))))
    };
    Ok(texts.into_iter().map(row).collect())
}

/// The number of a row's true label, if it has one.
fn true_label(row: &Row, task: &TaskDefinition, name: &str, column: &str) -> Result<Option<usize>, Failure> {
    let place = &row.place;
    match (&row.cells[0], &row.cells[1]) {
        // A row that is bad as a whole counts as failed.
        (Err(one), Err(other)) if one == other => Ok(None),
        (_, Err(problem)) => Err(Failure::Message(format!("{problem} in {name}; write the label as a string"))),
        (_, Ok(None)) => Ok(None),
        (_, Ok(Some(label))) if label.trim().is_empty() => Ok(None),
        (_, Ok(Some(label))) => {
            let label = label.trim();
            let text = task.labels.iter().position(|known| known.text == label);
            match text.or_else(|| task.labels.iter().position(|known| known.id == label)) {
                Some(number) => Ok(Some(number)),
                None => Err(Failure::Message(format!(
                    "{place} of {name} has the label `{label}` in `{column}`, which the task {} does not know; its labels are {}",
                    task.name,
                    task::labels(task)
                ))),
            }
        }
    }
}
