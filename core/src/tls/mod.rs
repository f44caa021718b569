//! TLS for both sides: when to use it ([`TlsPolicy`]), whom a client trusts ([`ClientTls`]) and what a server shows
//! ([`ServerTls`]).
//!
//! TLS is rustls, version 1.2 and 1.3, with the provider of cryptography named outright: aws-lc-rs, or ring where only that
//! feature is on. Nothing is installed for the whole process. Certificates are always verified; the one way around that is
//! in [`danger`].

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!(
    "mailwire's feature `io` needs cryptography for TLS: turn on the feature `aws-lc-rs` (the default) or `ring`"
);

mod client;
pub mod danger;
mod fault;
mod identities;
mod info;
mod judged;
mod name;
mod pem;
mod pin;
mod policy;
mod provider;
mod self_signed;
mod server;
mod system;
#[cfg(test)]
pub(crate) mod test_pki;
#[cfg(test)]
mod tests;

pub use client::{ClientTls, Roots};
pub(crate) use fault::{Start, client_fault, rustls_error, server_fault, session_fault};
pub(crate) use info::tls_info;
pub(crate) use name::server_name;
pub use pem::Pem;
pub use pin::{InvalidPin, Pin};
pub use policy::{InvalidTlsPolicy, TlsPolicy};
pub(crate) use provider::random;
pub use server::ServerTls;
