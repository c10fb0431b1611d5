//! Small checkpoints with random weights, in the layout of Hugging Face.

use super::fixture;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A model's directory in the making: what is not changed is as in the fixtures.
pub struct Checkpoint {
    pub config: Value,
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Checkpoint {
    /// A Qwen2 whose rows are long enough for blocks of 256: 8 layers, 256 wide, output matrix of its own.
    pub fn wide() -> Self {
        let text = fs::read_to_string(fixture("qwen2-tiny/config.json")).expect("a fixture");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        for (key, value) in
            [("hidden_size", 256), ("intermediate_size", 512), ("num_hidden_layers", 8), ("num_key_value_heads", 2)]
        {
            config[key] = value.into();
        }
        config["tie_word_embeddings"] = false.into();
        let mut random = Random(1);
        let mut tensors = BTreeMap::new();
        let mut add = |name: String, shape: &[usize]| {
            let norm = if name.contains("norm") { 1.0 } else { 0.0 };
            let weights = (0..shape.iter().product()).map(|_| norm + random.next()).collect();
            tensors.insert(name, (shape.to_vec(), weights));
        };
        for name in ["model.embed_tokens.weight", "lm_head.weight"] {
            add(name.to_owned(), &[352, 256]);
        }
        add("model.norm.weight".to_owned(), &[256]);
        for layer in 0..8 {
            for (name, shape) in [
                ("input_layernorm.weight", &[256][..]),
                ("self_attn.q_proj.weight", &[256, 256]),
                ("self_attn.q_proj.bias", &[256]),
                ("self_attn.k_proj.weight", &[128, 256]),
                ("self_attn.k_proj.bias", &[128]),
                ("self_attn.v_proj.weight", &[128, 256]),
                ("self_attn.v_proj.bias", &[128]),
                ("self_attn.o_proj.weight", &[256, 256]),
                ("post_attention_layernorm.weight", &[256]),
                ("mlp.gate_proj.weight", &[512, 256]),
                ("mlp.up_proj.weight", &[512, 256]),
                ("mlp.down_proj.weight", &[256, 512]),
            ] {
                add(format!("model.layers.{layer}.{name}"), shape);
            }
        }
        Self { config, tensors }
    }

    pub fn weights(&mut self, name: &str) -> &mut Vec<f32> {
        &mut self.tensors.get_mut(name).expect("a tensor of the model").1
    }

    /// Writes the model as `DIRECTORY/NAME`, with the tokenizer of the fixtures.
    pub fn write(&self, directory: &Path, name: &str) -> PathBuf {
        let model = copy_of("qwen2-tiny", directory, name);
        fs::write(model.join("config.json"), self.config.to_string()).expect("written");
        let mut header = serde_json::Map::new();
        let mut data = Vec::new();
        for (name, (shape, weights)) in &self.tensors {
            let start = data.len();
            data.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
            header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
        }
        fs::write(model.join("model.safetensors"), safetensors(&Value::Object(header), &data)).expect("written");
        model
    }
}

/// The bytes of a safetensors file.
pub fn safetensors(header: &Value, data: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// A copy of a fixture's directory, to be damaged.
pub fn copy_of(model: &str, directory: &Path, name: &str) -> PathBuf {
    let copy = directory.join(name);
    fs::create_dir(&copy).expect("a new directory");
    for file in fs::read_dir(fixture(model)).expect("a fixture") {
        let file = file.expect("a file");
        fs::copy(file.path(), copy.join(file.file_name())).expect("copied");
    }
    copy
}

/// Roughly normal, about 0.02 wide.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..6 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.0 >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
        }
        sum * 0.03
    }
}
