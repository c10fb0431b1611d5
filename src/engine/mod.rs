//! The engine: tensors, tokens, KV and sampling. It knows no prompt and no C.
//!
//! The story of a token: [`Tokenizer`] and [`Markup`] make ids of text, [`Engine::prefill`] runs them through the
//! transformer (`qwen.rs`) into a [`Kv`], [`Engine::logits`] scores what may come next, [`Sampler`] picks,
//! [`Utf8Stream`] makes text again. [`Engine::generate`] is that loop. Callers at the same time share forward passes
//! (`batcher.rs`).

mod batcher;
mod bytes;
mod checkpoint;
mod config;
mod draft;
mod generate;
mod generation_config;
mod gguf;
mod interrupt;
mod kernel;
mod kv;
mod markup;
mod matrix;
mod pool;
mod precision;
mod qwen;
mod sampler;
mod source;
mod tokenizer;
mod tokenizer_json;
mod utf8;

pub(crate) use bytes::{Access, can_map, io_error};
pub use checkpoint::safetensors_files;
pub use config::{Config, Family};
pub use generate::{Generated, Request, StopReason};
pub use generation_config::GenerationConfig;
pub use interrupt::{CancelToken, Interrupt};
pub use kv::Kv;
pub use markup::{Markup, Message, Role};
pub use precision::Precision;
pub use sampler::{Sampler, Sampling};
use source::Loading;
pub use source::{Source, chat_template};
pub use tokenizer::Tokenizer;
pub use utf8::Utf8Stream;

use crate::error::{Error, ErrorKind, Result, fail};
use batcher::{Batcher, Computed, Outcome, Step};
use candle_core::quantized::GgmlDType;
use pool::Pool;
use qwen::{Qwen, Sequence};
use std::sync::Arc;

/// Prompt tokens per forward pass: enough to keep the multipliers busy, few enough to bound the buffers.
const CHUNK: usize = 256;

/// How to load a model.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineOptions {
    /// Format of the weights in memory.
    pub precision: Precision,
    /// Threads that compute; `None` takes one per physical core.
    pub threads: Option<usize>,
    /// Most tokens of a prompt and its reply together; `None` (and anything larger) takes the model's own limit.
    pub context: Option<usize>,
    /// Whether weights may stay in the mapped file; default true. `Some(false)` copies them, so that nothing happens when
    /// somebody truncates the file, or replaces what is in it, while the model is loaded.
    pub mmap: Option<bool>,
}

/// A model, ready to run. Immutable: all state of a conversation is in its [`Kv`].
pub struct Engine {
    name: String,
    config: Config,
    generation: GenerationConfig,
    tokenizer: Tokenizer,
    markup: Markup,
    qwen: Qwen,
    pool: Arc<Pool>,
    batcher: Batcher,
    context: usize,
}

/// What a prompt cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefill {
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Of these, found in the KV.
    pub cached: usize,
}

/// Gets the number of a prompt that is done, its KV, the hidden state of its last token, and what it cost.
pub type OnPrefilled<'a> = dyn FnMut(usize, Kv, &[f32], Prefill) -> Result<()> + 'a;

/// Facts about a loaded model.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Info {
    /// The model's name, or that of its file or directory.
    pub name: String,
    /// `qwen2` or `qwen3`.
    pub architecture: &'static str,
    /// Number of weights.
    pub parameters: usize,
    /// Format of most weights, as ggml spells it.
    pub format: &'static str,
    /// Bytes of the weight matrices.
    pub weight_bytes: usize,
    /// Bytes of KV that one token takes.
    pub kv_bytes_per_token: usize,
    /// Most tokens of a prompt and its reply together.
    pub context: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Layers.
    pub layers: usize,
    /// Threads that compute.
    pub threads: usize,
    /// Instruction set of the kernels in use.
    pub kernels: &'static str,
}

impl Engine {
    /// Loads a model.
    ///
    /// # Errors
    /// `NotFound`, `Io`, `ModelIncomplete`, `ModelCorrupt`, `ModelUnsupported`, `ModelNotFinite` with the file and the
    /// place in it; `InvalidOption`; `OutOfMemory`; `Cancelled` and `DeadlineExceeded` by `interrupt`.
    pub fn load(source: &Source, options: &EngineOptions, interrupt: &Interrupt) -> Result<Self> {
        interrupt.check()?;
        let pool = Arc::new(start_pool(options.threads)?);
        let how = Loading { precision: options.precision, mmap: options.mmap.unwrap_or(true), pool: &pool, interrupt };
        let parts = on_a_full_stack(|| source.read(how))??;
        let source::Parts { name, config, generation, tokenizer, markup, qwen } = parts;
        let context = options.context.unwrap_or(config.context).min(config.context);
        Ok(Self { name, config, generation, tokenizer, markup, qwen, pool, batcher: Batcher::default(), context })
    }

