//! `qaio pull --list`: what was pulled.

use super::store::{Pulled, Store};
use crate::failure::Failure;
use crate::{note, speaker};
use indicatif::DecimalBytes;
use serde_json::json;

pub fn run(json: bool) -> Result<(), Failure> {
    let models = Store::from_env()?.list();
    if models.is_empty() {
        note::hint("Nothing was pulled yet. For example: qaio pull Qwen/Qwen2.5-0.5B-Instruct");
    }
    let text = match json {
        true => format!("{}\n", json!({ "models": models })),
        false => table(&models),
    };
    speaker::write(&text).map_err(Failure::Output)
}

/// A model a line: name, size, path.
fn table(models: &[Pulled]) -> String {
    let width = models.iter().map(|model| model.name.len()).max().unwrap_or_default();
    let lines = models.iter().map(|Pulled { name, bytes, path, complete }| {
        let size = DecimalBytes(*bytes).to_string();
        let partial = if *complete { "" } else { "  (in part only; pull it again to go on)" };
        format!("{name:<width$}  {size:>9}  {}{partial}\n", path.display())
    });
    lines.collect()
}
