//! `qaio quantize` as a shell sees it: what it writes, that it loads, and what it refuses.

mod checkpoint;
mod damage;
mod gguf;
mod interruption;
mod metadata;
mod refusals;
mod replies;
mod weights;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A file or directory among the library's fixtures.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qaio"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("qaio runs")
}

/// Runs `qaio quantize INPUT OUTPUT --to TO …`.
fn quantize(input: &Path, output: &Path, to: &str, more: &[&str]) -> Output {
    run(&[&["quantize", text(input), text(output), "--to", to], more].concat())
}

/// As [`quantize`], and it must succeed. Gives what it said on standard output and standard error.
#[track_caller]
fn quantized(input: &Path, output: &Path, to: &str, more: &[&str]) -> (String, String) {
    let result = quantize(input, output, to, more);
    assert_eq!(result.status.code(), Some(0), "{result:?}");
    assert!(!part(output).exists(), "{}", output.display());
    (utf8(result.stdout), utf8(result.stderr))
}

/// What a command that must succeed prints.
#[track_caller]
fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    utf8(output.stdout)
}

/// The one line on standard error of a command that failed with `code` and printed nothing.
#[track_caller]
fn failure(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let message = utf8(output.stderr.clone());
    assert!(message.starts_with("qaio: ") && message.lines().count() == 1, "{message}");
    message
}

/// The name of a file that is not complete.
fn part(output: &Path) -> PathBuf {
    PathBuf::from(format!("{}.part", output.display()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}
