//! Pins: a client takes a server only if it holds a key that was told beforehand.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, OtherError};
use sha2::{Digest, Sha256};

use super::judged::{LastWord, Verified};

/// The SHA-256 of a public key as a certificate holds it (SubjectPublicKeyInfo, RFC 5280 section 4.1): the same for every
/// certificate that is made for that key.
///
/// Written in base64, with or without `sha256/` in front, as HPKP (RFC 7469 section 2.1.1) and curl have it. Of a certificate in
/// `cert.pem`:
///
/// ```sh
/// openssl x509 -in cert.pem -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64
/// ```
///
/// ```
/// use mailwire::tls::Pin;
///
/// let pin: Pin = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".parse()?;
/// assert_eq!(pin.to_string(), "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
/// # Ok::<(), mailwire::tls::InvalidPin>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin([u8; 32]);

/// A text that is no pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no pin: it is the SHA-256 of a public key in base64, 44 characters, as sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
)]
pub struct InvalidPin(String);

impl Pin {
    /// The pin of a certificate's key, from its DER, as [`TlsInfo::peer_certificate`](crate::proto::TlsInfo::peer_certificate)
    /// gives it. `None` if that is no certificate of X.509 version 3.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        Self::of(&CertificateDer::from(der)).ok()
    }

    fn of(certificate: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        Ok(Self(
            Sha256::digest(parsed.subject_public_key_info()).into(),
        ))
    }
}

impl FromStr for Pin {
    type Err = InvalidPin;

    fn from_str(text: &str) -> Result<Self, InvalidPin> {
        // curl writes two slashes. One more may be the first letter of the base64, so that its length tells which they are.
        ["sha256//", "sha256/", ""]
            .iter()
            .filter_map(|prefix| text.strip_prefix(prefix))
            .filter_map(|bare| STANDARD.decode(bare).ok())
            .find_map(|digest| digest.try_into().ok())
            .map(Self)
            .ok_or_else(|| InvalidPin(text.to_owned()))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256/{}", STANDARD.encode(self.0))
    }
}

/// The server's key is none of the pinned ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key {seen} is none of the pinned ones")]
pub(super) struct WrongKey {
    /// The pin of the key that the server has.
    pub(super) seen: Pin,
}

/// Of those that are verified this takes only one whose own certificate, the first it shows, has a pinned key. The certificates behind
/// that one do not count: whoever has none of our keys may show any of them.
#[derive(Debug)]
pub(super) struct Pinned(pub(super) Vec<Pin>);

impl LastWord for Pinned {
    fn judge(&self, found: Verified, certificate: &CertificateDer<'_>, _: UnixTime) -> Verified {
        let verified = found?;
        let seen = Pin::of(certificate)?;
        if self.0.contains(&seen) {
            return Ok(verified);
        }
        let wrong = OtherError(Arc::new(WrongKey { seen }));
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(
            wrong,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_may_be_the_first_letter_of_a_pin() {
        let pin = Pin([0xff; 32]);
        let bare = "//////////////////////////////////////////8=";
        for text in [
            bare.to_owned(),
            format!("sha256/{bare}"),
            format!("sha256//{bare}"),
        ] {
            assert_eq!(text.parse(), Ok(pin), "{text}");
        }
        assert_eq!(pin.to_string().parse(), Ok(pin));
    }

    #[test]
    fn a_pin_is_base64_of_32_octets() {
        let bare = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let empty = Pin(Sha256::digest(b"").into());
        for text in [
            bare.to_owned(),
            format!("sha256/{bare}"),
            format!("sha256//{bare}"),
        ] {
            assert_eq!(text.parse(), Ok(empty), "{text}");
        }
        assert_eq!(empty.to_string(), format!("sha256/{bare}"));
        for text in [
            "",
            "sha256/",
            "sha1/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFVV",
            "47DEQpj8HBSa /TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ] {
            assert!(text.parse::<Pin>().is_err(), "{text}");
        }
    }
}
