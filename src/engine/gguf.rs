//! Reads a GGUF file (versions 2 and 3): metadata and the places of its tensors.
//!
//! Source: the GGUF specification of ggml (docs/gguf.md). The file is not trusted: each length is checked against
//! what is left of it before anything is allocated, the number of entries is bounded, arrays stay in the file, and an
//! error names the byte where reading stopped.

use crate::error::{Error, ErrorKind, Result};
use candle_core::quantized::GgmlDType;
use std::collections::HashMap;
use std::ops::Range;

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    /// Any integer type that fits.
    Int(i64),
    /// `f32` or `f64`.
    Float(f64),
    Bool(bool),
    Text(&'a str),
    Array(Array<'a>),
}

/// An array, checked as a whole and read where it lies: a million numbers of a byte each must not become a million
/// [`Value`]s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Array<'a> {
    /// The type of its elements.
    kind: u32,
    length: usize,
    /// From the first element on.
    bytes: &'a [u8],
}

impl<'a> Array<'a> {
    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The elements, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let Self { kind, length, bytes } = *self;
        let mut reader = Reader { bytes, at: 0 };
        // All of them were read once before, so none is an error.
        (0..length).map_while(move |_| reader.value(kind, 0).ok())
    }
}

/// Where a tensor lies and what it is.
#[derive(Debug, Clone)]
pub(crate) struct TensorInfo {
    pub(crate) dtype: GgmlDType,
    /// Outermost dimension first, as in PyTorch (the file has it the other way round).
    pub(crate) shape: Vec<usize>,
    /// Bytes of the file.
    pub(crate) range: Range<usize>,
}

/// The head of a GGUF file.
#[derive(Debug)]
pub(crate) struct Gguf<'a> {
    pub(crate) metadata: HashMap<&'a str, Value<'a>>,
    pub(crate) tensors: HashMap<&'a str, TensorInfo>,
}

const MAGIC: &[u8; 4] = b"GGUF";
/// The format allows arrays of arrays; nothing writes deeper ones than this.
const MAX_ARRAY_DEPTH: usize = 3;
/// No model has nearly as many tensors or metadata entries; what an entry takes in memory is several times what it takes
/// in the file.
const MAX_ENTRIES: usize = 1 << 16;

impl<'a> Gguf<'a> {
    /// Parses the head of `bytes`.
    ///
    /// # Errors
    /// `ModelCorrupt` with the offset, `ModelUnsupported` for a version or tensor type that is not read here.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader { bytes, at: 0 };
        if reader.take(4)? != MAGIC {
            return Err(corrupt(
                0,
                "this is not a GGUF file, which begins with \"GGUF\"; give a .gguf file or the directory of a model",
            ));
        }
        let version = reader.u32()?;
        if !(2..=3).contains(&version) {
            let message = format!("GGUF version {version} is not supported (2 and 3 are); convert the model again");
            return Err(Error::new(ErrorKind::ModelUnsupported, message));
        }
        let tensor_count = reader.entries(24, "tensors")?;
        let metadata_count = reader.entries(13, "metadata entries")?;

        let mut metadata = HashMap::new();
        for _ in 0..metadata_count {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader.value(kind, 0)?;
            metadata.insert(key, value);
        }
        let mut places = Vec::new();
        for _ in 0..tensor_count {
            places.push(reader.tensor()?);
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(Value::Int(n)) if (1..=1 << 20).contains(n) && (*n as usize).is_power_of_two() => *n as usize,
            Some(other) => {
                return Err(corrupt(reader.at, &format!("general.alignment is {other:?}, not a power of two")));
            }
        };
        let data_start = reader.at.next_multiple_of(alignment);

        let mut tensors = HashMap::new();
        for (name, dtype, shape, offset) in places {
            let range = tensor_range(name, dtype, &shape, data_start, offset, bytes.len())?;
            if tensors.insert(name, TensorInfo { dtype, shape, range }).is_some() {
                return Err(corrupt(reader.at, &format!("tensor {name} is listed twice")));
            }
        }
        refuse_overlaps(&tensors)?;
        Ok(Self { metadata, tensors })
    }

    /// An integer under `key`.
    pub(crate) fn int(&self, key: &str) -> Option<i64> {
        match self.metadata.get(key)? {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// A number under `key`.
    pub(crate) fn float(&self, key: &str) -> Option<f64> {
        match self.metadata.get(key)? {
            Value::Int(n) => Some(*n as f64),
            Value::Float(x) => Some(*x),
            _ => None,
        }
    }

    /// Text under `key`.
    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        match self.metadata.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An array under `key`.
    pub(crate) fn array(&self, key: &str) -> Option<Array<'a>> {
        match self.metadata.get(key)? {
            Value::Array(array) => Some(*array),
            _ => None,
        }
    }
}

fn refuse_overlaps(tensors: &HashMap<&str, TensorInfo>) -> Result<()> {
    let mut places: Vec<_> = tensors.iter().map(|(name, info)| (info.range.start, info.range.end, *name)).collect();
    places.sort_unstable();
    for pair in places.windows(2) {
        let ((_, end, first), (start, _, second)) = (pair[0], pair[1]);
        if start < end {
            return Err(corrupt(start, &format!("tensors {first} and {second} overlap; the file is damaged")));
        }
    }
    Ok(())
}

