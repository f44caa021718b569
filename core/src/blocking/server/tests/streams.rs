//! Messages in pieces, large ones, and what memory they take.

use std::thread;
use std::time::Duration;

use super::{Call, Event, EventKind, Server, content, greeted, next, reply, send, start};
use crate::error::Status;
use crate::proto::data::LineEnds;
use crate::server::PIECE;
use crate::server::tests::sum;
use crate::server::tests::talk::Talk;

fn lines(octets: usize) -> Vec<u8> {
    let line = b"0123456789 0123456789 0123456789 0123456789 0123456789\r\n";
    line.repeat(octets / line.len())
}

#[test]
fn a_message_of_30_mib_arrives_whole() {
    let server = start(|_| {});
    let text = lines(30 << 20);
    let client = send(&server, "a@b.example", &text);
    let mut event = next(&server);
    assert!(content(&event) == text, "changed on the way");
    let held = server.statistics().body_memory;
    assert!(held >= text.len() as u64, "{held}");
    event.accept().unwrap();
    assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
    drop(event);
    assert_eq!(server.statistics().body_memory, 0);
}

#[test]
fn a_streamed_message_waits_for_a_slow_application() {
    let server = start(|options| options.set_stream(true));
    let text = lines(8 << 20);
    let client = send(&server, "a@b.example", &text);
    let mut begin = next(&server);
    assert!(matches!(begin.kind(), EventKind::Body { .. }));
    assert_eq!(begin.owed(), 1);
    begin.accept().unwrap();
    // Nothing is given back: the session stops at its credit.
    let held = pieces_until_none_comes(&server, |held| octets_of(held) >= 256 * 1024);
    let octets = octets_of(&held);
    assert!(
        (256 * 1024..=256 * 1024 + 65536).contains(&octets),
        "{octets}"
    );
    // Given back piece by piece it goes on to the end.
    let mut whole = Vec::new();
    for event in held {
        whole.extend_from_slice(content(&event));
    }
    let mut end = loop {
        let event = next(&server);
        match event.kind() {
            EventKind::Chunk(octets) => whole.extend_from_slice(octets),
            EventKind::EndOfData { .. } => break event,
            other => panic!("{other:?}"),
        }
    };
    let EventKind::EndOfData { size, envelope } = end.kind() else {
        panic!("{end:?}")
    };
    assert_eq!((*size, envelope.recipients().len()), (text.len() as u64, 1));
    assert_eq!((whole.len(), sum(&whole)), (text.len(), sum(&text)));
    end.accept().unwrap();
    assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
    assert_eq!(server.statistics().body_memory, 0);
}

fn octets_of(held: &[Event]) -> usize {
    held.iter().map(|event| content(event).len()).sum()
}

/// Takes pieces until these are enough and no more comes for a moment, and gives nothing back.
fn pieces_until_none_comes(server: &Server, is_enough: impl Fn(&[Event]) -> bool) -> Vec<Event> {
    let mut held = Vec::new();
    loop {
        let event = if is_enough(&held) {
            let moment = Some(Duration::from_millis(300));
            server.next_event(moment, Call::default()).unwrap()
        } else {
            Some(next(server))
        };
        let Some(event) = event else { return held };
        assert!(matches!(event.kind(), EventKind::Chunk(_)), "{event:?}");
        held.push(event);
    }
}

/// The same, of few octets: an event is hundreds of times as large as one or two.
fn few_pieces(server: &Server) -> Vec<Event> {
    let held = pieces_until_none_comes(server, |held| held.len() >= 2);
    let most = 256 * 1024 / size_of::<Event>();
    assert!((2..=most).contains(&held.len()), "{} events", held.len());
    let memory = server.statistics().body_memory;
    assert!(memory >= held.len() as u64 * PIECE, "{memory}");
    held
}

/// Gives them back and takes what is left of the message; gives its size.
fn the_rest(server: &Server, held: Vec<Event>) -> usize {
    let mut octets = octets_of(&held);
    drop(held);
    let mut end = loop {
        let event = next(server);
        match event.kind() {
            EventKind::Chunk(chunk) => octets += chunk.len(),
            EventKind::EndOfData { .. } => break event,
            other => panic!("{other:?}"),
        }
    };
    end.accept().unwrap();
    octets
}

#[test]
fn a_streamed_message_of_tiny_chunks_takes_no_more_memory_than_others() {
    const CHUNKS: usize = 2000;
    let server = start(|options| options.set_stream(true));
    let mut talk = greeted(&server);
    let client = thread::spawn(move || {
        talk.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
        talk.reply();
        talk.reply();
        for _ in 0..CHUNKS {
            // One at a time: what comes together is one piece.
            talk.send("BDAT 1\r\nx");
            assert_eq!(talk.reply(), "250 2.0.0 OK");
        }
        talk.ask("BDAT 0 LAST")
    });
    next(&server).accept().unwrap();
    let held = few_pieces(&server);
    assert_eq!(the_rest(&server, held), CHUNKS);
    assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
    assert_eq!(server.statistics().body_memory, 0);
}

#[test]
fn a_streamed_message_of_normalised_line_ends_takes_no_more_memory_than_others() {
    const LINES: usize = 200_000;
    let server = start(|options| {
        options.set_stream(true);
        options.set_line_ends(LineEnds::Normalise);
    });
    let client = send(
        &server,
        "a@b.example",
        &[&b"\n".repeat(LINES), b"\r\n".as_slice()].concat(),
    );
    next(&server).accept().unwrap();
    let held = few_pieces(&server);
    assert_eq!(the_rest(&server, held), 2 * LINES + 2);
    assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
    assert_eq!(server.statistics().body_memory, 0);
}

