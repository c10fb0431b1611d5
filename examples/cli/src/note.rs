//! Words for people, on standard error. Standard output carries results only.
//!
//! A standard error that cannot be written is no reason to fail, so nothing here can.

use anstyle::{AnsiColor, Style};
use std::io::{IsTerminal, Write, stderr};

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();

/// What went wrong, in one line.
pub fn error(message: &str) {
    let message = message.replace(['\n', '\r'], " ");
    let _ = writeln!(anstream::stderr(), "{RED}qaio:{RED:#} {message}");
}

/// Something good to know, if somebody is watching.
pub fn hint(message: &str) {
    if stderr().is_terminal() {
        let _ = writeln!(anstream::stderr(), "{DIM}{message}{DIM:#}");
    }
}

/// Asks for a message.
pub fn prompt() {
    let _ = write!(anstream::stderr(), "\n{BOLD}>{BOLD:#} ");
    let _ = stderr().flush();
}

/// Leaves the line that the cursor is in, if somebody is watching.
pub fn end_line() {
    if stderr().is_terminal() {
        let _ = writeln!(stderr());
    }
}
