//! Messages: building one that is safe to send ([`Mail`]), and reading the envelope out of a ready-made one ([`headers`]).
//!
//! What is built here is 7-bit ASCII with CRLF line ends and lines of at most 998 octets, so that any server takes it,
//! with or without 8BITMIME. An address with letters outside ASCII before its `@` has no such form: where one stands in the
//! header, it is UTF-8 (RFC 6532), and the envelope has SMTPUTF8. Nothing a caller gives can add a header field, a part or a
//! recipient.

mod address;
mod assemble;
mod check;
pub mod headers;
mod mail;
mod missing;
mod part;
mod scan;
mod start;
mod trace;
mod unique;
mod words;

#[cfg(test)]
mod tests;

pub use assemble::Built;
pub use mail::Mail;
pub(crate) use missing::Missing;
pub(crate) use scan::HeaderScan;
pub(crate) use start::Start;
pub(crate) use trace::Received;
pub(crate) use unique::unique;
