//! Connections that a client keeps: how long, for how many messages, and what happens when they die.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::{Delivery, Error, Outcome, Phase, Status};

use crate::script::{Server, Session};
use crate::{MESSAGE, envelope, options};

fn send(client: &Client) -> Result<Outcome, Error> {
    let envelope = envelope(&["a@x.example"]);
    client.send(&envelope, Content::bytes(MESSAGE), Call::default())
}

fn client(server: &Server, set: impl FnOnce(&mut Options)) -> Client {
    let mut options = options(server);
    set(&mut options);
    Client::new(options).unwrap()
}

#[test]
fn a_connection_carries_so_many_messages_and_says_goodbye() {
    let server = Server::new(vec![
        Box::new(|s| {
            s.welcome(&[]);
            s.accept_one();
            s.accept_one();
            s.goodbye();
            s.closed();
        }),
        Box::new(|s| {
            s.welcome(&[]);
            s.accept_one();
            s.goodbye();
        }),
    ]);
    let client = client(&server, |o| o.set_max_messages(2).unwrap());
    for _ in 0..3 {
        send(&client).unwrap();
    }
    drop(client);
    server.join();
}

#[test]
fn many_messages_in_one_call_take_as_many_connections_as_they_need() {
    let server = Server::new(
        (0..3)
            .map(|_| -> crate::script::Script {
                Box::new(|s| {
                    s.welcome(&[]);
                    assert!(s.accept_all().len() <= 2);
                })
            })
            .collect(),
    );
    let client = client(&server, |o| o.set_max_messages(2).unwrap());
    let messages = (0..5).map(|_| (envelope(&["a@x.example"]), Content::bytes(MESSAGE)));
    let mut sent = Vec::new();
    let each = |index, result: Result<Outcome, Error>| {
        result.unwrap();
        sent.push(index);
    };
    client.send_many(messages, Call::default(), each).unwrap();
    drop(client);
    assert_eq!(sent, [0, 1, 2, 3, 4]);
    server.join();
}

/// Two messages, the second when the connection of the first may not be used any more.
fn one_message_each(set: impl FnOnce(&mut Options), between: Duration) {
    let one = |s: &mut Session| {
        s.welcome(&[]);
        s.accept_one();
        s.hear("QUIT");
        s.closed();
    };
    let server = Server::new(vec![Box::new(one), Box::new(one)]);
    let client = client(&server, set);
    send(&client).unwrap();
    std::thread::sleep(between);
    send(&client).unwrap();
    drop(client);
    server.join();
}

#[test]
fn a_connection_that_has_become_too_old_is_replaced() {
    let age = Duration::from_millis(200);
    one_message_each(|o| o.set_max_age(age), age);
}

#[test]
fn a_connection_that_was_idle_for_too_long_is_replaced() {
    let idle = Duration::from_millis(200);
    one_message_each(|o| o.set_idle_timeout(idle), idle);
}

#[test]
fn a_connection_that_may_not_be_idle_says_goodbye_after_its_message() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.accept_one();
        s.hear("QUIT");
        s.closed();
    });
    let client = client(&server, |o| o.set_idle_timeout(Duration::ZERO));
    send(&client).unwrap();
    // Before the client is dropped.
    server.join();
}

#[test]
fn a_goodbye_that_fails_is_not_a_failed_send() {
    for hangs in [true, false] {
        let server = Server::once(move |s| {
            s.welcome(&[]);
            s.accept_one();
            s.hear("QUIT");
            if hangs {
                s.closed();
            } else {
                s.say("500 what?\n");
                s.hang_up();
            }
        });
        let client = client(&server, |o| o.set_max_messages(1).unwrap());
        let begun = Instant::now();
        send(&client).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30));
        server.join();
    }
}

#[test]
fn a_goodbye_that_is_not_answered_may_be_cut_short() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.accept_one();
        s.hear("QUIT");
        s.closed();
    });
    let client = client(&server, |_| {});
    send(&client).unwrap();
    let interrupted = || true;
    let begun = Instant::now();
    client.close_by(Call {
        interrupted: Some(&interrupted),
        ..Call::default()
    });
    // It would wait for five seconds.
    assert!(begun.elapsed() < Duration::from_secs(4));
    server.join();
}

#[test]
fn a_421_to_the_first_command_on_a_kept_connection_is_not_seen() {
    let server = Server::new(vec![
        Box::new(|s| {
            s.welcome(&[]);
            s.accept_one();
            s.hear_start("MAIL");
            s.say("421 4.3.2 shutting down\n");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(&[]);
            s.accept_one();
            s.goodbye();
        }),
    ]);
    let client = client(&server, |_| {});
    send(&client).unwrap();
    send(&client).unwrap();
    drop(client);
    server.join();
}

#[test]
fn a_421_in_the_middle_is_told_and_the_next_message_has_a_new_connection() {
    let server = Server::new(vec![
        Box::new(|s| {
            s.welcome(&[]);
            s.accept_one();
            s.hear_start("MAIL");
            s.say("250 ok\n");
            s.hear_start("RCPT");
            s.say("421 4.3.2 shutting down\n");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(&[]);
            s.accept_one();
            s.goodbye();
        }),
    ]);
    let client = client(&server, |_| {});
    send(&client).unwrap();
    let error = send(&client).unwrap_err();
    assert_eq!(error.reply().unwrap().code(), 421, "{error}");
    assert_eq!(error.phase(), Some(Phase::Rcpt));
    assert!(!error.outcome().unwrap().recipients().is_empty());
    assert_ne!(error.outcome().unwrap().delivery(), Delivery::Unknown);
    send(&client).unwrap();
    drop(client);
    server.join();
}

#[test]
fn what_may_have_been_accepted_is_never_sent_again() {
    // There is no second connection to be had.
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.accept_one();
        s.accept_up_to_the_end_mark();
        s.hang_up();
    });
    let client = client(&server, |_| {});
    send(&client).unwrap();
    let error = send(&client).unwrap_err();
    assert_eq!(error.status(), Status::ConnectionLost, "{error}");
    assert_eq!(error.outcome().unwrap().delivery(), Delivery::Unknown);
    server.join();
}

#[test]
fn threads_share_one_connection() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        assert_eq!(s.accept_all().len(), 40);
    });
    let client = client(&server, |o| o.set_max_connections(1).unwrap());
    let sent = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    send(&client).unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    drop(client);
    assert_eq!(sent.into_inner(), 40);
    server.join();
}
