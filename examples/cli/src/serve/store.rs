//! Conversations on disk, so that a server that ends, however it ends, loses none.
//!
//! A conversation is a file of JSON lines: its instructions, then one line per exchange, added when it is complete. A last line that
//! is not whole (the process was killed while it wrote) is left out when the file is read.

use qaio::{Exchange, SessionOptions};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// Conversations that nobody has continued for so long are deleted when the server starts.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A folder of conversations.
pub struct Store {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Head {
    system: Option<String>,
}

impl Store {
    /// Opens the folder, makes it if need be, and forgets what is old.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        make_private(&folder)?;
        let store = Self { folder };
        store.forget_old();
        Ok(store)
    }

    /// A conversation that was kept; none if there is no such one.
    pub fn read(&self, id: Uuid) -> io::Result<Option<(SessionOptions, Vec<Exchange>)>> {
        let text = match fs::read(self.path(id)) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let Some(head) = lines.next().and_then(|line| serde_json::from_str::<Head>(line).ok()) else { return Ok(None) };
        let exchanges = lines.map_while(|line| serde_json::from_str(line).ok()).collect();
        Ok(Some((SessionOptions { system: head.system }, exchanges)))
    }

    /// Keeps a conversation as a whole.
    pub fn write(&self, id: Uuid, options: &SessionOptions, exchanges: &[Exchange]) -> io::Result<()> {
        let mut text = line(&Head { system: options.system.clone() })?;
        for exchange in exchanges {
            text += &line(exchange)?;
        }
        let part = self.folder.join(format!("{id}.part"));
        private(OpenOptions::new().create(true).write(true).truncate(true)).open(&part)?.write_all(text.as_bytes())?;
        fs::rename(part, self.path(id))
    }

    /// Adds an exchange to a conversation.
    pub fn add(&self, id: Uuid, exchange: &Exchange) -> io::Result<()> {
        let mut file: File = private(OpenOptions::new().append(true)).open(self.path(id))?;
        file.write_all(line(exchange)?.as_bytes())
    }

    /// Deletes a conversation.
    pub fn delete(&self, id: Uuid) -> io::Result<()> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.folder.join(format!("{id}.jsonl"))
    }

    /// Nothing is lost if this fails, so it fails silently.
    fn forget_old(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let ours =
                name.to_str().and_then(|name| name.split('.').next()).is_some_and(|id| Uuid::parse_str(id).is_ok());
            let modified =
                entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or_else(|_| SystemTime::now());
            if ours && modified.elapsed().is_ok_and(|age| age > KEPT) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn line(value: &impl Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

#[cfg(unix)]
fn make_private(folder: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &std::path::Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}
