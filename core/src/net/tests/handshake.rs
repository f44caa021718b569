//! Handshakes between our two ends: what is accepted, and how each kind of wrong certificate is named.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::pair;
use crate::error::{Error, Phase, Status};
use crate::net::Stream;
use crate::proto::{TlsInfo, TlsVersion};
use crate::tls::test_pki::{Authority, Issued};
use crate::tls::{ClientTls, Roots, ServerTls, Start, danger, server_name};

type Side = Result<(Stream, TlsInfo), Error>;

fn name(host: &str) -> ServerName<'static> {
    server_name(host).unwrap()
}

/// Both sides of a handshake with a server that must be `host`.
pub(super) async fn handshake(client: &ClientTls, host: &str, server: &ServerTls) -> (Side, Side) {
    let (ours, theirs) = pair();
    let name = name(host);
    tokio::join!(
        ours.into_tls_client(client, &name, Start::StartTls),
        theirs.into_tls_server(server)
    )
}

/// The client's error with this certificate.
async fn refused(authority: &Authority, host: &str, issued: &Issued) -> Error {
    refused_by(&authority.client(), host, issued).await
}

/// The error of this client with this certificate.
pub(super) async fn refused_by(client: &ClientTls, host: &str, issued: &Issued) -> Error {
    let (client, server) = handshake(client, host, &issued.server()).await;
    let error = client.expect_err("a wrong certificate was accepted");
    assert_eq!(error.phase(), Some(Phase::Tls));
    assert!(error.peer().is_some());
    assert!(!error.to_string().contains('\n'), "{error}");
    // The server learns it too, from an alert, which its own error names.
    let told = server.expect_err("the server believes in the handshake");
    assert_eq!(told.status(), Status::Tls, "{told}");
    assert!(told.message().contains("alert"), "{told}");
    error
}

#[tokio::test]
async fn a_good_certificate_is_accepted_and_both_sides_tell_the_same() {
    let authority = Authority::new("ours");
    let server = authority.issue(&["mail.example"]).server();
    let (client, server) = handshake(&authority.client(), "mail.example.", &server).await;
    let ((mut ours, seen), (mut theirs, seen_there)) = (client.unwrap(), server.unwrap());
    assert_eq!(seen.version(), TlsVersion::Tls13);
    assert_eq!(seen.cipher(), seen_there.cipher());
    assert!(seen.cipher().starts_with("TLS_"), "{}", seen.cipher());
    assert_eq!(seen_there.server_name(), Some("mail.example"));
    assert_eq!(seen.server_name(), None);
    assert!(seen.peer_certificate().is_some());
    assert_eq!(seen_there.peer_certificate(), None);
    assert!(ours.is_tls() && theirs.is_tls());

    ours.write_all(b"EHLO x\r\n").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut heard = Vec::new();
    // read_to_end fails unless the end was announced with a close_notify.
    theirs.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"EHLO x\r\n");
}

