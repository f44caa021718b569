//! The roots that the operating system trusts.
//!
//! Reading them costs milliseconds, so it happens at the first handshake that needs them, and once. Where the system keeps them in
//! one bundle file, that alone is read: the directory beside it holds the same certificates and costs three times as much.
//! `SSL_CERT_FILE` and `SSL_CERT_DIR`, and every system without such a bundle, are left to rustls-platform-verifier.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;

use super::Pem;
use super::pem::complaint;
use super::provider::provider;
use crate::error::Error;

/// Where distributions keep their bundle.
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Verifies against the system's roots and `extra` ones. That of the system's roots alone is made once for the whole process.
pub(super) fn system_verifier(
    extra: &[CertificateDer<'static>],
) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    // Filled after loading rather than while: no lock is held over file reading, where a fork could leave it locked for ever.
    static SYSTEM: OnceLock<Arc<dyn ServerCertVerifier>> = OnceLock::new();
    if !extra.is_empty() {
        return load(extra);
    }
    if let Some(verifier) = SYSTEM.get() {
        return Ok(Arc::clone(verifier));
    }
    let verifier = load(&[])?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| verifier)))
}

/// A verifier against exactly these roots.
pub(super) fn root_verifier(roots: RootCertStore) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
        .map_err(|error| {
            complaint(format!("the given roots cannot be used: {error}")).with_source(error)
        })
}

fn load(extra: &[CertificateDer<'static>]) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    if let Some(mut roots) = bundle() {
        roots.add_parsable_certificates(extra.iter().cloned());
        return root_verifier(roots);
    }
    Verifier::new_with_extra_roots(extra.iter().cloned(), provider())
        .map(|verifier| Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
        .map_err(|error| {
            complaint("this system has no trusted roots: install its ca-certificates package, or give the CA's file with ca=/…",
            )
            .with_source(error)
        })
}

/// The roots of the system's bundle file, if it has one and the environment does not say otherwise.
fn bundle() -> Option<RootCertStore> {
    let elsewhere = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    if elsewhere || !cfg!(target_os = "linux") {
        return None;
    }
    let path = BUNDLES.iter().map(Path::new).find(|path| path.is_file())?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(Pem::file(path).certificates().ok()?);
    (added > 0).then_some(roots)
}
