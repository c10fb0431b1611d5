//! A GGUF file in memory: random weights in the true shape of a model.
//!
//! The numbers are drawn as they are stored, block by block, so that making them takes no memory beside the file. The
//! format is that of ggml's specification (docs/gguf.md), version 3.

use super::shape::{Shape, TensorRole, TensorSpec};
use super::vocabulary::Vocabulary;
use crate::failure::Failure;
use half::{bf16, f16};
use qaio::Precision;
use qaio::engine::Interrupt;

/// Weights of a matrix go from minus to plus this, as in a trained model of this size.
const SPREAD: f32 = 0.035;
const ALIGNMENT: usize = 32;
/// Weights of a block of Q8_0 and Q4_0.
const BLOCK: usize = 32;

/// How a tensor is stored.
#[derive(Clone, Copy)]
enum Format {
    F32,
    Bf16,
    Q8_0,
    Q4_0,
}

impl Format {
    fn of(spec: &TensorSpec, precision: Precision) -> Self {
        match (spec.role, precision) {
            (TensorRole::Norm | TensorRole::Bias, _) | (_, Precision::F32) => Format::F32,
            (_, Precision::Bf16) => Format::Bf16,
            (_, Precision::Q4) => Format::Q4_0,
            (_, Precision::Auto | Precision::Q8) => Format::Q8_0,
        }
    }

    /// ggml's number.
    fn id(self) -> u32 {
        match self {
            Format::F32 => 0,
            Format::Q4_0 => 2,
            Format::Q8_0 => 8,
            Format::Bf16 => 30,
        }
    }

    fn bytes(self, weights: usize) -> usize {
        match self {
            Format::F32 => weights * 4,
            Format::Bf16 => weights * 2,
            Format::Q8_0 => weights / BLOCK * (2 + BLOCK),
            Format::Q4_0 => weights / BLOCK * (2 + BLOCK / 2),
        }
    }
}

/// The file.
pub fn gguf(shape: &Shape, precision: Precision, interrupt: &Interrupt) -> Result<Vec<u8>, Failure> {
    let specs = shape.tensors();
    let mut head = Head::default();
    let metadata = metadata(shape, &mut head.bytes);
    let mut at = 0;
    let mut places = Vec::new();
    for spec in &specs {
        let format = Format::of(spec, precision);
        let length = format.bytes(spec.shape.iter().product());
        head.tensor(spec, format, at);
        places.push((spec.role, format, at..at + length));
        at = (at + length).next_multiple_of(ALIGNMENT);
    }
    let mut file = Vec::new();
    let start = (24 + head.bytes.len()).next_multiple_of(ALIGNMENT);
    file.try_reserve_exact(start + at).map_err(|_| {
        Failure::Message(format!("{} bytes of weights do not fit into memory; try --precision q4", start + at))
    })?;
    file.extend_from_slice(b"GGUF");
    file.extend_from_slice(&3u32.to_le_bytes());
    file.extend_from_slice(&(specs.len() as u64).to_le_bytes());
    file.extend_from_slice(&metadata.to_le_bytes());
    file.extend_from_slice(&head.bytes);
    file.resize(start + at, 0);
    for (seed, (role, format, range)) in (1..).zip(places) {
        interrupt.check()?;
        fill(&mut file[start..][range], role, format, &mut XorShift::new(seed));
    }
    Ok(file)
}

