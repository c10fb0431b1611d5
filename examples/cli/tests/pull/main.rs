//! `qaio pull` and `--model OWNER/NAME`, against an imitation of a hub on a loopback port.

mod fetch;
mod hub;
mod refuse;
mod resume;
mod user;
