//! A whole session with the server's machine, a line at a time, in every state.
//!
//! The first octet sets the server up, the second decides what its application answers, the rest is what the client sends.

use mailwire::error::Phase;
use mailwire::proto::Command;
use mailwire::proto::server::{Answer, Event};

use crate::serve::{End, Server, config, tls};

/// What the client is in the middle of, by what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Commands,
    /// Behind a 354, up to a line that is a dot.
    Data,
    /// Behind BDAT, with so many octets to come.
    Chunk {
        left: u64,
        last: bool,
    },
}

pub(crate) fn session(input: &[u8]) {
    let [choice, answers, rest @ ..] = input else {
        return;
    };
    let over_tls = (choice & 0b1001_0000 == 0b1000_0000).then(tls);
    let mut server = Server::new(config(*choice), over_tls, *answers);
    server.lend(b"", &mut |event| assert!(matches!(event, Event::Connect)));
    assert_eq!(replies(&server.output()).len(), 1, "the greeting");
    let mut sending = Sending::Commands;
    let mut rest = rest;
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(length(rest, sending));
        rest = behind;
        if server.end == End::Tls {
            server.secure();
        }
        if server.end != End::Open {
            server.lend(line, &mut |_| panic!("something happened after the end"));
            assert_eq!(server.output(), b"", "all was said");
            continue;
        }
        sending = exchange(&mut server, sending, line, choice & 1 != 0);
    }
    // An answer that nobody asked for is refused and changes nothing.
    assert!(server.connection.answer(Answer::Accept).is_err());
    assert_eq!(server.output(), b"");
}

/// Lends one line, or what there is of a chunk, and holds that it gets the replies it has to get.
fn exchange(server: &mut Server, sending: Sending, line: &[u8], lmtp: bool) -> Sending {
    let whole = line.ends_with(b"\r\n");
    let ends_data = sending == Sending::Data && line == b".\r\n";
    let recipients = server
        .connection
        .envelope()
        .map_or(0, |envelope| envelope.recipients().len());
    // The chunk whose octets have all come once this was lent.
    let (announced, left, last) = match (sending, line.strip_suffix(b"\r\n")) {
        (Sending::Chunk { left, last }, _) => (false, left - line.len() as u64, last),
        (Sending::Commands, Some(command)) => match Command::parse(command) {
            Ok(Command::Bdat(chunk)) if server.connection.waiting_for() != Some(Phase::Auth) => {
                (true, chunk.size(), chunk.is_last())
            }
            _ => (false, 1, false),
        },
        _ => (false, 1, false),
    };
    let in_chunk = announced || matches!(sending, Sending::Chunk { .. });
    let ends_chunk = in_chunk && left == 0;
    let mut ended = None;
    server.lend(line, &mut |event| match event {
        Event::Body(_) => assert!(
            sending != Sending::Commands,
            "no message without 354 or BDAT"
        ),
        Event::Discarded => assert!(in_chunk || sending == Sending::Data),
        Event::EndOfData { size } => {
            assert!(
                ends_data || ends_chunk && last,
                "no message without its end"
            );
            ended = Some(*size);
        }
        Event::Connect => panic!("connected twice"),
        _ => assert_eq!(
            sending,
            Sending::Commands,
            "what is in a message is no command"
        ),
    });
    let codes = replies(&server.output());
    let expected = match sending {
        // A last chunk has its recipients' replies, or one that it may not come.
        _ if ends_chunk && last && lmtp && codes.len() != 1 => recipients,
        _ if in_chunk => usize::from(ends_chunk),
        _ if !whole => 0,
        Sending::Data if ends_data && lmtp => recipients,
        Sending::Data => usize::from(ends_data),
        _ => 1,
    };
    if server.end == End::Open || server.end == End::Tls {
        assert_eq!(
            codes.len(),
            expected,
            "{codes:?} to {}",
            line.escape_ascii()
        );
    } else {
        assert!(
            codes.len() <= expected.max(recipients).max(1),
            "{codes:?} to {}",
            line.escape_ascii()
        );
    }
    if (sending == Sending::Data || in_chunk && last) && ended.is_none() {
        assert!(
            codes.iter().all(|code| *code >= 400),
            "250 without a message"
        );
    }
    match (sending, codes.last()) {
        _ if in_chunk && left > 0 => Sending::Chunk { left, last },
        (Sending::Commands, Some(354)) => Sending::Data,
        (Sending::Data, _) if !ends_data => Sending::Data,
        _ => Sending::Commands,
    }
}

/// The codes of the replies, each told by its last line.
fn replies(output: &[u8]) -> Vec<u16> {
    let lines = output.split_inclusive(|octet| *octet == b'\n');
    let last = lines.filter(|line| line.get(3) == Some(&b' '));
    last.map(|line| {
        line[..3]
            .iter()
            .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'))
    })
    .collect()
}

/// What is lent next: all that there is of a chunk, or a line with its CRLF, or the rest.
fn length(text: &[u8], sending: Sending) -> usize {
    match sending {
        Sending::Chunk { left, .. } => {
            usize::try_from(left).map_or(text.len(), |left| left.min(text.len()))
        }
        _ => text
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .map_or(text.len(), |at| at + 2),
    }
}
