//! The Qwen2 and Qwen3 transformer: from token ids to hidden states, and from a hidden state to logits.
//!
//! Names follow the checkpoint; the reference is `modeling_qwen2.py` and `modeling_qwen3.py` of Hugging Face
//! transformers. Every buffer is `[tokens, width]`, row-major, f32.

use super::checkpoint::Checkpoint;
use super::kernel::attention::attend;
use super::kernel::float::dot;
use super::kernel::{Activations, silu_times};
use super::matrix::Matrix;
use super::pool::Pool;
use super::{Config, Family, Interrupt, Kv};
use crate::error::{Result, fail};
use std::ops::Range;
use std::sync::Arc;

/// The weights.
#[derive(Debug)]
pub(crate) struct Qwen {
    config: Config,
    /// `[vocab, hidden]`; also the output matrix when the two are tied.
    embedding: Matrix,
    layers: Vec<Layer>,
    final_norm: RmsNorm,
    /// `[vocab, hidden]`, unless tied.
    output: Option<Matrix>,
    rotary: Rotary,
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Layer {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    mlp: Mlp,
}

/// Tokens to run, and the KV of those before them.
pub(crate) struct Sequence<'a> {
    /// At least one.
    pub(crate) tokens: &'a [u32],
    pub(crate) kv: &'a mut Kv,
}

impl Sequence<'_> {
    fn positions(&self) -> Range<usize> {
        let start = self.kv.tokens().len();
        start..start + self.tokens.len()
    }
}

impl Qwen {
    pub(crate) fn load(config: Config, checkpoint: &Checkpoint) -> Result<Self> {
        let Config { hidden_size: hidden, vocab_size: vocab, rms_norm_eps: eps, .. } = config;
        let output = match config.tied || !checkpoint.has(None, "output") {
            true => None,
            false => Some(checkpoint.matrix(None, "output", [vocab, hidden])?),
        };
        Ok(Self {
            embedding: checkpoint.matrix(None, "embedding", [vocab, hidden])?,
            layers: (0..config.layers).map(|layer| Layer::load(&config, checkpoint, layer)).collect::<Result<_>>()?,
            final_norm: RmsNorm { weight: checkpoint.norm(None, "final_norm", hidden)?, eps },
            output,
            rotary: Rotary::new(&config),
            pool: checkpoint.pool().clone(),
            config,
        })
    }

    /// Bytes of all weight matrices; a tied embedding counts once.
    pub(crate) fn size(&self) -> usize {
        self.matrices().map(Matrix::size).sum()
    }

    /// Weights, matrices and vectors.
    pub(crate) fn parameters(&self) -> usize {
        let matrices: usize = self.matrices().map(|matrix| matrix.rows * matrix.columns).sum();
        let vectors: usize = self.layers.iter().map(Layer::vector_parameters).sum();
        matrices + vectors + self.final_norm.weight.len()
    }

    /// The format that most of the weights are in.
    pub(crate) fn dtype(&self) -> candle_core::quantized::GgmlDType {
        self.layers[0].mlp.up.dtype
    }

    fn matrices(&self) -> impl Iterator<Item = &Matrix> {
        let layers = self.layers.iter().flat_map(|layer| {
            let (attention, mlp) = (&layer.attention, &layer.mlp);
            let projections = [&attention.q, &attention.k, &attention.v].map(|projection| &projection.weight);
            projections.into_iter().chain([&attention.o, &mlp.gate, &mlp.up, &mlp.down])
        });
        layers.chain([&self.embedding]).chain(&self.output)
    }

    /// Runs the tokens of each sequence after those in its KV and adds them to it. Returns the final hidden states
    /// `[tokens of all sequences, hidden]` (normalised, ready for [`logits`](Self::logits)). A sequence's results do not
    /// depend on the others.
    ///
    /// # Errors
    /// When interrupted, or `OutOfMemory`; each KV is then as before.
    pub(crate) fn forward(&self, sequences: &mut [Sequence], interrupt: &Interrupt) -> Result<Vec<f32>> {
        let outcome = self.try_forward(sequences, interrupt);
        for Sequence { tokens, kv } in sequences {
            match outcome {
                Ok(_) => kv.commit(tokens),
                Err(_) => kv.discard_uncommitted(),
            }
        }
        outcome
    }

