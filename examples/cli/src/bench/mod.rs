//! `qaio bench`: the speed of this machine.

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;

#[derive(clap::Args)]
pub struct BenchArgs {}

pub fn run(_args: &Args, _own: &BenchArgs, _interrupts: &Interrupts) -> Result<(), Failure> {
    Err(Failure::Message("this command is not built yet".to_owned()))
}
