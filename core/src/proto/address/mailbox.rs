//! Mailboxes: `local-part@domain`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use super::{Domain, InvalidAddress, check_characters, domain};
use crate::proto::limits;

/// A mailbox: `local-part@domain`.
///
/// It prints as it was given. Two mailboxes are equal if they mean the same: their domains are equal as every [`Domain`] is,
/// and needless quoting of the local part does not count; the local part's case does (RFC 5321 section 2.4).
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Shared: an address is in the envelope, in what is sent of it and in the outcome.
    text: Arc<str>,
    at: usize,
    /// The domain's A-labels, where it was given in letters outside ASCII.
    a_labels: Option<Box<str>>,
}

impl Mailbox {
    /// The part before the `@`, quoted if it was given so.
    pub fn local_part(&self) -> &str {
        &self.text[..self.at]
    }

    /// The part behind the `@`, as given.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The domain in ASCII: as given, or in A-labels where it was given in letters outside ASCII (RFC 5891).
    pub fn domain_as_ascii(&self) -> &str {
        self.a_labels.as_deref().unwrap_or(self.domain())
    }

    /// Whether this domain is its own.
    pub fn is_at(&self, domain: &Domain) -> bool {
        domain::canonical(self.domain_as_ascii()) == domain::canonical(domain.as_ascii())
    }

    /// Whether the local part means exactly this: quoting does not count, case does.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn is_of(&self, name: &str) -> bool {
        unquoted(self.local_part()).eq(name.bytes())
    }

    /// The whole, as given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is ASCII, so that any server takes it. Others need SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.a_labels.is_none() && self.local_part().is_ascii()
    }

    /// The same mailbox in ASCII, with a domain in A-labels. `None` if the local part is not ASCII: there is no such form.
    pub fn to_ascii(&self) -> Option<Self> {
        self.local_part()
            .is_ascii()
            .then(|| self.with_ascii_domain())
    }

    /// The same mailbox with its domain in ASCII; the local part stays as it is.
    pub(crate) fn with_ascii_domain(&self) -> Self {
        match &self.a_labels {
            None => self.clone(),
            Some(a_labels) => Self {
                text: format!("{}@{a_labels}", self.local_part()).into(),
                at: self.at,
                a_labels: None,
            },
        }
    }
}

impl FromStr for Mailbox {
    type Err = InvalidAddress;

