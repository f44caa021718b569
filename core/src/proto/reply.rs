//! Replies (RFC 5321 section 4.2) and enhanced status codes (RFC 3463): made by us, or gathered from a peer's lines.

mod gatherer;

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use super::limits;
use super::mask::Mask;

pub use gatherer::ReplyGatherer;
pub(super) use gatherer::push_readable;

/// A reply: a code, perhaps an enhanced status code, and one or more lines of text.
///
/// A reply that we make has only printable ASCII in its text. One that a peer sent is kept as UTF-8, with every control
/// character and every byte that is not UTF-8 written as `\xNN`; it is made ASCII should it ever be sent on.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedStatus>,
    /// Lines joined by LF, which no line holds.
    text: Text,
}

/// A text that costs nothing to copy: a reply of 64 KiB may be about thousands of recipients.
#[derive(Clone)]
enum Text {
    Fixed(&'static str),
    Shared(Arc<str>),
}

/// Why a reply cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReply {
    /// The code is not of the form that RFC 5321 section 4.2 gives it.
    #[error("{0} is no reply code: the first digit is 2 to 5, the second 0 to 5")]
    Code(u16),
    /// A line of text has something else than printable ASCII and tabs.
    #[error("the text of a reply is printable ASCII; {0:?} is not")]
    Character(char),
    /// A line of text is longer than [`limits::REPLY_TEXT`].
    #[error("a line of a reply has at most {} octets of text", limits::REPLY_TEXT)]
    TooLong,
    /// The enhanced status code's class is not the code's first digit (RFC 3463 section 2).
    #[error("the enhanced status code {enhanced} does not belong with code {code}")]
    Enhanced {
        /// The enhanced status code.
        enhanced: EnhancedStatus,
        /// The reply's code.
        code: u16,
    },
}

impl Reply {
    /// A reply of one line.
    pub fn new(code: u16, text: impl Into<Cow<'static, str>>) -> Result<Self, InvalidReply> {
        let text = text.into();
        check_code(code)?;
        check_text(&text)?;
        Ok(Self {
            code,
            enhanced: None,
            text: Text::new(text),
        })
    }

    /// A reply of several lines.
    pub fn multiline<S: AsRef<str>>(
        code: u16,
        lines: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidReply> {
        check_code(code)?;
        let mut text = String::new();
        for (index, line) in lines.into_iter().enumerate() {
            check_text(line.as_ref())?;
            if index > 0 {
                text.push('\n');
            }
            text.push_str(line.as_ref());
        }
        Ok(Self {
            code,
            enhanced: None,
            text: Text::Shared(text.into()),
        })
    }

    /// The same with an enhanced status code, whose class must be the code's first digit.
    pub fn with_enhanced(mut self, enhanced: EnhancedStatus) -> Result<Self, InvalidReply> {
        if u16::from(enhanced.class) != self.code / 100 {
            return Err(InvalidReply::Enhanced {
                enhanced,
                code: self.code,
            });
        }
        self.enhanced = Some(enhanced);
        Ok(self)
    }

    /// A reply that this library words itself. The tests of its users send every one of them through [`Reply::new`].
    pub(crate) const fn fixed(
        code: u16,
        enhanced: Option<(u8, u16, u16)>,
        text: &'static str,
    ) -> Self {
        let enhanced = match enhanced {
            Some((class, subject, detail)) => Some(EnhancedStatus {
                class,
                subject,
                detail,
            }),
            None => None,
        };
        Self {
            code,
            enhanced,
            text: Text::Fixed(text),
        }
    }

    /// The code: 200 to 559 as RFC 5321 section 4.2 has it, and that is what we can say. A peer may say up to 599, as some do with 571.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code.
    pub fn enhanced(&self) -> Option<EnhancedStatus> {
        self.enhanced
    }

    /// The text, its lines joined by LF, without codes.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines of the text.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.text.split('\n')
    }

