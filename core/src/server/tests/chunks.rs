//! Messages in chunks (RFC 3030) over a socket: whole, given up, cut off, too big, and by recipient.

use super::{Running, sum};
use crate::proto::Protocol;

const ENVELOPE: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

/// The commands of a message in chunks of `size` octets.
fn in_chunks(text: &[u8], size: usize) -> Vec<u8> {
    let mut wire = Vec::with_capacity(text.len() + text.len() / size * 16);
    for chunk in text.chunks(size) {
        wire.extend_from_slice(format!("BDAT {}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
    }
    wire.extend_from_slice(b"BDAT 0 LAST\r\n");
    wire
}

#[test]
fn s270_a_message_of_30_mib_arrives_whole_and_the_next_right_behind_it() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    let text =
        b".a line that begins with a dot, and is no more than that\r\n".repeat((30 << 20) / 57);
    for size in [100_000, 65_536] {
        server.seen.0.lock().unwrap().clear();
        talk.send(ENVELOPE);
        assert_eq!(
            (talk.reply(), talk.reply()),
            ("250 2.1.0 OK".into(), "250 2.1.5 OK".into())
        );
        let chunks = text.len().div_ceil(size);
        talk.send(in_chunks(&text, size));
        for _ in 0..chunks {
            assert_eq!(talk.reply(), "250 2.0.0 OK");
        }
        assert_eq!(talk.reply(), "250 2.0.0 queued");
        let expected = format!("message {} {}", text.len(), sum(&text));
        assert_eq!(server.seen.wait_for("message"), expected);
    }
    let statistics = server.statistics();
    assert_eq!(
        (statistics.messages, statistics.octets),
        (2, 2 * text.len() as u64)
    );
    assert_eq!(statistics.body_memory, 0, "all was given back");
}

#[test]
fn however_a_flight_of_transactions_is_cut_each_has_its_own_end() {
    let server = Running::with(|options| options.set_max_message_size(20).unwrap());
    let flight = format!(
        "{ENVELOPE}BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\nRSET\r\n{ENVELOPE}BDAT 21 LAST\r\n{}RSET\r\n{ENVELOPE}BDAT 6 LAST\r\nQUIT\r\n",
        "x".repeat(21)
    );
    let expected = [
        "250 2.1.0 OK",
        "250 2.1.5 OK",
        "250 2.0.0 OK",
        "250 2.0.0 queued",
        "250 2.0.0 OK",
        "250 2.1.0 OK",
        "250 2.1.5 OK",
        "552 5.3.4 Message too big",
        "250 2.0.0 OK",
        "250 2.1.0 OK",
        "250 2.1.5 OK",
        "250 2.0.0 queued",
    ];
    for cut in (0..=flight.len()).step_by(3) {
        server.seen.0.lock().unwrap().clear();
        let mut talk = server.greeted();
        talk.send(&flight[..cut]);
        talk.send(&flight[cut..]);
        let replies: Vec<String> = expected.iter().map(|_| talk.reply()).collect();
        assert_eq!(replies, expected, "cut at {cut}");
        let messages: Vec<String> = server.seen.all();
        let messages: Vec<_> = messages
            .iter()
            .filter(|what| what.starts_with("message"))
            .collect();
        assert_eq!(
            messages,
            ["message a\\r\\nb\\r\\n", "message QUIT\\r\\n"],
            "cut at {cut}"
        );
    }
}

#[test]
fn a_message_that_is_given_up_between_two_chunks_is_lost_to_the_application_and_counts_nowhere() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    talk.send(format!("{ENVELOPE}BDAT 3\r\na\r\n"));
    for _ in 0..3 {
        assert!(talk.reply().starts_with("250 "));
    }
    assert_eq!(talk.ask("RSET"), "250 2.0.0 OK");
    assert_eq!(server.seen.wait_for("lost"), "lost 600");
    server.seen.wait_for("reset");
    talk.send(format!("{ENVELOPE}BDAT 3\r\na\r\nQUIT\r\n"));
    for _ in 0..3 {
        assert!(talk.reply().starts_with("250 "));
    }
    assert_eq!(talk.reply(), "221 2.0.0 Bye");
    assert_eq!(server.seen.wait_for("disconnect"), "disconnect -");
    let statistics = server.statistics();
    assert_eq!((statistics.messages, statistics.refused_messages), (0, 0));
}

#[test]
fn s283_a_client_that_is_cut_off_within_a_chunk_delivers_nothing() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    talk.send(format!("{ENVELOPE}BDAT 100 LAST\r\n12345"));
    assert!(talk.reply().starts_with("250 ") && talk.reply().starts_with("250 "));
    drop(talk);
    server.seen.wait_for("lost");
    server.seen.wait_for("disconnect");
    let seen = server.stop();
    assert!(!seen.all().iter().any(|what| what.starts_with("message")));
}

#[test]
fn a_message_that_nobody_reads_is_drained_chunk_by_chunk() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    for (sender, last) in [
        ("unread@b", "250 2.0.0 OK"),
        ("early@b", "503 5.5.1 A chunk was refused, say RSET first"),
    ] {
        talk.send(format!("MAIL FROM:<{sender}>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\nRSET\r\nNOOP\r\n"));
        let replies: Vec<String> = (0..6).map(|_| talk.reply()).collect();
        assert_eq!(replies[3], last, "{sender}");
        assert_eq!(replies[4..], ["250 2.0.0 OK", "250 2.0.0 OK"], "{sender}");
    }
}

#[test]
fn s335_in_lmtp_each_recipient_has_its_own_reply() {
    let server = Running::with(|options| options.set_protocol(Protocol::Lmtp));
    let mut talk = super::talk::Talk::connect(server.address);
    assert_eq!(talk.reply(), "220 mx.example.org LMTP");
    assert!(talk.ask("LHLO client.example").starts_with("250-"));
    talk.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<later@d>\r\nBDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n");
    for _ in 0..3 {
        assert!(talk.reply().starts_with("250 "));
    }
    assert_eq!(talk.reply(), "250 2.0.0 OK");
    assert_eq!(
        (talk.reply(), talk.reply()),
        ("250 2.0.0 queued".into(), "450 4.0.0 later".into())
    );
}
