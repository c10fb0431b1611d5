//! The tensors of a model: their names in Hugging Face's files and in GGUF, and their shapes.

use qaio::engine::{Config, Family};

/// A tensor that a model has.
pub struct Part {
    pub hugging_face: String,
    pub gguf: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
}

/// All tensors of a model of this shape, in the order in which they are written.
pub fn parts(config: &Config) -> Vec<Part> {
    let Config { vocab_size, hidden_size, .. } = *config;
    let mut parts = vec![part("model.embed_tokens.weight", "token_embd.weight", &[vocab_size, hidden_size])];
    for layer in 0..config.layers {
        parts.extend(layer_parts(config).into_iter().map(|(hugging_face, gguf, shape)| Part {
            hugging_face: format!("model.layers.{layer}.{hugging_face}"),
            gguf: format!("blk.{layer}.{gguf}"),
            shape,
        }));
    }
    parts.push(part("model.norm.weight", "output_norm.weight", &[hidden_size]));
    if !config.tied {
        parts.push(part("lm_head.weight", "output.weight", &[vocab_size, hidden_size]));
    }
    parts
}

fn layer_parts(config: &Config) -> Vec<(&'static str, &'static str, Vec<usize>)> {
    let Config { hidden_size: hidden, intermediate_size: inner, head_dim, .. } = *config;
    let (queries, keys) = (config.heads * head_dim, config.kv_heads * head_dim);
    let mut parts = vec![
        ("input_layernorm.weight", "attn_norm.weight", vec![hidden]),
        ("self_attn.q_proj.weight", "attn_q.weight", vec![queries, hidden]),
        ("self_attn.k_proj.weight", "attn_k.weight", vec![keys, hidden]),
        ("self_attn.v_proj.weight", "attn_v.weight", vec![keys, hidden]),
        ("self_attn.o_proj.weight", "attn_output.weight", vec![hidden, queries]),
    ];
    parts.extend(match config.family {
        Family::Qwen2 => vec![
            ("self_attn.q_proj.bias", "attn_q.bias", vec![queries]),
            ("self_attn.k_proj.bias", "attn_k.bias", vec![keys]),
            ("self_attn.v_proj.bias", "attn_v.bias", vec![keys]),
        ],
        Family::Qwen3 => vec![
            ("self_attn.q_norm.weight", "attn_q_norm.weight", vec![head_dim]),
            ("self_attn.k_norm.weight", "attn_k_norm.weight", vec![head_dim]),
        ],
    });
    parts.extend([
        ("post_attention_layernorm.weight", "ffn_norm.weight", vec![hidden]),
        ("mlp.gate_proj.weight", "ffn_gate.weight", vec![inner, hidden]),
        ("mlp.up_proj.weight", "ffn_up.weight", vec![inner, hidden]),
        ("mlp.down_proj.weight", "ffn_down.weight", vec![hidden, inner]),
    ]);
    parts
}

fn part(hugging_face: &str, gguf: &str, shape: &[usize]) -> Part {
    Part { hugging_face: hugging_face.to_owned(), gguf: gguf.to_owned(), shape: shape.to_vec() }
}