    fn try_forward(&self, sequences: &mut [Sequence], interrupt: &Interrupt) -> Result<Vec<f32>> {
        let hidden = self.config.hidden_size;
        let tokens = || sequences.iter().flat_map(|sequence| sequence.tokens);
        let mut x = vec![0.0; tokens().count() * hidden];
        for (row, &token) in x.chunks_exact_mut(hidden).zip(tokens()) {
            if token as usize >= self.config.vocab_size {
                fail!(ModelCorrupt, "token {token} is outside the embedding of {} rows", self.config.vocab_size);
            }
            self.embedding.read_row(token as usize, row);
        }
        let angles = self.rotary.angles(sequences.iter().flat_map(Sequence::positions));
        let slots: Vec<usize> =
            sequences.iter_mut().map(|Sequence { tokens, kv }| kv.reserve(tokens.len())).collect::<Result<_>>()?;
        for (index, layer) in self.layers.iter().enumerate() {
            interrupt.check()?;
            let normed = layer.attention_norm.apply(&x);
            add(
                &mut x,
                &layer.attention.forward(&self.config, &self.input(&normed), &angles, sequences, index, &slots),
            );
            let normed = layer.mlp_norm.apply(&x);
            add(&mut x, &layer.mlp.forward(&self.input(&normed)));
        }
        Ok(self.final_norm.apply(&x))
    }

    /// What matrices are multiplied with, on the model's threads.
    fn input<'a>(&'a self, x: &'a [f32]) -> Activations<'a> {
        Activations::new(&self.pool, x)
    }

    /// Logits `[states, vocab]` of hidden states `[states, hidden]`.
    pub(crate) fn logits(&self, hidden: &[f32]) -> Vec<f32> {
        let mut logits = vec![0.0; hidden.len() / self.config.hidden_size * self.config.vocab_size];
        self.output.as_ref().unwrap_or(&self.embedding).apply(&self.input(hidden), &mut logits);
        logits
    }

    /// The logits of `ids` only.
    pub(crate) fn logits_of(&self, hidden: &[f32], ids: &[u32]) -> Vec<f32> {
        self.output.as_ref().unwrap_or(&self.embedding).apply_rows(&self.input(hidden), ids)
    }
}

impl Layer {
    fn load(config: &Config, checkpoint: &Checkpoint, layer: usize) -> Result<Self> {
        let Config { hidden_size: hidden, intermediate_size: inner, rms_norm_eps: eps, head_dim, .. } = *config;
        let here = Some(layer);
        let norm = |part, length| Ok(RmsNorm { weight: checkpoint.norm(here, part, length)?, eps });
        let (q_width, kv_width) = (config.heads * head_dim, config.kv_heads * head_dim);
        let projection = |part, width| {
            let weight = checkpoint.matrix(here, part, [width, hidden])?;
            let bias = match config.family {
                Family::Qwen2 => Some(checkpoint.bias(here, part, width)?),
                Family::Qwen3 => None,
            };
            Ok(Projection { weight, bias })
        };
        let head_norms = match config.family {
            Family::Qwen2 => None,
            Family::Qwen3 => Some((norm("q_norm", head_dim)?, norm("k_norm", head_dim)?)),
        };
        Ok(Self {
            attention_norm: norm("attention_norm", hidden)?,
            attention: Attention {
                q: projection("q", q_width)?,
                k: projection("k", kv_width)?,
                v: projection("v", kv_width)?,
                o: checkpoint.matrix(here, "o", [hidden, q_width])?,
                head_norms,
            },
            mlp_norm: norm("mlp_norm", hidden)?,
            mlp: Mlp {
                gate: checkpoint.matrix(here, "gate", [inner, hidden])?,
                up: checkpoint.matrix(here, "up", [inner, hidden])?,
                down: checkpoint.matrix(here, "down", [hidden, inner])?,
            },
        })
    }