/// The bytes of one tensor, checked against the file's length.
fn tensor_range(
    name: &str,
    dtype: GgmlDType,
    shape: &[usize],
    data_start: usize,
    offset: u64,
    file_length: usize,
) -> Result<Range<usize>> {
    let overflow = || corrupt(data_start, &format!("tensor {name} has an impossible shape {shape:?}"));
    let elements = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(overflow)?;
    let row = shape.last().copied().unwrap_or(1);
    if elements == 0 || !row.is_multiple_of(dtype.block_size()) {
        return Err(overflow());
    }
    let length = (elements / dtype.block_size()).checked_mul(dtype.type_size()).ok_or_else(overflow)?;
    let start = usize::try_from(offset).ok().and_then(|offset| data_start.checked_add(offset));
    match start.and_then(|start| Some((start, start.checked_add(length)?))) {
        Some((start, end)) if end <= file_length => Ok(start..end),
        _ => Err(corrupt(
            data_start,
            &format!(
                "tensor {name} needs {length} bytes at data offset {offset}, but the file has only {file_length} bytes; \
                 it is truncated: fetch it again"
            ),
        )),
    }
}

fn corrupt(at: usize, message: &str) -> Error {
    Error::new(ErrorKind::ModelCorrupt, format!("at byte {at}: {message}"))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() {
            let message =
                format!("{length} bytes are needed, {} are left; the file is truncated or damaged", rest.len());
            return Err(corrupt(self.at, &message));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things of at least `smallest` bytes each; more than the file can hold is refused.
    fn count(&mut self, smallest: usize, what: &str) -> Result<usize> {
        let at = self.at;
        let count = self.u64()?;
        let most = (self.bytes.len() - self.at) / smallest;
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(corrupt(at, &format!("{count} {what} cannot fit into the file; it is damaged"))),
        }
    }

    /// As [`count`](Self::count), of things that are kept.
    fn entries(&mut self, smallest: usize, what: &str) -> Result<usize> {
        let at = self.at;
        match self.count(smallest, what)? {
            count if count <= MAX_ENTRIES => Ok(count),
            count => Err(corrupt(at, &format!("{count} {what} are more than a model has ({MAX_ENTRIES} at most)"))),
        }
    }

    fn text(&mut self) -> Result<&'a str> {
        let at = self.at;
        let length = self.count(1, "bytes of text")?;
        std::str::from_utf8(self.take(length)?).map_err(|_| corrupt(at, "a text is not UTF-8; the file is damaged"))
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value<'a>> {
        let at = self.at;
        Ok(match kind {
            0 => Value::Int(i64::from(self.array::<1>()?[0])),
            1 => Value::Int(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Value::Int(i64::from(u16::from_le_bytes(self.array()?))),
            3 => Value::Int(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Int(i64::from(self.u32()?)),
            5 => Value::Int(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Float(f64::from(f32::from_le_bytes(self.array()?))),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => {
                if depth == MAX_ARRAY_DEPTH {
                    return Err(corrupt(at, "arrays are nested too deep; the file is damaged"));
                }
                let inner = self.u32()?;
                let smallest = match inner {
                    0 | 1 | 7 => 1,
                    2 | 3 => 2,
                    4..=6 => 4,
                    _ => 8,
                };
                let count = self.count(smallest, "array elements")?;
                let bytes = &self.bytes[self.at..];
                for _ in 0..count {
                    self.value(inner, depth + 1)?;
                }
                Value::Array(Array { kind: inner, length: count, bytes })
            }
            10 => {
                let value = self.u64()?;
                Value::Int(i64::try_from(value).map_err(|_| corrupt(at, &format!("{value} is out of range")))?)
            }
            11 => Value::Int(i64::from_le_bytes(self.array()?)),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            _ => return Err(corrupt(at, &format!("metadata type {kind} does not exist; the file is damaged"))),
        })
    }

    fn tensor(&mut self) -> Result<(&'a str, GgmlDType, Vec<usize>, u64)> {
        let name = self.text()?;
        let at = self.at;
        let rank = self.u32()? as usize;
        if !(1..=4).contains(&rank) {
            return Err(corrupt(at, &format!("tensor {name} has {rank} dimensions (1 to 4 are possible)")));
        }
        let mut shape = Vec::with_capacity(rank);
        for _ in 0..rank {
            let dimension = self.u64()?;
            shape.push(usize::try_from(dimension).map_err(|_| corrupt(at, &format!("dimension {dimension}")))?);
        }
        shape.reverse();
        let dtype = dtype_from_id(self.u32()?, name)?;
        Ok((name, dtype, shape, self.u64()?))
    }
}

/// ggml's number of a tensor type.
fn dtype_from_id(id: u32, name: &str) -> Result<GgmlDType> {
    Ok(match id {
        0 => GgmlDType::F32,
        1 => GgmlDType::F16,
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        8 => GgmlDType::Q8_0,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        30 => GgmlDType::BF16,
        _ => {
            let message = format!(
                "tensor {name} has ggml type {id}, which is not supported; use F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, \
                 Q5_1, Q4_K, Q5_K or Q6_K"
            );
            return Err(Error::new(ErrorKind::ModelUnsupported, message));
        }
    })
}
