//! What an outcome tells about TLS, with a server of our own at the other end.

use std::time::Duration;

use mailwire::blocking::{Call, Client, Server};
use mailwire::client::{Content, OnRefused, Options};
use mailwire::proto::{Reply, TlsInfo};
use mailwire::tls::{ClientTls, Pem, Pin, Roots, ServerTls, TlsPolicy};
use mailwire::{Delivery, Status, server};

use crate::{MESSAGE, envelope};

#[test]
fn the_outcome_tells_the_state_of_tls_on_success_and_on_failure() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = Pem::bytes(issued.cert.pem());
    let key = Pem::bytes(issued.signing_key.serialize_pem());
    let mut options = server::Options::new();
    options.set_tls(ServerTls::new(&certificate, &key).unwrap());
    let server = Server::start(options).unwrap();
    let mut options = Options::new();
    let port = server.addresses()[0].port();
    options.set_server("localhost", Some(port)).unwrap();
    let trusting = ClientTls::new().with_roots(&Roots::Only(vec![certificate]));
    options.set_client_tls(trusting.unwrap());
    options.set_on_refused(OnRefused::RaiseIfAny);

    for policy in [TlsPolicy::Required, TlsPolicy::None] {
        options.set_tls(policy);
        let client = Client::new(options.clone()).unwrap();
        for delivery in [Delivery::Accepted, Delivery::Refused, Delivery::Unknown] {
            let soon = Duration::from_secs(3);
            let outcome = std::thread::scope(|scope| {
                scope.spawn(|| {
                    let wait = Some(Duration::from_secs(20));
                    let mut event = server.next_event(wait, Call::default()).unwrap().unwrap();
                    match delivery {
                        Delivery::Accepted => event.accept().unwrap(),
                        Delivery::Unknown => std::thread::sleep(soon * 2),
                        _ => event.reply(Reply::new(554, "no").unwrap()).unwrap(),
                    }
                });
                let content = Content::bytes(MESSAGE);
                let call = Call {
                    deadline: (delivery == Delivery::Unknown).then_some(soon),
                    ..Call::default()
                };
                match client.send(&envelope(&["you@localhost"]), content, call) {
                    Ok(outcome) => outcome,
                    Err(error) => error.outcome().unwrap().clone(),
                }
            });
            assert_eq!(outcome.delivery(), delivery);
            let version = outcome.tls().map(|tls| tls.version().name());
            let cipher = outcome.tls().map(TlsInfo::cipher);
            if policy == TlsPolicy::None {
                assert_eq!((version, cipher), (None, None));
            } else {
                assert_eq!(version, Some("TLSv1.3"));
                assert!(cipher.unwrap().starts_with("TLS_"), "{cipher:?}");
            }
        }
    }
}

/// A server of our own for these names, that takes every message.
pub(crate) fn taking(names: &[&str]) -> (Server, Pem) {
    taking_with(names, |_| {})
}

/// The same with other options.
pub(crate) fn taking_with(names: &[&str], set: impl FnOnce(&mut server::Options)) -> (Server, Pem) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let issued = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = Pem::bytes(issued.cert.pem());
    let key = Pem::bytes(issued.signing_key.serialize_pem());
    let mut options = server::Options::new();
    options.set_tls(ServerTls::new(&certificate, &key).unwrap());
    set(&mut options);
    (Server::start(options).unwrap(), certificate)
}

/// Options for that server, dialled by its address.
pub(crate) fn dialling(server: &Server, root: &Pem, tls_name: &str) -> Options {
    let mut options = Options::new();
    let port = server.addresses()[0].port();
    options.set_server("127.0.0.1", Some(port)).unwrap();
    options.set_tls(TlsPolicy::Required);
    options.set_tls_name(tls_name).unwrap();
    let roots = Roots::Only(vec![root.clone()]);
    options.set_client_tls(ClientTls::new().with_roots(&roots).unwrap());
    options
}

/// Sends a message through `client`, and gives what the outcome tells of TLS.
pub(crate) fn tls_of_send(client: &Client, server: &Server) -> Result<TlsInfo, mailwire::Error> {
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let to = envelope(&["you@localhost"]);
            client.send(&to, Content::bytes(MESSAGE), Call::default())
        });
        while !sending.is_finished() {
            let wait = Some(Duration::from_millis(20));
            if let Some(mut event) = server.next_event(wait, Call::default()).unwrap() {
                event.accept().unwrap();
            }
        }
        let outcome = sending.join().unwrap()?;
        Ok(outcome.tls().unwrap().clone())
    })
}

