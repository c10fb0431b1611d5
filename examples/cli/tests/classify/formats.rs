//! Every format in, and every format out.

use crate::shell::{Shell, good, object};
use crate::tables;
use serde_json::Value;

const HAPPY: &str = "I passed my exam and I am so happy!";
const SAD: &str = "My flight got cancelled and nobody at the desk would help me.";

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(object).collect()
}

/// The score as it is written: read as a number and written again, its last digit may be another.
fn score(shell: &Shell, text: &str) -> String {
    let line = good(&shell.run_with_input(&["classify", "-"], text.as_bytes()));
    let (_, rest) = line.split_once("\"score\":").expect("a score");
    rest.split(',').next().expect("a number").trim().to_owned()
}

#[test]
fn csv_keeps_its_columns_and_gets_four_more() {
    let csv = format!("id,text,note\n1,{HAPPY},\"a,\"\"b\"\"\"\n2,{SAD},\"two\nlines\"\n");
    let shell = Shell::new().with("in.csv", &csv);
    let [happy, sad] = [HAPPY, SAD].map(|text| score(&shell, text));
    let expected = format!(
        "id,text,note,label,score,unsure,error\n1,{HAPPY},\"a,\"\"b\"\"\",正面,{happy},false,\n\
         2,{SAD},\"two\nlines\",负面,{sad},false,\n"
    );
    let output = shell.run(&["classify", "in.csv"]);
    assert_eq!(good(&output), expected);
    let summary = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(summary.starts_with("2 rows: 负面 1, 正面 1; 0 unsure, 0 failed; "), "{summary}");
    shell.out(&["classify", "in.csv", "--out", "out.csv"]);
    assert_eq!(shell.read("out.csv"), expected);
    shell.out(&["classify", "in.csv", "--out", "out.tsv"]);
    assert_eq!(shell.read("out.tsv").lines().next(), Some("id\ttext\tnote\tlabel\tscore\tunsure\terror"));
    assert_eq!(shell.files(), ["in.csv", "out.csv", "out.tsv"]);
}

#[test]
fn csv_becomes_json_lines_and_parquet() {
    let shell = Shell::new().with("in.tsv", format!("\u{feff}id\ttext\n1\t{HAPPY}\n2\t{SAD}\n"));
    shell.out(&["classify", "in.tsv", "--out", "out.jsonl"]);
    let rows = lines(&shell.read("out.jsonl"));
    assert_eq!((&rows[0]["id"], &rows[0]["label"], &rows[0]["error"]), (&"1".into(), &"正面".into(), &Value::Null));
    assert_eq!((&rows[1]["text"], &rows[1]["label"], &rows[1]["unsure"]), (&SAD.into(), &"负面".into(), &false.into()));
    shell.out(&["classify", "in.tsv", "--out", "out.parquet"]);
    let (rows, _) = tables::read(&shell.path("out.parquet"));
    let happy = format!("{{id: \"1\", text: \"{HAPPY}\", label: \"正面\", score: {}", score(&shell, HAPPY));
    assert!(rows[0].starts_with(&happy), "{}", rows[0]);
    assert!(rows[0].ends_with("unsure: false, error: null}"), "{}", rows[0]);
}

#[test]
fn json_lines_stay_as_they_are_written() {
    let own =
        format!("{{\"text\": \"{HAPPY}\",  \"n\": 1.50, \"big\": 12345678901234567890123, \"o\": {{\"b\":1,\"a\":2}}");
    let shell = Shell::new().with("in.jsonl", format!("{own}}}\n\n{{\"text\":\"{SAD}\",\"more\":true}}"));
    let output = shell.out(&["classify", "in.jsonl"]);
    assert!(output.starts_with(&format!("{own},\"label\":\"正面\",\"score\":")), "{output}");
    let rows = lines(&output);
    assert_eq!((rows.len(), &rows[1]["more"], &rows[1]["label"]), (2, &true.into(), &"负面".into()));
    shell.out(&["classify", "in.jsonl", "--out", "out.csv"]);
    let csv = shell.read("out.csv");
    assert!(csv.starts_with("text,n,big,o,more,label,score,unsure,error\n"), "{csv}");
    assert!(csv.contains(",1.50,12345678901234567890123,\"{\"\"b\"\":1,\"\"a\"\":2}\",,正面,"), "{csv}");
    shell.out(&["classify", "in.jsonl", "--out", "out.parquet"]);
    let (rows, _) = tables::read(&shell.path("out.parquet"));
    assert!(
        rows[0].contains("n: 1.5, big: \"12345678901234567890123\", o: \"{\"b\":1,\"a\":2}\", more: null"),
        "{}",
        rows[0]
    );
    assert!(rows[1].contains("n: null, big: null, o: null, more: true, label: \"负面\""), "{}", rows[1]);
}

