//! A GGUF file that is written. It has another name until it is complete, and no name at all if it never is.

use crate::failure::Failure;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A file in the making.
pub struct Output {
    path: PathBuf,
    part: PathBuf,
    file: Option<BufWriter<File>>,
    written: u64,
    expected: u64,
}

impl Output {
    /// A file that will be called `path` and have `expected` bytes.
    pub fn create(path: &Path, expected: u64, force: bool) -> Result<Self, Failure> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let mut options = OpenOptions::new();
        options.write(true);
        match force {
            true => options.create(true).truncate(true),
            false => options.create_new(true),
        };
        match options.open(&part) {
            Ok(file) => {
                let file = Some(BufWriter::with_capacity(1 << 20, file));
                Ok(Self { path: path.to_owned(), part, file, written: 0, expected })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failure::Message(format!(
                "{} exists: another run writes it, or one was killed; remove it, or replace it with --force",
                part.display()
            ))),
            Err(error) => Err(unwritable(&part, &error)),
        }
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.written += bytes.len() as u64;
        let result = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        result.map_err(|error| self.incomplete(&error))
    }

    /// Zeros up to the next multiple of `alignment`.
    pub fn pad(&mut self, alignment: u64) -> Result<(), Failure> {
        let zeros = self.written.next_multiple_of(alignment) - self.written;
        self.write(&vec![0; zeros as usize])
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<u64, Failure> {
        let Some(file) = self.file.take() else { return Ok(self.written) };
        // On the disk before it has the name, so that a power cut leaves no half of it under that name.
        let complete = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        let named = complete.and_then(|()| fs::rename(&self.part, &self.path));
        named.map(|()| self.written).map_err(|error| {
            let _ = fs::remove_file(&self.part);
            self.incomplete(&error)
        })
    }

    fn incomplete(&self, error: &io::Error) -> Failure {
        let (part, expected) = (self.part.display(), self.expected);
        Failure::Message(format!("{part} cannot be written: {error} (it needs {expected} bytes in all)"))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // Closed first: some systems do not remove open files. What was not flushed is not wanted either.
            drop(file.into_parts());
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Whether `output` may be written.
pub fn check(output: &Path, force: bool) -> Result<(), Failure> {
    let shown = output.display();
    let refuse = |message: String| Err(Failure::Message(message));
    match fs::metadata(output) {
        Ok(metadata) if metadata.is_dir() => {
            return refuse(format!("{shown} is a directory; name a file in it, such as {shown}/model.gguf"));
        }
        Ok(_) if !force => {
            return refuse(format!("{shown} exists; replace it with --force, or name another file"));
        }
        Ok(metadata) if !metadata.is_file() || !is_gguf(output) => {
            return refuse(format!("{shown} is no GGUF file, and --force replaces only those; name another file"));
        }
        _ => {}
    }
    match output.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) if !parent.is_dir() => {
            let parent = parent.display();
            refuse(format!("{shown} cannot be written: {parent} is no directory; create it first"))
        }
        _ => Ok(()),
    }
}

fn is_gguf(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && &magic == b"GGUF"
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Message(format!("{} cannot be written: {error}; check the directory", path.display()))
}
