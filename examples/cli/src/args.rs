//! What can be said on the command line.
//!
//! Ranges and defaults are not repeated here: the values go through the library's own options, which check them.

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use qaio::{LoadOptions, Precision, ReplyOptions, Result};
use serde_json::{Number, Value};
use std::path::PathBuf;

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    it failed; one line on standard error says why, and what to do
  2    the command line is wrong
  130  interrupted by Ctrl-C";

const EXAMPLES: &str = "\
Examples:
  qaio turn \"终于把bug修完了，感觉整个人都轻松了！\"
  qaio turn --json \"I passed my exam!\" | jq -r .sentiment.label
  qaio turn - < letter.txt
  qaio chat
  qaio chat --model ~/models/Qwen3-0.6B --precision q4
  qaio info --model qwen2.5-0.5b-instruct-q8_0.gguf";

const TURN_EXAMPLES: &str = "\
Examples:
  qaio turn \"终于把bug修完了，感觉整个人都轻松了！\"
  echo \"项目延期了，客户又要投诉，压力好大。\" | qaio turn -
  qaio turn --json \"I passed my exam!\" | jq -r .sentiment.label
  qaio turn --temperature 0.8 --seed 7 \"My cat is back!\"
  qaio turn -- \"-5 degrees and no heating\"

Standard output:
  😄 LLM 情感判断: 正面      the sentiment, 正面 (positive) or 负面 (negative)
  …                         the reply, as it comes
  With --json: {\"sentiment\": {…}, \"reply\": {…}} on one line, when all is said.
  Ctrl-C stops the reply; what was said so far stays.";

const CHAT_EXAMPLES: &str = "\
Examples:
  qaio chat
  qaio chat --system \"You are a calm travel agent. Answer in one sentence.\"
  qaio chat --json < messages.txt > answers.jsonl

Commands:
  /reset  forget the conversation
  /help   this list
  /exit   leave; so does Ctrl-D

  Ctrl-C stops the reply that is coming and keeps the conversation; at the prompt it leaves.
  A conversation that no longer fits into the model's context forgets its oldest messages.

Without a terminal, each line of standard input is a message and there is no prompt. With --json each message gets one
line of standard output: {\"sentiment\": {…}, \"reply\": {…}}, or {\"error\": \"…\"} (then the exit code is 1 in the end).";

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
    /// Find the sentiment of one message and reply to it
    #[command(after_help = TURN_EXAMPLES)]
    Turn(TurnArgs),
    /// Have a conversation
    #[command(after_help = CHAT_EXAMPLES)]
    Chat(ChatArgs),
    /// Show what model this is
    #[command(after_help = "Examples:\n  qaio info\n  qaio info --json --model ~/models/Qwen3-0.6B | jq .parameters")]
    Info,
}

#[derive(clap::Args)]
pub struct TurnArgs {
    /// The message; - reads it from standard input
    pub text: String,

    /// Cut the middle out of a text that is too long, instead of refusing it
    #[arg(long)]
    pub truncate: bool,

    #[command(flatten)]
    pub reply: ReplyArgs,
}

#[derive(clap::Args)]
pub struct ChatArgs {
    /// The assistant's instructions in place of the built-in ones
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,

    #[command(flatten)]
    pub reply: ReplyArgs,
}

/// Which model, and how it is loaded.
#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// A Qwen chat model: a directory from Hugging Face or a GGUF file [default: the built-in demonstration model]
    #[arg(long, global = true, value_name = "PATH")]
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
