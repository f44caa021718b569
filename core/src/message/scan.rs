//! The header of a message that comes in pieces, wherever they are cut: which of some fields it has, and where it ends.

use memchr::memchr;

/// The longest name of a field, with white space behind it, that is told from text: as much is held of a line that is cut.
pub(super) const LONGEST_NAME: u64 = 128;

/// What is known of a header so far.
///
/// It ends at an empty line, or else in front of the first line that neither is a field nor continues one. `Received` fields are
/// counted up to the empty line even so: a loop is not to be hidden by a line that is none. A first line as mailbox files have it
/// between their messages, `From` and white space, is overlooked: it is no field, and the fields are behind it.
#[derive(Debug)]
pub(crate) struct HeaderScan {
    received: usize,
    date: bool,
    message_id: bool,
    /// Octets that were looked at.
    seen: u64,
    /// Where the line began.
    line: u64,
    /// Whether nothing came in front of it but the line of a mailbox file.
    is_first: bool,
    place: Place,
    /// The start of a name.
    name: [u8; 10],
    length: usize,
    end: Option<HeaderEnd>,
}

/// Where a header ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderEnd {
    /// The octets in front of it.
    pub(crate) at: u64,
    /// Whether the empty line stands there.
    pub(crate) has_empty_line: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// Behind a CR that stands first in its line.
    Empty,
    Name,
    /// In white space between a name and its colon, which was allowed once (RFC 5322 section 4.5).
    Space,
    /// In a line of which nothing more is to be known.
    Rest,
    Body,
}

impl HeaderScan {
    pub(crate) fn new() -> Self {
        Self {
            received: 0,
            date: false,
            message_id: false,
            seen: 0,
            line: 0,
            is_first: true,
            place: Place::Start,
            name: [0; 10],
            length: 0,
            end: None,
        }
    }

    /// How many `Received` fields there were so far.
    pub(crate) fn received(&self) -> usize {
        self.received
    }

    /// Whether a `Date` field was there.
    pub(crate) fn has_date(&self) -> bool {
        self.date
    }

    /// Whether a `Message-ID` field was there.
    pub(crate) fn has_message_id(&self) -> bool {
        self.message_id
    }

    /// Octets that were looked at.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Where the header ends, once that was seen.
    pub(crate) fn end(&self) -> Option<HeaderEnd> {
        self.end
    }

    /// So many octets are the header's for certain, where its end was not seen: a line is only once it is known for a field.
    pub(crate) fn certain(&self) -> u64 {
        match self.place {
            Place::Empty | Place::Name | Place::Space => self.line,
            Place::Start | Place::Rest | Place::Body => self.seen,
        }
    }

    /// Whether the message, if it ends here, does so within a line of the header.
    pub(crate) fn is_within_field(&self) -> bool {
        self.end.is_none() && self.place == Place::Rest
    }

    /// Looks at the next octets of the message.
    pub(crate) fn look(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let [first, after @ ..] = rest {
            let at = self.seen + (octets.len() - rest.len()) as u64;
            rest = match self.place {
                Place::Body => break,
                Place::Rest => match memchr(b'\n', rest) {
                    Some(end) => {
                        self.place = Place::Start;
                        &rest[end + 1..]
                    }
                    None => break,
                },
                Place::Start => {
                    self.line = at;
                    self.begin(*first, rest, after)
                }
                Place::Empty if *first == b'\n' => {
                    self.body();
                    after
                }
                Place::Empty => {
                    self.no_field();
                    rest
                }
                Place::Name => self.name(rest),
                Place::Space => self.colon(*first, rest, after, at),
            };
        }
        self.seen += octets.len() as u64;
    }

    fn begin<'a>(&mut self, first: u8, rest: &'a [u8], after: &'a [u8]) -> &'a [u8] {
        match first {
            b'\r' => self.place = Place::Empty,
            b'\n' => self.body(),
            b' ' | b'\t' if !self.is_first => self.place = Place::Rest,
            _ => {
                self.length = 0;
                self.place = Place::Name;
                return rest;
            }
        }
        after
    }

