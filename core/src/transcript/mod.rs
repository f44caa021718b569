//! What was said in a session and when, without its secrets: for people who ask why a mail was not sent.
//!
//! A [`Recorder`] is told an [`Event`] at a time. Most programs need none of their own: a [`Writer`] writes the events to a file or to
//! the terminal, as notes or as lines of JSON, and a [`Buffer`] keeps the last of them.
//!
//! ```
//! use std::sync::Arc;
//! use mailwire::client::Options;
//! use mailwire::transcript::Writer;
//!
//! let mut options = Options::from_url("smtp://mail.example.org")?;
//! options.set_transcript(Some(Arc::new(Writer::notes(std::io::stderr()))));
//! # Ok::<(), mailwire::Error>(())
//! ```
//!
//! which shows, session by session:
//!
//! ```text
//! [1] 0.000000 * session 1 with mail.example.org:25, at 2027-01-31T23:59:59Z
//! [1] 0.000912 * connecting to 192.0.2.1:25
//! [1] 0.012345 * connected to 192.0.2.1:25
//! [1] 0.034567 S: 220 mail.example.org ESMTP
//! [1] 0.034702 C: EHLO client.example
//! ```
//!
//! With the feature `tracing`, subscribers are told the same under the target `mailwire`: a span `connection` for each session, with
//! its number, the peer and TLS, in which lines are events of the level TRACE, errors of INFO and all else of DEBUG; and a span `message`
//! for each message, with the number of the session, how many recipients there are, what became of it and the queue id.
//!
//! **What is not in it**: the messages, which are private and of any length, are counted and not shown. What authenticates is
//! replaced by how many octets it has, where it is made: the responses of AUTH behind the mechanism's name, the challenges, and
//! all that a proxy is told. Should a server say a password or token back, in clear or in base64, `***` stands in its place. Addresses
//! of senders and recipients, user names that a server repeats, and what servers say are there: a transcript is not for everybody.

mod event;
mod json;
mod recorders;
mod session;
mod spans;

pub use event::{Event, Kind, Side};
pub use recorders::{Buffer, Recorder, Writer};
pub(crate) use session::Session;
