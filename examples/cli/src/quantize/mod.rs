//! `qaio quantize`: a smaller GGUF of a model.

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;

#[derive(clap::Args)]
pub struct QuantizeArgs {}

pub fn run(_args: &Args, _own: &QuantizeArgs, _interrupts: &Interrupts) -> Result<(), Failure> {
    Err(Failure::Message("this command is not built yet".to_owned()))
}
