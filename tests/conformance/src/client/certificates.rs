//! The server's certificates: a good one, and others that are wrong in one way each.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// An authority that clients trust, and what it signs.
pub(crate) struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    stranger: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    pub(crate) fn new() -> Result<Self, String> {
        Ok(Self {
            authority: authority("trusted")?,
            stranger: authority("stranger")?,
        })
    }

    /// The authority's own certificate, in PEM.
    pub(crate) fn authority(&self) -> String {
        self.authority.pem()
    }

    /// How a server does TLS with the certificate of this name.
    pub(crate) fn server(&self, name: &str) -> Result<Arc<ServerConfig>, String> {
        self.issue(name).map_err(|error| error.to_string())
    }

    fn issue(&self, name: &str) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error>> {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let dns = |name: &str| -> Result<SanType, rcgen::Error> {
            Ok(SanType::DnsName(name.to_owned().try_into()?))
        };
        let loopback = SanType::IpAddress([127, 0, 0, 1].into());
        params.subject_alt_names = match name {
            "host" | "expired" | "not-yet-valid" | "self-signed" | "unknown-root"
            | "wrong-purpose" => vec![dns("localhost")?],
            "good" => vec![dns("localhost")?, loopback],
            "address" => vec![loopback],
            "address-as-name" => vec![dns("127.0.0.1")?],
            "other-address" => vec![SanType::IpAddress([127, 0, 0, 2].into())],
            "other-name" => vec![dns("mx.inbox.example")?],
            "common-name" => Vec::new(),
            "any-name" => vec![dns("*")?],
            "below-localhost" => vec![dns("*.localhost")?],
            "partial" => vec![dns("local*")?],
            "nul" => vec![dns("localhost\0.evil.example")?],
            _ => return Err(format!("there is no certificate {name:?}").into()),
        };
        match name {
            "common-name" => params
                .distinguished_name
                .push(DnType::CommonName, "localhost"),
            "expired" => {
                params.not_before = date_time_ymd(2019, 1, 1);
                params.not_after = date_time_ymd(2020, 2, 29);
            }
            "not-yet-valid" => {
                params.not_before = date_time_ymd(2090, 5, 6);
                params.not_after = date_time_ymd(2095, 1, 1);
            }
            "wrong-purpose" => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }
            _ => {}
        }
        let key = KeyPair::generate()?;
        let certificate = match name {
            "self-signed" => params.self_signed(&key)?,
            "unknown-root" => params.signed_by(&key, &self.stranger)?,
            _ => params.signed_by(&key, &self.authority)?,
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Arc::new(config))
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, String> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    CertifiedIssuer::self_signed(params, key).map_err(|error| error.to_string())
}
