//! Bad files, texts and options: each gets an error of its own kind that names the thing and the remedy.

mod common;

use common::{copy, fixture};
use qaio::engine::{CancelToken, Engine, EngineOptions, Interrupt, Source};
use qaio::{ClassifyOptions, Error, ErrorKind, LoadOptions, Model, Precision, ReplyOptions, Session, SessionOptions};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn load(path: &Path) -> Result<Engine, Error> {
    let options = EngineOptions { precision: Precision::Auto, threads: Some(1), context: None, mmap: None };
    Engine::load(&Source::Path(path.to_owned()), &options, &Interrupt::never())
}

/// The error of loading `path`; its message must have all `parts`.
fn refused(path: &Path, kind: ErrorKind, parts: &[&str]) {
    let Err(error) = load(path) else { panic!("{} was accepted", path.display()) };
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "no {part:?} in: {error}");
    }
}

/// Rewrites a file of a copied fixture.
fn edit(directory: &TempDir, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = directory.path().join(name);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
}

fn replace(from: &'static str, to: &'static str) -> impl FnOnce(Vec<u8>) -> Vec<u8> {
    move |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(from), "no {from} in {text}");
        text.replace(from, to).into_bytes()
    }
}

#[test]
fn missing_and_empty_places() {
    refused(Path::new("/no/such/model"), ErrorKind::NotFound, &["/no/such/model", "does not exist"]);
    let empty = TempDir::new().unwrap();
    refused(empty.path(), ErrorKind::ModelIncomplete, &["config.json", "missing"]);
    let file = empty.path().join("model.gguf");
    fs::write(&file, "").unwrap();
    refused(&file, ErrorKind::ModelCorrupt, &["model.gguf", "empty"]);
    fs::write(&file, "not a model at all").unwrap();
    refused(&file, ErrorKind::ModelCorrupt, &["model.gguf", "not a GGUF file"]);
    for (name, part) in [
        ("config.json", "config.json is missing"),
        ("tokenizer.json", "tokenizer.json is missing"),
        ("model.safetensors", "neither model.safetensors nor"),
    ] {
        let directory = copy("qwen2-tiny");
        fs::remove_file(directory.path().join(name)).unwrap();
        refused(directory.path(), ErrorKind::ModelIncomplete, &[part]);
    }
    let directory = copy("qwen3-tiny-sharded");
    fs::remove_file(directory.path().join("model-00002-of-00003.safetensors")).unwrap();
    refused(directory.path(), ErrorKind::ModelIncomplete, &["model-00002-of-00003.safetensors", "missing"]);
}

#[test]
fn what_is_only_advice_may_be_missing() {
    let directory = copy("qwen2-tiny");
    fs::remove_file(directory.path().join("generation_config.json")).unwrap();
    fs::remove_file(directory.path().join("tokenizer_config.json")).unwrap();
    load(directory.path()).unwrap();
}

#[test]
fn configurations_that_cannot_be() {
    use ErrorKind::{ModelCorrupt, ModelUnsupported};
    for (from, to, kind, parts) in [
        ("\"qwen2\"", "\"llama\"", ModelUnsupported, ["architecture \"llama\"", "Qwen"]),
        ("\"hidden_size\": 64", "\"hidden_size\": 96", ModelCorrupt, ["shape", "[352, 96]"]),
        ("\"hidden_size\": 64", "\"hidden_size\": -64", ModelCorrupt, ["hidden_size", "-64"]),
        ("\"hidden_size\": 64", "\"hidden_size\": 18446744073709551615", ModelCorrupt, ["hidden_size", "expected"]),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", ModelCorrupt, ["layers.2", "missing"]),
        ("\"num_attention_heads\": 4", "\"num_attention_heads\": 3", ModelCorrupt, ["3 attention heads", "4"]),
        ("\"silu\"", "\"gelu\"", ModelUnsupported, ["hidden_act", "gelu"]),
        ("\"vocab_size\": 352", "\"vocab_size\": 300", ModelCorrupt, ["tokenizer", "300 rows"]),
        ("{", "[", ModelCorrupt, ["config.json", "JSON"]),
    ] {
        let directory = copy("qwen2-tiny");
        edit(&directory, "config.json", replace(from, to));
        refused(directory.path(), kind, &parts);
    }
}

#[test]
fn damaged_tokenizers() {
    let directory = copy("qwen2-tiny");
    edit(&directory, "tokenizer.json", |bytes| bytes[..bytes.len() / 2].to_vec());
    refused(directory.path(), ErrorKind::ModelCorrupt, &["tokenizer.json", "fetch it again"]);
    let directory = copy("qwen2-tiny");
    edit(&directory, "tokenizer.json", replace("<|im_end|>", "<|no_end|>"));
    refused(directory.path(), ErrorKind::ModelUnsupported, &["tokenizer.json", "<|im_end|>", "chat model"]);
    let directory = copy("qwen2-tiny");
    edit(&directory, "generation_config.json", |_| b"{".to_vec());
    refused(directory.path(), ErrorKind::ModelCorrupt, &["generation_config.json", "JSON"]);
}

