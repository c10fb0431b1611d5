//! `tokenizer.json`, and text through what loads.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qaio::engine::Tokenizer;

fuzz_target!(|data: &[u8]| {
    let Some(tokenizer) = qaio_fuzz::bounded(data.len(), || Tokenizer::from_json(data)) else { return };
    let mut bytes = Vec::new();
    for text in ["It's 3 o'clock.\n\n  今天！", "e\u{301}\u{200d}👩‍👩‍👧 <|im_end|>"] {
        for id in tokenizer.encode(text).unwrap_or_default() {
            tokenizer.decode_into(id, &mut bytes);
        }
    }
});
