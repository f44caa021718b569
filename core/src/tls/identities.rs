//! The certificates of a server, and which of them a client sees.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use rustls::client::verify_server_name;
use rustls::pki_types::{DnsName, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Pem;
use super::client::certified;
use super::name::server_name;
use super::pem::complaint;
use super::provider::provider;
use crate::error::Error;

/// The certificates of a server: the first one, and those for clients that ask by name.
#[derive(Debug, Clone)]
pub(super) struct Identities {
    first: Arc<CertifiedKey>,
    of_first_key: OfKey,
    by_name: HashMap<Asked, Arc<CertifiedKey>>,
}

/// Octets that only who has a private key can make, and makes again from it each time: HKDF-Extract (RFC 5869 section 2.2).
#[derive(Clone)]
pub(super) struct OfKey(Zeroizing<[u8; 32]>);

/// What tells these octets from any others that are made of the key: the salt, of one block of SHA-256.
const OF_KEY: [u8; 64] = *b"mailwire: octets that are made of the private key of a server   ";

/// A name that clients may ask for, in lower case and A-labels, perhaps with `*` for its first label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked(String);

impl Identities {
    pub(super) fn new(certificate: &Pem, key: &Pem) -> Result<Self, Error> {
        let (chain, der) = (certificate.certificates()?, key.key()?);
        let of_first_key = OfKey::new(&der);
        let first = certified((certificate, chain), (key, der), &provider())?;
        Ok(Self {
            first: Arc::new(first),
            of_first_key,
            by_name: HashMap::new(),
        })
    }

    pub(super) fn of_first_key(&self) -> &OfKey {
        &self.of_first_key
    }

    /// Puts the first one of `other` in the place of this one's.
    pub(super) fn set_first(&mut self, other: Self) {
        self.first = other.first;
        self.of_first_key = other.of_first_key;
    }

    /// Adds one for a name, or puts it in the place of that name's.
    pub(super) fn add(&mut self, name: Asked, identity: CertifiedKey) {
        self.by_name.insert(name, Arc::new(identity));
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let rest = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        let exact = self.by_name.get(&Asked(name));
        exact.or_else(|| self.by_name.get(&Asked(rest?)))
    }
}

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.find(name));
        Some(Arc::clone(named.unwrap_or(&self.first)))
    }
}

impl OfKey {
    fn new(key: &PrivateKeyDer<'_>) -> Self {
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&OF_KEY).into());
        mac.update(key.secret_der());
        Self(Zeroizing::new(mac.finalize().into_bytes().into()))
    }

    pub(super) fn octets(&self) -> Zeroizing<[u8; 32]> {
        self.0.clone()
    }
}

impl fmt::Debug for OfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfKey(..)")
    }
}

impl Asked {
    pub(super) fn parse(name: &str) -> Result<Self, Error> {
        let (star, rest) = match name.strip_prefix("*.") {
            Some(rest) => ("*.", rest),
            None => ("", name),
        };
        match server_name(rest)? {
            ServerName::DnsName(name) => Ok(Self(format!(
                "{star}{}",
                name.as_ref().to_ascii_lowercase()
            ))),
            // RFC 6066 section 3 has no addresses.
            _ => Err(Error::invalid(format!(
                "`{}` is an address, and clients ask for host names only",
                name.escape_default()
            ))),
        }
    }

    /// Whether the certificate is for this name; with `*` it must be for all that it stands for.
    pub(super) fn check(&self, identity: &CertifiedKey, from: &Pem) -> Result<(), Error> {
        let example = match self.0.strip_prefix("*.") {
            Some(rest) => format!("any-other.{rest}"),
            None => self.0.clone(),
        };
        let unfit = |why: String| complaint(format!("the certificate in {from} {why}"));
        let name = DnsName::try_from(example)
            .map_err(|_| unfit(format!("cannot be for {self}, which is too long")))?;
        let leaf = identity
            .end_entity_cert()
            .and_then(ParsedCertificate::try_from);
        let leaf = leaf.map_err(|error| unfit(format!("cannot be read: {error}")))?;
        verify_server_name(&leaf, &ServerName::DnsName(name)).map_err(|error| {
            unfit(format!("is not for {self}: no name in it is that one")).with_source(error)
        })
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::certified_key;
    use super::super::test_pki::Authority;
    use super::*;
    use crate::error::Status;

    #[test]
    fn a_certificate_is_only_for_names_that_it_has() {
        let issued = Authority::new("ours").issue(&["mx.example.org", "*.example.net"]);
        let tls = issued.server();
        let add = |name: &str| tls.add_certificate(name, &issued.certificate(), &issued.key());
        for name in [
            "mx.example.org",
            "MX.Example.ORG.",
            "a.example.net",
            "*.example.net",
        ] {
            add(name).unwrap();
        }
        for name in [
            "example.org",
            "*.example.org",
            "example.net",
            "a.b.example.net",
            "*.b.example.net",
        ] {
            let error = add(name).unwrap_err();
            assert_eq!(error.status(), Status::TlsConfiguration, "{name}: {error}");
            assert!(
                error.message().contains(&format!("is not for {name}")),
                "{error}"
            );
        }
        for name in [
            "",
            "*",
            "*.",
            "*.*.example.net",
            "a b",
            "192.0.2.1",
            "[::1]",
            "a\r\nb",
        ] {
            let error = add(name).unwrap_err();
            assert_eq!(error.status(), Status::InvalidArgument, "{name:?}: {error}");
        }
    }

    #[test]
    fn a_name_in_full_comes_before_one_with_a_star() {
        let authority = Authority::new("ours");
        let issue = || {
            let issued = authority.issue(&["*.example.org"]);
            certified_key(&issued.certificate(), &issued.key(), &provider()).unwrap()
        };
        let issued = authority.issue(&["first.example"]);
        let mut all = Identities::new(&issued.certificate(), &issued.key()).unwrap();
        all.add(Asked::parse("*.example.org").unwrap(), issue());
        all.add(Asked::parse("mx.example.org").unwrap(), issue());
        let found = |name: &str| all.find(name).map(Arc::as_ptr);
        let place = |name: &str| Some(Arc::as_ptr(&all.by_name[&Asked(name.to_owned())]));
        assert_eq!(found("MX.example.org"), place("mx.example.org"));
        assert_eq!(found("other.example.org"), place("*.example.org"));
        for name in ["example.org", "a.b.example.org", "org", "first.example"] {
            assert_eq!(found(name), None, "{name}");
        }
    }
}
