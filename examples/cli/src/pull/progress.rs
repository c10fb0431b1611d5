//! Shows on standard error how far each file is: bars for a person who watches, a line a file for a log.

use indicatif::{DecimalBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write, stderr};

const MOVING: &str =
    "{prefix}  {decimal_bytes}/{decimal_total_bytes}  {wide_bar}  {decimal_bytes_per_sec}  {eta}  {msg}";
const DONE: &str = "{prefix}  {decimal_total_bytes}  {msg}";

/// The bars of one pull.
#[derive(Clone)]
pub struct Progress {
    bars: Option<MultiProgress>,
}

/// How far one file is.
pub struct Bar {
    bar: Option<ProgressBar>,
    name: String,
    size: u64,
}

impl Progress {
    pub fn new() -> Self {
        Self { bars: stderr().is_terminal().then(MultiProgress::new) }
    }

    pub fn file(&self, name: &str, size: u64) -> Bar {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = ProgressBar::new(size).with_prefix(name.to_owned()).with_style(style(MOVING));
            bars.add(bar)
        });
        Bar { bar, name: name.to_owned(), size }
    }

    /// Takes the bars away, for the last words.
    pub fn stop(&self) {
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
            bars.set_draw_target(ProgressDrawTarget::hidden());
        }
    }
}

impl Bar {
    /// Of its bytes, `position` were there before.
    pub fn start(&self, position: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
            bar.reset_eta();
        }
    }

    pub fn at(&self, position: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
    }

    /// What it is waiting for.
    pub fn say(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
        }
    }

    pub fn done(&self, text: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_style(style(DONE));
                bar.finish_with_message(text.to_owned());
            }
            None => line(&format!("{}  {}  {text}", self.name, DecimalBytes(self.size))),
        }
    }
}

/// A line on standard error, whether or not somebody watches.
pub fn line(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
