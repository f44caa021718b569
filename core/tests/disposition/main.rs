//! What becomes of messages that a server hands to its ready-made dispositions, seen from both ends: by a client over a socket, and
//! where the messages end.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod destinations;
mod faults;
mod files;
mod memory;
mod relay;
mod running;
