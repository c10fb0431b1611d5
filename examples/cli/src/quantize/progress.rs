//! How far it is, on standard error, if somebody is watching.

use indicatif::{ProgressBar, ProgressStyle};

const STYLE: &str = "{bar:30} {bytes}/{total_bytes}  {binary_bytes_per_sec}  {eta} left  {msg}";

/// A bar over `bytes` of weights to be read. It hides itself where standard error is no terminal.
pub fn bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(STYLE).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}
