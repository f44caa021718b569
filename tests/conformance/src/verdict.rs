//! What became of a case.

use crate::template::Failure;

/// What became of a case, from best to worst.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As the row wants it.
    Conformant,
    /// It cannot be told here, and why.
    Inconclusive(String),
    /// Not as we do it, and allowed: how it was.
    Latitude(String),
    /// Not as the row wants it: what came instead.
    Not(String),
}

impl Verdict {
    /// In one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Conformant => "conformant",
            Self::Inconclusive(_) => "inconclusive",
            Self::Latitude(_) => "latitude",
            Self::Not(_) => "NOT",
        }
    }

    /// The same, saying for which text of the conversation it is so.
    #[must_use]
    pub fn with_text(self, each: Option<(&str, &str)>) -> Self {
        let Some((name, text)) = each else {
            return self;
        };
        let say = |remark: String| format!("{remark} ({{{name}}} is {text:.60})");
        match self {
            Self::Conformant | Self::Inconclusive(_) => self,
            Self::Latitude(remark) => Self::Latitude(say(remark)),
            Self::Not(remark) => Self::Not(say(remark)),
        }
    }

    /// What there is to say about it.
    pub fn remark(&self) -> &str {
        match self {
            Self::Conformant => "",
            Self::Inconclusive(remark) | Self::Latitude(remark) | Self::Not(remark) => remark,
        }
    }
}

/// Why a conversation ends before its last step.
pub(crate) enum Stop {
    /// All was seen that there was to see.
    Over,
    /// The verdict is fixed.
    With(Verdict),
}

pub(crate) type Next = Result<(), Stop>;

pub(crate) fn broken(what: impl Into<String>) -> Stop {
    Stop::With(Verdict::Not(what.into()))
}

pub(crate) fn inconclusive(what: impl Into<String>) -> Stop {
    Stop::With(Verdict::Inconclusive(what.into()))
}

/// A name that a foreign server was not described by makes a case inconclusive; anything else is a mistake in the case.
pub(crate) fn unknown(failure: &Failure) -> Verdict {
    match failure {
        Failure::Name(_) => Verdict::Inconclusive(failure.to_string()),
        Failure::Syntax(what) => Verdict::Not(what.clone()),
    }
}
