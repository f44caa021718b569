//! The client's side of DATA: stuffing dots, and letting no bare CR or LF out.

use super::canonical::Canonical;
use super::{BareLineEnd, LineEnds};

/// Turns a message into what is sent between the 354 reply and the reply to the end of data.
///
/// Nothing is copied: what goes out is slices of what came in and static octets, ready for a vectored write. A chunk without
/// a dot at the start of a line is one slice.
///
/// ```
/// use mailwire::proto::data::{Encoder, LineEnds};
///
/// let mut encoder = Encoder::new(LineEnds::Normalise);
/// let mut sent = Vec::new();
/// for chunk in [&b"Subject: dots\r\n\r"[..], b"\n.first\n", b"last"] {
///     let mut rest = chunk;
///     while let Some(slice) = encoder.encode(&mut rest)? {
///         sent.extend_from_slice(slice);
///     }
/// }
/// sent.extend_from_slice(encoder.finish()?);
/// assert_eq!(sent, b"Subject: dots\r\n\r\n..first\r\nlast\r\n.\r\n");
/// # Ok::<(), mailwire::proto::data::BareLineEnd>(())
/// ```
#[derive(Debug)]
pub struct Encoder(Canonical<true>);

impl Encoder {
    /// At the start of a message.
    pub fn new(line_ends: LineEnds) -> Self {
        Self(Canonical::new(line_ends))
    }

    /// The next slice to send for `rest`, a chunk of the message of any length, which is moved on behind what was taken. Call
    /// until `None`; then all of the chunk was taken. A CR at the end of the chunk is held back until its successor is known.
    ///
    /// Fails under [`LineEnds::Refuse`] at a bare CR or LF. All before it was handed out and nothing else will be: the
    /// transaction can only be broken off, by closing the connection. To know beforehand whether a message in memory
    /// will do, run it through another encoder.
    pub fn encode<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BareLineEnd> {
        self.0.encode(rest)
    }