    /// 2yz: done.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: go on.
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz: not now.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5yz: not like this.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// The same without the secrets that stand in its text.
    pub(super) fn hiding(&self, mask: &Mask) -> Self {
        match mask.hide(&self.text) {
            Cow::Borrowed(_) => self.clone(),
            Cow::Owned(text) => Self {
                text: Text::Shared(text.into()),
                ..*self
            },
        }
    }

    /// Appends the reply as it goes on the wire. `enhanced` says whether the enhanced status code is sent, which it is
    /// not in the greeting and in the replies to HELO, EHLO and LHLO (RFC 2034 section 4).
    pub fn write_to(&self, out: &mut Vec<u8>, enhanced: bool) {
        let digits = self.code.to_string();
        let mut lines = self.lines().peekable();
        while let Some(line) = lines.next() {
            out.extend_from_slice(digits.as_bytes());
            out.push(if lines.peek().is_some() { b'-' } else { b' ' });
            if let Some(status) = self.enhanced.filter(|_| enhanced) {
                out.extend_from_slice(status.to_string().as_bytes());
                out.push(b' ');
            }
            let plain = |b: u8| {
                if b == b'\t' || (b' '..=b'~').contains(&b) {
                    b
                } else {
                    b'?'
                }
            };
            out.extend(line.bytes().take(limits::REPLY_TEXT).map(plain));
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl fmt::Display for Reply {
    /// On one line, with the lines of the text joined by a space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.lines().filter(|line| !line.is_empty()) {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({:?})", self.to_string())
    }
}

impl Text {
    fn new(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Fixed(text),
            Cow::Owned(text) => Self::Shared(text.into()),
        }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Fixed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

fn check_code(code: u16) -> Result<(), InvalidReply> {
    // RFC 5321 section 4.2: Reply-code = %x32-35 %x30-35 %x30-39
    if (200..600).contains(&code) && code / 10 % 10 <= 5 {
        Ok(())
    } else {
        Err(InvalidReply::Code(code))
    }
}

fn check_text(text: &str) -> Result<(), InvalidReply> {
    if text.len() > limits::REPLY_TEXT {
        return Err(InvalidReply::TooLong);
    }
    match text
        .chars()
        .find(|&c| c != '\t' && !(' '..='~').contains(&c))
    {
        Some(c) => Err(InvalidReply::Character(c)),
        None => Ok(()),
    }
}

/// An enhanced status code (RFC 3463): `5.1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedStatus {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedStatus {
    /// From its three numbers: class 2, 4 or 5; subject and detail 0 to 999. `None` if they are others.
    pub fn new(class: u8, subject: u16, detail: u16) -> Option<Self> {
        (matches!(class, 2 | 4 | 5) && subject <= 999 && detail <= 999).then_some(Self {
            class,
            subject,
            detail,
        })
    }

    /// 2 success, 4 transient, 5 permanent.
    pub fn class(self) -> u8 {
        self.class
    }

    /// What it is about: 1 addressing, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 policy.
    pub fn subject(self) -> u16 {
        self.subject
    }

    /// Which of the subject's states.
    pub fn detail(self) -> u16 {
        self.detail
    }

    /// Parses `5.1.1` strictly: no leading zeros, nothing around it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| {
            let plain = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            (plain && (part == "0" || !part.starts_with('0')))
                .then(|| part.parse().ok())
                .flatten()
        });
        let (class, subject, detail): (u16, u16, u16) =
            (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_some() {
            return None;
        }
        Self::new(u8::try_from(class).ok()?, subject, detail)
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(line: &[u8]) -> Reply {
        ReplyGatherer::default().line(line).unwrap().unwrap()
    }

    fn hashed(reply: &Reply) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        reply.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn a_reply_of_ours_is_printable_ascii() {
        assert!(Reply::new(250, "fine\twith a tab").is_ok());
        for text in ["a\rb", "a\nb", "a\0b", "\u{7f}", "é"] {
            assert!(
                matches!(Reply::new(250, text), Err(InvalidReply::Character(_))),
                "{text:?}"
            );
        }
        for code in [0, 199, 260, 600, 999] {
            assert_eq!(Reply::new(code, "x"), Err(InvalidReply::Code(code)));
        }
        assert!(Reply::new(250, "x".repeat(limits::REPLY_TEXT)).is_ok());
        assert_eq!(
            Reply::new(250, "x".repeat(limits::REPLY_TEXT + 1)),
            Err(InvalidReply::TooLong)
        );
    }

    #[test]
    fn a_reply_is_shown_on_one_line() {
        let reply = Reply::multiline(550, ["no", "", "really"]).unwrap();
        assert_eq!(reply.to_string(), "550 no really");
        assert_eq!(format!("{reply:?}"), "Reply(\"550 no really\")");
        let status = EnhancedStatus::new(5, 7, 26).unwrap();
        let reply = Reply::new(550, "").unwrap().with_enhanced(status).unwrap();
        assert_eq!(reply.to_string(), "550 5.7.26");
    }

    #[test]
    fn an_enhanced_code_is_three_numbers() {
        for (text, numbers) in [
            ("2.0.0", (2, 0, 0)),
            ("5.7.26", (5, 7, 26)),
            ("4.999.999", (4, 999, 999)),
        ] {
            let status = EnhancedStatus::parse(text).unwrap();
            let parts = (status.class(), status.subject(), status.detail());
            assert_eq!(parts, numbers);
            assert_eq!(status.to_string(), text);
        }
        for text in [
            "",
            "5",
            "5.1",
            "5.1.1.1",
            "5..1",
            "5.+1.1",
            "5.01.1",
            "3.1.1",
            "5.1000.1",
            "5.1.1000",
            "5.1.70000",
            "261.1.1",
            " 5.1.1",
            "5.1.x",
        ] {
            assert_eq!(EnhancedStatus::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_code_of_ours_has_the_digits_of_the_rfc() {
        for (code, ours) in [
            (200, true),
            (259, true),
            (559, true),
            (560, false),
            (571, false),
        ] {
            assert_eq!(Reply::new(code, "x").is_ok(), ours, "{code}");
            assert_eq!(Reply::multiline(code, ["x"]).is_ok(), ours, "{code}");
        }
    }

    #[test]
    fn a_text_is_shared_by_all_copies_and_compared_by_what_it_says() {
        let fixed = Reply::fixed(250, None, "x");
        let made = Reply::new(250, String::from("x")).unwrap();
        let gathered = gathered(b"250 x");
        for reply in [&made, &gathered] {
            assert_eq!(*reply, fixed);
            assert_eq!(hashed(reply), hashed(&fixed));
            assert_eq!(reply.clone().text().as_ptr(), reply.text().as_ptr());
        }
        for other in ["y", ""] {
            assert_ne!(hashed(&made), hashed(&Reply::fixed(250, None, other)));
            assert_ne!(made, Reply::new(250, String::from(other)).unwrap());
            assert_ne!(made, Reply::fixed(250, None, other));
        }
    }

    #[test]
    fn an_enhanced_code_must_fit_its_reply() {
        let status = EnhancedStatus::new(5, 1, 1).unwrap();
        assert!(Reply::new(250, "x").unwrap().with_enhanced(status).is_err());
        let mut wire = Vec::new();
        let reply = Reply::multiline(550, ["no", "really"])
            .unwrap()
            .with_enhanced(status)
            .unwrap();
        reply.write_to(&mut wire, true);
        assert_eq!(wire, b"550-5.1.1 no\r\n550 5.1.1 really\r\n");
    }

    #[test]
    fn no_line_on_the_wire_is_longer_than_512() {
        let long = gathered(&[b"250 2.0.0 ".as_slice(), &b"x".repeat(4000)].concat());
        let mut wire = Vec::new();
        long.write_to(&mut wire, true);
        assert!(wire.len() <= 512, "{}", wire.len());
    }
}
