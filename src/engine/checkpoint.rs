//! The tensors of a model by name, whatever file they lie in, and how they become [`Matrix`] and vectors.

use super::bytes::{self, Bytes, zeroed};
use super::gguf::Gguf;
use super::matrix::{self, Matrix};
use super::pool::Pool;
use super::source::Loading;
use super::{Interrupt, Precision};
use crate::error::{Error, ErrorKind, Result, fail};
use candle_core::quantized::GgmlDType;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// All tensors of a model.
pub(crate) struct Checkpoint {
    tensors: HashMap<String, Tensor>,
    /// Which names the tensors go by.
    naming: Naming,
    precision: Precision,
    /// The threads that convert.
    pool: Arc<Pool>,
    /// Checked before each tensor.
    interrupt: Interrupt,
}

struct Tensor {
    file: Arc<Bytes>,
    range: Range<usize>,
    dtype: GgmlDType,
    shape: Vec<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Naming {
    HuggingFace,
    Gguf,
}

/// The parts of a model: our name, Hugging Face's, GGUF's. Parts of a layer are looked up under its number.
const NAMES: [(&str, &str, &str); 14] = [
    ("embedding", "model.embed_tokens", "token_embd"),
    ("final_norm", "model.norm", "output_norm"),
    ("output", "lm_head", "output"),
    ("attention_norm", "input_layernorm", "attn_norm"),
    ("q", "self_attn.q_proj", "attn_q"),
    ("k", "self_attn.k_proj", "attn_k"),
    ("v", "self_attn.v_proj", "attn_v"),
    ("o", "self_attn.o_proj", "attn_output"),
    ("q_norm", "self_attn.q_norm", "attn_q_norm"),
    ("k_norm", "self_attn.k_norm", "attn_k_norm"),
    ("mlp_norm", "post_attention_layernorm", "ffn_norm"),
    ("gate", "mlp.gate_proj", "ffn_gate"),
    ("up", "mlp.up_proj", "ffn_up"),
    ("down", "mlp.down_proj", "ffn_down"),
];

impl Checkpoint {
    /// The safetensors files of a Hugging Face directory: `model.safetensors`, or the shards of its index.
    pub(crate) fn from_directory(directory: &Path, how: Loading) -> Result<Self> {
        let mut tensors = HashMap::new();
        for name in safetensors_files(directory)? {
            let path = directory.join(&name);
            let file = match Bytes::open(&path, how.mmap) {
                Err(error) if error.kind() == ErrorKind::NotFound => fail!(
                    ModelIncomplete,
                    "{} is listed in model.safetensors.index.json but missing; fetch the model again",
                    path.display()
                ),
                file => Arc::new(file?),
            };
            let damaged = || {
                let message = format!("{} is truncated or not a safetensors file; fetch it again", path.display());
                Error::new(ErrorKind::ModelCorrupt, message)
            };
            if header_length(file.as_slice()) > MAX_HEADER {
                return Err(damaged());
            }
            let (header, metadata) =
                SafeTensors::read_metadata(file.as_slice()).map_err(|error| damaged().caused_by(error))?;
            let data = header + 8;
            for (name, info) in metadata.tensors() {
                let dtype = match info.dtype {
                    Dtype::F32 => GgmlDType::F32,
                    Dtype::F16 => GgmlDType::F16,
                    Dtype::BF16 => GgmlDType::BF16,
                    other => fail!(
                        ModelUnsupported,
                        "{}: tensor {name} has type {other:?}; F32, F16 and BF16 are supported",
                        path.display()
                    ),
                };
                let range = data + info.data_offsets.0..data + info.data_offsets.1;
                let tensor = Tensor { file: file.clone(), range, dtype, shape: info.shape.clone() };
                tensors.insert(name, tensor);
            }
        }
        Ok(Self::new(tensors, Naming::HuggingFace, how))
    }

    /// The tensors of a parsed GGUF `file`.
    pub(crate) fn from_gguf(file: &Arc<Bytes>, gguf: &Gguf, how: Loading) -> Self {
        let tensors = gguf.tensors.iter().map(|(&name, info)| {
            let tensor =
                Tensor { file: file.clone(), range: info.range.clone(), dtype: info.dtype, shape: info.shape.clone() };
            (name.to_owned(), tensor)
        });
        Self::new(tensors.collect(), Naming::Gguf, how)
    }

    fn new(tensors: HashMap<String, Tensor>, naming: Naming, how: Loading) -> Self {
        let Loading { precision, pool, interrupt, .. } = how;
        Self { tensors, naming, precision, pool: pool.clone(), interrupt: interrupt.clone() }
    }