    /// Brings `kv` to exactly `prompt`, computing only what it does not hold yet (at least the last token). Returns the
    /// hidden state `[hidden]` of the last token. Short prompts of callers at the same time share a pass.
    ///
    /// # Errors
    /// `ContextOverflow` with the numbers; `Cancelled` or `DeadlineExceeded`, then `kv` holds what was done so far;
    /// `OutOfMemory`.
    pub fn prefill(&self, kv: &mut Kv, prompt: &[u32], interrupt: &Interrupt) -> Result<(Vec<f32>, Prefill)> {
        let (computed, prefill) = self.extend(kv, prompt, 0, interrupt)?;
        Ok((computed.hidden, prefill))
    }

    /// As [`prefill`](Self::prefill), but returns the logits `[vocab]` of what may come after `prompt`.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill) and [`logits`](Self::logits).
    pub fn next_logits(&self, kv: &mut Kv, prompt: &[u32], interrupt: &Interrupt) -> Result<(Vec<f32>, Prefill)> {
        let (computed, prefill) = self.extend(kv, prompt, 1, interrupt)?;
        Ok((finite(computed.logits)?, prefill))
    }

    /// `logits` are those after so many of the last tokens, all of which must be new to `kv`, save the very last.
    fn extend(&self, kv: &mut Kv, prompt: &[u32], logits: usize, interrupt: &Interrupt) -> Result<(Computed, Prefill)> {
        let Some(last) = prompt.len().checked_sub(1) else { fail!(InvalidArgument, "the prompt has no token") };
        if prompt.len() > self.context {
            fail!(
                ContextOverflow,
                "the prompt has {} tokens, the context holds {}; shorten the text, or set truncate to true",
                prompt.len(),
                self.context
            );
        }
        let cached = kv.common_prefix(prompt).min(last);
        kv.truncate(cached);
        let mut own = &prompt[cached..];
        while own.len() > CHUNK {
            let (chunk, rest) = own.split_at(CHUNK);
            self.qwen.forward(&mut [Sequence { tokens: chunk, kv }], interrupt)?;
            own = rest;
        }
        let step = Step { kv: kv.take(), tokens: own.to_vec(), logits, interrupt: interrupt.clone() };
        let compute = |steps: &mut [Step], interrupt: &Interrupt| self.compute(steps, interrupt);
        let Outcome { kv: back, result } = self.batcher.run(step, &compute);
        if let Some(back) = back {
            *kv = back;
        }
        Ok((result?, Prefill { prompt: prompt.len(), cached }))
    }

    /// One pass over the weights for several steps.
    fn compute(&self, steps: &mut [Step], interrupt: &Interrupt) -> Result<Vec<Computed>> {
        let mut sequences: Vec<_> = steps.iter_mut().map(|Step { tokens, kv, .. }| Sequence { tokens, kv }).collect();
        let states = self.qwen.forward(&mut sequences, interrupt)?;
        let (hidden, vocabulary) = (self.config.hidden_size, self.config.vocab_size);
        let mut end = 0;
        let own: Vec<&[f32]> = steps
            .iter()
            .map(|step| {
                let start = end;
                end += step.tokens.len() * hidden;
                &states[start..end]
            })
            .collect();
        let wanted = steps.iter().zip(&own).flat_map(|(step, own)| &own[own.len() - step.logits * hidden..]);
        let mut logits = self.qwen.logits(&wanted.copied().collect::<Vec<f32>>());
        let mut computed = Vec::with_capacity(steps.len());
        // From the last to the first, so that each takes its logits off the end, and one that is left alone all of them.
        for (step, own) in steps.iter().zip(&own).rev() {
            let logits = match logits.len() - step.logits * vocabulary {
                0 => std::mem::take(&mut logits),
                others => logits.split_off(others),
            };
            computed.push(Computed { hidden: own[own.len() - hidden..].to_vec(), logits });
        }
        computed.reverse();
        Ok(computed)
    }

    /// Prefills each of `prompts` on a copy of `base`, several in one pass, and gives KV and last hidden state `[hidden]`
    /// to `done`, in order. A prompt's results are those of [`prefill`](Self::prefill), whatever stands beside it.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill); those of `done`.
    pub fn prefill_each(
        &self,
        base: &Kv,
        prompts: &[Vec<u32>],
        interrupt: &Interrupt,
        done: &mut OnPrefilled,
    ) -> Result<()> {
        let common = |prompt: &Vec<u32>| base.common_prefix(prompt).min(prompt.len().saturating_sub(1));
        let cached: Vec<usize> = prompts.iter().map(common).collect();
        let mut first = 0;
        while first < prompts.len() {
            let mut own = 0;
            let fitting = prompts[first..].iter().zip(&cached[first..]).take_while(|(prompt, cached)| {
                own += prompt.len() - *cached;
                own <= CHUNK && prompt.len() <= self.context
            });
            let group = first..first + fitting.count().max(1);
            if let [long] = &prompts[group.clone()] {
                let mut kv = base.clone();
                let (hidden, prefill) = self.prefill(&mut kv, long, interrupt)?;
                done(first, kv, &hidden, prefill)?;
            } else {
                let mut kvs = vec![base.clone(); group.len()];
                let mut sequences = Vec::new();
                for ((kv, prompt), &start) in kvs.iter_mut().zip(&prompts[group.clone()]).zip(&cached[group.clone()]) {
                    kv.truncate(start);
                    sequences.push(Sequence { tokens: &prompt[start..], kv });
                }
                let states = self.qwen.forward(&mut sequences, interrupt)?;
                let mut end = 0;
                for (index, kv) in group.clone().zip(kvs) {
                    let prefill = Prefill { prompt: prompts[index].len(), cached: cached[index] };
                    end += (prefill.prompt - prefill.cached) * self.config.hidden_size;
                    done(index, kv, &states[end - self.config.hidden_size..end], prefill)?;
                }
            }
            first = group.end;
        }
        Ok(())
    }

