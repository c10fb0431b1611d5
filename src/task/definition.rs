//! A task as data: what the model is told, what it may answer, and how its probabilities are corrected.

use crate::error::{Error, ErrorKind, Result, fail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The files of [`TaskDefinition::SHIPPED`].
const FILES: [&str; 3] = [
    include_str!("../../tasks/sentiment.json"),
    include_str!("../../tasks/intent.json"),
    include_str!("../../tasks/language.json"),
];

/// Where the text goes in a template.
const PLACE: &str = "{text}";

/// A role with a closed set of answers. `tasks/task.schema.json` describes its JSON form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDefinition {
    /// Where the JSON Schema lies, for editors.
    #[serde(rename = "$schema", default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Names the task in results and messages: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The role's instructions.
    pub system: String,
    /// The user's message, with `{text}` once.
    pub template: String,
    /// The answers, 2 to 64.
    pub labels: Vec<Label>,
    /// A score below this is unsure, 0 to 1.
    #[serde(default = "default_threshold")]
    pub threshold: f64,
    /// Corrects the model's probabilities.
    #[serde(default, skip_serializing_if = "Calibration::is_default")]
    pub calibration: Calibration,
    /// Answered before the text, to show the model what is meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
}

/// One of a task's answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "LabelJson")]
pub struct Label {
    /// What the model says.
    pub text: String,
    /// What programs call it.
    pub id: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A label in a file: its text alone, or with more.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a label is a string, or an object with text and perhaps id and description")]
enum LabelJson {
    Text(String),
    Full(FullLabelJson),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullLabelJson {
    text: String,
    id: Option<String>,
    description: Option<String>,
}

impl From<LabelJson> for Label {
    fn from(json: LabelJson) -> Self {
        match json {
            LabelJson::Text(text) => Self { id: text.clone(), text, description: None },
            LabelJson::Full(FullLabelJson { text, id, description }) => {
                Self { id: id.unwrap_or_else(|| text.clone()), text, description }
            }
        }
    }
}

/// How the model's probabilities are corrected: `softmax(ln(p / p_content_free) / temperature + bias)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calibration {
    /// Texts that say nothing; what the model answers to them is divided out (contextual calibration, Zhao et al.
    /// 2021). None by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub content_free: Vec<String>,
    /// Added to a label's logarithmic probability, by the label's id; 0 where it is left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bias: BTreeMap<String, f64>,
    /// Above 1 the scores become less sure, below 1 surer.
    pub temperature: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { content_free: Vec::new(), bias: BTreeMap::new(), temperature: 1.0 }
    }
}

impl Calibration {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A text with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The text.
    pub text: String,
    /// The text of its label.
    pub label: String,
}

fn default_threshold() -> f64 {
    0.6
}

