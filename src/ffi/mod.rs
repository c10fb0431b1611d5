//! The C ABI, declared in `include/qaio.h`. Exported functions guard, convert, call one function and wrap; there is no
//! logic here. All pointer casts are in `boundary.rs`.
//!
//! Rust programs use the crate's own API instead.

#![allow(unsafe_code, non_camel_case_types)]

mod batch;
mod boundary;
mod callback;
mod cancel;
mod classification;
mod log;
mod model;
mod reply;
mod sentiment;
mod session;
mod status;
mod task;
mod version;

pub use batch::*;
pub use callback::*;
pub use cancel::*;
pub use classification::*;
pub use log::*;
pub use model::*;
pub use reply::*;
pub use sentiment::*;
pub use session::*;
pub use status::*;
pub use task::*;
pub use version::*;
