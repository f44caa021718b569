//! A server that drips, interrupts or lies: no wait without end, the right phase in the error, and no second copy.

use std::io::Write;
use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Client};
use mailwire::client::{Connection, Content};
use mailwire::{Delivery, Phase, Status};

use crate::script::Server;
use crate::{MESSAGE, envelope, options, send};

#[test]
fn a_reply_that_comes_byte_by_byte_does_not_stretch_the_timeout() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.hear_start("MAIL");
        s.say("250");
        for _ in 0..2000 {
            if s.raw().write_all(b"-").is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut options = options(&server);
    options.set_timeout(Some(Duration::from_secs(3))).unwrap();
    let start = Instant::now();
    let error = send(options, &["a@x.example"]).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(25), "{error}");
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Timeout, Some(Phase::Mail)),
        "{error}"
    );
    assert!(error.to_string().contains("3 s"), "{error}");
    server.join();
}

#[test]
fn each_reply_of_a_group_has_the_whole_timeout() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        s.hear_start("MAIL");
        for reply in ["250 ok\n", "250 ok\n", "250 ok\n"] {
            std::thread::sleep(Duration::from_secs(2));
            s.say(reply);
        }
        s.hear_start("RCPT");
        s.hear_start("RCPT");
        s.hear("DATA");
        s.say("354 go on\n");
        s.body();
        s.say("250 ok\n");
        s.goodbye();
    });
    let mut options = options(&server);
    options.set_timeout(Some(Duration::from_secs(5))).unwrap();
    send(options, &["a@x.example", "b@x.example"]).unwrap();
    server.join();
}

#[test]
fn c052_a_421_and_a_breach_of_the_protocol_are_told_with_their_phase() {
    for (said, status) in [
        ("421 4.3.2 going down\n", Status::Transient),
        ("250-a\n550 b\n", Status::Protocol),
        ("354 what?\n", Status::Protocol),
        ("hello\n", Status::Protocol),
    ] {
        let server = Server::once(move |s| {
            s.welcome(&["PIPELINING"]);
            s.hear_start("MAIL");
            s.hear_start("RCPT");
            s.say("250 ok\n");
            s.say(said);
            s.hang_up();
        });
        let error = send(options(&server), &["a@x.example"]).unwrap_err();
        assert_eq!(
            (error.status(), error.phase()),
            (status, Some(Phase::Rcpt)),
            "{error}"
        );
        server.join();
    }
    let server = Server::once(|s| s.say("SSH-2.0-OpenSSH\n"));
    let error = send(options(&server), &["a@x.example"]).unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Greeting));
    assert!(error.to_string().contains("smtps://"), "{error}");
    server.join();
}

#[test]
fn c079_a_421_to_the_end_of_data_is_not_sent_again_by_itself() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        s.accept_one();
        s.hear_start("MAIL");
        s.say("250 ok\n250 ok\n354 go on\n");
        s.hear_start("RCPT");
        s.hear("DATA");
        s.body();
        s.say("421 4.3.0 overloaded\n");
        s.hang_up();
    });
    let client = Client::new(options(&server)).unwrap();
    let send = || {
        client.send(
            &envelope(&["a@x.example"]),
            Content::bytes(MESSAGE),
            Call::default(),
        )
    };
    send().unwrap();
    let error = send().unwrap_err();
    assert_eq!(error.reply().unwrap().code(), 421, "{error}");
    assert_eq!(error.phase(), Some(Phase::EndOfData), "{error}");
    assert_eq!(error.outcome().unwrap().delivery(), Delivery::Deferred);
    server.join();
}

#[test]
fn what_may_have_been_accepted_is_no_passing_trouble() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.accept_up_to_the_end_mark();
        s.hang_up();
    });
    let error = send(options(&server), &["a@x.example"]).unwrap_err();
    assert_eq!(error.outcome().unwrap().delivery(), Delivery::Unknown);
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().contains("may or may not"), "{error}");
    server.join();

    // The same where the caller's own limit passed.
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.accept_up_to_the_end_mark();
        s.closed();
    });
    let client = Client::new(options(&server)).unwrap();
    let call = Call {
        deadline: Some(Duration::from_secs(3)),
        ..Call::default()
    };
    let error = client
        .send(&envelope(&["a@x.example"]), Content::bytes(MESSAGE), call)
        .unwrap_err();
    assert_eq!(error.outcome().unwrap().delivery(), Delivery::Unknown);
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().contains("may or may not"), "{error}");
    assert!(error.to_string().contains("deadline of 3 s"), "{error}");
    server.join();
}

