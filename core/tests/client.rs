//! The client against a server that follows a script, through the blocking facade: outcomes, errors, the pool, time.

#![cfg(feature = "io")]

mod script;

use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Cancel, Client};
use mailwire::client::{Content, OnRefused, Options};
use mailwire::proto::Envelope;
use mailwire::proto::data::LineEnds;
use mailwire::tls::TlsPolicy;
use mailwire::{Delivery, Error, Outcome, Phase, Status};
use script::{Server, Session};

const MESSAGE: &[u8] = b"Subject: test\r\n\r\n.dots\r\nbody\r\n";

fn options(server: &Server) -> Options {
    let mut options = Options::new();
    options
        .set_server("127.0.0.1", Some(server.port()))
        .unwrap();
    options.set_timeout(Some(Duration::from_secs(10))).unwrap();
    options
}

fn envelope(recipients: &[&str]) -> Envelope {
    Envelope::parse("me@example.org", recipients).unwrap()
}

fn send(options: Options, recipients: &[&str]) -> Result<Outcome, Error> {
    Client::new(options).unwrap().send(
        &envelope(recipients),
        Content::bytes(MESSAGE),
        Call::default(),
    )
}

fn deliveries(outcome: &Outcome) -> Vec<Delivery> {
    outcome
        .recipients()
        .iter()
        .map(mailwire::RecipientOutcome::delivery)
        .collect()
}

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
            s.closed();
        },
        |o| o.set_tls(TlsPolicy::Required),
    );
    fault(
        Status::TlsRefused,
        |s| {
            s.welcome(&["STARTTLS"]);
            s.hear("STARTTLS");
            s.say("454 4.7.0 no TLS today\n");
            s.closed();
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
            s.closed();
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
        s.closed();
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
        s.closed();
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
    server.join();
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
        assert_eq!(
            error.outcome().unwrap().safe_to_retry().count(),
            1,
            "{error}"
        );
        server.join();
    }
}

#[test]
fn a_kept_connection_is_used_again_and_replaced_when_the_server_closed_it() {
    let server = Server::new(vec![
        Box::new(|s| {
            s.welcome(&["PIPELINING"]);
            s.accept_one();
            s.accept_one();
            s.say("421 4.4.2 idle for too long\n");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(&["PIPELINING"]);
            s.accept_one();
            // Gone without a word, after the client looked: the next one goes out on a third connection.
            s.hear_start("MAIL");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(&["PIPELINING"]);
            s.accept_one();
            s.goodbye();
        }),
    ]);
    let client = Client::new(options(&server)).unwrap();
    for round in 0..4 {
        if round == 2 {
            // Lets the 421 arrive.
            std::thread::sleep(Duration::from_millis(200));
        }
        let result = client.send(
            &envelope(&["a@x.example"]),
            Content::bytes(MESSAGE),
            Call::default(),
        );
        assert!(result.is_ok(), "round {round}: {}", result.unwrap_err());
    }
    drop(client);
    server.join();
}

#[test]
fn many_messages_are_chained_and_each_has_its_own_result() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        s.hear("MAIL FROM:<me@example.org>\nRCPT TO:<r0@x.example>\nDATA");
        s.say("250 ok\n250 ok\n354 go on\n");
        s.body();
        // The second envelope rides behind the first body.
        s.hear("MAIL FROM:<me@example.org>\nRCPT TO:<r1@x.example>\nDATA");
        s.say("250 first\n250 ok\n550 5.1.1 no\n503 no recipients\n");
        s.hear("RSET");
        s.say("250 ok\n");
        s.hear("MAIL FROM:<me@example.org>\nRCPT TO:<r2@x.example>\nDATA");
        s.say("250 ok\n250 ok\n354 go on\n");
        s.body();
        s.say("250 third\n");
        s.goodbye();
    });
    let client = Client::new(options(&server)).unwrap();
    let messages = (0..3).map(|n| {
        (
            envelope(&[&format!("r{n}@x.example")]),
            Content::bytes(MESSAGE),
        )
    });
    let mut results = Vec::new();
    client
        .send_many(messages, Call::default(), |index, result| {
            let text = match &result {
                Ok(outcome) => outcome.reply().unwrap().text().to_owned(),
                Err(error) => format!("{:?}", error.status()),
            };
            results.push((index, text));
        })
        .unwrap();
    drop(client);
    assert_eq!(
        results,
        [
            (0, "first".to_owned()),
            (1, "Permanent".to_owned()),
            (2, "third".to_owned())
        ]
    );
    server.join();
}

