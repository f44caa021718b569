//! A verifier of certificates that has the last word behind the usual one, and leaves all else to that.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

/// What the usual verifier has found.
pub(super) type Verified = Result<ServerCertVerified, rustls::Error>;

/// The last word on the server's own certificate, the first that it shows.
pub(super) trait LastWord: fmt::Debug + Send + Sync {
    fn judge(&self, found: Verified, certificate: &CertificateDer<'_>, now: UnixTime) -> Verified;
}

/// Verifies as `usual` does, and then asks `last`.
#[derive(Debug)]
pub(super) struct Judged<L> {
    pub(super) usual: Arc<dyn ServerCertVerifier>,
    pub(super) last: L,
}

impl<L: LastWord> ServerCertVerifier for Judged<L> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Verified {
        let found = self
            .usual
            .verify_server_cert(certificate, chain, name, ocsp, now);
        self.last.judge(found, certificate, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.usual
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.usual.root_hint_subjects()
    }
}