#[test]
fn parquet_keeps_its_columns_and_row_groups() {
    let shell = Shell::new();
    tables::write(&shell.path("in.parquet"), &[HAPPY, SAD, "", HAPPY, SAD], 2);
    let summary = shell.json(&["classify", "in.parquet", "--out", "out.parquet", "--json", "--probabilities"]);
    assert_eq!((&summary["rows"], &summary["failed"], &summary["labels"]["正面"]), (&5.into(), &1.into(), &2.into()));
    let (before, _) = tables::read(&shell.path("in.parquet"));
    let (after, groups) = tables::read(&shell.path("out.parquet"));
    assert_eq!((after.len(), groups), (5, 3));
    for (before, after) in before.iter().zip(&after) {
        assert!(after.starts_with(before.trim_end_matches('}')), "{before} {after}");
    }
    assert!(after[0].contains("label: \"正面\"") && after[1].contains("label: \"负面\""), "{after:?}");
    assert!(after[2].contains("label: null") && after[2].contains("row 3 has nothing in `text`"), "{}", after[2]);
    assert!(after[3].contains(", negative: 0.") && after[3].contains(", positive: 0."), "{}", after[3]);
}

#[test]
fn parquet_becomes_json_lines_and_csv() {
    let shell = Shell::new();
    tables::write(&shell.path("in.parquet"), &[HAPPY, SAD], 1);
    let rows = lines(&shell.out(&["classify", "in.parquet"]));
    assert_eq!((&rows[1]["id"], &rows[1]["raw"], &rows[1]["label"]), (&1.into(), &"0xff00".into(), &"负面".into()));
    shell.out(&["classify", "in.parquet", "--out", "out.csv"]);
    assert!(
        shell.read("out.csv").starts_with(&format!("id,text,raw,label,score,unsure,error\n0,{HAPPY},0xff00,正面,"))
    );
}

#[test]
fn lines_are_texts() {
    let text = format!("\u{feff}{HAPPY}\r\n{SAD}");
    let shell = Shell::new().with("in.txt", &text);
    let from_file = shell.out(&["classify", "in.txt", "--column", "words"]);
    let rows = lines(&from_file);
    assert_eq!((rows.len(), &rows[0]["words"], &rows[1]["label"]), (2, &HAPPY.into(), &"负面".into()));
    let from_stdin = shell.run_with_input(&["classify", "-", "--column", "words"], text.as_bytes());
    assert_eq!(good(&from_stdin), from_file);
    shell.out(&["classify", "in.txt", "--out", "out.csv"]);
    assert!(shell.read("out.csv").starts_with(&format!("text,label,score,unsure,error\n{HAPPY},正面,0.")));
}

#[test]
fn the_format_can_be_told() {
    let shell = Shell::new().with("in.dat", format!("text\n{HAPPY}\n"));
    assert!(shell.out(&["classify", "in.dat", "--format", "csv"]).starts_with("text,label,"));
    let output =
        shell.run_with_input(&["classify", "-", "--format", "jsonl"], format!("{{\"text\":\"{SAD}\"}}").as_bytes());
    assert_eq!(object(&good(&output))["label"], "负面");
}

#[test]
fn options_reach_the_results() {
    let shell = Shell::new().with("in.txt", format!("{HAPPY}\n{}\n", "long ".repeat(5_000)));
    let rows = lines(&shell.out(&[
        "classify",
        "in.txt",
        "--threshold",
        "1",
        "--truncate",
        "--probabilities",
        "--prefix",
        "q_",
    ]));
    assert_eq!((&rows[0]["q_label"], &rows[0]["q_unsure"]), (&"正面".into(), &true.into()));
    assert_eq!(rows[0]["q_positive"], rows[0]["q_score"]);
    assert!(rows[1]["q_label"].is_string(), "{}", rows[1]);
    let rows = lines(&shell.out(&["classify", "in.txt", "--task", "language"]));
    assert_eq!((&rows[0]["label"], &rows[1]["label"]), (&"English".into(), &Value::Null));
    assert!(rows[1]["error"].as_str().expect("an error").contains("truncate"), "{}", rows[1]);
    let task = shell.out(&["task", "show", "language"]).replace("\"English\"", "\"english\"");
    let shell = shell.with("own.json", task);
    assert!(shell.out(&["classify", "in.txt", "--task", "own.json"]).contains("\"label\":\""));
}
