//! The built binary, as a shell starts it, in a directory of its own.

use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::{env, fs};
use tempfile::TempDir;

/// A model of noise, which is fast.
pub const NOISE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/qwen2-tiny");

/// A directory with files.
pub struct Shell(TempDir);

impl Shell {
    pub fn new() -> Self {
        Self(TempDir::new().expect("there is room for temporary files"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// With a file.
    pub fn with(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), bytes).expect("it can be written");
        self
    }

    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names of the files that are there, sorted.
    pub fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.0.path()).expect("it can be listed");
        let mut names: Vec<_> =
            files.map(|file| file.expect("it can be listed").file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qaio"));
        command.args(arguments).current_dir(self.0.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().expect("qaio runs")
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("qaio runs")
    }

    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("qaio runs");
        // It may end without reading all of it.
        let _ = child.stdin.take().expect("it is piped").write_all(input);
        child.wait_with_output().expect("qaio ends")
    }

    /// Standard output of a command that goes well.
    #[track_caller]
    pub fn out(&self, arguments: &[&str]) -> String {
        good(&self.run(arguments))
    }

    /// The JSON that a command prints that goes well.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        object(&self.out(arguments))
    }

    /// The last line on standard error of a command that fails with `code`.
    #[track_caller]
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        failure(&self.run(arguments), code)
    }
}

#[track_caller]
pub fn good(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

#[track_caller]
pub fn failure(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let errors = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    errors.lines().last().unwrap_or_default().to_owned()
}

#[track_caller]
pub fn object(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
