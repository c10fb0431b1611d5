//! `qaio completions` and `qaio man`: what the command line knows of itself, for shells and for `man`.

use crate::failure::Failure;

#[derive(clap::Args)]
pub struct CompletionsArgs {}

#[derive(clap::Args)]
pub struct ManArgs {}

pub fn completions(_own: &CompletionsArgs) -> Result<(), Failure> {
    Err(Failure::Message("this command is not built yet".to_owned()))
}

pub fn man(_own: &ManArgs) -> Result<(), Failure> {
    Err(Failure::Message("this command is not built yet".to_owned()))
}
