//! The results load, and say what their sources say.

use super::{fixture, quantized, stdout, text};
use serde_json::Value;
use std::path::Path;
use tempfile::tempdir;

/// The likeliest reply of a model, as JSON: text, tokens and why it ended.
fn reply(model: &Path, precision: &str) -> (Value, Value, Value) {
    let arguments = ["turn", "--json", "--temperature", "0", "--max-tokens", "40", "--precision", precision];
    let line = stdout(&[&arguments[..], &["--model", text(model), "the quick brown fox"]].concat());
    let mut turn: Value = serde_json::from_str(&line).expect("JSON");
    let reply = &mut turn["reply"];
    (reply["text"].take(), reply["usage"]["reply_tokens"].take(), reply["stop_reason"].take())
}

#[test]
fn every_result_loads() {
    let directory = tempdir().expect("a directory");
    for model in ["qwen2-tiny", "qwen3-tiny-bf16", "gguf/qwen2-tiny-f16.gguf", "gguf/qwen3-tiny-f32.gguf"] {
        for (to, format) in [("q8_0", "Q8_0"), ("q4_0", "Q4_0"), ("q4_k", "Q5_0"), ("f16", "F16")] {
            let output = directory.path().join("out.gguf");
            quantized(&fixture(model), &output, to, &["--force"]);
            let info: Value =
                serde_json::from_str(&stdout(&["info", "--json", "--model", text(&output)])).expect("JSON");
            assert_eq!(info["format"], format, "{model} {to}");
            assert_eq!(info["architecture"], if model.contains("qwen2") { "qwen2" } else { "qwen3" });
            assert!(info["name"].as_str().is_some_and(|name| name.starts_with("qwen")), "{info}");
            reply(&output, "auto");
        }
    }
}

#[test]
fn q8_0_says_what_its_source_says_at_q8() {
    let directory = tempdir().expect("a directory");
    let output = directory.path().join("out.gguf");
    for model in ["qwen2-tiny", "qwen2-tiny-bf16", "qwen2-tiny-f16", "qwen3-tiny", "qwen3-tiny-sharded"] {
        quantized(&fixture(model), &output, "q8_0", &["--force"]);
        assert_eq!(reply(&output, "auto"), reply(&fixture(model), "q8"), "{model}");
    }
}

#[test]
fn f16_says_what_its_source_says() {
    let directory = tempdir().expect("a directory");
    let output = directory.path().join("out.gguf");
    for (model, source) in [
        ("qwen2-tiny-f16", "qwen2-tiny-f16"),
        ("qwen2-tiny", "gguf/qwen2-tiny-f16.gguf"),
        ("qwen3-tiny", "gguf/qwen3-tiny-f16.gguf"),
    ] {
        quantized(&fixture(model), &output, "f16", &["--force"]);
        assert_eq!(reply(&output, "f32"), reply(&fixture(source), "f32"), "{model}");
    }
    // Between f16 and bf16 a weight may lose a bit, and these models' favourites are not that close.
    quantized(&fixture("qwen3-tiny-bf16"), &output, "f16", &["--force"]);
    assert_eq!(reply(&output, "f32"), reply(&fixture("qwen3-tiny-bf16"), "f32"));
}
