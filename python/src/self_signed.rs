//! Certificates that their own keys have signed, made in memory: for development and tests.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mailwire::proto::Domain;
use mailwire::tls::ServerTls as Tls;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls_pki_types::DnsName;

use crate::error::{self, invalid};
use crate::server_options::ServerTls;

/// How long they are good.
const VALID: Duration = Duration::from_secs(30 * 24 * 3600);

/// For clients whose clock is behind.
const BEFORE: Duration = Duration::from_secs(3600);

/// What a certificate for these host names and IP addresses is in PEM, and it with its key, which nobody else gets.
#[pyfunction]
pub(crate) fn self_signed(py: Python<'_>, names: Vec<String>) -> PyResult<(String, ServerTls)> {
    let names: Vec<_> = names
        .iter()
        .map(|name| name_in_certificate(py, name))
        .collect::<PyResult<_>>()?;
    if names.is_empty() {
        return Err(invalid(py, "names: at least one is needed"));
    }
    // The names are good, and nothing else of it is the caller's.
    let (certificate, key) =
        issued(names).map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    let tls = Tls::from_pem(certificate.as_bytes(), key.as_bytes())
        .map_err(|error| error::to_python(py, &error, None))?;
    Ok((certificate, ServerTls { tls }))
}

/// A name as clients compare it: a host name in A-labels without the last dot, or an IP address.
fn name_in_certificate(py: Python<'_>, name: &str) -> PyResult<String> {
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let relative = name.strip_suffix('.').unwrap_or(name);
    // Letters outside ASCII become A-labels; what is left of names that no client asks for, such as 1.2.3, goes by the second.
    let host = relative.parse::<Domain>().ok().and_then(|domain| {
        let host = domain.as_ascii();
        DnsName::try_from(host).is_ok().then(|| host.to_owned())
    });
    host.ok_or_else(|| {
        let name = name.escape_default();
        invalid(
            py,
            format!("names: `{name}` is neither a host name nor an IP address"),
        )
    })
}

/// Certificate and key in PEM.
fn issued(names: Vec<String>) -> Result<(String, String), Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let mut certificate = CertificateParams::new(names)?;
    certificate.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(BEFORE);
    certificate.not_after = date_time_ymd(1970, 1, 1) + (now + VALID);
    // The first of the names may be longer than this may be (RFC 5280 appendix A.1, ub-common-name).
    certificate.distinguished_name = DistinguishedName::new();
    certificate
        .distinguished_name
        .push(DnType::CommonName, "mailwire self-signed");
    // One of an authority is no server's, and is refused as such.
    certificate.is_ca = IsCa::ExplicitNoCa;
    certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok((certificate.self_signed(&key)?.pem(), key.serialize_pem()))
}
