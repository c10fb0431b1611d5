//! `qaio eval`: measures a task on texts whose labels are known.

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;

#[derive(clap::Args)]
pub struct EvalArgs {}

pub fn run(_args: &Args, _own: &EvalArgs, _interrupts: &Interrupts) -> Result<(), Failure> {
    Err(Failure::Message("this command is not built yet".to_owned()))
}
