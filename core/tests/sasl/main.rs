//! Our client logs in to our server, over sockets and TLS: each mechanism, the choice between them, and what fails.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod between;
mod blocking;
mod choice;
mod foreign;
mod mechanisms;
mod peers;
mod tokens;
