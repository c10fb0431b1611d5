//! `qaio chat`: a conversation, on a terminal or line by line.

mod command;
mod editor;
mod history;
mod save;

use crate::args::{Args, ReplyArgs};
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::speaker::{self, Speaker};
use crate::{load, note, turn};
use command::{HELP, Line, parse};
use editor::{Input, LineEditor};
use qaio::{ReplyOptions, Session, SessionOptions, StopReason};
use serde_json::json;
use std::io::{BufRead, IsTerminal, stderr, stdin};

const EXAMPLES: &str = "\
Examples:
  qaio chat
  qaio chat --system \"You are a calm travel agent. Answer in one sentence.\"
  qaio chat --json < messages.txt > answers.jsonl

Commands:
  /reset      forget the conversation
  /save FILE  write the conversation to a new file, as JSON
  /help       the list of commands
  /exit       leave; so does Ctrl-D

Keys on a terminal:
  Up, Down    earlier messages; they are kept in $XDG_STATE_HOME/qaio/history, or else in
              ~/.local/state/qaio/history
  Ctrl-R      search them
  Tab         complete a command
  Alt-Enter   a new line in the message; pasted text keeps its own
  Ctrl-C      stop the reply that is coming, and keep the conversation; at the prompt: clear the
              line, and leave if there is none

  A conversation that no longer fits into the model's context forgets its oldest messages.

Without a terminal, each line of standard input is a message and there is no prompt. With --json each message gets one
line of standard output: {\"sentiment\": {…}, \"reply\": {…}}, or {\"error\": \"…\"} (then the exit code is 1 in the end).";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ChatArgs {
    /// The assistant's instructions in place of the built-in ones
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,

    /// Neither read nor keep the history of messages
    #[arg(long)]
    pub no_history: bool,

    #[command(flatten)]
    pub reply: ReplyArgs,
}

pub fn run(args: &Args, chat: &ChatArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    let options = chat.reply.options(true)?;
    let model = load::model(&args.model, interrupts)?;
    let session = Session::new(model, &SessionOptions { system: chat.system.clone() })?;
    let interactive = stdin().is_terminal() && stderr().is_terminal();
    let editor = if interactive { LineEditor::new(!chat.no_history) } else { None };
    Chat { session, options, interrupts, json: args.json, interactive, editor }.run()
}

struct Chat<'a> {
    session: Session,
    options: ReplyOptions,
    interrupts: &'a Interrupts,
    json: bool,
    interactive: bool,
    /// None without a terminal, and on one that is too simple.
    editor: Option<LineEditor>,
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
                Line::Save(name) => save::save(&self.session, name).map(|path| {
                    note::hint(&format!("(Saved as {}.)", path.display()));
                    false
                }),
                Line::Exit => Ok(true),
                Line::Unknown(name) => Err(Failure::Message(format!(
                    "{name} is no command; use /reset, /save, /help or /exit, or say it in words"
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

    /// The next line; none at the end.
    fn read_line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(editor) = &mut self.editor else { return self.read_plain_line() };
        loop {
            match editor.read()? {
                Input::Line(line) => return Ok(Some(line.into_bytes())),
                Input::End => return Ok(None),
                // Meant for a reply that ended just before. Before the first there was only the loading.
                Input::Interrupted if !self.session.history().is_empty() && self.interrupts.is_too_late() => {}
                Input::Interrupted => return Err(Failure::Interrupted),
            }
        }
    }

    /// The next line of standard input as it is, newline included.
    fn read_plain_line(&self) -> Result<Option<Vec<u8>>, Failure> {
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
