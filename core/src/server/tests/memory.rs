//! Memory for messages: what one address may hold of it, and what others notice.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::super::{Answers, Body, Handler, Hooks, Session, SessionInfo};
use super::talk::Talk;
use super::{Running, Seen};
use crate::proto::Envelope;

const OF_ADDRESS: &str =
    "452 4.3.1 Too much of messages from your address is held, try again later";

fn envelope(talk: &mut Talk, from: &str) {
    talk.ask(&format!("MAIL FROM:<{from}@b.example>"));
    talk.ask("RCPT TO:<c@d.example>");
}

/// Holds what has come of a message that never ends, so much of it as counts for `octets` and not a whole piece more.
fn holder(server: &Running, address: &str, octets: usize) -> Talk {
    let mut talk = server.speaking_for(address);
    envelope(&mut talk, "hold");
    assert!(talk.ask("DATA").starts_with("354 "));
    let begun = Instant::now();
    while server.statistics().body_memory < octets as u64 {
        talk.send([b'x'; 1000]);
        std::thread::sleep(Duration::from_millis(5));
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    talk
}

fn server(settings: &[(&str, &str)]) -> Running {
    Running::with(|options| {
        options.set_hooks(Hooks::NONE);
        for (name, value) in [("xclient", "127.0.0.1"), ("body_memory", "100000")]
            .iter()
            .chain(settings)
        {
            options.set(name, value).unwrap();
        }
    })
}

#[test]
fn an_address_that_holds_its_share_is_told_and_others_are_served() {
    let server = server(&[("body_memory_per_address", "20000")]);
    let _holding = holder(&server, "192.0.2.1", 20_000);
    let mut own = server.speaking_for("192.0.2.1");
    let mut other = server.speaking_for("192.0.2.2");
    for _ in 0..2 {
        envelope(&mut own, "a");
        assert_eq!(own.ask("DATA"), OF_ADDRESS);
        own.ask("RSET");
        let text = b"x".repeat(15_000);
        let reply = other.message(
            "a@b.example",
            &["c@d.example"],
            &[&text[..], b"\r\n"].concat(),
        );
        assert_eq!(reply, "250 2.0.0 queued");
    }
    let told = server.statistics();
    assert_eq!((told.messages, told.messages_without_memory), (2, 2));
}

#[test]
fn a_message_that_comes_over_the_edge_while_it_is_read_is_told_so() {
    let settings = [
        ("body_memory", "1000000"),
        ("body_memory_per_address", "300000"),
    ];
    let server = server(&settings);
    let _holding = holder(&server, "192.0.2.1", 200_000);
    let mut over = server.speaking_for("192.0.2.1");
    let text = [&b"x".repeat(250_000)[..], b"\r\n"].concat();
    let reply = over.message("a@b.example", &["c@d.example"], &text);
    assert_eq!(reply, OF_ADDRESS);
    assert_eq!(server.statistics().messages_without_memory, 1);
}

#[test]
fn a_message_that_can_never_be_held_is_refused_for_good() {
    const NEVER: &str = "552 5.3.4 Message too big for the memory that is kept for messages here";
    for (settings, largest) in [
        (&[("body_memory_per_address", "20000")][..], 20_000),
        (&[("body_memory_per_address", "1G")], 100_000),
    ] {
        let server = server(settings);
        let mut talk = server.speaking_for("192.0.2.1");
        for (octets, told) in [(200_000, NEVER), (largest - 8_000, "250 2.0.0 queued")] {
            let text = [b"x".repeat(octets - 2), b"\r\n".to_vec()].concat();
            let reply = talk.message("a@b.example", &["c@d.example"], &text);
            assert_eq!(reply, told, "{octets} {settings:?}");
        }
        assert_eq!(server.statistics().messages_without_memory, 1);
    }
}

/// The memory of another client that the same proxy goes on with is that client's.
#[test]
fn each_client_of_one_connection_has_a_share_of_its_own() {
    let server = server(&[("body_memory_per_address", "20000")]);
    let _holding = holder(&server, "192.0.2.1", 20_000);
    // This one has its share in use already when the other begins.
    let mut talk = server.speaking_for("192.0.2.1");
    envelope(&mut talk, "a");
    assert_eq!(talk.ask("DATA"), OF_ADDRESS);
    talk.ask("RSET");
    assert!(talk.ask("XCLIENT ADDR=192.0.2.2").starts_with("220 "));
    talk.ask("EHLO again.example");
    let reply = talk.message("a@b.example", &["c@d.example"], b"x\r\n");
    assert_eq!(reply, "250 2.0.0 queued");
    assert!(talk.ask("XCLIENT ADDR=192.0.2.1").starts_with("220 "));
    talk.ask("EHLO again.example");
    envelope(&mut talk, "a");
    assert_eq!(talk.ask("DATA"), OF_ADDRESS);
}

#[test]
fn below_its_share_an_address_is_not_told() {
    let server = server(&[("body_memory_per_address", "20000")]);
    let holding = holder(&server, "192.0.2.1", 10_000);
    assert!(server.statistics().body_memory < 15_000);
    let mut own = server.speaking_for("192.0.2.1");
    assert_eq!(
        own.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
    drop(holding);
}

#[test]
fn where_all_is_held_the_text_tells_of_no_address() {
    let server = server(&[("body_memory_per_address", "1G")]);
    let _holding = holder(&server, "192.0.2.1", 100_000);
    let mut other = server.speaking_for("192.0.2.2");
    envelope(&mut other, "a");
    assert_eq!(
        other.ask("DATA"),
        "452 4.3.1 Insufficient system storage, try again later"
    );
}

/// Holds something else of this address while it reads a message.
struct Greedy(Seen);

impl Handler for Greedy {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        Self(self.0.clone())
    }
}

impl Session for Greedy {
    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        let _held = body.memory.charge(vec![0; 20_000].into());
        let lost = body.chunk().await.unwrap_err();
        self.0.note(format!("lost {}", lost.status().number()));
        Answers::accept()
    }
}

