//! What can be said on the command line.
//!
//! Ranges and defaults are not repeated here: the values go through the library's own options, which check them.

use crate::bench::BenchArgs;
use crate::chat::ChatArgs;
use crate::classify::ClassifyArgs;
use crate::eval::EvalArgs;
use crate::manual::{CompletionsArgs, ManArgs};
use crate::pull::PullArgs;
use crate::quantize::QuantizeArgs;
use crate::serve::ServeArgs;
use crate::task::TaskArgs;
use crate::turn::TurnArgs;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use qaio::{LoadOptions, Precision, ReplyOptions, Result};
use serde_json::{Number, Value};
use std::path::PathBuf;

pub const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    it failed; one line on standard error says why, and what to do
  2    the command line is wrong
  130  interrupted by Ctrl-C";

const EXAMPLES: &str = "\
Examples:
  qaio serve --open
  qaio turn \"终于把bug修完了，感觉整个人都轻松了！\"
  qaio turn --json \"I passed my exam!\" | jq -r .sentiment.label
  qaio classify reviews.csv --column text --out labelled.csv
  qaio pull Qwen/Qwen2.5-0.5B-Instruct
  qaio chat --model Qwen/Qwen2.5-0.5B-Instruct
  qaio info --model qwen2.5-0.5b-instruct-q8_0.gguf";

/// Sentiment and a kind reply, from one small Qwen chat model on this machine.
///
/// One model plays two roles: a cold analyst, who says whether a message is 正面 (positive) or 负面 (negative), and a
/// warm assistant, who answers with that in mind. Nothing leaves this machine.
#[derive(Parser)]
#[command(name = "qaio", version, arg_required_else_help = true, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,

    /// Print JSON for programs instead of text for people
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,

    #[command(flatten)]
    pub model: ModelArgs,
}

#[derive(Subcommand)]
pub enum Command {
    /// Open the web chat and the API in this machine's browser
    Serve(ServeArgs),
    /// Find the sentiment of one message and reply to it
    Turn(TurnArgs),
    /// Have a conversation
    Chat(ChatArgs),
    /// Label the texts of a file
    Classify(ClassifyArgs),
    /// Measure a task on texts whose labels are known
    Eval(EvalArgs),
    /// Work with task files
    Task(TaskArgs),
    /// Show what model this is
    #[command(after_help = "Examples:\n  qaio info\n  qaio info --json --model ~/models/Qwen3-0.6B | jq .parameters")]
    Info,
    /// Measure the speed of this machine
    Bench(BenchArgs),
    /// Fetch a model from a hub
    Pull(PullArgs),
    /// Make a smaller GGUF of a model
    Quantize(QuantizeArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// Which model, and how it is loaded.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// A Qwen chat model: a directory from Hugging Face, a GGUF file, or OWNER/NAME as it was pulled [default: the built-in
    /// demonstration model]
    #[arg(long, global = true, value_name = "MODEL")]
    pub model: Option<PathBuf>,

    /// Number format of the weights in memory [default: auto]
    #[arg(long, global = true, value_name = "NAME", value_parser = PossibleValuesParser::new(Precision::NAMES))]
    pub precision: Option<String>,

    /// Threads that compute [default: one per physical core]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<u64>,

    /// Most tokens of the conversation and a reply together [default: the model's limit]
    #[arg(long, global = true, value_name = "N")]
    pub context: Option<u64>,
}

/// How replies are made.
#[derive(clap::Args)]
#[command(next_help_heading = "Reply")]
pub struct ReplyArgs {
    /// Most tokens of a reply [default: 256]
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u64>,

    /// 0 always says the likeliest word, more is livelier [default: the model's]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub temperature: Option<Number>,

    /// The same seed gives the same reply [default: 0]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl ModelArgs {
    /// As the library's options.
    pub fn options(&self) -> Result<LoadOptions> {
        LoadOptions::from_json(&object([
            ("precision", self.precision.clone().map(Value::from)),
            ("threads", self.threads.map(Value::from)),
            ("context", self.context.map(Value::from)),
        ]))
    }
}

impl ReplyArgs {
    /// As the library's options, with the choice whether to shorten what is too long.
    pub fn options(&self, truncate: bool) -> Result<ReplyOptions> {
        ReplyOptions::from_json(&object([
            ("max_tokens", self.max_tokens.map(Value::from)),
            ("temperature", self.temperature.clone().map(Value::from)),
            ("seed", self.seed.map(Value::from)),
            ("truncate", Some(truncate.into())),
        ]))
    }
}

/// A JSON object of what was given.
fn object<const N: usize>(entries: [(&str, Option<Value>); N]) -> String {
    entries.into_iter().filter_map(|(key, value)| Some((key, value?))).collect::<Value>().to_string()
}
