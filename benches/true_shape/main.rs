//! Random weights in the true shape of Qwen1.5-0.5B: memory while loading, speed of decode beside candle-transformers,
//! and the tokens that a sentiment call computes.
//!
//!     cargo bench --bench true_shape
//!
//! Makes the model as safetensors (F32 and BF16) and as GGUF (Q8_0) in a temporary directory, 3.3 GB in all. With
//! `-- --dir DIR` they are made there, and kept. Each load is a process of its own, so that its peak is its own.

mod files;

use candle_core::quantized::gguf_file;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_qwen2::ModelWeights;
use qaio::engine::{Engine, EngineOptions, Interrupt, Source};
use qaio::{ClassifyOptions, LoadOptions, Model, Precision};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Tokens decoded per measurement, and measurements.
const DECODE: usize = 24;
const ROUNDS: usize = 5;
const PREFILL: usize = 128;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--child", path, precision] => child(Path::new(path), precision),
        ["--dir", directory] => parent(Path::new(directory)),
        // `cargo test --benches` and the like only want to see that it builds.
        ["--test"] => {}
        [] => {
            let directory = tempfile::tempdir().unwrap();
            parent(directory.path());
        }
        _ => eprintln!("usage: cargo bench --bench true_shape [-- --dir DIR]"),
    }
}

fn parent(directory: &Path) {
    let made = files::make(directory);
    println!("random weights, shape of Qwen1.5-0.5B, {}\n", made.tokenizer);
    println!("| source | precision | weights, MB | peak, MB | peak / weights | load, s |");
    println!("|---|---|---|---|---|---|");
    for (path, precision) in [
        (&made.gguf, "auto"),
        (&made.bf16, "q8"),
        (&made.bf16, "q4"),
        (&made.bf16, "bf16"),
        (&made.bf16, "f32"),
        (&made.f32, "f32"),
        (&made.f32, "q8"),
    ] {
        print_load(path, precision);
    }
    sentiment(&made.gguf);
    speed(&made.gguf);
}

/// Loads in a process of its own and prints its row.
fn print_load(path: &Path, precision: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--child".as_ref(), path.as_os_str(), precision.as_ref()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

fn child(path: &Path, precision: &str) {
    let started = Instant::now();
    let engine = engine(path, Precision::from_name(precision).unwrap());
    let seconds = started.elapsed().as_secs_f64();
    // The pages of a mapped file count once they were read, so one pass of the model belongs to it.
    engine.prefill(&mut engine.new_kv(), &[1, 2, 3], &Interrupt::never()).unwrap();
    let weights = engine.info().weight_bytes as f64 / 1e6;
    let peak = peak_memory() as f64 / 1e6;
    let name = path.file_name().unwrap().to_string_lossy();
    println!("| {name} | {precision} | {weights:.0} | {peak:.0} | {:.2} | {seconds:.2} |", peak / weights);
}

fn engine(path: &Path, precision: Precision) -> Engine {
    let options = EngineOptions { precision, threads: None, context: Some(2048) };
    Engine::load(&Source::Path(path.to_owned()), &options, &Interrupt::never()).unwrap()
}

/// Bytes of the largest resident set this process has had.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).unwrap_or(0) * 1024
}

fn sentiment(gguf: &Path) {
    let options = LoadOptions { context: Some(2048), ..LoadOptions::default() };
    let model = match Model::load(Some(gguf), &options, None) {
        Ok(model) => model,
        Err(error) => return println!("\nno sentiment: {error}"),
    };
    println!("\n| sentiment call | prompt tokens | of these cached | ms |");
    println!("|---|---|---|---|");
    for (call, text) in [
        ("first", "终于把bug修完了，感觉整个人都轻松了！"),
        ("second", "项目延期了，客户又要投诉，压力好大。"),
        ("third", "My flight got cancelled and nobody at the desk would help me."),
    ] {
        let started = Instant::now();
        let usage = model.sentiment(text, &ClassifyOptions::default(), None).unwrap().usage;
        let ms = started.elapsed().as_secs_f64() * 1e3;
        println!("| {call} | {} | {} | {ms:.0} |", usage.prompt_tokens, usage.cached_tokens);
    }
}

/// Ours and candle-transformers' in turn, on the same file.
fn speed(gguf: &Path) {
    let ours = engine(gguf, Precision::Auto);
    let mut file = BufReader::new(File::open(gguf).unwrap());
    let content = gguf_file::Content::read(&mut file).unwrap();
    let mut theirs = ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap();

    let prompt: Vec<u32> = (100..100 + PREFILL as u32).collect();
    let (mut decode, mut prefill) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        let (ours_prefill, ours_decode) = time_ours(&ours, &prompt);
        let (theirs_prefill, theirs_decode) = time_theirs(&mut theirs, &prompt);
        prefill[0].push(ours_prefill);
        prefill[1].push(theirs_prefill);
        decode[0].push(ours_decode);
        decode[1].push(theirs_decode);
    }
    println!("\n| Q8_0, {} threads, median of {ROUNDS} | qaio | candle-transformers | ratio |", ours.info().threads);
    println!("|---|---|---|---|");
    for (what, figures) in [(format!("prefill {PREFILL}, tokens/s"), prefill), ("decode, tokens/s".to_owned(), decode)]
    {
        let [ours, theirs] = figures.map(median);
        println!("| {what} | {ours:.1} | {theirs:.1} | {:.2} |", ours / theirs);
    }
}

/// Tokens per second of prefill and of decode.
fn time_ours(engine: &Engine, prompt: &[u32]) -> (f64, f64) {
    let mut kv = engine.new_kv();
    let never = Interrupt::never();
    let started = Instant::now();
    let (hidden, _) = engine.prefill(&mut kv, prompt, &never).unwrap();
    let mut logits = engine.logits(&hidden).unwrap();
    let prefill = prompt.len() as f64 / started.elapsed().as_secs_f64();
    let mut tokens = prompt.to_vec();
    let started = Instant::now();
    for _ in 0..DECODE {
        tokens.push(largest(&logits));
        let (hidden, _) = engine.prefill(&mut kv, &tokens, &never).unwrap();
        logits = engine.logits(&hidden).unwrap();
    }
    (prefill, DECODE as f64 / started.elapsed().as_secs_f64())
}

fn time_theirs(model: &mut ModelWeights, prompt: &[u32]) -> (f64, f64) {
    let mut step = |tokens: &[u32], position: usize| -> Vec<f32> {
        let input = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        model.forward(&input, position).unwrap().squeeze(0).unwrap().to_vec1().unwrap()
    };
    let started = Instant::now();
    let mut logits = step(prompt, 0);
    let prefill = prompt.len() as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    for at in 0..DECODE {
        logits = step(&[largest(&logits)], prompt.len() + at);
    }
    (prefill, DECODE as f64 / started.elapsed().as_secs_f64())
}

fn largest(logits: &[f32]) -> u32 {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap() as u32
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The files of one model.
pub struct Made {
    gguf: PathBuf,
    f32: PathBuf,
    bf16: PathBuf,
    /// Which tokenizer they have, for the heading.
    tokenizer: &'static str,
}
