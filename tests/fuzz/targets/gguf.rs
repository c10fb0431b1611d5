//! A GGUF file from memory: head, tokenizer, weights, and a first token from what loads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qaio::engine::Source;
use std::sync::Arc;

fuzz_target!(|data: &[u8]| qaio_fuzz::load_and_use(data.len(), &Source::Memory(Arc::new(data.to_vec()))));