#[test]
fn who_waits_in_vain_before_the_first_octet_is_told_at_data() {
    let mut options = super::Options::new();
    options.set_hostname("mx.example.org").unwrap();
    options.set_body_memory_per_address(20_000).unwrap();
    options.set_idle_timeout(Duration::from_secs(3)).unwrap();
    let seen = Seen::default();
    let server = Running::serve(options, Greedy(seen.clone()), seen);
    let mut talk = server.greeted();
    envelope(&mut talk, "a");
    assert_eq!(talk.ask("DATA"), OF_ADDRESS);
    assert_eq!(server.seen.wait_for("lost"), "lost 104");
    assert_eq!(server.statistics().messages_without_memory, 1);
}

#[test]
fn a_long_list_of_recipients_counts_until_its_transaction_is_over() {
    let server = server(&[
        ("body_memory_per_address", "20000"),
        ("max_recipients", "1000"),
    ]);
    let mut many = server.speaking_for("192.0.2.1");
    for end in ["RSET", "EHLO c.example"] {
        many.ask("MAIL FROM:<a@b.example>");
        let replies: Vec<String> = (0..100)
            .map(|number| many.ask(&format!("RCPT TO:<{}{number}@d.example>", "c".repeat(50))))
            .collect();
        let refused = replies.iter().position(|reply| reply == OF_ADDRESS);
        // 16 are free, and each other is some 320 octets.
        let accepted = refused.unwrap();
        assert!((70..85).contains(&accepted), "{accepted}");
        assert!(replies[accepted..].iter().all(|reply| reply == OF_ADDRESS));
        assert!((20_000..20_400).contains(&server.statistics().body_memory));
        // As many as cost nothing are taken meanwhile, also of that address; its messages are not.
        let mut few = server.speaking_for("192.0.2.1");
        few.ask("MAIL FROM:<a@b.example>");
        for number in 0..16 {
            assert!(
                few.ask(&format!("RCPT TO:<c{number}@d.example>"))
                    .starts_with("250 ")
            );
        }
        assert_eq!(few.ask("DATA"), OF_ADDRESS);
        let mut other = server.speaking_for("192.0.2.2");
        assert_eq!(
            other.message("a@b.example", &["c@d.example"], b"x\r\n"),
            "250 2.0.0 queued"
        );
        many.ask(end);
        assert_eq!(server.statistics().body_memory, 0);
    }
    let told = server.statistics();
    assert_eq!(told.messages_without_memory, 2);
    assert!((28..60).contains(&told.recipients_without_memory));
    assert_eq!(told.refused_recipients, told.recipients_without_memory);
}

#[test]
fn what_a_long_list_has_counted_does_not_outlive_it_where_commands_come_in_one_go() {
    let server = server(&[("body_memory_per_address", "20000")]);
    let mut talk = server.speaking_for("192.0.2.1");
    let mut envelope = "MAIL FROM:<a@b.example>\r\n".to_owned();
    for number in 0..40 {
        writeln!(envelope, "RCPT TO:<c{number}@d.example>\r").unwrap();
    }
    let accepted = |talk: &mut Talk, last: &str| {
        for _ in 0..41 {
            assert!(talk.reply().starts_with("250 "));
        }
        assert!(talk.reply().starts_with(last));
    };
    for _ in 0..5 {
        talk.send(format!("{envelope}RSET\r\n"));
    }
    for _ in 0..5 {
        accepted(&mut talk, "250 ");
    }
    talk.send(format!("{envelope}DATA\r\n"));
    accepted(&mut talk, "354 ");
    for _ in 0..5 {
        talk.send(format!("x\r\n.\r\n{envelope}DATA\r\n"));
        assert_eq!(talk.reply(), "250 2.0.0 queued");
        accepted(&mut talk, "354 ");
    }
    talk.send("x\r\n.\r\n");
    assert_eq!(talk.reply(), "250 2.0.0 queued");
    assert_eq!(server.statistics().body_memory, 0);
}
