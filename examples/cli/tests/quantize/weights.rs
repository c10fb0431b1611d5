//! The weights: their types, and how far they are from what they were made of.

use super::checkpoint::Checkpoint;
use super::gguf::Gguf;
use super::{fixture, quantized};
use candle_core::quantized::GgmlDType;
use tempfile::tempdir;

/// gguf-py rounds like ggml itself, so the files agree to the bit.
#[test]
fn weights_are_those_of_the_reference_files() {
    let directory = tempdir().expect("a directory");
    for (model, to) in [("qwen2-tiny", "q8_0"), ("qwen2-tiny", "q4_0"), ("qwen2-tiny", "f16"), ("qwen3-tiny", "f16")] {
        let output = directory.path().join(format!("{model}-{to}.gguf"));
        quantized(&fixture(model), &output, to, &[]);
        let (made, reference) = (Gguf::read(&output), Gguf::read(&fixture("gguf").join(format!("{model}-{to}.gguf"))));
        assert!(made.tensors.keys().eq(reference.tensors.keys()));
        for name in made.tensors.keys().filter(|name| to != "q4_0" || *name != "token_embd.weight") {
            assert_eq!(made.dtype(name), reference.dtype(name), "{model} {to} {name}");
            assert_eq!(made.tensors[name].shape(), reference.tensors[name].shape(), "{model} {to} {name}");
            assert!(made.bytes(name) == reference.bytes(name), "{model} {to} {name}");
        }
    }
}

#[test]
fn all_ways_to_store_a_model_give_the_same_weights() {
    let directory = tempdir().expect("a directory");
    let make = |input: &str, to: &str| {
        let output = directory.path().join("out.gguf");
        quantized(&fixture(input), &output, to, &["--force"]);
        Gguf::read(&output)
    };
    for to in ["q8_0", "q4_0", "q4_k", "f16"] {
        for (a, b) in [
            ("qwen2-tiny", "gguf/qwen2-tiny-f32.gguf"),
            ("qwen2-tiny-f16", "gguf/qwen2-tiny-f16.gguf"),
            ("qwen2-tiny-bf16", "gguf/qwen2-tiny-bf16.gguf"),
            ("qwen3-tiny", "gguf/qwen3-tiny-f32.gguf"),
            ("qwen3-tiny-bf16", "qwen3-tiny-sharded"),
        ] {
            let (a, b) = (make(a, to), make(b, to));
            assert!(a.tensors.keys().eq(b.tensors.keys()));
            // The norms of these two GGUF files were never rounded.
            let matrices = a.tensors.keys().filter(|name| a.tensors[*name].rank() == 2);
            for name in matrices {
                assert_eq!(a.dtype(name), b.dtype(name), "{name} {to}");
                assert!(a.bytes(name) == b.bytes(name), "{name} {to}");
            }
        }
    }
}

#[test]
fn weights_stay_within_the_error_of_their_type() {
    let directory = tempdir().expect("a directory");
    let mut checkpoint = Checkpoint::wide();
    // What a search for the best scale may stumble over: nothing, all the same, one that sticks out.
    let gate = checkpoint.weights("model.layers.0.mlp.gate_proj.weight");
    gate[..256].fill(0.0);
    gate[256..512].fill(0.5);
    gate[512..768].fill(-0.25);
    gate[768..1024].fill(0.0);
    gate[800] = 3.0;
    for name in ["model.layers.0.self_attn.v_proj.weight", "lm_head.weight"] {
        checkpoint.weights(name)[..256].fill(0.0);
    }
    let model = checkpoint.write(directory.path(), "wide");
    let file = |to: &str| {
        let output = directory.path().join(format!("wide-{to}.gguf"));
        let (_, remarks) = quantized(&model, &output, to, &[]);
        assert_eq!(remarks, "", "no row is too short");
        Gguf::read(&output)
    };
    for to in ["f16", "q8_0", "q4_0", "q4_k"] {
        let made = file(to);
        for (own, name) in [
            ("model.embed_tokens", "token_embd"),
            ("lm_head", "output"),
            ("model.layers.0.mlp.gate_proj", "blk.0.ffn_gate"),
            ("model.layers.0.self_attn.v_proj", "blk.0.attn_v"),
            ("model.layers.4.mlp.down_proj", "blk.4.ffn_down"),
            ("model.layers.7.self_attn.o_proj", "blk.7.attn_output"),
            ("model.layers.3.input_layernorm", "blk.3.attn_norm"),
            ("model.norm", "output_norm"),
        ] {
            let weights = &checkpoint.tensors[&format!("{own}.weight")].1;
            let name = format!("{name}.weight");
            check(&name, made.dtype(&name), weights, &made.weights(&name));
        }
    }
}

