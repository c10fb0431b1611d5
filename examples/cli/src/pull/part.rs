//! A file that is on its way: `NAME.part` beside its place, until it is complete and right.

use super::checksum::{Checksum, Digest};
use super::hub::RemoteFile;
use crate::failure::Failure;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

pub const EXTENSION: &str = ".part";

/// A partial file, held by this process alone.
pub struct Part {
    path: PathBuf,
    file: File,
    size: u64,
    expected: Option<Checksum>,
    length: u64,
    digest: Digest,
}

impl Part {
    /// The partial file of `target`, with what an earlier run left in it; None if another process has just completed it.
    pub fn open(target: &Path, file: &RemoteFile, size: u64) -> Result<Option<Self>, Failure> {
        let mut path = target.as_os_str().to_owned();
        path.push(EXTENSION);
        let path = PathBuf::from(path);
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let opened = opened.map_err(|error| failure(&error, &path))?;
        match opened.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Message(format!(
                    "another qaio is fetching {}; wait until it is done",
                    target.display()
                )));
            }
            // Where files cannot be locked, one has to take care oneself.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        if !path.exists() {
            return Ok(None);
        }
        let expected = file.checksum.clone();
        let digest = Digest::new(size, expected.as_ref());
        let mut part = Self { path, file: opened, size, expected, length: 0, digest };
        match part.file.metadata().map_err(|error| part.failure(&error))?.len() {
            length if length <= size => {
                part.length = part.digest.read((&part.file).take(length)).map_err(|error| part.failure(&error))?;
            }
            _ => part.restart()?,
        }
        Ok(Some(part))
    }

    /// The bytes that it has.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| self.failure(&error))?;
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets all bytes.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|error| self.failure(&error))?;
        self.length = 0;
        self.digest = Digest::new(self.size, self.expected.as_ref());
        Ok(())
    }

    /// What is wrong with it, if anything is: what was expected, and what was found.
    pub fn fault(&self) -> Option<(String, String)> {
        if self.length != self.size {
            return Some((format!("{} bytes", self.size), "more".to_owned()));
        }
        let (expected, found) = (self.expected.as_ref()?, self.digest.checksum());
        (found != *expected).then(|| (expected.to_string(), found.to_string()))
    }

    /// Puts it where it belongs, and gives its SHA-256.
    pub fn keep(self, target: &Path) -> Result<String, Failure> {
        // A name must not appear before its bytes are safe.
        self.file.sync_all().map_err(|error| self.failure(&error))?;
        fs::rename(&self.path, target).map_err(|error| failure(&error, target))?;
        Ok(self.digest.sha256())
    }

    pub fn discard(self) {
        // If it stays, the next run finds out again that it is wrong.
        let _ = fs::remove_file(&self.path);
    }

    fn failure(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Failure::Message(format!(
                "no space is left for {}: it needs {} more bytes; make room, or choose another disk with --to or \
                 QAIO_HOME, and run the same command again, which goes on from here",
                self.path.display(),
                self.size.saturating_sub(self.length)
            )),
            _ => failure(error, &self.path),
        }
    }
}

/// A file or directory that cannot be written.
pub fn failure(error: &io::Error, path: &Path) -> Failure {
    Failure::Message(format!(
        "{} cannot be written: {error}; choose another place with --to or QAIO_HOME",
        path.display()
    ))
}
