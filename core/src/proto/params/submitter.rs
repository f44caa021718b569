//! AUTH= on MAIL (RFC 4954 section 5): who first handed the message in.

use std::fmt;
use std::str::FromStr;

use crate::proto::xtext::{InvalidXtext, Xtext};

/// Who handed a message in, as far as those know who passed it on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Submitter {
    /// `<>`: nobody knows, or those who know are not trusted.
    Unknown,
    /// An identity, usually a mailbox.
    Known(Xtext),
}

impl Submitter {
    /// The identity, if it is known.
    pub fn identity(&self) -> Option<Vec<u8>> {
        match self {
            Self::Unknown => None,
            Self::Known(identity) => Some(identity.decode()),
        }
    }
}

impl FromStr for Submitter {
    type Err = InvalidXtext;

    /// Parses the value of the parameter.
    fn from_str(text: &str) -> Result<Self, InvalidXtext> {
        let identity: Xtext = text.parse()?;
        if identity.as_str().is_empty() {
            Err(InvalidXtext)
        } else if identity == Xtext::encode(b"<>") {
            Ok(Self::Unknown)
        } else {
            Ok(Self::Known(identity))
        }
    }
}

impl fmt::Display for Submitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("<>"),
            Self::Known(identity) => identity.fmt(f),
        }
    }
}
