//! Makes the files: the same random weights as safetensors in F32 and BF16 and as GGUF in Q8_0.

use super::Made;
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use half::bf16;
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const HIDDEN: usize = 1024;
const INNER: usize = 2816;
const LAYERS: usize = 24;
const HEADS: usize = 16;
const VOCABULARY: usize = 151_936;

/// One tensor: Hugging Face's name, GGUF's, shape.
struct Spec {
    hugging_face: String,
    gguf: String,
    shape: Vec<usize>,
}

fn specs() -> Vec<Spec> {
    let spec = |hugging_face: String, gguf: String, shape: &[usize]| Spec { hugging_face, gguf, shape: shape.to_vec() };
    let top = |hugging_face: &str, gguf: &str, shape: &[usize]| spec(hugging_face.into(), gguf.into(), shape);
    let mut all = vec![
        top("model.embed_tokens.weight", "token_embd.weight", &[VOCABULARY, HIDDEN]),
        top("model.norm.weight", "output_norm.weight", &[HIDDEN]),
    ];
    for layer in 0..LAYERS {
        let mut add = |hugging_face: &str, gguf: &str, shape: &[usize]| {
            all.push(spec(format!("model.layers.{layer}.{hugging_face}"), format!("blk.{layer}.{gguf}"), shape));
        };
        add("input_layernorm.weight", "attn_norm.weight", &[HIDDEN]);
        add("post_attention_layernorm.weight", "ffn_norm.weight", &[HIDDEN]);
        for (long, short) in [("q_proj", "attn_q"), ("k_proj", "attn_k"), ("v_proj", "attn_v")] {
            add(&format!("self_attn.{long}.weight"), &format!("{short}.weight"), &[HIDDEN, HIDDEN]);
            add(&format!("self_attn.{long}.bias"), &format!("{short}.bias"), &[HIDDEN]);
        }
        add("self_attn.o_proj.weight", "attn_output.weight", &[HIDDEN, HIDDEN]);
        add("mlp.gate_proj.weight", "ffn_gate.weight", &[INNER, HIDDEN]);
        add("mlp.up_proj.weight", "ffn_up.weight", &[INNER, HIDDEN]);
        add("mlp.down_proj.weight", "ffn_down.weight", &[HIDDEN, INNER]);
    }
    all
}

/// Weights of a spread that keeps the activations in range: norms near 1, matrices small.
fn weights(spec: &Spec, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let (centre, spread) = if spec.hugging_face.contains("norm") { (1.0, 0.1) } else { (0.0, 0.035) };
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let unit = (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        // What both files hold must be the same number.
        bf16::from_f32(centre + spread * unit).to_f32()
    };
    std::iter::repeat_with(next).take(spec.shape.iter().product()).collect()
}

/// Makes what is not there yet.
pub fn make(directory: &Path) -> Made {
    let place = |name: &str| directory.join(name);
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/qwen/Qwen1.5-0.5B-Chat/tokenizer.json");
    let (tokenizer_path, tokenizer) = match real.exists() {
        true => (real, "with its own tokenizer"),
        false => {
            let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2-tiny/tokenizer.json");
            (tiny, "with a tiny tokenizer (the memory of the true one, some 60 MB while loading, is missing)")
        }
    };
    let made = Made { gguf: place("qwen-q8_0.gguf"), f32: place("qwen-f32"), bf16: place("qwen-bf16"), tokenizer };
    for (path, type_name) in [(&made.f32, "F32"), (&made.bf16, "BF16")] {
        if !path.join("model.safetensors").exists() {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join("config.json"), config().to_string()).unwrap();
            fs::copy(&tokenizer_path, path.join("tokenizer.json")).unwrap();
            write_safetensors(&path.join("model.safetensors"), type_name);
        }
    }
    if !made.gguf.exists() {
        write_gguf(&made.gguf, &tokenizer_path);
    }
    made
}

