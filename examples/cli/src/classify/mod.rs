//! `qaio classify`: labels the texts of a file.

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;

#[derive(clap::Args)]
pub struct ClassifyArgs {}

pub fn run(_args: &Args, _own: &ClassifyArgs, _interrupts: &Interrupts) -> Result<(), Failure> {
    Err(Failure::Message("this command is not built yet".to_owned()))
}
