//! The server as clients meet it: the built binary, and what comes over the wire.

mod conversation;
mod labels;
mod load;
mod refusals;
mod server;
