//! Rows come and go without piling up.

use crate::shell::{NOISE, Shell};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

/// The most memory that a run over `rows` lines of 4 KB had, in KiB.
#[cfg(target_os = "linux")]
fn peak(rows: usize) -> u64 {
    let padding = "x".repeat(4_000);
    let lines: String = (0..rows).map(|id| format!("{{\"text\":\"{id}\",\"padding\":\"{padding}\"}}\n")).collect();
    let shell = Shell::new().with("in.jsonl", lines);
    let arguments = ["classify", "in.jsonl", "--out", "out.jsonl", "--model", NOISE, "--threads", "1", "--batch", "64"];
    let mut child = shell.start(&arguments);
    let mut peak = 0;
    while child.try_wait().expect("it can be waited for").is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        peak = peak.max(line.trim().trim_end_matches(" kB").parse().expect("a number"));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(child.wait().expect("it ends").success());
    assert_eq!(shell.read("out.jsonl").lines().count(), rows);
    peak
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_rows() {
    // Between them lie 18 MB.
    let (few, many) = (peak(500), peak(5_000));
    assert!(many < few + 6_000, "{few} KiB for 500 rows, {many} KiB for 5,000");
}

#[test]
fn a_batch_is_written_before_the_next_is_read() {
    let shell = Shell::new();
    let mut child = shell
        .command(&["classify", "-", "--batch", "2", "--model", NOISE])
        .stdin(Stdio::piped())
        .spawn()
        .expect("qaio runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    for number in 0..3 {
        writeln!(stdin, "first {number}\nsecond {number}").expect("it reads");
        for word in ["first", "second"] {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("it writes");
            assert!(line.contains(&format!("{word} {number}")), "{line}");
        }
    }
    drop(stdin);
    assert!(child.wait().expect("it ends").success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_wait_for_standard_input() {
    let shell = Shell::new();
    let mut child = shell
        .command(&["classify", "-", "--batch", "1", "--model", NOISE])
        .stdin(Stdio::piped())
        .spawn()
        .expect("qaio runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    writeln!(stdin, "hello").expect("it reads");
    BufReader::new(child.stdout.as_mut().expect("it is piped")).read_line(&mut String::new()).expect("it writes");
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    drop(stdin);
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let shell = Shell::new().with("in.txt", "hello\n".repeat(2_000));
    let mut child = shell.start(&["classify", "in.txt", "--batch", "16", "--model", NOISE]);
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}
