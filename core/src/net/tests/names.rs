//! A server with several certificates: which one a client sees, and what a renewed one changes.

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::handshake::handshake;
use crate::error::Status;
use crate::tls::test_pki::{Authority, Issued};
use crate::tls::{ClientTls, Roots, ServerTls};

/// A server whose certificates are each of an authority of its own, so that a client knows by whom it trusts which one it saw.
struct Several {
    first: Authority,
    full: Authority,
    star: Authority,
    tls: ServerTls,
}

impl Several {
    fn new() -> Self {
        let all = ["first", "full", "star"].map(Authority::new);
        let [first, full, star] = all;
        let tls = first
            .issue(&["mx.first.example", "other.example", "a.b.example.org"])
            .server();
        add(&tls, "mx.example.org", &full.issue(&["mx.example.org"]));
        add(&tls, "*.example.org", &star.issue(&["*.example.org"]));
        Self {
            first,
            full,
            star,
            tls,
        }
    }
}

fn add(tls: &ServerTls, name: &str, issued: &Issued) {
    tls.add_certificate(name, &issued.certificate(), &issued.key())
        .unwrap();
}

/// Whether a session is resumed, after octets have gone from the server to the client.
async fn resumed(client: &ClientTls, host: &str, server: &ServerTls) -> bool {
    let (ours, theirs) = handshake(client, host, server).await;
    let ((mut ours, _), (mut theirs, info)) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(info.server_name(), Some(host));
    theirs.write_all(b"220").await.unwrap();
    theirs.flush().await.unwrap();
    ours.read_exact(&mut [0; 3]).await.unwrap();
    info.resumed()
}

#[tokio::test]
async fn a_client_sees_the_certificate_of_the_name_that_it_asks_for() {
    let several = Several::new();
    for (host, authority) in [
        ("mx.first.example", &several.first),
        ("mx.example.org", &several.full),
        ("MX.Example.org", &several.full),
        ("smtp.example.org", &several.star),
        // Nobody knows these: the first one is shown.
        ("other.example", &several.first),
        ("a.b.example.org", &several.first),
    ] {
        let (client, _) = handshake(&authority.client(), host, &several.tls).await;
        assert!(client.is_ok(), "{host}: {client:?}");
    }
}

#[tokio::test]
async fn a_client_that_asks_for_no_name_sees_the_first() {
    let several = Several::new();
    // An address is not asked for, and stands in no certificate here.
    assert!(matches!(
        crate::tls::server_name("192.0.2.1").unwrap(),
        ServerName::IpAddress(_)
    ));
    let (client, _) = handshake(&several.first.client(), "192.0.2.1", &several.tls).await;
    assert_eq!(client.unwrap_err().status(), Status::CertificateName);
    let (client, _) = handshake(&several.full.client(), "192.0.2.1", &several.tls).await;
    assert_ne!(client.unwrap_err().status(), Status::CertificateName);
}

#[tokio::test]
async fn each_certificate_is_renewed_while_the_others_stay() {
    let several = Several::new();
    let new = Authority::new("new");
    add(
        &several.tls,
        "mx.example.org",
        &new.issue(&["mx.example.org"]),
    );
    let issued = new.issue(&["mx.first.example"]);
    several
        .tls
        .reload(&issued.certificate(), &issued.key())
        .unwrap();
    // The wrong one changes nothing.
    let wrong = several.full.issue(&["elsewhere.example"]);
    let added = several
        .tls
        .add_certificate("mx.example.org", &wrong.certificate(), &wrong.key());
    assert_eq!(added.unwrap_err().status(), Status::TlsConfiguration);
    for (host, authority) in [
        ("mx.first.example", &new),
        ("mx.example.org", &new),
        ("smtp.example.org", &several.star),
    ] {
        let (client, _) = handshake(&authority.client(), host, &several.tls).await;
        assert!(client.is_ok(), "{host}: {client:?}");
    }
}

#[tokio::test]
async fn options_that_ask_clients_for_certificates_show_the_same_ones() {
    let several = Several::new();
    let asking = several.tls.asking_clients(&[several.first.pem()]).unwrap();
    let own = several.first.issue(&["client.example"]);
    let client = several.star.client();
    let client = client
        .with_certificate(&own.certificate(), &own.key())
        .unwrap();
    let (ours, theirs) = handshake(&client, "smtp.example.org", &asking).await;
    ours.unwrap();
    assert!(theirs.unwrap().1.peer_certificate().is_some());
}

#[tokio::test]
async fn no_session_is_resumed_across_a_change_of_certificates() {
    let several = Several::new();
    let roots = Roots::Only(vec![several.first.pem(), several.full.pem()]);
    let client = ClientTls::new().with_roots(&roots).unwrap();
    let host = "mx.example.org";
    assert!(!resumed(&client, host, &several.tls).await);
    assert!(resumed(&client, host, &several.tls).await);
    // The other one is renewed: the keys of the tickets go with it.
    let issued = several.first.issue(&["mx.first.example"]);
    several
        .tls
        .reload(&issued.certificate(), &issued.key())
        .unwrap();
    assert!(!resumed(&client, host, &several.tls).await);
    assert!(resumed(&client, host, &several.tls).await);
}