    fn vector_parameters(&self) -> usize {
        let attention = &self.attention;
        let biases = [&attention.q, &attention.k, &attention.v].map(|p| p.bias.as_ref().map_or(0, Vec::len));
        let head_norms = attention.head_norms.as_ref().map_or(0, |(q, k)| q.weight.len() + k.weight.len());
        self.attention_norm.weight.len() + self.mlp_norm.weight.len() + biases.iter().sum::<usize>() + head_norms
    }
}

/// Grouped-query attention with rotary positions.
#[derive(Debug)]
struct Attention {
    q: Projection,
    k: Projection,
    v: Projection,
    o: Matrix,
    /// Of queries and keys, per head (Qwen3).
    head_norms: Option<(RmsNorm, RmsNorm)>,
}

impl Attention {
    /// `x`: `[tokens of all sequences, hidden]`. Writes each sequence's keys and values into its KV, from position
    /// `slots` of its last segment.
    fn forward(
        &self,
        config: &Config,
        x: &Activations,
        angles: &Angles,
        sequences: &mut [Sequence],
        layer: usize,
        slots: &[usize],
    ) -> Vec<f32> {
        let Config { hidden_size: hidden, heads, kv_heads, head_dim, .. } = *config;
        let (q_width, kv_width) = (heads * head_dim, kv_heads * head_dim);
        let (tokens, pool) = (x.values().len() / hidden, x.pool());
        let mut queries = self.q.apply(x);
        let mut keys = self.k.apply(x);
        let values = self.v.apply(x);
        if let Some((q_norm, k_norm)) = &self.head_norms {
            queries = q_norm.apply(&queries);
            keys = k_norm.apply(&keys);
        }
        angles.rotate(&mut queries, q_width, head_dim);
        angles.rotate(&mut keys, kv_width, head_dim);
        let mut written = keys.chunks_exact(kv_width).zip(values.chunks_exact(kv_width));
        for (sequence, &slot) in sequences.iter_mut().zip(slots) {
            for (position, (keys, values)) in (slot..).zip(written.by_ref().take(sequence.tokens.len())) {
                sequence.kv.write(layer, position, keys, values);
            }
        }

        let scale = 1.0 / (head_dim as f32).sqrt();
        // Per sequence, the pieces of each KV head; per token, its sequence and how many positions it sees.
        let pieces: Vec<Vec<_>> = sequences
            .iter()
            .map(|Sequence { tokens, kv }| (0..kv_heads).map(|head| kv.pieces(layer, head, tokens.len())).collect())
            .collect();
        let rows: Vec<(usize, usize)> = sequences
            .iter()
            .enumerate()
            .flat_map(|(index, sequence)| sequence.positions().map(move |position| (index, position + 1)))
            .collect();
        // [tokens, heads, head_dim]; each token and head on its own.
        let mut mixed = vec![0.0; tokens * q_width];
        let heads_of = |first: usize, mixed: &mut [f32]| {
            let mut scores = Vec::new();
            for (index, out) in (first..).zip(mixed.chunks_exact_mut(head_dim)) {
                let ((sequence, positions), head) = (rows[index / heads], index % heads);
                scores.resize(positions.max(scores.len()), 0.0);
                let query = &queries[index * head_dim..][..head_dim];
                attend(query, &pieces[sequence][head * kv_heads / heads], positions, scale, &mut scores, out);
            }
        };
        if q_width * rows.iter().map(|(_, positions)| positions).sum::<usize>() < 1 << 16 {
            heads_of(0, &mut mixed);
        } else {
            // All heads of a token at a time, or of a few tokens each head.
            let at_once = if tokens >= 4 * pool.threads() { heads } else { 1 };
            pool.for_each_chunk(&mut mixed, at_once * head_dim, |part, mixed| heads_of(part * at_once, mixed));
        }
        let mut out = vec![0.0; tokens * hidden];
        self.o.apply(&Activations::new(pool, &mixed), &mut out);
        out
    }
}

