//! `Date` and `Message-ID` that a server adds: wherever what came is cut, whole and in pieces, by DATA, BDAT and LMTP.

use super::{EventKind, greeted, next, start};
use crate::blocking::server::Server;
use crate::proto::Protocol;
use crate::server::tests::talk::Talk;

const ENVELOPE: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

/// Waits for the message; gives it with `DATE` and `ID` for the fields that were added.
fn taken(server: &Server) -> String {
    let mut whole = Vec::new();
    let mut last = loop {
        let mut event = next(server);
        match event.kind() {
            EventKind::Body { .. } => event.accept().unwrap(),
            EventKind::Chunk(octets) => whole.extend_from_slice(octets),
            EventKind::Message { content, .. } => {
                whole = content.to_vec();
                assert_eq!(content.len(), whole.len());
                break event;
            }
            EventKind::EndOfData { size, .. } => {
                assert_eq!(*size, whole.len() as u64);
                break event;
            }
            other => panic!("{other:?}"),
        }
    };
    last.accept().unwrap();
    let whole = String::from_utf8(whole).unwrap();
    let lines = whole.split_inclusive("\r\n").map(|line| {
        let is = |start: &str, end: &str| line.starts_with(start) && line.ends_with(end);
        if is("Date: ", " +0000\r\n") {
            "DATE\r\n"
        } else if is("Message-ID: <", "@mx.example.org>\r\n") {
            "ID\r\n"
        } else {
            line
        }
    });
    lines.collect()
}

/// Sends a message in these chunks, each of which the server has read before the next is sent.
fn in_chunks(server: &Server, stream: bool, talk: &mut Talk, chunks: &[&str]) -> String {
    talk.send(ENVELOPE);
    assert!(talk.reply().starts_with("250") && talk.reply().starts_with("250"));
    for (place, chunk) in chunks.iter().enumerate() {
        talk.send(format!("BDAT {}\r\n{chunk}", chunk.len()));
        if stream && place == 0 {
            next(server).accept().unwrap();
        }
        assert_eq!(talk.reply(), "250 2.0.0 OK");
    }
    talk.send("BDAT 0 LAST\r\n");
    let message = taken(server);
    assert_eq!(talk.reply(), "250 2.0.0 OK");
    message
}

#[test]
fn s342_what_is_missing_is_added_wherever_the_chunks_are_cut() {
    for stream in [false, true] {
        let server = start(|options| {
            options.set_add_missing(true);
            options.set_max_hops(0);
            options.set_stream(stream);
        });
        for (message, expected) in [
            ("A: b\r\n\r\nc", "A: b\r\nDATE\r\nID\r\n\r\nc"),
            ("date:\r\n\r\n", "date:\r\nID\r\n\r\n"),
            ("Hi, b\r\n", "DATE\r\nID\r\n\r\nHi, b\r\n"),
        ] {
            for cut in 0..=message.len() {
                let mut talk = greeted(&server);
                for second in cut..=message.len() {
                    let chunks = [&message[..cut], &message[cut..second], &message[second..]];
                    let made = in_chunks(&server, stream, &mut talk, &chunks);
                    assert_eq!(made, expected, "{chunks:?} {stream}");
                }
            }
        }
    }
}

#[test]
fn a_long_header_and_a_long_body_pass_as_they_are() {
    let header = "X-Field: a line of a header that is long\r\n".repeat(5000);
    let body = "A line of a body that is long.\r\n".repeat(10_000);
    for (stream, lmtp) in [(false, false), (true, false), (false, true), (true, true)] {
        let server = start(|options| {
            options.set_add_missing(true);
            options.set_stream(stream);
            if lmtp {
                options.set_protocol(Protocol::Lmtp);
            }
        });
        for (own, added) in [
            ("", "DATE\r\nID\r\n"),
            ("Date: d\r\n", "ID\r\n"),
            ("Message-ID: m\r\nDate: d\r\n", ""),
        ] {
            let mut talk = Talk::connect(server.addresses()[0]);
            talk.reply();
            let hello = if lmtp { "LHLO" } else { "EHLO" };
            talk.ask(&format!("{hello} client.example"));
            talk.send(format!("{ENVELOPE}DATA\r\n"));
            let text = format!("{header}{own}\r\n{body}.\r\n");
            let client = std::thread::spawn(move || {
                let replies = [talk.reply(), talk.reply(), talk.reply()];
                assert!(replies[2].starts_with("354"), "{replies:?}");
                talk.send(text);
                talk.reply()
            });
            let made = taken(&server);
            assert!(made == format!("{header}{own}{added}\r\n{body}"), "{own}");
            assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
        }
    }
}

#[test]
fn the_trace_stands_in_front_of_what_is_added_and_binary_octets_pass() {
    let server = start(|options| {
        options.set_received(true);
        options.set_add_missing(true);
        options.set("extensions", "BINARYMIME").unwrap();
    });
    let mut talk = greeted(&server);
    let reply = talk.ask("MAIL FROM:<a@b.example> BODY=BINARYMIME");
    assert!(reply.starts_with("250"), "{reply}");
    talk.ask("RCPT TO:<c@d.example>");
    talk.send("BDAT 13 LAST\r\nA: b\r\n\r\n\0\n\r\r\n");
    let made = taken(&server);
    let end = "+0000\r\nA: b\r\nDATE\r\nID\r\n\r\n\0\n\r\r\n";
    assert!(
        made.starts_with("Received: from client.example ") && made.ends_with(end),
        "{made:?}"
    );
    assert!(talk.reply().starts_with("250 2.0.0 OK: queued as "));
}

#[test]
fn nothing_is_added_unless_it_is_asked_for() {
    let server = start(|_| {});
    let mut talk = greeted(&server);
    let made = in_chunks(&server, false, &mut talk, &["A: b\r\n", "\r\nc"]);
    assert_eq!(made, "A: b\r\n\r\nc");
}
