//! The async client on tokio: a [`Connection`] sends messages and reports, recipient by recipient, what became of each.
//!
//! ```no_run
//! use mailwire::client::{Connection, Content, Options};
//! use mailwire::proto::Envelope;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let options = Options::from_url("smtp://user:secret@mail.example.org")?;
//! let mut connection = Connection::open(&options).await?;
//! let envelope = Envelope::parse("me@example.org", ["you@example.net"])?;
//! let outcome = connection.send(envelope, Content::bytes(b"Subject: hello\r\n\r\nHello.\r\n")).await?;
//! println!("queued as {:?}", outcome.queue_id());
//! connection.quit().await;
//! # Ok(())
//! # }
//! ```

mod advice;
mod authenticate;
mod chunk;
mod connection;
mod content;
mod failure;
mod handshake;
mod limits;
mod login;
mod options;
mod pool;
mod prepare;
mod provider;
mod record;
mod request;
mod setting;
mod spans;
mod transact;
mod url;
mod verdict;
mod way;

pub use crate::net::ProxyVersion;
pub use connection::Connection;
pub use content::Content;
pub(crate) use handshake::Opening;
pub use login::TokenRequest;
pub use options::{OnRefused, Options, TransferChoice};
pub use pool::Client;
pub(crate) use pool::{Driver, Flow, GOODBYE, Pool, Runtime, poll_once};
pub(crate) use prepare::lacks_utf8;
pub use provider::Provider;
pub use request::Request;
pub(crate) use transact::has_too_many_recipients;
pub use way::ProxyHeader;
