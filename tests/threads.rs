//! Results do not depend on the number of threads. One test, because it loads the process's one model several times.

use qaio::{ClassifyOptions, LoadOptions, Model, Task, TaskDefinition};
use std::ops::ControlFlow;

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let texts: Vec<String> =
        (0..120).map(|n| format!("{}第{n}次了，还是没修好", "真的".repeat(n % 17))).chain(["ok".to_owned()]).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let bits = |threads| {
        let options = LoadOptions { threads: Some(threads), ..LoadOptions::default() };
        let model = Model::load(None, &options, None).unwrap();
        let task = Task::new(&model, TaskDefinition::shipped("intent").unwrap(), None).unwrap();
        let options = ClassifyOptions::default();
        let batch = task.classify_batch(&texts, &options, None, &mut |_| ControlFlow::Continue(())).unwrap();
        let rows = batch.rows.into_iter().map(|row| row.unwrap());
        rows.map(|row| (row.index, row.score.to_bits(), row.label_mass.map(f64::to_bits))).collect::<Vec<_>>()
    };
    let one = bits(1);
    assert_eq!(one.len(), texts.len());
    for threads in [2, 3, 8] {
        assert_eq!(bits(threads), one, "{threads} threads");
    }
}
