//! Puts the figures into a table for people, or into JSON for programs.

use super::figure::Figure;
use super::machine::Machine;
use qaio::engine::Info;
use serde_json::{Value, json};
use std::fmt::Write;

/// All that there is to say.
pub struct Report {
    pub date: String,
    pub machine: Machine,
    pub info: Info,
    /// The name of the shape, if the weights are random.
    pub shape: Option<String>,
    pub quick: bool,
    pub repeat: usize,
    pub figures: Vec<Figure>,
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Report {
    pub fn to_json(&self) -> String {
        let mut model = serde_json::to_value(&self.info).unwrap_or(Value::Null);
        model["random_weights_of"] = json!(self.shape);
        let report = json!({
            "qaio": VERSION,
            "date": self.date,
            "machine": self.machine,
            "model": model,
            "settings": {"quick": self.quick, "repeat": self.repeat},
            "figures": self.figures.iter().map(Figure::to_json).collect::<Vec<_>>(),
        });
        format!("{report}\n")
    }

    pub fn table(&self) -> String {
        let Self { info, machine, .. } = self;
        let mut out = String::new();
        let memory = machine.memory_bytes.map_or(String::new(), |bytes| format!(", {:.1} GB", bytes as f64 / 1e9));
        let mut line = |name: &str, value: String| {
            let _ = writeln!(out, "{name:<9}{value}");
        };
        line("model", info.name.clone());
        line(
            "weights",
            format!(
                "{:.1} million, {}, {:.1} MB",
                info.parameters as f64 / 1e6,
                info.format,
                info.weight_bytes as f64 / 1e6
            ),
        );
        line("machine", format!("{}, {} cores{memory}, {}", machine.cpu, machine.cores, machine.system));
        line("threads", format!("{}, {}", info.threads, info.kernels));
        line(
            "qaio",
            format!(
                "{VERSION}, {}, each figure the median of {}{}",
                self.date,
                if self.quick { "up to " } else { "" },
                self.repeat
            ),
        );
        let mut group = "";
        for figure in &self.figures {
            if figure.group != group {
                group = figure.group;
                let _ = writeln!(out, "\n{group}");
            }
            let spread = match figure.range() {
                _ if figure.samples.len() < 2 => String::new(),
                (min, max) => format!("{:>10} .. {}", number(min), number(max)),
            };
            let row = format!("  {:<26}{:>10} {:<9}{spread}", figure.label, number(figure.median()), figure.unit);
            let _ = writeln!(out, "{}", row.trim_end());
        }
        out
    }
}

/// With three digits at least, and no more than matter.
fn number(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        for (value, text) in [(1234.56, "1235"), (54.321, "54.3"), (1.866, "1.87"), (0.0123, "0.0123")] {
            assert_eq!(number(value), text);
        }
    }
}
