//! Messages: whole, streamed, dropped early, too big, and answered by recipient.

use std::io::Write as _;
use std::time::Duration;

use super::{Running, sum};
use crate::proto::Protocol;

/// Lines of text, some of which begin with dots, as they are and as they go over the wire.
fn text(octets: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut plain, mut wire) = (Vec::with_capacity(octets), Vec::with_capacity(octets));
    let mut line = 0_usize;
    while plain.len() < octets {
        let dots = if line.is_multiple_of(7) { "." } else { "" };
        let content = format!("{dots}{line:0width$}\r\n", width = line % 90 + 1);
        plain.extend_from_slice(content.as_bytes());
        if !dots.is_empty() {
            wire.push(b'.');
        }
        wire.extend_from_slice(content.as_bytes());
        line += 1;
    }
    (plain, wire)
}

#[test]
fn a_message_of_30_mib_arrives_whole() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    let (plain, wire) = text(30 << 20);
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], &wire),
        "250 2.0.0 queued"
    );
    let expected = format!("message {} {}", plain.len(), sum(&plain));
    assert_eq!(server.seen.wait_for("message"), expected);
    let statistics = server.statistics();
    assert_eq!(
        (statistics.messages, statistics.octets),
        (1, plain.len() as u64)
    );
    assert_eq!(statistics.body_memory, 0, "all was given back");
}

#[test]
fn however_the_bytes_are_cut_the_message_is_the_same() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    // A withheld CR behind a dot comes out again, and the message is refused for it; all others are taken.
    let bodies: [(&str, &str); 5] = [
        ("..\r\n..a\r\n.\r\n", "message .\\r\\n.a\\r\\n"),
        (".\r\n", "message "),
        ("a\r\n..\r\n...\r\n.\r\n", "message a\\r\\n.\\r\\n..\\r\\n"),
        ("\r\n.\r\n", "message \\r\\n"),
        ("end\r\n.\r\n", "message end\\r\\n"),
    ];
    for (wire, expected) in bodies {
        for cut in 0..=wire.len() {
            server.seen.0.lock().unwrap().clear();
            talk.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
            for _ in 0..3 {
                talk.reply();
            }
            for piece in [&wire[..cut], &wire[cut..]] {
                talk.send(piece);
                // Long enough for the server to have read the first alone, most of the time.
                std::thread::sleep(Duration::from_millis(2));
            }
            assert_eq!(talk.reply(), "250 2.0.0 queued");
            assert_eq!(
                server.seen.wait_for("message"),
                expected,
                "{wire:?} cut at {cut}"
            );
        }
    }
}

#[test]
fn a_bare_line_end_is_refused_wherever_the_bytes_are_cut() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    for wire in [
        "a\nb\r\n.\r\n",
        ".\rx\r\n.\r\n",
        "a\r\n.\rb\r\n.\r\n",
        "a\r\n.\n\r\n.\r\n",
        "a\r\r\n.\r\n",
    ] {
        for cut in 0..=wire.len() {
            talk.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
            for _ in 0..3 {
                talk.reply();
            }
            talk.send(&wire[..cut]);
            std::thread::sleep(Duration::from_millis(2));
            talk.send(&wire[cut..]);
            assert_eq!(
                talk.reply(),
                "554 5.6.0 Message has a bare CR or LF",
                "{wire:?} at {cut}"
            );
        }
    }
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
    assert_eq!(server.statistics().messages, 1);
    assert_eq!(server.seen.wait_for("message"), "message x\\r\\n");
}

#[test]
fn a_message_that_is_too_big_is_refused_at_its_end() {
    let server = Running::with(|options| options.set_max_message_size(100_000).unwrap());
    let mut talk = server.greeted();
    assert_eq!(
        talk.ask("MAIL FROM:<a@b.example> SIZE=100001"),
        "552 5.3.4 Message too big"
    );
    let (_, wire) = text(200_000);
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], &wire),
        "552 5.3.4 Message too big"
    );
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
    assert_eq!(server.seen.wait_for("lost"), "lost 600");
    let statistics = server.statistics();
    assert_eq!(statistics.refused_messages, 1);
    assert_eq!(statistics.messages_too_big, 1);
}

#[test]
fn a_refusal_before_the_first_octet_answers_data_itself() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    assert_eq!(talk.ask("MAIL FROM:<early@b.example>"), "250 2.1.0 OK");
    assert_eq!(talk.ask("RCPT TO:<c@d.example>"), "250 2.1.5 OK");
    assert_eq!(talk.ask("DATA"), "554 5.0.0 not even one octet");
    assert_eq!(talk.ask("RSET"), "250 2.0.0 OK");
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
}

#[test]
fn what_is_not_read_is_drained_before_it_is_answered() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    let (_, wire) = text(300_000);
    for sender in ["unread@b.example", "first-chunk@b.example"] {
        assert_eq!(
            talk.message(sender, &["c@d.example"], &wire),
            "250 2.0.0 OK"
        );
    }
    server.seen.wait_for("chunk");
    // What its end was answered counts, though nobody was there any more to hear of it.
    for sender in ["unread@b.example", "first-chunk@b.example"] {
        let bare = [&wire[..], b"a\nb\r\n"].concat();
        assert_eq!(
            talk.message(sender, &["c@d.example"], &bare),
            "554 5.6.0 Message has a bare CR or LF"
        );
    }
    let statistics = server.statistics();
    assert_eq!((statistics.messages, statistics.refused_messages), (2, 2));
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
}

