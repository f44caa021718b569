//! A whole session with the server's machine, a line or a chunk at a time, in every state.
//!
//! The first octet sets the server up, the second decides what its application answers, the rest is what the client sends.

use mailwire::proto::Command;
use mailwire::proto::server::{Answer, Event};

use crate::serve::{End, Server, config, tls};

/// What the client is in the middle of, by what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Commands,
    /// Behind a 334: the line is no command.
    Auth,
    /// Behind a 354, up to a line that is a dot.
    Data,
    /// The octets of a chunk, of which so many are to come, and whether it is the last.
    Chunk(usize, bool),
}

pub(crate) fn session(input: &[u8]) {
    let [choice, answers, rest @ ..] = input else {
        return;
    };
    let mut rest = rest;
    let over_tls = (choice & 0b1001_0000 == 0b1000_0000).then(tls);
    let mut server = Server::new(config(*choice), over_tls, *answers);
    server.lend(b"", &mut |event| assert!(matches!(event, Event::Connect)));
    assert_eq!(replies(&server.output()).len(), 1, "the greeting");
    let mut sending = Sending::Commands;
    while !rest.is_empty() {
        if server.end == End::Tls {
            server.secure();
        }
        let end = match sending {
            Sending::Chunk(left, _) => left.min(rest.len()),
            _ => line(rest),
        };
        let (now, later) = rest.split_at(end);
        rest = later;
        if server.end == End::Open {
            sending = exchange(&mut server, sending, now, choice & 1 != 0);
        } else {
            server.lend(now, &mut |_| panic!("something happened after the end"));
            assert_eq!(server.output(), b"", "all was said");
        }
    }
    // An answer that nobody asked for is refused and changes nothing.
    assert!(server.connection.answer(Answer::Accept).is_err());
    assert_eq!(server.output(), b"");
}

/// Lends one line, or what there is of a chunk, and holds that it gets the replies it has to get.
fn exchange(server: &mut Server, sending: Sending, now: &[u8], lmtp: bool) -> Sending {
    let in_message = matches!(sending, Sending::Data | Sending::Chunk(..));
    let (whole, ends_message) = match sending {
        Sending::Commands | Sending::Auth => (now.ends_with(b"\r\n"), false),
        Sending::Data => (now == b".\r\n", now == b".\r\n"),
        Sending::Chunk(left, last) => (now.len() == left, last && now.len() == left),
    };
    let chunk = match (sending, now.strip_suffix(b"\r\n").map(Command::parse)) {
        (Sending::Commands, Some(Ok(Command::Bdat(chunk)))) => Some(chunk),
        _ => None,
    };
    let empty_last = chunk.is_some_and(|chunk| chunk.is_last() && chunk.size() == 0);
    let accepted = server.connection.envelope();
    let recipients = accepted.map_or(0, |envelope| envelope.recipients().len());
    let (mut size, mut ended, mut speaks_for) = (0, false, false);
    server.lend(now, &mut |event| match event {
        Event::Body(piece) => {
            assert!(in_message, "no message without 354 or BDAT");
            size += piece.len();
        }
        Event::Discarded => assert!(in_message || chunk.is_some()),
        Event::EndOfData { .. } => {
            assert!(ends_message || empty_last, "no message without its end");
            ended = true;
        }
        Event::Client(_) => speaks_for = true,
        Event::Connect => assert!(speaks_for, "greeted once, or on behalf of another client"),
        _ => assert!(!in_message, "what is in a message is no command"),
    });
    assert!(size <= now.len(), "no octet comes twice");
    let codes = replies(&server.output());
    let shown = now.escape_ascii();
    let several = lmtp && (ends_message || empty_last) && recipients > 0;
    let expected = match chunk {
        // Its reply comes behind its octets.
        Some(chunk) if chunk.size() > 0 => 0..=0,
        _ if !whole => 0..=0,
        // RFC 2033 section 4.2: one for each recipient, unless the transaction had failed before.
        _ if several && sending == Sending::Data => recipients..=recipients,
        _ if several => 1..=recipients,
        _ => 1..=1,
    };
    if matches!(server.end, End::Open | End::Tls) {
        assert!(expected.contains(&codes.len()), "{codes:?} to {shown}");
    } else {
        assert!(
            codes.len() <= *expected.end().max(&1),
            "{codes:?} to {shown}"
        );
    }
    let accepts = codes.iter().any(|code| *code < 300);
    assert!(
        ended || !(accepts && (ends_message || empty_last)),
        "250 without a message"
    );
    match (sending, chunk, codes.last()) {
        (Sending::Chunk(left, last), ..) if now.len() < left => {
            Sending::Chunk(left - now.len(), last)
        }
        (Sending::Data, ..) if !ends_message => Sending::Data,
        (Sending::Commands, Some(chunk), _) if chunk.size() > 0 => Sending::Chunk(
            usize::try_from(chunk.size()).unwrap_or(usize::MAX),
            chunk.is_last(),
        ),
        (Sending::Commands | Sending::Auth, _, Some(334)) => Sending::Auth,
        (Sending::Commands, _, Some(354)) => Sending::Data,
        (Sending::Auth, _, None) if !whole => Sending::Auth,
        _ => Sending::Commands,
    }
}

/// The codes of the replies, each told by its last line.
fn replies(output: &[u8]) -> Vec<u16> {
    let lines = output.split_inclusive(|octet| *octet == b'\n');
    let last = lines.filter(|line| line.get(3) == Some(&b' '));
    let number = |code, digit: &u8| code * 10 + u16::from(digit - b'0');
    last.map(|line| line[..3].iter().fold(0, number)).collect()
}

/// How long the first line is with its CRLF.
fn line(text: &[u8]) -> usize {
    let end = text.windows(2).position(|pair| pair == b"\r\n");
    end.map_or(text.len(), |at| at + 2)
}