    /// Parses `local-part@domain`. Both may have letters outside ASCII.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        check_characters(text)?;
        if text.is_empty() {
            return Err(InvalidAddress::Empty);
        }
        let at = local_part_end(text)?;
        if at > limits::LOCAL_PART {
            return Err(InvalidAddress::LocalPart("it is too long"));
        }
        let a_labels = domain::check(&text[at + 1..])?;
        Ok(Self {
            text: text.into(),
            at,
            a_labels,
        })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Mailbox {
    fn eq(&self, other: &Self) -> bool {
        domain::canonical(self.domain_as_ascii()) == domain::canonical(other.domain_as_ascii())
            && unquoted(self.local_part()).eq(unquoted(other.local_part()))
    }
}

impl Eq for Mailbox {}

impl Hash for Mailbox {
    fn hash<H: Hasher>(&self, state: &mut H) {
        unquoted(self.local_part()).for_each(|b| state.write_u8(b));
        state.write_u8(b'@');
        domain::canonical(self.domain_as_ascii()).hash(state);
    }
}

/// The index of the `@` that ends the local part, which is checked.
fn local_part_end(text: &str) -> Result<usize, InvalidAddress> {
    let bytes = text.as_bytes();
    if bytes[0] == b'"' {
        let mut index = 1;
        loop {
            match bytes.get(index) {
                None => return Err(InvalidAddress::LocalPart("the closing quote is missing")),
                Some(b'"') => break,
                // RFC 5321 section 4.1.2: quoted-pairSMTP is a backslash and a printable character.
                Some(b'\\') if matches!(bytes.get(index + 1), Some(b' '..=b'~')) => index += 2,
                Some(b'\\') => {
                    return Err(InvalidAddress::LocalPart(
                        "a backslash stands before nothing",
                    ));
                }
                Some(_) => index += 1,
            }
        }
        return match bytes.get(index + 1) {
            Some(b'@') => Ok(index + 1),
            Some(_) => Err(InvalidAddress::LocalPart(
                "the closing quote is not followed by @",
            )),
            None => Err(InvalidAddress::NoAt),
        };
    }
    let at = text.rfind('@').ok_or(InvalidAddress::NoAt)?;
    for atom in text[..at].split('.') {
        if atom.is_empty() {
            return Err(InvalidAddress::LocalPart(
                "dots stand between letters, not first, last or twice",
            ));
        }
        if !atom.bytes().all(is_atext) {
            return Err(InvalidAddress::LocalPart(
                "a character in it needs quoting, as \"like this\"@domain",
            ));
        }
    }
    Ok(at)
}

/// RFC 6531 section 3.3 adds all that is not ASCII; it was looked at already.
fn is_atext(b: u8) -> bool {
    b.is_ascii_alphanumeric() || !b.is_ascii() || b"!#$%&'*+-/=?^_`{|}~".contains(&b)
}

/// The octets that a local part stands for, quoting undone.
fn unquoted(local_part: &str) -> impl Iterator<Item = u8> + '_ {
    let inside = local_part
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let mut escaped = false;
    inside.unwrap_or(local_part).bytes().filter(move |&b| {
        escaped = inside.is_some() && b == b'\\' && !escaped;
        !escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mailboxes_print_as_they_were_given() {
        for text in [
            "a@b",
            "a.b+c@Example.ORG",
            "\"a b\"@example.org",
            "\"a@b>\\\"c\"@example.org",
            "user@[192.0.2.1]",
            "user@[IPv6:2001:db8::1]",
            "user@[tag:content]",
            "!#$%&'*+-/=?^_`{|}~@example.org",
        ] {
            assert_eq!(text.parse::<Mailbox>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        for text in [
            "",
            "a",
            "@b",
            "a@",
            ".a@b",
            "a.@b",
            "a..b@c",
            "a b@c",
            "a(comment)@b",
            "a@b c",
            "a@-b",
            "a@b-",
            "a@b..c",
            "\"a@b",
            "\"a\"b@c",
            "\"a\\ü\"@b",
            "a@[1.2.3]",
            "a@[IPv6:1.2.3.4]",
            "a@[1.2.3.4",
            "a> SIZE=1@b",
            "<a@b>",
            "a@b>",
            "a@b@c",
        ] {
            assert!(text.parse::<Mailbox>().is_err(), "{text:?}");
        }
        let with_local_part = |length| format!("{}@b", "a".repeat(length)).parse::<Mailbox>();
        assert!(with_local_part(limits::LOCAL_PART).is_ok());
        assert!(with_local_part(limits::LOCAL_PART + 1).is_err());
        assert!(
            format!("a@{}", "b.".repeat(128))
                .parse::<Mailbox>()
                .is_err()
        );
    }

    #[test]
    fn control_characters_never_enter() {
        for c in ['\r', '\n', '\0', '\u{1b}', '\u{7f}', '\u{85}'] {
            for text in [
                format!("a{c}@b"),
                format!("\"a{c}\"@b"),
                format!("a@b{c}"),
                format!("{c}a@b"),
            ] {
                assert_eq!(
                    text.parse::<Mailbox>(),
                    Err(InvalidAddress::Control(c)),
                    "{text:?}"
                );
            }
        }
    }

    #[test]
    fn equality_is_by_meaning() {
        let equal = |a: &str, b: &str| a.parse::<Mailbox>() == b.parse::<Mailbox>();
        assert!(equal("a@EXAMPLE.org", "a@example.ORG"));
        assert!(equal("\"a\"@b", "a@b"));
        assert!(equal("a@[IPv6:2001:db8::1]", "a@[ipv6:2001:DB8:0::1]"));
        assert!(!equal("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::2]"));
        assert!(equal("\"\\a\"@b", "a@b"));
        assert!(!equal("A@b", "a@b"));
        assert!(!equal("\"a\\\\b\"@c", "ab@c"));
    }

    #[test]
    fn a_mailbox_is_at_its_domain_however_that_is_written() {
        let is_at = |mailbox: &str, domain: &str| {
            let mailbox: Mailbox = mailbox.parse().unwrap();
            mailbox.is_at(&domain.parse().unwrap())
        };
        assert!(is_at("a@B.example", "b.EXAMPLE"));
        assert!(is_at("a@b\u{fc}cher.example", "xn--bcher-kva.example"));
        assert!(is_at("a@[IPv6:2001:db8::1]", "[IPv6:2001:db8:0::1]"));
        assert!(!is_at("a@c.b.example", "b.example"));
    }

    #[test]
    fn what_is_equal_hashes_alike_and_little_else_does() {
        let hash = |text: &str| {
            let mut hasher = std::hash::DefaultHasher::new();
            text.parse::<Mailbox>().unwrap().hash(&mut hasher);
            hasher.finish()
        };
        assert_eq!(hash("a@EXAMPLE.org"), hash("\"\\a\"@example.ORG"));
        assert_eq!(hash("a@bücher.example"), hash("a@xn--bcher-kva.example"));
        for other in ["A@example.org", "b@example.org", "a@example.net"] {
            assert_ne!(hash("a@example.org"), hash(other), "{other}");
        }
    }

    #[test]
    fn s299_letters_outside_ascii_are_kept_and_have_an_ascii_form_where_there_is_one() {
        let mailbox: Mailbox = "a@bücher.example".parse().unwrap();
        assert_eq!(mailbox.as_str(), "a@bücher.example");
        assert!(!mailbox.is_ascii());
        let ascii = mailbox.to_ascii().unwrap();
        assert_eq!(ascii.as_str(), "a@xn--bcher-kva.example");
        assert!(ascii.is_ascii());
        assert_eq!(ascii, mailbox);
        for text in ["ü@b", "\"ü\"@b", "ü.é@bücher.example"] {
            let mailbox: Mailbox = text.parse().unwrap();
            assert_eq!((mailbox.as_str(), mailbox.is_ascii()), (text, false));
            assert_eq!(mailbox.to_ascii(), None);
        }
        assert_eq!("\"ü\"@b".parse::<Mailbox>(), "ü@B".parse());
    }

    #[test]
    fn s296_what_hides_in_a_text_is_refused() {
        for c in [
            '\u{2028}', '\u{202e}', '\u{200f}', '\u{2066}', '\u{feff}', '\u{9f}', '\u{200b}',
        ] {
            for text in [
                format!("a{c}b@c"),
                format!("\"a{c}b\"@c"),
                format!("a@b{c}c"),
            ] {
                assert_eq!(
                    text.parse::<Mailbox>(),
                    Err(InvalidAddress::Control(c)),
                    "{text:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn what_parses_prints_the_same_and_equals_itself(text in "\\PC{0,12}|[\"@.<> a-c\\\\\u{e9}\u{4e2d}]{0,16}") {
            if let Ok(mailbox) = text.parse::<Mailbox>() {
                prop_assert_eq!(mailbox.to_string(), text);
                prop_assert_eq!(mailbox.as_str().parse::<Mailbox>().unwrap(), mailbox);
            }
        }
    }
}
