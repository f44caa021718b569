//! A client against a server that cuts, stalls, drips or lies at every octet of what it says.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod cuts;
mod lies;
mod server;
mod session;