#[test]
fn a_streamed_message_can_be_refused_before_it_comes() {
    let server = start(|options| options.set_stream(true));
    let mut talk = greeted(&server);
    talk.ask("MAIL FROM:<a@b.example>");
    talk.ask("RCPT TO:<c@d.example>");
    talk.send("DATA\r\n");
    next(&server).reply(reply(554, "not now")).unwrap();
    assert_eq!(talk.reply(), "554 5.0.0 not now");
}

#[test]
fn a_streamed_message_can_be_refused_in_the_middle() {
    let server = start(|options| options.set_stream(true));
    let client = send(&server, "a@b.example", &lines(8 << 20));
    next(&server).accept().unwrap();
    let mut first = next(&server);
    assert_eq!(
        first.reply(reply(250, "fine")).unwrap_err().status(),
        Status::Misuse
    );
    first.reply(reply(554, "no such words")).unwrap();
    assert_eq!(
        first.reply(reply(554, "again")).unwrap_err().status(),
        Status::Misuse
    );
    // Pieces were on their way; behind them comes nothing but the end. None is given back: to refuse is enough.
    let mut held = vec![first];
    loop {
        let event = next(&server);
        match event.kind() {
            EventKind::Chunk(_) => held.push(event),
            EventKind::Discarded => break,
            other => panic!("{other:?}"),
        }
    }
    let octets = octets_of(&held);
    assert!(octets < 1 << 20, "{octets}");
    assert_eq!(client.join().unwrap(), "554 5.0.0 no such words");
    assert_eq!(server.statistics().messages, 0);
    assert_eq!(server.statistics().refused_messages, 1);
}

/// A client that has sent a part of a message which is streamed.
fn within_a_message(server: &Server) -> Talk {
    let mut talk = greeted(server);
    talk.ask("MAIL FROM:<a@b.example>");
    talk.ask("RCPT TO:<c@d.example>");
    talk.send("DATA\r\n");
    next(server).accept().unwrap();
    assert!(talk.reply().starts_with("354"));
    talk.send("half a mess");
    talk
}

#[test]
fn a_refusal_in_the_middle_does_not_wait_for_a_client_that_stalls() {
    let server = start(|options| options.set_stream(true));
    let mut talk = within_a_message(&server);
    next(&server).reply(reply(554, "no such words")).unwrap();
    assert!(matches!(next(&server).kind(), EventKind::Discarded));
    // Of the rest nothing is lost: its end is found.
    talk.send("age\r\n.\r\n");
    assert_eq!(talk.reply(), "554 5.0.0 no such words");
    assert_eq!(talk.ask("NOOP"), "250 2.0.0 OK");
}

#[test]
fn a_refusal_counts_where_the_whole_message_has_come_already() {
    let server = start(|options| options.set_stream(true));
    let client = send(&server, "a@b.example", b"short\r\n");
    next(&server).accept().unwrap();
    let mut piece = next(&server);
    let mut end = next(&server);
    assert!(matches!(end.kind(), EventKind::EndOfData { .. }));
    piece.reply(reply(554, "no such words")).unwrap();
    end.accept().unwrap();
    assert_eq!(client.join().unwrap(), "554 5.0.0 no such words");
    assert_eq!(server.statistics().messages, 0);
    // Once the client was told it is too late.
    let client = send(&server, "a@b.example", b"short\r\n");
    next(&server).accept().unwrap();
    let mut piece = next(&server);
    next(&server).accept().unwrap();
    assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
    let late = piece.reply(reply(554, "no")).unwrap_err();
    assert_eq!(late.status(), Status::Misuse);
}

#[test]
fn a_streamed_message_that_breaks_off_is_told() {
    let server = start(|options| options.set_stream(true));
    let talk = within_a_message(&server);
    assert_eq!(content(&next(&server)), b"half a mess");
    drop(talk);
    assert!(matches!(next(&server).kind(), EventKind::Discarded));
}

#[test]
fn a_streamed_message_that_is_cut_off_as_the_server_ends_is_told() {
    let server = start(|options| options.set_stream(true));
    // One waits for its client, one for the application to give pieces back.
    let waits_for_client = within_a_message(&server);
    assert_eq!(content(&next(&server)), b"half a mess");
    let mut fast = greeted(&server);
    fast.ask("MAIL FROM:<a@b.example>");
    fast.ask("RCPT TO:<c@d.example>");
    fast.send("DATA\r\n");
    next(&server).accept().unwrap();
    assert!(fast.reply().starts_with("354"));
    // More than a session may hold, and less than the network does.
    fast.send(lines(1 << 20));
    let held = pieces_until_none_comes(&server, |held| octets_of(held) >= 256 * 1024);
    server.shutdown(Duration::from_millis(200)).unwrap();
    let mut told: Vec<u64> = (0..2)
        .map(|_| {
            let event = next(&server);
            assert!(matches!(event.kind(), EventKind::Discarded), "{event:?}");
            event.session().id()
        })
        .collect();
    told.sort_unstable();
    assert_eq!(told, [1, 2]);
    let end = server.next_event(None, Call::default()).unwrap_err();
    assert_eq!(end.status(), Status::End);
    drop((waits_for_client, held));
}

#[test]
fn a_message_with_no_memory_left_is_452() {
    let server = start(|options| options.set_body_memory(1 << 20).unwrap());
    let first = send(&server, "a@b.example", &lines(900_000));
    let mut event = next(&server);
    let second = send(&server, "a@b.example", &lines(900_000));
    assert!(second.join().unwrap().starts_with("452 4.3.1"));
    event.accept().unwrap();
    assert!(first.join().unwrap().starts_with("250"));
    drop(event);
    let third = send(&server, "a@b.example", &lines(900_000));
    next(&server).accept().unwrap();
    assert!(third.join().unwrap().starts_with("250"));
}
