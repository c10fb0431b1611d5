//! `model.safetensors` beside a sound configuration and tokenizer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qaio::engine::Source;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A copy of a fixture, in memory where the system has such a folder.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let parent = if shared.is_dir() { shared } else { std::env::temp_dir() };
    let directory = parent.join(format!("qaio-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/qwen2-tiny");
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(format!("{fixture}/{name}"), directory.join(name)).unwrap();
    }
    directory
});

fuzz_target!(|data: &[u8]| {
    std::fs::write(DIRECTORY.join("model.safetensors"), data).unwrap();
    qaio_fuzz::load_and_use(data.len(), &Source::Path(DIRECTORY.clone()));
});
