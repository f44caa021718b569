//! Certificates and keys in PEM, from a file or from memory. Every complaint names the file.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::error::{Error, Status, visible};

/// More than any bundle of roots has; what is larger is some other file, named by mistake.
const LARGEST_FILE: u64 = 16 << 20;

/// Where PEM text is taken from. It is read once, when the options that hold it are made.
#[derive(Clone)]
pub enum Pem {
    /// A file.
    File(PathBuf),
    /// The text itself.
    Bytes(Vec<u8>),
}

impl Pem {
    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// The text itself.
    pub fn bytes(text: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(text.into())
    }

    /// The certificates, in their order, at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let text = self.read()?;
        let certificates = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| self.unreadable(&text, error))?;
        if certificates.is_empty() {
            return Err(complaint(format!(
                "{self} holds no certificate{}",
                hint(&text)
            )));
        }
        Ok(certificates)
    }

    /// The first private key.
    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        let text = self.read()?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
            pem::Error::NoItemsFound => {
                complaint(format!("{self} holds no private key{}", hint(&text)))
            }
            error => self.unreadable(&text, error),
        })
    }

    /// The text, overwritten when dropped: it may hold a key.
    fn read(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        match self {
            Self::Bytes(text) => Ok(Zeroizing::new(text.clone())),
            Self::File(path) => self.read_file(path),
        }
    }

    fn read_file(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
        let cannot = |error: std::io::Error| {
            complaint(format!("cannot read {self}: {error}")).with_source(error)
        };
        let file = File::open(path).map_err(cannot)?;
        // Taken in one piece, because a vector that grows leaves a copy of the key behind.
        let size = file.metadata().map_err(cannot)?.len();
        let mut text = Zeroizing::new(Vec::with_capacity(
            usize::try_from(size.min(LARGEST_FILE)).unwrap_or(0) + 1,
        ));
        file.take(LARGEST_FILE + 1)
            .read_to_end(&mut text)
            .map_err(cannot)?;
        if text.len() as u64 > LARGEST_FILE {
            return Err(complaint(format!("{self} is too large to be a PEM file")));
        }
        Ok(text)
    }

    fn unreadable(&self, text: &[u8], error: pem::Error) -> Error {
        let what = match &error {
            pem::Error::MissingSectionEnd { .. } => "its last section has no END line".to_owned(),
            pem::Error::IllegalSectionStart { .. } => "a BEGIN line is damaged".to_owned(),
            pem::Error::Base64Decode(_) => "a section is not base64".to_owned(),
            other => other.to_string(),
        };
        complaint(format!("{self} is not good PEM: {what}{}", hint(text))).with_source(error)
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(&visible(path.display().to_string())),
            Self::Bytes(_) => f.write_str("the given PEM text"),
        }
    }
}

impl fmt::Debug for Pem {
    /// Without the text: it may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}

/// An error about what the caller gave.
pub(super) fn complaint(what: impl Into<String>) -> Error {
    Error::new(Status::TlsConfiguration, what)
}

/// What the text seems to be instead.
fn hint(text: &[u8]) -> &'static str {
    let has = |what: &[u8]| text.windows(what.len()).any(|window| window == what);
    if text.is_empty() {
        ": it is empty"
    } else if text[0] == 0x30 {
        // An ASN.1 SEQUENCE: how every certificate and key begins in DER.
        ": it looks like DER, and PEM is wanted (`openssl x509 -inform der` converts)"
    } else if has(b"ENCRYPTED") {
        ": its key is encrypted; decrypt it first, as with `openssl pkey`"
    } else if has(b"BEGIN CERTIFICATE") {
        ": it holds a certificate; the key is usually a file of its own"
    } else if has(b"PRIVATE KEY") {
        ": it holds a key; the certificate is usually a file of its own"
    } else {
        ""
    }
}