#[tokio::test]
async fn after_our_goodbye_nothing_is_decoded() {
    let authority = Authority::new("ours");
    let server = authority.issue(&["mail.example"]).server();
    let (client, server) = handshake(&authority.client(), "mail.example", &server).await;
    let ((client, _), (server, _)) = (client.unwrap(), server.unwrap());
    for (mut ours, theirs) in [(client, server)] {
        ours.shutdown().await.unwrap();
        let below = UnixStream::from(theirs.as_fd().try_clone_to_owned().unwrap());
        (&below).write_all(b"no record of TLS\r\n").unwrap();
        // The end for who listens, and no fault of the TLS library's.
        assert_eq!(ours.read(&mut [0; 64]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn every_wrong_certificate_is_named_by_its_fault() {
    let ours = Authority::new("ours");
    let theirs = Authority::new("theirs");
    let host = "mail.example";
    let mut texts = Vec::new();
    for (issued, status, words) in [
        (
            ours.expired(&[host]),
            Status::CertificateExpired,
            "expired on 2020-02-29",
        ),
        (
            ours.not_yet_valid(&[host]),
            Status::CertificateNotYetValid,
            "only from 2090-05-06",
        ),
        (theirs.issue(&[host]), Status::CertificateUntrusted, "ca=/"),
        (
            ours.issue(&["other.example", "*.third.example"]),
            Status::CertificateName,
            "is for other.example, *.third.example, not for mail.example",
        ),
        (
            ours.common_name_only(host),
            Status::CertificateName,
            "subject (CN) does not count",
        ),
        (
            ours.issue(&["192.0.2.7"]),
            Status::CertificateName,
            "is for 192.0.2.7, not for",
        ),
        (
            ours.wrong_purpose(&[host]),
            Status::CertificateInvalid,
            "another purpose",
        ),
    ] {
        let error = refused(&ours, host, &issued).await;
        assert_eq!(error.status(), status, "{error}");
        assert!(error.message().contains(words), "{words}: {error}");
        texts.push(error.message().to_owned());
    }
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 7, "two faults have the same text");
}

#[tokio::test]
async fn a_wildcard_stands_for_one_label() {
    let authority = Authority::new("ours");
    let issued = authority.issue(&["*.example.org"]);
    let (client, _) = handshake(&authority.client(), "mail.example.org", &issued.server()).await;
    client.unwrap();
    for host in ["a.mail.example.org", "example.org"] {
        let error = refused(&authority, host, &issued).await;
        assert_eq!(error.status(), Status::CertificateName, "{error}");
    }
}

#[tokio::test]
async fn an_address_is_matched_by_an_address_alone() {
    let authority = Authority::new("ours");
    let by_address = authority.issue(&["127.0.0.1"]);
    let (client, server) = handshake(&authority.client(), "127.0.0.1", &by_address.server()).await;
    client.unwrap();
    // RFC 6066 section 3: an address is never asked for by SNI.
    assert_eq!(server.unwrap().1.server_name(), None);
    let error = refused(&authority, "127.0.0.2", &by_address).await;
    assert_eq!(error.status(), Status::CertificateName);
    let by_name = authority.issue(&["localhost"]);
    let error = refused(&authority, "127.0.0.1", &by_name).await;
    assert_eq!(error.status(), Status::CertificateName);
}

#[tokio::test]
async fn a_self_signed_certificate_is_untrusted_and_a_bare_authority_explained() {
    let authority = Authority::new("ours");
    let alone = rcgen::generate_simple_self_signed(["mail.example".to_owned()]).unwrap();
    let (certificate, key) = (alone.cert.pem(), alone.signing_key.serialize_pem());
    let issued = Issued { certificate, key };
    let error = refused(&authority, "mail.example", &issued).await;
    assert_eq!(error.status(), Status::CertificateUntrusted, "{error}");
    // The same one given as a root is trusted.
    let trusting = ClientTls::new()
        .with_roots(&Roots::Only(vec![issued.certificate()]))
        .unwrap();
    let (client, _) = handshake(&trusting, "mail.example", &issued.server()).await;
    client.unwrap();

    let as_authority = authority.issue_with(&["mail.example"], |params| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let error = refused(&authority, "mail.example", &as_authority).await;
    assert_eq!(error.status(), Status::CertificateInvalid);
    assert!(error.message().contains("CA:TRUE"), "{error}");
}

#[tokio::test]
async fn only_danger_accepts_what_nobody_signed() {
    let authority = Authority::new("ours");
    let stranger = Authority::new("theirs").expired(&["other.example"]);
    let anyone = danger::accept_any_certificate(authority.client());
    let (client, _) = handshake(&anyone, "mail.example", &stranger.server()).await;
    client.unwrap();
    // It did not rub off on the options it was made from.
    let error = refused(&authority, "mail.example", &stranger).await;
    assert_ne!(error.status(), Status::Tls);
}

#[tokio::test]
async fn the_systems_roots_do_not_know_our_authority_and_given_ones_add_to_them() {
    let authority = Authority::new("ours");
    let issued = authority.issue(&["mail.example"]);
    let both = ClientTls::new()
        .with_roots(&Roots::SystemAnd(vec![authority.pem()]))
        .unwrap();
    let (client, _) = handshake(&both, "mail.example", &issued.server()).await;
    client.unwrap();
    let (client, _) = handshake(&ClientTls::new(), "mail.example", &issued.server()).await;
    let status = client.unwrap_err().status();
    // A machine without any roots says so; either way nobody is trusted.
    assert!(
        matches!(
            status,
            Status::CertificateUntrusted | Status::TlsConfiguration
        ),
        "{status:?}"
    );
}

#[tokio::test]
async fn client_certificates_are_optional_and_must_be_ours() {
    let authority = Authority::new("ours");
    let issued = authority.issue(&["mail.example"]);
    let roots = [authority.pem()];
    let server =
        ServerTls::with_client_roots(&issued.certificate(), &issued.key(), &roots).unwrap();

    let (client, there) = handshake(&authority.client(), "mail.example", &server).await;
    client.unwrap();
    assert_eq!(there.unwrap().1.peer_certificate(), None);

    let badge = authority.issue(&["client.example"]);
    let with_badge = authority
        .client()
        .with_certificate(&badge.certificate(), &badge.key())
        .unwrap();
    let (client, there) = handshake(&with_badge, "mail.example", &server).await;
    client.unwrap();
    assert!(there.unwrap().1.peer_certificate().is_some());

    let forged = Authority::new("theirs").issue(&["client.example"]);
    let with_forged = authority
        .client()
        .with_certificate(&forged.certificate(), &forged.key())
        .unwrap();
    let (client, there) = handshake(&with_forged, "mail.example", &server).await;
    let told = there.unwrap_err();
    assert_eq!(told.status(), Status::CertificateInvalid, "{told}");
    assert!(told.message().contains("none of the roots"), "{told}");
    // In TLS 1.3 the client learns of it with its first read.
    let (mut stream, _) = client.unwrap();
    let error = stream.read_u8().await.unwrap_err();
    let error = crate::net::io_fault(error, Phase::Hello, "server");
    assert_eq!(error.status(), Status::Tls, "{error}");
    assert!(error.message().contains("alert UnknownCA"), "{error}");
}

#[tokio::test]
async fn clients_are_asked_for_certificates_after_any_change_too() {
    let authority = Authority::new("ours");
    let issued = authority.issue(&["mail.example", "mx.example"]);
    let (certificate, key) = (issued.certificate(), issued.key());
    let roots = [authority.pem()];
    let server = ServerTls::with_client_roots(&certificate, &key, &roots).unwrap();
    let badge = authority.issue(&["client.example"]);
    let client = authority
        .client()
        .with_certificate(&badge.certificate(), &badge.key())
        .unwrap();
    let copied = server.copied().unwrap();
    server.reload(&certificate, &key).unwrap();
    let added = ServerTls::with_client_roots(&certificate, &key, &roots).unwrap();
    added
        .add_certificate("mx.example", &certificate, &key)
        .unwrap();
    for server in [server, copied, added] {
        for name in ["mail.example", "mx.example"] {
            let (client, there) = handshake(&client, name, &server).await;
            client.unwrap();
            assert!(there.unwrap().1.peer_certificate().is_some(), "{name}");
        }
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_from_the_next_handshake_on() {
    let authority = Authority::new("ours");
    let (old, new) = (
        authority.issue(&["old.example"]),
        authority.issue(&["new.example"]),
    );
    let server = old.server();
    let (client, there) = handshake(&authority.client(), "old.example", &server).await;
    let ((mut ours, _), (mut theirs, _)) = (client.unwrap(), there.unwrap());
    server.reload(&new.certificate(), &new.key()).unwrap();
    let (client, _) = handshake(&authority.client(), "new.example", &server).await;
    client.unwrap();
    // The session that ran goes on.
    theirs.write_all(b"220").await.unwrap();
    theirs.flush().await.unwrap();
    let mut heard = [0; 3];
    ours.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"220");
}

#[tokio::test]
async fn a_second_handshake_resumes_the_session() {
    let authority = Authority::new("ours");
    let (client, server) = (
        authority.client(),
        authority.issue(&["mail.example"]).server(),
    );
    for round in 0..2 {
        let (ours, theirs) = pair();
        let name = name("mail.example");
        let (ours, theirs) = tokio::join!(
            ours.into_tls_client(&client, &name, Start::Implicit),
            theirs.into_tls_server(&server)
        );
        let ((mut ours, seen), (mut theirs, seen_there)) = (ours.unwrap(), theirs.unwrap());
        // The tickets come with the first bytes.
        theirs.write_all(b"220").await.unwrap();
        theirs.flush().await.unwrap();
        let mut heard = [0; 3];
        ours.read_exact(&mut heard).await.unwrap();
        assert_eq!(seen.resumed(), round == 1, "round {round}");
        assert_eq!(seen_there.resumed(), round == 1, "round {round}");
    }
}

#[tokio::test]
async fn a_server_that_greets_in_clear_is_explained() {
    let authority = Authority::new("ours");
    for (start, words) in [
        (Start::Implicit, "does not speak TLS on this port"),
        (Start::StartTls, "after its reply to STARTTLS"),
    ] {
        let (ours, mut theirs) = pair();
        theirs
            .write_all(b"220 mail.example ESMTP ready\r\n")
            .await
            .unwrap();
        let name = name("mail.example");
        let error = ours
            .into_tls_client(&authority.client(), &name, start)
            .await
            .unwrap_err();
        assert_eq!(error.status(), Status::Tls);
        assert!(error.message().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_client_that_speaks_in_clear_is_explained() {
    let (mut ours, theirs) = pair();
    ours.write_all(b"EHLO client.example\r\n").await.unwrap();
    let server = Authority::new("ours").issue(&["mail.example"]).server();
    let error = theirs.into_tls_server(&server).await.unwrap_err();
    assert_eq!(error.status(), Status::Tls);
    assert!(error.message().contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_a_lost_connection() {
    let (ours, theirs) = pair();
    drop(theirs);
    let name = name("mail.example");
    let error = ours
        .into_tls_client(&Authority::new("ours").client(), &name, Start::Implicit)
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::ConnectionLost, "{error}");
}

#[tokio::test]
async fn tls_is_not_begun_twice() {
    let authority = Authority::new("ours");
    let server = authority.issue(&["mail.example"]).server();
    let (client, _) = handshake(&authority.client(), "mail.example", &server).await;
    let (stream, _) = client.unwrap();
    let again = stream.into_tls_server(&server).await;
    assert_eq!(again.unwrap_err().status(), Status::Misuse);
}
