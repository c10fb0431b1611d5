//! A task file: read, written again, and read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use qaio::TaskDefinition;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(task) = qaio_fuzz::bounded(data.len(), || TaskDefinition::from_json(text)) {
        assert_eq!(TaskDefinition::from_json(&task.to_json()).unwrap(), task);
    }
});
