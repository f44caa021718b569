//! SASL mechanisms (RFC 4422), client and server side, without I/O.
//!
//! A mechanism is a short exchange of octets. The client side ([`ClientExchange`]) turns [`Credentials`] into responses; the
//! server side ([`ServerExchange`]) turns responses into [`Credentials`], which its caller then judges. Neither knows how the
//! octets travel: SMTP carries them as [`base64`] lines (RFC 4954).
//!
//! ```
//! use mailwire::sasl::{ClientExchange, Credentials, Mechanism, ServerExchange, Step};
//!
//! let credentials = Credentials::new("tim", "tanstaaftanstaaf")?;
//! let mut client = ClientExchange::new(Mechanism::Plain, &credentials);
//! let mut server = ServerExchange::new(Mechanism::Plain);
//!
//! let response = client.initial_response().ok_or("PLAIN speaks first")?;
//! match server.step(response.expose())? {
//!     Step::Credentials(got) => {
//!         assert_eq!(got.username(), "tim");
//!         assert!(got.password().same_as(b"tanstaaftanstaaf"));
//!     }
//!     Step::Challenge(_) => unreachable!("PLAIN is one message"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod base64;
mod credentials;
mod error;
mod exchange;
mod login;
mod mechanism;
mod plain;
mod secret;

pub use credentials::{Credentials, InvalidCredentials};
pub use error::SaslError;
pub use exchange::{ClientExchange, ServerExchange, Step};
pub use mechanism::Mechanism;
pub use secret::Secret;

/// The most octets a response may have before it is base64: what fits into the 12,288 octets that RFC 4954 section 4 allows
/// for a line.
pub const MAX_RESPONSE: usize = base64::MAX_ENCODED / 4 * 3;
