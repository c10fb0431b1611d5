//! Options, as structs for Rust and as JSON for everyone else.
//!
//! JSON that is absent or empty means the defaults. An unknown key is an error that names the nearest known one.

use crate::engine::{CancelToken, Interrupt, Precision, Sampling};
use crate::error::{Error, ErrorKind, Result, fail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

/// How to load a model. What is `None` takes the default, and matches any model that is loaded already.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LoadOptions {
    /// Format of the weights in memory; default `auto`.
    pub precision: Option<Precision>,
    /// Threads that compute, 1 to 1024; default one per physical core.
    pub threads: Option<usize>,
    /// Most tokens of a prompt and its reply together, at least 64; default the model's own limit.
    pub context: Option<usize>,
    /// Whether weights may stay in the mapped file; default true. False copies them into memory: then nothing happens when
    /// somebody truncates or overwrites the file while the model is loaded.
    pub mmap: Option<bool>,
    /// Milliseconds after which loading gives up.
    pub deadline_ms: Option<u64>,
}

/// How to classify.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct ClassifyOptions {
    /// A score below this is unsure, 0 to 1; default the task's own.
    pub threshold: Option<f64>,
    /// Whether to measure the label mass, which takes a pass over the vocabulary.
    pub label_mass: bool,
    /// Whether to cut the middle out of a text that is too long, instead of refusing it.
    pub truncate: bool,
    /// Milliseconds after which the call gives up.
    pub deadline_ms: Option<u64>,
}

impl Default for ClassifyOptions {
    fn default() -> Self {
        Self { threshold: None, label_mass: true, truncate: false, deadline_ms: None }
    }
}

/// How to reply. What is `None` takes the model's own default.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct ReplyOptions {
    /// Most tokens of the reply, at least 1.
    pub max_tokens: usize,
    /// 0 always takes the likeliest token; at most 10.
    pub temperature: Option<f32>,
    /// Keep only this many likeliest tokens; 0 keeps all.
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens that together reach this probability, 0 (exclusive) to 1.
    pub top_p: Option<f32>,
    /// Keep tokens at least this likely relative to the likeliest, 0 to 1.
    pub min_p: Option<f32>,
    /// Above 1 discourages repeating, 0.1 to 10.
    pub repetition_penalty: Option<f32>,
    /// Same seed, same text, same reply; default 0.
    pub seed: u64,
    /// At most 16 texts that end the reply, none of them empty.
    pub stop: Vec<String>,
    /// Whether to cut the middle out of a text that is too long (in a session: to forget its oldest turns first),
    /// instead of refusing it.
    pub truncate: bool,
    /// Passages that the reply may draw on, the most important first. They go before the text, as data.
    pub context: Vec<String>,
    /// Most tokens of all passages together, at most half of the model's context; passages that do not fit are cut or
    /// left out.
    pub context_tokens: usize,
    /// Milliseconds after which the call gives up, or the reply ends where it is.
    pub deadline_ms: Option<u64>,
}

impl Default for ReplyOptions {
    fn default() -> Self {
        Self {
            max_tokens: 256,
            temperature: None,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: None,
            seed: 0,
            stop: Vec::new(),
            truncate: false,
            context: Vec::new(),
            context_tokens: 512,
            deadline_ms: None,
        }
    }
}

/// How a session is set up.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SessionOptions {
    /// The assistant's instructions in place of the built-in ones.
    pub system: Option<String>,
}

impl LoadOptions {
    /// From JSON text.
    ///
    /// # Errors
    /// `UnknownOption`, `InvalidOption`.
    pub fn from_json(json: &str) -> Result<Self> {
        let options: Self = parse(json, &["precision", "threads", "context", "mmap", "deadline_ms"])?;
        options.check()?;
        Ok(options)
    }

    pub(crate) fn check(&self) -> Result<()> {
        in_range("threads", self.threads, 1, 1024)?;
        in_range("context", self.context, 64, 1 << 20)
    }

    pub(crate) fn interrupt(&self, cancel: Option<CancelToken>) -> Interrupt {
        interrupt(cancel, self.deadline_ms)
    }
}

impl ClassifyOptions {
    /// From JSON text.
    ///
    /// # Errors
    /// `UnknownOption`, `InvalidOption`.
    pub fn from_json(json: &str) -> Result<Self> {
        let options: Self = parse(json, &["threshold", "label_mass", "truncate", "deadline_ms"])?;
        options.check()?;
        Ok(options)
    }

    pub(crate) fn check(&self) -> Result<()> {
        in_range("threshold", self.threshold, 0.0, 1.0)
    }

    pub(crate) fn interrupt(&self, cancel: Option<CancelToken>) -> Interrupt {
        interrupt(cancel, self.deadline_ms)
    }
}

impl ReplyOptions {
    /// From JSON text.
    ///
    /// # Errors
    /// `UnknownOption`, `InvalidOption`.
    pub fn from_json(json: &str) -> Result<Self> {
        const KEYS: [&str; 12] = [
            "max_tokens",
            "temperature",
            "top_k",
            "top_p",
            "min_p",
            "repetition_penalty",
            "seed",
            "stop",
            "truncate",
            "context",
            "context_tokens",
            "deadline_ms",
        ];
        let options: Self = parse(json, &KEYS)?;
        options.check()?;
        Ok(options)
    }

