//! Command lines that ask for what is not done.

use super::{failure, fixture, part, quantize, quantized, run, text};
use std::fs;
use tempfile::tempdir;

#[test]
fn a_wrong_command_line_is_code_2() {
    for (arguments, word) in [
        (&["quantize"][..], "<IN>"),
        (&["quantize", "a"], "<OUT>"),
        (&["quantize", "a", "b"], "--to"),
        (&["quantize", "a", "b", "--to", "q3_k"], "q4_k"),
        (&["quantize", "a", "b", "--to", "q8_0", "--threads", "0"], "threads"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains(word), "{word}: {output:?}");
    }
}

#[test]
fn a_file_that_exists_is_replaced_only_if_asked_for() {
    let directory = tempdir().expect("a directory");
    let (model, output) = (fixture("qwen2-tiny"), directory.path().join("out.gguf"));
    quantized(&model, &output, "q8_0", &[]);
    let before = fs::read(&output).expect("it is there");
    let message = failure(&quantize(&model, &output, "q4_0", &[]), 1);
    assert!(message.contains("out.gguf exists; replace it with --force"), "{message}");
    assert_eq!(fs::read(&output).expect("it is there"), before);
    quantized(&model, &output, "q4_0", &["--force"]);
    assert_ne!(fs::read(&output).expect("it is there"), before);
}

#[test]
fn force_replaces_only_what_this_could_have_written() {
    let directory = tempdir().expect("a directory");
    let output = directory.path().join("letter.txt");
    fs::write(&output, "Dear Sir").expect("written");
    let message = failure(&quantize(&fixture("qwen2-tiny"), &output, "q8_0", &["--force"]), 1);
    assert!(message.contains("letter.txt is no GGUF file, and --force replaces only those"), "{message}");
    assert_eq!(fs::read(&output).expect("it is there"), b"Dear Sir");
}

#[test]
fn what_another_run_writes_is_left_alone() {
    let directory = tempdir().expect("a directory");
    let (model, output) = (fixture("qwen2-tiny"), directory.path().join("out.gguf"));
    fs::write(part(&output), "begun").expect("written");
    let message = failure(&quantize(&model, &output, "q8_0", &[]), 1);
    assert!(message.contains("out.gguf.part exists: another run writes it"), "{message}");
    assert_eq!(fs::read(part(&output)).expect("it is there"), b"begun");
    quantized(&model, &output, "q8_0", &["--force"]);
}

#[test]
fn the_model_that_is_read_is_never_written() {
    let directory = tempdir().expect("a directory");
    let model = directory.path().join("model.gguf");
    fs::copy(fixture("gguf/qwen2-tiny-f16.gguf"), &model).expect("copied");
    for output in [model.clone(), directory.path().join(".").join("model.gguf")] {
        let message = failure(&quantize(&model, &output, "q8_0", &["--force"]), 1);
        assert!(message.contains("model.gguf is the model that is read; name another file"), "{message}");
    }
    let shard = super::checkpoint::copy_of("qwen2-tiny", directory.path(), "hf").join("model.safetensors");
    let before = fs::read(&shard).expect("it is there");
    failure(&quantize(&directory.path().join("hf"), &shard, "q8_0", &["--force"]), 1);
    assert_eq!(fs::read(&shard).expect("it is there"), before);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let directory = tempdir().expect("a directory");
    let model = fixture("qwen2-tiny");
    let message = failure(&quantize(&model, directory.path(), "q8_0", &["--force"]), 1);
    assert!(message.contains("is a directory; name a file in it"), "{message}");
    let message = failure(&quantize(&model, &directory.path().join("no/out.gguf"), "q8_0", &[]), 1);
    assert!(message.contains("no is no directory; create it first"), "{message}");
}

#[test]
fn quantised_weights_are_not_made_larger() {
    let directory = tempdir().expect("a directory");
    let output = directory.path().join("out.gguf");
    for (model, to, words) in [
        ("qwen2-tiny-q4_0", "q8_0", "tensor token_embd.weight is q4_0 already, and as q8_0 it would be larger"),
        ("qwen2-tiny-q8_0", "f16", "is q8_0 already, and as f16"),
        ("qwen2-k256-q4_k_m", "q8_0", "is q6_k already, and as q8_0"),
    ] {
        let model = fixture("gguf").join(format!("{model}.gguf"));
        let message = failure(&quantize(&model, &output, to, &[]), 1);
        assert!(message.contains(words) && message.contains(text(&model)), "{message}");
        assert!(message.contains("--allow-requantize") && !output.exists(), "{message}");
        quantized(&model, &output, to, &["--allow-requantize"]);
        fs::remove_file(&output).expect("it was made");
    }
}

#[test]
fn quantised_weights_may_become_smaller_and_that_is_said() {
    let directory = tempdir().expect("a directory");
    let output = directory.path().join("out.gguf");
    let (_, remarks) = quantized(&fixture("gguf/qwen2-tiny-q8_0.gguf"), &output, "q4_0", &[]);
    assert!(remarks.contains("14 of 15 matrices are rounded a second time"), "{remarks}");
    // A matrix that is coarse already stays as it is, where llama.cpp would have it finer.
    let (_, remarks) = quantized(&fixture("gguf/qwen2-tiny-q4_0.gguf"), &output, "q4_0", &["--force"]);
    assert_eq!(remarks, "");
    let (made, source) = (fs::read(&output), fs::read(fixture("gguf/qwen2-tiny-q4_0.gguf")));
    assert_eq!(made.expect("it is there").len(), source.expect("a fixture").len());
}
