//! DATA in both directions, on lines of 76 characters, in the cache and in memory.
//!
//! One bare CR stands at the very end of the text, which has to be found: so nothing that skips the check can win.

use std::hint::black_box;

use mailwire::proto::data::{Decoded, Decoder, Encoder, LineEnds};

use crate::race::{Contestant, race};

/// The octets that a socket is read into at a time.
const CHUNK: usize = 64 * 1024;

/// How fast a codec has to be, as a part of what `memcpy` does in the same run.
const IN_CACHE: f64 = 0.4;
const IN_MEMORY: f64 = 0.6;

/// Races in the cache and in memory. Gives what was too slow.
pub(crate) fn races() -> Vec<String> {
    let mut slow = places(
        "lines of 76 characters",
        &lines,
        Some((IN_CACHE, IN_MEMORY)),
    );
    slow.extend(places("the same, each with a leading dot", &dotted, None));
    slow
}

fn places(what: &str, text: &dyn Fn(usize) -> Vec<u8>, goals: Option<(f64, f64)>) -> Vec<String> {
    let mut slow = Vec::new();
    for (place, size) in [("in cache", CHUNK), ("in memory", 64 * 1024 * 1024)] {
        let goal = goals.map(|(cache, memory)| if size == CHUNK { cache } else { memory });
        println!("\nDATA, {what}, {size} octets, {place}");
        let text = text(size);
        let [message, wire] = [&text[..], &[&text[..], b"\r\n.\r\n"].concat()];
        let mut target = vec![0; message.len()];
        let mut copy = Vec::with_capacity(message.len());
        let mut contestants = vec![
            Contestant::new("memcpy", || target.copy_from_slice(black_box(message))),
            Contestant::new("mailwire decode", || decode(black_box(wire))),
            Contestant::new("mailwire encode, refusing", || {
                encode(black_box(message), LineEnds::Refuse);
            }),
            Contestant::new("mailwire encode, normalising", || {
                encode(black_box(message), LineEnds::Normalise);
            }),
            Contestant::new("smtp-proto decode (copies)", || {
                copy.clear();
                let mut reader = smtp_proto::request::receiver::DataReceiver::new();
                for chunk in black_box(wire).chunks(CHUNK) {
                    reader.ingest(&mut chunk.iter(), &mut copy);
                }
                black_box(&copy);
            }),
        ];
        let best = race(&mut contestants);
        for (contestant, seconds) in contestants.iter().zip(&best) {
            let ratio = best[0] / seconds;
            #[expect(clippy::cast_precision_loss, reason = "it is printed with one digit")]
            let rate = size as f64 / seconds / 1e9;
            println!(
                "  {:32} {rate:7.1} GB/s {ratio:6.2} of memcpy",
                contestant.name
            );
            if goal.is_some_and(|goal| contestant.name.starts_with("mailwire") && ratio < goal) {
                slow.push(format!("{} {place}: {ratio:.2} of memcpy", contestant.name));
            }
        }
    }
    slow
}

/// Lines of 76 characters and CRLF, up to a bare CR that is the last of `size` octets.
fn lines(size: usize) -> Vec<u8> {
    text(size, b"")
}

/// The same with a dot in front of each line.
fn dotted(size: usize) -> Vec<u8> {
    text(size, b".")
}

fn text(size: usize, front: &[u8]) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut line = front.to_vec();
    line.extend(alphabet.iter().cycle().take(76 - front.len()));
    line.extend(b"\r\n");
    let mut text: Vec<u8> = line.iter().copied().cycle().take(size - 2).collect();
    // Not a CRLF at the cut, whatever the size.
    text.extend(b"x\r");
    text
}

fn decode(wire: &[u8]) {
    let mut decoder = Decoder::new();
    'wire: for chunk in wire.chunks(CHUNK) {
        let mut rest = chunk;
        loop {
            match decoder.decode(rest) {
                Decoded::Piece { used, data } => {
                    black_box(data);
                    rest = &rest[used..];
                }
                Decoded::More { .. } => break,
                Decoded::End { .. } => break 'wire,
            }
        }
    }
    assert!(decoder.bare_line_end(), "the bare CR was found");
}

fn encode(message: &[u8], line_ends: LineEnds) {
    let mut encoder = Encoder::new(line_ends);
    let mut all = || {
        for chunk in message.chunks(CHUNK) {
            let mut rest = chunk;
            while let Some(slice) = encoder.encode(&mut rest)? {
                black_box(slice);
            }
        }
        encoder.finish()
    };
    let refused = black_box(all()).is_err();
    assert_eq!(
        refused,
        line_ends == LineEnds::Refuse,
        "the bare CR was found"
    );
}
