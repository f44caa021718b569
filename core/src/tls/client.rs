//! What a client brings to TLS: whom it trusts, and its own certificate if it has one.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

use super::Pem;
use super::danger::AnyCertificate;
use super::judged::Judged;
use super::pem::complaint;
use super::pin::{Pin, Pinned};
use super::provider::provider;
use super::self_signed::TellingSelfSigned;
use super::system::{root_verifier, system_verifier};
use crate::error::{Error, Status};

/// Whose signatures a client trusts.
#[derive(Debug, Clone, Default)]
pub enum Roots {
    /// The roots of the operating system, read at the first handshake that needs them. `SSL_CERT_FILE` and `SSL_CERT_DIR` are
    /// heeded.
    #[default]
    System,
    /// The certificates in these files and no others.
    Only(Vec<Pem>),
    /// The system's roots, and the certificates in these files.
    SystemAnd(Vec<Pem>),
}

/// The TLS options of a client. Cheap to clone; all clones share one configuration and so resume each other's sessions.
///
/// ```no_run
/// use mailwire::tls::{ClientTls, Pem, Roots};
///
/// let tls = ClientTls::new().with_roots(&Roots::Only(vec![Pem::file("/etc/our-ca.pem")]))?;
/// # Ok::<(), mailwire::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientTls(Arc<Options>);

#[derive(Clone)]
struct Options {
    trust: Trust,
    /// The keys of which a server must have one. Empty: it may have any.
    pins: Vec<Pin>,
    identity: Option<Arc<CertifiedKey>>,
    /// Made at the first handshake. It holds the sessions to resume, so other options never share it.
    config: OnceLock<Arc<ClientConfig>>,
}

#[derive(Clone)]
enum Trust {
    System,
    Only(Vec<CertificateDer<'static>>),
    SystemAnd(Vec<CertificateDer<'static>>),
    Anyone,
}

impl ClientTls {
    /// Trusts the system's roots and shows no certificate. The same configuration for the whole process.
    pub fn new() -> Self {
        static SHARED: OnceLock<ClientTls> = OnceLock::new();
        SHARED
            .get_or_init(|| {
                Self(Arc::new(Options {
                    trust: Trust::System,
                    pins: Vec::new(),
                    identity: None,
                    config: OnceLock::new(),
                }))
            })
            .clone()
    }

    /// The same, trusting `roots`. Files are read now; the system's roots are not. Fails with
    /// [`Status::TlsConfiguration`], naming the file, where one cannot be read or holds no certificate that can be a root.
    pub fn with_roots(self, roots: &Roots) -> Result<Self, Error> {
        let trust = match roots {
            Roots::System => Trust::System,
            Roots::Only(files) => Trust::Only(checked_roots(files)?),
            Roots::SystemAnd(files) => Trust::SystemAnd(checked_roots(files)?),
        };
        Ok(self.with(|options| options.trust = trust))
    }

    /// The same, trusting the roots in `file` besides those that are trusted so far, be they the system's or given ones. Fails as
    /// [`with_roots`](Self::with_roots) does. After [`danger`](super::danger) it is the system's roots and these again.
    pub fn with_extra_root(self, file: &Pem) -> Result<Self, Error> {
        let extra = checked_roots(std::slice::from_ref(file))?;
        Ok(self.with(|options| match &mut options.trust {
            Trust::Only(roots) | Trust::SystemAnd(roots) => roots.extend(extra),
            Trust::System | Trust::Anyone => options.trust = Trust::SystemAnd(extra),
        }))
    }

    /// The same, taking a server only if its own certificate, the first that it shows, has one of these keys. That comes on top of
    /// the usual verification; where [`danger`](super::danger) took that away, the pins alone decide. Without any, no key is
    /// asked for.
    #[must_use]
    pub fn with_pins(self, pins: &[Pin]) -> Self {
        self.with(|options| options.pins = pins.to_vec())
    }

    /// The same, showing a certificate where the server asks for one: the chain with its own certificate first, and its private
    /// key; one file may hold both. Fails with [`Status::TlsConfiguration`], naming the file, where one cannot be read or the
    /// key is not the certificate's.
    pub fn with_certificate(self, certificate: &Pem, key: &Pem) -> Result<Self, Error> {
        let identity = certified_key(certificate, key, &provider())?;
        Ok(self.with(|options| options.identity = Some(Arc::new(identity))))
    }

    /// Whether certificates are verified: true unless [`danger`](super::danger) was used.
    pub fn verifies(&self) -> bool {
        !matches!(self.0.trust, Trust::Anyone)
    }

    /// Whether there is a certificate to show.
    pub(crate) fn has_certificate(&self) -> bool {
        self.0.identity.is_some()
    }

    pub(super) fn without_verification(self) -> Self {
        self.with(|options| options.trust = Trust::Anyone)
    }

    /// The configuration for a handshake, made at the first call. Fails where the system has no roots and they are needed.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.0.config.get() {
            return Ok(Arc::clone(config));
        }
        // Made outside of the lock: reading roots takes milliseconds, and a fork meanwhile would leave it locked in the child.
        let config = Arc::new(self.0.build()?);
        Ok(Arc::clone(self.0.config.get_or_init(|| config)))
    }

