//! The columns that are added to each row.

use crate::failure::Failure;
use qaio::{Classification, TaskDefinition};
use serde_json::{Value, json};

/// What was found in a row, or why nothing was.
pub type Found = Result<Classification, String>;

/// The added columns, in their order.
pub struct Results {
    pub columns: Vec<ResultColumn>,
}

pub struct ResultColumn {
    pub name: String,
    pub kind: Kind,
}

/// What an added column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Label,
    Score,
    Unsure,
    Error,
    /// Of the label with this number.
    Probability(usize),
}

impl Results {
    /// # Errors
    /// When a label is called as one of the columns, and there are to be `probabilities`.
    pub fn new(task: &TaskDefinition, prefix: &str, probabilities: bool) -> Result<Self, Failure> {
        let kinds = [("label", Kind::Label), ("score", Kind::Score), ("unsure", Kind::Unsure), ("error", Kind::Error)];
        let mut columns: Vec<_> =
            kinds.map(|(name, kind)| ResultColumn { name: format!("{prefix}{name}"), kind }).into();
        if probabilities {
            for (number, label) in task.labels.iter().enumerate() {
                if let Some((name, _)) = kinds.iter().find(|(name, _)| *name == label.id) {
                    return Err(Failure::Message(format!(
                        "the task {} has a label with the id {name}, which is the name of a result; give it another id \
                         in the task's file, or leave --probabilities out",
                        task.name
                    )));
                }
                columns.push(ResultColumn { name: format!("{prefix}{}", label.id), kind: Kind::Probability(number) });
            }
        }
        Ok(Self { columns })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// The name that stands for an added column and in `columns` as well.
    pub fn clash<'a>(&self, columns: &'a [String]) -> Option<&'a String> {
        columns.iter().find(|column| self.names().any(|name| name == *column))
    }

    /// # Errors
    /// When the input `name` has a column that is to be added.
    pub fn check(&self, name: &str, columns: &[String]) -> Result<(), Failure> {
        match self.clash(columns) {
            Some(column) => Err(Failure::Message(format!(
                "{name} has a column `{column}` already; add a prefix to those that are written: --prefix qaio_"
            ))),
            None => Ok(()),
        }
    }
}

impl Kind {
    /// What it holds for a row.
    pub fn value(self, found: &Found) -> Value {
        match (self, found) {
            (Kind::Error, Err(error)) => json!(error),
            (Kind::Error, Ok(_)) | (_, Err(_)) => Value::Null,
            (Kind::Label, Ok(found)) => json!(found.label().text),
            (Kind::Score, Ok(found)) => json!(found.score),
            (Kind::Unsure, Ok(found)) => json!(found.unsure),
            (Kind::Probability(number), Ok(found)) => json!(found.probabilities[number]),
        }
    }
}
