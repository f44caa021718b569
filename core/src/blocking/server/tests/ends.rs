//! How a server ends: by shutdown, by being dropped, and in the child of a fork.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use super::super::{Inner, Server};
use super::{Call, EventKind, Hooks, greeted, is_readable, next, send, start};
use crate::error::Status;
use crate::net::ForkGuard;

#[test]
fn a_running_transaction_finishes_and_the_end_comes_last() {
    let server = start(|_| {});
    let mut idle = greeted(&server);
    let client = send(&server, "a@b.example", b"x\r\n");
    let mut event = next(&server);
    thread::scope(|scope| {
        let ending = scope.spawn(|| server.shutdown(Duration::from_secs(20)));
        assert_eq!(idle.reply(), "421 4.3.2 Shutting down");
        assert!(idle.is_closed());
        // The end is not told while an answer is owed.
        let none = server.next_event(Some(Duration::from_millis(200)), Call::default());
        assert!(none.unwrap().is_none());
        event.accept().unwrap();
        assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
        ending.join().unwrap().unwrap();
    });
    let end = server.next_event(None, Call::default()).unwrap_err();
    assert_eq!(end.status(), Status::End);
    assert!(is_readable(server.fd()), "whoever waits on it must look");
    assert!(
        TcpStream::connect(server.addresses()[0]).is_err(),
        "still listening"
    );
    // Again, it is over at once.
    server.shutdown(Duration::from_secs(20)).unwrap();
}

#[test]
fn one_thread_alone_can_begin_the_end_and_answer_until_it_comes() {
    let server = start(|_| {});
    let mut idle = greeted(&server);
    let client = send(&server, "a@b.example", b"x\r\n");
    let mut event = next(&server);
    server.begin_shutdown(Duration::from_secs(20)).unwrap();
    assert_eq!(idle.reply(), "421 4.3.2 Shutting down");
    // It is the first one that counts.
    server.begin_shutdown(Duration::ZERO).unwrap();
    event.accept().unwrap();
    assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
    let end = server.next_event(None, Call::default()).unwrap_err();
    assert_eq!(end.status(), Status::End);
}

#[test]
fn an_event_taken_and_kept_holds_the_end_back_until_it_is_too_late_to_answer() {
    let server = start(|options| {
        options.set_answer_timeout(Duration::from_secs(5)).unwrap();
    });
    let client = send(&server, "a@b.example", b"x\r\n");
    let event = next(&server);
    server.shutdown(Duration::ZERO).unwrap();
    assert!(!client.join().unwrap().starts_with("250"));
    let none = server.next_event(Some(Duration::from_millis(10)), Call::default());
    assert!(none.unwrap().is_none());
    assert!(!is_readable(server.fd()));
    let begun = Instant::now();
    let end = server.next_event(None, Call::default()).unwrap_err();
    assert_eq!(end.status(), Status::End);
    assert!(begun.elapsed() < Duration::from_secs(30));
    drop(event);
}

#[test]
fn who_waits_for_events_learns_that_the_server_has_ended_by_itself_and_why() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = start(|options| {
        let descriptor = format!("fd:{}", socket.as_raw_fd());
        options.listen(&descriptor).unwrap();
        options.set_workers(2).unwrap();
    });
    let mut idle = greeted(&server);
    // Whoever shares the socket can end it for all.
    rustix::net::shutdown(&socket, rustix::net::Shutdown::Both).unwrap();
    for _ in 0..2 {
        let end = server.next_event(None, Call::default()).unwrap_err();
        assert_eq!(end.status(), Status::Io);
        let text = "the server has ended by itself: no more connections can be accepted: ";
        assert!(end.message().starts_with(text), "{end}");
    }
    assert_eq!(idle.reply(), "421 4.3.2 Shutting down");
    assert!(idle.is_closed());
    server.shutdown(Duration::ZERO).unwrap();
}

#[test]
fn a_session_that_the_end_cuts_off_is_told_as_gone() {
    let server = start(|options| {
        options.set_hooks(Hooks::MAIL.with(Hooks::DISCONNECT));
        options.set_answer_timeout(Duration::from_secs(20)).unwrap();
    });
    let mut client = greeted(&server);
    client.send("MAIL FROM:<a@b.example>\r\n");
    let asked = next(&server);
    server.shutdown(Duration::ZERO).unwrap();
    let gone = next(&server);
    assert!(
        matches!(gone.kind(), EventKind::Disconnect),
        "{:?}",
        gone.kind()
    );
    assert_eq!(gone.session().id(), asked.session().id());
    assert_eq!(gone.session().hello_name(), Some("client.example"));
    assert!(asked.is_too_late() && !gone.is_too_late());
    drop(asked);
    // Once.
    let end = server
        .next_event(Some(Duration::ZERO), Call::default())
        .unwrap_err();
    assert_eq!(end.status(), Status::End);
}