/// Writes the metadata. Returns how many entries there are.
fn metadata(shape: &Shape, out: &mut Vec<u8>) -> u64 {
    let architecture = shape.architecture;
    let Vocabulary { tokens, types, merges } = Vocabulary::new(architecture == "qwen3");
    let texts = [
        ("general.architecture", architecture.to_owned()),
        ("general.name", format!("random weights in the shape of {}", shape.title)),
        ("tokenizer.ggml.model", "gpt2".to_owned()),
        ("tokenizer.ggml.pre", "qwen2".to_owned()),
    ];
    for (key, value) in &texts {
        entry(out, key, 8);
        text(out, value);
    }
    let numbers = [
        ("block_count", shape.layers),
        ("context_length", shape.context),
        ("embedding_length", shape.hidden),
        ("feed_forward_length", shape.inner),
        ("attention.head_count", shape.heads),
        ("attention.head_count_kv", shape.kv_heads),
        ("attention.key_length", shape.head_dim),
    ];
    for (key, value) in numbers {
        entry(out, &format!("{architecture}.{key}"), 4);
        out.extend_from_slice(&(value as u32).to_le_bytes());
    }
    let floats = [("attention.layer_norm_rms_epsilon", 1e-6f32), ("rope.freq_base", 1e6)];
    for (key, value) in floats {
        entry(out, &format!("{architecture}.{key}"), 6);
        out.extend_from_slice(&value.to_le_bytes());
    }
    for (key, values) in [("tokenizer.ggml.tokens", &tokens), ("tokenizer.ggml.merges", &merges)] {
        array(out, key, 8, values.len());
        values.iter().for_each(|value| text(out, value));
    }
    array(out, "tokenizer.ggml.token_type", 5, types.len());
    types.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    (texts.len() + numbers.len() + floats.len() + 3) as u64
}

fn entry(out: &mut Vec<u8>, key: &str, kind: u32) {
    text(out, key);
    out.extend_from_slice(&kind.to_le_bytes());
}

fn array(out: &mut Vec<u8>, key: &str, kind: u32, length: usize) {
    entry(out, key, 9);
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&(length as u64).to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// What comes between the counts and the data.
#[derive(Default)]
struct Head {
    bytes: Vec<u8>,
}

impl Head {
    fn tensor(&mut self, spec: &TensorSpec, format: Format, offset: usize) {
        text(&mut self.bytes, &spec.name);
        self.bytes.extend_from_slice(&(spec.shape.len() as u32).to_le_bytes());
        // Innermost first.
        for &dimension in spec.shape.iter().rev() {
            self.bytes.extend_from_slice(&(dimension as u64).to_le_bytes());
        }
        self.bytes.extend_from_slice(&format.id().to_le_bytes());
        self.bytes.extend_from_slice(&(offset as u64).to_le_bytes());
    }
}

fn fill(data: &mut [u8], role: TensorRole, format: Format, random: &mut XorShift) {
    let (centre, spread) = match role {
        TensorRole::Norm => (1.0, 0.1),
        TensorRole::Matrix | TensorRole::Bias => (0.0, SPREAD),
    };
    match format {
        Format::F32 => {
            for weight in data.as_chunks_mut::<4>().0 {
                *weight = (centre + spread * random.unit()).to_le_bytes();
            }
        }
        Format::Bf16 => {
            for weight in data.as_chunks_mut::<2>().0 {
                *weight = bf16::from_f32(centre + spread * random.unit()).to_le_bytes();
            }
        }
        Format::Q8_0 => {
            let scale = f16::from_f32(spread / 127.0).to_le_bytes();
            for block in data.as_chunks_mut::<{ 2 + BLOCK }>().0 {
                block[..2].copy_from_slice(&scale);
                for weights in block[2..].as_chunks_mut::<8>().0 {
                    // A quantiser never gives -128.
                    *weights = random.next().to_le_bytes().map(|byte| if byte == 0x80 { 0 } else { byte });
                }
            }
        }
        Format::Q4_0 => {
            let scale = f16::from_f32(spread / 8.0).to_le_bytes();
            for block in data.as_chunks_mut::<{ 2 + BLOCK / 2 }>().0 {
                block[..2].copy_from_slice(&scale);
                for weights in block[2..].as_chunks_mut::<8>().0 {
                    *weights = random.next().to_le_bytes();
                }
            }
        }
    }
}

/// Marsaglia 2003, "Xorshift RNGs".
struct XorShift(u64);

impl XorShift {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// From -1 to 1.
    fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}
