//! Outward: the bodies of the table go through the client to a lax receiver, which sees one message each and no other command.

use std::io::{Read, Seek, Write};

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::proto::Envelope;
use mailwire::proto::data::{Encoder, LineEnds};

use crate::families::{Body, bodies};
use crate::sink::{Seen, Sink};

/// What a message has become on its way: each bare CR or LF a CRLF, dots stuffed, and a CRLF at the end.
fn on_the_wire(message: &[u8], dots: bool) -> Vec<u8> {
    let mut wire: Vec<u8> = Vec::new();
    for (at, octet) in message.iter().enumerate() {
        match octet {
            b'\n' if message[..at].ends_with(b"\r") => {}
            b'\r' | b'\n' => wire.extend_from_slice(b"\r\n"),
            b'.' if dots && (wire.is_empty() || wire.ends_with(b"\n")) => {
                wire.extend_from_slice(b"..");
            }
            _ => wire.push(*octet),
        }
    }
    if !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

/// A reader that gives a few octets at a time.
struct Drip<'a>(&'a [u8]);

impl Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let few = buffer.len().min(3);
        self.0.read(&mut buffer[..few])
    }
}

/// The ways in which an application hands a message over.
#[derive(Debug, Clone, Copy)]
enum Way {
    Bytes,
    File,
    Stream,
}

const WAYS: [Way; 3] = [Way::Bytes, Way::File, Way::Stream];

fn client(sink: &Sink, line_ends: LineEnds) -> Client {
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(sink.port)).unwrap();
    options.set_line_ends(line_ends);
    Client::new(options).unwrap()
}

fn send(client: &Client, message: &[u8], way: Way) -> Result<mailwire::Outcome, mailwire::Error> {
    let envelope = Envelope::parse("me@example.org", ["you@example.net"]).unwrap();
    let content = match way {
        Way::Bytes => Content::bytes(message),
        Way::File => {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(message).unwrap();
            file.rewind().unwrap();
            Content::reader(file, Some(message.len() as u64))
        }
        Way::Stream => Content::reader(Drip(message), None),
    };
    client.send(&envelope, content, Call::default())
}

/// The commands of one transaction, whatever the extensions.
fn verbs(seen: &Seen) -> Vec<&str> {
    seen.commands
        .iter()
        .map(|line| &line[..4.min(line.len())])
        .collect()
}

fn one_message_and_no_second_command(extensions: &'static [&'static str]) {
    let chunking = extensions.contains(&"CHUNKING");
    let sink = Sink::new(extensions);
    for way in WAYS {
        let client = client(&sink, LineEnds::Normalise);
        for body in bodies() {
            let place = format!("{way:?} {}", body.octets.escape_ascii());
            send(&client, &body.octets, way).unwrap();
            let seen = sink.take();
            let by_data = seen.commands.iter().any(|line| line == "DATA");
            let wire = on_the_wire(&body.octets, by_data);
            assert_eq!(seen.messages, [wire], "{place}");
            assert!(!(by_data && chunking), "{place}: CHUNKING was offered");
            let last = if by_data { "DATA" } else { "BDAT" };
            let verbs = verbs(&seen);
            assert_eq!(verbs[..3], ["MAIL", "RCPT", last], "{place}");
            // Chunks of one message may be several commands; between messages there may be a RSET.
            let rest = &verbs[3..];
            assert!(
                rest.iter()
                    .all(|verb| !by_data && ["BDAT", "RSET"].contains(verb)),
                "{place}: {verbs:?}"
            );
        }
    }
}

#[test]
fn a_lax_receiver_sees_one_message_and_no_second_command() {
    one_message_and_no_second_command(&["8BITMIME"]);
    one_message_and_no_second_command(&["PIPELINING", "8BITMIME"]);
}

#[test]
fn by_bdat_it_sees_one_message_too_with_no_bare_line_end_in_it() {
    one_message_and_no_second_command(&["PIPELINING", "8BITMIME", "CHUNKING"]);
}

#[test]
fn what_would_be_changed_is_not_sent_where_that_was_refused() {
    let sink = Sink::new(&["PIPELINING", "8BITMIME"]);
    for way in WAYS {
        let client = client(&sink, LineEnds::Refuse);
        for body in bodies() {
            let place = format!("{way:?} {}", body.octets.escape_ascii());
            let result = send(&client, &body.octets, way);
            let seen = sink.take();
            assert_eq!(result.is_ok(), !body.bare, "{place}: {result:?}");
            assert_eq!(seen.messages.len(), usize::from(!body.bare), "{place}");
            let meant = ["MAIL", "RCPT", "DATA"];
            assert!(
                verbs(&seen).iter().all(|verb| meant.contains(verb))
                    && seen.commands.iter().all(|line| !line.contains("evil")),
                "{place}: {seen:?}"
            );
        }
    }
}

#[test]
fn every_split_of_every_body_goes_out_alike() {
    let encoded = |pieces: &[&[u8]]| {
        let (mut encoder, mut sent) = (Encoder::new(LineEnds::Normalise), Vec::new());
        for piece in pieces {
            let mut rest = *piece;
            while let Some(slice) = encoder.encode(&mut rest).unwrap() {
                sent.extend_from_slice(slice);
            }
        }
        sent.extend_from_slice(encoder.finish().unwrap());
        sent
    };
    for Body { octets, .. } in bodies() {
        let wire = [on_the_wire(&octets, true), b".\r\n".to_vec()].concat();
        for cut in 0..=octets.len() {
            let pieces = [&octets[..cut], &octets[cut..]];
            assert_eq!(encoded(&pieces), wire, "{} {cut}", octets.escape_ascii());
        }
        assert_eq!(encoded(&octets.chunks(1).collect::<Vec<_>>()), wire);
    }
}

#[test]
fn a_family_over_the_border_of_what_is_read_at_a_time_goes_out_alike() {
    const PIECE: usize = 64 * 1024;
    let sink = Sink::new(&["PIPELINING"]);
    let client = client(&sink, LineEnds::Normalise);
    for family in [
        &b"\n.\n"[..],
        b"\r.\r",
        b"\r\n.\n",
        b"\n.\r\n",
        b"\r\n.\r\r\n",
    ] {
        for before in PIECE - family.len()..=PIECE {
            let message = [&b"x".repeat(before), family, b"MAIL FROM:<evil@a>\r\n"].concat();
            send(&client, &message, Way::Stream).unwrap();
            let seen = sink.take();
            assert_eq!(seen.messages.len(), 1);
            assert!(seen.messages[0] == on_the_wire(&message, true));
            assert_eq!(verbs(&seen), ["MAIL", "RCPT", "DATA"]);
        }
    }
}
