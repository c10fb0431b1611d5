//! The model that is read: its metadata, and where each of its tensors lies.

use super::metadata::Metadata;
use super::{checkpoint, directory};
use crate::failure::Failure;
use candle_core::quantized::GgmlDType;
use std::path::{Path, PathBuf};

/// A model on disk, its weights not read yet.
pub struct Source {
    /// As the result is to have it, but for the types.
    pub metadata: Metadata,
    /// In the order in which they are written.
    pub tensors: Vec<Tensor>,
    /// The files that the weights lie in.
    pub files: Vec<PathBuf>,
    /// Bytes of these files.
    pub bytes: u64,
    /// The weights of the result begin at multiples of this.
    pub alignment: u64,
    pub layers: usize,
    /// Whether the output matrix is the embedding.
    pub tied: bool,
    /// Tensors of the files that the architecture does not have; the result goes without them.
    pub left_out: Vec<String>,
}

/// A tensor in a file.
pub struct Tensor {
    /// In GGUF.
    pub name: String,
    /// In its file.
    pub own_name: String,
    pub dtype: GgmlDType,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Which of the files.
    pub file: usize,
    pub offset: u64,
    /// Whether the architecture has it; what else a GGUF file carries stays as it is.
    pub known: bool,
}

impl Source {
    /// Finds the model at `path`: a directory from Hugging Face or a GGUF file.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => directory::open(path),
            Ok(_) => checkpoint::open(path),
            Err(error) => Err(unreadable(path, &error)),
        }
    }
}

impl Tensor {
    /// Weights of the innermost dimension.
    pub fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    pub fn rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }
}

/// Why a file cannot be read.
pub fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    let shown = path.display();
    Failure::Message(match error.kind() {
        std::io::ErrorKind::NotFound => format!("{shown} does not exist; check the path"),
        _ => format!("{shown} could not be read: {error}"),
    })
}

/// A tensor that the architecture has is not there.
pub fn missing(place: &Path, name: &str) -> Failure {
    let place = place.display();
    Failure::Message(format!(
        "{place}: tensor {name} is missing; the files do not belong together: fetch the model again"
    ))
}

/// A tensor does not fit the configuration.
pub fn misshapen(place: &Path, name: &str, shape: &[usize], expected: &[usize]) -> Failure {
    let place = place.display();
    Failure::Message(format!(
        "{place}: tensor {name} has shape {shape:?}, the configuration asks for {expected:?}; the files do not belong \
         together"
    ))
}