/// Each weight is at most a step of its block away, and all together much less.
fn check(name: &str, dtype: GgmlDType, weights: &[f32], made: &[f32]) {
    // Steps from the largest weight of a block to the one opposite to it, and the error of all in parts of all.
    let (steps, most) = match dtype {
        GgmlDType::F32 => (f32::INFINITY, 0.0),
        GgmlDType::F16 => (2048.0, 0.0005),
        GgmlDType::Q8_0 => (226.0, 0.01),
        GgmlDType::Q6K => (40.0, 0.03),
        GgmlDType::Q4K => (6.0, 0.1),
        GgmlDType::Q4_0 => (7.9, 0.13),
        other => panic!("{name} is {other:?}"),
    };
    assert_eq!(weights.len(), made.len());
    let block = dtype.block_size().max(32);
    for (weights, made) in weights.chunks(block).zip(made.chunks(block)) {
        let largest = weights.iter().fold(0.0f32, |most, weight| most.max(weight.abs()));
        for (weight, made) in weights.iter().zip(made) {
            assert!((weight - made).abs() <= largest / steps, "{name} {dtype:?}: {weight} became {made} of {largest}");
        }
    }
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    let error = norm(&mut weights.iter().zip(made).map(|(a, b)| a - b)) / norm(&mut weights.iter().copied());
    assert!(error <= most, "{name} {dtype:?}: {error}");
}

#[test]
fn types_are_those_of_llama_cpp() {
    let directory = tempdir().expect("a directory");
    let model = Checkpoint::wide().write(directory.path(), "wide");
    let file = |to: &str| {
        let output = directory.path().join(format!("{to}.gguf"));
        quantized(&model, &output, to, &[]);
        Gguf::read(&output)
    };
    let (q8, q40, q4k) = (file("q8_0"), file("q4_0"), file("q4_k"));
    for made in [&q8, &q40, &q4k] {
        for (name, tensor) in made.tensors.iter().filter(|(_, tensor)| tensor.rank() == 1) {
            assert_eq!(tensor.dtype(), GgmlDType::F32, "{name}");
        }
    }
    let finer = |made: &Gguf| {
        let names = made.tensors.keys().filter(|name| made.dtype(name) == GgmlDType::Q6K);
        names.cloned().collect::<Vec<_>>()
    };
    assert!(finer(&q8).is_empty());
    assert_eq!(finer(&q40), ["output.weight"]);
    // Of 8 layers the first, the last, and each third one between.
    let mut expected: Vec<String> = [0, 3, 6, 7]
        .iter()
        .flat_map(|layer| [format!("blk.{layer}.attn_v.weight"), format!("blk.{layer}.ffn_down.weight")])
        .collect();
    expected.push("output.weight".to_owned());
    assert_eq!(finer(&q4k), expected);
    assert_eq!(q4k.dtype("token_embd.weight"), GgmlDType::Q4K);
}

#[test]
fn rows_that_are_too_short_get_the_next_type_and_that_is_said() {
    let directory = tempdir().expect("a directory");
    let output = directory.path().join("out.gguf");
    let (_, remarks) = quantized(&fixture("qwen2-tiny"), &output, "q4_k", &[]);
    assert_eq!(
        remarks,
        "12 of 15 matrices are q5_0 instead of q4_k: their rows are no multiple of 256\n\
         3 of 15 matrices are q8_0 instead of q6_k: their rows are no multiple of 256\n"
    );
    let made = Gguf::read(&output);
    assert_eq!(made.dtype("token_embd.weight"), GgmlDType::Q8_0);
    assert_eq!(made.dtype("blk.0.attn_q.weight"), GgmlDType::Q5_0);
}
