//! Mails with addresses outside ASCII, to servers with SMTPUTF8 and without.

use mailwire::blocking::{Call, Client};
use mailwire::client::Content;
use mailwire::message::Mail;
use mailwire::{Delivery, Error, Outcome, Phase, Status};

use crate::script::Server;
use crate::{deliveries, options};

fn mail() -> Mail<'static> {
    let mut mail = Mail::new();
    mail.from("a@example.org").unwrap();
    mail.to("b@example.net").unwrap();
    mail.text("Hello\n").unwrap();
    mail
}

fn send(server: &Server, mail: &Mail<'_>) -> Result<Outcome, Error> {
    let (envelope, content) = mail.build().unwrap().into_parts();
    let client = Client::new(options(server)).unwrap();
    client.send(&envelope, Content::bytes(&content), Call::default())
}

#[test]
fn a_mail_with_a_local_part_outside_ascii_says_smtputf8_and_8bitmime() {
    let server = Server::once(|s| {
        s.welcome(&["8BITMIME", "SMTPUTF8"]);
        s.hear("MAIL FROM:<zoë@xn--bcher-kva.example> BODY=8BITMIME SMTPUTF8");
        s.say("250 ok\n");
        s.hear("RCPT TO:<b@example.net>");
        s.say("250 ok\n");
        s.hear("RCPT TO:<中文@example.net>");
        s.say("250 ok\n");
        s.hear("DATA");
        s.say("354 go on\n");
        let body = String::from_utf8(s.body()).unwrap();
        assert!(
            body.contains("From: =?utf-8?B?Wm/Dqw==?= <zoë@xn--bcher-kva.example>\r\n"),
            "{body}"
        );
        assert!(body.contains(" <中文@example.net>\r\n"), "{body}");
        s.say("250 ok\n");
        s.goodbye();
    });
    let mut mail = mail();
    mail.from("Zoë <zoë@bücher.example>").unwrap();
    mail.to("中文@example.net").unwrap();
    let outcome = send(&server, &mail).unwrap();
    assert_eq!(outcome.delivery(), Delivery::Accepted);
    server.join();
}

#[test]
fn an_answer_address_alone_needs_smtputf8_too() {
    let server = Server::once(|s| {
        s.welcome(&["8BITMIME", "SMTPUTF8"]);
        s.hear("MAIL FROM:<a@example.org> BODY=8BITMIME SMTPUTF8");
        s.say("250 ok\n");
        s.hear("RCPT TO:<b@example.net>");
        s.say("250 ok\n");
        s.hear("DATA");
        s.say("354 go on\n");
        s.body();
        s.say("250 ok\n");
        s.goodbye();
    });
    send(&server, mail().reply_to("zoë@example.org").unwrap()).unwrap();
    server.join();
}

#[test]
fn nothing_of_it_is_sent_to_a_server_that_cannot_take_it() {
    for (offered, lacking) in [
        (&[][..], "SMTPUTF8"),
        (&["8BITMIME", "PIPELINING"], "SMTPUTF8"),
        (&["8BITMIME", "CHUNKING"], "SMTPUTF8"),
        // RFC 6531 section 3.1 forbids it.
        (&["SMTPUTF8"], "8BITMIME"),
    ] {
        let server = Server::once(move |s| {
            s.welcome(offered);
            s.goodbye();
            s.closed();
        });
        let error = send(&server, mail().reply_to("zoë@example.org").unwrap()).unwrap_err();
        assert_eq!(
            (error.status(), error.phase()),
            (Status::NotSupported, Some(Phase::Mail)),
            "{offered:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains(&format!("the server does not offer {lacking}: ")),
            "{text}"
        );
        server.join();
    }
}

#[test]
fn a_hidden_recipient_outside_ascii_is_refused_alone() {
    let mut mail = mail();
    mail.bcc("zoë@example.org, c@bücher.example").unwrap();
    let expected = [Delivery::Accepted, Delivery::Refused, Delivery::Accepted];

    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        s.hear("MAIL FROM:<a@example.org>\nRCPT TO:<b@example.net>\nRCPT TO:<c@xn--bcher-kva.example>\nDATA");
        s.say("250 ok\n250 ok\n250 ok\n354 go on\n");
        assert!(s.body().is_ascii());
        s.say("250 ok\n");
        s.goodbye();
    });
    let outcome = send(&server, &mail).unwrap();
    assert_eq!(deliveries(&outcome), expected);
    server.join();

    let server = Server::once(|s| {
        s.welcome(&["PIPELINING", "8BITMIME", "SMTPUTF8"]);
        s.hear("MAIL FROM:<a@example.org> SMTPUTF8\nRCPT TO:<b@example.net>\nRCPT TO:<zoë@example.org>");
        s.hear("RCPT TO:<c@xn--bcher-kva.example>\nDATA");
        s.say("250 ok\n250 ok\n250 ok\n250 ok\n354 go on\n");
        assert!(s.body().is_ascii());
        s.say("250 ok\n");
        s.goodbye();
    });
    let outcome = send(&server, &mail).unwrap();
    assert_eq!(deliveries(&outcome), [Delivery::Accepted; 3]);
    server.join();
}
