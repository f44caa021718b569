//! Waiting for a connection: first come, first served; who gives up passes the turn on; and closing while calls are under way.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Cancel, Client};
use mailwire::client::Content;
use mailwire::{Error, Outcome, Phase, Status};

use crate::script::Server;
use crate::{MESSAGE, envelope, options};

/// A server with one connection, which says that the first message has come and answers it when it is told to.
fn held() -> (Server, Receiver<()>, Sender<()>, Receiver<Vec<String>>) {
    let (has_come, come) = channel();
    let (go_on, going_on) = channel();
    let (heard, hearing) = channel();
    // The script is for any number of connections, and a receiver is for one.
    let (has_come, going_on) = (Mutex::new(has_come), Mutex::new(going_on));
    let heard = Mutex::new(heard);
    let server = Server::at_once(1, move |s, _| {
        s.welcome(&[]);
        s.accept_up_to_the_end_mark();
        has_come.lock().unwrap().send(()).unwrap();
        going_on.lock().unwrap().recv().unwrap();
        s.say("250 2.0.0 ok\n");
        let all = s.accept_all();
        heard.lock().unwrap().send(all).unwrap();
    });
    (server, come, go_on, hearing)
}

fn one_connection(server: &Server) -> Client {
    let mut options = options(server);
    options.set_max_connections(1).unwrap();
    Client::new(options).unwrap()
}

fn send(client: &Client, to: &str, call: Call<'_>) -> Result<Outcome, Error> {
    client.send(&envelope(&[to]), Content::bytes(MESSAGE), call)
}

/// The same, and tells when the call waits for its turn.
fn send_and_tell(
    client: &Client,
    to: &str,
    waits: &Sender<()>,
    call: Call<'_>,
) -> Result<Outcome, Error> {
    // Asked once when the call begins, and then when it has a place in the queue.
    let asked = Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        if asked.get() == 2 {
            waits.send(()).unwrap();
        }
        false
    };
    let call = Call {
        interrupted: Some(&interrupted),
        ..call
    };
    send(client, to, call)
}

#[test]
fn threads_are_served_in_the_order_in_which_they_came() {
    let (server, come, go_on, heard) = held();
    let client = one_connection(&server);
    let cancel = Cancel::new().unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| send(&client, "first@x.example", Call::default()));
        come.recv().unwrap();
        let (waits, waiting) = channel();
        let mut others = Vec::new();
        for number in 0..12 {
            let (client, waits, cancel) = (&client, waits.clone(), &cancel);
            others.push(scope.spawn(move || {
                let call = Call {
                    // Two of them will give up, each in its own way.
                    cancel: (number == 3).then_some(cancel),
                    deadline: (number == 7).then_some(Duration::from_secs(3)),
                    ..Call::default()
                };
                send_and_tell(client, &format!("r{number}@x.example"), &waits, call)
            }));
            waiting.recv().unwrap();
        }
        cancel.signal();
        for (number, status) in [(7, Status::Timeout), (3, Status::Cancelled)] {
            let error = others.remove(number).join().unwrap().unwrap_err();
            assert_eq!(error.status(), status, "{error}");
            if status == Status::Timeout {
                assert_eq!(error.phase(), Some(Phase::Pool), "{error}");
            }
        }
        go_on.send(()).unwrap();
        for other in others {
            other.join().unwrap().unwrap();
        }
        first.join().unwrap().unwrap();
    });
    drop(client);
    let expected: Vec<String> = (0..12)
        .filter(|number| ![3, 7].contains(number))
        .map(|number| format!("r{number}@x.example"))
        .collect();
    assert_eq!(heard.recv().unwrap(), expected);
    server.join();
}

#[test]
fn a_hundred_threads_on_two_connections_are_all_served() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    let both = Barrier::new(2);
    let server = Server::at_once(2, move |s, _| {
        s.welcome(&["PIPELINING"]);
        // Neither goes on before the other one is there.
        both.wait();
        let heard = s.accept_all();
        hearing.lock().unwrap().extend(heard);
    });
    let mut options = options(&server);
    options.set_max_connections(2).unwrap();
    let client = Client::new(options).unwrap();
    std::thread::scope(|scope| {
        for number in 0..100 {
            let client = &client;
            scope.spawn(move || {
                send(client, &format!("r{number}@x.example"), Call::default()).unwrap();
            });
        }
    });
    drop(client);
    server.join();
    let mut heard = std::mem::take(&mut *heard.lock().unwrap());
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), 100);
}

#[test]
fn closing_waits_for_the_calls_under_way_and_refuses_those_that_wait() {
    let (server, come, go_on, heard) = held();
    let client = one_connection(&server);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| send(&client, "first@x.example", Call::default()));
        come.recv().unwrap();
        let (waits, waiting) = channel();
        let sharing = &client;
        let second = scope
            .spawn(move || send_and_tell(sharing, "second@x.example", &waits, Call::default()));
        waiting.recv().unwrap();
        let for_a_moment = Call {
            deadline: Some(Duration::from_millis(50)),
            ..Call::default()
        };
        assert!(!client.close_by(for_a_moment), "a call is under way");
        let refused = second.join().unwrap().unwrap_err();
        assert_eq!(refused.status(), Status::Closed);
        let refused = send(&client, "third@x.example", Call::default()).unwrap_err();
        assert_eq!(refused.status(), Status::Closed);
        client.close();
        let begun = Instant::now();
        let closing = scope.spawn(|| {
            client.close_by(Call {
                deadline: Some(Duration::from_secs(20)),
                ..Call::default()
            })
        });
        go_on.send(()).unwrap();
        first.join().unwrap().unwrap();
        assert!(closing.join().unwrap(), "all calls have ended");
        assert!(begun.elapsed() < Duration::from_secs(15));
    });
    // It said goodbye by itself, while the client is still there.
    assert_eq!(heard.recv().unwrap(), Vec::<String>::new());
    server.join();
}
