//! `qaio classify` as a shell sees it.

mod failures;
mod formats;
mod resuming;
mod shell;
mod streaming;
mod tables;
