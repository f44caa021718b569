//! Waiting for events: descriptors, time, cancelling, several threads.

use std::cell::Cell;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::{Call, Hooks, Talk, greeted, is_readable, next, send, start};
use crate::blocking::Cancel;
use crate::error::Status;

#[test]
fn the_descriptor_is_readable_while_an_event_waits() {
    let server = start(|_| {});
    assert!(!is_readable(server.fd()));
    let clients: Vec<_> = (0..3)
        .map(|_| send(&server, "a@b.example", b"x\r\n"))
        .collect();
    for left in (0..3).rev() {
        let begun = Instant::now();
        while !is_readable(server.fd()) {
            assert!(begun.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(1));
        }
        let mut event = next(&server);
        event.accept().unwrap();
        assert!(left > 0 || !is_readable(server.fd()));
    }
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn no_event_is_none_after_the_timeout_and_an_error_after_the_deadline() {
    let server = start(|_| {});
    let begun = Instant::now();
    let none = server.next_event(Some(Duration::ZERO), Call::default());
    assert!(none.unwrap().is_none());
    let none = server.next_events(5, Some(Duration::from_millis(100)), Call::default());
    assert!(none.unwrap().is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(100));
    let call = Call {
        deadline: Some(Duration::from_millis(50)),
        ..Call::default()
    };
    assert_eq!(
        server.next_event(None, call).unwrap_err().status(),
        Status::Timeout
    );
    let error = server.next_events(0, None, Call::default()).unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
}

#[test]
fn a_cancel_token_wakes_who_waits() {
    let server = start(|_| {});
    let cancel = Cancel::new().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let call = Call {
                cancel: Some(&cancel),
                ..Call::default()
            };
            let error = server
                .next_event(Some(Duration::from_secs(60)), call)
                .unwrap_err();
            (error.status(), Instant::now())
        });
        thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        cancel.signal();
        let (status, woken) = waiting.join().unwrap();
        assert_eq!(status, Status::Cancelled);
        assert!(woken - begun < Duration::from_secs(20));
    });
}

#[test]
fn the_caller_is_asked_every_50_ms() {
    let server = start(|_| {});
    let asked = Cell::new(0);
    let interrupted = || {
        asked.set(asked.get() + 1);
        asked.get() == 5
    };
    let call = Call {
        interrupted: Some(&interrupted),
        ..Call::default()
    };
    let begun = Instant::now();
    let error = server
        .next_event(Some(Duration::from_secs(60)), call)
        .unwrap_err();
    assert_eq!(error.status(), Status::Cancelled);
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(150) && took < Duration::from_secs(30),
        "{took:?}"
    );
}

#[test]
fn several_threads_wait_and_each_event_goes_to_one() {
    let server = Arc::new(start(|_| {}));
    let takers: Vec<_> = (0..4)
        .map(|_| {
            let server = Arc::clone(&server);
            thread::spawn(move || {
                let mut taken = 0;
                loop {
                    match server.next_events(3, None, Call::default()) {
                        Ok(events) => {
                            for mut event in events {
                                event.accept().unwrap();
                                taken += 1;
                            }
                        }
                        Err(error) => {
                            assert_eq!(error.status(), Status::End);
                            return taken;
                        }
                    }
                }
            })
        })
        .collect();
    let mut talks: Vec<_> = (0..4).map(|_| greeted(&server)).collect();
    for _ in 0..25 {
        for talk in &mut talks {
            assert_eq!(
                talk.message("a@b.example", &["c@d.example"], b"x\r\n"),
                "250 2.0.0 OK"
            );
        }
    }
    server.shutdown(Duration::from_secs(5)).unwrap();
    let taken: usize = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
    assert_eq!(taken, 100);
}

#[test]
fn an_event_wakes_one_of_the_threads_that_wait_and_that_one_the_next() {
    let server = start(|options| options.set_hooks(Hooks::CONNECT));
    let queue = &server.inner.queue;
    let parked = |count: usize| {
        let begun = Instant::now();
        while queue.parked() != count {
            assert!(begun.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::scope(|scope| {
        let (taken, events) = mpsc::channel();
        for _ in 0..3 {
            let (server, taken) = (&server, taken.clone());
            scope.spawn(move || {
                let event = server.next_event(None, Call::default());
                taken.send(event.unwrap()).unwrap();
            });
        }
        parked(3);
        let address = server.addresses()[0];
        let first = Talk::connect(address);
        drop(events.recv().unwrap());
        // Two were left alone.
        assert_eq!(queue.parked(), 2);
        let others = [Talk::connect(address), Talk::connect(address)];
        drop([events.recv().unwrap(), events.recv().unwrap()]);
        parked(0);
        drop((first, others));
    });
}

#[test]
fn the_descriptor_is_left_alone_until_somebody_looks_at_it() {
    let server = start(|options| options.set_hooks(Hooks::CONNECT));
    let _client = Talk::connect(server.addresses()[0]);
    let begun = Instant::now();
    while server.inner.queue.len() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(1));
    }
    assert!(!is_readable(server.inner.queue.fd()));
    assert!(is_readable(server.fd()));
    drop(next(&server));
    assert!(!is_readable(server.fd()));
}
