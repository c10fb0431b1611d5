//! How far a run is, for whoever watches standard error.

use super::input::{Extent, Input};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A bar that is seen only on a terminal.
pub struct Progress {
    bar: ProgressBar,
    /// Where the input's position stands, when rows are not what is counted.
    bytes: Option<Arc<AtomicU64>>,
    began: Instant,
    before: u64,
}

impl Progress {
    /// `visible` is whether there is nothing else on the terminal that it would stand in the midst of.
    pub fn new(input: &Input, visible: bool) -> Self {
        let (length, bytes) = match &input.extent {
            Extent::Rows(rows) => (Some(*rows), None),
            Extent::Bytes { all, read } => (Some(*all), Some(read.clone())),
            Extent::Unknown => (None, None),
        };
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(length, target);
        let template = match length {
            Some(_) => "{bar:30} {percent:>3}%  {msg}  ETA {eta}",
            None => "{spinner} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, bytes, began: Instant::now(), before: 0 }
    }

    /// An earlier run had done `rows`, which `input` has passed.
    pub fn go_on_from(&mut self, input: &Input, rows: u64) {
        if let Extent::Bytes { read, .. } = &input.extent {
            self.bytes = Some(read.clone());
        }
        (self.before, self.began) = (rows, Instant::now());
        self.show(rows);
        self.bar.reset_eta();
    }

    /// `rows` are done.
    pub fn show(&self, rows: u64) {
        self.bar.set_position(self.bytes.as_ref().map_or(rows, |bytes| bytes.load(Ordering::Relaxed)));
        let speed = rate(rows - self.before, self.began.elapsed());
        self.bar.set_message(format!("{rows} rows, {speed:.0} rows/s"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Rows per second.
pub fn rate(rows: u64, time: Duration) -> f64 {
    rows as f64 / time.as_secs_f64().max(1e-9)
}
