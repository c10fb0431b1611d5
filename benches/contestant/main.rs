//! A contestant of `benches/compare`: qaio's engine or candle-transformers, in a process of its own.
//!
//!     contestant qaio
//!     contestant candle      (RAYON_NUM_THREADS says how many threads)
//!
//! Each line of standard input is a request in JSON, each line of standard output its answer, as `benches/compare/serve.py`
//! has it. It is a benchmark target so that candle-transformers stays a dependency of the development alone.

use candle_core::quantized::gguf_file;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_qwen2::ModelWeights;
use qaio::Precision;
use qaio::engine::{Engine, EngineOptions, Interrupt, Kv, Message, Role, Source};
use serde_json::{Value, json};
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A sample is taken again until this much time is spent, or [`MOST`] are there.
const ENOUGH: Duration = Duration::from_millis(200);
const MOST: usize = 10;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let load: fn(&Value) -> Result<Box<dyn Contestant>> = match args.first().map(String::as_str) {
        // `cargo test --benches` and the like only want to see that it builds.
        None | Some("--test") => return Ok(()),
        Some("qaio") => Qaio::load,
        Some("candle") => Candle::load,
        Some(_) => return Err("usage: contestant qaio | candle".into()),
    };
    let mut loaded = None;
    for line in io::stdin().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let said = match &mut loaded {
            None => loaded.insert(load(&request)?).facts(),
            Some(contestant) => answer(contestant.as_mut(), &request)?,
        };
        writeln!(io::stdout(), "{said}")?;
    }
    Ok(())
}

fn answer(contestant: &mut dyn Contestant, request: &Value) -> Result<Value> {
    let tokens = || -> Result<Vec<u32>> { Ok(serde_json::from_value(request["tokens"].clone())?) };
    match request["measure"].as_str() {
        Some("prefill") => {
            let tokens = tokens()?;
            samples(|| {
                contestant.forget();
                let started = Instant::now();
                contestant.extend(&tokens)?;
                Ok(started.elapsed())
            })
        }
        Some("decode") => {
            let (tokens, steps) = (tokens()?, number(request, "steps")?);
            samples(|| {
                contestant.forget();
                let mut logits = contestant.extend(&tokens)?;
                let started = Instant::now();
                for _ in 0..steps {
                    logits = contestant.extend(&[likeliest(&logits)])?;
                }
                Ok(started.elapsed())
            })
        }
        Some("logits") => {
            let logits = contestant.all_logits(&tokens()?)?;
            let bytes: Vec<u8> = logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
            fs::write(text(request, "file")?, bytes)?;
            Ok(json!({}))
        }
        Some("encode") => {
            let texts: Vec<String> = serde_json::from_value(request["texts"].clone())?;
            let tokens: Vec<_> = texts.iter().map(|text| contestant.encode(text)).collect::<Result<_>>()?;
            Ok(json!({ "tokens": tokens }))
        }
        Some("prompt") => {
            let tokens = contestant.prompt(text(request, "system")?, text(request, "user")?)?;
            Ok(json!({ "tokens": tokens }))
        }
        _ => Err(format!("what is {request}?").into()),
    }
}

/// Takes a time several times, if it is short.
fn samples(mut sample: impl FnMut() -> Result<Duration>) -> Result<Value> {
    let started = Instant::now();
    let mut samples = vec![sample()?.as_secs_f64()];
    while started.elapsed() < ENOUGH && samples.len() < MOST {
        samples.push(sample()?.as_secs_f64());
    }
    Ok(json!({ "samples": samples }))
}

fn text<'a>(request: &'a Value, key: &str) -> Result<&'a str> {
    request[key].as_str().ok_or_else(|| format!("no {key} in {request}").into())
}

fn number(request: &Value, key: &str) -> Result<usize> {
    Ok(request[key].as_u64().ok_or_else(|| format!("no {key} in {request}"))? as usize)
}

fn likeliest(logits: &[f32]) -> u32 {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0) as u32
}

/// A model with one conversation.
trait Contestant {
    /// What there is to know of it.
    fn facts(&self) -> Value;

    /// Forgets the conversation.
    fn forget(&mut self);

    /// The logits `[vocab]` of what may come after these `tokens` too.
    fn extend(&mut self, tokens: &[u32]) -> Result<Vec<f32>>;

    /// The logits `[tokens, vocab]` after each of `tokens`, without the conversation.
    fn all_logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.forget();
        let mut all = Vec::new();
        for &token in tokens {
            all.extend(self.extend(&[token])?);
        }
        Ok(all)
    }

    /// The ids of a text that has no control tokens.
    fn encode(&self, _: &str) -> Result<Vec<u32>> {
        Err("only qaio makes ids of texts".into())
    }

    /// The ids of a conversation that the assistant is to answer.
    fn prompt(&self, _: &str, _: &str) -> Result<Vec<u32>> {
        Err("only qaio makes ids of texts".into())
    }
}

struct Qaio {
    engine: Engine,
    kv: Kv,
    seen: Vec<u32>,
}

impl Qaio {
    fn load(request: &Value) -> Result<Box<dyn Contestant>> {
        let options = EngineOptions {
            precision: Precision::from_name(text(request, "precision")?)?,
            threads: Some(number(request, "threads")?),
            ..EngineOptions::default()
        };
        let engine = Engine::load(&Source::Path(text(request, "path")?.into()), &options, &Interrupt::never())?;
        Ok(Box::new(Self { kv: engine.new_kv(), engine, seen: Vec::new() }))
    }
}

impl Contestant for Qaio {
    fn facts(&self) -> Value {
        json!(self.engine.info())
    }

    fn forget(&mut self) {
        (self.kv, self.seen) = (self.engine.new_kv(), Vec::new());
    }

    fn extend(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        self.seen.extend(tokens);
        Ok(self.engine.next_logits(&mut self.kv, &self.seen, &Interrupt::never())?.0)
    }

    fn all_logits(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        Ok(self.engine.all_logits(&mut self.engine.new_kv(), tokens, &Interrupt::never())?)
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.engine.tokenizer().encode(text)?)
    }

    fn prompt(&self, system: &str, user: &str) -> Result<Vec<u32>> {
        let messages = [Message::new(Role::System, system), Message::new(Role::User, user)];
        Ok(self.engine.markup().prompt(self.engine.tokenizer(), &messages)?)
    }
}

struct Candle {
    model: ModelWeights,
    seen: usize,
}

impl Candle {
    fn load(request: &Value) -> Result<Box<dyn Contestant>> {
        let mut file = BufReader::new(File::open(text(request, "path")?)?);
        let content = gguf_file::Content::read(&mut file)?;
        Ok(Box::new(Self { model: ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?, seen: 0 }))
    }
}

impl Contestant for Candle {
    fn facts(&self) -> Value {
        json!({ "threads": candle_core::utils::get_num_threads() })
    }

    fn forget(&mut self) {
        self.model.clear_kv_cache();
        self.seen = 0;
    }

    fn extend(&mut self, tokens: &[u32]) -> Result<Vec<f32>> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = self.model.forward(&input, self.seen)?.squeeze(0)?.to_vec1()?;
        self.seen += tokens.len();
        Ok(logits)
    }
}
