//! The blocking client and server reach every mechanism too.

use std::future::ready;
use std::thread;
use std::time::Duration;

use mailwire::blocking::{Call, Client, EventKind, Server};
use mailwire::client::{Content, Options as ClientOptions};
use mailwire::proto::{Envelope, Reply};
use mailwire::sasl::{Credentials, Found, Mechanism, Proof, Secret};
use mailwire::server::{Hooks, Options};
use mailwire::tls::TlsPolicy;
use mailwire::{Error, Status};

use crate::peers::Pki;

fn login(options: ClientOptions) -> Result<(), Error> {
    let envelope = Envelope::parse("a@b.example", ["c@d.example"]).unwrap();
    let client = Client::new(options)?;
    client.send(&envelope, Content::bytes(b"x\r\n"), Call::default())?;
    Ok(())
}

#[test]
fn the_queue_supplies_what_is_looked_up_and_judges_tokens() {
    let pki = Pki::new();
    let mut options = Options::new();
    options.set_tls(pki.server_tls());
    options.set_auth_required(true);
    options.set_hooks(Hooks::AUTH.with(Hooks::LOOKUP));
    options
        .set_mechanisms(&[Mechanism::ScramSha256Plus, Mechanism::OauthBearer])
        .unwrap();
    let server = Server::start(options).unwrap();
    let mut client = ClientOptions::new();
    client
        .set_server("localhost", Some(server.addresses()[0].port()))
        .unwrap();
    client.set_tls(TlsPolicy::Required);
    client.set_client_tls(pki.client_tls());
    let logins = thread::spawn(move || {
        let mut results = Vec::new();
        for name in ["tim", "kurt", "nobody", "fault"] {
            client.set_credentials(Credentials::new(name, "right").unwrap());
            results.push(login(client.clone()).map_err(|error| error.status()));
        }
        client
            .set_token_source("ann", |_| ready(Ok(Secret::new("token"))))
            .unwrap();
        results.push(login(client).map_err(|error| error.status()));
        results
    });
    let mut users = Vec::new();
    while users.len() < 2 {
        let waited = server.next_event(Some(Duration::from_secs(30)), Call::default());
        let mut event = waited.unwrap().expect("an event within the time");
        let (looked_up, proof) = match event.kind() {
            EventKind::Lookup(lookup) => (Some(lookup.username().to_owned()), None),
            EventKind::Auth(credentials) => (None, Some(credentials.proof())),
            EventKind::Message { .. } => (None, None),
            other => panic!("{other:?}"),
        };
        match (looked_up.as_deref(), proof) {
            (Some("tim"), _) => event.supply(Found::Password("right".into())),
            (Some("kurt"), _) => event.supply(Found::Password("other".into())),
            (Some("fault"), _) => event.reply(Reply::new(454, "later").unwrap()),
            (None, Some(proof)) => {
                assert_eq!(proof, Proof::Token);
                let misuse = event.supply(Found::Nobody).unwrap_err();
                assert_eq!(misuse.status(), Status::Misuse);
                event.accept()
            }
            (None, None) => {
                users.push(event.session().user().unwrap().to_owned());
                event.accept()
            }
            // Nobody of that name.
            (Some(_), _) => event.accept(),
        }
        .unwrap();
    }
    assert_eq!(users, ["tim", "ann"]);
    let rejected = Err(Status::AuthRejected);
    assert_eq!(
        logins.join().unwrap(),
        [Ok(()), rejected, rejected, rejected, Ok(())]
    );
}

#[test]
fn a_url_asks_for_a_login_by_certificate_or_anonymously() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let (both, root) = pki.files("client", folder.path());
    for (login_by, extra, mechanism, proof) in [
        (
            "external",
            format!("&client_cert={}", both.display()),
            Mechanism::External,
            Proof::Certificate,
        ),
        (
            "anonymous",
            String::new(),
            Mechanism::Anonymous,
            Proof::Nothing,
        ),
    ] {
        let mut options = Options::new();
        options.set_tls(pki.server_tls());
        options.set_auth_required(true);
        options.set_hooks(Hooks::AUTH);
        options.set_mechanisms(&[mechanism]).unwrap();
        let server = Server::start(options).unwrap();
        let port = server.addresses()[0].port();
        let url = format!(
            "smtp://localhost:{port}?tls=required&ca={}&login={login_by}{extra}",
            root.display()
        );
        let client = ClientOptions::from_url(&url).unwrap();
        let sending = thread::spawn(move || login(client));
        let mut proofs = Vec::new();
        while !sending.is_finished() {
            let wait = Some(Duration::from_millis(20));
            let Some(mut event) = server.next_event(wait, Call::default()).unwrap() else {
                continue;
            };
            if let EventKind::Auth(credentials) = event.kind() {
                proofs.push(credentials.proof());
            }
            event.accept().unwrap();
        }
        sending.join().unwrap().unwrap();
        assert_eq!(proofs, [proof]);
    }
}
