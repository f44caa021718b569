//! What a server brings to TLS: its certificate, which may be renewed while it runs.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};

use super::Pem;
use super::client::{certified_key, checked_roots, unusable};
use super::pem::complaint;
use super::provider::{provider, ticketer};
use crate::error::Error;

/// The TLS options of a server. Clones are the same options: what [`reload`](Self::reload) changes, it changes for all.
///
/// ```no_run
/// use mailwire::tls::ServerTls;
///
/// let tls = ServerTls::from_pem_files("/etc/mail/chain.pem", "/etc/mail/key.pem")?;
/// // after the certificate was renewed
/// tls.reload_pem_files("/etc/mail/chain.pem", "/etc/mail/key.pem")?;
/// # Ok::<(), mailwire::Error>(())
/// ```
#[derive(Clone)]
pub struct ServerTls {
    current: Arc<RwLock<Arc<ServerConfig>>>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl ServerTls {
    /// From files: the chain with the server's own certificate first, and its private key. One file may hold both. Fails with
    /// [`TlsConfiguration`](crate::Status::TlsConfiguration), naming the file.
    pub fn from_pem_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, Error> {
        Self::new(&Pem::file(certificate.as_ref()), &Pem::file(key.as_ref()))
    }

    /// The same from PEM text.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, Error> {
        Self::new(&Pem::bytes(certificate), &Pem::bytes(key))
    }

    /// The same from either.
    pub fn new(certificate: &Pem, key: &Pem) -> Result<Self, Error> {
        let config = build(certificate, key, None)?;
        Ok(Self {
            current: Arc::new(RwLock::new(config)),
            clients: None,
        })
    }

    /// Options of their own that also ask every client for a certificate. A client may have none; one that it shows must lead
    /// to one of `roots`. The certificate and key are read again. Fails as [`new`](Self::new) does.
    pub fn with_client_roots(certificate: &Pem, key: &Pem, roots: &[Pem]) -> Result<Self, Error> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(checked_roots(roots)?);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| {
                complaint(format!(
                    "the roots for client certificates cannot be used: {error}"
                ))
                .with_source(error)
            })?;
        let config = build(certificate, key, Some(Arc::clone(&clients)))?;
        Ok(Self {
            current: Arc::new(RwLock::new(config)),
            clients: Some(clients),
        })
    }

    /// Takes a new certificate and key for all handshakes from now on. Sessions that run keep what they have. Where this fails
    /// the old ones stay in use.
    pub fn reload(&self, certificate: &Pem, key: &Pem) -> Result<(), Error> {
        let config = build(certificate, key, self.clients.clone())?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// [`reload`](Self::reload) from files.
    pub fn reload_pem_files(
        &self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<(), Error> {
        self.reload(&Pem::file(certificate.as_ref()), &Pem::file(key.as_ref()))
    }

    /// The configuration for the next handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("client_certificates", &self.clients.is_some())
            .finish_non_exhaustive()
    }
}

fn build(
    certificate: &Pem,
    key: &Pem,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, Error> {
    let identity = certified_key(certificate, key, &provider())?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.ticketer = ticketer()?;
    Ok(Arc::new(config))
}
