//! DSN (RFC 3461): what notices of success, failure and delay a sender wants, and what is to stand in them.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use crate::proto::address::is_hidden;
use crate::proto::limits;
use crate::proto::xtext::{InvalidXtext, Xtext};

/// RET (RFC 3461 section 4.3): how much of the message a notice of failure gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// All of it.
    Full,
    /// Its header.
    Headers,
}

/// ENVID (RFC 3461 section 4.4): the sender's name for the envelope, told in notices. At most 100 characters of xtext that stand
/// for printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnvelopeId(Xtext);

/// NOTIFY (RFC 3461 section 4.1): when notices are wanted about a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Notify(u8);

/// ORCPT (RFC 3461 section 4.2): the recipient as the sender first gave it, with the type of the address.
///
/// Addresses of the type `utf-8` (RFC 6533 section 3) may have letters outside ASCII, which need SMTPUTF8.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    text: Box<str>,
    semicolon: usize,
}

/// A text that is no original recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an original recipient is the type of an address, a semicolon, and the address in xtext; 500 characters at most"
)]
pub struct InvalidOriginalRecipient;

impl Ret {
    /// The value of the parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }

    /// The value of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Full, Self::Headers]
            .into_iter()
            .find(|ret| ret.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl EnvelopeId {
    /// The identifier that stands for this text of printable ASCII. `None` if it is empty, has something else, or is too long.
    pub fn new(text: &str) -> Option<Self> {
        Self::from_xtext(Xtext::encode(text.as_bytes()))
    }

    /// As it stands on the wire.
    pub fn as_xtext(&self) -> &Xtext {
        &self.0
    }

    /// The text that it stands for.
    pub fn text(&self) -> String {
        self.0.octets().map(char::from).collect()
    }

    fn from_xtext(xtext: Xtext) -> Option<Self> {
        let len = xtext.as_str().len();
        let fits = (1..=limits::ENVELOPE_ID).contains(&len) && is_printable(&xtext);
        fits.then_some(Self(xtext))
    }
}

impl FromStr for EnvelopeId {
    type Err = InvalidXtext;

    /// Parses the value of the parameter.
    fn from_str(text: &str) -> Result<Self, InvalidXtext> {
        Self::from_xtext(text.parse()?).ok_or(InvalidXtext)
    }
}

impl fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Notify {
    /// No notice at all.
    pub const NEVER: Self = Self(0);
    /// A notice once the message was delivered.
    pub const SUCCESS: Self = Self(1);
    /// A notice if it could not be.
    pub const FAILURE: Self = Self(1 << 1);
    /// A notice if it takes long.
    pub const DELAY: Self = Self(1 << 2);

    const NAMES: [(Self, &'static str); 3] = [
        (Self::SUCCESS, "SUCCESS"),
        (Self::FAILURE, "FAILURE"),
        (Self::DELAY, "DELAY"),
    ];

    /// These and `more`.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether all of `wanted` are among these; of NEVER, whether there are none.
    pub const fn has(self, wanted: Self) -> bool {
        if wanted.is_never() {
            self.is_never()
        } else {
            self.0 & wanted.0 == wanted.0
        }
    }

    /// Whether no notice is wanted.
    pub const fn is_never(self) -> bool {
        self.0 == 0
    }

    /// Parses the value of the parameter: NEVER alone, or each of the others at most once (RFC 3461 section 4.1).
    pub fn from_names(names: &str) -> Option<Self> {
        if names.eq_ignore_ascii_case("NEVER") {
            return Some(Self::NEVER);
        }
        names.split(',').try_fold(Self::NEVER, |all, name| {
            let (one, _) = Self::NAMES
                .iter()
                .find(|(_, known)| known.eq_ignore_ascii_case(name))?;
            (!all.has(*one)).then(|| all.with(*one))
        })
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() {
            return f.write_str("NEVER");
        }
        let mut names = Self::NAMES.iter().filter(|(one, _)| self.has(*one));
        if let Some((_, name)) = names.next() {
            f.write_str(name)?;
        }
        names.try_for_each(|(_, name)| write!(f, ",{name}"))
    }
}

impl OriginalRecipient {
    /// An address of the type `rfc822`, that is, a mailbox in ASCII; one in other letters gets the type `utf-8`.
    pub fn of_mailbox(mailbox: &str) -> Result<Self, InvalidOriginalRecipient> {
        if mailbox.is_ascii() {
            format!("rfc822;{}", Xtext::encode(mailbox.as_bytes())).parse()
        } else {
            let mut text = "utf-8;".to_owned();
            mailbox
                .chars()
                .for_each(|c| push(&mut text, c, is_plain(c)));
            text.parse()
        }
    }

    /// The type of the address, as given.
    pub fn address_type(&self) -> &str {
        &self.text[..self.semicolon]
    }

    /// The address, its encoding undone. `None` if it is no text.
    pub fn address(&self) -> Option<String> {
        let encoded = &self.text[self.semicolon + 1..];
        if self.is_utf8() {
            return decode_utf8(encoded);
        }
        String::from_utf8(encoded.parse::<Xtext>().ok()?.decode()).ok()
    }

    /// As it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is ASCII, so that it needs no SMTPUTF8.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// The same in ASCII: letters outside it are written as numbers (RFC 6533 section 3). `None` if that is too long.
    pub fn to_ascii(&self) -> Option<Self> {
        let mut text = String::with_capacity(self.text.len());
        self.text
            .chars()
            .for_each(|c| push(&mut text, c, c.is_ascii()));
        (text.len() <= limits::ORIGINAL_RECIPIENT).then(|| Self {
            text: text.into(),
            semicolon: self.semicolon,
        })
    }

    fn is_utf8(&self) -> bool {
        self.address_type().eq_ignore_ascii_case("utf-8")
    }
}

impl FromStr for OriginalRecipient {
    type Err = InvalidOriginalRecipient;

    /// Parses the value of the parameter.
    fn from_str(text: &str) -> Result<Self, InvalidOriginalRecipient> {
        let semicolon = text.find(';').ok_or(InvalidOriginalRecipient)?;
        let recipient = Self {
            text: text.into(),
            semicolon,
        };
        let (address_type, address) = (recipient.address_type(), &text[semicolon + 1..]);
        // RFC 3461 section 4.2: an atom of RFC 822 names the type.
        let type_fits = !address_type.is_empty()
            && address_type
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b));
        let address_fits = if recipient.is_utf8() {
            decode_utf8(address).is_some_and(|address| !address.chars().any(is_hidden))
        } else {
            address.parse().is_ok_and(|xtext| is_printable(&xtext))
        };
        if type_fits
            && address_fits
            && !address.is_empty()
            && text.len() <= limits::ORIGINAL_RECIPIENT
        {
            Ok(recipient)
        } else {
            Err(InvalidOriginalRecipient)
        }
    }
}

impl fmt::Display for OriginalRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// RFC 3461 sections 4.2 and 4.4: what the xtext stands for is printable ASCII, spaces included.
fn is_printable(xtext: &Xtext) -> bool {
    xtext.octets().all(|octet| (b' '..=b'~').contains(&octet))
}

/// utf-8-addr-xtext and utf-8-addr-unitext (RFC 6533 section 3): what stands for itself, or its number as `\x{…}`.
fn decode_utf8(mut text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    while let Some(c) = text.chars().next() {
        if c == '\\' {
            let (digits, rest) = text.strip_prefix("\\x{")?.split_once('}')?;
            let plain = digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let number = plain.then(|| u32::from_str_radix(digits, 16).ok())??;
            decoded.push(char::from_u32(number)?);
            text = rest;
        } else if is_plain(c) {
            decoded.push(c);
            text = &text[c.len_utf8()..];
        } else {
            return None;
        }
    }
    Some(decoded)
}

/// QCHAR (RFC 6533 section 3), and letters outside ASCII.
fn is_plain(c: char) -> bool {
    !c.is_ascii() || (c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\'))
}

/// Writes a character as itself, or as its number.
fn push(text: &mut String, c: char, itself: bool) {
    if itself {
        text.push(c);
    } else {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\x{{{:X}}}", u32::from(c));
    }
}
