//! `qaio completions` and `qaio man`, as shells and `man` read them.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use tempfile::tempdir;

const COMMANDS: [&str; 12] =
    ["serve", "turn", "chat", "classify", "eval", "task", "info", "bench", "pull", "quantize", "completions", "man"];

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qaio")).args(arguments).stdin(Stdio::null()).output().expect("qaio runs")
}

#[track_caller]
fn stdout(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

/// Whether `shell` has something against `script`, which it reads but does not run; none if it is not installed.
fn parses(shell: &str, script: &str) -> Option<bool> {
    let mut child =
        Command::new(shell).arg("-n").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
    child.stdin.take()?.write_all(script.as_bytes()).ok()?;
    Some(child.wait().ok()?.success())
}

#[test]
fn completions_know_all_commands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completions", shell]);
        for command in COMMANDS {
            assert!(stdout(&output).contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn completions_parse() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert_ne!(parses(shell, stdout(&output)), Some(false), "{shell}");
    }
    assert_ne!(parses("bash", "if ("), Some(true), "the test can fail");
}

#[test]
fn bash_completes_an_option_and_a_command() {
    let output = run(&["completions", "bash"]);
    for (words, last, expected) in [("qaio tu", "tu", "turn"), ("qaio turn --trun", "--trun", "--truncate")] {
        let script = format!(
            "{}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=(); _qaio qaio '{last}' ''\n\
             echo \"${{COMPREPLY[@]}}\"",
            stdout(&output)
        );
        let Ok(found) = Command::new("bash").args(["-c", &script]).output() else { return };
        assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), expected, "{found:?}");
    }
}

#[test]
fn an_unknown_shell_is_told_the_known_ones() {
    let output = run(&["completions", "tcsh"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(message.contains("tcsh") && message.contains("bash, elvish, fish, powershell, zsh"), "{message}");
}

#[test]
fn the_page_of_qaio_names_commands_and_exit_codes() {
    let output = run(&["man"]);
    let page = stdout(&output);
    for command in COMMANDS {
        assert!(page.contains(&format!("qaio\\-{command}(1)")), "{command}");
    }
    for part in [".TH QAIO 1", ".SH EXAMPLES", ".SH \"EXIT CODES\"", "130  interrupted by Ctrl\\-C"] {
        assert!(page.replace("\"EXAMPLES\"", "EXAMPLES").contains(part), "{part}");
    }
    assert!(!page.contains("EXTRA"));
}

#[test]
fn each_command_has_a_page() {
    let directory = tempdir().expect("a directory");
    let pages = directory.path().join("share").join("man1");
    let output = run(&["man", pages.to_str().expect("UTF-8")]);
    assert!(stdout(&output).is_empty());
    assert!(pages.join("qaio.1").exists());
    for command in COMMANDS {
        let page = fs::read_to_string(pages.join(format!("qaio-{command}.1"))).expect(command);
        for part in ["\"EXIT CODES\"", "\\fBqaio ", "\"SEE ALSO\""] {
            assert!(page.contains(part), "{command}: {part}");
        }
    }
}

/// Examples stay line for line, and `man` shows what a shell is to read.
#[test]
fn man_shows_examples_as_they_are() {
    let directory = tempdir().expect("a directory");
    stdout(&run(&["man", directory.path().to_str().expect("UTF-8")]));
    let mut command = Command::new("man");
    command.args(["-l", "qaio-turn.1"]).current_dir(directory.path()).env("MANWIDTH", "100").env("LC_ALL", "C.UTF-8");
    let shown = match command.output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        // No `man` here that can show a file.
        _ => return,
    };
    for line in [
        "       qaio turn --json \"I passed my exam!\" | jq -r .sentiment.label\n",
        "       qaio turn --temperature 0.8 --seed 7 \"My cat is back!\"\n",
        "       130  interrupted by Ctrl-C\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("it writes");
    let output = run(&["man", file.join("man1").to_str().expect("UTF-8")]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(message.starts_with("qaio: ") && message.contains("file/man1 cannot be written"), "{message}");
}
