//! A client against a server that cuts, stalls, drips or lies at every octet of what it says, in clear and over TLS, and against one that
//! will not have TLS.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[cfg(feature = "aws-lc-rs")]
mod cases;
mod cut_short;
mod cuts;
mod lies;
#[cfg(feature = "aws-lc-rs")]
mod sealed;
mod server;
mod session;
#[cfg(feature = "aws-lc-rs")]
mod starttls;
