//! DATA and BDAT in both directions, against short references that look at one octet at a time.

use mailwire::proto::chunk;
use mailwire::proto::data::{Decoded, Decoder, Encoder, LineEnds};

use crate::random::{Random, segments};

/// What is to come of a message's text: data, whether a bare CR or LF was seen, and what is left behind the end.
type Read = (Vec<u8>, bool, Option<Vec<u8>>);

/// RFC 5321 sections 4.1.1.4 and 4.5.2 in so many words.
fn reference(input: &[u8]) -> Read {
    let (mut data, mut bare, mut at) = (Vec::new(), false, 0);
    while at < input.len() {
        let line_start = at == 0 || input[..at].ends_with(b"\r\n");
        if line_start && input[at..].starts_with(b".\r\n") {
            return (data, bare, Some(input[at + 3..].to_vec()));
        }
        if line_start && input[at] == b'.' {
            // The dot is stuffed, or it begins an end mark whose rest is still to come.
            at += 1;
            if matches!(&input[at..], b"" | b"\r") {
                break;
            }
            continue_with(input, at, &mut data, &mut bare);
        } else {
            continue_with(input, at, &mut data, &mut bare);
        }
        at += 1;
    }
    (data, bare, None)
}

/// Takes the octet at `at` as data.
fn continue_with(input: &[u8], at: usize, data: &mut Vec<u8>, bare: &mut bool) {
    let (octet, before, next) = (input[at], input[..at].last(), input.get(at + 1));
    *bare |= octet == b'\n' && before != Some(&b'\r');
    *bare |= octet == b'\r' && next.is_some_and(|next| *next != b'\n');
    data.push(octet);
}

/// The decoder against the reference, in segments.
pub(crate) fn decoder(input: &[u8]) {
    let expected = reference(input);
    assert_eq!(decoded(&[input]), expected, "in one");
    assert_eq!(
        decoded(&segments(input, &mut Random::of(input))),
        expected,
        "in segments"
    );
    if input.len() <= 256 {
        assert_eq!(
            decoded(&input.chunks(1).collect::<Vec<_>>()),
            expected,
            "octet by octet"
        );
    }
}

fn decoded(segments: &[&[u8]]) -> Read {
    let mut decoder = Decoder::new();
    let (mut data, mut left) = (Vec::new(), None);
    for segment in segments {
        let mut rest = *segment;
        while left.is_none() {
            match decoder.decode(rest) {
                Decoded::Piece { used, data: piece } => {
                    assert!(!piece.is_empty(), "progress");
                    data.extend_from_slice(piece);
                    rest = &rest[used..];
                }
                Decoded::More { used } => {
                    assert_eq!(used, rest.len(), "nothing is left to the driver to keep");
                    break;
                }
                Decoded::End { used } => {
                    rest = &rest[used..];
                    left = Some(Vec::new());
                }
            }
        }
        if let Some(left) = &mut left {
            left.extend_from_slice(rest);
        }
    }
    assert_eq!(decoder.len(), data.len() as u64);
    (data, decoder.bare_line_end(), left)
}

/// A message on its way out: strict and lax receivers see its end where it is, and nowhere else.
pub(crate) fn dot_stuffing(message: &[u8]) {
    let cut = segments(message, &mut Random::of(message));
    let canonical = canonical(message);
    let sent = encoded(LineEnds::Normalise, &cut);
    assert_eq!(
        sent.as_ref(),
        encoded(LineEnds::Normalise, &[message]).as_ref(),
        "in segments"
    );
    let Ok(sent) = sent else {
        panic!("normalising never fails");
    };
    assert_eq!(
        reference(&sent),
        (canonical.clone(), false, Some(Vec::new())),
        "a strict receiver"
    );
    // What a receiver would take for the end that obeys bare line ends as well.
    for line_end in [&b"\r\n"[..], b"\n", b"\r"] {
        for next in [&b"\r\n"[..], b"\n", b"\r"] {
            let mark = [line_end, b".", next].concat();
            let at = sent.windows(mark.len()).position(|window| window == mark);
            // `LF.` and `CR` also stand in the true mark, at whose place alone they may be found.
            assert!(
                at.is_none_or(|at| at + 5 >= sent.len()),
                "{mark:?} within {}",
                sent.escape_ascii()
            );
        }
    }
    let clean = message_is_clean(message);
    match encoded(LineEnds::Refuse, &cut) {
        Ok(as_it_is) => {
            assert!(clean, "a bare line end went out");
            assert_eq!(as_it_is, sent);
        }
        Err(offset) => {
            assert!(!clean, "refused at {offset} for nothing");
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            assert!(
                matches!(message.get(at), Some(b'\r' | b'\n')),
                "the offset is that of the octet"
            );
            assert!(message_is_clean(&message[..at]), "and it is the first");
        }
    }
}

