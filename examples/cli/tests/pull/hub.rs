//! An imitation of a hub on a loopback port, which keeps a record of what it was asked and can be made to misbehave.

use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

pub const REPO: &str = "owner/name";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How it behaves; may be changed while it runs.
#[derive(Clone, Default)]
pub struct Manners {
    pub files: BTreeMap<String, Vec<u8>>,
    /// The checksums that are told of other bytes than are sent.
    pub told: BTreeMap<String, Vec<u8>>,
    /// Sends this many bytes of a large file, then closes the connection, this many times.
    pub cut: Option<(usize, usize)>,
    /// Sends this many bytes of a large file, then nothing.
    pub stall: Option<usize>,
    /// Large files are not served but in another place, as a hub does.
    pub redirect: bool,
    /// Sends whole files whatever range was asked for.
    pub no_ranges: bool,
    /// The listing has names only; sizes and checksums are in the headers of the files.
    pub bare_listing: bool,
    /// Answers everything but the listing with this status and error code.
    pub refuse_files: Option<(u16, &'static str)>,
    /// Answers everything with this status and error code, this many times.
    pub refuse: Option<(u16, &'static str, usize)>,
}

/// A request, and how much of a file it got.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub range: Option<String>,
    pub token: Option<String>,
    pub sent: usize,
}

pub struct Hub {
    pub endpoint: String,
    manners: Arc<Mutex<Manners>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Hub {
    pub fn new(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let hub = Self { endpoint, manners: Arc::new(Mutex::new(manners)), asked: Arc::default() };
        let (manners, asked) = (hub.manners.clone(), hub.asked.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (manners, asked) = (manners.clone(), asked.clone());
                // A client that goes away is nothing to fail for.
                thread::spawn(move || drop(answer(stream, &manners, &asked)));
            }
        });
        hub
    }

    /// One whose repository is the files of a fixture.
    pub fn of_fixture(name: &str) -> Self {
        Self::new(Manners { files: fixture(name), ..Manners::default() })
    }

    pub fn manners(&self) -> MutexGuard<'_, Manners> {
        self.manners.lock().expect("no panic")
    }

    /// What it was asked for since the last time.
    pub fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }
}

/// The files of a fixture, and some that nobody should fetch.
pub fn fixture(name: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = format!("{}/../../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(directory).expect("the fixture").map(|entry| {
        let entry = entry.expect("a file");
        (entry.file_name().into_string().expect("UTF-8"), std::fs::read(entry.path()).expect("it can be read"))
    });
    let others = ["README.md", "pytorch_model.bin", "onnx/model.safetensors"];
    files.chain(others.map(|name| (name.to_owned(), b"not for qaio".to_vec()))).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn blob(bytes: &[u8]) -> String {
    let header = format!("blob {}\0", bytes.len());
    hex(&Sha1::digest([header.as_bytes(), bytes].concat()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".gguf")
}

fn answer(mut stream: TcpStream, manners: &Mutex<Manners>, asked: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Asked { method, path, range: None, token: None, sent: 0 };
    for line in lines {
        let line = line?;
        match line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())) {
            Some((name, value)) if name == "range" => request.range = Some(value),
            Some((name, value)) if name == "authorization" => request.token = Some(value),
            Some(_) => {}
            None => break,
        }
    }
    let number = {
        let mut asked = asked.lock().expect("no panic");
        asked.push(request.clone());
        asked.len() - 1
    };
    let now = manners.lock().expect("no panic").clone();
    if let Some((status, code, times)) = now.refuse.filter(|(_, _, times)| *times > 0) {
        manners.lock().expect("no panic").refuse = Some((status, code, times - 1));
        return head(&mut stream, status, &[("X-Error-Code", code)], 0);
    }
    let listing = format!("/api/models/{REPO}/revision/");
    if let Some(revision) = request.path.strip_prefix(&listing) {
        let revision = revision.split('?').next().unwrap_or_default();
        return match ["main", "refs%2Fpr%2F1", COMMIT].contains(&revision) {
            true => {
                let body = list(&now).to_string();
                head(&mut stream, 200, &[("Content-Type", "application/json")], body.len())?;
                stream.write_all(body.as_bytes())
            }
            false => head(&mut stream, 404, &[("X-Error-Code", "RevisionNotFound")], 0),
        };
    }
    let resolve = format!("/{REPO}/resolve/{COMMIT}/");
    let (name, stored) = match (request.path.strip_prefix(&resolve), request.path.strip_prefix("/store/")) {
        (Some(name), _) => (name, false),
        (None, Some(name)) => (name, true),
        (None, None) => return head(&mut stream, 404, &[("X-Error-Code", "RepoNotFound")], 0),
    };
    if let Some((status, code)) = now.refuse_files {
        return head(&mut stream, status, &[("X-Error-Code", code)], 0);
    }
    let Some(bytes) = now.files.get(name) else {
        return head(&mut stream, 404, &[("X-Error-Code", "EntryNotFound")], 0);
    };
    let told = now.told.get(name).unwrap_or(bytes);
    let etag = if is_large(name) { sha256(told) } else { blob(told) };
    let (etag, size) = (format!("\"{etag}\""), bytes.len().to_string());
    if is_large(name) && now.redirect && !stored {
        let port = stream.local_addr()?.port();
        let place = format!("http://localhost:{port}/store/{name}");
        let headers =
            [("Location", &*place), ("X-Linked-Etag", &*etag), ("X-Linked-Size", &*size), ("X-Repo-Commit", COMMIT)];
        return head(&mut stream, 302, &headers, 0);
    }
    let from = request.range.as_ref().filter(|_| !now.no_ranges);
    let from = from.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let body = &bytes[from.unwrap_or(0)..];
    let etag = if stored { "\"of the store\"" } else { &*etag };
    let mut headers = vec![("ETag", etag), ("X-Repo-Commit", COMMIT)];
    let range = format!("bytes {}-{}/{size}", from.unwrap_or(0), bytes.len().saturating_sub(1));
    if from.is_some() {
        headers.push(("Content-Range", &range));
    }
    head(&mut stream, if from.is_some() { 206 } else { 200 }, &headers, body.len())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let cut = now.cut.filter(|(_, times)| is_large(name) && *times > 0);
    if let Some((after, times)) = cut {
        manners.lock().expect("no panic").cut = Some((after, times - 1));
    }
    let stall = now.stall.filter(|_| is_large(name));
    let sent = body.len().min(cut.map_or(usize::MAX, |(after, _)| after)).min(stall.unwrap_or(usize::MAX));
    asked.lock().expect("no panic")[number].sent = sent;
    stream.write_all(&body[..sent])?;
    if stall.is_some() {
        thread::sleep(Duration::from_secs(60));
    }
    Ok(())
}

fn list(manners: &Manners) -> Value {
    let siblings = manners.files.iter().map(|(name, bytes)| {
        let told = manners.told.get(name).unwrap_or(bytes);
        match (manners.bare_listing, is_large(name)) {
            (true, _) => json!({ "rfilename": name }),
            (false, true) => json!({
                "rfilename": name,
                "size": bytes.len(),
                "blobId": blob(b"a pointer"),
                "lfs": { "sha256": sha256(told), "size": bytes.len(), "pointerSize": 9 },
            }),
            (false, false) => json!({ "rfilename": name, "size": bytes.len(), "blobId": blob(told) }),
        }
    });
    json!({ "id": REPO, "sha": COMMIT, "siblings": siblings.collect::<Vec<_>>() })
}

fn head(stream: &mut TcpStream, status: u16, headers: &[(&str, &str)], length: usize) -> std::io::Result<()> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n")
}
