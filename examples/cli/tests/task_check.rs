//! `qaio task` as a shell sees it.

#[allow(dead_code)]
#[path = "classify/shell.rs"]
mod shell;

use serde_json::Value;
use shell::{NOISE, Shell, failure, object};

#[test]
fn every_shipped_task_is_listed_shown_and_good() {
    let shell = Shell::new();
    let list = shell.json(&["task", "list", "--json"]);
    let names: Vec<_> =
        list.as_array().expect("a list").iter().map(|task| task["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["sentiment", "intent", "language"]);
    let text = shell.out(&["task", "list"]);
    for name in &names {
        assert!(text.contains(name), "{text}");
        let shown = shell.out(&["task", "show", name]);
        assert_eq!(object(&shown)["name"], **name);
        std::fs::write(shell.path(&format!("{name}.json")), shown).expect("it can be written");
    }
    assert!(text.contains("sentiment   负面 (negative), 正面 (positive)\n"), "{text}");
    let verdicts = shell.out(&["task", "check", "sentiment.json", "intent.json", "language.json"]);
    assert_eq!(verdicts.lines().count(), 3);
    assert!(
        verdicts.starts_with("sentiment.json: good: task sentiment, labels 负面 (negative), 正面 (positive)\n"),
        "{verdicts}"
    );
    assert!(shell.fails(1, &["task", "show", "mood"]).contains("sentiment, intent, language"));
}

#[test]
fn a_bad_task_is_told_where_it_is_bad() {
    let good = Shell::new().out(&["task", "show", "sentiment"]);
    let shell = Shell::new()
        .with("good.json", format!("\u{feff}{good}"))
        .with("syntax.json", "{\"name\": ")
        .with("field.json", good.replace("\"threshold\": 0.6", "\"threshold\": \"high\""))
        .with("range.json", good.replace("\"threshold\": 0.6", "\"threshold\": 6"))
        .with("template.json", good.replace("{text}", "text"))
        .with("long.json", good.replace("只回答一个词", &"只回答一个词".repeat(3_000)))
        .with("bytes.json", b"\xff");
    let bad = [
        ("syntax.json", "cannot be read"),
        ("field.json", "\"threshold\""),
        ("range.json", "threshold is 6"),
        ("template.json", "{text}"),
        ("long.json", "context"),
        ("bytes.json", "UTF-8"),
        ("missing.json", "No such file"),
    ];
    let files: Vec<&str> = ["good.json"].into_iter().chain(bad.map(|(file, _)| file)).collect();
    let output = shell.run(&[&["task", "check"], &files[..]].concat());
    assert_eq!(failure(&output, 1), "");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("good.json: good: "), "{text}");
    for ((file, part), line) in bad.iter().zip(&lines[1..]) {
        assert!(line.starts_with(&format!("{file}: bad: ")) && line.contains(part), "{line}");
    }
    let output = shell.run(&[&["task", "check", "--json"], &files[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    let verdicts = object(&String::from_utf8(output.stdout).expect("UTF-8"));
    assert_eq!((&verdicts[0]["good"], &verdicts[0]["problem"]), (&true.into(), &Value::Null));
    assert_eq!((&verdicts[3]["file"], &verdicts[3]["good"]), (&"range.json".into(), &false.into()));
    assert!(verdicts[3]["problem"].as_str().expect("a text").contains("threshold is 6"));
}

#[test]
fn labels_are_checked_against_the_model() {
    let task = Shell::new().out(&["task", "show", "language"]).replace("\"其他\"", "\"中文 \"");
    let shell = Shell::new().with("labels.json", task);
    let verdict = shell.run(&["task", "check", "labels.json", "--model", NOISE]);
    assert_eq!(verdict.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&verdict.stdout).contains("labels[2].text"), "{verdict:?}");
}
