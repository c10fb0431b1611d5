//! The bytes of a model file: mapped, owned or compiled in; and fallible allocation of large buffers.

use crate::error::{Error, ErrorKind, Result};
use memmap2::Mmap;
use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// A whole model file, immutable.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// Memory-mapped; the operating system reads the pages as they are touched and may drop them again.
    Mapped(Mmap),
    /// In memory of our own.
    Owned(Arc<Vec<u8>>),
    /// Compiled into the library.
    Static(&'static [u8]),
}

impl Bytes {
    /// Opens the file at `path`: mapped read-only, or read into memory.
    ///
    /// # Errors
    /// `NotFound` when nothing is there, `Io` when it cannot be opened, mapped or read, `ModelCorrupt` when it is empty,
    /// `OutOfMemory`.
    pub(crate) fn open(path: &Path, mmap: bool) -> Result<Self> {
        let shown = path.display();
        let (file, length) = open(path)?;
        if length == 0 {
            return Err(Error::new(ErrorKind::ModelCorrupt, format!("{shown} is empty; fetch it again")));
        }
        if !mmap {
            return read_open(file, length, path, u64::MAX - 1).map(|data| Bytes::Owned(Arc::new(data)));
        }
        // SAFETY: the map is read-only and private to us. Truncating the file while it is mapped would fault; the
        // documentation of model loading asks for files that stay as they are while the model is loaded, or for a copy.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(&file) };
        map.map(Bytes::Mapped)
            .map_err(|error| Error::new(ErrorKind::Io, format!("{shown} could not be mapped")).caused_by(error))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Owned(data) => data,
            Bytes::Static(data) => data,
        }
    }

    /// Tells the operating system that `range` has been read for the last time, so that a converted copy and its
    /// source are not both resident.
    pub(crate) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Bytes::Mapped(map) = self {
            // A page fault maps the pages around it too (Linux: 64 KiB), before and behind the range.
            const AROUND: usize = 64 << 10;
            let start = range.start.saturating_sub(AROUND) / AROUND * AROUND;
            let end = (range.end + AROUND).next_multiple_of(AROUND).min(map.len());
            // SAFETY: dropping clean pages of a read-only file map loses nothing: a later read brings them back.
            #[allow(unsafe_code)]
            let advised = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start) };
            // Only a hint: refusal costs memory, nothing else.
            drop(advised);
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

/// Opens a file and tells its length. Pipes and devices, which may never end or never begin, are refused before that.
///
/// # Errors
/// `NotFound` when nothing is there, `Io` when it is no regular file or cannot be opened.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    let metadata = std::fs::metadata(path).map_err(|error| io_error(&error, path))?;
    if !metadata.is_file() {
        let message = format!("{} is not a regular file; give a file, or the directory of a model", path.display());
        return Err(Error::new(ErrorKind::Io, message));
    }
    let file = File::open(path).map_err(|error| io_error(&error, path))?;
    Ok((file, metadata.len()))
}

/// A whole file of at most `most` bytes.
///
/// # Errors
/// As [`open`]; `ModelCorrupt` when it is larger, `OutOfMemory`.
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let (file, length) = open(path)?;
    read_open(file, length, path, most)
}

fn read_open(file: File, length: u64, path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    let room = length.min(most) as usize;
    data.try_reserve_exact(room).map_err(|_| Error::out_of_memory(path.display(), room))?;
    // One more than is allowed, for a file that grows meanwhile.
    file.take(most + 1).read_to_end(&mut data).map_err(|error| io_error(&error, path))?;
    if data.len() as u64 > most || length > most {
        let message = format!("{} is larger than {} MiB, which no such file of a model is", path.display(), most >> 20);
        return Err(Error::new(ErrorKind::ModelCorrupt, message));
    }
    Ok(data)
}

/// An [`Error`] for a file that could not be opened or read.
pub(crate) fn io_error(error: &std::io::Error, path: &Path) -> Error {
    let shown = path.display();
    match error.kind() {
        IoErrorKind::NotFound => Error::new(ErrorKind::NotFound, format!("{shown} does not exist; check the path")),
        _ => Error::new(ErrorKind::Io, format!("{shown} could not be read: {error}")),
    }
}

/// Asks for room for `bytes` more: under a limit on the address space the small allocations of a piece of work, which
/// would end the process if they failed, are then safe to make.
///
/// # Errors
/// `OutOfMemory`.
pub(crate) fn has_room(bytes: usize, access: Access, what: &str) -> Result<()> {
    if can_map(bytes, access) { Ok(()) } else { Err(Error::out_of_memory(what, bytes)) }
}

/// What a mapping is for. Only what can be written counts as memory; the rest is address space.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    None,
    ReadWrite,
}

/// Maps so many bytes and gives them back untouched, which takes a few microseconds.
#[cfg(unix)]
#[allow(unsafe_code)]
pub(crate) fn can_map(bytes: usize, access: Access) -> bool {
    let (protection, reserve) = match access {
        Access::None => (libc::PROT_NONE, libc::MAP_NORESERVE),
        Access::ReadWrite => (libc::PROT_READ | libc::PROT_WRITE, 0),
    };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | reserve;
    // SAFETY: a new mapping, which nobody else knows, at a place of the system's choice.
    unsafe {
        let place = libc::mmap(std::ptr::null_mut(), bytes.max(1), protection, flags, -1, 0);
        place != libc::MAP_FAILED && libc::munmap(place, bytes.max(1)) == 0
    }
}

#[cfg(not(unix))]
pub(crate) fn can_map(_: usize, _: Access) -> bool {
    true
}

/// A zeroed buffer, or `OutOfMemory` instead of an abort. `what` names it in the message.
pub(crate) fn zeroed<T: bytemuck::Zeroable>(length: usize, what: &str) -> Result<Vec<T>> {
    bytemuck::allocation::try_zeroed_vec(length)
        .map_err(|()| Error::out_of_memory(what, length.saturating_mul(size_of::<T>())))
}