    /// The end of the message: what remains to be sent up to and with the end mark, which is `.CRLF` on a line of its own
    /// (RFC 5321 section 4.1.1.4). A CRLF comes before it if the message has no final one. After this the encoder is at the
    /// start of another message.
    ///
    /// Fails under [`LineEnds::Refuse`] if the message ended with a bare CR.
    pub fn finish(&mut self) -> Result<&'static [u8], BareLineEnd> {
        Ok(if self.0.finish()? {
            b"\r\n.\r\n"
        } else {
            b".\r\n"
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::canonical::CRLF;
    use super::super::tests::{chunks, encoded, text};
    use super::super::{CR, LF};
    use super::*;

    /// The message as it should arrive: each bare CR or LF a CRLF, and a CRLF at the end.
    pub(in super::super) fn canonical(message: &[u8]) -> Vec<u8> {
        let mut lines = Vec::new();
        let mut octets = message.iter().copied().peekable();
        while let Some(octet) = octets.next() {
            match octet {
                CR => {
                    octets.next_if_eq(&LF);
                    lines.extend_from_slice(CRLF);
                }
                LF => lines.extend_from_slice(CRLF),
                _ => lines.push(octet),
            }
        }
        if !lines.is_empty() && !lines.ends_with(CRLF) {
            lines.extend_from_slice(CRLF);
        }
        lines
    }

    /// The place of the first bare CR or LF, octet by octet.
    fn first_bare(message: &[u8]) -> Option<u64> {
        let alone = |at: usize| match message[at] {
            CR => message.get(at + 1) != Some(&LF),
            LF => at == 0 || message[at - 1] != CR,
            _ => false,
        };
        (0..message.len()).find(|at| alone(*at)).map(|at| at as u64)
    }

    /// Every way of giving `message` in two chunks, and the one in single octets.
    fn ways(message: &[u8]) -> Vec<Vec<&[u8]>> {
        let mut ways: Vec<Vec<&[u8]>> = (0..=message.len())
            .map(|at| vec![&message[..at], &message[at..]])
            .collect();
        ways.push(message.chunks(1).collect());
        ways
    }

    #[test]
    fn c020_dots_are_stuffed_at_the_start_of_lines_only() {
        let table: [(&[u8], &[u8]); 11] = [
            (b"", b".\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"..\r\n", b"...\r\n.\r\n"),
            (b"a.b\r\n", b"a.b\r\n.\r\n"),
            (b"a\r\n.b\r\n", b"a\r\n..b\r\n.\r\n"),
            (b"a\r\n\r\n.\r\n\r\n", b"a\r\n\r\n..\r\n\r\n.\r\n"),
            (b"\r\n.\r\n.\r\n", b"\r\n..\r\n..\r\n.\r\n"),
            (b"\r\n", b"\r\n.\r\n"),
        ];
        for (message, wire) in table {
            for way in ways(message) {
                for ends in [LineEnds::Normalise, LineEnds::Refuse] {
                    assert_eq!(encoded(ends, &way), (wire.to_vec(), Ok(())), "{way:?}");
                }
            }
        }
    }

    #[test]
    fn c021_bare_line_ends_become_crlf() {
        let table: [(&[u8], &[u8]); 9] = [
            (b"a\nb", b"a\r\nb\r\n.\r\n"),
            (b"a\rb", b"a\r\nb\r\n.\r\n"),
            (b"a\n.\nMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
            (b"a\r.\rMAIL", b"a\r\n..\r\nMAIL\r\n.\r\n"),
            (b"a\n\rb", b"a\r\n\r\nb\r\n.\r\n"),
            (b"a\r\r\nb", b"a\r\n\r\nb\r\n.\r\n"),
            (b"a\r", b"a\r\n.\r\n"),
            (b"a\n", b"a\r\n.\r\n"),
            (b"\r", b"\r\n.\r\n"),
        ];
        for (message, wire) in table {
            for way in ways(message) {
                assert_eq!(
                    encoded(LineEnds::Normalise, &way),
                    (wire.to_vec(), Ok(())),
                    "{way:?}"
                );
            }
        }
    }

    #[test]
    fn c021_bare_line_ends_are_refused_before_they_are_sent() {
        let table: [(&[u8], u64, &[u8]); 8] = [
            (b"a\nb", 1, b"a"),
            (b"a\rb", 1, b"a"),
            (b"a\r\n\nb", 3, b"a\r\n"),
            (b"a\r\r\nb", 1, b"a"),
            (b"\n", 0, b""),
            (b"a\r", 1, b"a"),
            (b"\r", 0, b""),
            (b".a\r\n.\n", 5, b"..a\r\n.."),
        ];
        for (message, offset, sent) in table {
            for way in ways(message) {
                let refused = (sent.to_vec(), Err(BareLineEnd { offset }));
                assert_eq!(encoded(LineEnds::Refuse, &way), refused, "{way:?}");
            }
        }
    }

    #[test]
    fn a_clean_chunk_is_one_slice_of_itself() {
        let chunk = b"0123456789 0123456789 .\r\n".repeat(4000);
        let mut encoder = Encoder::new(LineEnds::Refuse);
        let mut rest = &chunk[..];
        let slice = encoder.encode(&mut rest).unwrap().unwrap();
        assert_eq!(slice.as_ptr_range(), chunk.as_ptr_range());
        assert_eq!(encoder.encode(&mut rest), Ok(None));
    }

    #[test]
    fn an_encoder_serves_one_message_after_another() {
        let mut encoder = Encoder::new(LineEnds::Refuse);
        for _ in 0..2 {
            assert_eq!(encoder.encode(&mut &b".a"[..]), Ok(Some(&b".."[..])));
            assert_eq!(encoder.encode(&mut &b"a"[..]), Ok(Some(&b"a"[..])));
            assert_eq!(encoder.finish(), Ok(&b"\r\n.\r\n"[..]));
            assert_eq!(
                encoder.encode(&mut &b"\n"[..]),
                Err(BareLineEnd { offset: 0 })
            );
        }
    }

    proptest! {
        #[test]
        fn c022_nothing_sent_can_be_misread_by_a_lax_server(message in text(), cuts: [proptest::sample::Index; 4]) {
            let (sent, end) = encoded(LineEnds::Normalise, &chunks(&message, &cuts));
            prop_assert_eq!(end, Ok(()));
            prop_assert_eq!(first_bare(&sent), None);
            // A server that takes any CR or LF for a line end sees the lone dot at the very end only.
            let lines: Vec<&[u8]> = sent.split(|octet| matches!(*octet, CR | LF)).collect();
            let lone = lines.iter().position(|line| *line == b".");
            prop_assert_eq!(lone, Some(lines.len() - 3));
        }

        #[test]
        fn refusing_sends_the_same_or_stops_at_the_first_bare_octet(message in text(), cuts: [proptest::sample::Index; 4]) {
            let way = chunks(&message, &cuts);
            let (sent, end) = encoded(LineEnds::Refuse, &way);
            let (normalised, _) = encoded(LineEnds::Normalise, &way);
            match first_bare(&message) {
                None => prop_assert_eq!((sent, end), (normalised, Ok(()))),
                Some(offset) => {
                    prop_assert_eq!(end, Err(BareLineEnd { offset }));
                    prop_assert!(normalised.starts_with(&sent));
                    prop_assert_eq!(first_bare(&sent), None);
                }
            }
        }
    }
}
