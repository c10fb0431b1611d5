//! `qaio chat`: a conversation, on a terminal or line by line.

use crate::args::{Args, ReplyArgs};
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::speaker::{self, Speaker};
use crate::{load, note, turn};
use qaio::{ReplyOptions, Session, SessionOptions, StopReason};
use serde_json::json;
use std::io::{BufRead, IsTerminal, stderr, stdin};

const EXAMPLES: &str = "\
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

const HELP: &str = "\
/reset  forget the conversation
/help   this list
/exit   leave; so does Ctrl-D
Ctrl-C  stop the reply that is coming; at the prompt: leave";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ChatArgs {
    /// The assistant's instructions in place of the built-in ones
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,

    #[command(flatten)]
    pub reply: ReplyArgs,
}

pub fn run(args: &Args, chat: &ChatArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    let options = chat.reply.options(true)?;
    let model = load::model(&args.model, interrupts)?;
    let session = Session::new(model, &SessionOptions { system: chat.system.clone() })?;
    let interactive = stdin().is_terminal() && stderr().is_terminal();
    Chat { session, options, interrupts, json: args.json, interactive }.run()
}

struct Chat<'a> {
    session: Session,
    options: ReplyOptions,
    interrupts: &'a Interrupts,
    json: bool,
    interactive: bool,
}

/// What a line asks for.
enum Line<'a> {
    Nothing,
    Help,
    Reset,
    Exit,
    Unknown(&'a str),
    Message(&'a str),
}

impl Chat<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        if self.interactive {
            note::hint("Say something. /help lists the commands, Ctrl-D leaves.");
        }
        let mut all_went_well = true;
        while let Some(bytes) = self.read_line()? {
            let outcome = turn::text(bytes).and_then(|line| match parse(&line) {
                Line::Nothing => Ok(false),
                Line::Help => {
                    note::hint(HELP);
                    Ok(false)
                }
                Line::Reset => {
                    self.session.reset();
                    note::hint("(The conversation is forgotten.)");
                    Ok(false)
                }
                Line::Exit => Ok(true),
                Line::Unknown(name) => Err(Failure::Message(format!(
                    "{name} is no command; use /reset, /help or /exit, or say it in words"
                ))),
                Line::Message(text) => self.say(text).map(|()| false),
            });
            match outcome {
                Ok(true) => break,
                Ok(false) => {}
                Err(failure @ Failure::Output(_)) => return Err(failure),
                Err(failure) => {
                    self.tell(&failure)?;
                    all_went_well = false;
                }
            }
        }
        // On a terminal the failures have been seen and dealt with.
        if all_went_well || self.interactive { Ok(()) } else { Err(Failure::Reported) }
    }

    /// The next line, newline included; none at the end.
    fn read_line(&self) -> Result<Option<Vec<u8>>, Failure> {
        if self.interactive {
            note::prompt();
        }
        let mut line = Vec::new();
        let length = stdin().lock().read_until(b'\n', &mut line).map_err(|error| {
            Failure::Message(format!("standard input cannot be read: {error}; check where it comes from"))
        })?;
        if length == 0 && self.interactive {
            note::end_line();
        }
        Ok((length > 0).then_some(line))
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        let speaker = Speaker::new(self.json);
        let result = self.interrupts.during(|cancel| {
            let on_sentiment = &mut |sentiment: &_| speaker.sentiment(sentiment);
            self.session.send(text, &self.options, Some(cancel), on_sentiment, &mut |piece| speaker.piece(piece))
        });
        match speaker.end(result) {
            Ok(turn) => {
                match turn.reply.stop_reason {
                    StopReason::Cancelled => note::hint("(Stopped. Ctrl-C again leaves.)"),
                    StopReason::Length => {
                        note::hint("(The reply ends at its limit of tokens; --max-tokens raises it.)")
                    }
                    _ => {}
                }
                Ok(())
            }
            Err(Failure::Interrupted) => {
                note::end_line();
                let message = "stopped before the reply began; the message is not part of the conversation";
                Err(Failure::Message(message.to_owned()))
            }
            Err(failure) => Err(failure),
        }
    }

    /// A failure that the conversation survives.
    fn tell(&self, failure: &Failure) -> Result<(), Failure> {
        failure.report();
        if self.json {
            let error = json!({"error": failure.message()});
            speaker::write(&format!("{error}\n")).map_err(Failure::Output)?;
        }
        Ok(())
    }
}

fn parse(line: &str) -> Line<'_> {
    match line.trim() {
        "" => Line::Nothing,
        "/help" => Line::Help,
        "/reset" => Line::Reset,
        "/exit" => Line::Exit,
        word if word.strip_prefix('/').is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphabetic())) => {
            Line::Unknown(word)
        }
        _ => Line::Message(line),
    }
}