    fn name<'a>(&mut self, rest: &'a [u8]) -> &'a [u8] {
        let known = self.length as u64;
        let room = usize::try_from(LONGEST_NAME - known).unwrap_or(0);
        let is_name = |octet: &&u8| octet.is_ascii_graphic() && **octet != b':';
        let count = rest.iter().take(room).take_while(is_name).count();
        let (name, after) = rest.split_at(count);
        for (place, octet) in self.name.iter_mut().skip(self.length).zip(name) {
            *place = *octet;
        }
        self.length += count;
        if self.length == 0 || count == room {
            self.no_field();
        } else if !after.is_empty() {
            self.place = Place::Space;
        }
        after
    }

    fn colon<'a>(&mut self, first: u8, rest: &'a [u8], after: &'a [u8], at: u64) -> &'a [u8] {
        match first {
            b':' => {
                self.field();
                after
            }
            b' ' | b'\t' if at - self.line < LONGEST_NAME => after,
            // White space stands behind it.
            _ if self.line == 0 && self.name.starts_with(b"From") && at > 4 && self.length == 4 => {
                self.place = Place::Rest;
                rest
            }
            _ => {
                self.no_field();
                rest
            }
        }
    }

    fn field(&mut self) {
        self.place = Place::Rest;
        self.is_first = false;
        let in_header = self.end.is_none();
        let name = self.name.to_ascii_lowercase();
        match name.get(..self.length) {
            Some(b"received") => self.received += 1,
            Some(b"date") => self.date |= in_header,
            Some(b"message-id") => self.message_id |= in_header,
            _ => {}
        }
    }

    fn no_field(&mut self) {
        self.place = Place::Rest;
        self.is_first = false;
        self.end.get_or_insert(HeaderEnd {
            at: self.line,
            has_empty_line: false,
        });
    }

    fn body(&mut self) {
        self.place = Place::Body;
        self.end.get_or_insert(HeaderEnd {
            at: self.line,
            has_empty_line: true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(pieces: &[&[u8]]) -> HeaderScan {
        let mut scan = HeaderScan::new();
        for piece in pieces {
            scan.look(piece);
        }
        scan
    }

    /// All messages, whole, in every two and three pieces, and octet by octet.
    fn check(message: &[u8], look: impl Fn(&HeaderScan)) {
        for cut in 0..=message.len() {
            for second in cut..=message.len() {
                look(&scanned(&[
                    &message[..cut],
                    &message[cut..second],
                    &message[second..],
                ]));
            }
        }
        look(&scanned(&message.chunks(1).collect::<Vec<_>>()));
    }

    #[test]
    fn fields_are_counted_wherever_the_header_is_cut() {
        for (message, count) in [
            (&b""[..], 0),
            (
                b"Received: a\r\nRECEIVED:b\r\nreceived \t: c\r\n\r\nReceived: body\r\n",
                3,
            ),
            (
                b"Received: a\r\n\tReceived: folded\r\nX-Received: b\r\nReceive: c\r\nReceivedd: d\r\nReceived\r\n",
                1,
            ),
            (b"\r\nReceived: body\r\n", 0),
            (b"\nReceived: body\r\n", 0),
            (b"A: b\r\n\rReceived: c\r\nReceived: d\r\n", 1),
            (b"Received:", 1),
        ] {
            check(message, |scan| {
                assert_eq!(
                    scan.received(),
                    count,
                    "{}",
                    message.escape_ascii()
                );
            });
        }
    }

    #[test]
    fn s391_a_header_of_any_length_is_counted_by_a_scan_that_keeps_nothing_of_it() {
        let fields = b"Received: from a by b; Thu, 1 Jan 1970 00:00:00 +0000\r\n".repeat(10_000);
        let folded = [b"Subject: ", &b"a\r\n ".repeat(30_000)[..]].concat();
        let endless = vec![b'x'; 120_000];
        for size in [1, 7, 4096, usize::MAX] {
            for (header, count) in [(&fields[..], 10_000), (&folded, 0), (&endless, 0)] {
                let pieces: Vec<_> = header.chunks(size).collect();
                assert_eq!(scanned(&pieces).received(), count);
            }
        }
        assert!(size_of::<HeaderScan>() <= 256);
    }

    #[test]
    fn the_end_and_the_fields_that_are_there_are_found_wherever_it_is_cut() {
        let longest = format!("{}: a\r\n\r\n", "x".repeat(127));
        let longer = format!("{}: a\r\n\r\n", "x".repeat(128));
        let spaces = format!("Date{}: a\r\n\r\n", " ".repeat(200));
        let end = |at, has_empty_line| Some(HeaderEnd { at, has_empty_line });
        for (message, date, id, expected) in [
            (
                &b"date: a\r\nMESSAGE-ID: b\r\n\r\nc"[..],
                true,
                true,
                end(24, true),
            ),
            (b"Date : a\r\n b: c\r\n\r\nc", true, false, end(17, true)),
            (b"A: Date:\r\n Date: b\r\n\r\n", false, false, end(20, true)),
            (
                b"A: b\r\ntext\r\nDate: c\r\n\r\n",
                false,
                false,
                end(6, false),
            ),
            (b"A: b\r\nDate c: d\r\n\r\n", false, false, end(6, false)),
            (b" A: b\r\nDate: c\r\n\r\n", false, false, end(0, false)),
            (b": b\r\n\r\n", false, false, end(0, false)),
            (b"caf\xc3\xa9: b\r\n\r\n", false, false, end(0, false)),
            (b"\r\nDate: body\r\n", false, false, end(0, true)),
            (b"A: b\r\n\rDate: c\r\n", false, false, end(6, false)),
            (
                b"From a@b.example Thu Jan  1 00:00:00 1970\r\nDate: c\r\n\r\n",
                true,
                false,
                end(52, true),
            ),
            (b"From \r\n d\r\n", false, false, end(7, false)),
            (b"From : a\r\nFrom b\r\n", false, false, end(10, false)),
            (b"From a\r\nFrom b\r\n", false, false, end(8, false)),
            (b"From\r\nDate: c\r\n", false, false, end(0, false)),
            (b"from a\r\nDate: c\r\n", false, false, end(0, false)),
            (b"Message-IDs: b\r\nDates: c\r\n", false, false, None),
            (b"", false, false, None),
            (longest.as_bytes(), false, false, end(132, true)),
            (longer.as_bytes(), false, false, end(0, false)),
            (spaces.as_bytes(), false, false, end(0, false)),
        ] {
            check(message, |scan| {
                let found = (scan.has_date(), scan.has_message_id(), scan.end());
                let text = message.escape_ascii().to_string();
                assert_eq!(found, (date, id, expected), "{text}");
            });
        }
    }
}
