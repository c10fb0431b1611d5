//! What a run came to.

use super::progress::rate;
use super::results::Found;
use qaio::TaskDefinition;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::time::Duration;

/// Counts of rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    pub rows: u64,
    /// By label.
    pub labels: Vec<u64>,
    pub unsure: u64,
    pub failed: u64,
    /// The first failure.
    pub first: Option<String>,
}

impl Tally {
    pub fn new(task: &TaskDefinition) -> Self {
        Self { labels: vec![0; task.labels.len()], ..Self::default() }
    }

    pub fn add(&mut self, place: &str, found: &Found) {
        self.rows += 1;
        match found {
            Ok(found) => {
                self.labels[found.index] += 1;
                self.unsure += u64::from(found.unsure);
            }
            Err(error) => {
                self.failed += 1;
                self.first.get_or_insert_with(|| match error.starts_with(place) {
                    true => error.clone(),
                    false => format!("{place}: {error}"),
                });
            }
        }
    }

    pub fn all_failed(&self) -> bool {
        self.rows > 0 && self.failed == self.rows
    }
}

/// The end of a run.
pub struct Summary {
    pub task: TaskDefinition,
    pub tally: Tally,
    /// Rows that an earlier run had done.
    pub resumed: u64,
    /// What this run took.
    pub time: Duration,
}

impl Summary {
    fn labels(&self) -> impl Iterator<Item = (&str, u64)> {
        self.task.labels.iter().map(|label| label.text.as_str()).zip(self.tally.labels.iter().copied())
    }

    fn speed(&self) -> f64 {
        rate(self.tally.rows - self.resumed, self.time)
    }

    /// Puts it on standard error, terminal or not. That this fails is no reason to fail.
    pub fn say(&self) {
        let _ = writeln!(anstream::stderr(), "{}", self.line());
    }

    /// For people.
    fn line(&self) -> String {
        let Tally { rows, unsure, failed, first, .. } = &self.tally;
        let labels: Vec<_> = self.labels().map(|(label, count)| format!("{label} {count}")).collect();
        let seconds = self.time.as_secs_f64();
        let mut line = format!("{rows} rows: {}; {unsure} unsure, {failed} failed", labels.join(", "));
        if let Some(first) = first {
            line += &format!(" (the first: {first})");
        }
        if self.resumed > 0 {
            line += &format!("; {} of them done before", self.resumed);
        }
        line + &format!("; {seconds:.1} s, {:.0} rows/s", self.speed())
    }

    /// For programs: one line.
    pub fn json(&self, out: Option<&str>) -> String {
        let Tally { rows, unsure, failed, first, .. } = &self.tally;
        let labels: Map<String, Value> = self.labels().map(|(label, count)| (label.to_owned(), json!(count))).collect();
        json!({
            "task": self.task.name,
            "rows": rows,
            "labels": labels,
            "unsure": unsure,
            "failed": failed,
            "first_failure": first,
            "resumed": self.resumed,
            "seconds": self.time.as_secs_f64(),
            "rows_per_second": self.speed(),
            "out": out,
        })
        .to_string()
    }
}
