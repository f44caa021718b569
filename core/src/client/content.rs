//! The bytes of a message on their way out: lent, or read as they are sent.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::chunk::Chunk;
use crate::error::{Error, Status};

/// A message's header and body. Line ends are made canonical, or refused, as it is sent.
pub struct Content<'a> {
    pub(super) source: Source<'a>,
    length: Option<u64>,
    pub(super) chunk: Chunk,
    /// It was seen that DATA sends the octets as they are.
    pub(super) is_plain: bool,
}

pub(super) enum Source<'a> {
    Bytes(&'a [u8]),
    Reader(Pieces<'a>),
}

/// A reader, and the piece of it that was read last.
pub(super) struct Pieces<'a> {
    reader: Box<dyn Read + Send + 'a>,
    /// The octets that it is to give, if that is known, and those that it gave.
    length: Option<u64>,
    given: u64,
    /// Reading has failed: nothing that is read behind it is the message's.
    failed: bool,
    buffer: Vec<u8>,
    /// Octets of the buffer that belong to the piece.
    filled: usize,
    /// Whether that piece is the last.
    at_end: bool,
    /// Pieces read so far.
    read: u64,
    /// Whether the piece in the buffer is still to be handed out.
    waits: bool,
}

/// Pieces that others made, read one behind the other.
struct InPieces<I, P> {
    pieces: I,
    piece: Option<P>,
    /// Octets of the piece that were read.
    taken: usize,
}

/// What is read at a time from a reader, in octets.
const PIECE: usize = 64 * 1024;

impl<'a> Content<'a> {
    /// A message in memory.
    pub fn bytes(message: &'a [u8]) -> Self {
        Self {
            source: Source::Bytes(message),
            length: u64::try_from(message.len()).ok(),
            chunk: Chunk::default(),
            is_plain: false,
        }
    }

    /// A message that is read as it is sent, a piece of 64 KiB at a time. `length` is its size in octets as it is read, if that is
    /// known: the server can then refuse it before it is sent (RFC 1870). More octets leave where line ends are made canonical. A
    /// reader that gives more or fewer fails the message before its end mark is sent.
    ///
    /// A read that blocks holds up the task that sends. With the blocking client that is the calling thread, as it should
    /// be; an async program lends bytes, or reads on a thread of its own.
    pub fn reader(reader: impl Read + Send + 'a, length: Option<u64>) -> Self {
        Self {
            source: Source::Reader(Pieces {
                reader: Box::new(reader),
                length,
                given: 0,
                failed: false,
                buffer: Vec::new(),
                filled: 0,
                at_end: false,
                read: 0,
                waits: false,
            }),
            length,
            chunk: Chunk::default(),
            is_plain: false,
        }
    }

    /// A message in a file, which is read as it is sent, as by [`reader`](Self::reader). Fails if it cannot be opened, and names it.
    ///
    /// ```
    /// # use mailwire::client::Content;
    /// let error = Content::file("no/such/message.eml").unwrap_err();
    /// assert!(error.message().contains("no/such/message.eml"));
    /// ```
    pub fn file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let opened = File::open(path).and_then(|file| {
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            // A pipe has no length that could be told.
            Ok((file, metadata.is_file().then_some(metadata.len())))
        });
        match opened {
            Ok((file, length)) => Ok(Self::reader(file, length)),
            Err(error) => {
                let text = format!("the message in {} cannot be read: {error}", path.display());
                Err(Error::new(Status::Io, text).lasting().with_source(error))
            }
        }
    }

    /// A message in pieces, which are asked for as it is sent. Where one ends means nothing.
    ///
    /// ```
    /// # use mailwire::client::Content;
    /// let rows = (1..=1000).map(|number| format!("row {number}\r\n"));
    /// let header = "Subject: a long table\r\n\r\n".to_owned();
    /// let content = Content::pieces(std::iter::once(header).chain(rows));
    /// assert_eq!(content.length(), None);
    /// ```
    pub fn pieces<P: AsRef<[u8]> + Send + 'a>(
        pieces: impl IntoIterator<Item = P, IntoIter: Send + 'a>,
    ) -> Self {
        let pieces = InPieces {
            pieces: pieces.into_iter(),
            piece: None,
            taken: 0,
        };
        Self::reader(pieces, None)
    }

    /// The size in octets, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The message, if it is in memory.
    pub(crate) fn as_bytes(&self) -> Option<&'a [u8]> {
        match &self.source {
            Source::Bytes(message) => Some(message),
            Source::Reader(_) => None,
        }
    }

    /// Whether it is read as it is sent.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.source, Source::Reader(_))
    }

    /// Whether all that was read is still held, so that it can still be sent whole.
    pub(crate) fn is_untouched(&self) -> bool {
        match &self.source {
            Source::Bytes(_) => true,
            Source::Reader(pieces) => pieces.read <= 1 && !pieces.failed,
        }
    }

    /// Back to the first octet, if it is still held.
    pub(super) fn rewind(&mut self) {
        if let Source::Reader(pieces) = &mut self.source
            && pieces.read == 1
        {
            pieces.waits = true;
        }
    }

    /// Reads the first piece ahead. If it is all of the message, gives the message.
    pub(super) fn peek(&mut self) -> io::Result<Option<&[u8]>> {
        match &mut self.source {
            Source::Bytes(message) => Ok(Some(message)),
            Source::Reader(pieces) => {
                if pieces.read == 0 {
                    pieces.fill()?;
                    pieces.waits = true;
                }
                Ok(Some(pieces.piece()).filter(|_| pieces.at_end && pieces.read == 1))
            }
        }
    }

    /// The next piece, and whether it is the last one.
    pub(crate) fn next_piece(&mut self) -> io::Result<(&[u8], bool)> {
        match &mut self.source {
            Source::Bytes(message) => Ok((message, true)),
            Source::Reader(pieces) => {
                if !std::mem::take(&mut pieces.waits) {
                    pieces.fill()?;
                }
                Ok((pieces.piece(), pieces.at_end))
            }
        }
    }
}