/// Chunks of a message, on their way out and in. What goes out is what DATA would carry, without dots and end mark; what comes in
/// comes as it is, and behind it the next command is untouched.
pub(crate) fn chunks(message: &[u8]) {
    let mut random = Random::of(message);
    let cut = segments(message, &mut random);
    let clean = message_is_clean(message);
    assert_eq!(chunked(LineEnds::Normalise, &cut), Some(canonical(message)));
    assert_eq!(
        chunked(LineEnds::Refuse, &cut),
        clean.then(|| canonical(message))
    );
    let behind = b"\r\n.\r\nRSET\r\n";
    for lines in [true, false] {
        let (mut decoder, mut data) = (chunk::Decoder::new(lines), Vec::new());
        for octets in &cut {
            assert!(decoder.begin(octets.len() as u64).is_ok());
            let wire = [octets, &behind[..]].concat();
            let mut left = octets.len();
            for segment in segments(&wire, &mut random) {
                let mut rest = segment;
                while let Decoded::Piece { used, data: piece } = decoder.decode(rest) {
                    assert!(used == piece.len() && used > 0, "progress, octet for octet");
                    data.extend_from_slice(piece);
                    rest = &rest[used..];
                    left -= used;
                }
                assert!(left == 0 || rest.is_empty(), "all of a chunk is taken");
            }
            assert_eq!(left, 0, "and nothing behind it");
        }
        decoder.finish();
        assert_eq!(data, message);
        assert_eq!(decoder.bare_line_end(), lines && !clean);
        assert!(
            decoder.announced(u64::MAX).is_err() || message.is_empty(),
            "sizes do not overflow"
        );
    }
}

fn chunked(line_ends: LineEnds, segments: &[&[u8]]) -> Option<Vec<u8>> {
    let mut encoder = chunk::Encoder::new(line_ends);
    let mut sent = Vec::new();
    for segment in segments {
        let mut rest = *segment;
        while let Some(slice) = encoder.encode(&mut rest).ok()? {
            assert!(!slice.is_empty(), "progress");
            sent.extend_from_slice(slice);
        }
        assert!(rest.is_empty(), "all was taken");
    }
    sent.extend_from_slice(encoder.finish().ok()?);
    Some(sent)
}

fn encoded(line_ends: LineEnds, segments: &[&[u8]]) -> Result<Vec<u8>, u64> {
    let mut encoder = Encoder::new(line_ends);
    let mut sent = Vec::new();
    for segment in segments {
        let mut rest = *segment;
        while let Some(slice) = encoder.encode(&mut rest).map_err(|bare| bare.offset)? {
            assert!(!slice.is_empty(), "progress");
            sent.extend_from_slice(slice);
        }
        assert!(rest.is_empty(), "all was taken");
    }
    sent.extend_from_slice(encoder.finish().map_err(|bare| bare.offset)?);
    Ok(sent)
}

/// The message as it should arrive: each bare CR or LF a CRLF, and a CRLF at the end.
fn canonical(message: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for (at, octet) in message.iter().enumerate() {
        match octet {
            b'\n' if message[..at].ends_with(b"\r") => {}
            b'\r' | b'\n' => lines.extend_from_slice(b"\r\n"),
            _ => lines.push(*octet),
        }
    }
    if !lines.is_empty() && !lines.ends_with(b"\r\n") {
        lines.extend_from_slice(b"\r\n");
    }
    lines
}

/// Whether every CR has its LF and every LF its CR.
fn message_is_clean(message: &[u8]) -> bool {
    message.iter().enumerate().all(|(at, octet)| match octet {
        b'\r' => message.get(at + 1) == Some(&b'\n'),
        b'\n' => message[..at].ends_with(b"\r"),
        _ => true,
    })
}
