//! SMTP inside your program: one engine for both sides of the wire.
//!
//! - [`proto`]: the protocol machines, without I/O; [`sasl`]: the authentication mechanisms, likewise.
//! - [`error`] and [`outcome`]: what every call reports, with numbers that are the same in every language.

pub mod error;
pub mod outcome;
pub mod proto;
pub mod sasl;

pub use error::{Error, Phase, Status};
pub use outcome::{Delivery, Outcome, RecipientOutcome};
