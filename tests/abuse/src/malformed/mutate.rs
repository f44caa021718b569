//! What is done to a real session.

use fastrand::Rng;

use super::corpus::{Base, Part};

/// A session grows to so many octets, and not much more.
const MOST: usize = 200_000;

const LINE_ENDS: [&[u8]; 8] = [
    b"\n",
    b"\r",
    b"\r\r\n",
    b"\n\r",
    b"",
    b"\0\r\n",
    b"\r\n\r\n",
    b"\r\n.\r\n",
];

const ODD: [&[u8]; 16] = [
    b"\0",
    b"\x80",
    b"\xff",
    b"\r",
    b"\n",
    b"\t",
    b"\x1b",
    b"\x7f",
    b"\xc3\xa9",
    b"\xf0\x9f\x92\xa9",
    b"\xed\xa0\x80",
    b" ",
    b"<",
    b">",
    b"\"",
    b"\\",
];

const NUMBERS: [&[u8]; 12] = [
    b"0",
    b"-1",
    b"+1",
    b"00000000000000000001",
    b"65536",
    b"2147483648",
    b"4294967296",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"99999999999999999999999999999999999999999999999999",
];

const LINES: [&[u8]; 24] = [
    b"EHLO a\r\n",
    b"HELO [127.0.0.1]\r\n",
    b"LHLO a\r\n",
    b"MAIL FROM:<> BODY=BINARYMIME\r\n",
    b"MAIL FROM:<@a,@b:c@d.example> SIZE=1 AUTH=<>\r\n",
    b"RCPT TO:<a@example.net>\r\n",
    b"RCPT TO:<\"\\\"\"@[IPv6:::1]>\r\n",
    b"DATA\r\n",
    b"BDAT 0\r\n",
    b"BDAT 5 LAST\r\nabcde",
    b"BDAT 100000\r\n",
    b".\r\n",
    b"RSET\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN =\r\n",
    b"AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsLG49LHI9\r\n",
    b"*\r\n",
    b"XCLIENT ADDR=[UNAVAILABLE] LOGIN=\r\n",
    b"ETRN @example.org\r\n",
    b"VRFY <a@example.org> SMTPUTF8\r\n",
    b"TURN\r\n",
    b"QUIT\r\n",
    b"\r\n",
    b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
];

/// Does one to six things to a session.
pub(super) fn mutate(rng: &mut Rng, parts: &mut Vec<Part>, corpus: &[Base]) {
    loop {
        match rng.u8(0..14) {
            0..=2 => sequence(rng, parts, corpus),
            _ => octets(rng, parts),
        }
        if rng.u8(0..6) < 3 {
            return;
        }
    }
}

/// Changes what comes after what.
fn sequence(rng: &mut Rng, parts: &mut Vec<Part>, corpus: &[Base]) {
    if parts.is_empty() {
        return;
    }
    let (place, other) = (rng.usize(0..parts.len()), rng.usize(0..parts.len()));
    match rng.u8(0..7) {
        0 => parts.truncate(place),
        1 => {
            parts.remove(place);
        }
        2 if parts.len() < 200 => parts.insert(other, parts[place].clone()),
        3 => parts.swap(place, other),
        4 => {
            let from = &corpus[rng.usize(0..corpus.len())].parts;
            parts.truncate(place);
            parts.extend_from_slice(&from[rng.usize(0..from.len())..]);
        }
        5 => {
            let from = &corpus[rng.usize(0..corpus.len())].parts;
            parts.insert(place, from[rng.usize(0..from.len())].clone());
        }
        _ => parts.insert(place, Part::Say(LINES[rng.usize(0..LINES.len())].to_vec())),
    }
}

/// Changes what is said at one place.
fn octets(rng: &mut Rng, parts: &mut [Part]) {
    if parts.is_empty() {
        return;
    }
    let length: usize = parts.iter().map(octets_of).sum();
    let place = rng.usize(0..parts.len());
    let Some(Part::Say(said)) = parts.get_mut(place) else {
        return;
    };
    if said.is_empty() {
        return;
    }
    let start = rng.usize(0..said.len());
    let end = rng.usize(start..=said.len());
    match rng.u8(0..9) {
        0 => {
            for _ in 0..rng.usize(1..9) {
                let at = rng.usize(0..said.len());
                said[at] ^= 1 << rng.u8(0..8);
            }
        }
        1 => drop(said.drain(start..end)),
        2 if length < MOST => {
            let times = if rng.bool() { 2 } else { rng.usize(2..100) };
            let repeated = said[start..end].repeat(times.min(1 + MOST / (1 + end - start)));
            said.splice(end..end, repeated);
        }
        3 => {
            for octet in &mut said[start..end] {
                if octet.is_ascii_alphabetic() {
                    *octet ^= 0x20;
                }
            }
        }
        4 => {
            let line_end = LINE_ENDS[rng.usize(0..LINE_ENDS.len())];
            if let Some(found) = said[start..].windows(2).position(|two| two == b"\r\n") {
                said.splice(start + found..start + found + 2, line_end.iter().copied());
            }
        }
        5 => {
            let odd = ODD[rng.usize(0..ODD.len())].repeat(rng.usize(1..4));
            said.splice(start..start, odd);
        }
        6 => {
            let number = NUMBERS[rng.usize(0..NUMBERS.len())].iter().copied();
            let digits = |from: usize, is: bool, said: &[u8]| {
                let found = said[from..].iter().position(|o| o.is_ascii_digit() == is);
                found.map_or(said.len(), |found| from + found)
            };
            let from = digits(0, true, said);
            let to = digits(from, false, said);
            said.splice(from..to, number);
        }
        7 if length < MOST => {
            let long = if rng.bool() { 600 } else { 70_000 };
            let run = ODD[rng.usize(0..ODD.len())]
                .first()
                .copied()
                .unwrap_or(b'A');
            let run = if rng.bool() { b'A' } else { run };
            said.splice(start..start, std::iter::repeat_n(run, rng.usize(1..long)));
        }
        _ => {
            let line = LINES[rng.usize(0..LINES.len())].iter().copied();
            said.splice(start..start, line);
        }
    }
}

fn octets_of(part: &Part) -> usize {
    match part {
        Part::Say(octets) => octets.len(),
        Part::Tls => 0,
    }
}
