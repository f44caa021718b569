//! The cryptography behind TLS, by cargo feature: aws-lc-rs where it is on, else ring.

use std::sync::{Arc, OnceLock};

#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as backend;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use rustls::crypto::ring as backend;

use rustls::crypto::CryptoProvider;
use rustls::server::ProducesTickets;

use super::pem::complaint;
use crate::error::{Error, Status};

/// The provider, the same one for every configuration. Handed over wherever rustls wants one: a library that installed it for the
/// whole process would take that choice from the program it lives in.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(backend::default_provider())))
}

/// Seals session tickets (RFC 5077, RFC 8446 section 4.6.1) under keys that change by themselves.
pub(super) fn ticketer() -> Result<Arc<dyn ProducesTickets>, Error> {
    backend::Ticketer::new().map_err(|error| {
        complaint("no random numbers for the keys of TLS session tickets").with_source(error)
    })
}

/// Octets that nobody can foretell.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut octets = [0; N];
    provider()
        .secure_random
        .fill(&mut octets)
        .map_err(|_| Error::new(Status::Internal, "the system gave no random numbers"))?;
    Ok(octets)
}