#[test]
fn a_socket_that_was_given_closes_when_the_server_stops() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let server = start(|options| options.listen_on(socket).unwrap());
    drop(greeted(&server));
    server.shutdown(Duration::ZERO).unwrap();
    assert!(TcpStream::connect(address).is_err());
    drop(server);
}

#[test]
fn who_waits_already_hears_of_an_end_that_no_answer_brings() {
    let server = start(|options| {
        options.set_answer_timeout(Duration::from_secs(4)).unwrap();
    });
    let client = send(&server, "a@b.example", b"x\r\n");
    let event = next(&server);
    thread::scope(|scope| {
        let waiting = [(); 3].map(|()| {
            scope.spawn(|| {
                let call = Call {
                    deadline: Some(Duration::from_secs(60)),
                    ..Call::default()
                };
                server.next_event(None, call).unwrap_err().status()
            })
        });
        let begun = Instant::now();
        while server.inner.queue.parked() < 3 {
            assert!(begun.elapsed() < Duration::from_secs(30));
            thread::sleep(Duration::from_millis(1));
        }
        let begun = Instant::now();
        server.shutdown(Duration::ZERO).unwrap();
        for waiting in waiting {
            assert_eq!(waiting.join().unwrap(), Status::End);
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
    });
    client.join().unwrap();
    drop(event);
}

#[test]
fn the_last_answer_wakes_who_waits_for_the_end() {
    let server = start(|_| {});
    let client = send(&server, "a@b.example", b"x\r\n");
    let event = next(&server);
    server.shutdown(Duration::ZERO).unwrap();
    client.join().unwrap();
    // One look, and there is nothing more to see.
    let none = server.next_event(Some(Duration::ZERO), Call::default());
    assert!(none.unwrap().is_none());
    assert!(!is_readable(server.fd()));
    drop(event);
    assert!(is_readable(server.fd()));
    let end = server
        .next_event(Some(Duration::ZERO), Call::default())
        .unwrap_err();
    assert_eq!(end.status(), Status::End);
}

#[test]
fn dropping_the_server_answers_what_nobody_took_and_closes_all() {
    let server = start(|options| options.set_hooks(Hooks::MAIL));
    let address = server.addresses()[0];
    let mut idle = greeted(&server);
    let mut waiting = greeted(&server);
    waiting.send("MAIL FROM:<a@b.example>\r\n");
    let begun = Instant::now();
    while server.inner.queue.len() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(1));
    }
    let begun = Instant::now();
    drop(server);
    // An answer has minutes.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(waiting.reply(), "451 4.3.0 Local error in processing");
    assert_eq!(idle.reply(), "421 4.3.2 Shutting down");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn its_threads_have_names_and_block_signals() {
    let _server = start(|options| options.set_workers(2).unwrap());
    // A new thread gives itself its name.
    let begun = Instant::now();
    while io_threads() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(5));
    }
}

/// The I/O threads of this process, of which other tests have some too. Each has all signals blocked.
fn io_threads() -> usize {
    let mut found = 0;
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let Ok(status) = std::fs::read_to_string(task.unwrap().path().join("status")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_whitespace().nth(1))
                .unwrap_or_default()
        };
        if field("Name:").starts_with("mailwire-io-") {
            found += 1;
            let blocked = u64::from_str_radix(field("SigBlk:"), 16).unwrap();
            // All but SIGKILL, SIGSTOP, and the two that the C library keeps for itself.
            let never = 1 << 8 | 1 << 18 | 1 << 31 | 1 << 32;
            assert_eq!(blocked | never, u64::MAX, "{blocked:x}");
        }
    }
    found
}

#[test]
fn in_the_child_of_a_fork_nothing_works_and_nothing_is_touched() {
    let server = start(|_| {});
    let client = send(&server, "a@b.example", b"x\r\n");
    let event = next(&server);
    let inherited = Server {
        inner: std::sync::Arc::clone(&server.inner),
        guard: ForkGuard::of_another_process(),
    };
    let forked = |result: Result<(), crate::Error>| {
        assert_eq!(result.unwrap_err().status(), Status::Forked);
    };
    forked(inherited.next_event(None, Call::default()).map(drop));
    forked(inherited.shutdown(Duration::ZERO));
    // Its listener, this session's socket, and the queue's two descriptors: what a child would close.
    assert_eq!(Inner::descriptors(&inherited.inner).len(), 4);
    std::mem::forget(inherited);
    let mut event = event;
    event.accept().unwrap();
    assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
}
