//! `qaio quantize`: a smaller GGUF of a model.

mod checkpoint;
mod codec;
mod describe;
mod directory;
mod gguf_reader;
mod gguf_writer;
mod metadata;
mod names;
mod progress;
mod report;
mod safetensors_file;
mod source;
mod target;
mod types;
mod vocabulary;

use crate::args::Args;
use crate::failure::Failure;
use crate::gguf_output::{self, Output};
use crate::interrupts::Interrupts;
use gguf_writer::Layout;
use source::Source;
use std::path::{Path, PathBuf};
use std::thread;
use target::Target;

const EXAMPLES: &str = "\
Examples:
  qaio quantize ~/models/Qwen2.5-0.5B-Instruct qwen2.5-0.5b-q8_0.gguf --to q8_0
  qaio quantize ~/models/Qwen3-0.6B qwen3-0.6b-q4_k.gguf --to q4_k
  qaio quantize qwen2.5-0.5b-f16.gguf qwen2.5-0.5b-q4_0.gguf --to q4_0 --force
  qaio quantize --json ~/models/Qwen3-0.6B out.gguf --to f16 | jq .output_bytes

Types of the tensors:
  Norms and biases are f32. A matrix has the type of --to, except that with q4_0 and q4_k the output matrix (the
  embedding, where the two are one) is q6_k, and with q4_k also the value and down projections of half of the layers, as
  llama.cpp has it in its Q4_0 and Q4_K_M.
  q4_k and q6_k need rows of a multiple of 256, the others of 32. Where they are not: q5_0 in place of q4_k, q8_0 in
  place of q6_k, f16 in place of the others; standard error says how often.

Standard output:
  One line with the sizes before and after. With --json: {\"input\": …, \"output\": …, \"to\": …, \"input_bytes\": …,
  \"output_bytes\": …, \"tensors\": …, \"types\": {…}, \"fallbacks\": …}.
  OUT appears when it is complete; until then it is OUT.part, which Ctrl-C and failures remove.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct QuantizeArgs {
    /// The model: a directory from Hugging Face or a GGUF file
    #[arg(value_name = "IN")]
    pub input: PathBuf,

    /// The GGUF file to be written
    #[arg(value_name = "OUT")]
    pub output: PathBuf,

    /// Type of the weights
    #[arg(long, value_name = "TYPE")]
    pub to: Target,

    /// Replace OUT if it exists
    #[arg(long)]
    pub force: bool,

    /// Make quantised weights larger too, which makes them no better
    #[arg(long)]
    pub allow_requantize: bool,
}

pub fn run(args: &Args, own: &QuantizeArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    let threads = args.model.options()?.threads;
    let threads = threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    not_itself(&own.input, &own.output)?;
    gguf_output::check(&own.output, own.force)?;
    let mut source = Source::open(&own.input)?;
    for file in &source.files {
        not_itself(file, &own.output)?;
    }
    source.metadata.set_u32("general.file_type", own.to.file_type());
    source.metadata.set_u32("general.quantization_version", 2);
    let at = |message| Failure::Message(format!("{}: {message}", own.input.display()));
    let plan = own.to.plan(&source, own.allow_requantize).map_err(at)?;
    report::notes(own, &source, &plan);

    let layout = Layout::new(&source.metadata, &plan, source.alignment);
    let written = interrupts.during(|cancel| {
        let mut output = Output::create(&own.output, layout.total, own.force)?;
        gguf_writer::write(&source, &layout, &plan, threads, &cancel, &mut output)?;
        output.finish()
    })?;
    report::result(args.json, own, &source, &plan, written)
}

/// Refuses to write over what is read.
fn not_itself(input: &Path, output: &Path) -> Result<(), Failure> {
    if matches!((input.canonicalize(), output.canonicalize()), (Ok(input), Ok(output)) if input == output) {
        let message = format!("{} is the model that is read; name another file", output.display());
        return Err(Failure::Message(message));
    }
    Ok(())
}
