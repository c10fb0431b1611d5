//! `config.json`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qaio::engine::Config;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        qaio_fuzz::bounded(data.len(), || Config::from_json(text));
    }
});