#[test]
fn the_certificate_must_be_for_the_tls_name_and_not_for_what_is_dialled() {
    let (server, certificate) = taking(&["mail.example"]);
    let client = Client::new(dialling(&server, &certificate, "mail.example")).unwrap();
    tls_of_send(&client, &server).unwrap();

    let client = Client::new(dialling(&server, &certificate, "127.0.0.1")).unwrap();
    let error = tls_of_send(&client, &server).unwrap_err();
    assert_eq!(error.status(), Status::CertificateName, "{error}");
    assert!(error.message().contains("tls_name"), "{error}");
    assert_eq!(
        error.peer(),
        Some(format!("127.0.0.1:{}", server.addresses()[0].port()).as_str())
    );
}

#[test]
fn a_pools_second_connection_resumes_the_session_of_the_first() {
    let (server, certificate) = taking(&["mail.example", "other.example"]);
    let mut options = dialling(&server, &certificate, "mail.example");
    // Each message has a connection of its own.
    options.set_max_messages(1).unwrap();
    let resumed = |options: &Options| {
        let client = Client::new(options.clone()).unwrap();
        [(); 2].map(|()| tls_of_send(&client, &server).unwrap().resumed())
    };
    assert_eq!(resumed(&options), [false, true]);
    // Clones are the same client to the server.
    assert_eq!(resumed(&options.clone()), [true, true]);

    // Another name was never verified, so its session begins anew; the first one's is still there.
    let mut other_name = options.clone();
    other_name.set_tls_name("other.example").unwrap();
    assert_eq!(resumed(&other_name), [false, true]);
    assert_eq!(resumed(&options), [true, true]);
}

#[test]
fn no_session_is_resumed_that_was_verified_by_weaker_rules() {
    let (server, certificate) = taking(&["mail.example"]);
    let mut options = dialling(&server, &certificate, "mail.example");
    options.set_max_messages(1).unwrap();
    let mut weak = options.clone();
    weak.set("verify", "false").unwrap();
    let send = |options: &Options| tls_of_send(&Client::new(options.clone()).unwrap(), &server);
    assert!(!send(&weak).unwrap().resumed());
    assert!(send(&weak).unwrap().resumed());

    // Made from the same options, with a session of theirs at hand.
    let seen = send(&weak).unwrap();
    let right = Pin::of_certificate(seen.peer_certificate().unwrap()).unwrap();
    let wrong = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let mut pinned = weak.clone();
    pinned.set("pin", wrong).unwrap();
    let error = send(&pinned).unwrap_err();
    assert_eq!(error.status(), Status::CertificateUntrusted, "{error}");
    pinned.set("pin", &format!("{wrong}, {right}")).unwrap();
    assert!(!send(&pinned).unwrap().resumed());
    assert!(send(&pinned).unwrap().resumed());

    let stranger = rcgen::generate_simple_self_signed(["mail.example".to_owned()]).unwrap();
    let roots = Roots::Only(vec![Pem::bytes(stranger.cert.pem())]);
    let mut other_roots = weak.clone();
    other_roots.set_client_tls(weak.client_tls().clone().with_roots(&roots).unwrap());
    // The root has the name of the server's certificate, and another key.
    let error = send(&other_roots).unwrap_err();
    assert_eq!(error.status(), Status::CertificateInvalid, "{error}");
}

#[test]
fn a_root_set_by_name_is_trusted_besides_the_others() {
    let issue = || rcgen::generate_simple_self_signed(["mail.example".to_owned()]).unwrap();
    let (own, stranger) = (issue(), issue());
    let certificate = Pem::bytes(own.cert.pem());
    let key = Pem::bytes(own.signing_key.serialize_pem());
    let mut options = server::Options::new();
    options.set_tls(ServerTls::new(&certificate, &key).unwrap());
    let server = Server::start(options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (own, other) = (
        file("own.pem", &own.cert.pem()),
        file("other.pem", &stranger.cert.pem()),
    );
    let port = server.addresses()[0].port();
    for (ca, extra_ca, is_trusted) in [
        (&other, None, false),
        (&other, Some(&own), true),
        (&own, Some(&other), true),
    ] {
        let extra = extra_ca.map_or(String::new(), |path| format!("&extra_ca={path}"));
        let url =
            format!("smtp://127.0.0.1:{port}?tls=required&tls_name=mail.example&ca={ca}{extra}");
        let client = Client::new(Options::from_url(&url).unwrap()).unwrap();
        let sent = tls_of_send(&client, &server);
        assert_eq!(sent.is_ok(), is_trusted, "{url}: {sent:?}");
    }
}
