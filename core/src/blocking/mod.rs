//! The blocking client and server: what programs without an async runtime use, C and Python among them.
//!
//! They add no protocol of their own: the client drives the async one on the calling thread, the server turns the sessions
//! of the async one into a queue of events that take answers.

mod call;
mod client;
mod driver;
mod server;
#[cfg(test)]
mod tests;

pub use call::Call;
pub use client::Client;
pub use server::{Event, EventKind, Received, Server};

pub use crate::net::Cancel;