    fn with(&self, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options {
            config: OnceLock::new(),
            ..(*self.0).clone()
        };
        change(&mut options);
        Self(Arc::new(options))
    }
}

impl Default for ClientTls {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = match &self.0.trust {
            Trust::System => "the system's".to_owned(),
            Trust::Only(roots) => format!("{} given", roots.len()),
            Trust::SystemAnd(roots) => format!("the system's and {} given", roots.len()),
            Trust::Anyone => "anyone (dangerous)".to_owned(),
        };
        f.debug_struct("ClientTls")
            .field("roots", &roots)
            .field("pins", &self.0.pins)
            .field("certificate", &self.0.identity.is_some())
            .finish()
    }
}

impl Options {
    fn build(&self) -> Result<ClientConfig, Error> {
        let verifier: Arc<dyn ServerCertVerifier> = match &self.trust {
            Trust::System => system_verifier(&[])?,
            Trust::SystemAnd(roots) => system_verifier(roots)?,
            Trust::Only(roots) => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(roots.iter().cloned());
                root_verifier(store)?
            }
            Trust::Anyone => Arc::new(AnyCertificate(provider())),
        };
        let verifier: Arc<dyn ServerCertVerifier> = Arc::new(Judged {
            usual: verifier,
            last: TellingSelfSigned,
        });
        let verifier = if self.pins.is_empty() {
            verifier
        } else {
            Arc::new(Judged {
                usual: verifier,
                last: Pinned(self.pins.clone()),
            })
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        Ok(match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity)))),
        })
    }
}

/// The provider lacks what TLS needs: a defect in how this library was put together.
pub(super) fn unusable(error: rustls::Error) -> Error {
    Error::new(
        Status::Internal,
        format!("the TLS library refused its configuration: {error}"),
    )
    .with_source(error)
}

/// A chain and its key, checked to belong together.
pub(super) fn certified_key(
    certificate: &Pem,
    key: &Pem,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    let (chain, der) = (certificate.certificates()?, key.key()?);
    certified((certificate, chain), (key, der), provider)
}

/// The same of what was read, with where it was read from.
pub(super) fn certified(
    (certificate, chain): (&Pem, Vec<CertificateDer<'static>>),
    (key, der): (&Pem, PrivateKeyDer<'static>),
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Error> {
    let from_der = CertifiedKey::from_der(chain, der, provider);
    from_der.map_err(|error| {
        let what = match &error {
            rustls::Error::InconsistentKeys(_) => format!(
                "the key in {key} does not belong to the certificate in {certificate}: the server's own certificate must come first"
            ),
            rustls::Error::InvalidCertificate(why) => {
                format!("the certificate in {certificate} cannot be used: {why}")
            }
            // The library does not say which of its demands a key does not meet.
            other => format!(
                "the key in {key} cannot be used: {other}; a key is RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519"
            ),
        };
        complaint(what).with_source(error)
    })
}

/// The roots in `files`, each checked to be usable as one.
pub(super) fn checked_roots(files: &[Pem]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut roots = Vec::new();
    if files.is_empty() {
        return Err(complaint(
            "no root certificate was given: nothing could be trusted",
        ));
    }
    for file in files {
        for root in file.certificates()? {
            RootCertStore::empty().add(root.clone()).map_err(|error| {
                complaint(format!(
                    "a certificate in {file} cannot be used as a root: {error}"
                ))
                .with_source(error)
            })?;
            roots.push(root);
        }
    }
    Ok(roots)
}
