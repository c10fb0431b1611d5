//! Reads the head of a GGUF file (versions 2 and 3) without its weights.
//!
//! The file is not trusted: each length is checked against what is left before anything is allocated, and an error
//! names the byte where reading stopped, in the words of the library.

use super::metadata::Metadata;
use super::types;
use candle_core::quantized::GgmlDType;
use std::io::Read;

/// What stands before the weights.
pub struct Head {
    pub metadata: Metadata,
    pub tensors: Vec<TensorInfo>,
    pub alignment: u64,
}

/// Where a tensor lies and what it is.
pub struct TensorInfo {
    pub name: String,
    pub dtype: GgmlDType,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Byte of the file.
    pub offset: u64,
}

/// The format allows arrays of arrays; nothing writes deeper ones than this.
const MAX_ARRAY_DEPTH: usize = 3;

type Result<T> = std::result::Result<T, String>;

/// The head of a file of `length` bytes.
///
/// # Errors
/// What is wrong and where, without the file's name.
pub fn read(input: impl Read, length: u64) -> Result<Head> {
    let mut reader = Reader { input, at: 0, length };
    if reader.array()? != *b"GGUF" {
        let message =
            "this is not a GGUF file, which begins with \"GGUF\"; give a .gguf file or the directory of a model";
        return Err(corrupt(0, message));
    }
    let version = reader.u32()?;
    if !(2..=3).contains(&version) {
        return Err(format!("GGUF version {version} is not supported (2 and 3 are); convert the model again"));
    }
    let tensor_count = reader.count(24, "tensors")?;
    let metadata_count = reader.count(13, "metadata entries")?;
    let mut metadata = Metadata::default();
    for _ in 0..metadata_count {
        let key = reader.text()?;
        let kind = reader.array::<4>()?;
        let mut value = kind.to_vec();
        reader.value(u32::from_le_bytes(kind), 0, &mut value)?;
        metadata.set(key, value);
    }
    let mut tensors: Vec<TensorInfo> = Vec::new();
    for _ in 0..tensor_count {
        tensors.push(reader.tensor()?);
    }
    let alignment = match metadata.int("general.alignment") {
        None => 32,
        Some(n) if (1..=1 << 20).contains(&n) && (n as u64).is_power_of_two() => n as u64,
        Some(n) => return Err(corrupt(reader.at, &format!("general.alignment is {n}, not a power of two"))),
    };
    let data_start = reader.at.next_multiple_of(alignment);
    for tensor in &mut tensors {
        tensor.offset = tensor.place(data_start, length)?;
    }
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(corrupt(reader.at, &format!("tensor {} is listed twice", twice[0])));
    }
    Ok(Head { metadata, tensors, alignment })
}

impl TensorInfo {
    /// The byte of the file where the tensor begins, if all of it is there.
    fn place(&self, data_start: u64, file_length: u64) -> Result<u64> {
        let Self { name, dtype, shape, offset } = self;
        let overflow = || corrupt(data_start, &format!("tensor {name} has an impossible shape {shape:?}"));
        let elements = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64)).ok_or_else(overflow)?;
        let row = shape.last().copied().unwrap_or(1);
        let length = types::size(*dtype, elements).ok_or_else(overflow)?;
        if elements == 0 || !row.is_multiple_of(dtype.block_size()) {
            return Err(overflow());
        }
        let start = data_start.checked_add(*offset);
        start.filter(|start| start.checked_add(length).is_some_and(|end| end <= file_length)).ok_or_else(|| {
            let message = format!(
                "tensor {name} needs {length} bytes at data offset {offset}, but the file has only {file_length} \
                 bytes; it is truncated: fetch it again"
            );
            corrupt(data_start, &message)
        })
    }
}

fn corrupt(at: u64, message: &str) -> String {
    format!("at byte {at}: {message}")
}

struct Reader<R> {
    input: R,
    at: u64,
    length: u64,
}

impl<R: Read> Reader<R> {
    fn take(&mut self, length: u64) -> Result<Vec<u8>> {
        let left = self.length - self.at;
        if length > left {
            let message = format!("{length} bytes are needed, {left} are left; the file is truncated or damaged");
            return Err(corrupt(self.at, &message));
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes).map_err(|error| corrupt(self.at, &format!("it cannot be read: {error}")))?;
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(&self.take(N as u64)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A count of things of at least `smallest` bytes each; more than the file can hold is refused.
    fn count(&mut self, smallest: u64, what: &str) -> Result<u64> {
        let at = self.at;
        let count = u64::from_le_bytes(self.array()?);
        match count <= (self.length - self.at) / smallest {
            true => Ok(count),
            false => Err(corrupt(at, &format!("{count} {what} cannot fit into the file; it is damaged"))),
        }
    }

    fn text(&mut self) -> Result<String> {
        let at = self.at;
        let length = self.count(1, "bytes of text")?;
        String::from_utf8(self.take(length)?).map_err(|_| corrupt(at, "a text is not UTF-8; the file is damaged"))
    }

    /// Appends a value of type `kind` to `out`, as it is.
    fn value(&mut self, kind: u32, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        let at = self.at;
        match kind {
            8 => {
                let text = self.text()?;
                out.extend((text.len() as u64).to_le_bytes());
                out.extend(text.into_bytes());
            }
            9 if depth == MAX_ARRAY_DEPTH => {
                return Err(corrupt(at, "arrays are nested too deep; the file is damaged"));
            }
            9 => {
                let inner = self.u32()?;
                let count = self.count(width(inner).unwrap_or(8), "array elements")?;
                out.extend(inner.to_le_bytes());
                out.extend(count.to_le_bytes());
                match width(inner) {
                    Some(width) => out.extend(self.take(count * width)?),
                    None => (0..count).try_for_each(|_| self.value(inner, depth + 1, out))?,
                }
            }
            kind => match width(kind) {
                Some(width) => out.extend(self.take(width)?),
                None => {
                    return Err(corrupt(at, &format!("metadata type {kind} does not exist; the file is damaged")));
                }
            },
        }
        Ok(())
    }

    fn tensor(&mut self) -> Result<TensorInfo> {
        let name = self.text()?;
        let at = self.at;
        let rank = self.u32()?;
        if !(1..=4).contains(&rank) {
            return Err(corrupt(at, &format!("tensor {name} has {rank} dimensions (1 to 4 are possible)")));
        }
        let mut shape = Vec::new();
        for _ in 0..rank {
            let dimension = u64::from_le_bytes(self.array()?);
            shape.push(usize::try_from(dimension).map_err(|_| corrupt(at, &format!("dimension {dimension}")))?);
        }
        shape.reverse();
        let id = self.u32()?;
        let dtype = types::from_id(id).ok_or_else(|| {
            format!(
                "tensor {name} has ggml type {id}, which is not supported; use F32, F16, BF16, Q8_0, Q4_0, Q4_1, \
                 Q5_0, Q5_1, Q4_K, Q5_K or Q6_K"
            )
        })?;
        let offset = u64::from_le_bytes(self.array()?);
        Ok(TensorInfo { name, dtype, shape, offset })
    }
}

/// Bytes of a value of type `kind`, if all have the same.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
