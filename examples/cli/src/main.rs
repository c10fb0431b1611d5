//! `qaio`: sentiment and reply on the command line.

mod args;
mod bench;
mod chat;
mod classify;
mod eval;
mod failure;
mod gguf_output;
mod home;
mod info;
mod interrupts;
mod load;
mod manual;
mod note;
mod pull;
mod quantize;
mod serve;
mod speaker;
mod task;
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
        Command::Serve(own) => serve::run(&args, own, &interrupts),
        Command::Turn(own) => turn::run(&args, own, &interrupts),
        Command::Chat(own) => chat::run(&args, own, &interrupts),
        Command::Classify(own) => classify::run(&args, own, &interrupts),
        Command::Eval(own) => eval::run(&args, own, &interrupts),
        Command::Task(own) => task::run(&args, own, &interrupts),
        Command::Info => info::run(&args, &interrupts),
        Command::Bench(own) => bench::run(&args, own, &interrupts),
        Command::Pull(own) => pull::run(&args, own, &interrupts),
        Command::Quantize(own) => quantize::run(&args, own, &interrupts),
        Command::Completions(own) => manual::completions(own),
        Command::Man(own) => manual::man(own),
    }
}
