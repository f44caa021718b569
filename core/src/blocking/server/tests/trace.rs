//! The `Received` field in front of a message, and messages that go in circles: whole and in pieces, by DATA, BDAT and LMTP.

use super::{EventKind, content, greeted, next, reply, start};
use crate::proto::Protocol;
use crate::server::Options;
use crate::server::tests::talk::Talk;

const TEXT: &str = "Received: from an earlier host;\r\n\tyesterday\r\nSubject: s\r\n\r\nHello.\r\n";

fn envelope(talk: &mut Talk, recipients: &[&str]) {
    talk.ask("MAIL FROM:<a@b.example>");
    for recipient in recipients {
        assert!(
            talk.ask(&format!("RCPT TO:<{recipient}>"))
                .starts_with("250")
        );
    }
}

fn by_data(talk: &mut Talk, text: &str) {
    talk.send("DATA\r\n");
    assert!(talk.reply().starts_with("354"));
    talk.send(format!("{text}.\r\n"));
}

fn by_bdat(talk: &mut Talk, text: &str) {
    let (one, two) = text.split_at(text.len() / 3);
    talk.send(format!(
        "BDAT {}\r\n{one}BDAT {} LAST\r\n{two}",
        one.len(),
        two.len()
    ));
}

/// The field, unfolded, if it stands in front of what was sent.
fn field(whole: &[u8], text: &str) -> String {
    let whole = std::str::from_utf8(whole).unwrap();
    let field = whole.strip_suffix(text).expect("what was sent was changed");
    assert!(
        field.starts_with("Received: from ") && field.ends_with(" +0000\r\n"),
        "{field}"
    );
    field.replace("\r\n\t", " ")
}

#[test]
fn s130_s131_a_whole_message_has_one_more_field_in_front() {
    let server = start(|options| options.set_received(true));
    let mut talk = greeted(&server);
    let mut ids = Vec::new();
    for send in [by_data, by_bdat] {
        envelope(&mut talk, &["c@d.example"]);
        send(&mut talk, TEXT);
        let mut event = next(&server);
        let field = field(content(&event), TEXT);
        let start = "Received: from client.example ([127.0.0.1]) by mx.example.org with ESMTP id ";
        assert!(field.starts_with(start), "{field}");
        assert!(field.contains(" for <c@d.example>; "), "{field}");
        ids.push(field[start.len()..].split(' ').next().unwrap().to_owned());
        let EventKind::Message { content, .. } = event.kind() else {
            panic!()
        };
        assert_eq!(content.len(), content.pieces().concat().len());
        assert_eq!(event.id(), ids.last().map(String::as_str));
        event.accept().unwrap();
        let queued = format!("250 2.0.0 OK: queued as {}", ids.last().unwrap());
        // The first chunk has a reply of its own.
        assert!(talk.reply() == queued || talk.reply() == queued);
    }
    assert!(ids[0] != ids[1] && ids[0].len() == 32, "{ids:?}");
}

#[test]
fn a_message_whose_first_line_would_continue_our_field_has_an_empty_line_in_front() {
    let large = format!(" {}\r\n", "x".repeat(900)).repeat(100);
    for add_missing in [false, true] {
        let server = start(|options| {
            options.set_received(true);
            options.set_add_missing(add_missing);
        });
        let mut talk = greeted(&server);
        for send in [by_data, by_bdat] {
            for text in [" for <x@evil.example>\r\n\r\nbody\r\n", "\tx\r\n", &large] {
                envelope(&mut talk, &["c@d.example"]);
                send(&mut talk, text);
                let mut event = next(&server);
                let whole = String::from_utf8(content(&event).to_vec()).unwrap();
                let (header, body) = whole.split_once("\r\n\r\n").unwrap();
                assert!(body == text, "{whole}");
                assert_eq!(header.contains("\r\nDate: "), add_missing);
                event.accept().unwrap();
                while !talk.reply().contains("queued as") {}
            }
        }
    }
}

#[test]
fn the_line_of_a_mailbox_file_becomes_a_field_behind_ours_and_stays_else() {
    let line = "From a@b.example Thu Jan  1 00:00:00 1970\r\n";
    for (received, add_missing) in [(true, false), (true, true), (false, true)] {
        let server = start(|options| {
            options.set_received(received);
            options.set_add_missing(add_missing);
        });
        let mut talk = greeted(&server);
        for (send, replies) in [(by_data as fn(&mut Talk, &str), 1), (by_bdat, 2)] {
            for first in [line, "From : a@b.example\r\n"] {
                envelope(&mut talk, &["c@d.example"]);
                send(&mut talk, &format!("{first}Subject: s\r\n\r\nbody\r\n"));
                let mut event = next(&server);
                let whole = String::from_utf8(content(&event).to_vec()).unwrap();
                let (header, body) = whole.split_once("\r\n\r\n").unwrap();
                assert_eq!(body, "body\r\n");
                let name = if received && first == line {
                    "Mailbox-Line: "
                } else {
                    ""
                };
                let expected = format!("{name}{first}Subject: s");
                let (ours, own) = header.split_at(header.find(&expected).unwrap());
                assert_eq!(ours.ends_with(" +0000\r\n"), received, "{whole}");
                assert_eq!(own.contains("\r\nDate: "), add_missing, "{whole}");
                event.accept().unwrap();
                for _ in 0..replies {
                    assert!(talk.reply().starts_with("250 2.0.0 OK"));
                }
            }
        }
    }
}

