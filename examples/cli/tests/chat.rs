//! `qaio chat`: saving a conversation, and the line editor on a terminal.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::tempdir;

fn chat(directory: &Path, input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qaio"));
    command.arg("chat").current_dir(directory).env("HOME", directory);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("qaio runs");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("qaio ends")
}

#[track_caller]
fn refused(output: &Output, part: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(message.starts_with("qaio: ") && message.contains(part), "{message}");
}

#[test]
fn save_writes_the_conversation_as_json() {
    let directory = tempdir().expect("a directory");
    let output = chat(directory.path(), "我很开心\n/save my talk.json\n/save ~/again.json\n");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = fs::read_to_string(directory.path().join("my talk.json")).expect("a file");
    let messages: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(messages[0]["role"], "user");
    assert_eq!(messages[0]["content"], "我很开心");
    assert_eq!(messages[1]["role"], "assistant");
    assert!(String::from_utf8_lossy(&output.stdout).contains(messages[1]["content"].as_str().expect("a text")));
    assert_eq!(fs::read_to_string(directory.path().join("again.json")).expect("a file"), text);
}

#[test]
fn save_refuses_what_it_cannot_do() {
    let directory = tempdir().expect("a directory");
    fs::write(directory.path().join("old.json"), "mine").expect("it writes");
    refused(&chat(directory.path(), "hello\n/save old.json\n"), "old.json exists");
    assert_eq!(fs::read_to_string(directory.path().join("old.json")).expect("a file"), "mine");
    refused(&chat(directory.path(), "hello\n/save\n"), "name of a file");
    refused(&chat(directory.path(), "/save new.json\n"), "nothing to save");
    refused(&chat(directory.path(), "hello\n/save no/such/place.json\n"), "no/such/place.json cannot be written");
}

#[cfg(target_os = "linux")]
mod terminal {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const CTRL_C: &str = "\u{3}";
    const CTRL_D: &str = "\u{4}";
    const LEFT: &str = "\u{1b}[D";
    const UP: &str = "\u{1b}[A";

    /// Types `texts`, one at each prompt. Returns exit code, what the terminal showed, and standard output.
    fn type_in(state: &Path, arguments: &[&str], texts: &[&str]) -> (Option<i32>, String, String) {
        let stdout = state.join("stdout");
        let output = Command::new("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal.py"))
            .arg(&stdout)
            .args(texts)
            .args(["--", env!("CARGO_BIN_EXE_qaio"), "chat"])
            .args(arguments)
            .env("XDG_STATE_HOME", state)
            .env("TERM", "xterm")
            .output()
            .expect("python3 runs");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), shown, fs::read_to_string(stdout).expect("it was written"))
    }

    #[test]
    fn a_message_is_edited_and_remembered() {
        let state = tempdir().expect("a directory");
        let edited = format!("我开心{LEFT}{LEFT}很\r");
        let (code, shown, stdout) = type_in(state.path(), &[], &[&edited, CTRL_D]);
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("Say something"), "{shown}");
        assert!(stdout.starts_with("😄 LLM 情感判断: ") && !stdout.contains("> "), "{stdout:?}");
        let history = state.path().join("qaio").join("history");
        assert_eq!(fs::metadata(&history).expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&history).expect("text").ends_with("\n我很开心\n"));

        let (_, _, again) = type_in(state.path(), &[], &[&format!("{UP}\r"), CTRL_D]);
        assert_eq!(again, stdout);
    }

    #[test]
    fn no_history_leaves_no_file() {
        let state = tempdir().expect("a directory");
        let (code, shown, _) = type_in(state.path(), &["--no-history"], &["hello\r", CTRL_D]);
        assert_eq!(code, Some(0), "{shown}");
        assert!(!state.path().join("qaio").exists());
    }

    #[test]
    fn ctrl_c_clears_a_line_and_leaves_an_empty_one() {
        let state = tempdir().expect("a directory");
        let keys = format!("begun{CTRL_C}/help\r");
        let (code, shown, stdout) = type_in(state.path(), &[], &[&keys, CTRL_C]);
        assert_eq!(code, Some(130), "{shown}");
        assert!(shown.contains("/save FILE") && stdout.is_empty(), "{shown} {stdout}");
    }

    #[test]
    fn a_pasted_text_is_one_message() {
        let state = tempdir().expect("a directory");
        let pasted = "\u{1b}[200~I am glad.\nMy cat is back.\u{1b}[201~\r";
        let (_, shown, stdout) = type_in(state.path(), &["--json"], &[pasted, CTRL_D]);
        assert_eq!(stdout.lines().count(), 1, "{shown}");
        let history = fs::read_to_string(state.path().join("qaio").join("history")).expect("text");
        assert!(history.ends_with("\nI am glad.\\nMy cat is back.\n"), "{history}");
    }

    #[test]
    fn tab_completes_a_command() {
        let state = tempdir().expect("a directory");
        let (code, shown, _) = type_in(state.path(), &[], &["/ex\t\r"]);
        assert_eq!(code, Some(0), "{shown}");
    }
}
