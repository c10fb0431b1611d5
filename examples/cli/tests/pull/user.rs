//! Somebody who runs `qaio`, and what they read.

use crate::hub::{Asked, Hub, REPO, fixture};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const WEIGHTS: &str = "model.safetensors";

/// A user with a home of their own, who knows one hub.
pub struct User {
    pub home: TempDir,
    pub endpoint: String,
}

impl User {
    pub fn of(hub: &Hub) -> Self {
        Self { home: tempfile::tempdir().expect("a directory"), endpoint: hub.endpoint.clone() }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qaio"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("HF_ENDPOINT", &self.endpoint).env("QAIO_HOME", self.home.path()).env("HF_HOME", self.home.path());
        for name in ["HF_TOKEN", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("qaio runs")
    }

    /// Where the repository is kept.
    pub fn directory(&self) -> PathBuf {
        self.home.path().join("models").join(REPO)
    }

    pub fn part(&self) -> PathBuf {
        self.directory().join(format!("{WEIGHTS}.part"))
    }

    /// Starts a pull and waits until its partial file has `length` bytes.
    pub fn pull_until(&self, length: usize) -> Child {
        let child = self.command(&["pull", REPO]).spawn().expect("qaio runs");
        let start = Instant::now();
        while fs::metadata(self.part()).map_or(0, |metadata| metadata.len()) < length as u64 {
            assert!(start.elapsed() < Duration::from_secs(30), "nothing comes");
            sleep(Duration::from_millis(10));
        }
        child
    }
}

#[track_caller]
pub fn stdout(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

pub fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

/// The last line of a command that fails.
#[track_caller]
pub fn failure(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let line = stderr(output).lines().last().expect("a line");
    line.strip_prefix("qaio: ").unwrap_or_else(|| panic!("{line}"))
}

#[track_caller]
pub fn assert_says(output: &Output, parts: &[&str]) {
    let message = failure(output);
    for part in parts {
        assert!(message.contains(part), "{part}: {message}");
    }
}

pub fn object(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub fn of_weights(asked: Vec<Asked>) -> Vec<Asked> {
    asked.into_iter().filter(|request| request.path.ends_with(WEIGHTS)).collect()
}

#[track_caller]
pub fn assert_weights(path: &Path) {
    assert!(fs::read(path).expect("the weights") == fixture("qwen2-tiny")[WEIGHTS], "other bytes");
}
