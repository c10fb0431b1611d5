//! `qaio info`: what model this is.

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::{load, speaker};
use qaio::engine::Info;

pub fn run(args: &Args, interrupts: &Interrupts) -> Result<(), Failure> {
    let model = load::model(&args.model, interrupts)?;
    let text = match args.json {
        true => format!("{}\n", model.info().to_json()),
        false => table(&model.info()),
    };
    speaker::write(&text).map_err(Failure::Output)
}

/// For people: a fact a line.
fn table(info: &Info) -> String {
    let rows = [
        ("model", info.name.clone()),
        ("architecture", info.architecture.to_owned()),
        ("parameters", grouped(info.parameters)),
        ("layers", grouped(info.layers)),
        ("vocabulary", format!("{} tokens", grouped(info.vocabulary))),
        ("context", format!("{} tokens", grouped(info.context))),
        ("weights", format!("{} ({} bytes)", info.format, grouped(info.weight_bytes))),
        ("memory per token", format!("{} bytes", grouped(info.kv_bytes_per_token))),
        ("threads", grouped(info.threads)),
        ("kernels", info.kernels.to_owned()),
    ];
    rows.map(|(name, value)| format!("{name:<18}{value}\n")).concat()
}

/// 1234567 as 1,234,567.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
