//! SMTP inside your program: one engine for both sides of the wire.
#![forbid(clippy::todo, clippy::unimplemented)]

pub mod sasl;