/// Longer than what the sockets of both sides hold together.
const LONG: usize = 32 * 1024 * 1024;

#[test]
fn a_message_that_is_cut_long_before_its_end_mark_was_not_accepted() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.accept_up_to_354();
        s.hang_up();
    });
    let client = Client::new(options(&server)).unwrap();
    let message = vec![b'x'; LONG];
    let error = client
        .send(
            &envelope(&["a@x.example"]),
            Content::bytes(&message),
            Call::default(),
        )
        .unwrap_err();
    assert_eq!(error.status(), Status::ConnectionLost, "{error}");
    assert_eq!(
        error.outcome().unwrap().delivery(),
        Delivery::NotTried,
        "{error}"
    );
    server.join();
}

#[test]
fn what_the_server_says_in_the_middle_of_a_message_ends_it() {
    for (said, status, delivery) in [
        (
            "421 4.3.2 going down\n",
            Status::Transient,
            Delivery::Deferred,
        ),
        ("552 5.3.4 too big\n", Status::Protocol, Delivery::NotTried),
    ] {
        let server = Server::once(move |s| {
            s.welcome(&[]);
            s.accept_up_to_354();
            s.say(said);
            // Reads on for a while: the answer to the end mark must not be what came before it.
            s.skip(LONG);
        });
        let client = Client::new(options(&server)).unwrap();
        let message = vec![b'x'; 2 * LONG];
        let error = client
            .send(
                &envelope(&["a@x.example"]),
                Content::bytes(&message),
                Call::default(),
            )
            .unwrap_err();
        assert_eq!(
            (error.status(), error.phase()),
            (status, Some(Phase::Body)),
            "{error}"
        );
        assert!(error.to_string().contains(&said[4..9]), "{error}");
        assert_eq!(error.outcome().unwrap().delivery(), delivery, "{error}");
        drop(client);
        server.join();
    }
}

#[test]
fn c027_a_reader_with_bytes_outside_ascii_needs_8bitmime_too() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.accept_up_to_354();
        s.closed();
    });
    let client = Client::new(options(&server)).unwrap();
    let error = client
        .send(
            &envelope(&["a@x.example"]),
            Content::reader("Subject: x\r\n\r\n\u{e9}\r\n".as_bytes(), None),
            Call::default(),
        )
        .unwrap_err();
    assert_eq!(error.status(), Status::NotSupported, "{error}");
    assert_eq!(error.outcome().unwrap().delivery(), Delivery::NotTried);
    drop(client);
    server.join();
}

#[test]
fn c057_a_server_that_does_not_serve_is_told_goodbye() {
    let server = Server::once(|s| {
        s.say("554 5.7.1 not here\n");
        s.goodbye();
    });
    let error = send(options(&server), &["a@x.example"]).unwrap_err();
    assert_eq!(error.status(), Status::Permanent, "{error}");
    server.join();
}

#[tokio::test]
async fn c053_what_was_said_unasked_answers_no_command() {
    for (unasked, status) in [
        ("250 nobody asked\n", Status::Protocol),
        ("421 4.4.2 idle\n", Status::Transient),
    ] {
        let (opened, is_open) = std::sync::mpsc::channel();
        let (says, said) = tokio::sync::oneshot::channel();
        let server = Server::once(move |s| {
            s.welcome(&[]);
            // Later than what the client reads when it opens the connection.
            is_open.recv().unwrap();
            s.say(unasked);
            says.send(()).unwrap();
            s.closed();
        });
        let mut connection = Connection::open(&options(&server)).await.unwrap();
        opened.send(()).unwrap();
        said.await.unwrap();
        let sent = connection
            .send(envelope(&["a@x.example"]), Content::bytes(MESSAGE))
            .await;
        let error = sent.unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        assert!(!connection.is_usable());
        drop(connection);
        // Nothing was sent: the server has seen the end of the connection and no command before it.
        server.join();
    }
}