#[test]
fn s133_no_recipient_learns_of_another_and_helo_is_smtp() {
    let server = start(|options| options.set_received(true));
    let mut talk = greeted(&server);
    talk.ask("HELO old.example");
    envelope(&mut talk, &["c@d.example", "e@f.example"]);
    by_data(&mut talk, "x\r\n");
    let event = next(&server);
    let field = field(content(&event), "x\r\n");
    assert!(
        field.contains("from old.example ") && field.contains(" with SMTP id "),
        "{field}"
    );
    assert!(!field.contains("for <") && !field.contains('@'), "{field}");
}

#[test]
fn in_pieces_and_by_lmtp_the_size_that_is_told_is_what_was_given() {
    let server = start(|options| {
        options.set_received(true);
        options.set_stream(true);
        options.set_protocol(Protocol::Lmtp);
    });
    let mut talk = Talk::connect(server.addresses()[0]);
    talk.reply();
    talk.ask("LHLO client.example");
    envelope(&mut talk, &["c@d.example"]);
    talk.send("DATA\r\n");
    let mut body = next(&server);
    let id = body.id().unwrap().to_owned();
    body.accept().unwrap();
    assert!(talk.reply().starts_with("354"));
    talk.send(format!("{TEXT}.\r\n"));
    let mut whole = Vec::new();
    let mut end = loop {
        let event = next(&server);
        assert_eq!(event.id(), Some(&*id));
        match event.kind() {
            EventKind::Chunk(octets) => whole.extend_from_slice(octets),
            _ => break event,
        }
    };
    let line = format!(" with LMTP id {id} ");
    assert!(field(&whole, TEXT).contains(&line));
    assert!(matches!(end.kind(), EventKind::EndOfData { size, .. } if *size == whole.len() as u64));
    end.accept().unwrap();
    assert_eq!(talk.reply(), format!("250 2.0.0 OK: queued as {id}"));
}

#[test]
fn a_reply_of_the_applications_own_is_left_as_it_is() {
    let server = start(|options| {
        options.set_received(true);
        options.set_protocol(Protocol::Lmtp);
    });
    let mut talk = Talk::connect(server.addresses()[0]);
    talk.reply();
    talk.ask("LHLO client.example");
    envelope(&mut talk, &["c@d.example", "e@f.example", "g@h.example"]);
    by_data(&mut talk, TEXT);
    let mut event = next(&server);
    let queued = format!("250 2.0.0 OK: queued as {}", event.id().unwrap());
    event.reply_at(0, Some(reply(250, "mine"))).unwrap();
    event.reply_at(1, Some(reply(452, "full"))).unwrap();
    event.reply_at(2, None).unwrap();
    assert_eq!(
        [talk.reply(), talk.reply(), talk.reply()],
        ["250 2.0.0 mine", "452 4.0.0 full", queued.as_str()]
    );
}

fn hops(count: usize) -> String {
    "received: by somebody\r\n".repeat(count) + "\r\nReceived: body\r\n"
}

/// The reply to a message with so many fields, by octets of its own where `slow`.
fn answer(change: impl FnOnce(&mut Options), count: usize, slow: bool) -> String {
    let server = start(change);
    let mut talk = greeted(&server);
    envelope(&mut talk, &["c@d.example"]);
    talk.send("DATA\r\n");
    assert!(talk.reply().starts_with("354"));
    let text = format!("{}.\r\n", hops(count));
    if slow {
        text.as_bytes()
            .chunks(7)
            .for_each(|octets| talk.send(octets));
    } else {
        talk.send(text);
    }
    std::thread::scope(|scope| {
        let reply = scope.spawn(|| talk.reply());
        while !reply.is_finished() {
            let moment = Some(std::time::Duration::from_millis(20));
            let event = server.next_event(moment, super::Call::default()).unwrap();
            if let Some(mut event) = event {
                event.accept().unwrap();
            }
        }
        reply.join().unwrap()
    })
}

#[test]
fn s135_a_message_that_goes_in_circles_is_refused() {
    for slow in [false, true] {
        assert!(answer(|_| {}, 100, slow).starts_with("250"));
        let reply = answer(|_| {}, 101, slow);
        assert!(
            reply.starts_with("554 5.4.6 ") && reply.contains("mail loop"),
            "{reply}"
        );
    }
    assert!(answer(|options| options.set_max_hops(2), 3, false).starts_with("554 5.4.6"));
    assert!(answer(|options| options.set_max_hops(0), 300, false).starts_with("250"));
}

#[test]
fn a_message_in_circles_by_bdat_is_refused_and_the_session_goes_on() {
    let server = start(|options| options.set_max_hops(5));
    let mut talk = greeted(&server);
    envelope(&mut talk, &["c@d.example"]);
    by_bdat(&mut talk, &hops(6));
    let mut replies = [talk.reply(), talk.reply()];
    replies.sort();
    assert!(replies[1].starts_with("554 5.4.6"), "{replies:?}");
    talk.ask("RSET");
    envelope(&mut talk, &["c@d.example"]);
    by_data(&mut talk, &hops(5));
    next(&server).accept().unwrap();
    assert!(talk.reply().starts_with("250"));
}
