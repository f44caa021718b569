//! When and how soon a message is to be delivered: DELIVERBY (RFC 2852), FUTURERELEASE (RFC 4865) and MT-PRIORITY (RFC 6710).

use std::fmt;

use crate::proto::date_time::DateTime;
use crate::proto::limits;

/// BY (RFC 2852 section 4): until when the message is to be delivered, and what happens if it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliverBy {
    seconds: i32,
    mode: ByMode,
    trace: bool,
}

/// What happens to a message that was not delivered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByMode {
    /// `R`: it is returned.
    Return,
    /// `N`: its sender is notified, and delivery goes on.
    Notify,
}

/// HOLDFOR or HOLDUNTIL (RFC 4865 section 4): how long the message is to be held before it is sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// HOLDFOR: for so long.
    For(HoldFor),
    /// HOLDUNTIL: until then.
    Until(DateTime),
}

/// The seconds of HOLDFOR: 1 to 999 999 999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldFor(u32);

/// MT-PRIORITY (RFC 6710 section 4): −9, which can wait, to 9, which cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(i8);

impl DeliverBy {
    /// To be delivered within so many seconds. `None` if they are more than nine digits, or none are left for a message that is
    /// to be returned (RFC 2852 section 4).
    pub fn new(seconds: i32, mode: ByMode, trace: bool) -> Option<Self> {
        let fits =
            seconds.unsigned_abs() <= limits::SECONDS && (seconds > 0 || mode == ByMode::Notify);
        fits.then_some(Self {
            seconds,
            mode,
            trace,
        })
    }

    /// Seconds that are left. Zero and less: they have passed.
    pub fn seconds(self) -> i32 {
        self.seconds
    }

    /// What happens after that.
    pub fn mode(self) -> ByMode {
        self.mode
    }

    /// Whether the sender wants to be told of each hop that passes the message on to a server without this extension.
    pub fn trace(self) -> bool {
        self.trace
    }

    /// Parses the value of the parameter.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (seconds, mode) = text.split_once(';')?;
        let digits = seconds.strip_prefix(['+', '-']).unwrap_or(seconds);
        let plain = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let (mode, trace) = match mode.as_bytes() {
            [mode] => (mode, false),
            [mode, b'T' | b't'] => (mode, true),
            _ => return None,
        };
        let mode = match mode {
            b'R' | b'r' => ByMode::Return,
            b'N' | b'n' => ByMode::Notify,
            _ => return None,
        };
        Self::new(plain.then(|| seconds.parse().ok())??, mode, trace)
    }
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            ByMode::Return => 'R',
            ByMode::Notify => 'N',
        };
        let trace = if self.trace { "T" } else { "" };
        write!(f, "{};{mode}{trace}", self.seconds)
    }
}

impl HoldFor {
    /// Seven days.
    pub const WEEK: Self = Self(7 * 86400);

    /// So many seconds. `None` if they are none, or more than nine digits.
    pub fn new(seconds: u32) -> Option<Self> {
        (1..=limits::SECONDS)
            .contains(&seconds)
            .then_some(Self(seconds))
    }

    /// The seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// Parses a future-release-integer (RFC 4865 section 4): no leading zero.
    pub(in crate::proto) fn parse(text: &str) -> Option<Self> {
        let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
        Self::new(plain.then(|| text.parse().ok())??)
    }
}

impl fmt::Display for HoldFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Hold {
    /// The parameter's keyword.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::For(_) => "HOLDFOR",
            Self::Until(_) => "HOLDUNTIL",
        }
    }
}

impl fmt::Display for Hold {
    /// The parameter's value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(seconds) => seconds.fmt(f),
            Self::Until(time) => time.fmt(f),
        }
    }
}

impl Priority {
    /// A priority from −9 to 9; `None` outside.
    pub fn new(priority: i8) -> Option<Self> {
        (-9..=9).contains(&priority).then_some(Self(priority))
    }

    /// The number.
    pub fn get(self) -> i8 {
        self.0
    }

    /// Parses the value of the parameter: one digit, perhaps with a minus (RFC 6710 section 4).
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [digit @ b'0'..=b'9'] => Self::new((digit - b'0').cast_signed()),
            [b'-', digit @ b'1'..=b'9'] => Self::new(-(digit - b'0').cast_signed()),
            _ => None,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
