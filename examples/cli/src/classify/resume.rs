//! The unfinished output of a run, from which the same run goes on.
//!
//! `OUT.part` holds the rows, `OUT.part.json` how many of them are whole. The state is written after the rows, and
//! replaced at once, so that whatever ends the process leaves a state that is true.

use super::summary::Tally;
use crate::failure::Failure;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What makes another run the same one.
    pub identity: Value,
    /// Bytes of the rows that are whole.
    pub bytes: u64,
    /// Recognises the input's rows that are done.
    pub fingerprint: String,
    pub tally: Tally,
}

/// The rows of an unfinished run.
pub struct Part {
    out: PathBuf,
    path: PathBuf,
    file: File,
    pub state: State,
}

impl Part {
    /// Opens what an earlier run of this `identity` has left, or begins with `fresh`.
    ///
    /// # Errors
    /// When another run has left something, and it is not to be overwritten by `force`.
    pub fn open(out: &Path, fresh: State, force: bool) -> Result<Self, Failure> {
        let path = beside(out, ".part");
        let left = match path.exists() {
            true => read(&path, &fresh.identity),
            false => Ok(None),
        };
        let left = match left {
            Err(reason) if !force => {
                return Err(Failure::Message(format!(
                    "{} {reason}; finish that run with its own command, or start over with --force",
                    path.display()
                )));
            }
            left => left.unwrap_or_default(),
        };
        let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let file = opened.map_err(|error| unwritable(&path, &error))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let path = path.display();
            return Err(Failure::Message(format!("{path} is being written by another run; wait for it, or end it")));
        }
        let mut part = Self { out: out.to_owned(), path, file, state: left.unwrap_or(fresh) };
        part.settle().map_err(|error| unwritable(&part.path, &error))?;
        Ok(part)
    }

    /// Forgets what is there.
    pub fn start_over(&mut self, fresh: State) -> Result<(), Failure> {
        self.state = fresh;
        self.settle().map_err(|error| unwritable(&self.path, &error))
    }

    /// Cuts off what the state does not know.
    fn settle(&mut self) -> io::Result<()> {
        self.save()?;
        self.file.set_len(self.state.bytes)?;
        self.file.seek(SeekFrom::End(0)).map(drop)
    }

    /// Adds rows that are whole.
    pub fn append(&mut self, bytes: &[u8], fingerprint: String, tally: &Tally) -> Result<(), Failure> {
        self.state.bytes += bytes.len() as u64;
        self.state.fingerprint = fingerprint;
        self.state.tally = tally.clone();
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_data()).and_then(|()| self.save());
        written.map_err(|error| unwritable(&self.path, &error))
    }

    fn save(&self) -> io::Result<()> {
        let path = beside(&self.out, ".part.json");
        let next = beside(&self.out, ".part.json.new");
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec(&self.state)?)?;
        file.sync_data()?;
        fs::rename(next, path)
    }

    /// The rows, to be read.
    pub fn rows(&self) -> &Path {
        &self.path
    }

    /// Where to make an output of another form.
    pub fn converted(&self) -> PathBuf {
        beside(&self.out, ".part.new")
    }

    /// Makes `result` the output, and removes the rest.
    pub fn finish(self, result: &Path) -> Result<(), Failure> {
        fs::rename(result, &self.out).map_err(|error| unwritable(&self.out, &error))?;
        drop(self.file);
        for left in [self.path, beside(&self.out, ".part.json")] {
            match fs::remove_file(&left) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(&left, &error)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// # Errors
/// When `out` is there, and is not to be overwritten by `force`.
pub fn refuse(out: Option<&Path>, force: bool) -> Result<(), Failure> {
    match out.filter(|out| out.exists() && !force) {
        Some(out) => Err(Failure::Message(format!(
            "{} is there already; choose another file, or overwrite it with --force",
            out.display()
        ))),
        None => Ok(()),
    }
}

/// What the part at `path` is, or why it cannot be gone on with.
fn read(path: &Path, identity: &Value) -> Result<Option<State>, String> {
    let length =
        fs::metadata(path).map(|metadata| metadata.len()).map_err(|error| format!("cannot be read: {error}"))?;
    let mut state = path.as_os_str().to_owned();
    state.push(".json");
    if length == 0 && !Path::new(&state).exists() {
        // The process ended before it could write more.
        return Ok(None);
    }
    let state = fs::read(state).map_err(|_| "is there without its .json, which would say what it is of".to_owned())?;
    let state: State = serde_json::from_slice(&state).map_err(|_| "has a .json that cannot be read".to_owned())?;
    if let Some(what) = difference(&state.identity, identity) {
        return Err(format!("is of another run, which differs in its {what}"));
    }
    match length >= state.bytes {
        true => Ok(Some(state)),
        false => Err("is shorter than its .json says".to_owned()),
    }
}

/// The name of the first entry in which two objects differ.
fn difference<'a>(one: &'a Value, other: &'a Value) -> Option<&'a str> {
    match (one.as_object(), other.as_object()) {
        (Some(one), Some(other)) => {
            one.keys().chain(other.keys()).find(|key| one.get(*key) != other.get(*key)).map(String::as_str)
        }
        _ => Some("kind"),
    }
}

fn beside(out: &Path, extension: &str) -> PathBuf {
    let mut path = out.as_os_str().to_owned();
    path.push(extension);
    path.into()
}

/// The failure of a file that cannot be written.
pub fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::Message(format!(
        "{} cannot be written: {error}; check that its directory is there, and its permissions and room",
        path.display()
    ))
}
