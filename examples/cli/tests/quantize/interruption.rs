//! Ctrl-C in the middle of it.
#![cfg(unix)]

use super::checkpoint::{Checkpoint, safetensors};
use super::{command, part, text};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::tempdir;

/// A model of gigabytes that takes no room: its weights are a hole in the file, which reads as zeros.
#[test]
fn ctrl_c_leaves_nothing_behind() {
    let directory = tempdir().expect("a directory");
    let mut checkpoint = Checkpoint::wide();
    checkpoint.config["intermediate_size"] = (1 << 20).into();
    let shapes = std::mem::take(&mut checkpoint.tensors);
    let model = checkpoint.write(directory.path(), "huge");
    let (mut header, mut end) = (serde_json::Map::new(), 0usize);
    for (name, (shape, _)) in shapes {
        let shape: Vec<usize> = shape.into_iter().map(|n| if n == 512 { 1 << 20 } else { n }).collect();
        let start = end;
        end += shape.iter().product::<usize>() * 4;
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}));
    }
    let head = safetensors(&header.into(), &[]);
    let path = model.join("model.safetensors");
    fs::write(&path, &head).expect("written");
    let file = OpenOptions::new().write(true).open(&path).expect("it exists");
    file.set_len((head.len() + end) as u64).expect("room for a hole");

    let output = directory.path().join("out.gguf");
    let mut child = command(&["quantize", text(&model), text(&output), "--to", "q4_0"]).spawn().expect("qaio runs");
    let begun = Instant::now();
    while fs::metadata(part(&output)).map_or(0, |file| file.len()) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60) && child.try_wait().expect("a state").is_none());
        sleep(Duration::from_millis(5));
    }
    assert!(!output.exists());
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    let result = child.wait_with_output().expect("it ends");
    assert_eq!(result.status.code(), Some(130), "{result:?}");
    assert!(result.stdout.is_empty());
    assert!(!output.exists() && !part(&output).exists());
}
