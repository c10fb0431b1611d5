//! Files made to do harm: each is refused with an error that names it, and none takes more memory than its size allows.
//!
//! The exhaustive form of the byte changes takes an hour: `cargo test --release --test hostile_files -- --ignored`.

mod common;
#[path = "common/peak.rs"]
mod peak;

use common::{copy, fixture, real_qwen};
use peak::{Counting, allowed, peak_of};
use qaio::engine::{Engine, EngineOptions, Interrupt, Source, Tokenizer};
use qaio::{Error, ErrorKind, Precision};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use tempfile::TempDir;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Memory is counted for the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn load(source: &Source, size: usize) -> Result<Engine, Error> {
    let options = EngineOptions { precision: Precision::Auto, threads: Some(1), context: Some(64), mmap: None };
    let (result, peak) = peak_of(|| Engine::load(source, &options, &Interrupt::never()));
    assert!(peak <= allowed(size), "{peak} bytes of memory for a file of {size}");
    result
}

/// The error of loading the bytes of a GGUF file; it names the place.
fn gguf_error(bytes: Vec<u8>) -> Error {
    let size = bytes.len();
    let Err(error) = load(&Source::Memory(Arc::new(bytes)), size) else { panic!("it was accepted") };
    assert!(error.message().contains("the model in memory"), "{error}");
    error
}

fn refused(bytes: Vec<u8>, parts: &[&str]) {
    let error = gguf_error(bytes);
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    }
}

// ---- a GGUF file, as one likes it ----

struct Writer(Vec<u8>);

impl Writer {
    fn head(tensors: u64, entries: u64) -> Self {
        let mut writer = Self(b"GGUF\x03\0\0\0".to_vec());
        writer.u64(tensors);
        writer.u64(entries);
        writer
    }