#[test]
fn weights_that_are_not_numbers() {
    let nan = |bytes: Vec<u8>| {
        let mut bytes = bytes;
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    };
    let directory = copy("qwen2-tiny");
    edit(&directory, "model.safetensors", nan);
    refused(directory.path(), ErrorKind::ModelNotFinite, &["tensor", "NaN or infinite"]);
    for (name, tail) in [("qwen2-tiny-q8_0", 2048), ("qwen2-tiny-f16", 2048), ("qwen2-k256-q6_k", 4096)] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("model.gguf");
        let mut bytes = fs::read(fixture(&format!("gguf/{name}.gguf"))).unwrap();
        let end = bytes.len();
        // The last tensors of the file, whichever they are: all bits set is NaN in each float and each scale.
        bytes[end - tail..].fill(0xFF);
        fs::write(&path, bytes).unwrap();
        refused(&path, ErrorKind::ModelNotFinite, &["model.gguf", "tensor", "NaN or infinite"]);
    }
}

#[test]
fn every_truncation_is_refused() {
    for (name, file) in [("qwen2-tiny", "model.safetensors"), ("qwen2-tiny", "tokenizer.json")] {
        let directory = copy(name);
        let whole = fs::read(directory.path().join(file)).unwrap();
        for part in 0..60 {
            edit(&directory, file, |_| whole[..whole.len() * part / 60].to_vec());
            refused(directory.path(), ErrorKind::ModelCorrupt, &[file]);
        }
    }
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("model.gguf");
    let whole = fs::read(fixture("gguf/qwen2-tiny-q4_0.gguf")).unwrap();
    for part in 0..200 {
        fs::write(&path, &whole[..whole.len() * part / 200]).unwrap();
        refused(&path, ErrorKind::ModelCorrupt, &["model.gguf"]);
    }
}

/// A flipped bit may go unseen (in a weight) or be refused; it must not panic, and the error must name the file.
#[test]
fn flipped_bits_never_panic() {
    let directory = copy("qwen2-tiny");
    for (file, count) in [("model.safetensors", 2_600), ("tokenizer.json", 8_800), ("config.json", 600)] {
        let whole = fs::read(directory.path().join(file)).unwrap();
        for at in (0..count.min(whole.len())).step_by(7) {
            edit(&directory, file, |_| {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << (at % 8);
                bytes
            });
            if let Err(error) = load(directory.path()) {
                let place = directory.path().display().to_string();
                assert!(error.to_string().contains(&place), "byte {at} of {file}: {error}");
            }
        }
        edit(&directory, file, |_| whole);
    }
    let path = directory.path().join("model.gguf");
    let whole = fs::read(fixture("gguf/qwen2-tiny-q4_0.gguf")).unwrap();
    for at in (0..4096).step_by(3) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        if let Err(error) = load(&path) {
            assert!(error.to_string().contains("model.gguf"), "byte {at}: {error}");
        }
    }
}

#[test]
fn loading_can_be_cancelled() {
    let source = Source::Path(fixture("qwen2-tiny"));
    let token = CancelToken::new();
    token.cancel();
    let cancelled = Engine::load(&source, &EngineOptions::default(), &Interrupt::new(Some(token), None));
    assert_eq!(cancelled.err().unwrap().kind(), ErrorKind::Cancelled);
    let late = Engine::load(&source, &EngineOptions::default(), &Interrupt::new(None, Some(Duration::ZERO)));
    assert_eq!(late.err().unwrap().kind(), ErrorKind::DeadlineExceeded);
}

#[test]
fn texts_that_cannot_be_answered() {
    let model = Model::load(None, &LoadOptions::default(), None).unwrap();
    let plain = ClassifyOptions::default();
    for text in ["", " \n\t\u{3000}"] {
        let error = model.sentiment(text, &plain, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::EmptyText);
    }
    let context = model.info().context;
    for long in ["很".repeat(350_000), "a ".repeat(500_000), " ".repeat(999_999) + "a", "\n".repeat(999_999) + "a"] {
        let error = model.sentiment(&long, &plain, None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ContextOverflow);
        assert!(error.message().contains(&context.to_string()) && error.message().contains("truncate"), "{error}");
    }
    let truncate = ClassifyOptions { truncate: true, ..plain };
    let cut = model.sentiment(&"今天很开心。".repeat(50_000), &truncate, None).unwrap();
    assert!(cut.usage.prompt_tokens <= context && cut.usage.prompt_tokens > context / 2, "{cut:?}");
}

#[test]
fn a_conversation_that_is_too_long_forgets_its_beginning_if_it_may() {
    let model = Model::load(None, &LoadOptions::default(), None).unwrap();
    let mut session = Session::new(model.clone(), &SessionOptions::default()).unwrap();
    let part = "今天很开心。".repeat(model.info().context / 12);
    let short = ReplyOptions { max_tokens: 2, ..ReplyOptions::default() };
    let mut refused = None;
    for _ in 0..20 {
        let sent =
            session.send(&part, &short, None, &mut |_| ControlFlow::Continue(()), &mut |_| ControlFlow::Continue(()));
        if let Err(error) = sent {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused.expect("the context ends some time").kind(), ErrorKind::ContextOverflow);
    let before = session.history().len();
    let truncate = ReplyOptions { truncate: true, ..short };
    session
        .send(&part, &truncate, None, &mut |_| ControlFlow::Continue(()), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(session.history().len(), before + 1);
}
