//! The built-in model in this engine against the same weights in PyTorch (`tools/mini/reference.py`): a change of either
//! that spoils the model is seen here. The figures of its card come from `tools/mini/evaluate.py`.

mod common;

use common::fixture;
use qaio::engine::{Interrupt, Message, Request, Role, Sampling};
use qaio::{ClassifyOptions, LoadOptions, Model, Task, TaskDefinition};
use serde_json::Value;
use std::ops::ControlFlow;

fn reference() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixture("mini.json")).unwrap()).unwrap()
}

#[test]
fn labels_are_those_of_pytorch() {
    let model = Model::load(None, &LoadOptions::default(), None).unwrap();
    let reference = reference();
    let cases = reference["cases"].as_array().unwrap();
    assert!(cases.len() >= 100);
    let texts: Vec<&str> = cases.iter().map(|case| case["text"].as_str().unwrap()).collect();
    for name in ["sentiment", "intent", "language"] {
        let task = Task::new(&model, TaskDefinition::shipped(name).unwrap(), None).unwrap();
        let options = ClassifyOptions::default();
        let batch = task.classify_batch(&texts, &options, None, &mut |_| ControlFlow::Continue(())).unwrap();
        let mut total = 0.0;
        for (case, row) in cases.iter().zip(&batch.rows) {
            let row = row.as_ref().unwrap();
            let theirs: Vec<f64> = serde_json::from_value(case[name].clone()).unwrap();
            let apart = theirs.iter().zip(&row.probabilities).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            // The engine's activations have 8 bits, PyTorch's 32.
            assert!(apart < 0.08, "{name} {case}: {:?}", row.probabilities);
            total += apart;
        }
        assert!(total / (cases.len() as f64) < 0.01, "{name}: {} apart on average", total / cases.len() as f64);
        if name == "sentiment" {
            let right = |label: &str, case: &Value| usize::from(case["true"] == label);
            let ours =
                cases.iter().zip(&batch.rows).map(|(case, row)| right(&row.as_ref().unwrap().label().text, case));
            let theirs = cases.iter().map(|case| {
                let index = usize::from(case[name][1].as_f64() >= case[name][0].as_f64());
                right(&task.definition().labels[index].text, case)
            });
            let (ours, theirs) = (ours.sum::<usize>(), theirs.sum::<usize>());
            assert!(
                ours + 2 >= theirs && ours * 10 >= cases.len() * 7,
                "{ours} of {} right, not {theirs}",
                cases.len()
            );
        }
    }
}

#[test]
fn replies_are_those_of_pytorch() {
    let model = Model::load(None, &LoadOptions::default(), None).unwrap();
    let engine = model.engine();
    let system = "你是一个友善、有同理心的AI助手，请根据用户的情绪状态给予适当的回应。";
    for case in reference()["replies"].as_array().unwrap() {
        let (text, wanted) = (case["text"].as_str().unwrap(), case["beginning"].as_str().unwrap());
        let messages = [Message::new(Role::System, system), Message::new(Role::User, text)];
        let prompt = engine.markup().prompt(engine.tokenizer(), &messages).unwrap();
        let sampling = Sampling { temperature: 0.0, repetition_penalty: 1.0, ..engine.sampling() };
        let request = Request { prompt: &prompt, sampling, max_tokens: 60, stop: &[] };
        let mut on_piece = |_: &str| ControlFlow::Continue(());
        let said = engine.generate(&mut engine.new_kv(), &request, &Interrupt::never(), &mut on_piece).unwrap().text;
        match case["whole"].as_bool().unwrap() {
            true => assert_eq!(said, wanted, "{text}"),
            false => assert!(said.starts_with(wanted.trim_end_matches('\u{fffd}')), "{text}: {said}, not {wanted}…"),
        }
    }
}
