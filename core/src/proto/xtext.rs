//! xtext (RFC 3461 section 4): any octets in printable ASCII, as the values of AUTH, ENVID, ORCPT and XCLIENT have them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A text in xtext. It prints as it was given; two are equal if they stand for the same octets.
#[derive(Clone)]
pub struct Xtext(Box<str>);

/// A text that is no xtext: it has a space, `=`, something outside printable ASCII, or a `+` without two digits of `0-9A-F`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no xtext: printable ASCII without space and =, and + only before two hexadecimal digits"
)]
pub struct InvalidXtext;

impl Xtext {
    /// The xtext that stands for these octets.
    pub fn encode(octets: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let mut text = String::with_capacity(octets.len());
        for &octet in octets {
            if is_plain(octet) {
                text.push(char::from(octet));
            } else {
                text.push('+');
                text.push(char::from(DIGITS[usize::from(octet >> 4)]));
                text.push(char::from(DIGITS[usize::from(octet & 15)]));
            }
        }
        Self(text.into())
    }

    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The octets that it stands for. They may be any, line ends and NUL among them.
    pub fn decode(&self) -> Vec<u8> {
        self.octets().collect()
    }

    /// The octets that it stands for, one by one.
    pub(super) fn octets(&self) -> impl Iterator<Item = u8> + '_ {
        let mut rest = self.0.bytes();
        std::iter::from_fn(move || match rest.next()? {
            // The constructors let no other `+` in.
            b'+' => Some(digit(rest.next()?)? << 4 | digit(rest.next()?)?),
            octet => Some(octet),
        })
    }
}

impl FromStr for Xtext {
    type Err = InvalidXtext;

    fn from_str(text: &str) -> Result<Self, InvalidXtext> {
        let mut rest = text.bytes();
        while let Some(octet) = rest.next() {
            let hexadecimal = octet == b'+'
                && rest.next().and_then(digit).is_some()
                && rest.next().and_then(digit).is_some();
            if !hexadecimal && !is_plain(octet) {
                return Err(InvalidXtext);
            }
        }
        Ok(Self(text.into()))
    }
}

impl PartialEq for Xtext {
    fn eq(&self, other: &Self) -> bool {
        self.octets().eq(other.octets())
    }
}

impl Eq for Xtext {}

impl Hash for Xtext {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.octets().for_each(|octet| state.write_u8(octet));
    }
}

impl fmt::Display for Xtext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Xtext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Xtext({})", self.0)
    }
}

/// xchar (RFC 3461 section 4): what stands for itself.
fn is_plain(octet: u8) -> bool {
    octet.is_ascii_graphic() && octet != b'+' && octet != b'='
}

/// Upper case alone: RFC 3461 section 4 gives `hexchar` no other.
fn digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s234_s301_what_is_no_xtext_is_refused() {
        for text in [
            "a+ZZ", "a+", "a+4", "a+4g", "a+2b", "a b", "a=b", "\u{e9}", "a\r", "\0", "+-1",
        ] {
            assert_eq!(text.parse::<Xtext>(), Err(InvalidXtext), "{text:?}");
        }
        let text: Xtext = "a+2Bb+3D+0D+0A".parse().unwrap();
        assert_eq!(text.decode(), b"a+b=\r\n");
        assert_eq!(text, Xtext::encode(b"a+b=\r\n"));
        assert_eq!("+61".parse::<Xtext>().unwrap(), Xtext::encode(b"a"));
    }

    #[test]
    fn an_xtext_is_compared_by_what_it_stands_for_and_shown_as_it_is() {
        let hashed = |text: &Xtext| {
            let mut hasher = std::hash::DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        let [plain, coded, other] = ["a", "+61", "b"].map(|text| text.parse::<Xtext>().unwrap());
        assert_eq!(hashed(&plain), hashed(&coded));
        assert_ne!(hashed(&plain), hashed(&other));
        assert_ne!(plain, other);
        assert_eq!(format!("{coded:?}"), "Xtext(+61)");
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_are_inverse(octets: Vec<u8>) {
            let text = Xtext::encode(&octets);
            prop_assert_eq!(text.decode(), octets);
            prop_assert_eq!(text.as_str().parse::<Xtext>().unwrap().to_string(), text.to_string());
        }

        #[test]
        fn what_parses_prints_the_same(text in "[a-c+=0-9A-F ]{0,12}") {
            if let Ok(xtext) = text.parse::<Xtext>() {
                prop_assert_eq!(xtext.to_string(), text);
                prop_assert_eq!(Xtext::encode(&xtext.decode()), xtext);
            }
        }
    }
}
