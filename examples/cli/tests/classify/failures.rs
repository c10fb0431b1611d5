//! What can be wrong with an input, and what is said of it.

use crate::shell::{NOISE, Shell, failure, good, object};
use crate::tables;
use serde_json::Value;

/// The `error` of each row.
fn errors(output: &str) -> Vec<String> {
    output.lines().map(|line| object(line)["error"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_bad_row_is_one_error() {
    let shell = Shell::new()
        .with("in.csv", b"id,text\n1,hello\n2\n3,a,b,c\n4,\xff\n5,\n\"6\n\",hello\n7\n")
        .with("in.txt", b"hello\n\nbad \xff\nhello\n")
        .with(
            "in.jsonl",
            b"{\"text\":\"hello\"}\n\n{\"text\":\n[1]\n{\"text\":7}\n{\"text\":null}\n{}\n\xff\n{\"text\":\"hello\"}\n",
        );
    let output = shell.run(&["classify", "in.csv"]);
    // What is not UTF-8 is kept as it is.
    assert!(output.stdout.windows(6).any(|bytes| bytes == b"4,\xff,,,"), "{output:?}");
    let csv = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<_> = csv.lines().collect();
    assert!(rows[2].starts_with("2,,,,,\"line 3 has 1 field, but the header has 2\""), "{csv}");
    assert!(rows[3].starts_with("3,\"a,b,c\",,,,\"line 4 has 4 fields, but the header has 2\""), "{csv}");
    assert!(rows[4].ends_with(",,,,line 5 is not UTF-8 in its column `text`"), "{csv}");
    assert!(rows[5].starts_with("5,,,,,the text is empty"), "{csv}");
    assert!(rows[8].contains("line 9 has 1 field"), "{csv}");
    let summary = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        summary.starts_with("7 rows: ") && summary.contains(" 5 failed (the first: line 3 has 1 field"),
        "{summary}"
    );

    let errors_of_lines = errors(&shell.out(&["classify", "in.txt"]));
    assert!(errors_of_lines[1].starts_with("the text is empty"), "{errors_of_lines:?}");
    assert_eq!(errors_of_lines[2], "line 3 is not UTF-8 (byte 4 of it)");
    assert_eq!((&errors_of_lines[0][..], &errors_of_lines[3][..]), ("", ""));

    let errors = errors(&shell.out(&["classify", "in.jsonl"]));
    for (number, part) in [
        "",
        "line 3 is not a JSON object",
        "line 4 is not a JSON object",
        "line 5 has 7 in `text`, not a text",
        "line 6 has nothing in `text`",
        "line 7 has nothing in `text`",
        "line 8 is not UTF-8",
        "",
    ]
    .iter()
    .enumerate()
    {
        assert!(errors[number].starts_with(part) && errors[number].is_empty() == part.is_empty(), "{errors:?}");
    }
}

#[test]
fn an_input_whose_every_row_is_bad_is_a_failure() {
    let shell = Shell::new().with("in.jsonl", "{}\n{}\n");
    let output = shell.run(&["classify", "in.jsonl"]);
    assert!(failure(&output, 1).contains("every row failed"), "{output:?}");
    assert_eq!(errors(&String::from_utf8(output.stdout).expect("UTF-8")).len(), 2);
}

#[test]
fn nothing_is_no_failure() {
    let shell = Shell::new();
    for (name, format, bytes, expected) in [
        ("a.csv", "csv", "", "label,score,unsure,error\n"),
        ("b.csv", "csv", "id,text\n", "id,text,label,score,unsure,error\n"),
        ("a.jsonl", "jsonl", "", ""),
        ("a.txt", "lines", "", ""),
    ] {
        std::fs::write(shell.path(name), bytes).expect("it can be written");
        assert_eq!(shell.out(&["classify", name]), expected, "{name}");
        let input = shell.run_with_input(&["classify", "-", "--format", format], bytes.as_bytes());
        assert_eq!(good(&input), expected, "{name}");
        let out = format!("{name}.parquet");
        assert_eq!(shell.json(&["classify", name, "--json", "--out", &out])["rows"], 0, "{name}");
        assert!(tables::read(&shell.path(&out)).0.is_empty());
    }
    tables::write(&shell.path("in.parquet"), &[], 1);
    assert_eq!(shell.json(&["classify", "in.parquet", "--json", "--out", "out.parquet"])["rows"], 0);
}

#[test]
fn an_input_that_cannot_be_read_is_named() {
    let shell = Shell::new()
        .with("in.csv", "id,words\n1,hello\n")
        .with("twice.csv", "text,text\n1,hello\n")
        .with("bad.csv", b"id,te\xffxt\n")
        .with("bad.parquet", "PAR1 this is none PAR1")
        .with("in.docx", "hello");
    tables::write(&shell.path("in.parquet"), &["hello"], 1);
    let whole = std::fs::read(shell.path("in.parquet")).expect("it is there");
    let shell = shell.with("cut.parquet", &whole[..whole.len() / 2]);
    for (file, parts) in [
        ("none.csv", &["none.csv", "No such file"][..]),
        ("in.csv", &["in.csv has no column `text`", "id, words", "--column"]),
        ("twice.csv", &["more than one column `text`"]),
        ("bad.csv", &["header of bad.csv", "UTF-8"]),
        ("bad.parquet", &["bad.parquet is not a Parquet file"]),
        ("cut.parquet", &["cut.parquet is not a Parquet file"]),
        ("in.docx", &["in.docx", "--format"]),
        (".", &["--format"]),
    ] {
        let message = shell.fails(1, &["classify", file]);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    for (column, parts) in [
        ("id", ["`id` of in.parquet is not text", "INT64"]),
        ("words", ["in.parquet has no column `words`", "id, text, raw"]),
    ] {
        let message = shell.fails(1, &["classify", "in.parquet", "--column", column]);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    let message = failure(&shell.run_with_input(&["classify", "-", "--format", "parquet"], b""), 1);
    assert!(message.contains("standard input"), "{message}");
}

#[test]
fn columns_that_are_there_need_a_prefix() {
    let shell = Shell::new()
        .with("in.csv", "text,label\nhello,x\n")
        .with("in.jsonl", "{\"text\":\"hello\",\"score\":1}\n")
        .with("later.jsonl", "{\"text\":\"hello\"}\n{\"text\":\"hello\",\"score\":1}\n");
    for (file, column) in [("in.csv", "label"), ("in.jsonl", "score")] {
        let message = shell.fails(1, &["classify", file, "--model", NOISE]);
        assert!(message.contains(&format!("`{column}`")) && message.contains("--prefix qaio_"), "{message}");
        assert!(shell.out(&["classify", file, "--model", NOISE, "--prefix", "qaio_"]).contains("qaio_label"));
    }
    let output = shell.out(&["classify", "later.jsonl", "--model", NOISE]);
    let row = object(output.lines().nth(1).expect("two rows"));
    assert_eq!((&row["score"], &row["label"]), (&1.into(), &Value::Null));
    assert!(row["error"].as_str().expect("an error").contains("--prefix"), "{row}");
}

#[test]
fn what_is_there_is_not_overwritten() {
    let shell = Shell::new().with("in.csv", "text\nhello\n").with("out.csv", "mine\n").with("new.csv.part", "mine\n");
    let message = shell.fails(1, &["classify", "in.csv", "--out", "out.csv"]);
    assert!(message.contains("out.csv is there already") && message.contains("--force"), "{message}");
    assert_eq!(shell.read("out.csv"), "mine\n");
    let message = shell.fails(1, &["classify", "in.csv", "--out", "new.csv"]);
    assert!(message.contains("new.csv.part") && message.contains("--force"), "{message}");
    assert_eq!(shell.read("new.csv.part"), "mine\n");
    for out in ["out.csv", "new.csv"] {
        shell.out(&["classify", "in.csv", "--out", out, "--force"]);
        assert!(shell.read(out).starts_with("text,label,"));
    }
    assert_eq!(shell.files(), ["in.csv", "new.csv", "out.csv"]);
}

#[test]
fn wrong_options_are_named() {
    let shell = Shell::new().with("in.csv", "text\nhello\n").with("task.json", "{\"name\": \"x\"}");
    for (code, arguments, part) in [
        (2, &["--threshold", "1.5"][..], "threshold is 1.5"),
        (2, &["--json"], "--out"),
        (1, &["--out", "out.txt"], "out.txt"),
        (1, &["--out", "out"], ".parquet"),
        (1, &["--out", "no/such/out.csv"], "no/such/out.csv.part"),
        (1, &["--task", "mood"], "mood"),
        (1, &["--task", "mood.json"], "mood.json"),
        (1, &["--task", "task.json"], "task.json: "),
    ] {
        let message = shell.fails(code, &[&["classify", "in.csv"], arguments].concat());
        assert!(message.starts_with("qaio: ") && message.contains(part), "{message}");
    }
    for arguments in [&["--batch", "0"][..], &["--format", "xml"], &["--force"]] {
        assert_eq!(shell.run(&[&["classify", "in.csv"], arguments].concat()).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(shell.files(), ["in.csv", "task.json"]);
}
