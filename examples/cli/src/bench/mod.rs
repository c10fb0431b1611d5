//! `qaio bench`: the speed of this machine.

mod figure;
mod machine;
mod measures;
mod memory;
mod report;
mod shape;
mod source;
mod vocabulary;
mod weights;

use crate::args::Args;
use crate::failure::Failure;
use crate::gguf_output::{self, Output};
use crate::interrupts::Interrupts;
use crate::{note, speaker};
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};
use machine::Machine;
use measures::{Measures, message};
use qaio::{CancelToken, Error, ErrorKind};
use report::Report;
use shape::Shape;
use source::{Loaded, Source, memory_figure};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  qaio bench
  qaio bench --shape qwen1.5-0.5b --quick
  qaio bench --shape qwen3-0.6b --precision q4 --threads 4
  qaio bench --model ~/models/Qwen3-0.6B
  qaio bench --shape qwen1.5-0.5b --precision bf16 --save noise.gguf
  qaio bench --json --quick | jq '.figures[] | {name, median}'

Each figure is the median of several, with the least and the most of them. What is measured:
  Loading    from the call to the model that is ready
  Memory     the peak of this process, less what it had before there were any weights (Linux only);
             with --shape, what loading takes includes the file that stands in memory
  Prefill    reading a prompt
  Decode     writing one token after another, on a conversation of some length
  Sentiment  one message; the first one reads the instructions of the task too
  Classify   many texts, label mass included
  Replies    callers at the same time, who share their passes over the weights

With --shape nothing is downloaded, and nothing written without --save: weights of noise are as fast as the real ones.
They take about half a gigabyte in q8, twice that while they are loaded. Only a machine that does nothing else gives
figures that count.";

/// Repetitions, if nothing else is said.
const REPEAT: usize = 5;
const REPEAT_QUICK: usize = 3;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Measure random weights in the shape of this model, made in memory, instead of a model
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(shape::NAMES))]
    pub shape: Option<String>,

    /// Write the random weights to this GGUF file too, for other programs to be measured on
    #[arg(long, value_name = "FILE", requires = "shape")]
    pub save: Option<PathBuf>,

    /// Replace the file of --save if it exists
    #[arg(long, requires = "save")]
    pub force: bool,

    /// Take about a minute for half a billion weights: shorter texts, and no figure for longer than some seconds
    #[arg(long)]
    pub quick: bool,

    /// Times that each thing is measured [default: 5, with --quick 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub repeat: Option<u16>,
}

pub fn run(args: &Args, bench: &BenchArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    if let (Some(shape), Some(path)) = (&bench.shape, &args.model.model) {
        let message = format!(
            "--shape {shape} makes its own weights, --model {} brings some; give one of the two",
            path.display()
        );
        return Err(Error::new(ErrorKind::InvalidOption, message).into());
    }
    if let Some(path) = &bench.save {
        gguf_output::check(path, bench.force)?;
    }
    let machine = Machine::this();
    if machine.is_busy() {
        note::hint("(Something else is computing on this machine; the figures will be too low.)");
    }
    let progress = ProgressBar::no_length();
    let report = interrupts.during(|cancel| measure(args, bench, machine, &cancel, &progress));
    progress.finish_and_clear();
    let report = report?;
    let text = if args.json { report.to_json() } else { report.table() };
    speaker::write(&text).map_err(Failure::Output)
}

fn measure(
    args: &Args,
    bench: &BenchArgs,
    machine: Machine,
    cancel: &CancelToken,
    progress: &ProgressBar,
) -> Result<Report, Failure> {
    let repeat = bench.repeat.map_or(if bench.quick { REPEAT_QUICK } else { REPEAT }, usize::from);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4}  {msg}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(std::time::Duration::from_millis(250));
    let options = args.model.options()?;
    let before = memory::resident().unwrap_or(0);
    let source = match bench.shape.as_deref().and_then(Shape::named) {
        Some(shape) => {
            progress.set_message("making the weights");
            let noise = Source::noise(shape, &options, cancel)?;
            if let (Some(path), Source::Memory(bytes)) = (&bench.save, &noise) {
                progress.set_message("writing the weights");
                save(bytes, Output::create(path, bytes.len() as u64, bench.force)?, cancel)?;
            }
            noise
        }
        None => Source::Path(args.model.model.clone()),
    };
    progress.set_message("loading");
    let Loaded { model, time, memory, cold } =
        source.load(&options, |model| message(model, 0), repeat, before, cancel)?;
    let measures = Measures { model: &model, cancel, repeat, quick: bench.quick, progress };
    let mut measured = measures.prefill()?;
    measured.extend(measures.decode()?);
    measured.extend([cold, measures.sentiment()?, measures.turn()?]);
    measured.extend(measures.classify()?);
    measured.extend(measures.replies()?);

    let mut figures = vec![time];
    figures.extend(memory);
    figures.extend(memory_figure("memory_running", "most afterwards", before));
    figures.extend(measured);
    let (date, info, shape) = (machine::now(), model.info(), bench.shape.clone());
    Ok(Report { date, machine, info, shape, quick: bench.quick, repeat, figures })
}

/// Writes `bytes`, unless it is interrupted.
fn save(bytes: &[u8], mut output: Output, cancel: &CancelToken) -> Result<(), Failure> {
    for piece in bytes.chunks(1 << 24) {
        if cancel.is_cancelled() {
            return Err(Failure::Interrupted);
        }
        output.write(piece)?;
    }
    output.finish().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_saved_is_what_was_in_memory() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("noise.gguf");
        let bytes: Vec<u8> = (0..(1 << 24) + 5u32).map(|number| number as u8).collect();
        let output = || Output::create(&path, bytes.len() as u64, false);
        let cancelled = CancelToken::new();
        cancelled.cancel();
        assert!(matches!(save(&bytes, output().expect("a file"), &cancelled), Err(Failure::Interrupted)));
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
        save(&bytes, output().expect("a file"), &CancelToken::new()).expect("written");
        assert!(fs::read(&path).expect("it exists") == bytes);
    }
}
