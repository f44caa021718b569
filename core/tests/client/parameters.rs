//! What a message needs and the server does not offer, or the options take away: an error before anything is said of it.

use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::proto::{BodyType, Envelope, MailParameters};
use mailwire::{Delivery, Error, Outcome, Phase, Status, server};

use crate::script::Server;
use crate::tls::{dialling, taking_with};
use crate::{MESSAGE, envelope, options};

fn needing(set: impl FnOnce(&mut MailParameters)) -> Envelope {
    let mut parameters = MailParameters::default();
    set(&mut parameters);
    envelope(&["you@x.example"]).with_parameters(parameters)
}

/// Sends to a server that offers this and hears nothing but EHLO and QUIT.
fn not_said(
    offered: &'static [&'static str],
    set: impl FnOnce(&mut Options),
    envelope: &Envelope,
) -> Error {
    let server = Server::once(|s| {
        s.welcome(offered);
        s.goodbye();
    });
    let mut options = options(&server);
    set(&mut options);
    let error = try_to(options, envelope).unwrap_err();
    server.join();
    error
}

fn try_to(options: Options, envelope: &Envelope) -> Result<Outcome, Error> {
    let client = Client::new(options).unwrap();
    let call = Call {
        deadline: Some(Duration::from_secs(10)),
        ..Call::default()
    };
    client.send(envelope, Content::bytes(MESSAGE), call)
}

fn assert_not_supported(error: &Error, word: &str) {
    let told = (error.status(), error.phase());
    assert_eq!(told, (Status::NotSupported, Some(Phase::Mail)), "{error}");
    assert!(error.to_string().contains(word), "{error}");
}

#[test]
fn what_the_server_does_not_offer_is_an_error_that_names_it() {
    let binary = needing(|it| it.body = Some(BodyType::BinaryMime));
    let error = not_said(&["CHUNKING", "8BITMIME"], |_| {}, &binary);
    assert_not_supported(&error, "BINARYMIME");
    let error = not_said(&["BINARYMIME", "8BITMIME"], |_| {}, &binary);
    assert_not_supported(&error, "CHUNKING");
    let sender = Envelope::parse("jürgen@x.example", ["you@x.example"]).unwrap();
    let error = not_said(&["8BITMIME"], |_| {}, &sender);
    assert_not_supported(&error, "SMTPUTF8");
    let error = not_said(&["8BITMIME"], |_| {}, &needing(|it| it.smtputf8 = true));
    assert_not_supported(&error, "SMTPUTF8");
}

#[test]
fn a_recipient_outside_ascii_is_refused_alone_where_smtputf8_is_not_offered() {
    let server = Server::once(|s| {
        s.welcome(&["8BITMIME"]);
        s.hear("MAIL FROM:<me@example.org>");
        s.say("250 ok\n");
        s.hear("RCPT TO:<you@x.example>");
        s.say("250 ok\n");
        s.hear("DATA");
        s.say("354 go on\n");
        s.body();
        s.say("250 ok\n");
        s.goodbye();
    });
    let both = envelope(&["jürgen@x.example", "you@x.example"]);
    let outcome = try_to(options(&server), &both).unwrap();
    let deliveries = crate::deliveries(&outcome);
    assert_eq!(deliveries, [Delivery::Refused, Delivery::Accepted]);
    server.join();
}

#[test]
fn what_the_transfer_is_set_to_is_kept() {
    let bdat = |options: &mut Options| options.set("transfer", "bdat").unwrap();
    let error = not_said(&["8BITMIME"], bdat, &envelope(&["you@x.example"]));
    assert_not_supported(&error, "CHUNKING");
    let data = |options: &mut Options| options.set("transfer", "data").unwrap();
    let binary = needing(|it| it.body = Some(BodyType::BinaryMime));
    let error = not_said(&["CHUNKING", "BINARYMIME"], data, &binary);
    assert_not_supported(&error, "transfer");
}

#[test]
fn requiretls_needs_the_offer_and_a_certificate_that_was_verified() {
    let required = needing(|it| it.requiretls = true);
    let error = not_said(&["REQUIRETLS"], |_| {}, &required);
    assert_not_supported(&error, "REQUIRETLS");
    for (offered, verifies) in [(false, true), (true, false)] {
        let (server, certificate) =
            taking_with(&["mail.example"], |options: &mut server::Options| {
                if offered {
                    options.set("extensions", "REQUIRETLS").unwrap();
                }
            });
        let mut options = dialling(&server, &certificate, "mail.example");
        options
            .set("verify", if verifies { "true" } else { "false" })
            .unwrap();
        let error = try_to(options, &required).unwrap_err();
        assert_not_supported(&error, "REQUIRETLS");
        let told = error.tls().expect("the session is under TLS");
        assert!(!told.cipher().is_empty());
    }
}
