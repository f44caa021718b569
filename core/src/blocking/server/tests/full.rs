//! An application that takes no events, or fewer than come: what its clients may cost it.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::super::post::Post;
use super::super::queue::{MOST, Queue};
use super::{Call, EventKind, Hooks, greeted, next, start};
use crate::blocking::server::Event;
use crate::net::ForkGuard;

#[test]
fn a_session_goes_on_once_what_it_has_told_was_heard() {
    const RESETS: usize = 20;
    let server =
        start(|options| options.set_hooks(Hooks::RESET.with(Hooks::MAIL).with(Hooks::QUIT)));
    let mut client = greeted(&server);
    let mail = "MAIL FROM:<a@b.example>\r\n";
    client.send(format!("{mail}RSET\r\n").repeat(RESETS) + mail + "QUIT\r\n");
    let asked = |event: &Event| matches!(event.kind(), EventKind::Mail { .. });
    for _ in 0..RESETS {
        let mut mail = next(&server);
        assert!(asked(&mail));
        mail.accept().unwrap();
        let told = next(&server);
        assert!(matches!(told.kind(), EventKind::Reset) && told.owed() == 0);
        // Another thread would have nothing to do meanwhile.
        let soon = Some(Duration::from_millis(20));
        assert!(server.next_event(soon, Call::default()).unwrap().is_none());
    }
    let mut mail = next(&server);
    assert!(asked(&mail));
    mail.accept().unwrap();
    assert!(matches!(next(&server).kind(), EventKind::Quit));
    for _ in 0..RESETS {
        assert_eq!(client.reply(), "250 2.1.0 OK");
        assert_eq!(client.reply(), "250 2.0.0 OK");
    }
    assert_eq!(client.reply(), "250 2.1.0 OK");
    assert_eq!(client.reply(), "221 2.0.0 Bye");
}

#[test]
fn what_only_informs_is_held_back_while_too_much_waits() {
    const CLIENTS: usize = 300;
    const ROUNDS: usize = 16;
    let server = start(|options| {
        options.set_hooks(Hooks::DISCONNECT);
        options.set_connections_per_address(1000).unwrap();
    });
    for _ in 0..ROUNDS {
        let clients: Vec<_> = (0..CLIENTS).map(|_| greeted(&server)).collect();
        drop(clients);
    }
    let queue = &server.inner.queue;
    let begun = Instant::now();
    while queue.len() < MOST {
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(10));
    }
    // Long enough for all others to come too, were they let.
    thread::sleep(Duration::from_millis(300));
    let waiting = queue.len();
    assert!(waiting <= MOST + CLIENTS, "{waiting}");
    // None is lost.
    let mut sessions = HashSet::new();
    for _ in 0..CLIENTS * ROUNDS {
        let event = next(&server);
        assert!(matches!(event.kind(), EventKind::Disconnect));
        sessions.insert(event.session().id());
    }
    assert_eq!(sessions.len(), CLIENTS * ROUNDS);
    let none = server.next_event(Some(Duration::ZERO), Call::default());
    assert!(none.unwrap().is_none());
}

#[test]
fn events_that_nobody_waits_for_any_more_do_not_pile_up() {
    let server = start(|options| options.set_hooks(Hooks::CONNECT));
    let talk = thread::spawn({
        let address = server.addresses()[0];
        move || super::Talk::connect(address).reply()
    });
    let mut event = next(&server);
    event.accept().unwrap();
    assert!(talk.join().unwrap().starts_with("220"));
    let queue = Arc::new(Queue::new(Duration::from_secs(1)).unwrap());
    let post = Arc::new(Post::new());
    for _ in 0..10 * MOST {
        let (late, nobody) = Event::owing(
            EventKind::Connect,
            event.session().clone(),
            ForkGuard::new(),
            1,
            Arc::clone(&post),
            None,
        );
        drop(nobody);
        queue.put(&mut vec![late]);
        assert!(queue.len() <= 2 * MOST);
    }
}