fn config() -> Json {
    json!({
        "model_type": "qwen2", "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": VOCABULARY, "rope_theta": 1e6,
        "rms_norm_eps": 1e-6, "max_position_embeddings": 32_768, "tie_word_embeddings": true, "hidden_act": "silu",
    })
}

/// Written tensor by tensor, so that making the files takes no more memory than one of them.
fn write_safetensors(path: &Path, type_name: &str) {
    let width = if type_name == "F32" { 4 } else { 2 };
    let mut header = serde_json::Map::new();
    let mut at = 0;
    for spec in specs() {
        let end = at + spec.shape.iter().product::<usize>() * width;
        let entry = json!({"dtype": type_name, "shape": spec.shape, "data_offsets": [at, end]});
        header.insert(spec.hugging_face, entry);
        at = end;
    }
    let mut header = Json::Object(header).to_string();
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    for (seed, spec) in (1..).zip(specs()) {
        for weight in weights(&spec, seed) {
            match width {
                4 => file.write_all(&weight.to_le_bytes()).unwrap(),
                _ => file.write_all(&bf16::from_f32(weight).to_le_bytes()).unwrap(),
            }
        }
    }
    file.flush().unwrap();
}

fn write_gguf(path: &PathBuf, tokenizer: &Path) {
    let metadata = gguf_metadata(tokenizer);
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<(String, QTensor)> = (1..)
        .zip(specs())
        .map(|(seed, spec)| {
            let dtype = if spec.shape.len() == 2 { GgmlDType::Q8_0 } else { GgmlDType::F32 };
            let tensor = Tensor::from_vec(weights(&spec, seed), spec.shape.as_slice(), &Device::Cpu).unwrap();
            (spec.gguf, QTensor::quantize(&tensor, dtype).unwrap())
        })
        .collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = BufWriter::new(File::create(path).unwrap());
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    file.flush().unwrap();
}

fn gguf_metadata(tokenizer: &Path) -> HashMap<String, Value> {
    let json: Json = serde_json::from_slice(&fs::read(tokenizer).unwrap()).unwrap();
    let mut tokens: Vec<String> = (0..VOCABULARY).map(|id| format!("[PAD{id}]")).collect();
    let mut types = vec![5; VOCABULARY];
    for (token, id) in json["model"]["vocab"].as_object().unwrap() {
        let id = id.as_u64().unwrap() as usize;
        tokens[id] = token.clone();
        types[id] = 1;
    }
    for added in json["added_tokens"].as_array().unwrap() {
        let id = added["id"].as_u64().unwrap() as usize;
        tokens[id] = added["content"].as_str().unwrap().to_owned();
        types[id] = 3;
    }
    let merge = |merge: &Json| match merge {
        Json::String(pair) => pair.clone(),
        pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
    };
    let merges = json["model"]["merges"].as_array().unwrap().iter().map(|pair| Value::String(merge(pair)));
    let text = |text: &str| Value::String(text.to_owned());
    let number = |number: usize| Value::U32(number as u32);
    [
        ("general.architecture", text("qwen2")),
        ("general.name", text("random weights in the shape of Qwen1.5-0.5B")),
        ("qwen2.block_count", number(LAYERS)),
        ("qwen2.context_length", number(32_768)),
        ("qwen2.embedding_length", number(HIDDEN)),
        ("qwen2.feed_forward_length", number(INNER)),
        ("qwen2.attention.head_count", number(HEADS)),
        ("qwen2.attention.head_count_kv", number(HEADS)),
        ("qwen2.attention.layer_norm_rms_epsilon", Value::F32(1e-6)),
        ("qwen2.rope.freq_base", Value::F32(1e6)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("qwen2")),
        ("tokenizer.ggml.tokens", Value::Array(tokens.into_iter().map(Value::String).collect())),
        ("tokenizer.ggml.token_type", Value::Array(types.into_iter().map(Value::I32).collect())),
        ("tokenizer.ggml.merges", Value::Array(merges.collect())),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
