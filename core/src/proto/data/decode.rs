//! The server's side of DATA: removing stuffed dots, finding the end, and noticing bare CRs and LFs.

use memchr::memmem;

use super::{CR, LF, first_notable};

/// Reads the message text behind a 354 reply, from chunks cut anywhere.
///
/// The data ends with CRLF.CRLF, or with .CRLF at its very start, and with nothing else (RFC 5321 section 4.1.1.4). A bare CR
/// or LF ends neither a line nor the data: it is passed on as it came, and [`bare_line_end`](Self::bare_line_end) tells of it,
/// so that the message can be refused once it is over.
///
/// ```
/// use mailwire::proto::data::{Decoded, Decoder};
///
/// let mut decoder = Decoder::new();
/// let mut message = Vec::new();
/// let mut input = &b"Hello\r\n..\r\n.\r\nQUIT\r\n"[..];
/// loop {
///     match decoder.decode(input) {
///         Decoded::Piece { used, data } => {
///             message.extend_from_slice(data);
///             input = &input[used..];
///         }
///         Decoded::More { .. } => unreachable!("a driver would read on here"),
///         Decoded::End { used } => {
///             input = &input[used..];
///             break;
///         }
///     }
/// }
/// assert_eq!(message, b"Hello\r\n.\r\n");
/// assert_eq!(decoder.len(), 10);
/// assert_eq!(input, b"QUIT\r\n");
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    bare: bool,
    len: u64,
}

/// What [`Decoder::decode`] made of the input. In each case the first `used` octets of it are done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// The next octets of the message; at least one. Call again with the rest of the input, even if none is left.
    Piece {
        /// Octets of the input done with. It is 0 where a CR was withheld that turns out to be data.
        used: usize,
        /// Octets of the message.
        data: &'a [u8],
    },
    /// All of the input was used. Read on.
    More {
        /// Octets of the input done with: all.
        used: usize,
    },
    /// The message is over. What follows in the input is not part of it.
    End {
        /// Octets of the input done with, up to and with the end mark.
        used: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// At the start of the data or behind a CRLF.
    #[default]
    LineStart,
    /// Inside a line, not behind a CR.
    Text,
    /// Inside a line, behind a CR that was passed on.
    Cr,
    /// Behind a dot at the start of a line, which is never passed on.
    Dot,
    /// Behind such a dot and a CR, which was withheld.
    DotCr,
    /// Behind the end mark.
    Over,
}