#[test]
fn lmtp_answers_each_recipient() {
    let server = Running::with(|options| options.set_protocol(Protocol::Lmtp));
    let mut talk = super::Talk::connect(server.address);
    assert!(talk.reply().starts_with("220 mx.example.org LMTP"));
    assert!(talk.ask("LHLO client.example").starts_with("250-"));
    let recipients = ["one@d.example", "later@d.example", "three@d.example"];
    assert_eq!(
        talk.message("a@b.example", &recipients, b"x\r\n"),
        "250 2.0.0 queued"
    );
    assert_eq!(talk.reply(), "450 4.0.0 later");
    assert_eq!(talk.reply(), "250 2.0.0 queued");
    assert_eq!(talk.ask("QUIT"), "221 2.0.0 Bye");
}

#[test]
fn a_message_that_breaks_off_is_an_error_for_the_application() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    for command in ["MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>", "DATA"] {
        talk.ask(command);
    }
    talk.send("half a mess");
    talk.finish();
    assert!(talk.is_closed());
    assert_eq!(server.seen.wait_for("lost"), "lost 106");
    assert_eq!(server.seen.wait_for("disconnect"), "disconnect 106");
    assert_eq!(server.statistics().messages, 0);
}

#[test]
fn a_session_that_holds_what_it_reads_stops_the_client_at_the_limit() {
    let server = Running::with(|options| {
        options.set_body_memory(1 << 20).unwrap();
        options.set_idle_timeout(Duration::from_secs(6)).unwrap();
    });
    // Made first: it takes longer than the server waits.
    let (_, wire) = text(20 << 20);
    let mut talk = server.greeted();
    for command in [
        "MAIL FROM:<hold@b.example>",
        "RCPT TO:<c@d.example>",
        "DATA",
    ] {
        talk.ask(command);
    }
    talk.stream()
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let (mut sent, mut stalled) = (0, false);
    while sent < wire.len() && !stalled {
        match talk
            .stream()
            .write(&wire[sent..(sent + 65536).min(wire.len())])
        {
            Ok(octets) => sent += octets,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                stalled = server.statistics().body_memory >= 1 << 20;
            }
        }
    }
    assert!(stalled, "all of it was taken");
    let held = server.statistics().body_memory;
    assert!(held <= (1 << 20) + 65536, "{held}");
    // Another one is told to come again.
    let mut other = server.greeted();
    other.ask("MAIL FROM:<a@b.example>");
    other.ask("RCPT TO:<c@d.example>");
    let refusal = other.ask("DATA");
    assert!(
        refusal.starts_with("452 4.3.1"),
        "{refusal} {:?}",
        server.statistics()
    );
    // The one that waits gives up after a while, and its message is refused.
    assert_eq!(server.seen.wait_for("lost"), "lost 104");
    talk.stream()
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    talk.send(&wire[sent..]);
    assert!(talk.ask(".").starts_with("452 4.3.1"));
    assert_eq!(server.statistics().body_memory, 0);
}

#[test]
fn the_end_of_a_message_needs_no_memory() {
    let server = Running::with(|options| options.set_body_memory(100).unwrap());
    let mut talk = server.greeted();
    for command in [
        "MAIL FROM:<hold@b.example>",
        "RCPT TO:<c@d.example>",
        "DATA",
    ] {
        talk.ask(command);
    }
    // All of it comes in one read, so that it is held whole when its end is asked for.
    talk.stream()
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let text = "x".repeat(200);
    assert_eq!(talk.ask(&format!("{text}\r\n.")), "250 2.0.0 queued");
}

#[test]
fn a_small_chunk_does_not_keep_a_large_buffer() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    for command in [
        "MAIL FROM:<first-chunk@b.example>",
        "RCPT TO:<c@d.example>",
        "DATA",
    ] {
        talk.ask(command);
    }
    // As much as a TLS record holds at the most.
    talk.send([b'x'; 16384]);
    assert_eq!(server.seen.wait_for("chunk"), "chunk 16384 true");
}

#[test]
fn collecting_fails_at_once_where_there_is_no_memory() {
    let server = Running::with(|options| options.set_body_memory(100_000).unwrap());
    let mut talk = server.greeted();
    let (_, wire) = text(1 << 20);
    assert!(
        talk.message("a@b.example", &["c@d.example"], &wire)
            .starts_with("552 5.3.4")
    );
    assert_eq!(
        talk.message("a@b.example", &["c@d.example"], b"x\r\n"),
        "250 2.0.0 queued"
    );
    assert_eq!(server.seen.wait_for("lost"), "lost 104");
    let statistics = server.statistics();
    assert_eq!(statistics.messages_without_memory, 1);
    assert_eq!(statistics.refused_messages, 1);
}
