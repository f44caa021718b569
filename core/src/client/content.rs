//! The bytes of a message on their way out: lent, or read as they are sent.

use std::fmt;
use std::io::{self, Read};

/// A message's header and body. Line ends are made canonical, or refused, as it is sent.
pub struct Content<'a> {
    source: Source<'a>,
    length: Option<u64>,
}

enum Source<'a> {
    Bytes(&'a [u8]),
    Reader {
        reader: Box<dyn Read + Send + 'a>,
        /// Filled from the reader; empty until the first octet was asked for.
        buffer: Vec<u8>,
        started: bool,
    },
}

/// What is read at a time from a reader, in octets.
const PIECE: usize = 64 * 1024;

impl<'a> Content<'a> {
    /// A message in memory.
    pub fn bytes(message: &'a [u8]) -> Self {
        Self {
            source: Source::Bytes(message),
            length: u64::try_from(message.len()).ok(),
        }
    }

    /// A message that is read as it is sent, a piece of 64 KiB at a time. `length` is its size in octets if it is known: the
    /// server can then refuse it before it is sent.
    ///
    /// A read that blocks holds up the task that sends. With the blocking client that is the calling thread, as it should
    /// be; an async program lends bytes, or reads on a thread of its own.
    pub fn reader(reader: impl Read + Send + 'a, length: Option<u64>) -> Self {
        Self {
            source: Source::Reader {
                reader: Box::new(reader),
                buffer: Vec::new(),
                started: false,
            },
            length,
        }
    }

    /// The size in octets, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The message, if it is in memory.
    pub(crate) fn as_bytes(&self) -> Option<&'a [u8]> {
        match &self.source {
            Source::Bytes(message) => Some(message),
            Source::Reader { .. } => None,
        }
    }

    /// Whether nothing was read yet, so that it can still be sent whole.
    pub(crate) fn is_untouched(&self) -> bool {
        match &self.source {
            Source::Bytes(_) => true,
            Source::Reader { started, .. } => !started,
        }
    }

    /// The next piece, and whether it is the last one.
    pub(crate) fn next_piece(&mut self) -> io::Result<(&[u8], bool)> {
        match &mut self.source {
            Source::Bytes(message) => Ok((message, true)),
            Source::Reader {
                reader,
                buffer,
                started,
            } => {
                *started = true;
                buffer.resize(PIECE, 0);
                let mut filled = 0;
                while filled < PIECE {
                    match reader.read(&mut buffer[filled..]) {
                        Ok(0) => return Ok((&buffer[..filled], true)),
                        Ok(n) => filled += n,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok((buffer.as_slice(), false))
            }
        }
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
