//! Messages that wait in memory until the program takes them.

use std::time::Duration;

use mailwire::disposition::{Collect, Collection};
use tokio::runtime::{Builder, Runtime};

use crate::running::Running;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn next(collection: &mut Collection) -> Option<mailwire::disposition::Collected> {
    let next = async { tokio::time::timeout(Duration::from_secs(20), collection.next()).await };
    runtime().block_on(next).unwrap()
}

#[test]
fn messages_come_in_order_with_session_and_envelope() {
    let (collect, mut collection) = Collect::new();
    let running = Running::start(collect);
    assert!(collection.next_now().is_none());
    let mut talk = running.client();
    let large = "large\r\n".repeat(50_000);
    for text in ["one\r\n", &large, ""] {
        assert!(talk.message(text).starts_with("250 "));
    }
    assert_eq!(collection.len(), 3);
    let one = next(&mut collection).unwrap();
    assert_eq!(one.octets(), b"one\r\n");
    assert_eq!(one.session().hello_name(), Some("client.example"));
    assert_eq!(one.envelope().reverse_path().to_string(), "a@b.example");
    assert!(next(&mut collection).unwrap().octets() == large.as_bytes());
    assert!(collection.next_now().unwrap().octets().is_empty());
    assert!(collection.is_empty());
    drop(running);
    assert!(next(&mut collection).is_none());
}

#[test]
fn where_nobody_takes_them_the_bound_is_452_and_taking_makes_room() {
    let (collect, mut collection) = Collect::new();
    let running = Running::with(collect, |options| options.set_body_memory(300_000).unwrap());
    let mut talk = running.client();
    let text = "0123456789abcdef\r\n".repeat(10_000);
    assert!(talk.message(&text).starts_with("250 "));
    // It comes over the bound while it is read.
    assert!(talk.message(&text).starts_with("452 4.3.1"));
    let taken = next(&mut collection).unwrap();
    assert!(running.control.statistics().body_memory > 0);
    drop(taken);
    assert_eq!(running.control.statistics().body_memory, 0);
    assert!(talk.message(&text).starts_with("250 "));
    assert_eq!(collection.len(), 1);
}

#[test]
fn envelopes_count_too_and_many_recipients_are_not_for_nothing() {
    let (collect, mut collection) = Collect::new();
    let running = Running::with(collect, |options| {
        // For two that are collected and the list of one that is under way, and not for three and a list.
        options.set_body_memory(500_000).unwrap();
        options.set_body_memory_per_address(500_000).unwrap();
    });
    let mut talk = running.client();
    let recipient = format!("{}@d.example", "c".repeat(54));
    let mut send = || {
        talk.send("RSET\r\nMAIL FROM:<a@b.example>\r\n");
        talk.send(format!("RCPT TO:<{recipient}>\r\n").repeat(500));
        for _ in 0..502 {
            assert!(talk.reply().starts_with("250 "));
        }
        match talk.ask("DATA") {
            go if go.starts_with("354 ") => talk.ask("x\r\n."),
            refusal => refusal,
        }
    };
    let replies: Vec<_> = (0..5).map(|_| send()).collect();
    assert!(replies[1].starts_with("250 "), "{replies:?}");
    assert!(
        replies[2..]
            .iter()
            .all(|reply| reply.starts_with("452 4.3.1")),
        "{replies:?}"
    );
    assert!(running.control.statistics().body_memory < 500_000);
    let taken = next(&mut collection).unwrap();
    assert_eq!(taken.envelope().recipients().len(), 500);
    drop(taken);
    assert!(send().starts_with("250 "));
    drop(collection);
    assert_eq!(running.control.statistics().body_memory, 0);
}

#[test]
fn where_nobody_will_ever_take_them_it_is_451() {
    let (collect, collection) = Collect::new();
    let running = Running::start(collect);
    drop(collection);
    assert!(running.client().message("x\r\n").starts_with("451 4.3.0"));
}

#[test]
fn a_message_that_is_cut_is_not_collected() {
    let (collect, mut collection) = Collect::new();
    let running = Running::start(collect);
    let mut talk = running.client();
    talk.begin(&["c@d.example"]);
    talk.send("half of a message\r\n");
    talk.cut();
    assert!(running.client().message("whole\r\n").starts_with("250 "));
    assert_eq!(next(&mut collection).unwrap().octets(), b"whole\r\n");
    assert!(collection.next_now().is_none());
}
