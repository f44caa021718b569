//! SCRAM (RFC 5802), with SHA-1 and SHA-256 (RFC 7677), and with and without binding to the TLS connection (RFC 9266).
//!
//! Files: `hash` computes, `keys` is what a server keeps of a password, `decoy` is what it shows of users that it does not have,
//! `stored` is the keys as text, `message` reads and writes, `client` and `server` are the two sides.

mod client;
mod decoy;
mod hash;
mod keys;
mod message;
mod server;
mod stored;
#[cfg(test)]
mod tests;

pub(super) use client::{Client, salting};
pub use decoy::Decoy;
pub use hash::ScramHash;
#[cfg(test)]
pub(crate) use hash::{derivations, derived};
pub use keys::{InvalidScramKeys, ScramKeys};
pub(super) use message::{read_name, write_name};
pub(super) use server::Server;

/// The fewest iterations that a client takes from a server: RFC 7677 section 4 has servers announce at least so many, and fewer
/// make it cheap to find the password from what was said.
pub const LEAST_ITERATIONS: u32 = 4096;

/// The most iterations that a client takes from a server, about a second of work: a hostile one may ask for billions. What is
/// recommended for stored passwords today is below. The async client does this work on one of tokio's threads for what blocks, the
/// blocking client on the thread that calls.
pub const MOST_ITERATIONS: u32 = 2_000_000;
