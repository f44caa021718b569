//! The server's side of BDAT: counting octets, and noticing bare CRs and LFs.

use crate::proto::data::{Decoded, first_bare_line_end};

/// Reads the chunks of one message, from pieces cut anywhere.
///
/// What comes is passed on as it came. If the message is in lines, [`bare_line_end`](Self::bare_line_end) tells whether a CR or LF
/// stood alone in it, over the borders of chunks as well.
///
/// ```
/// use mailwire::proto::chunk::Decoder;
/// use mailwire::proto::data::Decoded;
///
/// let mut decoder = Decoder::new(true);
/// let mut message = Vec::new();
/// for (size, input) in [(3, b"Hel".as_slice()), (4, b"lo\r\nBDAT 0 LAST\r\n"), (0, b"")] {
///     decoder.begin(size)?;
///     let mut rest = input;
///     while let Decoded::Piece { used, data } = decoder.decode(rest) {
///         message.extend_from_slice(data);
///         rest = &rest[used..];
///     }
/// }
/// decoder.finish();
/// assert_eq!((message.as_slice(), decoder.bare_line_end()), (b"Hello\r\n".as_slice(), false));
/// # Ok::<(), mailwire::proto::chunk::MessageTooLong>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// Octets of the chunk that are still to come.
    left: u64,
    /// Octets of the message so far.
    len: u64,
    lines: bool,
    /// The last octet was a CR.
    cr: bool,
    bare: bool,
}

/// The chunks of a message announce more octets than can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is longer than can be counted")]
pub struct MessageTooLong;

impl Decoder {
    /// At the start of a message, which is in `lines` unless it is of BODY=BINARYMIME.
    pub fn new(lines: bool) -> Self {
        Self {
            left: 0,
            len: 0,
            lines,
            cr: false,
            bare: false,
        }
    }

    /// The next chunk, of `size` octets, begins. The one before must be over.
    pub fn begin(&mut self, size: u64) -> Result<(), MessageTooLong> {
        self.announced(size)?;
        self.left = size;
        Ok(())
    }

    /// What the message would have with `size` more octets.
    pub fn announced(&self, size: u64) -> Result<u64, MessageTooLong> {
        let all = self
            .len
            .checked_add(self.left)
            .and_then(|all| all.checked_add(size));
        all.ok_or(MessageTooLong)
    }

    /// Takes input: a piece of the message, or [`Decoded::End`] once the chunk is over.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Decoded<'a> {
        if self.left == 0 {
            return Decoded::End { used: 0 };
        }
        if input.is_empty() {
            return Decoded::More { used: 0 };
        }
        let used = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        let data = &input[..used];
        self.left -= used as u64;
        self.len += used as u64;
        if self.lines && !self.bare {
            // The seam: what the first octet makes of the one before.
            self.bare = self.cr != data.starts_with(b"\n") || first_bare_line_end(data).is_some();
            self.cr = data.ends_with(b"\r");
        }
        Decoded::Piece { used, data }
    }

    /// The message is over: a CR at its end stands alone.
    pub fn finish(&mut self) {
        self.bare |= self.cr;
    }

    /// Whether a bare CR or LF was seen (RFC 5321 section 2.3.8). Final once the message is over.
    pub fn bare_line_end(&self) -> bool {
        self.bare
    }

    /// Octets of the message so far.
    #[expect(
        clippy::len_without_is_empty,
        reason = "it counts what passed, nothing is contained"
    )]
    pub fn len(&self) -> u64 {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The message, whether it has a bare CR or LF, and what is left over, octet by octet.
    fn reference(sizes: &[u64], mut input: &[u8], lines: bool) -> (Vec<u8>, bool, Vec<u8>) {
        let mut message = Vec::new();
        for &size in sizes {
            let (chunk, rest) = input.split_at(input.len().min(usize::try_from(size).unwrap()));
            message.extend_from_slice(chunk);
            input = rest;
        }
        let alone = |at: usize| match message[at] {
            b'\r' => message.get(at + 1) != Some(&b'\n'),
            b'\n' => at == 0 || message[at - 1] != b'\r',
            _ => false,
        };
        let bare = lines && (0..message.len()).any(alone);
        (message, bare, input.to_vec())
    }

    fn decode(sizes: &[u64], pieces: &[&[u8]], lines: bool) -> (Vec<u8>, bool, Vec<u8>) {
        let mut decoder = Decoder::new(lines);
        let (mut message, mut rest) = (Vec::new(), Vec::new());
        let mut pieces = pieces.iter();
        for &size in sizes {
            decoder.begin(size).unwrap();
            loop {
                match decoder.decode(&rest) {
                    Decoded::Piece { used, data } => {
                        message.extend_from_slice(data);
                        rest.drain(..used);
                    }
                    Decoded::More { .. } => {
                        let Some(piece) = pieces.next() else {
                            decoder.finish();
                            return (message, decoder.bare_line_end(), rest);
                        };
                        rest.extend_from_slice(piece);
                    }
                    Decoded::End { used } => {
                        assert_eq!(used, 0);
                        break;
                    }
                }
            }
        }
        decoder.finish();
        assert_eq!(decoder.len(), message.len() as u64);
        pieces.for_each(|piece| rest.extend_from_slice(piece));
        (message, decoder.bare_line_end(), rest)
    }

    #[test]
    fn s276_sizes_that_cannot_be_counted_are_refused() {
        let mut decoder = Decoder::new(true);
        assert_eq!(decoder.begin(u64::MAX - 1), Ok(()));
        let Decoded::Piece { used: 2, .. } = decoder.decode(b"ab") else {
            panic!()
        };
        assert_eq!(decoder.announced(1), Ok(u64::MAX));
        assert_eq!(decoder.begin(2), Err(MessageTooLong));
    }

    #[test]
    fn s270_s282_a_chunk_is_passed_on_as_it_is() {
        let input = b"\r\n.\r\n\n.\n..a\r\nNOOP\r\n";
        let (message, bare, rest) = decode(&[13], &[input], false);
        assert_eq!((message.as_slice(), bare), (&input[..13], false));
        assert_eq!(rest, b"NOOP\r\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn any_pieces_give_what_the_reference_gives(
            input in proptest::collection::vec(proptest::sample::select(b"\r\n\r\na.\0\xff".to_vec()), 0..200),
            long in 0..300_usize,
            sizes in proptest::collection::vec(0..90_u64, 0..6), cuts: [proptest::sample::Index; 3], lines: bool
        ) {
            let input = [vec![b'x'; long], input].concat();
            let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            places.extend([0, input.len()]);
            places.sort_unstable();
            let pieces: Vec<_> = places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            let expected = reference(&sizes, &input, lines);
            prop_assert_eq!(&decode(&sizes, &pieces, lines), &expected);
            prop_assert_eq!(&decode(&sizes, &input.chunks(1).collect::<Vec<_>>(), lines), &expected);
        }
    }
}
