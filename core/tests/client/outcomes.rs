//! What becomes of a message, and which error tells it.

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, OnRefused, Options};
use mailwire::proto::data::LineEnds;
use mailwire::tls::TlsPolicy;
use mailwire::{Delivery, Phase, Status};

use crate::script::{Server, Session};
use crate::{MESSAGE, deliveries, envelope, options, send};

#[test]
fn a_message_arrives_and_the_queue_id_is_known() {
    let server = Server::once(|s| {
        s.welcome(&["SIZE 1000", "8BITMIME", "PIPELINING"]);
        s.hear("MAIL FROM:<me@example.org> SIZE=30\nRCPT TO:<you@example.net>\nDATA");
        s.say("250 ok\n250 ok\n354 go on\n");
        assert_eq!(s.body(), b"Subject: test\r\n\r\n..dots\r\nbody\r\n");
        s.say("250 2.0.0 Ok: queued as ABC\n");
        s.goodbye();
    });
    let outcome = send(options(&server), &["you@example.net"]).unwrap();
    assert_eq!(outcome.queue_id(), Some("ABC"));
    assert_eq!(outcome.delivery(), Delivery::Accepted);
    server.join();
}

#[test]
fn one_refused_recipient_does_not_sink_the_rest() {
    fn script(s: &mut Session) {
        s.welcome(&["PIPELINING"]);
        s.hear("MAIL FROM:<me@example.org>\nRCPT TO:<a@x.example>\nRCPT TO:<b@x.example>\nRCPT TO:<c@x.example>\nDATA");
        s.say("250 ok\n250 ok\n550 5.1.1 no such user\n450 4.2.1 busy\n354 go on\n");
        s.body();
        s.say("250 ok\n");
        s.goodbye();
    }
    let recipients = ["a@x.example", "b@x.example", "c@x.example"];
    let expected = [Delivery::Accepted, Delivery::Refused, Delivery::Deferred];

    let server = Server::once(script);
    let outcome = send(options(&server), &recipients).unwrap();
    assert_eq!(deliveries(&outcome), expected);
    assert_eq!(outcome.safe_to_retry().count(), 1);
    server.join();

    let server = Server::once(script);
    let mut strict = options(&server);
    strict.set_on_refused(OnRefused::RaiseIfAny);
    let error = send(strict, &recipients).unwrap_err();
    assert_eq!(
        (error.status(), error.recipient_index()),
        (Status::Partial, Some(1))
    );
    assert_eq!(deliveries(error.outcome().unwrap()), expected);
    assert!(
        error.to_string().contains("b@x.example") && error.to_string().contains("no such user"),
        "{error}"
    );
    server.join();
}

#[test]
fn all_or_nothing_sends_nothing_when_one_is_refused() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        s.hear("MAIL FROM:<me@example.org>\nRCPT TO:<a@x.example>\nRCPT TO:<b@x.example>");
        s.say("250 ok\n250 ok\n550 5.1.1 no\n");
        s.hear("RSET");
        s.say("250 ok\n");
        s.goodbye();
    });
    let mut options = options(&server);
    options.set_all_or_nothing(true);
    let error = send(options, &["a@x.example", "b@x.example"]).unwrap_err();
    assert_eq!(
        deliveries(error.outcome().unwrap()),
        [Delivery::NotTried, Delivery::Refused]
    );
    assert_eq!(
        (error.status(), error.recipient_index()),
        (Status::Permanent, Some(1))
    );
    server.join();
}

#[test]
fn a_refused_sender_is_named_so() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.hear("MAIL FROM:<me@example.org>");
        s.say("553 5.1.8 go away\n");
        s.goodbye();
    });
    let error = send(options(&server), &["a@x.example"]).unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Permanent, Some(Phase::Mail))
    );
    assert!(
        error.to_string().contains("the sender was refused"),
        "{error}"
    );
    server.join();
}