    fn u32(&mut self, value: u32) {
        self.0.extend(value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn entry(&mut self, key: &str, text: &str) {
        self.text(key);
        self.u32(8);
        self.text(text);
    }

    fn array(&mut self, key: &str, kind: u32, length: u64) {
        self.text(key);
        self.u32(9);
        self.u32(kind);
        self.u64(length);
    }

    fn number(&mut self, key: &str, value: u32) {
        self.text(key);
        self.u32(4);
        self.u32(value);
    }

    fn tensor(&mut self, name: &str, shape: &[u64], offset: u64) {
        self.text(name);
        self.u32(shape.len() as u32);
        for &dimension in shape {
            self.u64(dimension);
        }
        self.u32(0);
        self.u64(offset);
    }
}

/// A head with a sound configuration and a tokenizer of `tokens` and `merges`, and an embedding to go with it.
fn with_vocabulary(tokens: usize, token: impl Fn(usize) -> String, merges: &[&str], more_merges: usize) -> Vec<u8> {
    let mut writer = Writer::head(1, 9);
    writer.entry("general.architecture", "qwen2");
    for (key, value) in [("embedding_length", 32), ("feed_forward_length", 32), ("block_count", 1)] {
        writer.number(&format!("qwen2.{key}"), value);
    }
    writer.number("qwen2.attention.head_count", 1);
    writer.entry("tokenizer.ggml.model", "gpt2");
    writer.entry("tokenizer.ggml.pre", "qwen2");
    writer.array("tokenizer.ggml.tokens", 8, tokens as u64);
    for id in 0..tokens {
        writer.text(&token(id));
    }
    writer.array("tokenizer.ggml.merges", 8, (merges.len() + more_merges) as u64);
    for merge in merges.iter().copied().chain(std::iter::repeat_n("a b", more_merges)) {
        writer.text(merge);
    }
    writer.tensor("token_embd.weight", &[32, 1], 0);
    writer.0.resize(writer.0.len() + 256, 0);
    writer.0
}

// ---- GGUF ----

#[test]
fn truncated_anywhere() {
    let _one = alone();
    let whole = fs::read(fixture("gguf/qwen2-tiny-q4_0.gguf")).unwrap();
    for part in 0..2000 {
        let cut = whole.len() * part / 2000;
        let error = gguf_error(whole[..cut].to_vec());
        assert_eq!(error.kind(), ErrorKind::ModelCorrupt, "{cut} bytes: {error}");
    }
}

/// Loads the file with `change` done to each of its first 4,096 bytes: whatever comes of it, it is no panic, and an error
/// has a kind of its own.
fn changed_bytes(changes: &[u8]) {
    let _one = alone();
    let whole = fs::read(fixture("gguf/qwen2-tiny-q4_0.gguf")).unwrap();
    let size = whole.len();
    for at in 0..4096 {
        for change in changes {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            if let Err(error) = load(&Source::Memory(Arc::new(bytes)), size) {
                assert_ne!(error.kind(), ErrorKind::Internal, "byte {at} ^ {change}: {error}");
                assert!(error.to_string().contains("the model in memory"), "byte {at} ^ {change}: {error}");
            }
        }
    }
}

#[test]
fn every_byte_of_the_head_changed() {
    changed_bytes(&[0x01, 0x80, 0xFF]);
}

#[test]
#[ignore = "an hour: every byte to every other value"]
fn every_byte_of_the_head_changed_to_every_value() {
    changed_bytes(&(1..=255).collect::<Vec<u8>>());
}

#[test]
fn sizes_beyond_reason() {
    let _one = alone();
    for size in [1 << 31, (1 << 32) - 1, 1 << 32, 1 << 63, u64::MAX] {
        let shown = size.to_string();
        let mut tensors = Writer::head(size, 0);
        tensors.0.resize(4096, 0);
        refused(tensors.0, &["at byte 8", &shown]);
        let mut entries = Writer::head(0, size);
        entries.0.resize(4096, 0);
        refused(entries.0, &["at byte 16", &shown]);
        let mut text = Writer::head(0, 1);
        text.u64(size);
        text.0.resize(4096, 0);
        refused(text.0, &["at byte 24", &shown]);
        for kind in 0..13 {
            let mut array = Writer::head(0, 1);
            array.array("key", kind, size);
            refused(array.0, &["at byte"]);
        }
        let mut dimension = Writer::head(1, 0);
        dimension.tensor("t", &[size, size], 0);
        refused(dimension.0, &["at byte", "tensor t"]);
        let mut offset = Writer::head(1, 0);
        offset.tensor("t", &[32], size);
        refused(offset.0, &["tensor t", &shown]);
        for key in ["embedding_length", "block_count", "attention.head_count", "context_length"] {
            let mut number = Writer::head(1, 2);
            number.entry("general.architecture", "qwen2");
            number.text(&format!("qwen2.{key}"));
            number.u32(10);
            number.u64(size);
            number.tensor("token_embd.weight", &[32, 1], 0);
            number.0.resize(4096, 0);
            gguf_error(number.0);
        }
    }
}

#[test]
fn tensors_that_share_bytes() {
    let _one = alone();
    let mut writer = Writer::head(2, 0);
    writer.tensor("first", &[32], 0);
    writer.tensor("second", &[32], 96);
    writer.0.resize(writer.0.len() + 512, 0);
    refused(writer.0, &["first", "second", "overlap"]);
}

#[test]
fn bombs() {
    let _one = alone();
    // Numbers of one byte each.
    let mut numbers = Writer::head(0, 1);
    numbers.array("key", 0, 64 << 20);
    numbers.0.resize(numbers.0.len() + (64 << 20), 0);
    refused(numbers.0, &["general.architecture is missing"]);
    // Arrays in arrays, each of them empty.
    let mut arrays = Writer::head(0, 1);
    arrays.array("key", 9, 1 << 20);
    arrays.0.resize(arrays.0.len() + (12 << 20), 0);
    refused(arrays.0, &["general.architecture is missing"]);
    let mut deep = Writer::head(0, 1);
    deep.array("key", 9, 1);
    for _ in 0..100_000 {
        deep.u32(9);
        deep.u64(1);
    }
    refused(deep.0, &["nested too deep"]);
    // A million tensors, and as many entries.
    let mut tensors = Writer::head(1_000_000, 0);
    for number in 0..1_000_000u64 {
        tensors.tensor(&format!("{number:x}"), &[32], number * 128);
    }
    refused(tensors.0, &["at byte 8", "1000000 tensors"]);
    let mut entries = Writer::head(0, 1_000_000);
    for number in 0..1_000_000u32 {
        entries.number(&format!("{number:x}"), number);
    }
    refused(entries.0, &["at byte 16", "1000000 metadata entries"]);
}

#[test]
fn vocabularies_that_explode_or_go_round() {
    let _one = alone();
    refused(with_vocabulary(1_000_000, |_| String::new(), &[], 0), &["1000000 tokens"]);
    refused(with_vocabulary(2, |id| ["a", "b"][id].to_owned(), &[], 1_000_000), &["1000000 merges"]);
    // As many as are allowed, each of them different.
    gguf_error(with_vocabulary(1 << 18, |id| format!("{id:x}"), &[], 1 << 18));
    // Merges whose result is their own part, or nothing.
    let letters = |id: usize| ["a", "b", "ab", "ba", "aba"][id].to_owned();
    for merges in [&["a a"] as &[&str], &["a b", "ab a", "a ba", "ba b"], &["a ", " b"], &["", " "], &["c d"], &["ab"]]
    {
        gguf_error(with_vocabulary(5, letters, merges, 0));
    }
}

// ---- a directory ----

/// A copy of a fixture with one of its files replaced; its error names that file.
fn directory_refused(file: &str, bytes: &[u8], parts: &[&str]) {
    let directory = copy("qwen2-tiny");
    let path = directory.path().join(file);
    fs::write(&path, bytes).unwrap();
    place_refused(directory.path(), &path, bytes.len(), parts);
}

fn place_refused(model: &Path, named: &Path, size: usize, parts: &[&str]) {
    let Err(error) = load(&Source::Path(model.to_owned()), size) else { panic!("{} was accepted", named.display()) };
    let named = named.display().to_string();
    for part in parts.iter().copied().chain([named.as_str()]) {
        assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    }
}

#[test]
fn safetensors_beyond_reason() {
    let _one = alone();
    let file = "model.safetensors";
    let whole = fs::read(fixture("qwen2-tiny").join(file)).unwrap();
    for length in [0, 1, 1 << 31, (1 << 32) - 1, 1 << 63, u64::MAX] {
        let mut bytes = whole.clone();
        bytes[..8].copy_from_slice(&u64::to_le_bytes(length));
        directory_refused(file, &bytes, &["not a safetensors file"]);
    }
    let mut header = "{".to_owned();
    for number in 0..1_000_000 {
        header += &format!("\"{number:x}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}},");
    }
    header.pop();
    header += "}";
    let mut bytes = u64::to_le_bytes(header.len() as u64).to_vec();
    bytes.extend(header.as_bytes());
    directory_refused(file, &bytes, &["not a safetensors file"]);
    for part in 0..200 {
        directory_refused(file, &whole[..whole.len() * part / 200], &[]);
    }
}

#[test]
fn tokenizers_beyond_reason() {
    let _one = alone();
    let file = "tokenizer.json";
    let entries = |count: usize| (0..count).map(|id| format!("\"{id:x}\":{id}")).collect::<Vec<_>>().join(",");
    let model = |vocab: &str, merges: &str| format!("{{\"model\":{{\"vocab\":{{{vocab}}},\"merges\":[{merges}]}}}}");
    directory_refused(file, model(&entries(1_000_000), "").as_bytes(), &["at most 262144"]);
    directory_refused(file, model(&entries(1 << 18), "").as_bytes(), &[]);
    directory_refused(
        file,
        model("\"a\":0,\"b\":1", &["\"a b\""; 1_000_000].join(",")).as_bytes(),
        &["at most 262144"],
    );
    directory_refused(file, model("\"a\":0", "[\"a\",\"a\"]").as_bytes(), &[]);
    directory_refused(file, model("\"a\":4294967295,\"b\":4294967295", "").as_bytes(), &[]);
    directory_refused(file, "[".repeat(8 << 20).as_bytes(), &[]);
    let wide = format!("{{\"pre_tokenizer\":[{}0],{}", "0,".repeat(1 << 20), &model("\"a\":0", "")[1..]);
    directory_refused(file, wide.as_bytes(), &["pre_tokenizer has"]);
    directory_refused(file, " ".repeat(65 << 20).as_bytes(), &["larger than 64 MiB"]);
}

/// What a real tokenizer takes while it is read.
#[test]
fn real_tokenizers_fit_too() {
    let _one = alone();
    for name in ["Qwen1.5-0.5B-Chat", "Qwen3-0.6B"] {
        let Some(directory) = real_qwen(name) else { continue };
        let json = fs::read(directory.join("tokenizer.json")).unwrap();
        let (tokenizer, peak) = peak_of(|| Tokenizer::from_json(&json));
        eprintln!("{name}: {} KiB for {} tokens, from {} KiB", peak >> 10, tokenizer.unwrap().len(), json.len() >> 10);
        assert!(peak <= allowed(json.len()), "{name}: {peak} bytes");
    }
}

#[test]
fn texts_beyond_reason() {
    let _one = alone();
    directory_refused("config.json", "[".repeat(1 << 19).as_bytes(), &["JSON"]);
    for file in ["config.json", "generation_config.json", "tokenizer_config.json"] {
        directory_refused(file, " ".repeat(2 << 20).as_bytes(), &["larger than 1 MiB"]);
    }
}

/// What is no file would never end, or never begin.
#[cfg(unix)]
#[test]
fn pipes_and_devices() {
    let _one = alone();
    let directory = TempDir::new().unwrap();
    let pipe = directory.path().join("pipe.gguf");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    place_refused(&pipe, &pipe, 0, &["not a regular file"]);
    place_refused(Path::new("/dev/zero"), Path::new("/dev/zero"), 0, &["not a regular file"]);
    std::os::unix::fs::symlink("/dev/zero", directory.path().join("config.json")).unwrap();
    place_refused(directory.path(), &directory.path().join("config.json"), 0, &["not a regular file"]);
}
