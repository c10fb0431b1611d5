//! `qaio turn`: sentiment and reply for one message.

use crate::args::{Args, TurnArgs};
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::speaker::Speaker;
use crate::{load, note};
use qaio::StopReason;
use std::io::{IsTerminal, Read, stdin};

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
