//! What became of a case.

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

    /// What there is to say about it.
    pub fn remark(&self) -> &str {
        match self {
            Self::Conformant => "",
            Self::Inconclusive(remark) | Self::Latitude(remark) | Self::Not(remark) => remark,
        }
    }
}
