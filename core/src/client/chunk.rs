//! A message as BDAT carries it (RFC 3030): cut into chunks whose octets are counted before they leave, in canonical lines unless
//! it is binary, and lent to the write rather than copied where nothing had to be changed.

use std::io;

use super::content::{Content, Source};
use crate::proto::chunk::Encoder;
use crate::proto::data::{BareLineEnd, LineEnds};

/// The octets of a chunk of a long message in memory, at most.
const CHUNK: usize = 256 * 1024;

const CRLF: &[u8] = b"\r\n";

/// What the octets of a message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines, whose ends are checked or made canonical.
    Lines(LineEnds),
    /// Lines that are known to end in CRLF, but perhaps for the last.
    Canonical,
    /// Any octets, which arrive as they are (BINARYMIME).
    Binary,
}

/// Why there is no next chunk.
#[derive(Debug)]
pub(super) enum ChunkError {
    Read(io::Error),
    BareLineEnd(BareLineEnd),
}

/// The chunk that is on its way.
#[derive(Debug)]
pub(super) struct Chunk {
    form: Form,
    encoder: Encoder,
    /// Octets of the message, as sent, before this chunk.
    start: u64,
    /// Where it stands in what the content has, if it is lent.
    lent: (usize, usize),
    /// It, if it had to be changed.
    owned: Vec<u8>,
    /// What follows it: the CRLF that the last line lacked.
    tail: &'static [u8],
    /// Octets of a message in memory that were taken.
    taken: usize,
}

impl Default for Chunk {
    fn default() -> Self {
        Self::new(Form::Binary)
    }
}

impl Chunk {
    fn new(form: Form) -> Self {
        let line_ends = match form {
            Form::Lines(line_ends) => line_ends,
            Form::Canonical | Form::Binary => LineEnds::Refuse,
        };
        Self {
            form,
            encoder: Encoder::new(line_ends),
            start: 0,
            lent: (0, 0),
            owned: Vec::new(),
            tail: b"",
            taken: 0,
        }
    }

    /// The octets of the chunk.
    fn len(&self) -> usize {
        self.lent.1 - self.lent.0 + self.owned.len() + self.tail.len()
    }

    /// Takes `piece`, which stands at `place` of what the content has: lent as it is, or changed.
    fn take(&mut self, piece: &[u8], place: usize, last: bool) -> Result<(), BareLineEnd> {
        let as_it_is = match self.form {
            Form::Binary => true,
            Form::Canonical => {
                if last && !piece.is_empty() && !piece.ends_with(CRLF) {
                    self.tail = CRLF;
                }
                true
            }
            Form::Lines(_) => {
                let mut rest = piece;
                let first = self.encoder.encode(&mut rest)?.unwrap_or_default();
                let as_it_is = std::ptr::eq(first, piece);
                if !as_it_is {
                    self.owned.reserve(piece.len() + piece.len() / 32 + 2);
                    self.owned.extend_from_slice(first);
                    while let Some(slice) = self.encoder.encode(&mut rest)? {
                        self.owned.extend_from_slice(slice);
                    }
                }
                if last {
                    self.tail = self.encoder.finish()?;
                }
                as_it_is
            }
        };
        if as_it_is {
            self.lent = (place, place + piece.len());
        }
        Ok(())
    }
}

