//! Writes a GGUF file (version 3): head, then tensor after tensor, a few rows of weights in memory at a time.

use super::codec::{self, Refusal};
use super::metadata::{Metadata, put_text};
use super::source::{Source, Tensor, unreadable};
use super::target::Planned;
use super::{progress, types};
use crate::failure::Failure;
use crate::gguf_output::Output;
use candle_core::quantized::GgmlDType;
use indicatif::ProgressBar;
use qaio::CancelToken;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::thread;

/// Weights converted by a thread at a time: enough to make starting it worth while, little beside a tensor.
const PIECE: usize = 1 << 18;

/// What is written where.
pub struct Layout {
    head: Vec<u8>,
    /// Bytes of the whole file.
    pub total: u64,
}

impl Layout {
    /// The file of `plan`, with the metadata of `source` and the types of `plan`.
    pub fn new(metadata: &Metadata, plan: &[Planned], alignment: u64) -> Self {
        let mut head = b"GGUF".to_vec();
        head.extend(3u32.to_le_bytes());
        head.extend((plan.len() as u64).to_le_bytes());
        head.extend((metadata.entries().len() as u64).to_le_bytes());
        for (key, value) in metadata.entries() {
            put_text(&mut head, key);
            head.extend(value);
        }
        let mut offset = 0u64;
        for Planned { tensor, dtype, .. } in plan {
            put_text(&mut head, &tensor.name);
            head.extend((tensor.shape.len() as u32).to_le_bytes());
            head.extend(tensor.shape.iter().rev().flat_map(|&n| (n as u64).to_le_bytes()));
            head.extend(types::id(*dtype).to_le_bytes());
            head.extend(offset.to_le_bytes());
            offset += size(tensor, *dtype).next_multiple_of(alignment);
        }
        let total = (head.len() as u64).next_multiple_of(alignment) + offset;
        Self { head, total }
    }
}

/// Writes what `layout` and `plan` say into `output`.
pub fn write(
    source: &Source,
    layout: &Layout,
    plan: &[Planned],
    threads: usize,
    cancel: &CancelToken,
    output: &mut Output,
) -> Result<(), Failure> {
    output.write(&layout.head)?;
    output.pad(source.alignment)?;
    let bar = progress::bar(plan.iter().map(|planned| size(planned.tensor, planned.tensor.dtype)).sum());
    let job = Job { source, threads, cancel, bar: &bar };
    let result = plan.iter().try_for_each(|planned| {
        job.tensor(planned.tensor, planned.dtype, output)?;
        output.pad(source.alignment)
    });
    bar.finish_and_clear();
    result
}

struct Job<'a> {
    source: &'a Source,
    threads: usize,
    cancel: &'a CancelToken,
    bar: &'a ProgressBar,
}

impl Job<'_> {
    fn tensor(&self, tensor: &Tensor, to: GgmlDType, output: &mut Output) -> Result<(), Failure> {
        self.bar.set_message(tensor.name.clone());
        let path = &self.source.files[tensor.file];
        let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
        file.seek(SeekFrom::Start(tensor.offset)).map_err(|error| unreadable(path, &error))?;
        let columns = tensor.columns();
        let row_bytes = columns / tensor.dtype.block_size() * tensor.dtype.type_size();
        let piece_rows = (PIECE / columns).max(1);
        let mut row = 0;
        while row < tensor.rows() {
            if self.cancel.is_cancelled() {
                return Err(Failure::Interrupted);
            }
            let rows = (piece_rows * self.threads).min(tensor.rows() - row);
            let mut bytes = vec![0; rows * row_bytes];
            file.read_exact(&mut bytes).map_err(|error| shortened(path, tensor, &error))?;
            let pieces: Vec<_> = thread::scope(|scope| {
                let start = |piece| scope.spawn(move || codec::convert(tensor.dtype, to, piece, columns));
                let running: Vec<_> = bytes.chunks(piece_rows * row_bytes).map(start).collect();
                running.into_iter().map(|piece| piece.join()).collect()
            });
            for (index, piece) in pieces.into_iter().enumerate() {
                let first = row + index * piece_rows;
                let piece = piece.map_err(|_| Failure::Message(format!("converting {} failed: a bug", tensor.name)))?;
                output.write(&piece.map_err(|refusal| refused(path, tensor, to, first, &refusal))?)?;
            }
            self.bar.inc(bytes.len() as u64);
            row += rows;
        }
        Ok(())
    }
}

/// Bytes of `tensor` as `dtype`; what does not divide evenly was refused when the model was read or planned.
fn size(tensor: &Tensor, dtype: GgmlDType) -> u64 {
    let elements = tensor.shape.iter().map(|&n| n as u64).product();
    types::size(dtype, elements).unwrap_or(0)
}

fn shortened(path: &Path, tensor: &Tensor, error: &io::Error) -> Failure {
    let (path, name) = (path.display(), &tensor.own_name);
    Failure::Message(format!("{path}: tensor {name} could not be read: {error}; has the file changed meanwhile?"))
}

fn refused(path: &Path, tensor: &Tensor, to: GgmlDType, first: usize, refusal: &Refusal) -> Failure {
    let place = format!("{}: tensor {}", path.display(), tensor.own_name);
    Failure::Message(match refusal {
        Refusal::NotFinite { row } => format!(
            "{place}: row {} has a weight that is NaN or infinite; the file is damaged: fetch it again",
            first + row
        ),
        Refusal::TooLarge { row, weight } => format!(
            "{place}: row {} has a weight of {weight:e}, which {} cannot hold; the file is damaged: fetch it again",
            first + row,
            types::name(to)
        ),
        Refusal::Failed(error) => format!("{place}: {error}"),
    })
}
