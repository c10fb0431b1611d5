//! `qaio`: sentiment and reply on the command line.

mod args;
mod chat;
mod failure;
mod info;
mod interrupts;
mod load;
mod note;
mod speaker;
mod turn;

use args::{Args, Command};
use clap::Parser;
use failure::Failure;
use interrupts::Interrupts;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    let interrupts = Interrupts::install();
    match &args.command {
        Command::Turn(turn) => turn::run(&args, turn, &interrupts),
        Command::Chat(chat) => chat::run(&args, chat, &interrupts),
        Command::Info => info::run(&args, &interrupts),
    }
}
