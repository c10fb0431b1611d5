//! What was done: remarks on standard error, the sizes on standard output.

use super::QuantizeArgs;
use super::source::Source;
use super::target::Planned;
use super::types::{self, is_quantized};
use crate::failure::Failure;
use crate::speaker;
use indicatif::HumanBytes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// Says what somebody might not expect of the result.
pub fn notes(own: &QuantizeArgs, source: &Source, plan: &[Planned]) {
    let matrices = plan.iter().filter(|planned| planned.tensor.shape.len() > 1).count();
    let mut fallbacks: BTreeMap<_, usize> = BTreeMap::new();
    for planned in plan {
        if let Some(wanted) = planned.instead_of {
            *fallbacks.entry((types::name(planned.dtype), types::name(wanted), wanted.block_size())).or_default() += 1;
        }
    }
    for ((instead, wanted, block), count) in fallbacks {
        say(&format!(
            "{count} of {matrices} matrices are {instead} instead of {wanted}: their rows are no multiple of {block}"
        ));
    }
    let is_rounded_again = |planned: &&Planned| {
        let (from, to) = (planned.tensor.dtype, planned.dtype);
        is_quantized(from) && is_quantized(to) && from != to
    };
    let twice = plan.iter().filter(is_rounded_again).count();
    if twice > 0 {
        say(&format!(
            "{twice} of {matrices} matrices are rounded a second time; from the model in f32, f16 or bf16 they would be \
             better"
        ));
    }
    if let [first, ..] = &source.left_out[..] {
        let (count, input) = (source.left_out.len(), own.input.display());
        say(&format!(
            "{count} tensors in {input} are not part of the architecture and are left out; the first is {first}"
        ));
    }
}

/// The sizes before and after.
pub fn result(json: bool, own: &QuantizeArgs, source: &Source, plan: &[Planned], written: u64) -> Result<(), Failure> {
    let to = types::name(own.to.dtype());
    let text = match json {
        true => {
            let mut types: Map<String, Value> = Map::new();
            for planned in plan {
                let count = types.get(types::name(planned.dtype)).and_then(Value::as_u64).unwrap_or(0);
                types.insert(types::name(planned.dtype).to_owned(), (count + 1).into());
            }
            json!({
                "input": own.input.to_string_lossy(),
                "output": own.output.to_string_lossy(),
                "to": to,
                "input_bytes": source.bytes,
                "output_bytes": written,
                "tensors": plan.len(),
                "types": types,
                "fallbacks": plan.iter().filter(|planned| planned.instead_of.is_some()).count(),
            })
            .to_string()
        }
        false => {
            let percent = written as f64 / source.bytes as f64 * 100.0;
            let (before, after) = (HumanBytes(source.bytes), HumanBytes(written));
            format!("{}: {to}, {before} -> {after} ({percent:.0}%)", own.output.display())
        }
    };
    speaker::write(&format!("{text}\n")).map_err(Failure::Output)
}

/// For whoever watches or keeps the log: these are no progress, and no failure either.
fn say(message: &str) {
    let _ = writeln!(anstream::stderr(), "{message}");
}
