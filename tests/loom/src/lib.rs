//! The engine's thread pool, whose models are beside it.

#![allow(dead_code)]

#[path = "../../../src/engine/pool.rs"]
mod pool;
