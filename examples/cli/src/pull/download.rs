//! Fetches the files of a repository, each from where the last try ended, and checks each.

use super::checksum::{Checksum, Digest};
use super::hub::{Hub, Listing, RemoteFile, Request};
use super::name::RepoName;
use super::part::{self, Part};
use super::progress::{Bar, Progress};
use super::trouble::{Patience, Trouble, reason};
use crate::failure::Failure;
use crate::note;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Where to fetch from, and where to.
pub struct Download {
    pub hub: Hub,
    pub repo: RepoName,
    pub revision: String,
    pub directory: PathBuf,
}

/// A file that is there and right.
#[derive(Serialize)]
pub struct Fetched {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
    /// Whether it came now; otherwise it was there already.
    pub fetched: bool,
}

impl Download {
    /// What the repository has.
    pub fn listing(&self) -> Result<Listing, Failure> {
        let request = self.hub.request(&self.repo, &self.revision, None);
        patiently(&mut Patience::new(false), &request, || self.hub.listing(&request))
    }

    /// Sees to it that `file` is in the directory.
    pub fn fetch(&self, mut file: RemoteFile, commit: &str, progress: &Progress) -> Result<Fetched, Failure> {
        let request = self.hub.request(&self.repo, &self.revision, Some(&file.name));
        patiently(&mut Patience::new(true), &request, || self.hub.complete(&mut file, commit, &request))?;
        let Some(bytes) = file.size else {
            return Err(Failure::Message(format!(
                "{} does not say how long {request} is; check that HF_ENDPOINT is the address of a hub",
                request.endpoint
            )));
        };
        let target = self.directory.join(&file.name);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(|error| part::failure(&error, parent))?;
        }
        let bar = progress.file(&file.name, bytes);
        let mut part = loop {
            if let Some(sha256) = present(&target, &file, bytes)? {
                bar.done("is there already");
                return Ok(Fetched { name: file.name, bytes, sha256, fetched: false });
            }
            if let Some(part) = Part::open(&target, &file, bytes)? {
                break part;
            }
        };
        // What an earlier run left may be of another revision; then it is not the hub's fault.
        let mut left_over = part.length() > 0;
        loop {
            self.fill(&mut part, &file, commit, &request, &bar)?;
            match part.fault() {
                None => break,
                Some(_) if left_over => {
                    left_over = false;
                    part.restart()?;
                }
                Some((expected, found)) => {
                    part.discard();
                    return Err(Failure::Message(format!(
                        "{request} came damaged: expected {expected}, found {found}; it was deleted, so run the same \
                         command again, and if it fails again, do not trust {}",
                        request.endpoint
                    )));
                }
            }
        }
        let sha256 = part.keep(&target)?;
        bar.done("fetched");
        Ok(Fetched { name: file.name, bytes, sha256, fetched: true })
    }

    /// Fetches what is missing of `part`.
    fn fill(
        &self,
        part: &mut Part,
        file: &RemoteFile,
        commit: &str,
        request: &Request,
        bar: &Bar,
    ) -> Result<(), Failure> {
        let size = file.size.unwrap_or_default();
        let mut patience = Patience::new(true);
        while part.length() < size {
            let before = part.length();
            let result = self.stream(part, file, size, commit, request, bar);
            if part.length() > before {
                patience.renew();
            }
            if let Err(trouble) = result {
                patience.wait(trouble, |why| bar.say(why)).map_err(|trouble| trouble.into_failure(request))?;
            }
        }
        Ok(())
    }

    /// One connection's worth of `part`.
    fn stream(
        &self,
        part: &mut Part,
        file: &RemoteFile,
        size: u64,
        commit: &str,
        request: &Request,
        bar: &Bar,
    ) -> Result<(), Trouble> {
        let stream = self.hub.open(file, commit, part.length(), request)?;
        if stream.from != part.length() {
            part.restart()?;
        }
        bar.start(part.length());
        bar.say("");
        let mut reader = stream.body.into_reader();
        let mut buffer = vec![0; 1 << 17];
        while part.length() < size {
            match reader.read(&mut buffer) {
                Ok(0) => {
                    let why = format!("the connection ended after {} of {size} bytes", part.length());
                    return Err(Trouble::Passing { why, wait: None });
                }
                Ok(count) => part.append(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let why =
                        format!("the connection broke after {} of {size} bytes: {}", part.length(), reason(&error));
                    return Err(Trouble::Passing { why, wait: None });
                }
            }
            bar.at(part.length());
        }
        Ok(())
    }
}

/// Tries until it works, or patience ends.
fn patiently<T>(
    patience: &mut Patience,
    request: &Request,
    mut attempt: impl FnMut() -> Result<T, Trouble>,
) -> Result<T, Failure> {
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(trouble) => {
                let say = |why: &str| note::hint(&format!("{}: {why}", request.endpoint));
                patience.wait(trouble, say).map_err(|trouble| trouble.into_failure(request))?;
            }
        }
    }
}

/// The SHA-256 of what is at `target`, if that is the file. Without a checksum of the hub's, its length has to do.
fn present(target: &Path, file: &RemoteFile, size: u64) -> Result<Option<String>, Failure> {
    if !fs::metadata(target).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size) {
        return Ok(None);
    }
    let mut digest = Digest::new(size, file.checksum.as_ref());
    let read = File::open(target).and_then(|content| digest.read(content));
    read.map_err(|error| Failure::Message(format!("{} cannot be read: {error}; delete it", target.display())))?;
    let right = |expected: &Checksum| digest.checksum() == *expected;
    Ok(file.checksum.as_ref().is_none_or(right).then(|| digest.sha256()))
}
