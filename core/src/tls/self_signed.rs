//! A certificate that its own key has signed, told apart from one of an authority that is not trusted: another thing is to be done.

use std::sync::Arc;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, OtherError, RootCertStore};

use super::judged::{LastWord, Verified};
use super::provider::provider;

/// The certificate is signed by its own key and is no root that is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate is signed by its own key")]
pub(super) struct SelfSigned;

/// Where the usual verifier knows no issuer this says whether the certificate is its own.
#[derive(Debug)]
pub(super) struct TellingSelfSigned;

impl LastWord for TellingSelfSigned {
    fn judge(&self, found: Verified, certificate: &CertificateDer<'_>, now: UnixTime) -> Verified {
        match found {
            Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))
                if is_self_signed(certificate, now) =>
            {
                let why = CertificateError::Other(OtherError(Arc::new(SelfSigned)));
                Err(rustls::Error::InvalidCertificate(why))
            }
            other => other,
        }
    }
}

/// Whether it would be trusted, or be wrong in another way, if it were a root itself. Nothing is decided by this but words.
fn is_self_signed(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let mut itself = RootCertStore::empty();
    if itself.add(certificate.clone().into_owned()).is_err() {
        return false;
    }
    let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
        return false;
    };
    let algorithms = provider().signature_verification_algorithms.all;
    let verified =
        verify_server_cert_signed_by_trust_anchor(&parsed, &itself, &[], now, algorithms);
    !matches!(
        verified,
        Err(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer
        ))
    )
}
