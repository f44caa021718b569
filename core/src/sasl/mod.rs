//! SASL mechanisms (RFC 4422), client and server side, without I/O.
//!
//! A mechanism is a short exchange of octets. The client side ([`ClientExchange`]) turns [`Credentials`] into responses; the
//! server side ([`ServerExchange`]) turns responses into [`Credentials`], which its caller then judges, or into an [`Identity`] that
//! was proven against what its caller has looked up. Neither knows how the octets travel: SMTP carries them as [`base64`] lines
//! (RFC 4954). Neither knows randomness or TLS: a driver lends them what they need of it ([`ClientContext`], [`ServerContext`]).
//!
//! ```
//! use mailwire::sasl::{ClientContext, ClientExchange, Credentials, Mechanism, ServerContext, ServerExchange, Step};
//!
//! let credentials = Credentials::new("tim", "tanstaaftanstaaf")?;
//! let mut client = ClientExchange::new(Mechanism::Plain, &credentials, &ClientContext::default())?;
//! let mut server = ServerExchange::new(Mechanism::Plain, &ServerContext::default())?;
//!
//! let response = client.initial_response().ok_or("PLAIN speaks first")?;
//! match server.step(response.expose())? {
//!     Step::Credentials(got) => {
//!         assert_eq!(got.username(), "tim");
//!         assert!(got.password().same_as(b"tanstaaftanstaaf"));
//!     }
//!     _ => unreachable!("PLAIN is one message"),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anonymous;
pub mod base64;
mod context;
mod cram_md5;
mod credentials;
mod digest;
mod error;
mod exchange;
mod external;
mod login;
mod mechanism;
mod names;
mod oauth;
mod plain;
mod prepare;
mod salted;
mod scram;
mod secret;
#[cfg(test)]
mod tests;

pub use context::{ChannelBinding, ClientContext, Nonce, ServerContext};
#[cfg(feature = "io")]
pub(crate) use credentials::comparable_password;
pub use credentials::{Credentials, InvalidCredentials, Proof};
pub use error::SaslError;
pub use exchange::{
    ClientExchange, ClientMechanism, Found, Lookup, ServerExchange, ServerMechanism, Step, Wanted,
};
pub use external::fingerprint;
pub use mechanism::Mechanism;
pub(crate) use mechanism::is_mechanism_name;
pub use names::Identity;
#[cfg(feature = "io")]
pub(crate) use prepare::Use;
pub use prepare::saslprep;
pub use scram::{Decoy, InvalidScramKeys, LEAST_ITERATIONS, MOST_ITERATIONS, ScramHash, ScramKeys};
#[cfg(all(test, feature = "io"))]
pub(crate) use scram::{derivations, derived};
pub use secret::Secret;

/// The most octets a response may have before it is base64: what fits into the 12,288 octets that RFC 4954 section 4 allows
/// for a line.
pub const MAX_RESPONSE: usize = base64::MAX_ENCODED / 4 * 3;