impl Decoder {
    /// At the start of the data. A decoder reads one message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes input. The decoder remembers what it must of what it has seen, so the driver keeps nothing: `used` always grows
    /// to the whole input unless the message ends before. The CRLF in front of the end mark belongs to the message.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Decoded<'a> {
        let mut used = 0;
        loop {
            let Some(&octet) = input.get(used) else {
                return self.more(used);
            };
            self.state = match (self.state, octet) {
                (State::Over, _) => return Decoded::End { used: 0 },
                (State::LineStart, b'.') => State::Dot,
                (State::Dot, CR) => State::DotCr,
                (State::DotCr, LF) => {
                    self.state = State::Over;
                    return Decoded::End { used: used + 1 };
                }
                (State::DotCr, _) => {
                    // No end mark: the dot was a stuffed one all the same (RFC 5321 section 4.5.2), the CR is bare.
                    self.bare = true;
                    return self.piece(used, b"\r", State::Text);
                }
                (State::Cr, LF) => {
                    return self.piece(used + 1, &input[used..=used], State::LineStart);
                }
                (State::LineStart | State::Text | State::Cr | State::Dot, _) => break,
            };
            used += 1;
        }
        let text = &input[used..];
        // The seam: what the first octet makes of the one before.
        self.bare |= self.state == State::Cr || text.starts_with(b"\n");
        let data = &text[..self.line_before_dot(text)];
        let state = match data {
            [.., CR, LF] => State::LineStart,
            [.., CR] => State::Cr,
            _ => State::Text,
        };
        self.piece(used + data.len(), data, state)
    }

    /// Whether a bare CR or LF was seen (RFC 5321 section 2.3.8). Final once the message is over.
    pub fn bare_line_end(&self) -> bool {
        self.bare
    }

    /// Octets of the message so far: without stuffed dots and end mark, with the final CRLF. This is what SIZE limits
    /// (RFC 1870 section 3).
    #[expect(
        clippy::len_without_is_empty,
        reason = "it counts what passed, nothing is contained"
    )]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// How far `text` reaches up to a CRLF with a dot behind it, that CRLF included. Notes a bare CR or LF on the way there.
    fn line_before_dot(&mut self, text: &[u8]) -> usize {
        let mut clean = 0;
        if !self.bare {
            match first_notable(text) {
                None => return text.len(),
                // With no bare LF so far, this one has its CR.
                Some(at) if text[at] == LF && text[at + 1] == b'.' => return at + 1,
                Some(at) => {
                    self.bare = true;
                    clean = at;
                }
            }
        }
        // One bare octet is as bad as many: from here on only the dot is looked for.
        memmem::find(&text[clean..], b"\r\n.").map_or(text.len(), |at| clean + at + 2)
    }

    fn piece<'a>(&mut self, used: usize, data: &'a [u8], state: State) -> Decoded<'a> {
        self.state = state;
        self.len += data.len() as u64;
        Decoded::Piece { used, data }
    }

    fn more<'a>(&self, used: usize) -> Decoded<'a> {
        if self.state == State::Over {
            Decoded::End { used }
        } else {
            Decoded::More { used }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{chunks, decoded, text};

    /// The rules once more, octet by octet: data, whether a bare CR or LF was seen, and what is left behind the end.
    fn reference(input: &[u8]) -> (Vec<u8>, bool, Option<Vec<u8>>) {
        let (mut data, mut bare, mut at, mut line_start) = (Vec::new(), false, 0, true);
        while at < input.len() {
            if line_start && input[at] == b'.' {
                let behind = &input[at + 1..];
                if behind.starts_with(b"\r\n") {
                    return (data, bare, Some(behind[2..].to_vec()));
                }
                // Cut off: it may yet become the end mark.
                if behind.is_empty() || behind == b"\r" {
                    break;
                }
                at += 1;
            }
            let before = at.checked_sub(1).map(|before| input[before]);
            line_start = input[at] == b'\n' && before == Some(b'\r');
            bare |= input[at] == b'\n' && !line_start;
            bare |= input[at] == b'\r' && input.get(at + 1).is_some_and(|next| *next != b'\n');
            data.push(input[at]);
            at += 1;
        }
        (data, bare, None)
    }

    /// Every way of giving `input`: in one chunk, in two, and in single octets.
    fn assert_all_ways(input: &[u8], expected: &(Vec<u8>, bool, Option<Vec<u8>>)) {
        for at in 0..=input.len() {
            let way = [&input[..at], &input[at..]];
            assert_eq!(
                &decoded(&way),
                expected,
                "{} | {}",
                way[0].escape_ascii(),
                way[1].escape_ascii()
            );
        }
        assert_eq!(
            &decoded(&input.chunks(1).collect::<Vec<_>>()),
            expected,
            "{}",
            input.escape_ascii()
        );
    }

    /// S114 to S119: what must not end the data, in front of a whole second transaction.
    const NO_END: [(&[u8], bool); 34] = [
        (b"\n.\n", true),
        (b"\n.\r\n", true),
        (b"\n.\r", true),
        (b"\r.\r", true),
        (b"\r.\n", true),
        (b"\r.\r\n", true),
        (b"\r\n.\n", true),
        (b"\r\n.\r", true),
        (b"\r\n.\r\r\n", true),
        (b"\r\r\n.\r\r\n", true),
        (b"\r\n\0.\r\n", false),
        (b"\r\n.\0\r\n", false),
        (b"\r\n. \r\n", false),
        (b"\r\n.\t\r\n", false),
        (b"\r\n..\r\n", false),
        (b"\n\r.\r\n", true),
        (b"\r\n.\n\r", true),
        (b"\r\n\n.\r\n", true),
        (b"\r\n\r.\r\n", true),
        (b"\r\n .\r\n", false),
        // VT, FF, NEL and U+2028, in front of the dot, behind it, and for the line ends.
        (b"\r\n\x0b.\r\n", false),
        (b"\r\n.\x0b\r\n", false),
        (b"\x0b.\x0b", false),
        (b"\r\n\x0c.\r\n", false),
        (b"\r\n.\x0c\r\n", false),
        (b"\x0c.\x0c", false),
        (b"\r\n\xc2\x85.\r\n", false),
        (b"\r\n.\xc2\x85\r\n", false),
        (b"\xc2\x85.\xc2\x85", false),
        (b"\x85.\x85", false),
        (b"\r\n\xe2\x80\xa8.\r\n", false),
        (b"\r\n.\xe2\x80\xa8\r\n", false),
        (b"\xe2\x80\xa8.\xe2\x80\xa8", false),
        (b"\r\n.\r\x0b\n", true),
    ];

    const SECOND: &[u8] =
        b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nsmuggled\r\n";

    #[test]
    fn s114_to_s119_nothing_but_crlf_dot_crlf_ends_the_data() {
        for (family, bare) in NO_END {
            for first_line in [&b""[..], b"text", b"text\r\nmore"] {
                let all = [first_line, family, SECOND, b".\r\n"].concat();
                // A family that begins with CRLF begins behind one; as the very first octets it is still no end.
                let (data, seen, left) = decoded(&[&all]);
                assert_eq!(left, Some(Vec::new()), "{}", all.escape_ascii());
                assert_eq!(seen, bare, "{}", all.escape_ascii());
                assert!(data.ends_with(SECOND), "{}", all.escape_ascii());
                assert_eq!(reference(&all), (data.clone(), seen, left.clone()));
                assert_all_ways(&all, &(data, seen, left));
                // Without the true end there is none.
                let cut = all.strip_suffix(b".\r\n").unwrap();
                assert_eq!(decoded(&[cut]).2, None, "{}", cut.escape_ascii());
                assert_all_ways(cut, &reference(cut));
            }
        }
    }

    #[test]
    fn the_families_also_come_as_the_very_first_octets() {
        for (family, _) in NO_END {
            let Some(family) = family.strip_prefix(b"\r\n") else {
                continue;
            };
            let all = [family, SECOND, b".\r\n"].concat();
            assert_eq!(
                decoded(&[&all]).2,
                Some(Vec::new()),
                "{}",
                all.escape_ascii()
            );
            assert_all_ways(&all, &reference(&all));
        }
    }

    #[test]
    fn crlf_dot_crlf_ends_the_data_and_the_rest_is_left_alone() {
        let table: [(&[u8], &[u8], bool); 9] = [
            (b".\r\n", b"", false),
            (b"\r\n.\r\n", b"\r\n", false),
            (b"a\r\n.\r\n", b"a\r\n", false),
            (b"..\r\n.\r\n", b".\r\n", false),
            (b"...\r\n..a\r\n.b\r\n.\r\n", b"..\r\n.a\r\nb\r\n", false),
            // S118b: its last five octets are CRLF.CRLF.
            (b"a\r\r\n.\r\n", b"a\r\r\n", true),
            (b"a\n\r\n.\r\n", b"a\n\r\n", true),
            (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", true),
            (b"\n\r\n.\r\n", b"\n\r\n", true),
        ];
        for (input, data, bare) in table {
            // What a lax reader would trip over stands behind the end: it is not this message's.
            for behind in [&b""[..], SECOND, b"\n.\n", b"\r"] {
                let all = [input, behind].concat();
                assert_all_ways(&all, &(data.to_vec(), bare, Some(behind.to_vec())));
            }
        }
    }

    #[test]
    fn an_unfinished_end_mark_is_neither_data_nor_end() {
        for (input, data) in [
            (&b"a\r\n."[..], &b"a\r\n"[..]),
            (b"a\r\n.\r", b"a\r\n"),
            (b".", b""),
            (b".\r", b""),
        ] {
            assert_all_ways(input, &(data.to_vec(), false, None));
        }
    }

    #[test]
    fn a_clean_run_is_one_piece_of_the_input() {
        use super::{Decoded, Decoder};
        let input = b"0123456789 0123456789 .\r\n".repeat(2500);
        let mut decoder = Decoder::new();
        let Decoded::Piece { used, data } = decoder.decode(&input) else {
            panic!("no piece")
        };
        assert_eq!(
            (used, data.as_ptr_range()),
            (input.len(), input.as_ptr_range())
        );
        assert_eq!(decoder.decode(b""), Decoded::More { used: 0 });
        assert_eq!(decoder.decode(b".\r\nQUIT"), Decoded::End { used: 3 });
        assert_eq!(decoder.decode(b"QUIT"), Decoded::End { used: 0 });
        assert_eq!(decoder.decode(b""), Decoded::End { used: 0 });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_chunks_give_what_the_reference_gives(input in text(), cuts: [proptest::sample::Index; 4]) {
            let expected = reference(&input);
            prop_assert_eq!(&decoded(&chunks(&input, &cuts)), &expected);
            prop_assert_eq!(&decoded(&[&input]), &expected);
            prop_assert_eq!(&decoded(&input.chunks(1).collect::<Vec<_>>()), &expected);
        }
    }
}
