//! What is measured on a loaded model, through the same calls that any program makes.

use super::figure::Figure;
use crate::failure::Failure;
use indicatif::ProgressBar;
use qaio::engine::{Engine, Interrupt, Request, Sampling};
use qaio::{CancelToken, ClassifyOptions, Model, ReplyOptions, Task, TaskDefinition};
use std::ops::ControlFlow;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Tokens of a message.
const MESSAGE: usize = 20;
/// Tokens of a reply.
const REPLY: usize = 50;
/// Shorter than this, work is done several times for one sample: a clock and a scheduler have their grain.
const LEAST: Duration = Duration::from_millis(40);
/// With --quick, no further sample of a figure is begun after this.
const QUICK: Duration = Duration::from_secs(4);
/// With --quick, no further round of all numbers of callers is begun after this.
const QUICK_ROUNDS: Duration = Duration::from_secs(12);
/// Where messages are cut from.
const STORY: &str = "终于把那个困扰了我们两个星期的问题修好了，感觉整个人都轻松了，晚上想和朋友们一起出去吃一顿好的庆祝一下，\
                     明天再去公园里慢慢地走一走，看看秋天的树叶。";

/// The heading of sentiment, cold and warm.
pub const SENTIMENT: &str = "Sentiment of a message of 20 tokens";

/// A model under measurement.
pub struct Measures<'a> {
    pub model: &'a Arc<Model>,
    pub cancel: &'a CancelToken,
    pub repeat: usize,
    pub quick: bool,
    pub progress: &'a ProgressBar,
}

/// A message of [`MESSAGE`] tokens; another one for each `number`.
pub fn message(model: &Model, number: usize) -> Result<String, Failure> {
    let characters = STORY.chars().count();
    let mut text = String::new();
    for character in STORY.chars().cycle().skip(number * 7 % characters) {
        text.push(character);
        if model.engine().tokenizer().encode(&text)?.len() >= MESSAGE {
            break;
        }
    }
    Ok(text)
}