    /// The threads of the model.
    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Whether the model has `part`.
    pub(crate) fn has(&self, layer: Option<usize>, part: &str) -> bool {
        self.tensors.contains_key(&format!("{}.weight", self.name(layer, part)))
    }

    /// The weight matrix of `part`, in the precision asked for.
    pub(crate) fn matrix(&self, layer: Option<usize>, part: &str, shape: [usize; 2]) -> Result<Matrix> {
        self.interrupt.check()?;
        let name = format!("{}.weight", self.name(layer, part));
        let tensor = self.tensor(&name, &shape)?;
        let to = self.precision.of_matrix(tensor.dtype, self.naming == Naming::Gguf, shape[1]);
        Matrix::load(&self.pool, &tensor.file, tensor.range.clone(), tensor.dtype, to, shape)
            .map_err(|error| error.at(format_args!("tensor {name}")))
    }

    /// The weight vector of `part` (a norm) in f32.
    pub(crate) fn norm(&self, layer: Option<usize>, part: &str, length: usize) -> Result<Vec<f32>> {
        self.vector(&format!("{}.weight", self.name(layer, part)), length)
    }

    /// The bias of `part` in f32.
    pub(crate) fn bias(&self, layer: Option<usize>, part: &str, length: usize) -> Result<Vec<f32>> {
        self.vector(&format!("{}.bias", self.name(layer, part)), length)
    }

    fn vector(&self, name: &str, length: usize) -> Result<Vec<f32>> {
        let tensor = self.tensor(name, &[length])?;
        let mut out = zeroed(length, name)?;
        matrix::decode(tensor.dtype, &tensor.file.as_slice()[tensor.range.clone()], &mut out);
        tensor.file.release(tensor.range.clone());
        if let Some(at) = out.iter().position(|value: &f32| !value.is_finite()) {
            fail!(
                ModelNotFinite,
                "tensor {name}: element {at} is NaN or infinite; the file is damaged: fetch it again"
            );
        }
        Ok(out)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&Tensor> {
        let Some(tensor) = self.tensors.get(name) else {
            fail!(ModelCorrupt, "tensor {name} is missing; the files do not belong together: fetch the model again");
        };
        if tensor.shape != shape {
            fail!(
                ModelCorrupt,
                "tensor {name} has shape {:?}, the configuration asks for {shape:?}; the files do not belong together",
                tensor.shape
            );
        }
        Ok(tensor)
    }

    fn name(&self, layer: Option<usize>, part: &str) -> String {
        let &(_, hugging_face, gguf) =
            NAMES.iter().find(|(ours, _, _)| *ours == part).expect("a part that is in the table");
        match (self.naming, layer) {
            (Naming::HuggingFace, None) => hugging_face.to_owned(),
            (Naming::HuggingFace, Some(layer)) => format!("model.layers.{layer}.{hugging_face}"),
            (Naming::Gguf, None) => gguf.to_owned(),
            (Naming::Gguf, Some(layer)) => format!("blk.{layer}.{gguf}"),
        }
    }
}

/// The most bytes of a safetensors header: some thirty times what a large model has.
const MAX_HEADER: u64 = 4 << 20;
/// The most bytes of the index of a sharded model.
const MAX_INDEX: u64 = 4 << 20;

/// The length of the header that a safetensors file begins with, as it says; 0 for a file too short to say it.
fn header_length(file: &[u8]) -> u64 {
    file.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The names of the weight files in `directory`: the one, or those of the index.
///
/// # Errors
/// `ModelIncomplete` without either; `ModelCorrupt` when the index is none, or names what is not beside it.
pub fn safetensors_files(directory: &Path) -> Result<BTreeSet<String>> {
    const SINGLE: &str = "model.safetensors";
    const INDEX: &str = "model.safetensors.index.json";
    if directory.join(SINGLE).exists() {
        return Ok(BTreeSet::from([SINGLE.to_owned()]));
    }
    let path = directory.join(INDEX);
    let text = match bytes::read(&path, MAX_INDEX) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fail!(
                ModelIncomplete,
                "{} has neither {SINGLE} nor {INDEX}; fetch the model's weights",
                directory.display()
            );
        }
        text => text?,
    };
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: HashMap<String, String>,
    }
    let index: Index = serde_json::from_slice(&text).map_err(|error| {
        Error::new(ErrorKind::ModelCorrupt, format!("{}: not a safetensors index", path.display())).caused_by(error)
    })?;
    let files: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(name) = files.iter().find(|name| Path::new(name).components().count() != 1) {
        fail!(ModelCorrupt, "{}: \"{name}\" is not the name of a file beside the index", path.display());
    }
    Ok(files)
}