#[test]
fn faults_before_the_transaction_each_have_their_own_text() {
    let mut texts = Vec::new();
    let mut fault = |status: Status, script: fn(&mut Session), change: fn(&mut Options)| {
        let server = Server::once(script);
        let mut options = options(&server);
        change(&mut options);
        let error = send(options, &["a@x.example"]).unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        assert!(!texts.contains(&error.message().to_owned()), "{error}");
        texts.push(error.message().to_owned());
        server.join();
    };
    fault(Status::Permanent, |s| s.say("554 not here\n"), |_| {});
    fault(Status::ConnectionLost, Session::hang_up, |_| {});
    fault(Status::Protocol, |s| s.say("SSH-2.0-OpenSSH\n"), |_| {});
    fault(
        Status::TlsNotOffered,
        |s| {
            s.welcome(&["SIZE"]);
            s.goodbye();
        },
        |o| o.set_tls(TlsPolicy::Required),
    );
    fault(
        Status::TlsRefused,
        |s| {
            s.welcome(&["STARTTLS"]);
            s.hear("STARTTLS");
            s.say("454 4.7.0 no TLS today\n");
            s.goodbye();
        },
        |o| o.set_tls(TlsPolicy::Required),
    );
    fault(
        Status::Protocol,
        |s| {
            s.welcome(&["STARTTLS"]);
            s.hear("STARTTLS");
            s.say("220 go\n250 injected\n");
            s.closed();
        },
        |o| o.set_tls(TlsPolicy::Required),
    );
    let login = |o: &mut Options| {
        o.set_credentials(mailwire::sasl::Credentials::new("user", "secret").unwrap());
        o.set_tls(TlsPolicy::None);
        o.set_allow_plaintext_auth(true);
    };
    fault(
        Status::AuthRejected,
        |s| {
            s.welcome(&["AUTH PLAIN LOGIN"]);
            s.hear_start("AUTH PLAIN ");
            s.say("535 5.7.8 wrong\n");
            s.goodbye();
        },
        login,
    );
    fault(Status::AuthNotOffered, |s| s.welcome(&[]), login);
    fault(
        Status::AuthMechanism,
        |s| s.welcome(&["AUTH GSSAPI"]),
        login,
    );
}

#[test]
fn ehlo_falls_back_to_helo_only_where_nothing_needs_ehlo() {
    let server = Server::once(|s| {
        s.say("220 old.example\n");
        s.hear_start("EHLO ");
        s.say("502 what\n");
        s.hear_start("HELO ");
        s.say("250 old.example\n");
        s.accept_one();
        s.goodbye();
    });
    assert!(send(options(&server), &["a@x.example"]).is_ok());
    server.join();

    let server = Server::once(|s| {
        s.say("220 old.example\n");
        s.hear_start("EHLO ");
        s.say("502 what\n");
        s.goodbye();
    });
    let mut options = options(&server);
    options.set_tls(TlsPolicy::Required);
    assert_eq!(
        send(options, &["a@x.example"]).unwrap_err().phase(),
        Some(Phase::Hello)
    );
    server.join();
}

#[test]
fn what_the_server_cannot_take_is_not_sent() {
    let server = Server::once(|s| {
        s.welcome(&["SIZE 10"]);
        s.goodbye();
    });
    let error = send(options(&server), &["a@x.example"]).unwrap_err();
    assert_eq!(error.status(), Status::TooLarge);
    server.join();

    let server = Server::once(|s| {
        s.welcome(&[]);
        s.goodbye();
    });
    let client = Client::new(options(&server)).unwrap();
    let error = client
        .send(
            &envelope(&["a@x.example"]),
            Content::bytes("é".as_bytes()),
            Call::default(),
        )
        .unwrap_err();
    assert_eq!(error.status(), Status::NotSupported);
    drop(client);
    server.join();

    let server = Server::once(|s| {
        s.welcome(&[]);
        s.goodbye();
    });
    let mut strict = options(&server);
    strict.set_line_ends(LineEnds::Refuse);
    let client = Client::new(strict).unwrap();
    let error = client
        .send(
            &envelope(&["a@x.example"]),
            Content::bytes(b"a\nb"),
            Call::default(),
        )
        .unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    drop(client);
    server.join();
}