impl Measures<'_> {
    pub fn prefill(&self) -> Result<Vec<Figure>, Failure> {
        let engine = self.model.engine();
        let lengths = [16, 128, 512, 2048].into_iter().filter(|&length| self.wanted(length, 0));
        let figure = |length: usize| {
            let prompt = tokens(engine, length);
            let label = format!("{length} tokens");
            self.figure(&format!("prefill_{length}"), "Prefill", label, "tokens/s", || {
                let (seconds, _) =
                    timed(|| Ok(engine.prefill(&mut engine.new_kv(), &prompt, &self.interrupt()).map(drop)?))?;
                Ok(length as f64 / seconds)
            })
        };
        lengths.map(figure).collect()
    }

    pub fn decode(&self) -> Result<Vec<Figure>, Failure> {
        let engine = self.model.engine();
        let steps = if self.quick { 16 } else { 32 };
        let depths = [0, 512, 2048].into_iter().filter(|&depth| self.wanted(depth, steps + 1));
        let figure = |depth: usize| {
            let base = tokens(engine, depth.max(1));
            let mut filled = engine.new_kv();
            engine.prefill(&mut filled, &base, &self.interrupt())?;
            let label = format!("after {depth} tokens");
            self.figure(&format!("decode_{depth}"), "Decode", label, "tokens/s", || {
                let (seconds, _) = timed(|| {
                    let (mut kv, mut seen) = (filled.clone(), base.clone());
                    let mut next = 0;
                    for _ in 0..steps {
                        seen.push(next);
                        let (logits, _) = engine.next_logits(&mut kv, &seen, &self.interrupt())?;
                        next = likeliest(&logits);
                    }
                    Ok(())
                })?;
                Ok(steps as f64 / seconds)
            })
        };
        depths.map(figure).collect()
    }

    pub fn sentiment(&self) -> Result<Figure, Failure> {
        let text = message(self.model, 0)?;
        self.figure("sentiment_warm", SENTIMENT, "each further one".to_owned(), "ms", || {
            let options = ClassifyOptions::default();
            let (seconds, _) = timed(|| Ok(self.model.sentiment(&text, &options, Some(self.cancel.clone()))?))?;
            Ok(seconds * 1e3)
        })
    }

    pub fn turn(&self) -> Result<Figure, Failure> {
        let text = message(self.model, 0)?;
        let options = ReplyOptions { max_tokens: REPLY, temperature: Some(0.0), ..ReplyOptions::default() };
        let go_on = &mut |_: &str| ControlFlow::Continue(());
        let mut said = 0;
        let mut figure =
            self.figure("turn", "Sentiment and reply to a message of 20 tokens", String::new(), "ms", || {
                let (seconds, turn) = timed(|| {
                    let on_sentiment = &mut |_: &_| ControlFlow::Continue(());
                    Ok(self.model.turn(&text, &options, Some(self.cancel.clone()), on_sentiment, go_on)?)
                })?;
                said = turn.reply.usage.reply_tokens;
                Ok(seconds * 1e3)
            })?;
        // A model that is not noise may have said enough before.
        figure.label = format!("reply of {said} tokens");
        Ok(figure)
    }

    pub fn classify(&self) -> Result<Vec<Figure>, Failure> {
        self.progress.set_message("task");
        let task = Task::new(self.model, TaskDefinition::shipped("sentiment")?, Some(self.cancel.clone()))?;
        let texts: Vec<String> = (0..64).map(|number| message(self.model, number)).collect::<Result<_, _>>()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let options = ClassifyOptions::default();
        let group = "Classify texts of 20 tokens";
        let one_by_one = self.figure("classify_one", group, "one by one".to_owned(), "texts/s", || {
            let (seconds, _) = timed(|| {
                for text in &texts[..8] {
                    task.classify(text, &options, Some(self.cancel.clone()))?;
                }
                Ok(())
            })?;
            Ok(8.0 / seconds)
        })?;
        let mut figures = vec![one_by_one];
        for size in [8, 64] {
            let label = format!("in a batch of {size}");
            figures.push(self.figure(&format!("classify_{size}"), group, label, "texts/s", || {
                let (seconds, _) = timed(|| {
                    let cancel = Some(self.cancel.clone());
                    let batch =
                        task.classify_batch(&texts[..size], &options, cancel, &mut |_| ControlFlow::Continue(()))?;
                    batch.rows.into_iter().collect::<qaio::Result<Vec<_>>>()?;
                    Ok(())
                })?;
                Ok(size as f64 / seconds)
            })?);
        }
        Ok(figures)
    }

    /// The rounds go over all numbers of callers, so that a disturbance does not hit one of them alone.
    pub fn replies(&self) -> Result<Vec<Figure>, Failure> {
        const CALLERS: [usize; 4] = [1, 2, 4, 8];
        let prompt = self.enduring_prompt()?;
        let mut samples: [Vec<f64>; CALLERS.len()] = Default::default();
        let start = Instant::now();
        while self.goes_on(samples[0].len(), start, QUICK_ROUNDS) {
            for (callers, samples) in CALLERS.into_iter().zip(&mut samples) {
                self.progress.set_message(format!("replies to {callers} at once"));
                samples.push(self.replies_at_once(callers, &prompt)?);
            }
        }
        let group = "Replies at the same time";
        let mut figures = Vec::new();
        for (callers, samples) in CALLERS.into_iter().zip(samples) {
            let (name, label) = (format!("replies_{callers}"), format!("{callers} of 50 tokens"));
            figures.push(Figure { name, group, label, unit: "tokens/s", samples });
        }
        let alone = figures[0].median();
        for (index, callers) in (1..).zip(&CALLERS[1..]) {
            let samples = figures[index].samples.iter().map(|rate| rate / alone).collect();
            let (name, label) = (format!("replies_{callers}_ratio"), format!("{callers}, beside one"));
            figures.push(Figure { name, group, label, unit: "x", samples });
        }
        Ok(figures)
    }

    /// Tokens per second of all callers together. The prompt is in their KVs already.
    fn replies_at_once(&self, callers: usize, prompt: &[u32]) -> Result<f64, Failure> {
        let engine = self.model.engine();
        let mut filled = engine.new_kv();
        engine.prefill(&mut filled, prompt, &self.interrupt())?;
        let (start, mut rounds, mut tokens) = (Instant::now(), 0, 0);
        while rounds == 0 || start.elapsed() < LEAST {
            let together = Barrier::new(callers);
            let counts: Vec<qaio::Result<usize>> = thread::scope(|scope| {
                let reply = || {
                    let mut kv = filled.clone();
                    together.wait();
                    let request = request(prompt);
                    let interrupt = self.interrupt();
                    let generated =
                        engine.generate(&mut kv, &request, &interrupt, &mut |_| ControlFlow::Continue(()))?;
                    Ok(generated.tokens.len())
                };
                let handles: Vec<_> = (0..callers).map(|_| scope.spawn(reply)).collect();
                handles.into_iter().map(|handle| handle.join().unwrap_or(Ok(0))).collect()
            });
            for count in counts {
                tokens += count?;
            }
            // A reply that was stopped is no error.
            self.interrupt().check()?;
            rounds += 1;
        }
        Ok(tokens as f64 / start.elapsed().as_secs_f64())
    }

    /// A prompt that the model does not stop answering before a reply's most tokens, if one is found soon.
    fn enduring_prompt(&self) -> Result<Vec<u32>, Failure> {
        self.progress.set_message("a prompt");
        let engine = self.model.engine();
        let all = tokens(engine, 16 * MESSAGE);
        let mut longest = (0, Vec::new());
        for prompt in all.chunks(MESSAGE) {
            let mut kv = engine.new_kv();
            let go_on = &mut |_: &str| ControlFlow::Continue(());
            let said = engine.generate(&mut kv, &request(prompt), &self.interrupt(), go_on)?.tokens.len();
            self.interrupt().check()?;
            if said > longest.0 || longest.1.is_empty() {
                longest = (said, prompt.to_vec());
            }
            if said == REPLY {
                break;
            }
        }
        Ok(longest.1)
    }

    /// Takes the samples of a figure.
    fn figure(
        &self,
        name: &str,
        group: &'static str,
        label: String,
        unit: &'static str,
        mut sample: impl FnMut() -> Result<f64, Failure>,
    ) -> Result<Figure, Failure> {
        self.progress.set_message(name.replace('_', " "));
        let mut samples = Vec::new();
        let start = Instant::now();
        while self.goes_on(samples.len(), start, QUICK) {
            samples.push(sample()?);
            self.interrupt().check()?;
        }
        Ok(Figure { name: name.to_owned(), group, label, unit, samples })
    }

    /// Whether to take another sample, after so many since `start`.
    fn goes_on(&self, samples: usize, start: Instant, most: Duration) -> bool {
        samples < self.repeat && (samples == 0 || !self.quick || start.elapsed() < most)
    }

    /// Whether to measure at `length`, with `more` tokens after it: long ones take long, and the context ends.
    fn wanted(&self, length: usize, more: usize) -> bool {
        length + more <= self.model.engine().context() && (!self.quick || length <= 512)
    }

    fn interrupt(&self) -> Interrupt {
        Interrupt::new(Some(self.cancel.clone()), None)
    }
}

/// Seconds that `work` takes, and what it gives.
fn timed<T>(mut work: impl FnMut() -> Result<T, Failure>) -> Result<(f64, T), Failure> {
    let start = Instant::now();
    let mut times = 1;
    let mut result = work()?;
    while start.elapsed() < LEAST {
        result = work()?;
        times += 1;
    }
    Ok((start.elapsed().as_secs_f64() / f64::from(times), result))
}

/// Some tokens of the vocabulary, none of them a control token.
fn tokens(engine: &Engine, count: usize) -> Vec<u32> {
    // A third of the vocabulary: Qwen's control tokens are its last.
    let range = (engine.tokenizer().len() / 3).max(1);
    (0..count).map(|number| (number * 7_919 % range) as u32).collect()
}

fn likeliest(logits: &[f32]) -> u32 {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0) as u32
}

/// Greedy, so that all that counts is the model.
fn request(prompt: &[u32]) -> Request<'_> {
    Request { prompt, sampling: Sampling::default(), max_tokens: REPLY, stop: &[] }
}
