//! `qaio eval` as a shell sees it.

#[allow(dead_code)]
#[path = "classify/shell.rs"]
mod shell;

use serde_json::Value;
use shell::{NOISE, Shell, failure};

const ROWS: &str = "text,label\n\
    I passed my exam and I am so happy!,正面\n\
    My flight got cancelled and nobody would help me.,negative\n\
    It is what it is,\n\
    我今天特别开心,positive\n\
    终于放假了，太好了,负面\n\
    ,正面\n";

#[test]
fn figures_are_right() {
    let shell = Shell::new().with("in.csv", ROWS);
    let figures = shell.json(&["eval", "in.csv", "--task", "sentiment", "--json"]);
    let counts = ["rows", "failed", "unlabelled"].map(|name| figures[name].as_u64().expect("a number"));
    assert_eq!(counts, [4, 1, 1]);
    assert_eq!(figures["accuracy"], 0.75);
    assert_eq!(figures["confusion"], serde_json::json!([[1, 1], [0, 2]]));
    for name in ["macro_f1", "calibration_error", "brier", "coverage"] {
        assert!((0.0..=2.0).contains(&figures[name].as_f64().expect("a number")), "{figures}");
    }
}

#[test]
fn the_report_is_aligned_also_with_wide_characters() {
    let shell = Shell::new().with("in.csv", ROWS);
    let report = shell.out(&["eval", "in.csv", "--task", "sentiment", "--threshold", "0.5"]);
    for part in [
        "task               sentiment\n",
        "rows               4 (1 failed, 1 without a label)\n",
        "accuracy           0.7500\n",
        "coverage           1.0000 of the rows have a score from 0.5 on\n",
        "label  rows  found  precision  recall      F1\n负面      2      1     1.0000  0.5000  0.6667\n",
        "true \\ found  负面  正面\n负面             1     1\n正面             0     2\n",
    ] {
        assert!(report.contains(part), "{part}{report}");
    }
}

#[test]
fn every_format_has_the_same_figures() {
    let shell =
        Shell::new().with("in.csv", ROWS).with("in.tsv", ROWS.replace("me.,", "me.\t").replace("text,", "text\t"));
    let objects =
        "{\"q\":\"I passed my exam and I am so happy!\",\"gold\":\"positive\"}\n{\"q\":\"so sad\",\"gold\":null}\n";
    let shell = shell.with("in.jsonl", objects);
    let arguments = ["eval", "in.jsonl", "--task", "sentiment", "--json", "--column", "q", "--label", "gold"];
    let figures = shell.json(&arguments);
    assert_eq!((&figures["rows"], &figures["unlabelled"]), (&1.into(), &1.into()));
    let stdin = ["eval", "-", "--format", "csv", "--task", "sentiment"];
    let from_stdin = shell::good(&shell.run_with_input(&stdin, ROWS.as_bytes()));
    assert_eq!(from_stdin, shell.out(&["eval", "in.csv", "--task", "sentiment"]));
    let parquet = ["classify", "in.csv", "--prefix", "q_", "--out", "in.parquet"];
    shell.out(&parquet);
    assert_eq!(shell.out(&["eval", "in.parquet", "--task", "sentiment"]), from_stdin);
}

#[test]
fn a_fitted_task_is_better_on_its_rows() {
    let shell = Shell::new().with("in.csv", ROWS);
    let before = shell.json(&["eval", "in.csv", "--task", "sentiment", "--json", "--fit", "fitted.json"]);
    let task: Value = serde_json::from_str(&shell.read("fitted.json")).expect("JSON");
    assert!(task["calibration"]["temperature"].is_number() && task["calibration"]["bias"]["positive"].is_number());
    let after = shell.json(&["eval", "in.csv", "--task", "fitted.json", "--json"]);
    let loss = |figures: &Value| figures["log_loss"].as_f64().expect("a number");
    assert!(loss(&after) < loss(&before), "{before} {after}");
    assert!(shell.out(&["task", "check", "fitted.json"]).contains(": good: task sentiment"));
    let again = ["eval", "in.csv", "--task", "sentiment", "--fit", "fitted.json"];
    assert!(shell.fails(1, &again).contains("fitted.json is there already"));
    shell.out(&[&again[..], &["--force"]].concat());
}

#[test]
fn what_is_wrong_is_named() {
    let shell = Shell::new()
        .with("unknown.csv", "text,label\nhello,positive\nhello,Positive\n")
        .with("in.csv", "text,label\nhello,positive\n")
        .with("in.txt", "hello\n")
        .with("none.csv", "text,label\n")
        .with("blank.csv", "text,label\nhello,\n")
        .with("number.jsonl", "{\"text\":\"hello\",\"label\":1}\n");
    for (arguments, parts) in [
        (&["unknown.csv"][..], &["line 3 of unknown.csv", "`Positive`", "负面 (negative), 正面 (positive)"][..]),
        (&["in.csv", "--label", "gold"], &["no column `gold`", "text, label", "--label"]),
        (&["in.csv", "--column", "words"], &["no column `words`", "--column"]),
        (&["in.txt"], &["in.txt is plain lines"]),
        (&["none.csv"], &["none.csv has no rows"]),
        (&["blank.csv"], &["nothing to compare"]),
        (&["number.jsonl"], &["line 1 has 1 in `label`"]),
        (&["missing.csv"], &["missing.csv cannot be read"]),
        (&["in.csv", "--fit", "no/such/task.json"], &["no/such/task.json cannot be written"]),
    ] {
        let arguments = [&["eval", "--task", "sentiment", "--model", NOISE], arguments].concat();
        let message = shell.fails(1, &arguments);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    let output = shell.run(&["eval", "in.csv", "--task", "sentiment", "--threshold", "2"]);
    assert!(failure(&output, 2).contains("threshold is 2"));
    assert_eq!(shell.run(&["eval", "in.csv"]).status.code(), Some(2));
}