/// The gated feed-forward layer: `down(silu(gate(x)) · up(x))`.
#[derive(Debug)]
struct Mlp {
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

impl Mlp {
    fn forward(&self, x: &Activations) -> Vec<f32> {
        let (tokens, pool) = (x.values().len() / self.gate.columns, x.pool());
        let mut gate = vec![0.0; tokens * self.gate.rows];
        let mut up = vec![0.0; tokens * self.gate.rows];
        self.gate.apply(x, &mut gate);
        self.up.apply(x, &mut up);
        const PART: usize = 1 << 13;
        pool.for_each_chunk(&mut gate, PART, |part, gate| silu_times(gate, &up[part * PART..][..gate.len()]));
        let mut out = vec![0.0; tokens * self.down.rows];
        self.down.apply(&Activations::new(pool, &gate), &mut out);
        out
    }
}

/// A linear layer with an optional bias.
#[derive(Debug)]
struct Projection {
    weight: Matrix,
    bias: Option<Vec<f32>>,
}

impl Projection {
    fn apply(&self, x: &Activations) -> Vec<f32> {
        let mut out = vec![0.0; x.values().len() / self.weight.columns * self.weight.rows];
        self.weight.apply(x, &mut out);
        if let Some(bias) = &self.bias {
            out.chunks_exact_mut(bias.len()).for_each(|row| add(row, bias));
        }
        out
    }
}

/// Root mean square normalisation over rows of the weight's length.
#[derive(Debug)]
struct RmsNorm {
    weight: Vec<f32>,
    eps: f32,
}

impl RmsNorm {
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let width = self.weight.len();
        let mut out = vec![0.0; x.len()];
        for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
            let mean_square = dot(x, x) / width as f32;
            let scale = 1.0 / (mean_square + self.eps).sqrt();
            for ((out, x), weight) in out.iter_mut().zip(x).zip(&self.weight) {
                *out = weight * (x * scale);
            }
        }
        out
    }
}

/// Rotary position embedding (Su et al. 2021), the halves of a head rotated against each other as in GPT-NeoX.
#[derive(Debug)]
struct Rotary {
    /// `[head_dim / 2]`.
    frequencies: Vec<f32>,
}

/// Cosines and sines of some positions, `[tokens, head_dim / 2]` each.
struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rotary {
    fn new(config: &Config) -> Self {
        let dim = config.head_dim;
        let frequency = |i: usize| 1.0 / config.rope_theta.powf(i as f32 / dim as f32);
        Self { frequencies: (0..dim).step_by(2).map(frequency).collect() }
    }

    fn angles(&self, positions: impl Iterator<Item = usize>) -> Angles {
        let angles = positions.flat_map(|position| self.frequencies.iter().map(move |f| position as f32 * f));
        let (sin, cos) = angles.map(f32::sin_cos).unzip();
        Angles { cos, sin }
    }
}

impl Angles {
    /// `x`: `[tokens, width]`, heads of `head_dim` side by side.
    fn rotate(&self, x: &mut [f32], width: usize, head_dim: usize) {
        let half = head_dim / 2;
        let positions = self.cos.chunks_exact(half).zip(self.sin.chunks_exact(half));
        for (row, (cos, sin)) in x.chunks_exact_mut(width).zip(positions) {
            for head in row.chunks_exact_mut(head_dim) {
                let (left, right) = head.split_at_mut(half);
                for i in 0..half {
                    let (a, b) = (left[i], right[i]);
                    left[i] = a * cos[i] - b * sin[i];
                    right[i] = b * cos[i] + a * sin[i];
                }
            }
        }
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
