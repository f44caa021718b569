//! Messages in chunks (RFC 3030): what BDAT says, and the octets behind it.
//!
//! [`Encoder`] is the client's side, [`Decoder`] the server's. Both take lent pieces, hand back slices of them, hold none of the
//! message, and give the same result wherever the pieces are cut. No memory is asked for by the size that a chunk announces.
//!
//! A chunk has no dots to be stuffed and no end mark. Unless it is of BODY=BINARYMIME its message is in lines all the same, and
//! a CR or LF on its own is neither sent nor passed over.

mod decode;
mod encode;

use std::fmt;

use super::limits;

pub use decode::{Decoder, MessageTooLong};
pub use encode::Encoder;

/// What BDAT announces: so many octets, and whether they are the last of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chunk {
    size: u64,
    last: bool,
}

impl Chunk {
    /// A chunk of `size` octets. `None` from [`limits::CHUNK`] on.
    pub fn new(size: u64, last: bool) -> Option<Self> {
        (size < limits::CHUNK).then_some(Self { size, last })
    }

    /// The octets that follow the command.
    pub fn size(self) -> u64 {
        self.size
    }

    /// Whether the message ends with them.
    pub fn is_last(self) -> bool {
        self.last
    }

    /// Parses what follows the verb: `size` or `size LAST` (RFC 3030 section 2).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let digits = words.next()?;
        let last = match words.next() {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("LAST") => true,
            Some(_) => return None,
        };
        let plain = words.next().is_none() && digits.bytes().all(|b| b.is_ascii_digit());
        Self::new(plain.then(|| digits.parse().ok())??, last)
    }
}

impl fmt::Display for Chunk {
    /// The command, without its CRLF.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = if self.last { " LAST" } else { "" };
        write!(f, "BDAT {}{last}", self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s276_s279_a_size_is_digits_alone_and_fits() {
        for (text, size, last) in [
            ("0", 0, false),
            ("5", 5, false),
            ("0005 last", 5, true),
            ("9223372036854775807  LaSt ", (1 << 63) - 1, true),
        ] {
            let chunk = Chunk::parse(text).unwrap();
            assert_eq!((chunk.size(), chunk.is_last()), (size, last), "{text}");
            let printed = chunk.to_string();
            assert_eq!(
                Chunk::parse(printed.strip_prefix("BDAT ").unwrap()),
                Some(chunk)
            );
        }
        for text in [
            "",
            " ",
            "-1",
            "+5",
            "0x5",
            "5 5",
            "LAST",
            "5 LAST x",
            "5LAST",
            "5 LASTS",
            "5\tLAST",
            "1.0",
            "\u{665}",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999999",
        ] {
            assert_eq!(Chunk::parse(text), None, "{text:?}");
        }
    }
}