impl TaskDefinition {
    /// From the text of a task file.
    ///
    /// # Errors
    /// `InvalidTask` with the field and the remedy.
    pub fn from_json(json: &str) -> Result<Self> {
        let mut reader = serde_json::Deserializer::from_str(json);
        let parsed: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let place = match error.path().to_string() {
                path if path == "." => "the task".to_owned(),
                path => format!("the task's field \"{path}\""),
            };
            Error::new(ErrorKind::InvalidTask, format!("{place} cannot be read")).caused_by(error.into_inner())
        })?;
        if let Err(error) = reader.end() {
            return Err(Error::new(ErrorKind::InvalidTask, "something stands after the task's JSON").caused_by(error));
        }
        parsed.check()?;
        Ok(parsed)
    }

    /// The names of the tasks that come with the library.
    pub const SHIPPED: [&str; 3] = ["sentiment", "intent", "language"];

    /// A task that comes with the library.
    ///
    /// # Errors
    /// `NotFound` with the names that there are.
    pub fn shipped(name: &str) -> Result<Self> {
        match Self::SHIPPED.iter().zip(FILES).find(|(shipped, _)| **shipped == name) {
            Some((_, json)) => Self::from_json(json),
            None => {
                let names = Self::SHIPPED.join(", ");
                fail!(NotFound, "no task \"{name}\" comes with the library; there are {names}, and your own as JSON")
            }
        }
    }

    /// What a caller gave: the JSON of a task, or the name of a shipped one.
    ///
    /// # Errors
    /// Those of [`from_json`](Self::from_json) and [`shipped`](Self::shipped).
    pub fn named_or_json(text: &str) -> Result<Self> {
        match text.trim_start().starts_with('{') {
            true => Self::from_json(text),
            false => Self::shipped(text.trim()),
        }
    }

    /// As the text of a task file.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data")
    }

    /// What stands in the user's message before and after the text.
    pub(crate) fn frame(&self) -> [&str; 2] {
        let (before, after) = self.template.split_once(PLACE).expect("checked when it was made");
        [before, after]
    }

    /// The number of the label with this text.
    pub(crate) fn label(&self, text: &str) -> Option<usize> {
        self.labels.iter().position(|label| label.text == text)
    }

    /// The bias of each label, in their order.
    pub(crate) fn biases(&self) -> Vec<f64> {
        self.labels.iter().map(|label| self.calibration.bias.get(&label.id).copied().unwrap_or(0.0)).collect()
    }

    /// # Errors
    /// `InvalidTask` for what the schema, too, does not allow, and for labels that contradict each other.
    pub(crate) fn check(&self) -> Result<()> {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let begins_well = self.name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins_well || !self.name.chars().all(is_name) || self.name.len() > 64 {
            let name = &self.name;
            fail!(InvalidTask, "name is \"{name}\"; it must be up to 64 of a-z, 0-9, - and _, a letter first");
        }
        if self.system.trim().is_empty() {
            fail!(InvalidTask, "system is empty; tell the model its role and its answers");
        }
        match self.template.matches(PLACE).count() {
            1 => {}
            0 => fail!(InvalidTask, "template has no {PLACE}; put it where the text goes"),
            times => fail!(InvalidTask, "template has {PLACE} {times} times; it may have it once"),
        }
        self.check_labels()?;
        number("threshold", self.threshold, 0.0, 1.0)?;
        self.check_calibration()?;
        at_most("examples", self.examples.len(), 64)?;
        for (index, Example { text, label }) in self.examples.iter().enumerate() {
            if text.trim().is_empty() {
                fail!(InvalidTask, "examples[{index}].text is empty; remove the example");
            }
            if self.label(label).is_none() {
                let labels: Vec<_> = self.labels.iter().map(|label| label.text.as_str()).collect();
                fail!(InvalidTask, "examples[{index}].label is \"{label}\"; it must be one of {}", labels.join(", "));
            }
        }
        Ok(())
    }

    fn check_labels(&self) -> Result<()> {
        if self.labels.len() < 2 {
            fail!(InvalidTask, "labels has {} entries; there must be at least 2 to choose from", self.labels.len());
        }
        at_most("labels", self.labels.len(), 64)?;
        for (index, label) in self.labels.iter().enumerate() {
            for (field, value) in [("text", &label.text), ("id", &label.id)] {
                let place = format!("labels[{index}].{field}");
                if value.trim() != value || value.is_empty() || value.contains('\n') || value.chars().count() > 64 {
                    fail!(InvalidTask, "{place} is \"{value}\"; it must be one line of 1 to 64 characters, trimmed");
                }
                let same = |other: &Label| if field == "text" { other.text == *value } else { other.id == *value };
                if let Some(first) = self.labels[..index].iter().position(same) {
                    fail!(InvalidTask, "{place} is \"{value}\", as labels[{first}].{field} is; they must differ");
                }
            }
        }
        Ok(())
    }

    fn check_calibration(&self) -> Result<()> {
        let Calibration { content_free, bias, temperature } = &self.calibration;
        at_most("calibration.content_free", content_free.len(), 16)?;
        number("calibration.temperature", *temperature, 0.01, 100.0)?;
        for (id, &value) in bias {
            if !self.labels.iter().any(|label| label.id == *id) {
                let ids: Vec<_> = self.labels.iter().map(|label| label.id.as_str()).collect();
                fail!(
                    InvalidTask,
                    "calibration.bias has \"{id}\", which is no label's id; there are {}",
                    ids.join(", ")
                );
            }
            number(&format!("calibration.bias.{id}"), value, -100.0, 100.0)?;
        }
        Ok(())
    }
}

fn number(field: &str, value: f64, from: f64, to: f64) -> Result<()> {
    // Written so that NaN is refused too.
    if !(value >= from && value <= to) {
        fail!(InvalidTask, "{field} is {value}; it must be from {from} to {to}");
    }
    Ok(())
}

fn at_most(field: &str, length: usize, most: usize) -> Result<()> {
    if length > most {
        fail!(InvalidTask, "{field} has {length} entries; at most {most} are allowed");
    }
    Ok(())
}
