//! Text from a user, through the built-in model: a label, the text back from its tokens.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qaio::{ClassifyOptions, LoadOptions, Model};
use std::sync::{Arc, LazyLock};

static MODEL: LazyLock<Arc<Model>> = LazyLock::new(|| {
    let options = LoadOptions { threads: Some(1), ..LoadOptions::default() };
    Model::load(None, &options, None).unwrap()
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let options = ClassifyOptions { truncate: true, ..ClassifyOptions::default() };
    if let Some(found) = qaio_fuzz::bounded(data.len(), || MODEL.sentiment(text, &options, None)) {
        assert!((0.5..=1.0).contains(&found.score), "{found:?}");
    }
    let tokenizer = MODEL.engine().tokenizer();
    let mut bytes = Vec::new();
    for id in tokenizer.encode(text).unwrap() {
        tokenizer.decode_into(id, &mut bytes);
    }
    assert!(std::str::from_utf8(&bytes).is_ok());
});
