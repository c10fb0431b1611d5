//! Writes a conversation to a file.

use crate::failure::Failure;
use qaio::Session;
use std::env;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// As a JSON array of messages, into a file that does not exist yet. Returns its path.
pub fn save(session: &Session, name: &str) -> Result<PathBuf, Failure> {
    if name.is_empty() {
        return Err(Failure::Message("/save needs the name of a file, e.g. /save talk.json".to_owned()));
    }
    if session.history().is_empty() {
        return Err(Failure::Message("there is nothing to save yet; say something first".to_owned()));
    }
    let path = expanded(name);
    write(&path, &session.history_json()).map_err(|error| {
        let shown = path.display();
        Failure::Message(match error.kind() {
            ErrorKind::AlreadyExists => format!("{shown} exists and is not overwritten; choose another name"),
            _ => format!("{shown} cannot be written: {error}; choose another place"),
        })
    })?;
    Ok(path)
}

/// A message a line.
fn write(path: &Path, messages: &str) -> io::Result<()> {
    let messages: Vec<serde_json::Value> = serde_json::from_str(messages)?;
    let lines: Vec<String> = messages.iter().map(|message| format!("  {message}")).collect();
    let mut file = File::create_new(path)?;
    file.write_all(format!("[\n{}\n]\n", lines.join(",\n")).as_bytes())
}

/// `~/` is the home directory, as a shell has it.
fn expanded(name: &str) -> PathBuf {
    match (name.strip_prefix("~/"), env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(name),
    }
}
