//! What becomes of a message, and which error tells it.

use std::io::{self, Read};

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, OnRefused, Options};
use mailwire::proto::data::LineEnds;
use mailwire::tls::TlsPolicy;
use mailwire::{Delivery, Outcome, Phase, Status};

use crate::faults::answering;
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

#[test]
fn a_421_says_that_too_much_was_sent_and_else_that_the_server_closes() {
    for (command, phase) in [
        ("MAIL", Phase::Mail),
        ("RCPT", Phase::Rcpt),
        (".", Phase::EndOfData),
    ] {
        for (reply, hint) in [
            (
                "421 4.7.0 too many messages in this session",
                "send less or more slowly",
            ),
            (
                "421 4.3.2 shutting down",
                "the server is closing the connection; try again later",
            ),
        ] {
            let error = answering(command, reply);
            let told = (error.status(), error.phase());
            assert_eq!(told, (Status::Transient, Some(phase)), "{error}");
            assert!(error.message().contains(hint), "{error}");
        }
    }
    let server = Server::once(|s| s.say("421 4.7.0 too many connections from 192.0.2.1\n"));
    let error = send(options(&server), &["a@x.example"]).unwrap_err();
    assert!(error.message().contains("more slowly"), "{error}");
    server.join();
}

#[test]
fn a_host_by_name_is_told_with_its_address_and_a_session_without_tls_as_such() {
    for host in ["localhost", "127.0.0.1"] {
        let server = Server::once(|s| {
            s.welcome(&[]);
            s.hear_start("MAIL");
            s.say("550 no\n");
            s.goodbye();
        });
        let port = server.port();
        let mut options = options(&server);
        options.set_server(host, Some(port)).unwrap();
        let error = send(options, &["a@x.example"]).unwrap_err();
        let place = match host {
            "localhost" => format!("localhost:{port} [127.0.0.1] (in clear): MAIL FROM: "),
            _ => format!("127.0.0.1:{port} (in clear): MAIL FROM: "),
        };
        assert!(error.to_string().starts_with(&place), "{error}");
        assert_eq!(error.peer(), Some(format!("{host}:{port}").as_str()));
        assert_eq!(error.address(), Some([127, 0, 0, 1].into()));
        server.join();
    }
}

/// A reader whose second read fails.
struct Breaks(bool);

impl Read for Breaks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.0, true) {
            return Err(io::Error::other("the disk broke"));
        }
        let start = b"Subject: x\r\n\r\nfirst half\r\n";
        buffer[..start.len()].copy_from_slice(start);
        Ok(start.len())
    }
}

#[test]
fn what_cannot_be_read_here_is_not_worth_the_same_call_again() {
    let error = Content::file("/no/such/message.eml").unwrap_err();
    assert!(!error.is_transient(), "{error}");

    let scripts: [fn(&mut Session); 2] = [
        |s| {
            s.welcome(&[]);
            s.accept_up_to_354();
        },
        |s| s.welcome(&["PIPELINING", "CHUNKING"]),
    ];
    for script in scripts {
        let server = Server::once(move |s| {
            script(s);
            s.skip(usize::MAX);
        });
        let client = Client::new(options(&server)).unwrap();
        let content = Content::reader(Breaks(false), None);
        let sent = client.send(&envelope(&["a@x.example"]), content, Call::default());
        let error = sent.unwrap_err();
        assert_eq!(error.status(), Status::Io, "{error}");
        assert!(error.message().contains("the disk broke"), "{error}");
        assert!(!error.is_transient(), "{error}");
        let delivery = error.outcome().map(Outcome::delivery);
        assert_ne!(delivery, Some(Delivery::Unknown), "{error}");
        drop(client);
        server.join();
    }
}