#[test]
fn a_reader_is_streamed() {
    let size = 3 * 1024 * 1024;
    let server = Server::once(move |s| {
        s.welcome(&["PIPELINING", "SIZE"]);
        assert_eq!(s.accept_one().len(), size + 2);
        s.goodbye();
    });
    let client = Client::new(options(&server)).unwrap();
    let content = Content::reader(std::io::repeat(b'x').take_at_most(size), Some(size as u64));
    client
        .send(&envelope(&["a@x.example"]), content, Call::default())
        .unwrap();
    drop(client);
    server.join();
}

/// `Read::take` under a name that says that it is the whole message.
trait TakeAtMost: std::io::Read + Sized {
    fn take_at_most(self, size: usize) -> std::io::Take<Self> {
        self.take(size as u64)
    }
}

impl<R: std::io::Read> TakeAtMost for R {}

#[test]
fn a_silent_server_is_a_timeout_with_its_phase() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.hear_start("MAIL");
        s.closed();
    });
    let mut options = options(&server);
    options
        .set_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let error = send(options, &["a@x.example"]).unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Timeout, Some(Phase::Mail)),
        "{error}"
    );
    server.join();

    let server = Server::once(|s| s.closed());
    let client = Client::new(self::options(&server)).unwrap();
    let call = Call {
        deadline: Some(Duration::from_millis(200)),
        ..Call::default()
    };
    let error = client
        .send(&envelope(&["a@x.example"]), Content::bytes(MESSAGE), call)
        .unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Timeout, Some(Phase::Greeting)),
        "{error}"
    );
    drop(client);
    server.join();
}

#[test]
fn a_call_is_cancelled_from_another_thread_and_by_a_question() {
    let start = Instant::now();
    for by_token in [true, false] {
        let server = Server::once(|s| {
            s.welcome(&[]);
            s.hear_start("MAIL");
            s.closed();
        });
        let client = Client::new(options(&server)).unwrap();
        let cancel = Cancel::new().unwrap();
        let other = cancel.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            other.signal();
        });
        let ask = || cancel.is_signalled();
        let call = if by_token {
            Call {
                cancel: Some(&cancel),
                ..Call::default()
            }
        } else {
            Call {
                interrupted: Some(&ask),
                ..Call::default()
            }
        };
        let error = client
            .send(&envelope(&["a@x.example"]), Content::bytes(MESSAGE), call)
            .unwrap_err();
        assert_eq!(
            (error.status(), error.phase()),
            (Status::Cancelled, Some(Phase::Mail)),
            "{error}"
        );
        assert_eq!(error.outcome().unwrap().delivery(), Delivery::NotTried);
        thread.join().unwrap();
        drop(client);
        server.join();
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn the_blocking_client_refuses_to_block_an_async_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(9)).unwrap();
    let client = Client::new(options).unwrap();
    let error = runtime
        .block_on(async {
            client.send(
                &envelope(&["a@x.example"]),
                Content::bytes(MESSAGE),
                Call::default(),
            )
        })
        .unwrap_err();
    assert_eq!(error.status(), Status::Misuse);
}

#[test]
fn an_envelope_without_recipients_is_refused() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.goodbye();
    });
    assert_eq!(
        send(options(&server), &[]).unwrap_err().status(),
        Status::InvalidArgument
    );
    server.join();
}