#[test]
fn no_password_leaves_in_clear() {
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(9)).unwrap();
    options.set_credentials(mailwire::sasl::Credentials::new("user", "secret").unwrap());
    options.set_tls(TlsPolicy::None);
    assert_eq!(
        Client::new(options.clone()).unwrap_err().status(),
        Status::AuthInsecure
    );

    let server = Server::once(|s| {
        s.welcome(&["AUTH PLAIN"]);
        s.goodbye();
    });
    options
        .set_server("127.0.0.1", Some(server.port()))
        .unwrap();
    options.set_tls(TlsPolicy::Opportunistic);
    assert_eq!(
        send(options, &["a@x.example"]).unwrap_err().status(),
        Status::AuthInsecure
    );
    server.join();
}

#[test]
fn a_lost_reply_to_the_end_of_data_is_unknown_and_nothing_is_sent_again() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        s.accept_one();
        s.hear("MAIL FROM:<me@example.org>\nRCPT TO:<a@x.example>\nDATA");
        s.say("250 ok\n250 ok\n354 go on\n");
        s.body();
        s.hang_up();
    });
    let client = Client::new(options(&server)).unwrap();
    client
        .send(
            &envelope(&["a@x.example"]),
            Content::bytes(MESSAGE),
            Call::default(),
        )
        .unwrap();
    let error = client
        .send(
            &envelope(&["a@x.example"]),
            Content::bytes(MESSAGE),
            Call::default(),
        )
        .unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::ConnectionLost, Some(Phase::EndOfData))
    );
    let outcome = error.outcome().unwrap();
    assert_eq!(outcome.delivery(), Delivery::Unknown);
    assert_eq!(outcome.safe_to_retry().count(), 0);
    assert!(
        error.to_string().ends_with("the message may or may not have been accepted, and sending it again may make a second copy"),
        "{error}"
    );
    server.join();
}

#[test]
fn a_connection_cut_before_the_transaction_is_worth_another_try() {
    let cuts: [fn(&mut Session); 2] = [
        |s| s.say("220 script.example\n"),
        |s| {
            s.welcome(&["AUTH PLAIN"]);
            s.hear_start("AUTH PLAIN ");
        },
    ];
    for cut in cuts {
        let server = Server::once(move |s| {
            cut(s);
            s.hang_up();
        });
        let mut options = options(&server);
        options.set_credentials(mailwire::sasl::Credentials::new("user", "secret").unwrap());
        options.set_tls(TlsPolicy::None);
        options.set_allow_plaintext_auth(true);
        let error = send(options, &["a@x.example"]).unwrap_err();
        assert_eq!(error.status(), Status::ConnectionLost, "{error}");
        assert!(error.to_string().ends_with("; try again later"), "{error}");
        server.join();
    }
}

#[test]
fn a_connection_cut_anywhere_before_the_end_mark_is_safe_to_retry() {
    let cuts: [fn(&mut Session); 4] = [
        |s| {
            s.hear_start("MAIL");
        },
        |s| {
            s.hear_start("MAIL");
            s.say("250 ok\n");
            s.hear_start("RCPT");
        },
        |s| {
            s.hear_start("MAIL");
            s.say("250 ok\n");
            s.hear_start("RCPT");
            s.say("250 ok\n");
            s.hear("DATA");
        },
        |s| {
            s.hear_start("MAIL");
            s.say("421 4.3.2 going down\n");
        },
    ];
    for cut in cuts {
        let server = Server::once(move |s| {
            s.welcome(&[]);
            cut(s);
            s.hang_up();
        });
        let error = send(options(&server), &["a@x.example"]).unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().contains("try again later"), "{error}");
        assert_eq!(
            error.outcome().unwrap().safe_to_retry().count(),
            1,
            "{error}"
        );
        server.join();
    }
}
