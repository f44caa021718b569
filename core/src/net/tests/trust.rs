//! Whom a client trusts: roots that add to the system's or replace them, and pinned keys on top.

use std::fs;

use super::handshake::{handshake, refused_by};
use super::{child, role};
use crate::error::Status;
use crate::tls::test_pki::{Authority, Issued};
use crate::tls::{ClientTls, Pem, Pin, Roots, danger};

const HOST: &str = "mail.example";

fn accepted(tls: &ClientTls, issued: &Issued) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (client, _) = runtime.block_on(handshake(tls, HOST, &issued.server()));
    match client {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.status(), Status::CertificateUntrusted, "{error}");
            false
        }
    }
}

fn pin(issued: &Issued) -> Pin {
    let pem = issued.certificate.as_bytes();
    let der =
        <rustls::pki_types::CertificateDer as rustls::pki_types::pem::PemObject>::from_pem_slice(
            pem,
        )
        .unwrap();
    Pin::of_certificate(&der).unwrap()
}

/// The system's roots are those of a file that this test names to a process of its own.
#[test]
fn given_roots_replace_the_systems_or_add_to_them() {
    let name = "net::tests::trust::given_roots_replace_the_systems_or_add_to_them";
    let (systems, ours) = (Authority::new("the system's"), Authority::new("ours"));
    let folder = tempfile::tempdir().unwrap();
    let path = |file: &str| folder.path().join(file);
    if role().is_none() {
        let issued = systems.issue(&[HOST]);
        fs::write(path("system.pem"), systems.text()).unwrap();
        fs::write(path("certificate"), &issued.certificate).unwrap();
        fs::write(path("key"), &issued.key).unwrap();
        let output = child(name, folder.path().to_str().unwrap())
            .env("SSL_CERT_FILE", path("system.pem"))
            .env_remove("SSL_CERT_DIR")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{told}"
        );
        return;
    }
    let read =
        |file: &str| fs::read_to_string(std::path::Path::new(&role().unwrap()).join(file)).unwrap();
    let known = Issued {
        certificate: read("certificate"),
        key: read("key"),
    };
    let own = ours.issue(&[HOST]);
    let extra = ours.pem();
    let both = Roots::SystemAnd(vec![ours.pem()]);
    let only = Roots::Only(vec![ours.pem()]);
    let with = |roots| ClientTls::new().with_roots(roots).unwrap();
    for (tls, of_the_system, of_ours) in [
        (ClientTls::new(), true, false),
        (with(&both), true, true),
        (
            ClientTls::new().with_extra_root(&extra).unwrap(),
            true,
            true,
        ),
        (with(&only), false, true),
    ] {
        assert_eq!(accepted(&tls, &known), of_the_system, "{tls:?}");
        assert_eq!(accepted(&tls, &own), of_ours, "{tls:?}");
    }
}

#[test]
fn an_extra_root_joins_given_ones_and_leaves_those_it_was_made_from() {
    let (one, other) = (Authority::new("one"), Authority::new("other"));
    let first = one.client();
    let both = first.clone().with_extra_root(&other.pem()).unwrap();
    for (authority, of_first) in [(&one, true), (&other, false)] {
        let issued = authority.issue(&[HOST]);
        assert!(accepted(&both, &issued));
        assert_eq!(accepted(&first, &issued), of_first);
    }
    let bad = first.with_extra_root(&Pem::bytes("nothing"));
    assert_eq!(bad.unwrap_err().status(), Status::TlsConfiguration);
}

#[tokio::test]
async fn a_pin_is_of_the_servers_own_key_and_comes_on_top_of_the_usual() {
    let authority = Authority::new("ours");
    let (issued, other) = (authority.issue(&[HOST]), authority.issue(&[HOST]));
    let pinned = |pins: &[Pin]| authority.client().with_pins(pins);

    for pins in [&[pin(&issued)][..], &[pin(&other), pin(&issued)]] {
        let (client, _) = handshake(&pinned(pins), HOST, &issued.server()).await;
        client.unwrap();
    }
    // The authority's own key stands in the chain and does not count.
    let of_authority = Issued {
        certificate: authority.text(),
        key: String::new(),
    };
    for wrong in [pin(&other), pin(&of_authority)] {
        let error = refused_by(&pinned(&[wrong]), HOST, &issued).await;
        assert_eq!(error.status(), Status::CertificateUntrusted, "{error}");
        let seen = pin(&issued).to_string();
        assert!(error.message().contains(&seen), "{error}");
        assert!(!error.message().contains(&wrong.to_string()), "{error}");
    }
    // A right key does not make up for what else is wrong.
    for (wrong, status) in [
        (authority.expired(&[HOST]), Status::CertificateExpired),
        (authority.issue(&["a.example"]), Status::CertificateName),
        (
            Authority::new("theirs").issue(&[HOST]),
            Status::CertificateUntrusted,
        ),
    ] {
        let error = refused_by(&pinned(&[pin(&wrong)]), HOST, &wrong).await;
        assert_eq!(error.status(), status, "{error}");
        assert!(!error.message().contains("sha256/"), "{error}");
    }
}

#[tokio::test]
async fn without_verification_a_pin_alone_decides() {
    let stranger = Authority::new("theirs").expired(&["other.example"]);
    let another = Authority::new("theirs").issue(&[HOST]);
    let tls = danger::accept_any_certificate(ClientTls::new().with_pins(&[pin(&stranger)]));
    let (client, _) = handshake(&tls, HOST, &stranger.server()).await;
    client.unwrap();
    let error = refused_by(&tls, HOST, &another).await;
    assert!(error.message().contains("sha256/"), "{error}");
}
