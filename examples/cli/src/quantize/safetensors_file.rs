//! The header of a safetensors file, without its weights.

use super::source::unreadable;
use crate::failure::Failure;
use safetensors::SafeTensorError;
use safetensors::tensor::{Metadata, TensorInfo};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The longest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// What a file holds.
pub struct Header {
    /// By name, in the order of the file.
    pub tensors: Vec<(String, TensorInfo)>,
    /// Byte of the file where the weights begin.
    pub data: u64,
    /// Bytes of the file.
    pub length: u64,
}

/// The header of the file at `path`, checked against the file's length.
pub fn read(path: &Path) -> Result<Header, Failure> {
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let length = file.metadata().map_err(|error| unreadable(path, &error))?.len();
    if length == 0 {
        return Err(Failure::Message(format!("{} is empty; fetch it again", path.display())));
    }
    parse(&mut file, length).map_err(|error| {
        let path = path.display();
        Failure::Message(format!("{path} is truncated or not a safetensors file; fetch it again: {error}"))
    })
}

fn parse(file: &mut impl Read, length: u64) -> Result<Header, SafeTensorError> {
    let mut size = [0; 8];
    file.read_exact(&mut size).map_err(|_| SafeTensorError::HeaderTooSmall)?;
    let size = u64::from_le_bytes(size);
    if size > MAX_HEADER {
        return Err(SafeTensorError::HeaderTooLarge);
    }
    let data = 8 + size;
    if data > length {
        return Err(SafeTensorError::InvalidHeaderLength);
    }
    let mut json = vec![0; size as usize];
    file.read_exact(&mut json)?;
    let text = std::str::from_utf8(&json).map_err(SafeTensorError::InvalidHeader)?;
    let metadata: Metadata = serde_json::from_str(text).map_err(SafeTensorError::InvalidHeaderDeserialization)?;
    let mut tensors: Vec<(String, TensorInfo)> =
        metadata.tensors().into_iter().map(|(name, info)| (name, info.clone())).collect();
    tensors.sort_by(|a, b| a.1.data_offsets.cmp(&b.1.data_offsets).then_with(|| a.0.cmp(&b.0)));

    // The tensors follow each other without a gap, and the last one ends the file.
    let mut end = 0;
    for (name, info) in &tensors {
        let bits = info.shape.iter().try_fold(info.dtype.bitsize(), |bits, &n| bits.checked_mul(n));
        let (start, stop) = info.data_offsets;
        if start != end || stop < start {
            return Err(SafeTensorError::InvalidOffset(name.clone()));
        }
        if bits.ok_or(SafeTensorError::ValidationOverflow)? != (stop - start).saturating_mul(8) {
            return Err(SafeTensorError::TensorInvalidInfo);
        }
        end = stop;
    }
    if data.checked_add(end as u64) != Some(length) {
        return Err(SafeTensorError::MetadataIncompleteBuffer);
    }
    Ok(Header { tensors, data, length })
}