    pub(crate) fn check(&self) -> Result<()> {
        in_range("max_tokens", Some(self.max_tokens), 1, 1 << 20)?;
        in_range("temperature", self.temperature, 0.0, 10.0)?;
        in_range("top_p", self.top_p, f32::MIN_POSITIVE, 1.0)?;
        in_range("min_p", self.min_p, 0.0, 1.0)?;
        in_range("repetition_penalty", self.repetition_penalty, 0.1, 10.0)?;
        in_range("the number of stop strings", Some(self.stop.len()), 0, 16)?;
        in_range("the number of context passages", Some(self.context.len()), 0, 256)?;
        in_range("context_tokens", Some(self.context_tokens), 1, 1 << 20)?;
        if self.stop.iter().any(String::is_empty) {
            fail!(InvalidOption, "stop has an empty string, which would end every reply at once; remove it");
        }
        Ok(())
    }

    /// The model's defaults with these choices over them.
    pub(crate) fn sampling(&self, model: Sampling) -> Sampling {
        Sampling {
            temperature: self.temperature.unwrap_or(model.temperature),
            top_k: self.top_k.unwrap_or(model.top_k),
            top_p: self.top_p.unwrap_or(model.top_p),
            min_p: self.min_p.unwrap_or(model.min_p),
            repetition_penalty: self.repetition_penalty.unwrap_or(model.repetition_penalty),
            seed: self.seed,
        }
    }

    /// What of these holds for the sentiment of the same turn.
    pub(crate) fn for_sentiment(&self) -> ClassifyOptions {
        ClassifyOptions { truncate: self.truncate, ..ClassifyOptions::default() }
    }

    pub(crate) fn interrupt(&self, cancel: Option<CancelToken>) -> Interrupt {
        interrupt(cancel, self.deadline_ms)
    }
}

impl SessionOptions {
    /// From JSON text.
    ///
    /// # Errors
    /// `UnknownOption`, `InvalidOption`.
    pub fn from_json(json: &str) -> Result<Self> {
        let options: Self = parse(json, &["system"])?;
        options.check()?;
        Ok(options)
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.system.as_ref().is_some_and(|system| system.trim().is_empty()) {
            fail!(InvalidOption, "system is empty; leave the key out to keep the built-in instructions");
        }
        Ok(())
    }
}

fn interrupt(cancel: Option<CancelToken>, deadline_ms: Option<u64>) -> Interrupt {
    Interrupt::new(cancel, deadline_ms.map(Duration::from_millis))
}

/// Options of type `T`, whose JSON keys are `known`.
fn parse<T: DeserializeOwned + Default>(json: &str, known: &[&str]) -> Result<T> {
    if json.trim().is_empty() {
        return Ok(T::default());
    }
    let invalid = |error: serde_json::Error| {
        Error::new(ErrorKind::InvalidOption, "the options are not valid JSON").caused_by(error)
    };
    let object = match serde_json::from_str(json).map_err(invalid)? {
        Value::Object(object) => object,
        other => fail!(InvalidOption, "the options are {other}, not a JSON object such as {{\"{}\": …}}", known[0]),
    };
    if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
        fail!(
            UnknownOption,
            "option \"{key}\" is not known; did you mean \"{}\"? Known: {}",
            nearest(key, known),
            known.join(", ")
        );
    }
    let mut accepted = Map::new();
    for (key, value) in object {
        // One by one, so that the error can name the key.
        let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        if let Err(error) = serde_json::from_value::<T>(alone) {
            return Err(
                Error::new(ErrorKind::InvalidOption, format!("option \"{key}\" cannot be {value}")).caused_by(error)
            );
        }
        accepted.insert(key, value);
    }
    serde_json::from_value(Value::Object(accepted)).map_err(invalid)
}

fn nearest<'a>(key: &str, known: &[&'a str]) -> &'a str {
    let similarity = |name: &&&str| (strsim::jaro_winkler(key, name) * 1e6) as u64;
    known.iter().max_by_key(similarity).expect("each set of options has a key")
}

fn in_range<T: PartialOrd + std::fmt::Display + Copy>(name: &str, value: Option<T>, from: T, to: T) -> Result<()> {
    match value {
        // Written so that NaN is refused too.
        Some(value) if !(value >= from && value <= to) => {
            fail!(InvalidOption, "{name} is {value}; it must be from {from} to {to}")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error = ReplyOptions::from_json(r#"{"temprature": 1}"#).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownOption);
        assert!(error.message().contains("\"temprature\"") && error.message().contains("\"temperature\""), "{error}");
    }

    #[test]
    fn a_bad_value_names_key_and_value() {
        for (json, parts) in [
            (r#"{"temperature": -1}"#, ["temperature", "-1"]),
            (r#"{"temperature": "hot"}"#, ["temperature", "hot"]),
            (r#"{"top_p": 0}"#, ["top_p", "0"]),
            (r#"{"max_tokens": 0}"#, ["max_tokens", "0"]),
            (r#"{"seed": -3}"#, ["seed", "-3"]),
            (r#"{"stop": [""]}"#, ["stop", "empty"]),
            (r#"[1]"#, ["[1]", "object"]),
            (r#"{"#, ["JSON", ""]),
        ] {
            let error = ReplyOptions::from_json(json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidOption, "{json}");
            for part in parts {
                assert!(error.to_string().contains(part), "{json}: {error}");
            }
        }
    }

    #[test]
    fn nothing_means_the_defaults() {
        assert_eq!(ReplyOptions::from_json("").unwrap(), ReplyOptions::default());
        assert_eq!(ReplyOptions::from_json("{}").unwrap(), ReplyOptions::default());
        assert_eq!(LoadOptions::from_json(r#"{"precision":"q8"}"#).unwrap().precision, Some(Precision::Q8));
    }
}
