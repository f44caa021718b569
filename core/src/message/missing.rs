//! Adds `Date` and `Message-ID` to a message that has none, while it passes in pieces (RFC 6409 section 8).

use std::collections::VecDeque;

use bytes::Bytes;

use super::scan::HeaderScan;
use crate::proto::{DateTime, Domain};

/// What may have to be added to one message.
///
/// It goes at the end of the header. Where no empty line is there, one goes behind it: what follows becomes the body.
#[derive(Debug)]
pub(crate) struct Missing {
    date: String,
    message_id: String,
    /// The start of a line that may yet be the end of the header.
    held: Vec<u8>,
}

impl Missing {
    /// `id` must be unique, `time` is in seconds since 1970.
    pub(crate) fn new(hostname: &Domain, id: &str, time: i64) -> Self {
        let date = DateTime::from_unix(time).map(|time| format!("Date: {}\r\n", time.in_header()));
        Self {
            date: date.unwrap_or_default(),
            message_id: format!("Message-ID: <{id}@{}>\r\n", hostname.as_ascii()),
            held: Vec::new(),
        }
    }

    /// Passes on the octets that `scan` has looked at last. Whether that was all there is to do: the rest of the message passes
    /// without this.
    pub(crate) fn pass(
        &mut self,
        scan: &HeaderScan,
        octets: &Bytes,
        out: &mut VecDeque<Bytes>,
    ) -> bool {
        let from = scan.seen() - octets.len() as u64;
        let end = scan.end();
        let place = end.map_or(scan.certain(), |end| end.at);
        // What is held is the start of a line: the place is in front of it, or behind that line.
        let place = place
            .checked_sub(from)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(place) = place {
            give(out, std::mem::take(&mut self.held).into());
            give(out, octets.slice(..place));
        }
        let rest = octets.slice(place.unwrap_or(0)..);
        if end.is_none() && !(scan.has_date() && scan.has_message_id()) {
            self.held.extend_from_slice(&rest);
            return false;
        }
        if let Some(end) = end {
            give(out, self.fields(scan, end.has_empty_line));
        }
        give(out, std::mem::take(&mut self.held).into());
        give(out, rest);
        true
    }

    /// The message has ended before its header has.
    pub(crate) fn finish(&mut self, scan: &HeaderScan, out: &mut VecDeque<Bytes>) {
        let fields = self.fields(scan, false);
        if scan.is_within_field() && !fields.is_empty() {
            give(out, Bytes::from_static(b"\r\n"));
        }
        give(out, fields);
        give(out, std::mem::take(&mut self.held).into());
    }

    fn fields(&self, scan: &HeaderScan, has_empty_line: bool) -> Bytes {
        let mut fields = String::new();
        if !scan.has_date() {
            fields += &self.date;
        }
        if !scan.has_message_id() {
            fields += &self.message_id;
        }
        if !fields.is_empty() && !has_empty_line {
            fields += "\r\n";
        }
        fields.into()
    }
}

fn give(out: &mut VecDeque<Bytes>, octets: Bytes) {
    if !octets.is_empty() {
        out.push_back(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Date: Wed, 18 Nov 2026 11:06:40 +0000\r\n";
    const ID: &str = "Message-ID: <4f5e@mx.example.org>\r\n";

    fn passed(pieces: &[&[u8]]) -> String {
        let hostname = "mx.example.org".parse().unwrap();
        let mut scan = HeaderScan::new();
        let mut missing = Some(Missing::new(&hostname, "4f5e", 1_795_000_000));
        let mut out = VecDeque::new();
        for piece in pieces {
            scan.look(piece);
            let piece = Bytes::copy_from_slice(piece);
            match &mut missing {
                Some(some) => {
                    if some.pass(&scan, &piece, &mut out) {
                        missing = None;
                    }
                }
                None => out.push_back(piece),
            }
        }
        if let Some(mut some) = missing {
            some.finish(&scan, &mut out);
        }
        let whole = Vec::from(out).concat();
        whole.escape_ascii().to_string()
    }

    fn check(message: &[u8], expected: &str) {
        let expected = expected.as_bytes().escape_ascii().to_string();
        for cut in 0..=message.len() {
            for second in cut..=message.len() {
                let pieces = [&message[..cut], &message[cut..second], &message[second..]];
                assert_eq!(passed(&pieces), expected, "cut at {cut} and {second}");
            }
        }
        assert_eq!(passed(&message.chunks(1).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn what_is_missing_goes_at_the_end_of_the_header_wherever_it_is_cut() {
        for (header, added, rest) in [
            ("A: b\r\n", format!("{DATE}{ID}"), "\r\nDate: body\r\n"),
            ("A: b\r\n\tc\r\ndate: d\r\n", ID.to_owned(), "\r\n\r\nbody"),
            ("Message-Id : d\r\nB: c\r\n", DATE.to_owned(), "\r\nbody"),
            ("Message-ID: d\r\nDate:\r\n", String::new(), "\r\nbody"),
            ("From a@b.example\r\nDate: d\r\n", ID.to_owned(), "\r\nbody"),
            ("Date: d\r\nMessage-ID: d", String::new(), ""),
            ("", format!("{DATE}{ID}"), "\r\nbody\r\n"),
        ] {
            let message = format!("{header}{rest}");
            check(message.as_bytes(), &format!("{header}{added}{rest}"));
        }
    }

    #[test]
    fn where_the_header_has_no_end_an_empty_line_makes_one() {
        for (header, rest) in [
            ("", ""),
            ("", "Hello, you.\r\n\r\nDate: body\r\n"),
            ("", " Subject: s\r\n"),
            ("", "Hello"),
            ("Subject: s\r\n", ""),
            ("Subject: s\r\n", "Hello, you: this.\r\nDate: body\r\n"),
            ("Subject: s\r\n", "\rx\r\n"),
            ("Subject: s\r\n", "\r"),
            ("From a@b.example\r\n", "Hello\r\n"),
        ] {
            let message = format!("{header}{rest}");
            check(message.as_bytes(), &format!("{header}{DATE}{ID}\r\n{rest}"));
        }
        check(b"Subject: s", &format!("Subject: s\r\n{DATE}{ID}\r\n"));
    }
}
