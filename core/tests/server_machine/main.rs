//! The server's machine in memory: conversations, requirements by their numbers, and properties over any input.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

mod any_input;
mod auth;
mod chunk_sizes;
mod chunks;
mod data;
mod extensions;
mod limits;
mod lmtp;
mod own_mechanism;
mod pipelining;
mod sasl;
mod session;
mod switches;
mod talk;
mod tls;
mod transaction;
mod verbs;
