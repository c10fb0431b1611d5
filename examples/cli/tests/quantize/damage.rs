//! Models that are not whole: each is refused with its file and the place in it, and nothing is written.

use super::checkpoint::{Checkpoint, copy_of, safetensors};
use super::{failure, fixture, part, quantize};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tempfile::tempdir;

#[track_caller]
fn refused(model: &Path, to: &str, words: &[&str]) {
    let output = model.with_extension("result");
    let message = failure(&quantize(model, &output, to, &[]), 1);
    for word in words {
        assert!(message.contains(word), "{word}: {message}");
    }
    assert!(!output.exists() && !part(&output).exists(), "{message}");
}

#[test]
fn files_that_are_missing_are_named() {
    let directory = tempdir().expect("a directory");
    refused(&directory.path().join("none"), "q8_0", &["none does not exist; check the path"]);
    for (file, words) in [
        ("config.json", "config.json is missing; a model directory needs"),
        ("tokenizer.json", "tokenizer.json is missing; a model directory needs"),
        ("model.safetensors.index.json", "has neither model.safetensors nor model.safetensors.index.json"),
        ("model-00002-of-00003.safetensors", "model-00002-of-00003.safetensors is listed in"),
    ] {
        let model = copy_of("qwen3-tiny-sharded", directory.path(), &format!("without-{file}"));
        fs::remove_file(model.join(file)).expect("it was there");
        refused(&model, "q8_0", &[words]);
    }
}

/// Changes a JSON file of a copy of a model.
fn edited(directory: &Path, name: &str, file: &str, edit: impl FnOnce(&mut Value)) -> std::path::PathBuf {
    let model = copy_of("qwen2-tiny", directory, name);
    let path = model.join(file);
    let mut json = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
    edit(&mut json);
    fs::write(path, json.to_string()).expect("written");
    model
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let directory = tempdir().expect("a directory");
    let in_config =
        |name: &str, key: &str, value: Value| edited(directory.path(), name, "config.json", |json| json[key] = value);
    refused(&in_config("a", "model_type", "llama".into()), "q8_0", &["config.json", "architecture \"llama\""]);
    refused(&in_config("b", "hidden_size", "64".into()), "q8_0", &["config.json", "hidden_size is \"64\""]);
    refused(&in_config("c", "rope_scaling", json!({"type": "yarn"})), "q8_0", &["rope scaling \"yarn\""]);
    let shape =
        ["model.safetensors: tensor model.layers.0.mlp.gate_proj.weight has shape [32, 64]", "asks for [48, 64]"];
    refused(&in_config("d", "intermediate_size", 48.into()), "q8_0", &shape);
    let layer = ["tensor model.layers.2.input_layernorm.weight is missing; the files do not belong together"];
    refused(&in_config("e", "num_hidden_layers", 3.into()), "q8_0", &layer);

    let in_tokenizer = |name: &str, edit: fn(&mut Value)| edited(directory.path(), name, "tokenizer.json", edit);
    let split = |json: &mut Value| json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "\\s+".into();
    refused(&in_tokenizer("f", split), "q8_0", &["tokenizer.json: its pre_tokenizer is not Qwen's"]);
    let ids = |json: &mut Value| json["added_tokens"][0]["id"] = 400.into();
    refused(&in_tokenizer("g", ids), "q8_0", &["tokenizer.json: the tokenizer has ids up to 400", "352 rows"]);
    let control = |json: &mut Value| json["added_tokens"] = json!([]);
    refused(&in_tokenizer("h", control), "q8_0", &["tokenizer.json", "has no <|im_start|>"]);

    for (name, file) in [("i", "config.json"), ("j", "tokenizer.json"), ("k", "tokenizer_config.json")] {
        let model = copy_of("qwen2-tiny", directory.path(), name);
        fs::write(model.join(file), "{").expect("written");
        refused(&model, "q8_0", &[file, "fetch it again"]);
    }
}

