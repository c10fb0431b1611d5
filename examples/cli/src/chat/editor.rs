//! The line that a message is typed into on a terminal: editing, history, completion.
//!
//! It talks to the terminal itself, never to standard output, which may be a file.

use super::command::{NAMES, SAVE};
use super::history;
use crate::failure::Failure;
use crate::note;
use anstyle::Style;
use rustyline::completion::{Completer, FilenameCompleter, Pair, unescape};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{
    Behavior, Cmd, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext, EventHandler,
    Helper, KeyCode, KeyEvent, Modifiers, Movement, RepeatCount,
};
use std::path::PathBuf;

const BOLD: Style = Style::new().bold();
/// What the completion of file names puts before a space.
const ESCAPE: Option<char> = if cfg!(windows) { None } else { Some('\\') };

/// Reads messages from the terminal.
pub struct LineEditor {
    editor: Editor<Completions, FileHistory>,
    /// Where the history is kept, if it is.
    history: Option<PathBuf>,
}

/// What came of reading.
pub enum Input {
    Line(String),
    /// Ctrl-C on an empty line.
    Interrupted,
    /// Ctrl-D on an empty line.
    End,
}

impl LineEditor {
    /// None if the terminal is too simple to edit on.
    pub fn new(keep_history: bool) -> Option<Self> {
        let simple = std::env::var("TERM").is_ok_and(|name| ["dumb", "cons25", "emacs"].contains(&name.as_str()));
        if simple {
            return None;
        }
        let config = Config::builder()
            .behavior(Behavior::PreferTerm)
            .completion_type(CompletionType::List)
            .max_history_size(history::MOST)
            .ok()?
            .build();
        let mut editor = Editor::with_config(config).ok()?;
        editor.set_helper(Some(Completions(FilenameCompleter::new())));
        editor.bind_sequence(KeyEvent::ctrl('C'), EventHandler::Conditional(Box::new(ClearLine)));
        editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), EventHandler::Simple(Cmd::Newline));
        let mut line_editor = Self { editor, history: None };
        if keep_history && let Some(path) = history::path() {
            line_editor.load(path);
        }
        Some(line_editor)
    }

    pub fn read(&mut self) -> Result<Input, Failure> {
        note::end_line();
        match self.editor.readline(&("> ", format!("{BOLD}>{BOLD:#} "))) {
            Ok(line) => {
                self.remember(&line);
                Ok(Input::Line(line))
            }
            Err(ReadlineError::Interrupted) => Ok(Input::Interrupted),
            Err(ReadlineError::Eof) => Ok(Input::End),
            Err(error) => {
                Err(Failure::Message(format!("the terminal cannot be read: {error}; pipe the messages in instead")))
            }
        }
    }

    fn load(&mut self, path: PathBuf) {
        match self.editor.load_history(&path) {
            Err(ReadlineError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => self.history = Some(path),
            Err(error) => unkept(&path, &error),
            Ok(()) => self.history = Some(path),
        }
    }

    /// Written at once: the process may be ended in the middle of a reply.
    fn remember(&mut self, line: &str) {
        if line.trim().is_empty() || !self.editor.add_history_entry(line).unwrap_or(false) {
            return;
        }
        let Some(path) = &self.history else { return };
        let written = history::make_room(path).map_err(ReadlineError::from);
        if let Err(error) = written.and_then(|()| self.editor.append_history(path)) {
            unkept(path, &error);
            self.history = None;
        }
    }
}

fn unkept(path: &std::path::Path, error: &ReadlineError) {
    note::hint(&format!("(No history is kept: {}: {error}. --no-history says nothing of it.)", path.display()));
}

/// Ctrl-C clears a begun line; on an empty one it does what it does by default.
struct ClearLine;

impl ConditionalEventHandler for ClearLine {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        (!context.line().is_empty()).then_some(Cmd::Kill(Movement::WholeBuffer))
    }
}

/// Completes commands, and the file name of /save.
struct Completions(FilenameCompleter);

impl Completer for Completions {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        if line.starts_with(SAVE) && position >= SAVE.len() {
            let (start, mut found) = self.0.complete(line, position, context)?;
            // The name goes on to the end of the line, so its spaces stand for themselves.
            for pair in &mut found {
                pair.replacement = unescape(&pair.replacement, ESCAPE).into_owned();
            }
            return Ok((start, found));
        }
        let begun = &line[..position];
        let fitting = NAMES.iter().filter(|name| begun.starts_with('/') && name.starts_with(begun));
        let pair = |name: &&str| Pair { display: name.trim_end().to_owned(), replacement: (*name).to_owned() };
        Ok((0, fitting.map(pair).collect()))
    }
}

impl Hinter for Completions {
    type Hint = String;
}

impl Highlighter for Completions {}
impl Validator for Completions {}
impl Helper for Completions {}