    /// Logits `[tokens, vocab]` of `tokens` after those in `kv`, to compare with other implementations.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill).
    pub fn all_logits(&self, kv: &mut Kv, tokens: &[u32], interrupt: &Interrupt) -> Result<Vec<f32>> {
        let hidden = self.qwen.forward(&mut [Sequence { tokens, kv }], interrupt)?;
        Ok(hidden.chunks_exact(self.config.hidden_size).flat_map(|row| self.qwen.logits(row)).collect())
    }

    /// Logits `[vocab]` of the token after a hidden state `[hidden]`.
    ///
    /// # Errors
    /// `ModelNotFinite` when one is NaN or infinite.
    pub fn logits(&self, hidden: &[f32]) -> Result<Vec<f32>> {
        finite(self.qwen.logits(hidden))
    }

    /// The logits of `ids` only, without the product with the whole vocabulary.
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    pub fn logits_of(&self, hidden: &[f32], ids: &[u32]) -> Result<Vec<f32>> {
        finite(self.qwen.logits_of(hidden, ids))
    }

    /// An empty KV for this model.
    pub fn new_kv(&self) -> Kv {
        // Quantised weights are less exact than that.
        let format = match self.qwen.dtype() {
            GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => kv::Format::F32,
            _ => kv::Format::F16,
        };
        Kv::new(&self.config, format)
    }

    /// `map` of each item, in order, on the engine's threads.
    pub(crate) fn in_parallel<T: Send, R: Send>(&self, items: Vec<T>, map: impl Fn(T) -> R + Sync) -> Vec<R> {
        self.pool.map(items, map)
    }

    /// Text to ids and back.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The markup of conversations.
    pub fn markup(&self) -> &Markup {
        &self.markup
    }

    /// The model's own defaults for sampling.
    pub fn sampling(&self) -> Sampling {
        self.generation.sampling
    }

    /// Most tokens of a prompt and its reply together.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The model's own limit, whatever it was loaded with.
    pub fn context_limit(&self) -> usize {
        self.config.context
    }

    /// Whether `token` ends a reply.
    pub fn is_end(&self, token: u32) -> bool {
        token == self.markup.im_end() || self.generation.end_ids.contains(&token)
    }

    /// Facts about the model.
    pub fn info(&self) -> Info {
        Info {
            name: self.name.clone(),
            architecture: self.config.family.name(),
            parameters: self.qwen.parameters(),
            format: precision::format_name(self.qwen.dtype()),
            weight_bytes: self.qwen.size(),
            kv_bytes_per_token: self.new_kv().bytes_per_token(),
            context: self.context,
            vocabulary: self.tokenizer.len(),
            layers: self.config.layers,
            threads: self.pool.threads(),
            kernels: kernel::name(),
        }
    }
}

fn finite(logits: Vec<f32>) -> Result<Vec<f32>> {
    if logits.iter().all(|logit| logit.is_finite()) {
        return Ok(logits);
    }
    fail!(ModelNotFinite, "the model computed a logit that is NaN or infinite; its files are damaged: fetch them again")
}

/// Threads of our own, so that nothing of the process is shared or changed.
fn start_pool(threads: Option<usize>) -> Result<Pool> {
    let available = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.unwrap_or_else(|| num_cpus::get_physical().clamp(1, available));
    Pool::new(threads).map_err(|error| could_not_start(threads, error))
}

/// Runs `work`, which may need more stack than the caller has, on a thread of its own.
fn on_a_full_stack<R: Send>(work: impl FnOnce() -> R + Send) -> Result<R> {
    // Where a thread finds no address space for an arena of its own, glibc gives it a page for every allocation; the
    // thousands of a tokenizer would then take what is left.
    const ARENA: usize = if cfg!(target_pointer_width = "64") { 128 << 20 } else { 2 << 20 };
    bytes::has_room(ARENA, Access::None, "the address space of a thread")?;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("qaio-load".to_owned()).spawn_scoped(scope, work);
        match thread.map_err(|error| could_not_start(1, error))?.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn could_not_start(threads: usize, error: std::io::Error) -> Error {
    Error::new(ErrorKind::OutOfMemory, format!("{threads} threads could not start")).caused_by(error)
}

impl Info {
    /// As a JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data")
    }
}
