//! What several test files need.

#![allow(dead_code, reason = "each test file uses its own part")]

use qaio::Precision;
use qaio::engine::{Engine, EngineOptions, Interrupt, Source};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A file or directory of `tests/fixtures` (made by `tools/fixtures`).
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A writable copy of a fixture directory.
pub fn copy(name: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    directory
}

/// Fixtures and precisions that together go through every kind of kernel and both families.
pub const EVERY_KERNEL: [(&str, Precision); 4] = [
    ("qwen2-tiny", Precision::F32),
    ("qwen2-tiny-bf16", Precision::Bf16),
    ("qwen3-tiny", Precision::Q8),
    ("qwen2-tiny", Precision::Q4),
];

/// The engine of a fixture.
pub fn engine(name: &str, precision: Precision) -> Engine {
    let options = EngineOptions { precision, threads: Some(2), context: None, mmap: None };
    Engine::load(&Source::Path(fixture(name)), &options, &Interrupt::never()).unwrap()
}

/// The rows of a JSON lines file.
pub fn json_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A JSON array of ids.
pub fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The real tokenizers of Qwen, where the checkout lies beside them.
pub fn real_qwen(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/qwen").join(name);
    path.exists().then_some(path)
}
