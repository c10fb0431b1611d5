//! The true shapes of small Qwen models: what of a model decides its speed, without its weights.

/// Numbers of `config.json`.
pub struct Shape {
    /// As the command line has it.
    pub name: &'static str,
    /// As the makers have it.
    pub title: &'static str,
    pub architecture: &'static str,
    pub hidden: usize,
    pub inner: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub context: usize,
}

/// Rows of the embedding of all of them.
pub const VOCABULARY: usize = 151_936;

pub const NAMES: [&str; 3] = [SHAPES[0].name, SHAPES[1].name, SHAPES[2].name];

const SHAPES: [Shape; 3] = [
    Shape {
        name: "qwen1.5-0.5b",
        title: "Qwen1.5-0.5B",
        architecture: "qwen2",
        hidden: 1024,
        inner: 2816,
        layers: 24,
        heads: 16,
        kv_heads: 16,
        head_dim: 64,
        context: 32_768,
    },
    Shape {
        name: "qwen2.5-0.5b",
        title: "Qwen2.5-0.5B",
        architecture: "qwen2",
        hidden: 896,
        inner: 4864,
        layers: 24,
        heads: 14,
        kv_heads: 2,
        head_dim: 64,
        context: 32_768,
    },
    Shape {
        name: "qwen3-0.6b",
        title: "Qwen3-0.6B",
        architecture: "qwen3",
        hidden: 1024,
        inner: 3072,
        layers: 28,
        heads: 16,
        kv_heads: 8,
        head_dim: 128,
        context: 40_960,
    },
];

/// A tensor by GGUF's name.
pub struct TensorSpec {
    pub name: String,
    pub role: TensorRole,
    /// Outermost first.
    pub shape: Vec<usize>,
}

/// What a tensor does, which decides what its random numbers look like.
#[derive(Clone, Copy, PartialEq)]
pub enum TensorRole {
    Matrix,
    Norm,
    Bias,
}

impl Shape {
    pub fn named(name: &str) -> Option<&'static Shape> {
        SHAPES.iter().find(|shape| shape.name == name)
    }

    /// All tensors; the output matrix is the embedding.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        use TensorRole::{Bias, Matrix, Norm};
        let &Shape { hidden, inner, head_dim, .. } = self;
        let (queries, keys) = (self.heads * head_dim, self.kv_heads * head_dim);
        let mut all = Vec::new();
        let mut add = |name: String, role: TensorRole, shape: &[usize]| {
            all.push(TensorSpec { name, role, shape: shape.to_vec() });
        };
        add("token_embd.weight".to_owned(), Matrix, &[VOCABULARY, hidden]);
        add("output_norm.weight".to_owned(), Norm, &[hidden]);
        for layer in 0..self.layers {
            let mut add = |name: &str, role, shape: &[usize]| add(format!("blk.{layer}.{name}"), role, shape);
            add("attn_norm.weight", Norm, &[hidden]);
            add("ffn_norm.weight", Norm, &[hidden]);
            for (part, width) in [("q", queries), ("k", keys), ("v", keys)] {
                add(&format!("attn_{part}.weight"), Matrix, &[width, hidden]);
                if self.architecture == "qwen2" {
                    add(&format!("attn_{part}.bias"), Bias, &[width]);
                }
            }
            if self.architecture == "qwen3" {
                add("attn_q_norm.weight", Norm, &[head_dim]);
                add("attn_k_norm.weight", Norm, &[head_dim]);
            }
            add("attn_output.weight", Matrix, &[hidden, queries]);
            add("ffn_gate.weight", Matrix, &[inner, hidden]);
            add("ffn_up.weight", Matrix, &[inner, hidden]);
            add("ffn_down.weight", Matrix, &[hidden, inner]);
        }
        all
    }
}