impl Content<'_> {
    /// Begins at the first octet, to be sent in this form.
    pub(super) fn begin_chunks(&mut self, form: Form) {
        self.rewind();
        self.chunk = Chunk::new(form);
    }

    /// Goes on to the next chunk: its octets, and whether it is the last. The one before is forgotten. `whole`: all of a message
    /// in memory at once.
    pub(super) fn next_chunk(&mut self, whole: bool) -> Result<(u64, bool), ChunkError> {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.start += chunk.len() as u64;
        (chunk.lent, chunk.tail) = ((0, 0), b"");
        chunk.owned.clear();
        let last = if let Some(message) = self.as_bytes() {
            let rest = &message[chunk.taken..];
            let piece = if whole {
                rest
            } else {
                &rest[..rest.len().min(CHUNK)]
            };
            let (place, last) = (chunk.taken, piece.len() == rest.len());
            chunk.taken += piece.len();
            chunk
                .take(piece, place, last)
                .map_err(ChunkError::BareLineEnd)?;
            last
        } else {
            let (piece, last) = self.next_piece().map_err(ChunkError::Read)?;
            chunk
                .take(piece, 0, last)
                .map_err(ChunkError::BareLineEnd)?;
            last
        };
        self.chunk = chunk;
        Ok((self.chunk.len() as u64, last))
    }

    /// The octets of the message, as sent, before the chunk, and the chunk.
    pub(super) fn chunk(&self) -> (u64, [&[u8]; 2]) {
        let held = match &self.source {
            Source::Bytes(message) => *message,
            Source::Reader(reader) => reader.piece(),
        };
        let chunk = &self.chunk;
        let first = if chunk.owned.is_empty() {
            &held[chunk.lent.0..chunk.lent.1]
        } else {
            &chunk.owned
        };
        (chunk.start, [first, chunk.tail])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The chunks of a message, as they would be sent.
    fn chunks(mut content: Content<'_>, form: Form) -> Result<Vec<Vec<u8>>, BareLineEnd> {
        content.begin_chunks(form);
        let (mut all, mut offset) = (Vec::new(), 0);
        loop {
            let (octets, last) = match content.next_chunk(false) {
                Ok(next) => next,
                Err(ChunkError::BareLineEnd(error)) => return Err(error),
                Err(ChunkError::Read(error)) => panic!("{error}"),
            };
            let (start, parts) = content.chunk();
            let sent = parts.concat();
            assert_eq!(
                (start, sent.len() as u64),
                (offset, octets),
                "the count is what is sent"
            );
            offset += octets;
            all.push(sent);
            if last {
                return Ok(all);
            }
        }
    }

    fn whole(content: Content<'_>, form: Form) -> Result<Vec<u8>, BareLineEnd> {
        chunks(content, form).map(|chunks| chunks.concat())
    }

    /// Gives few octets at a time, so that pieces end anywhere.
    struct Slow<'m>(&'m [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(space.len()).min(7);
            space[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    const NORMALISE: Form = Form::Lines(LineEnds::Normalise);
    const REFUSE: Form = Form::Lines(LineEnds::Refuse);

    #[test]
    fn c021_lines_end_in_crlf_and_dots_stay() {
        for (message, sent) in [
            (&b""[..], &b""[..]),
            (b"a", b"a\r\n"),
            (b"a\r\n", b"a\r\n"),
            (b".\r\n.a\r\n", b".\r\n.a\r\n"),
            (b"a\nb\r\rc\n\r", b"a\r\nb\r\n\r\nc\r\n\r\n"),
            (b"a\r", b"a\r\n"),
            (b"\n", b"\r\n"),
        ] {
            let lent = whole(Content::bytes(message), NORMALISE).unwrap();
            assert_eq!(lent, sent, "{message:?}");
            let read = Content::reader(Slow(message), None);
            assert_eq!(whole(read, NORMALISE).unwrap(), sent, "{message:?}");
        }
        assert_eq!(
            whole(Content::bytes(b"a"), Form::Canonical).unwrap(),
            b"a\r\n"
        );
        assert_eq!(whole(Content::bytes(b""), Form::Canonical).unwrap(), b"");
        assert_eq!(
            whole(Content::bytes(b"a\n\rb\r"), Form::Binary).unwrap(),
            b"a\n\rb\r"
        );
    }

    #[test]
    fn c021_a_bare_line_end_is_refused_where_it_stands() {
        for (message, offset) in [
            (&b"a\nb"[..], 1),
            (b"a\r\nb\rc", 4),
            (b"a\r", 1),
            (b"\n", 0),
        ] {
            for content in [Content::bytes(message), Content::reader(message, None)] {
                assert_eq!(whole(content, REFUSE), Err(BareLineEnd { offset }));
            }
        }
    }

    #[test]
    fn what_needs_no_change_is_lent() {
        let message = b"Subject: x\r\n\r\n.dots\r\nand no end";
        for form in [NORMALISE, Form::Canonical] {
            let mut content = Content::bytes(message);
            content.begin_chunks(form);
            content.next_chunk(true).unwrap();
            let (_, [first, tail]) = content.chunk();
            assert_eq!(first.as_ptr_range(), message.as_ptr_range());
            assert_eq!(tail, CRLF);
        }
    }

    #[test]
    fn a_long_message_is_cut_into_bounded_chunks() {
        let message = b"0123456789 0123456789\n".repeat(40_000);
        let canonical = b"0123456789 0123456789\r\n".repeat(40_000);
        for content in [
            Content::bytes(&message),
            Content::reader(&message[..], None),
        ] {
            let chunks = chunks(content, NORMALISE).unwrap();
            assert!(chunks.len() > 3 && chunks.iter().all(|chunk| chunk.len() <= CHUNK * 2));
            assert_eq!(chunks.concat(), canonical);
        }
    }

    #[test]
    fn a_message_can_be_begun_again_while_its_first_piece_is_held() {
        for mut content in [Content::bytes(b"a\nb"), Content::reader(&b"a\nb"[..], None)] {
            for _ in 0..2 {
                content.begin_chunks(NORMALISE);
                assert_eq!(content.next_chunk(false).unwrap(), (6, true));
                assert_eq!(content.chunk().1.concat(), b"a\r\nb\r\n");
                assert!(content.is_untouched());
            }
        }
    }

    proptest! {
        #[test]
        fn c030_any_cut_gives_the_same_octets(message in vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..40)) {
            for form in [NORMALISE, REFUSE, Form::Binary] {
                let at_once = whole(Content::bytes(&message), form);
                let (mut chunk, mut sent) = (Chunk::new(form), Vec::new());
                // Octet by octet, as a reader might give them.
                let pieces = message.len().max(1);
                let piece_by_piece = (0..pieces).try_for_each(|at| {
                    (chunk.lent, chunk.tail) = ((0, 0), b"");
                    chunk.owned.clear();
                    let piece = message.get(at..=at).unwrap_or_default();
                    chunk.take(piece, at, at + 1 == pieces)?;
                    sent.extend_from_slice(&message[chunk.lent.0..chunk.lent.1]);
                    sent.extend_from_slice(&chunk.owned);
                    sent.extend_from_slice(chunk.tail);
                    Ok(())
                });
                prop_assert_eq!(piece_by_piece.map(|()| sent), at_once);
            }
        }
    }
}
