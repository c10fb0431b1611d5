//! A run that was broken off goes on where it was.

use crate::shell::{NOISE, Shell, failure, object};
use crate::tables;
use serde_json::Value;
use std::fs;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

const ROWS: usize = 600;

fn texts() -> Vec<String> {
    (0..ROWS).map(|number| format!("message number {number}, which is good")).collect()
}

/// A directory with the same texts in several formats.
fn shell() -> Shell {
    let texts = texts();
    let csv: String = texts.iter().map(|text| format!("\"{text}\",x\n")).collect();
    let shell = Shell::new().with("in.csv", format!("text,other\n{csv}")).with("in.txt", texts.join("\n"));
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    tables::write(&shell.path("in.parquet"), &texts, 250);
    shell
}

fn arguments<'a>(input: &'a str, out: &'a str) -> Vec<&'a str> {
    vec!["classify", input, "--out", out, "--model", NOISE, "--batch", "16", "--json"]
}

fn rows_done(shell: &Shell, out: &str) -> u64 {
    let state = fs::read_to_string(shell.path(&format!("{out}.part.json"))).unwrap_or_default();
    serde_json::from_str::<Value>(&state).ok().and_then(|state| state["tally"]["rows"].as_u64()).unwrap_or(0)
}

/// A run that has done some of its rows.
fn begin(shell: &Shell, input: &str, out: &str) -> Child {
    let child = shell.start(&arguments(input, out));
    let begun = Instant::now();
    while rows_done(shell, out) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no rows were done");
        sleep(Duration::from_millis(2));
    }
    child
}

fn kill(mut child: Child) {
    child.kill().expect("it is running");
    assert!(!child.wait().expect("it ends").success(), "it was done before it was killed");
}

#[test]
fn a_killed_run_gives_what_an_unbroken_one_gives() {
    let shell = shell();
    for (input, out) in [
        ("in.csv", "out.csv"),
        ("in.txt", "out.jsonl"),
        ("in.txt", "out.tsv"),
        ("in.csv", "out.parquet"),
        ("in.parquet", "beside.parquet"),
    ] {
        let whole = format!("whole-{out}");
        assert_eq!(shell.json(&arguments(input, &whole))["resumed"], 0);
        kill(begin(&shell, input, out));
        let done = rows_done(&shell, out);
        assert!(!shell.path(out).exists() && shell.path(&format!("{out}.part")).exists());
        // What a kill in the middle of a write leaves.
        let mut part = fs::File::options().append(true).open(shell.path(&format!("{out}.part"))).expect("it is there");
        std::io::Write::write_all(&mut part, "half a ro".as_bytes()).expect("it can be written");
        drop(part);
        let summary = shell.json(&arguments(input, out));
        assert_eq!((&summary["rows"], &summary["resumed"]), (&ROWS.into(), &done.into()), "{out}");
        assert!(done > 0 && done < ROWS as u64, "{done}");
        let [one, other] = [&whole, out].map(|name| fs::read(shell.path(name)).expect("it is there"));
        assert!(one == other, "{out} differs from {whole}");
        assert!(shell.files().iter().all(|name| !name.contains(".part")), "{:?}", shell.files());
    }
}

#[test]
fn another_run_does_not_go_on() {
    let shell = shell();
    kill(begin(&shell, "in.csv", "out.csv"));
    for (more, part) in [
        (&["--threshold", "0.25"][..], "--threshold"),
        (&["--task", "intent"], "task"),
        (&["--prefix", "x_"], "--prefix"),
        (&["--precision", "f32"], "model"),
    ] {
        let message = shell.fails(1, &[&arguments("in.csv", "out.csv")[..], more].concat());
        assert!(message.contains(&format!("differs in its {part}")) && message.contains("--force"), "{message}");
    }
    let changed = shell.read("in.csv").replacen("number 0", "number zero", 1);
    let shell = shell.with("in.csv", changed);
    let message = shell.fails(1, &arguments("in.csv", "out.csv"));
    assert!(message.contains("rows of in.csv") && message.contains("not the same"), "{message}");
    let summary = shell.json(&[&arguments("in.csv", "out.csv")[..], &["--force"]].concat());
    assert_eq!((&summary["rows"], &summary["resumed"]), (&ROWS.into(), &0.into()));
    assert_eq!(shell.read("out.csv").matches("number zero").count(), 1);
}

#[test]
fn force_goes_on_as_well_when_it_can() {
    let shell = shell().with("out.csv", "old");
    let arguments = [&arguments("in.csv", "out.csv")[..], &["--force"]].concat();
    let child = shell.start(&arguments);
    while rows_done(&shell, "out.csv") == 0 {
        sleep(Duration::from_millis(2));
    }
    kill(child);
    assert_eq!(shell.read("out.csv"), "old");
    assert!(shell.json(&arguments)["resumed"].as_u64().expect("a number") > 0);
    assert_eq!(shell.read("out.csv").lines().count(), ROWS + 1);
}

#[test]
fn two_runs_do_not_write_the_same_output() {
    let shell = shell();
    let child = begin(&shell, "in.csv", "out.csv");
    let message = shell.fails(1, &arguments("in.csv", "out.csv"));
    assert!(message.contains("another run"), "{message}");
    kill(child);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130_and_can_be_gone_on_from() {
    let shell = shell();
    let child = begin(&shell, "in.txt", "out.jsonl");
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(failure(&output, 130), "");
    let done = rows_done(&shell, "out.jsonl");
    let summary = shell.json(&arguments("in.txt", "out.jsonl"));
    assert_eq!(summary["resumed"], done);
    let texts_out: Vec<_> =
        shell.read("out.jsonl").lines().map(|line| object(line)["text"].as_str().expect("a text").to_owned()).collect();
    assert_eq!(texts_out, texts());
}
