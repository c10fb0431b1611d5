//! `qaio serve`: the web chat and the API.

use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;

#[derive(clap::Args)]
pub struct ServeArgs {}

pub fn run(_args: &Args, _own: &ServeArgs, _interrupts: &Interrupts) -> Result<(), Failure> {
    Err(Failure::Message("this command is not built yet".to_owned()))
}
