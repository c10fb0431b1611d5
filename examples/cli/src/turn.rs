//! `qaio turn`: sentiment and reply for one message.

use crate::args::{Args, ReplyArgs};
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::speaker::Speaker;
use crate::{load, note};
use qaio::StopReason;
use std::io::{IsTerminal, Read, stdin};

const EXAMPLES: &str = "\
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

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct TurnArgs {
    /// The message; - reads it from standard input
    pub text: String,

    /// Cut the middle out of a text that is too long, instead of refusing it
    #[arg(long)]
    pub truncate: bool,

    #[command(flatten)]
    pub reply: ReplyArgs,
}

pub fn run(args: &Args, turn: &TurnArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    let options = turn.reply.options(turn.truncate)?;
    let text = match turn.text.as_str() {
        "-" => from_stdin()?,
        text => text.to_owned(),
    };
    let model = load::model(&args.model, interrupts)?;
    let speaker = Speaker::new(args.json);
    let result = interrupts.during(|cancel| {
        let on_sentiment = &mut |sentiment: &_| speaker.sentiment(sentiment);
        model.turn(&text, &options, Some(cancel), on_sentiment, &mut |piece| speaker.piece(piece))
    });
    match speaker.end(result)?.reply.stop_reason {
        StopReason::Cancelled => Err(Failure::Interrupted),
        StopReason::Length => {
            note::hint("(The reply ends at its limit of tokens; --max-tokens raises it.)");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// All of standard input, without the newline at its end.
fn from_stdin() -> Result<String, Failure> {
    if stdin().is_terminal() {
        note::hint("Type the message; Ctrl-D on a line of its own ends it.");
    }
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes).map_err(|error| {
        Failure::Message(format!("standard input cannot be read: {error}; check where it comes from"))
    })?;
    text(bytes)
}

/// `bytes` as text, without the newline at its end.
pub fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::Message(format!("standard input is not UTF-8 (byte {at} of the message); convert it, e.g. with iconv"))
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
