//! What the options of TLS refuse when they are made. Handshakes are tested with the streams, in `net`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::provider::provider;
use super::test_pki::Authority;
use super::{ClientTls, Pem, Roots, ServerTls, danger};
use crate::error::{Error, Status};

/// Roots from a file with `text`; the path and the error.
fn roots_from(text: &[u8]) -> (String, Error) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roots.pem");
    fs::write(&path, text).unwrap();
    let error = ClientTls::new()
        .with_roots(&Roots::Only(vec![Pem::file(&path)]))
        .unwrap_err();
    (path.display().to_string(), error)
}

#[test]
fn a_bad_file_of_roots_is_named_with_its_fault() {
    for (text, word) in [
        (&b""[..], "it is empty"),
        (b"hello\n", "no certificate"),
        (&[0x30, 0x82, 1, 2], "DER"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "no END line"),
        (
            b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
            "not base64",
        ),
        (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "cannot be used as a root",
        ),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "it holds a key",
        ),
    ] {
        let (path, error) = roots_from(text);
        assert_eq!(error.status(), Status::TlsConfiguration);
        assert!(error.message().contains(&path), "{error}");
        assert!(error.message().contains(word), "{word}: {error}");
    }
}

#[test]
fn a_missing_file_is_named_and_carries_the_systems_error() {
    let path = Path::new("/nonexistent/chain.pem");
    let error = ServerTls::from_pem_files(path, path).unwrap_err();
    assert_eq!(error.status(), Status::TlsConfiguration);
    assert!(
        error.message().contains("/nonexistent/chain.pem"),
        "{error}"
    );
    assert!(error.os_errno().is_some());
}

#[test]
fn no_roots_at_all_is_a_mistake() {
    let error = ClientTls::new()
        .with_roots(&Roots::Only(Vec::new()))
        .unwrap_err();
    assert_eq!(error.status(), Status::TlsConfiguration);
}

#[test]
fn a_key_must_belong_to_its_certificate() {
    let authority = Authority::new("ours");
    let (one, other) = (
        authority.issue(&["a.example"]),
        authority.issue(&["a.example"]),
    );
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    fs::write(&certificate, &one.certificate).unwrap();
    fs::write(&key, &other.key).unwrap();
    let error = ServerTls::from_pem_files(&certificate, &key).unwrap_err();
    assert_eq!(error.status(), Status::TlsConfiguration);
    assert!(error.message().contains("c.pem"), "{error}");
    assert!(error.message().contains("k.pem"), "{error}");
    let client = ClientTls::new().with_certificate(&one.certificate(), &other.key());
    assert_eq!(client.unwrap_err().status(), Status::TlsConfiguration);
    fs::write(&key, &one.key).unwrap();
    ServerTls::from_pem_files(&certificate, &key).unwrap();
}

#[test]
fn one_file_may_hold_certificate_and_key() {
    let issued = Authority::new("ours").issue(&["a.example"]);
    let both = format!("{}{}", issued.key, issued.certificate);
    ServerTls::from_pem(both.as_bytes(), both.as_bytes()).unwrap();
}

#[test]
fn a_missing_or_encrypted_key_is_told_apart() {
    let issued = Authority::new("ours").issue(&["a.example"]);
    let certificate = issued.certificate.as_bytes();
    let error = ServerTls::from_pem(certificate, certificate).unwrap_err();
    assert!(error.message().contains("no private key"), "{error}");
    assert!(
        error.message().contains("it holds a certificate"),
        "{error}"
    );
    let encrypted =
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let error = ServerTls::from_pem(certificate, encrypted).unwrap_err();
    assert!(error.message().contains("encrypted"), "{error}");
}

#[test]
fn a_failed_reload_leaves_the_old_certificate_in_use() {
    let issued = Authority::new("ours").issue(&["a.example"]);
    let tls = issued.server();
    let before = tls.config();
    assert!(tls.reload(&issued.certificate(), &Pem::bytes("")).is_err());
    assert!(std::sync::Arc::ptr_eq(&before, &tls.config()));
    tls.clone()
        .reload(&issued.certificate(), &issued.key())
        .unwrap();
    assert!(!std::sync::Arc::ptr_eq(&before, &tls.config()));
}

#[test]
fn options_share_sessions_only_while_they_are_the_same() {
    let authority = Authority::new("ours");
    let tls = authority.client();
    let config = tls.config().unwrap();
    assert!(std::sync::Arc::ptr_eq(
        &config,
        &tls.clone().config().unwrap()
    ));
    let anyone = danger::accept_any_certificate(tls.clone());
    assert!(!std::sync::Arc::ptr_eq(&config, &anyone.config().unwrap()));
    assert!(tls.verifies());
    assert!(!anyone.verifies());
}

#[test]
fn nothing_secret_is_printed() {
    let issued = Authority::new("ours").issue(&["a.example"]);
    let printed = format!("{:?} {:?}", issued.key(), issued.server());
    assert!(!printed.contains("PRIVATE"), "{printed}");
}

#[test]
fn the_server_chooses_the_cipher() {
    let authority = Authority::new("ours");
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.text().as_bytes()).unwrap();
    roots.add(root).unwrap();
    let mut reversed = CryptoProvider::clone(&provider());
    reversed.cipher_suites.reverse();
    let config = ClientConfig::builder_with_provider(Arc::new(reversed))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "mail.example".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let tls = authority.issue(&["mail.example"]).server();
    let mut server = ServerConnection::new(tls.config()).unwrap();
    let mut wire = Vec::new();
    client.write_tls(&mut wire).unwrap();
    server.read_tls(&mut wire.as_slice()).unwrap();
    server.process_new_packets().unwrap();
    let chosen = server.negotiated_cipher_suite().unwrap();
    assert_eq!(chosen.suite(), provider().cipher_suites[0].suite());
}

#[test]
fn keys_of_tickets_change_within_half_a_day() {
    let issued = Authority::new("ours").issue(&["mail.example"]);
    let tls = issued.server();
    for _ in 0..2 {
        let ticketer = Arc::clone(&tls.config().ticketer);
        assert!(ticketer.enabled() && ticketer.lifetime() <= 12 * 3600);
        // One that only seals has the same lifetime, and the same key for ever.
        assert!(format!("{ticketer:?}").contains("Rotator"), "{ticketer:?}");
        tls.reload(&issued.certificate(), &issued.key()).unwrap();
    }
}
