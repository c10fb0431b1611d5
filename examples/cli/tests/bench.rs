//! `qaio bench`: figures of the built-in model, and what it refuses.

use serde_json::Value;
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qaio"));
    command.arg("bench").args(arguments).stdin(Stdio::null()).output().expect("qaio runs")
}

#[track_caller]
fn refused(arguments: &[&str], parts: &[&str]) {
    let output = run(arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    for part in parts {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn each_figure_of_the_built_in_model_is_positive() {
    let output = run(&["--quick", "--repeat", "2", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["model"]["name"], "qaio-mini");
    assert_eq!(report["model"]["random_weights_of"], Value::Null);
    assert_eq!(report["settings"]["repeat"], 2);
    assert!(report["machine"]["cores"].as_u64().expect("a number") > 0);
    let date = report["date"].as_str().expect("a date");
    assert!(date.len() == 20 && date.starts_with("20") && date.ends_with('Z'), "{date}");

    let figures = report["figures"].as_array().expect("figures");
    for figure in figures {
        let samples: Vec<f64> =
            figure["samples"].as_array().expect("samples").iter().map(|sample| sample.as_f64().expect("f64")).collect();
        let [min, median, max] = ["min", "median", "max"].map(|key| figure[key].as_f64().expect("a number"));
        assert!(!samples.is_empty() && samples.iter().all(|&sample| sample > 0.0), "{figure}");
        assert!(min <= median && median <= max && samples.contains(&min) && samples.contains(&max), "{figure}");
    }
    let names: Vec<&str> = figures.iter().map(|figure| figure["name"].as_str().expect("a name")).collect();
    for name in [
        "load",
        "prefill_16",
        "prefill_128",
        "prefill_512",
        "decode_0",
        "decode_512",
        "sentiment_cold",
        "sentiment_warm",
        "turn",
        "classify_one",
        "classify_8",
        "classify_64",
        "replies_1",
        "replies_8",
        "replies_8_ratio",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    assert_eq!(names.contains(&"memory_running"), cfg!(target_os = "linux"));
}

#[test]
fn the_table_fits_a_terminal() {
    let output = run(&["--quick", "--repeat", "1", "--context", "256"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(table.starts_with("model    qaio-mini\n"), "{table}");
    assert!(table.contains("tokens/s") && table.contains("\nClassify"), "{table}");
    // 512 tokens do not fit into this context.
    assert!(table.contains("  128 tokens") && !table.contains("  512 tokens"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    refused(&["--shape", "gpt-2"], &["gpt-2", "qwen1.5-0.5b", "qwen2.5-0.5b", "qwen3-0.6b"]);
    refused(&["--shape", "qwen3-0.6b", "--model", "some/model"], &["--shape qwen3-0.6b", "--model some/model"]);
    refused(&["--repeat", "0"], &["--repeat", "1..=100"]);
    refused(&["--save", "noise.gguf"], &["--shape"]);
    refused(&["--shape", "qwen3-0.6b", "--force"], &["--save"]);
    let missing = run(&["--model", "no/such/model"]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no/such/model"), "{missing:?}");
}

#[test]
fn weights_are_saved_only_where_nothing_is_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let (there, letter) = (directory.path().join("there.gguf"), directory.path().join("letter.txt"));
    std::fs::write(&there, "GGUF").expect("written");
    std::fs::write(&letter, "Dear reader").expect("written");
    let nowhere = directory.path().join("no/such/noise.gguf");
    for (path, more, parts) in [
        (&there, None, ["there.gguf exists", "--force"]),
        (&letter, Some("--force"), ["letter.txt is no GGUF file", "name another file"]),
        (&nowhere, None, ["noise.gguf cannot be written", "no/such is no directory"]),
    ] {
        let path = path.to_str().expect("UTF-8");
        let arguments: Vec<&str> = ["--shape", "qwen1.5-0.5b", "--save", path].into_iter().chain(more).collect();
        let output = run(&arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty() && parts.iter().all(|part| message.contains(part)), "{message}");
    }
    assert_eq!(std::fs::read(&there).expect("it exists"), b"GGUF");
    assert_eq!(std::fs::read(&letter).expect("it exists"), b"Dear reader");
}
