//! On which thread a login by SCRAM does its thousands of rounds.

use std::thread;
use std::time::Duration;

use super::{Call, Client, Server};
use crate::client::{Connection, Content, Options};
use crate::proto::Envelope;
use crate::sasl::{Credentials, Mechanism, Secret, derivations};
use crate::server;
use crate::tls::TlsPolicy;

/// A server that knows `tim`, and how to log in to it.
fn served() -> (Server, Options) {
    let mut options = server::Options::new();
    options.set_allow_plaintext_auth(true);
    options.add_user("tim", Secret::new("right")).unwrap();
    let server = Server::start(options).unwrap();
    let mut options = Options::new();
    let port = server.addresses()[0].port();
    options.set_server("127.0.0.1", Some(port)).unwrap();
    options.set_tls(TlsPolicy::None);
    options.set_allow_plaintext_auth(true);
    options.set_mechanism(Some(Mechanism::ScramSha256));
    options.set_credentials(Credentials::new("tim", "right").unwrap());
    (server, options)
}

#[tokio::test]
async fn an_async_client_derives_on_no_thread_of_its_runtime() {
    let (_server, options) = served();
    let before = derivations();
    let connection = Connection::open(&options).await.unwrap();
    assert!(connection.is_usable());
    connection.quit().await;
    assert_eq!(derivations() - before, 0);
}

#[test]
fn a_blocking_client_derives_on_the_thread_that_calls() {
    let (server, options) = served();
    let sending = thread::spawn(move || {
        let before = derivations();
        let envelope = Envelope::parse("a@b.example", ["c@d.example"]).unwrap();
        let client = Client::new(options).unwrap();
        let content = Content::bytes(b"x\r\n");
        client.send(&envelope, content, Call::default()).unwrap();
        derivations() - before
    });
    let event = server.next_event(Some(Duration::from_secs(20)), Call::default());
    event.unwrap().expect("a message").accept().unwrap();
    assert_eq!(sending.join().unwrap(), 1);
}
