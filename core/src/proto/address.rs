//! Mailboxes, domains and paths (RFC 5321 sections 4.1.2 and 4.1.3). What exists here may go on the wire as it is.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::limits;

/// A mailbox: `local-part@domain`.
///
/// It prints as it was given. Two mailboxes are equal if they mean the same: the domain's case does not count, nor does
/// needless quoting of the local part; the local part's case does (RFC 5321 section 2.4).
#[derive(Debug, Clone)]
pub struct Mailbox {
    text: Box<str>,
    at: usize,
}

/// A domain name, or an address literal such as `[192.0.2.1]`.
#[derive(Debug, Clone)]
pub struct Domain(Box<str>);

/// Where notices of failure go: a mailbox, or nowhere (`<>`, RFC 5321 section 4.5.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// The null reverse-path.
    Null,
    /// A mailbox.
    Mailbox(Mailbox),
}

/// Where a message goes: a mailbox, or the postmaster of the host that is spoken to (RFC 5321 section 4.1.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` in any case, without a domain.
    Postmaster,
    /// A mailbox.
    Mailbox(Mailbox),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddress {
    /// Nothing was given.
    #[error("the address is empty")]
    Empty,
    /// CR, LF, NUL or another control character, which could smuggle a command.
    #[error("an address must not contain the control character {0:?}")]
    Control(char),
    /// There is no `@`.
    #[error("an address has the form local-part@domain; the @ is missing")]
    NoAt,
    /// The local part is not a dot-string or a quoted string.
    #[error("the part before the @ is not valid: {0}")]
    LocalPart(&'static str),
    /// The domain is not one.
    #[error("the domain is not valid: {0}")]
    Domain(&'static str),
    /// There are letters outside ASCII, which need the SMTPUTF8 extension (RFC 6531).
    #[error(
        "letters outside ASCII in the address need SMTPUTF8, which this side does not support yet"
    )]
    NotAscii,
}

impl Mailbox {
    /// The part before the `@`, quoted if it was given so.
    pub fn local_part(&self) -> &str {
        &self.text[..self.at]
    }

    /// The part behind the `@`.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// The whole, as given.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Mailbox {
    type Err = InvalidAddress;

    /// Parses `local-part@domain`. A domain with letters outside ASCII becomes its A-labels (RFC 5891).
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return Err(InvalidAddress::Control(c));
        }
        if text.is_empty() {
            return Err(InvalidAddress::Empty);
        }
        let at = local_part_end(text)?;
        let local_part = &text[..at];
        if local_part.len() > limits::LOCAL_PART {
            return Err(InvalidAddress::LocalPart("it is too long"));
        }
        let domain: Domain = text[at + 1..].parse()?;
        let text = if domain.as_str() == &text[at + 1..] {
            text.into()
        } else {
            format!("{local_part}@{domain}").into()
        };
        Ok(Self { text, at })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Mailbox {
    fn eq(&self, other: &Self) -> bool {
        self.domain().eq_ignore_ascii_case(other.domain())
            && unquoted(self.local_part()).eq(unquoted(other.local_part()))
    }
}

impl Eq for Mailbox {}

impl Hash for Mailbox {
    fn hash<H: Hasher>(&self, state: &mut H) {
        unquoted(self.local_part()).for_each(|b| state.write_u8(b));
        state.write_u8(b'@');
        self.domain()
            .bytes()
            .for_each(|b| state.write_u8(b.to_ascii_lowercase()));
    }
}

impl Domain {
    /// The literal of an IP address: `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3).
    pub fn literal(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self(format!("[{v4}]").into()),
            IpAddr::V6(v6) => Self(format!("[IPv6:{v6}]").into()),
        }
    }

    /// As given, or as A-labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an address literal.
    pub fn is_literal(&self) -> bool {
        self.0.starts_with('[')
    }
}

impl FromStr for Domain {
    type Err = InvalidAddress;

    /// Parses a domain name or an address literal. Letters outside ASCII become A-labels (RFC 5891).
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return Err(InvalidAddress::Control(c));
        }
        if !text.is_ascii() {
            let ascii = idna::domain_to_ascii_strict(text)
                .map_err(|_| InvalidAddress::Domain("it is no internationalised domain name"))?;
            check_name(&ascii)?;
            return Ok(Self(ascii.into()));
        }
        match text.strip_prefix('[') {
            Some(rest) => check_literal(
                rest.strip_suffix(']')
                    .ok_or(InvalidAddress::Domain("the ] is missing"))?,
            )?,
            None => check_name(text)?,
        }
        Ok(Self(text.into()))
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Domain {}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ReversePath {
    /// The mailbox, if it is not the null path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl FromStr for ReversePath {
    type Err = InvalidAddress;

    /// Parses a mailbox without angle brackets; the empty text and `<>` are the null path.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text.is_empty() || text == "<>" {
            Ok(Self::Null)
        } else {
            text.parse().map(Self::Mailbox)
        }
    }
}

impl fmt::Display for ReversePath {
    /// Without angle brackets; the null path is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mailbox().map_or(Ok(()), |mailbox| mailbox.fmt(f))
    }
}

impl ForwardPath {
    /// The path without angle brackets.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Postmaster => "postmaster",
            Self::Mailbox(mailbox) => mailbox.as_str(),
        }
    }

    /// The mailbox, if it has a domain.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl FromStr for ForwardPath {
    type Err = InvalidAddress;

    /// Parses a mailbox without angle brackets, or `postmaster` in any case.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text.eq_ignore_ascii_case("postmaster") {
            Ok(Self::Postmaster)
        } else {
            text.parse().map(Self::Mailbox)
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Takes a path in angle brackets off the front of a command's argument: its inside, source route dropped
/// (RFC 5321 appendix C), and what follows the closing bracket. Quoted strings may hold brackets.
pub(super) fn split_path(text: &str) -> Result<(&str, &str), InvalidAddress> {
    let inside = text
        .strip_prefix('<')
        .ok_or(InvalidAddress::LocalPart("a path begins with <"))?;
    let mut quoted = false;
    let mut escaped = false;
    for (index, b) in inside.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Ok((without_route(&inside[..index])?, &inside[index + 1..])),
            _ => {}
        }
    }
    Err(InvalidAddress::LocalPart("a path ends with >"))
}

