//! `qaio task`: task files, and those that come with the library.

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::{load, speaker};
use clap::Subcommand;
use qaio::{CancelToken, ErrorKind, Label, Model, Task, TaskDefinition};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  qaio task list
  qaio task show intent > urgency.json
  qaio task check urgency.json
  qaio task check tasks/*.json --model ~/models/Qwen3-0.6B";

const CHECK_EXAMPLES: &str = "\
Examples:
  qaio task check urgency.json
  qaio task check --json tasks/*.json | jq '.[] | select(.good | not)'

A task is checked against a model, because its labels must differ for it and its prompt must fit: use --model with the
one that the task is for. Each file gets one line on standard output; the exit code is 1 if any file is bad.";

#[derive(clap::Args)]
#[command(arg_required_else_help = true, after_help = EXAMPLES)]
pub struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Subcommand)]
enum TaskCommand {
    /// Say whether task files are good, and what is wrong
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// Task files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// List the tasks that come with qaio
    #[command(after_help = "Examples:\n  qaio task list\n  qaio task list --json | jq -r '.[].name'")]
    List,
    /// Print the file of a task that comes with qaio, to start your own from
    #[command(after_help = "Examples:\n  qaio task show sentiment > mine.json")]
    Show {
        /// A task of `qaio task list`
        name: String,
    },
}

pub fn run(args: &Args, own: &TaskArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    match &own.command {
        TaskCommand::Check { files } => check(args, files, interrupts),
        TaskCommand::List => list(args.json),
        TaskCommand::Show { name } => say(&TaskDefinition::shipped(name)?.to_json()),
    }
}

/// The task that was named: a shipped one, or a file.
pub fn definition(name: &str) -> Result<TaskDefinition, Failure> {
    let path = Path::new(name);
    let is_file = path.extension().is_some() || path.components().count() > 1 || path.is_file();
    match is_file && !TaskDefinition::SHIPPED.contains(&name) {
        true => from_file(path),
        false => Ok(TaskDefinition::shipped(name)?),
    }
}

/// The task in a file.
pub fn from_file(file: &Path) -> Result<TaskDefinition, Failure> {
    read(file).map_err(|problem| Failure::Message(format!("{}: {problem}", file.display())))
}

/// The task in a file, or what is wrong with it.
fn read(file: &Path) -> Result<TaskDefinition, String> {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("it cannot be read: {error}; check the path, and that it is UTF-8"))?;
    // Some editors begin a file with a byte order mark, which JSON does not know.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    TaskDefinition::from_json(text).map_err(|error| error.to_string())
}

fn check(args: &Args, files: &[PathBuf], interrupts: &Interrupts) -> Result<(), Failure> {
    let model = load::model(&args.model, interrupts)?;
    let mut verdicts = Vec::new();
    for file in files {
        let verdict = interrupts.during(|cancel| verdict(&model, file, cancel))?;
        if !args.json {
            say(&line(file, &verdict))?;
        }
        verdicts.push((file, verdict));
    }
    if args.json {
        say(&verdicts.iter().map(|(file, verdict)| object(file, verdict)).collect::<Value>().to_string())?;
    }
    match verdicts.iter().all(|(_, verdict)| verdict.is_ok()) {
        true => Ok(()),
        false => Err(Failure::Reported),
    }
}

/// The task in a file as `model` takes it, or what is wrong with it.
fn verdict(model: &Arc<Model>, file: &Path, cancel: CancelToken) -> Result<Result<TaskDefinition, String>, Failure> {
    let made = read(file).map(|definition| Task::new(model, definition, Some(cancel)));
    match made {
        Ok(Ok(task)) => Ok(Ok(task.definition().clone())),
        Ok(Err(error)) if error.kind() == ErrorKind::Cancelled => Err(Failure::Interrupted),
        Ok(Err(error)) => Ok(Err(error.to_string())),
        Err(problem) => Ok(Err(problem)),
    }
}

fn line(file: &Path, verdict: &Result<TaskDefinition, String>) -> String {
    match verdict {
        Ok(task) => format!("{}: good: task {}, labels {}", file.display(), task.name, labels(task)),
        Err(problem) => format!("{}: bad: {}", file.display(), problem.replace(['\n', '\r'], " ")),
    }
}

fn object(file: &Path, verdict: &Result<TaskDefinition, String>) -> Value {
    let file = file.display().to_string();
    match verdict {
        Ok(task) => json!({"file": file, "good": true, "name": task.name, "labels": task.labels, "problem": null}),
        Err(problem) => json!({"file": file, "good": false, "name": null, "labels": null, "problem": problem}),
    }
}

fn list(as_json: bool) -> Result<(), Failure> {
    let tasks: Vec<_> = TaskDefinition::SHIPPED.map(TaskDefinition::shipped).into_iter().collect::<Result<_, _>>()?;
    if as_json {
        let object = |task: &TaskDefinition| {
            let TaskDefinition { name, description, labels, threshold, .. } = task;
            json!({"name": name, "description": description, "labels": labels, "threshold": threshold})
        };
        return say(&tasks.iter().map(object).collect::<Value>().to_string());
    }
    let line = |task: &TaskDefinition| {
        let description = task.description.as_deref().unwrap_or_default();
        format!("{:<12}{}\n{:<12}{description}", task.name, labels(task), "")
    };
    say(&tasks.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// A task's labels: texts, and ids where they differ.
pub fn labels(task: &TaskDefinition) -> String {
    let label = |label: &Label| match label.text == label.id {
        true => label.text.clone(),
        false => format!("{} ({})", label.text, label.id),
    };
    task.labels.iter().map(label).collect::<Vec<_>>().join(", ")
}

fn say(line: &str) -> Result<(), Failure> {
    speaker::write(&format!("{line}\n")).map_err(Failure::Output)
}
