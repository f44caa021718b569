//! What a server brings to TLS: its certificate, which may be renewed while it runs.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use zeroize::Zeroizing;

use super::Pem;
use super::client::{certified_key, checked_roots, unusable};
use super::identities::{Asked, Identities};
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
    current: Arc<RwLock<Current>>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// What is in use, and the configuration that was made of it.
struct Current {
    identities: Identities,
    config: Arc<ServerConfig>,
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
        Self::of(Identities::new(certificate, key)?, None)
    }

    /// Options of their own that also ask every client for a certificate. A client may have none; one that it shows must lead
    /// to one of `roots`. The certificate and key are read again. Fails as [`new`](Self::new) does.
    pub fn with_client_roots(certificate: &Pem, key: &Pem, roots: &[Pem]) -> Result<Self, Error> {
        Self::new(certificate, key)?.asking_clients(roots)
    }

    /// Options of their own, with the certificates of these, that also ask every client for one. A client may have none; one that
    /// it shows must lead to one of `roots`. Fails with [`TlsConfiguration`](crate::Status::TlsConfiguration).
    pub fn asking_clients(&self, roots: &[Pem]) -> Result<Self, Error> {
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
        let identities = self.read().identities.clone();
        Self::of(identities, Some(clients))
    }

    /// Options of their own with all that these have: what is added or reloaded here is not seen there.
    pub(crate) fn copied(&self) -> Result<Self, Error> {
        let identities = self.read().identities.clone();
        Self::of(identities, self.clients.clone())
    }

    /// Shows another certificate to clients that ask for `name` (SNI, RFC 6066 section 3): a host name, or one with `*` for its first
    /// label, as `*.example.org`, which stands behind those that are named in full. Clients that ask for no name, or for one that is
    /// not known, see the first certificate. A name that was added already gets the new certificate, which renews it while the
    /// server runs.
    ///
    /// Fails with [`InvalidArgument`](crate::Status::InvalidArgument) if this is no such name, and with
    /// [`TlsConfiguration`](crate::Status::TlsConfiguration) if a file cannot be used, or the certificate is not for that name. What
    /// was in use then stays so.
    pub fn add_certificate(&self, name: &str, certificate: &Pem, key: &Pem) -> Result<(), Error> {
        let name = Asked::parse(name)?;
        let identity = certified_key(certificate, key, &provider())?;
        name.check(&identity, certificate)?;
        self.change(|identities| identities.add(name, identity))
    }

    /// Takes a new certificate and key for all handshakes from now on, in place of the first ones; those that were added for names
    /// stay. Sessions that run keep what they have. Where this fails the old ones stay in use.
    ///
    /// With any change of a certificate the keys of session tickets change too: a client that comes back does a whole handshake
    /// once, and sees what is shown now. Without one they change every six hours.
    pub fn reload(&self, certificate: &Pem, key: &Pem) -> Result<(), Error> {
        let first = Identities::new(certificate, key)?;
        self.change(|identities| identities.set_first(first))
    }

    /// [`reload`](Self::reload) from files.
    pub fn reload_pem_files(
        &self,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<(), Error> {
        self.reload(&Pem::file(certificate.as_ref()), &Pem::file(key.as_ref()))
    }

    fn of(
        identities: Identities,
        clients: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Self, Error> {
        let config = build(identities.clone(), clients.clone())?;
        Ok(Self {
            current: Arc::new(RwLock::new(Current { identities, config })),
            clients,
        })
    }

    fn change(&self, change: impl FnOnce(&mut Identities)) -> Result<(), Error> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let mut identities = current.identities.clone();
        change(&mut identities);
        let config = build(identities.clone(), self.clients.clone())?;
        *current = Current { identities, config };
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Octets that are made of the first private key, and are as secret: whoever has that key, in other processes and later too, has
    /// the same, and nobody else.
    pub(crate) fn secret_of_key(&self) -> Zeroizing<[u8; 32]> {
        self.read().identities.of_first_key().octets()
    }

    /// The configuration for the next handshake.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.read().config)
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
    identities: Identities,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Arc<ServerConfig>, Error> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(identities));
    config.ticketer = ticketer()?;
    // Of what both have, the strongest is taken, whatever the client would rather have.
    config.ignore_client_order = true;
    Ok(Arc::new(config))
}
