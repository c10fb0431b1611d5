//! The command line as a shell sees it: the built binary, its output and its exit codes.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Output, Stdio};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/qwen2-tiny");
const LINES: [&str; 2] = ["😄 LLM 情感判断: 正面", "😄 LLM 情感判断: 负面"];

fn qaio(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qaio"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    qaio(arguments).output().expect("qaio runs")
}

fn run_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = qaio(arguments).stdin(Stdio::piped()).spawn().expect("qaio runs");
    // It may end without reading all of it.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    child.wait_with_output().expect("qaio ends")
}

#[track_caller]
fn stdout(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

/// The one line on standard error of a command that fails with `code` and prints nothing.
#[track_caller]
fn failure(output: &Output, code: i32) -> &str {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let message = std::str::from_utf8(&output.stderr).expect("UTF-8").strip_suffix('\n').expect("a line");
    assert!(message.starts_with("qaio: ") && !message.contains('\n'), "{message}");
    message
}

#[track_caller]
fn object(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn turn_prints_the_line_and_then_the_reply() {
    let output = run(&["turn", "终于把bug修完了，感觉整个人都轻松了！"]);
    let (line, reply) = stdout(&output).split_once('\n').expect("two parts");
    assert!(LINES.contains(&line), "{line}");
    assert!(reply.ends_with('\n') && !reply.trim().is_empty(), "{reply:?}");
}

#[test]
fn turn_reads_standard_input_and_says_the_same() {
    let argument = run(&["turn", "My cat is back!"]);
    for input in ["My cat is back!", "My cat is back!\n", "My cat is back!\r\n"] {
        assert_eq!(stdout(&run_with_input(&["turn", "-"], input.as_bytes())), stdout(&argument), "{input:?}");
    }
}

#[test]
fn turn_gives_one_json_object_that_agrees_with_the_text() {
    let json = run(&["turn", "--json", "My cat is back!"]);
    let text = run(&["turn", "My cat is back!"]);
    assert_eq!(stdout(&json).lines().count(), 1);
    let object = object(stdout(&json));
    let (sentiment, reply) = (&object["sentiment"], &object["reply"]);
    let line = sentiment["line"].as_str().expect("a line");
    assert_eq!(line, format!("😄 LLM 情感判断: {}", sentiment["label"].as_str().expect("a label")));
    assert!((0.5..=1.0).contains(&sentiment["score"].as_f64().expect("a score")));
    assert!(["end", "length"].contains(&reply["stop_reason"].as_str().expect("a reason")));
    assert_eq!(stdout(&text), format!("{line}\n{}\n", reply["text"].as_str().expect("a text")));
}

#[test]
fn generation_options_reach_the_reply() {
    let tokens = |arguments: &[&str]| {
        let output = run(&[&["turn", "--json", "hello", "--model", FIXTURE], arguments].concat());
        object(stdout(&output))["reply"]["usage"]["reply_tokens"].as_u64().expect("a number")
    };
    assert_eq!(tokens(&["--max-tokens", "3", "--temperature", "0"]), 3);
    let hot = |seed: &str| {
        let options = ["--max-tokens", "20", "--temperature", "1.5", "--seed", seed];
        let output = run(&[&["turn", "hello", "--model", FIXTURE], &options[..]].concat());
        stdout(&output).to_owned()
    };
    assert_eq!(hot("1"), hot("1"));
    assert_ne!(hot("1"), hot("2"));
}

#[test]
fn info_is_a_table_or_json() {
    let object = object(stdout(&run(&["info", "--json", "--threads", "1"])));
    assert_eq!((&object["architecture"], &object["threads"]), (&"qwen2".into(), &1.into()));
    let table = run(&["info", "--model", FIXTURE, "--precision", "f32"]);
    for fact in [
        "model             qwen2-tiny\n",
        "architecture      qwen2\n",
        "weights           F32 (",
        "context           2,048",
    ] {
        assert!(stdout(&table).contains(fact), "{fact}: {}", stdout(&table));
    }
}

#[test]
fn failures_are_one_line_that_names_the_value() {
    let missing = run(&["turn", "hello", "--model", "no/such/model"]);
    assert!(failure(&missing, 1).contains("no/such/model"));
    for text in ["", " \n\t"] {
        assert!(failure(&run(&["turn", text]), 1).contains("empty"));
    }
    assert!(failure(&run_with_input(&["turn", "-"], b"ab\xff"), 1).contains("byte 2"));
    let long = "word ".repeat(5_000);
    assert!(failure(&run_with_input(&["turn", "-"], long.as_bytes()), 1).contains("truncate"));
    assert!(stdout(&run_with_input(&["turn", "-", "--truncate", "--max-tokens", "5"], long.as_bytes())).contains('\n'));
}

#[test]
fn a_wrong_command_line_is_code_2() {
    for (arguments, part) in [
        (&["turn", "hello", "--precision", "q3"][..], "q3"),
        (&["turn", "hello", "--temperature", "nan"], "nan"),
        (&["turn", "hello", "--jsn"], "--json"),
        (&["turn"], "TEXT"),
        (&["sing"], "sing"),
        (&[], "Usage"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(part), "{output:?}");
    }
    for (arguments, part) in [
        (&["turn", "hello", "--temperature", "-1"][..], "temperature"),
        (&["turn", "hello", "--max-tokens", "0"], "max_tokens"),
        (&["info", "--threads", "0"], "threads"),
        (&["chat", "--system", " "], "system"),
    ] {
        assert!(failure(&run(arguments), 2).contains(part), "{arguments:?}");
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    assert!(stdout(&run(&["--help"])).contains("Exit codes:"));
    for arguments in [&["--help"][..], &["turn", "--help"], &["chat", "--help"], &["info", "--help"]] {
        assert!(stdout(&run(arguments)).contains("Examples:"), "{arguments:?}");
    }
}

#[test]
fn chat_answers_line_by_line() {
    let output = run_with_input(&["chat"], "我很开心\n\n/reset\nI am sad.\n/exit\nnot said\n".as_bytes());
    let lines = stdout(&output).lines().filter(|line| LINES.contains(line)).count();
    assert_eq!(lines, 2, "{output:?}");
    assert!(LINES.iter().any(|line| stdout(&output).starts_with(line)), "{output:?}");
}

#[test]
fn chat_remembers_until_it_is_reset() {
    let output = run_with_input(&["chat", "--json"], b"hello there\nhello there\n/reset\nhello there");
    let objects: Vec<Value> = stdout(&output).lines().map(object).collect();
    let tokens = |index: usize| objects[index]["reply"]["usage"]["prompt_tokens"].as_u64().expect("a number");
    assert_eq!(objects.len(), 3);
    assert!(tokens(1) > tokens(0), "{objects:?}");
    assert_eq!(tokens(2), tokens(0));
    assert_eq!(objects[2]["reply"]["text"], objects[0]["reply"]["text"]);
}

#[test]
fn chat_survives_a_bad_line_and_remembers_it_in_the_exit_code() {
    let output = run_with_input(&["chat", "--json"], b"\xff\n/sing\nhello\n");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let objects: Vec<Value> = lines.lines().map(object).collect();
    assert_eq!(objects.len(), 3, "{lines}");
    assert!(objects[0]["error"].as_str().expect("an error").contains("UTF-8"));
    assert!(objects[1]["error"].as_str().expect("an error").contains("/sing"));
    assert!(objects[2]["reply"]["text"].is_string());
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = qaio(&["turn", "hello"]).spawn().expect("qaio runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("qaio ends");
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = qaio(&["turn", "hello"]).stdout(full).output().expect("qaio runs");
    assert!(failure(&output, 1).contains("standard output"));
}

#[cfg(unix)]
mod ctrl_c {
    use super::*;
    use std::process::{Child, ChildStdout};

    /// A reply that goes on for a long time: a model of noise with a wide context.
    const ENDLESS: [&str; 6] = ["--model", FIXTURE, "--max-tokens", "2000", "--temperature", "0"];

    fn interrupt(child: &Child) {
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
        assert!(killed.success());
    }

    fn begin(arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
        let mut child = qaio(&[arguments, &ENDLESS].concat()).stdin(Stdio::piped()).spawn().expect("qaio runs");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        (child, stdout)
    }

    /// Reads up to the first byte of the next reply, so that it is surely coming.
    fn wait_for_reply(stdout: &mut impl BufRead) {
        let mut line = Vec::new();
        while !LINES.contains(&String::from_utf8_lossy(&line).trim_end()) {
            line.clear();
            assert_ne!(stdout.read_until(b'\n', &mut line).expect("it reads"), 0, "there is no further reply");
        }
        stdout.read_exact(&mut [0]).expect("a byte");
    }

    /// What is left of standard output, as bytes: the first of them may be in the middle of a character.
    fn rest(stdout: &mut impl Read) -> Vec<u8> {
        let mut rest = Vec::new();
        stdout.read_to_end(&mut rest).expect("it reads");
        rest
    }

    #[test]
    fn turn_keeps_what_was_said_and_ends_with_130() {
        let (mut child, mut stdout) = begin(&["turn", "hello"]);
        wait_for_reply(&mut stdout);
        interrupt(&child);
        assert_eq!(rest(&mut stdout).last(), Some(&b'\n'));
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
    }

    #[test]
    fn chat_goes_on_after_a_reply_that_was_stopped() {
        let (mut child, mut stdout) = begin(&["chat"]);
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(b"hello\n").expect("it reads");
        wait_for_reply(&mut stdout);
        interrupt(&child);
        stdin.write_all(b"hello again\n").expect("it reads");
        drop(stdin);
        wait_for_reply(&mut stdout);
        interrupt(&child);
        assert_eq!(rest(&mut stdout).last(), Some(&b'\n'));
        assert_eq!(child.wait().expect("it ends").code(), Some(0));
    }

    #[test]
    fn a_second_one_leaves_the_chat() {
        let (mut child, mut stdout) = begin(&["chat"]);
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(b"hello\n").expect("it reads");
        wait_for_reply(&mut stdout);
        interrupt(&child);
        // Until the first has been dealt with: two signals at once would be one.
        std::thread::sleep(std::time::Duration::from_millis(200));
        interrupt(&child);
        rest(&mut stdout);
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
    }
}

/// What the built-in model is shipped for.
#[test]
fn the_built_in_model_understands_the_demonstration() {
    for (text, label, chinese) in [
        ("终于把bug修完了，感觉整个人都轻松了！", "正面", true),
        ("项目延期了，客户又要投诉，压力好大。", "负面", true),
        ("I finally fixed the bug and I feel so relieved!", "正面", false),
        ("My flight got cancelled and nobody at the desk would help me.", "负面", false),
    ] {
        let object = object(stdout(&run(&["turn", "--json", text])));
        let reply = object["reply"]["text"].as_str().expect("a text");
        assert_eq!(object["sentiment"]["label"], label, "{text}");
        assert_eq!(object["reply"]["stop_reason"], "end", "{text}: {reply}");
        let han = reply.chars().filter(|c| ('\u{4E00}'..='\u{9FFF}').contains(c)).count();
        let latin = reply.chars().filter(char::is_ascii_alphabetic).count();
        assert!(reply.chars().count() > 5 && (han > latin) == chinese, "{text}: {reply}");
    }
}
