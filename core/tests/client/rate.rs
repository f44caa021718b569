//! How fast a client sends, through sockets. What the clock has to do with it is tested beside the code, with a clock that jumps.

use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Client};
use mailwire::client::Content;
use mailwire::{Phase, Status};

use crate::script::Server;
use crate::{MESSAGE, envelope, options};

/// A server that hears so many messages.
fn server(messages: usize) -> Server {
    Server::once(move |s| {
        s.welcome(&["PIPELINING"]);
        assert_eq!(s.accept_all().len(), messages);
    })
}

fn client(server: &Server, name: &str, rate: &str) -> Client {
    let mut options = options(server);
    options.set(name, rate).unwrap();
    Client::new(options).unwrap()
}

fn within(deadline: Duration) -> Call<'static> {
    Call {
        deadline: Some(deadline),
        ..Call::default()
    }
}

#[test]
fn messages_leave_no_faster_than_the_rate() {
    let server = server(8);
    let begun = Instant::now();
    let client = client(&server, "max_messages_per_second", "5");
    let messages = (0..7).map(|_| (envelope(&["a@x.example"]), Content::bytes(MESSAGE)));
    let mut sent = Vec::new();
    client
        .send_many(messages, Call::default(), |index, result| {
            result.unwrap();
            sent.push(index);
        })
        .unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(400));
    // A call of its own counts too.
    let one = envelope(&["a@x.example"]);
    client
        .send(&one, Content::bytes(MESSAGE), Call::default())
        .unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(600));
    assert_eq!(sent, [0, 1, 2, 3, 4, 5, 6]);
    drop(client);
    server.join();
}

#[test]
fn a_message_that_may_not_leave_before_the_deadline_fails_at_once() {
    let server = server(1);
    let client = client(&server, "max_messages_per_second", "0.01");
    let one = envelope(&["a@x.example"]);
    let begun = Instant::now();
    client
        .send(
            &one,
            Content::bytes(MESSAGE),
            within(Duration::from_secs(60)),
        )
        .unwrap();
    let error = client
        .send(
            &one,
            Content::bytes(MESSAGE),
            within(Duration::from_secs(60)),
        )
        .unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Timeout, Some(Phase::Pool))
    );
    assert!(
        error.message().contains("nothing of it was sent"),
        "{error}"
    );
    assert!(error.outcome().is_none());
    drop(client);
    assert!(begun.elapsed() < Duration::from_secs(30));
    server.join();
}

#[test]
fn of_many_messages_those_leave_that_may() {
    let server = server(1);
    let client = client(&server, "max_recipients_per_second", "0.01");
    let two = || {
        (
            envelope(&["a@x.example", "b@x.example"]),
            Content::bytes(MESSAGE),
        )
    };
    let mut sent = Vec::new();
    let error = client
        .send_many(
            (0..3).map(|_| two()),
            within(Duration::from_secs(20)),
            |index, result| {
                result.unwrap();
                sent.push(index);
            },
        )
        .unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Pool), "{error}");
    assert_eq!(sent, [0]);
    drop(client);
    server.join();
}