impl<P: AsRef<[u8]>, I: Iterator<Item = P>> Read for InPieces<I, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let rest = self
                .piece
                .as_ref()
                .map(|piece| &piece.as_ref()[self.taken..]);
            if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
                let octets = rest.len().min(buffer.len());
                buffer[..octets].copy_from_slice(&rest[..octets]);
                self.taken += octets;
                return Ok(octets);
            }
            self.piece = self.pieces.next();
            self.taken = 0;
            if self.piece.is_none() {
                return Ok(0);
            }
        }
    }
}

impl Pieces<'_> {
    /// The piece that was read last.
    pub(super) fn piece(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("it failed before"));
        }
        let filled = self.try_fill();
        self.failed = filled.is_err();
        filled
    }

    fn try_fill(&mut self) -> io::Result<()> {
        self.buffer.resize(PIECE, 0);
        self.filled = 0;
        self.read += 1;
        while self.filled < PIECE && !self.at_end {
            match self.reader.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.at_end = true,
                Ok(n) => self.filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.given += self.filled as u64;
        let Some(length) = self.length else {
            return Ok(());
        };
        if self.given > length || (self.at_end && self.given < length) {
            let more = if self.at_end { "" } else { " or more" };
            let text = format!(
                "it gave {}{more} octets and was to give {length}",
                self.given
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(())
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut content: Content<'_>) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let (piece, last) = content.next_piece().unwrap();
            all.extend_from_slice(piece);
            if last {
                return all;
            }
        }
    }

    #[test]
    fn pieces_are_read_one_behind_the_other() {
        assert_eq!(read(Content::pieces(["a", "", "bc", ""])), b"abc");
        assert_eq!(read(Content::pieces([""; 0])), b"");
        let long = (0..100).map(|n| vec![n; 1000 * usize::from(n)]);
        let whole: Vec<u8> = long.clone().flatten().collect();
        assert!(read(Content::pieces(long)) == whole);
    }

    #[test]
    fn a_length_that_is_not_kept_is_an_error_and_stays_one() {
        let octets = vec![b'x'; 2 * PIECE];
        for length in [0, 1, 2 * PIECE - 1, 2 * PIECE + 1, 3 * PIECE] {
            let mut content = Content::reader(&octets[..], Some(length as u64));
            let failed = loop {
                match content.next_piece() {
                    Ok((_, last)) => assert!(!last, "{length}"),
                    Err(error) => break error,
                }
            };
            assert_eq!(failed.kind(), io::ErrorKind::InvalidData);
            assert!(content.next_piece().is_err() && !content.is_untouched());
        }
        let exact = Some(octets.len() as u64);
        assert!(read(Content::reader(&octets[..], exact)) == octets);
        assert!(read(Content::reader(&b""[..], Some(0))).is_empty());
    }

    #[test]
    fn a_file_has_a_length_and_what_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("message.eml");
        std::fs::write(&path, b"Subject: x\r\n\r\ny\r\n").unwrap();
        let content = Content::file(&path).unwrap();
        assert_eq!(content.length(), Some(17));
        assert_eq!(read(content), b"Subject: x\r\n\r\ny\r\n");
        for wrong in [folder.path().join("none"), folder.path().to_owned()] {
            let error = Content::file(&wrong).unwrap_err();
            assert_eq!(error.status(), Status::Io);
            assert!(!error.is_transient(), "{error}");
            let text = error.to_string();
            assert!(text.contains(wrong.to_str().unwrap()), "{text}");
        }
    }
}
