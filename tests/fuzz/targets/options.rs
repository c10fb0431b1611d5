//! The option texts of the C ABI.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qaio::{ClassifyOptions, LoadOptions, ReplyOptions, SessionOptions};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    qaio_fuzz::bounded(data.len(), || LoadOptions::from_json(text));
    qaio_fuzz::bounded(data.len(), || ClassifyOptions::from_json(text));
    qaio_fuzz::bounded(data.len(), || ReplyOptions::from_json(text));
    qaio_fuzz::bounded(data.len(), || SessionOptions::from_json(text));
});
