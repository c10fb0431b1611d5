//! What the fuzz targets have in common: what must hold whatever the input is.

#[path = "../../common/peak.rs"]
mod peak;

use peak::{Counting, allowed, peak_of};
use qaio::engine::{Engine, EngineOptions, Interrupt, Source};
use qaio::{Error, ErrorKind, Precision};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` on an input of `size` bytes: its memory must be bounded, and an error must be one of the expected kind that says
/// something. A panic ends the program by itself.
pub fn bounded<T>(size: usize, work: impl FnOnce() -> Result<T, Error>) -> Option<T> {
    let (result, peak) = peak_of(work);
    assert!(peak <= allowed(size), "{peak} bytes of memory for {size} bytes of input");
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
            assert!(error.to_string().len() > 10, "{error}");
            None
        }
    }
}

/// A model that was loaded from a damaged file computes something or refuses; it does not fall over.
pub fn load_and_use(size: usize, source: &Source) {
    let options = EngineOptions { precision: Precision::Auto, threads: Some(1), context: Some(64), mmap: None };
    let Some(engine) = bounded(size, || Engine::load(source, &options, &Interrupt::never())) else { return };
    let Ok(mut ids) = engine.tokenizer().encode("Was für ein Tag! 今天 123") else { return };
    ids.truncate(8);
    if ids.is_empty() {
        return;
    }
    let mut kv = engine.new_kv();
    let Ok((logits, _)) = engine.next_logits(&mut kv, &ids, &Interrupt::never()) else { return };
    let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap_or(0);
    engine.tokenizer().decode_into(best as u32, &mut Vec::new());
}
