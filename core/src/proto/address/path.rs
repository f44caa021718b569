//! Paths: what stands between the angle brackets of MAIL and RCPT.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use super::{Domain, InvalidAddress, Mailbox};

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
    /// `<postmaster>`, without a domain.
    Postmaster(Postmaster),
    /// A mailbox.
    Mailbox(Mailbox),
}

/// The word `postmaster`. It prints in the case that it was given in, which has no meaning.
#[derive(Debug, Clone)]
pub struct Postmaster(Cow<'static, str>);

impl ReversePath {
    /// The mailbox, if it is not the null path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether it is ASCII, so that any server takes it.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }

    /// The same path in ASCII, with a domain in A-labels. `None` if the local part is not ASCII.
    pub fn to_ascii(&self) -> Option<Self> {
        match self {
            Self::Null => Some(Self::Null),
            Self::Mailbox(mailbox) => mailbox.to_ascii().map(Self::Mailbox),
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
            Self::Postmaster(postmaster) => &postmaster.0,
            Self::Mailbox(mailbox) => mailbox.as_str(),
        }
    }

    /// The mailbox, if it has a domain.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster(_) => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether it is ASCII, so that any server takes it.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }

    /// The same path in ASCII, with a domain in A-labels. `None` if the local part is not ASCII.
    pub fn to_ascii(&self) -> Option<Self> {
        match self {
            Self::Postmaster(postmaster) => Some(Self::Postmaster(postmaster.clone())),
            Self::Mailbox(mailbox) => mailbox.to_ascii().map(Self::Mailbox),
        }
    }
}

impl FromStr for ForwardPath {
    type Err = InvalidAddress;

    /// Parses a mailbox without angle brackets, or `postmaster` in any case.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text.eq_ignore_ascii_case("postmaster") {
            Ok(Self::Postmaster(Postmaster(Cow::Owned(text.to_owned()))))
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

impl Default for Postmaster {
    /// In small letters.
    fn default() -> Self {
        Self(Cow::Borrowed("postmaster"))
    }
}

impl PartialEq for Postmaster {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Postmaster {}

impl Hash for Postmaster {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Takes a path in angle brackets off the front of a command's argument: its inside, source route dropped
/// (RFC 5321 appendix C), and what follows the closing bracket. Quoted strings may hold brackets.
pub(in crate::proto) fn split_path(text: &str) -> Result<(&str, &str), InvalidAddress> {
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

/// `@a,@b:user@domain` is understood and becomes `user@domain`. A route leads to a mailbox alone (RFC 5321 section 4.1.2), not to the
/// null path or a postmaster without domain.
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
    if mailbox.contains('@') {
        Ok(mailbox)
    } else {
        Err(InvalidAddress::NoAt)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn s086_s095_paths_are_split_behind_their_bracket() {
        assert_eq!(split_path("<a@b> SIZE=1"), Ok(("a@b", " SIZE=1")));
        assert_eq!(split_path("<\"a>\\\"\"@b>x"), Ok(("\"a>\\\"\"@b", "x")));
        assert_eq!(split_path("<@x,@y.z:a@b>"), Ok(("a@b", "")));
        assert_eq!(split_path("<>"), Ok(("", "")));
        // Outside of quotes a backslash hides nothing.
        assert_eq!(split_path("<a\\>x>"), Ok(("a\\", "x>")));
        for text in ["a@b", "<a@b", "<@x,y:a@b>", "<@x a@b>", "<\"a>"] {
            assert!(split_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn s086_behind_a_source_route_there_is_neither_the_null_path_nor_a_bare_postmaster() {
        for text in ["<@x:>", "<@x,@y.z:>", "<@x:postmaster>", "<@x:PostMaster>"] {
            assert_eq!(split_path(text), Err(InvalidAddress::NoAt), "{text}");
        }
    }

    #[test]
    fn s084_the_postmaster_prints_as_given_and_is_always_the_same() {
        let given: ForwardPath = "PostMaster".parse().unwrap();
        assert_eq!(given.to_string(), "PostMaster");
        assert_eq!(given, ForwardPath::Postmaster(Postmaster::default()));
        assert_ne!(given, "postmaster@b".parse().unwrap());
    }

    #[test]
    fn the_null_path_is_empty_and_a_forward_path_never_is() {
        for text in ["", "<>"] {
            assert_eq!(text.parse(), Ok(ReversePath::Null));
            assert!(text.parse::<ForwardPath>().is_err());
        }
        assert_eq!(ReversePath::Null.to_string(), "");
    }

    proptest! {
        #[test]
        fn s086_a_source_route_leads_to_a_mailbox_or_nowhere(
            route in "@[a-c]{1,3}(,@[a-c]{1,3}(\\.[a-c])?){0,2}",
            end in "|postmaster|[a-c]{1,3}@[a-c]{1,3}|\"[> :,@]{0,3}\"@[a-c]|\\PC{0,6}|[\"@:,.<> a-c\\\\]{0,8}"
        ) {
            let path = format!("<{route}:{end}>");
            if end.parse::<Mailbox>().is_ok() {
                prop_assert_eq!(split_path(&path), Ok((end.as_str(), "")));
            } else if let Ok((other, "")) = split_path(&path) {
                prop_assert!(other.parse::<ReversePath>().is_err());
                prop_assert!(other.parse::<ForwardPath>().is_err());
            }
        }

        #[test]
        fn nothing_that_parses_can_break_a_line_or_leave_its_brackets(text in "\\PC{0,12}|[\"@.<> a-c\\\\\r\n\0\u{e9}]{0,16}") {
            if let Ok(path) = text.parse::<ForwardPath>() {
                let command = format!("<{path}> SIZE=1");
                prop_assert!(!command.chars().any(char::is_control));
                prop_assert_eq!(split_path(&command).unwrap(), (text.as_str(), " SIZE=1"));
                if let Some(ascii) = path.to_ascii() {
                    prop_assert!(ascii.is_ascii());
                    prop_assert_eq!(ascii, path);
                }
            }
        }
    }
}
