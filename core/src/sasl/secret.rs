//! Octets that must not outlive their use or show up in a log: passwords, and messages that carry them.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Octets that are overwritten when dropped and never printed.
///
/// There is no `Display` and no `==`: look inside with [`expose`](Self::expose), compare with [`same_as`](Self::same_as).
///
/// ```
/// use mailwire::sasl::Secret;
///
/// let password = Secret::new("hunter2");
/// assert_eq!(format!("{password:?}"), "Secret(…)");
/// assert!(password.same_as(b"hunter2"));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the octets over. A `String` or `Vec` keeps its memory, which is overwritten later; what is borrowed is copied, and
    /// the original stays the caller's to overwrite.
    pub fn new(octets: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(octets.into()))
    }

    /// The octets themselves. Take care where they go.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether these are the same octets, found out in a time that does not tell where they differ. The length may be told.
    pub fn same_as(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }

    /// The octets, to be changed in place.
    pub(super) fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Joins the parts. The room is taken in one piece, because a vector that grows leaves a copy behind.
    pub(super) fn concat(parts: &[&[u8]]) -> Self {
        let mut joined = Zeroizing::new(Vec::with_capacity(
            parts.iter().map(|part| part.len()).sum(),
        ));
        for part in parts {
            joined.extend_from_slice(part);
        }
        Self(joined)
    }

    /// A secret of `len` octets, written in place by `fill`, which says how many of them it wrote. Nothing is moved, and what
    /// was written is overwritten if `fill` fails.
    pub(super) fn filled<E>(
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<Self, E> {
        let mut octets = Zeroizing::new(vec![0; len]);
        let written = fill(&mut octets)?;
        octets.truncate(written);
        Ok(Self(octets))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&[u8]> for Secret {
    fn from(octets: &[u8]) -> Self {
        Self::new(octets)
    }
}

impl From<Vec<u8>> for Secret {
    fn from(octets: Vec<u8>) -> Self {
        Self::new(octets)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn debug_hides_the_octets_and_their_number() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(…)");
        assert_eq!(
            format!("{:#?}", Some(Secret::new(""))),
            "Some(\n    Secret(…),\n)"
        );
    }

    #[test]
    fn same_as_looks_at_every_octet() {
        let secret = Secret::new("hunter2");
        assert!(secret.same_as(b"hunter2"));
        for at in 0..7 {
            let mut other = *b"hunter2";
            other[at] ^= 1;
            assert!(!secret.same_as(&other), "octet {at}");
        }
        assert!(!secret.same_as(b"hunter"));
        assert!(!secret.same_as(b"hunter22"));
        assert!(Secret::new("").same_as(b""));
    }

    #[test]
    fn concat_takes_its_room_once() {
        let joined = Secret::concat(&[b"ab", b"", b"\0", b"cde"]);
        assert_eq!(joined.expose(), b"ab\0cde");
        assert_eq!(joined.0.capacity(), 6);
    }

    #[test]
    fn filled_keeps_what_was_written() {
        let Ok(secret) = Secret::filled(5, |room| {
            room[..2].copy_from_slice(b"ab");
            Ok::<_, Infallible>(2)
        });
        assert_eq!(secret.expose(), b"ab");
        assert_eq!(
            Secret::filled(5, |_| Err::<usize, _>("no")).err(),
            Some("no")
        );
    }

    #[test]
    fn a_taken_string_is_not_copied() {
        let text = String::from("hunter2");
        let address = text.as_ptr();
        assert_eq!(Secret::new(text).expose().as_ptr(), address);
    }

    #[test]
    fn dropping_overwrites() {
        fn overwritten_on_drop<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        overwritten_on_drop(&Secret::new("hunter2").0);
    }
}
