//! qaio-mini, the built-in model (see MODEL_CARD.md beside this file).

/// A GGUF file, aligned as the loader wants to read it in place.
pub(crate) static MODEL: &[u8] = &ALIGNED.bytes;

#[repr(C, align(64))]
struct Aligned<T: ?Sized> {
    bytes: T,
}

static ALIGNED: &Aligned<[u8]> = &Aligned { bytes: *include_bytes!("qaio-mini.gguf") };
