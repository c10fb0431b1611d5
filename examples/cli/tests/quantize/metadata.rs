//! What the files say of the models.

use super::gguf::Gguf;
use super::{fixture, quantized, stdout, text};
use candle_core::quantized::gguf_file::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::tempdir;

/// Key by key, so that a failure can be read.
#[track_caller]
fn same(made: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    assert!(made.keys().eq(expected.keys()), "{:?}, not {:?}", made.keys(), expected.keys());
    for (key, value) in made {
        assert!(*value == expected[key], "{key} is {value:.200}, not {:.200}", expected[key]);
    }
}

#[test]
fn a_directory_becomes_what_a_converter_of_llama_cpp_says_of_it() {
    let directory = tempdir().expect("a directory");
    for model in ["qwen2-tiny", "qwen3-tiny"] {
        let output = directory.path().join(format!("{model}.gguf"));
        quantized(&fixture(model), &output, "f16", &[]);
        let mut made = Gguf::read(&output).facts();
        let reference = Gguf::read(&fixture("gguf").join(format!("{model}-f16.gguf"))).facts();
        // What the reference lacks: the size, and the temperature of a model that samples without naming one.
        assert_eq!(made.remove(&format!("{}.vocab_size", &model[..5])).as_deref(), Some("U32(352)"));
        if model == "qwen2-tiny" {
            assert_eq!(made.remove("general.sampling.temp").as_deref(), Some("F32(1.0)"));
        }
        same(&made, &reference);
    }
}

#[test]
fn a_gguf_file_keeps_its_metadata() {
    let directory = tempdir().expect("a directory");
    for (model, to, file_type) in [
        ("gguf/qwen2-tiny-f32.gguf", "q8_0", 7),
        ("gguf/qwen3-tiny-f16.gguf", "q4_0", 2),
        ("gguf/qwen2-tiny-bf16.gguf", "q4_k", 15),
        ("gguf/qwen2-k256-q6_k.gguf", "q4_k", 15),
        ("gguf/qwen3-tiny-f32.gguf", "f16", 1),
    ] {
        let output = directory.path().join("out.gguf");
        quantized(&fixture(model), &output, to, &["--force"]);
        let (made, source) = (Gguf::read(&output), Gguf::read(&fixture(model)));
        same(&made.facts(), &source.facts());
        assert!(matches!(made.metadata["general.file_type"], Value::U32(n) if n == file_type), "{model} {to}");
    }
}

#[test]
fn the_same_type_again_is_the_same_file() {
    let directory = tempdir().expect("a directory");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src/builtin/qaio-mini.gguf");
    let output = directory.path().join("out.gguf");
    quantized(&source, &output, "q8_0", &[]);
    assert!(std::fs::read(source).expect("it is there") == std::fs::read(output).expect("it is there"));
}

#[test]
fn the_result_is_one_line_or_an_object() {
    let directory = tempdir().expect("a directory");
    let output = directory.path().join("out.gguf");
    let (line, remarks) = quantized(&fixture("qwen2-tiny"), &output, "q8_0", &[]);
    assert_eq!(line, format!("{}: q8_0, 269.34 KiB -> 81.78 KiB (30%)\n", output.display()));
    assert_eq!(remarks, "");
    let (line, _) = quantized(&fixture("qwen3-tiny-sharded"), &output, "q4_0", &["--json", "--force"]);
    let object: Json = serde_json::from_str(&line).expect("JSON");
    let bytes = std::fs::metadata(&output).expect("it is there").len();
    assert_eq!(object["output_bytes"], bytes);
    assert_eq!(object["input_bytes"], 95_304 + 87_560 + 82_784);
    assert_eq!((&object["to"], &object["tensors"], &object["fallbacks"]), (&"q4_0".into(), &25.into(), &1.into()));
    assert_eq!(object["types"], serde_json::json!({"f32": 9, "q4_0": 15, "q8_0": 1}));
    assert_eq!(object["output"], text(&output));
}

#[test]
fn help_explains_the_types() {
    let help = stdout(&["quantize", "--help"]);
    for part in ["q8_0", "q4_0", "q4_k", "f16", "q6_k", "Examples:", "OUT.part", "--allow-requantize"] {
        assert!(help.contains(part), "{part}: {help}");
    }
}
