//! What ends a message and what does not, in both directions: nothing hidden in a message becomes a command.
//!
//! [`families`] holds the one table. In memory every body meets every split; over sockets, on every kind of transport; and outward,
//! the same bodies go through the client to a receiver that is as lax as any has been.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]

mod families;
mod memory;
#[cfg(feature = "io")]
mod outward;
#[cfg(feature = "io")]
mod sink;
#[cfg(feature = "aws-lc-rs")]
mod sockets;