/// `@a,@b:user@domain` is understood and becomes `user@domain`.
fn without_route(path: &str) -> Result<&str, InvalidAddress> {
    if !path.starts_with('@') {
        return Ok(path);
    }
    let (route, mailbox) = path
        .split_once(':')
        .ok_or(InvalidAddress::LocalPart("a source route ends with :"))?;
    for hop in route.split(',') {
        let domain = hop
            .strip_prefix('@')
            .ok_or(InvalidAddress::Domain("a source route is @domain,@domain:"))?;
        domain.parse::<Domain>()?;
    }
    Ok(mailbox)
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
                Some(b) if b.is_ascii() => index += 1,
                Some(_) => return Err(InvalidAddress::NotAscii),
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
    if !text[..at].is_ascii() {
        return Err(InvalidAddress::NotAscii);
    }
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

fn is_atext(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b)
}

fn check_name(name: &str) -> Result<(), InvalidAddress> {
    if name.is_empty() {
        return Err(InvalidAddress::Domain("it is empty"));
    }
    if name.len() > limits::DOMAIN {
        return Err(InvalidAddress::Domain("it is too long"));
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(InvalidAddress::Domain(
                "a label between the dots has 1 to 63 characters",
            ));
        }
        // The underscore is not in RFC 5321's grammar; container and intranet hosts have it, and it can do no harm.
        if !label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Err(InvalidAddress::Domain(
                "it has letters, digits, hyphens and dots only",
            ));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(InvalidAddress::Domain(
                "a label does not begin or end with a hyphen",
            ));
        }
    }
    Ok(())
}

/// The inside of `[…]` (RFC 5321 section 4.1.3).
fn check_literal(inside: &str) -> Result<(), InvalidAddress> {
    if inside.len() > limits::DOMAIN {
        return Err(InvalidAddress::Domain("it is too long"));
    }
    let valid = match inside.split_once(':') {
        None => inside.parse::<Ipv4Addr>().is_ok(),
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPv6") => rest.parse::<Ipv6Addr>().is_ok(),
        Some((tag, rest)) => {
            let plain = |b: u8| (33..=90).contains(&b) || (94..=126).contains(&b);
            check_name(tag).is_ok() && !rest.is_empty() && rest.bytes().all(plain)
        }
    };
    if valid {
        Ok(())
    } else {
        Err(InvalidAddress::Domain(
            "the brackets hold no address, such as [192.0.2.1]",
        ))
    }
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
        assert!(
            format!("{}@b", "a".repeat(limits::LOCAL_PART + 1))
                .parse::<Mailbox>()
                .is_err()
        );
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
            assert!(format!("b{c}").parse::<Domain>().is_err());
        }
    }

    #[test]
    fn equality_is_by_meaning() {
        let equal = |a: &str, b: &str| a.parse::<Mailbox>() == b.parse::<Mailbox>();
        assert!(equal("a@EXAMPLE.org", "a@example.ORG"));
        assert!(equal("\"a\"@b", "a@b"));
        assert!(equal("\"\\a\"@b", "a@b"));
        assert!(!equal("A@b", "a@b"));
        assert!(!equal("\"a\\\\b\"@c", "ab@c"));
    }

    #[test]
    fn a_domain_outside_ascii_becomes_a_labels_and_a_local_part_outside_ascii_is_refused() {
        assert_eq!(
            "a@bücher.example".parse::<Mailbox>().unwrap().as_str(),
            "a@xn--bcher-kva.example"
        );
        assert_eq!("ü@b".parse::<Mailbox>(), Err(InvalidAddress::NotAscii));
        assert_eq!("\"ü\"@b".parse::<Mailbox>(), Err(InvalidAddress::NotAscii));
    }

    #[test]
    fn the_literal_of_an_address_parses() {
        for address in ["192.0.2.1", "2001:db8::1"] {
            let literal = Domain::literal(address.parse().unwrap());
            assert_eq!(literal.as_str().parse::<Domain>(), Ok(literal.clone()));
            assert!(literal.is_literal());
        }
    }

    #[test]
    fn paths_are_split_behind_their_bracket() {
        assert_eq!(split_path("<a@b> SIZE=1"), Ok(("a@b", " SIZE=1")));
        assert_eq!(split_path("<\"a>\\\"\"@b>x"), Ok(("\"a>\\\"\"@b", "x")));
        assert_eq!(split_path("<@x,@y.z:a@b>"), Ok(("a@b", "")));
        assert_eq!(split_path("<>"), Ok(("", "")));
        for text in ["a@b", "<a@b", "<@x,y:a@b>", "<@x a@b>", "<\"a>"] {
            assert!(split_path(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_parses_can_break_a_line_or_leave_its_brackets(text in "\\PC{0,12}|[\"@.<> a-c\\\\\r\n\0]{0,16}") {
            if let Ok(mailbox) = text.parse::<Mailbox>() {
                let command = format!("<{mailbox}> SIZE=1");
                prop_assert!(!command.chars().any(char::is_control));
                prop_assert_eq!(split_path(&command).unwrap(), (mailbox.as_str(), " SIZE=1"));
                prop_assert_eq!(mailbox.as_str().parse::<Mailbox>().unwrap(), mailbox);
            }
        }
    }
}
