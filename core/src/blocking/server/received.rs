//! The octets of a message that came, as the pieces that they were read in.

use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use bytes::Bytes;

/// The octets of a message: line ends are CRLF, dots and end mark are removed.
///
/// They are held in the pieces that they were read in, and put together by one copy when they are first looked at as a whole; a
/// small message is one piece already. The pieces count towards
/// [`Options::set_body_memory`](crate::server::Options::set_body_memory) until this is dropped. The copy does not: a program that holds
/// many large messages and looks at them as wholes holds up to twice as much, which [`pieces`](Self::pieces) and
/// [`Options::set_stream`](crate::server::Options::set_stream) avoid.
pub struct Received {
    pieces: Vec<Bytes>,
    whole: OnceLock<Vec<u8>>,
}

impl Received {
    pub(super) fn new(pieces: Vec<Bytes>) -> Self {
        Self {
            pieces,
            whole: OnceLock::new(),
        }
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The number of octets.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// Whether the message is empty.
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(Bytes::is_empty)
    }
}

impl Deref for Received {
    type Target = [u8];

    /// The whole.
    fn deref(&self) -> &[u8] {
        match self.pieces.as_slice() {
            [] => &[],
            [piece] => piece,
            pieces => self.whole.get_or_init(|| pieces.concat()),
        }
    }
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Received({} octets)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_a_whole() {
        for pieces in [vec![], vec!["one"], vec!["one", "", "two"]] {
            let whole = pieces.concat();
            let bytes = pieces
                .into_iter()
                .map(|piece| Bytes::from_static(piece.as_bytes()));
            let received = Received::new(bytes.collect());
            assert_eq!(&*received, whole.as_bytes());
            assert_eq!(received.len(), whole.len());
            assert_eq!(received.is_empty(), whole.is_empty());
        }
    }
}
