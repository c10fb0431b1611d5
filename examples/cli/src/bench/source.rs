//! The model that is measured: where it comes from, and loading it again and again.

use super::figure::Figure;
use super::measures::SENTIMENT;
use super::memory;
use super::shape::Shape;
use super::weights;
use crate::failure::Failure;
use qaio::engine::Interrupt;
use qaio::{CancelToken, ClassifyOptions, LoadOptions, Model, Precision};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// Where a model comes from.
pub enum Source {
    /// A path, or the built-in one.
    Path(Option<PathBuf>),
    /// The bytes of a GGUF file.
    Memory(Vec<u8>),
}

/// The model, and what loading it showed.
pub struct Loaded {
    pub model: Arc<Model>,
    pub time: Figure,
    pub memory: Option<Figure>,
    /// The first sentiment after loading.
    pub cold: Figure,
}

impl Source {
    /// Random weights in memory.
    pub fn noise(shape: &Shape, options: &LoadOptions, cancel: &CancelToken) -> Result<Self, Failure> {
        let interrupt = Interrupt::new(Some(cancel.clone()), None);
        Ok(Source::Memory(weights::gguf(shape, options.precision.unwrap_or(Precision::Auto), &interrupt)?))
    }

    /// Loads it `repeat` times, and each time asks for one sentiment, which is cold then. The bytes, if there are some,
    /// are gone afterwards: the library has its own copy.
    pub fn load(
        self,
        options: &LoadOptions,
        message: impl Fn(&Model) -> Result<String, Failure>,
        repeat: usize,
        before: u64,
        cancel: &CancelToken,
    ) -> Result<Loaded, Failure> {
        let (mut seconds, mut cold) = (Vec::new(), Vec::new());
        let mut held = None;
        for _ in 0..repeat {
            // There is one model per process.
            drop(held.take());
            let started = Instant::now();
            let model = self.load_once(options, cancel)?;
            seconds.push(started.elapsed().as_secs_f64());
            let text = message(&model)?;
            let started = Instant::now();
            model.sentiment(&text, &ClassifyOptions::default(), Some(cancel.clone()))?;
            cold.push(started.elapsed().as_secs_f64() * 1e3);
            held = Some(model);
        }
        let model = match held {
            Some(model) => model,
            None => self.load_once(options, cancel)?,
        };
        let figure = |name: &str, group, label: &str, unit, samples| Figure {
            name: name.to_owned(),
            group,
            label: label.to_owned(),
            unit,
            samples,
        };
        let time = figure("load", "Loading", "time", "s", seconds);
        let cold = figure("sentiment_cold", SENTIMENT, "the first after loading", "ms", cold);
        let memory = memory_figure("memory_loading", "most while loading", before);
        drop(self);
        memory::forget_peak();
        Ok(Loaded { model, time, memory, cold })
    }

    fn load_once(&self, options: &LoadOptions, cancel: &CancelToken) -> Result<Arc<Model>, Failure> {
        let cancel = Some(cancel.clone());
        Ok(match self {
            Source::Path(path) => Model::load(path.as_deref(), options, cancel)?,
            Source::Memory(bytes) => Model::load_memory(bytes, options, cancel)?,
        })
    }
}

/// The peak since it was forgotten, less what was there `before` the model; none where the system does not tell.
pub fn memory_figure(name: &str, label: &str, before: u64) -> Option<Figure> {
    let bytes = memory::peak()?.saturating_sub(before);
    Some(Figure {
        name: name.to_owned(),
        group: "Memory",
        label: label.to_owned(),
        unit: "MB",
        samples: vec![bytes as f64 / 1e6],
    })
}
