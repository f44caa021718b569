//! The server's side of SMTP and LMTP, without I/O: bytes in, events out, answers back in, replies to send.
//!
//! A [`Connection`] is one client's session. Its driver lends it what was read, hands each [`Event`] to the application, gives
//! the application's [`Answer`]s back, sends what there is to [`transmit`](Connection::transmit), and owns the clock. Questions
//! that are not in [`Hooks`] the machine answers by itself.
//!
//! ```
//! use std::sync::Arc;
//! use mailwire::proto::server::{Answer, Config, Connection, Event};
//! use mailwire::proto::{Need, Progress, Protocol};
//!
//! let config = Config::new("mx.example.org".parse()?, Protocol::Smtp);
//! let mut connection = Connection::new(Arc::new(config), None);
//! let mut input = &b"EHLO a.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nHello\r\n.\r\nQUIT\r\n"[..];
//! let (mut message, mut sent) = (Vec::new(), Vec::new());
//! loop {
//!     let (used, event, need) = match connection.receive(input)? {
//!         Progress::Event { used, event } => (used, Some(event), None),
//!         Progress::Need { used, need } => (used, None, Some(need)),
//!     };
//!     input = &input[used..];
//!     match event {
//!         Some(Event::Body(piece)) => message.extend_from_slice(piece),
//!         Some(Event::EndOfData { .. }) => connection.answer(Answer::Accept)?,
//!         _ => {}
//!     }
//!     if need.is_some() {
//!         // Here a driver writes to its socket, and reads on unless the connection is to be closed.
//!         for slice in connection.transmit() {
//!             sent.extend_from_slice(&slice);
//!         }
//!         connection.sent(usize::MAX);
//!     }
//!     if need == Some(Need::Close) {
//!         break;
//!     }
//! }
//! assert_eq!(message, b"Hello\r\n");
//! assert!(sent.starts_with(b"220 mx.example.org ESMTP\r\n250-mx.example.org\r\n"));
//! assert!(sent.ends_with(b"354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 OK\r\n221 2.0.0 Bye\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod additions;
mod answers;
mod auth;
mod body;
mod chunks;
mod closing;
mod commands;
mod config;
mod connection;
mod event;
mod extensions;
mod hello;
mod hooks;
mod normalise;
mod outbox;
mod own_mechanism;
mod refusals;
mod replies;
mod strangers;
mod transaction;

pub use additions::{Additions, InvalidAddition};
#[cfg(feature = "io")]
pub(crate) use answers::{OF_MOST, OF_RCPT, is_strange};
pub use closing::Closing;
pub use config::Config;
pub use connection::Connection;
pub use event::{Answer, Event, NotOwed};
pub use extensions::Extensions;
pub use hooks::Hooks;
pub use own_mechanism::OwnMechanism;
pub use refusals::Refusals;