#[test]
fn weights_that_cannot_be_are_named() {
    let directory = tempdir().expect("a directory");
    let name = "model.layers.1.self_attn.k_proj.weight";
    for (copy, weight, to, words) in [
        ("nan", f32::NAN, "q8_0", "row 3 has a weight that is NaN or infinite"),
        ("infinite", f32::INFINITY, "q4_k", "row 3 has a weight that is NaN or infinite"),
        ("large", 1e6, "f16", "row 3 has a weight of 1e6, which f16 cannot hold"),
    ] {
        let mut checkpoint = Checkpoint::wide();
        checkpoint.weights(name)[3 * 256 + 17] = weight;
        let model = checkpoint.write(directory.path(), copy);
        refused(&model, to, &["model.safetensors: tensor", name, words]);
    }
    let mut checkpoint = Checkpoint::wide();
    checkpoint.weights("model.norm.weight")[0] = f32::NAN;
    refused(&checkpoint.write(directory.path(), "norm"), "f16", &["tensor model.norm.weight: row 0", "NaN"]);

    let mut bytes = fs::read(fixture("gguf/qwen2-tiny-f32.gguf")).expect("a fixture");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let model = directory.path().join("nan.gguf");
    fs::write(&model, bytes).expect("written");
    refused(&model, "q8_0", &["nan.gguf: tensor ", "NaN"]);
}

#[test]
fn safetensors_that_are_damaged_are_named() {
    let directory = tempdir().expect("a directory");
    let whole = fs::read(fixture("qwen2-tiny/model.safetensors")).expect("a fixture");
    let other_type = json!({"model.norm.weight": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}});
    let gap = json!({"model.norm.weight": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}});
    let damaged = "model.safetensors is truncated or not a safetensors file; fetch it again";
    for (name, bytes, words) in [
        ("cut", whole[..whole.len() - 1].to_vec(), damaged),
        ("longer", [&whole[..], b"\0"].concat(), damaged),
        ("head", whole[..100].to_vec(), damaged),
        ("short", whole[..7].to_vec(), damaged),
        ("empty", Vec::new(), "model.safetensors is empty; fetch it again"),
        ("huge", [&u64::MAX.to_le_bytes()[..], b"{}"].concat(), damaged),
        ("gap", safetensors(&gap, &[0; 8]), damaged),
        ("type", safetensors(&other_type, &[0; 8]), "tensor model.norm.weight has type I64"),
    ] {
        let model = copy_of("qwen2-tiny", directory.path(), name);
        fs::write(model.join("model.safetensors"), bytes).expect("written");
        refused(&model, "q8_0", &[words]);
    }
    for (name, index, words) in [
        ("list", "[]", "index.json: not a safetensors index"),
        ("outside", r#"{"weight_map": {"a": "../a.safetensors"}}"#, "\"../a.safetensors\" is not the name of a file"),
    ] {
        let model = copy_of("qwen3-tiny-sharded", directory.path(), name);
        fs::write(model.join("model.safetensors.index.json"), index).expect("written");
        refused(&model, "q8_0", &[words]);
    }
}

#[test]
fn gguf_files_that_are_damaged_are_named() {
    let directory = tempdir().expect("a directory");
    let whole = fs::read(fixture("gguf/qwen2-tiny-f16.gguf")).expect("a fixture");
    let with = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|window| window == from.as_bytes()).expect("it is in there");
        [&whole[..at], to.as_bytes(), &whole[at + to.len()..]].concat()
    };
    let mut version = whole.clone();
    version[4] = 9;
    let mut count = whole.clone();
    count[8..16].fill(0xff);
    for (name, bytes, words) in [
        ("empty", Vec::new(), "is empty; fetch it again"),
        ("magic", b"PK\x03\x04 and so on".to_vec(), "at byte 0: this is not a GGUF file"),
        ("version", version, "GGUF version 9 is not supported"),
        ("count", count, "at byte 8: 18446744073709551615 tensors cannot fit"),
        ("cut", whole[..whole.len() - 100].to_vec(), "it is truncated: fetch it again"),
        ("head", whole[..1000].to_vec(), "at byte "),
        ("architecture", with("qwen2", "llama"), "architecture \"llama\" is not supported"),
        ("tensor", with("blk.1.attn_k.weight", "blk.9"), "tensor blk.1.attn_k.weight is missing"),
        ("key", with("qwen2.block_count", "qwen2.clock"), "qwen2.block_count is missing"),
        ("tokens", with("tokenizer.ggml.merges", "tokenizer.ggml.nerges"), "tokenizer.ggml.merges is missing"),
    ] {
        let model = directory.path().join(format!("{name}.gguf"));
        fs::write(&model, bytes).expect("written");
        refused(&model, "q8_0", &[&format!("{name}.gguf"), words]);
    }
    // Anything cut off anywhere in the head is an error, and never a panic.
    for length in (4..2_000).step_by(7) {
        let model = directory.path().join("cut.gguf");
        fs::write(&model, &whole[..length]).expect("written");
        refused(&model, "q8_0", &["cut.gguf: "]);
    }
}
