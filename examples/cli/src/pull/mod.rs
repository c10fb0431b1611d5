//! `qaio pull`: fetches a model from a hub.

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;

#[derive(clap::Args)]
pub struct PullArgs {}

pub fn run(_args: &Args, _own: &PullArgs, _interrupts: &Interrupts) -> Result<(), Failure> {
    Err(Failure::Message("this command is not built yet".to_owned()))
}
