//! The process's one model comes and goes. Alone in its file, because other tests hold a model meanwhile.

mod common;

use common::fixture;
use qaio::{ErrorKind, LoadOptions, Model, Precision};
use std::sync::Arc;

#[test]
fn when_the_last_handle_goes_another_model_may_come() {
    let plain = LoadOptions::default();
    let q8 = fixture("gguf/qwen2-tiny-q8_0.gguf");
    let first = Model::load(Some(&q8), &plain, None).unwrap();
    let f32 = LoadOptions { precision: Some(Precision::F32), ..plain };
    assert_eq!(Model::load(Some(&q8), &f32, None).err().unwrap().kind(), ErrorKind::ModelConflict);
    let bytes = std::fs::read(&q8).unwrap();
    assert_eq!(Model::load_memory(&bytes, &plain, None).err().unwrap().kind(), ErrorKind::ModelConflict);
    drop(first);

    let second = Model::load(Some(&q8), &f32, None).unwrap();
    assert_eq!(second.info().format, "F32");
    drop(second);

    let memory = Model::load_memory(&bytes, &plain, None).unwrap();
    assert!(Arc::ptr_eq(&memory, &Model::load_memory(&bytes.clone(), &plain, None).unwrap()));
    drop(memory);

    // A failed load leaves the place free.
    assert!(Model::load_memory(&bytes[..1000], &plain, None).is_err());
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Model::load(Some(&q8), &plain, None).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(all.iter().all(|model| Arc::ptr_eq(model, &all[0])));
}
