//! SMTP inside your program: one engine for both sides of the wire.
//!
//! - [`proto`]: the protocol machines, without I/O; [`sasl`]: the authentication mechanisms, likewise.
//! - [`error`] and [`outcome`]: what every call reports, with numbers that are the same in every language.
//! - `client` (feature `io`): the async client; `blocking`: the pooled client and the server for programs without a runtime.
//! - `message` (feature `io`): building a mail, and the envelope of a ready-made one.
//! - `server` (feature `io`): the async server; `disposition`: ready-made ends for a message that arrived.
//! - `transcript` (feature `io`): what was said in a session, and when, without its secrets. With the feature `tracing` its subscribers
//!   are told too.
//! - `tls` (feature `io`): when to use TLS, whom to trust and what to show; `Cancel` stops calls.

#[cfg(feature = "io")]
pub mod blocking;
#[cfg(feature = "io")]
pub mod client;
#[cfg(feature = "io")]
pub mod disposition;
pub mod error;
#[cfg(feature = "io")]
pub mod message;
#[cfg(feature = "io")]
mod net;
pub mod outcome;
pub mod proto;
pub mod sasl;
#[cfg(feature = "io")]
pub mod server;
#[cfg(feature = "io")]
pub mod tls;
#[cfg(feature = "io")]
pub mod transcript;

pub use error::{Error, Phase, Status};
#[cfg(feature = "io")]
pub use net::Cancel;
pub use outcome::{Delivery, Outcome, RecipientOutcome};
