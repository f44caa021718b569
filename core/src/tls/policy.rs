//! When a client uses TLS.

use std::fmt;
use std::str::FromStr;

/// When a client uses TLS. It decides whether to encrypt, never whether to verify: wherever TLS begins, a failed handshake or a
/// wrong certificate is an error, and nothing falls back to clear.
///
/// ```
/// use mailwire::tls::TlsPolicy;
///
/// assert_eq!("required".parse(), Ok(TlsPolicy::Required));
/// assert_eq!(TlsPolicy::Auto.resolve(465, false), TlsPolicy::Implicit);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TlsPolicy {
    /// By port and credentials: implicit on 465, required on 587 or where credentials are given, else opportunistic.
    #[default]
    Auto,
    /// TLS from the first byte (RFC 8314 section 3.3), usual on port 465.
    Implicit,
    /// STARTTLS (RFC 3207), or an error before anything of the mail is sent.
    Required,
    /// STARTTLS where the server offers it, else in clear.
    Opportunistic,
    /// Never, not even where the server offers STARTTLS.
    None,
}

impl TlsPolicy {
    /// What [`Auto`](Self::Auto) comes to on this port; every other policy is itself. Never gives `Auto`.
    #[must_use]
    pub fn resolve(self, port: u16, has_credentials: bool) -> Self {
        match self {
            Self::Auto if port == 465 => Self::Implicit,
            Self::Auto if port == 587 || has_credentials => Self::Required,
            Self::Auto => Self::Opportunistic,
            other => other,
        }
    }

    /// The name by which it is written in options and URLs: `auto`, `implicit`, `required`, `opportunistic`, `none`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Implicit => "implicit",
            Self::Required => "required",
            Self::Opportunistic => "opportunistic",
            Self::None => "none",
        }
    }
}

impl fmt::Display for TlsPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TlsPolicy {
    type Err = InvalidTlsPolicy;

    /// Takes a [`name`](Self::name), in lower case as it is written.
    fn from_str(text: &str) -> Result<Self, InvalidTlsPolicy> {
        [
            Self::Auto,
            Self::Implicit,
            Self::Required,
            Self::Opportunistic,
            Self::None,
        ]
        .into_iter()
        .find(|policy| policy.name() == text)
        .ok_or(InvalidTlsPolicy)
    }
}

/// A text is not the name of a [`TlsPolicy`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tls is one of auto, implicit, required, opportunistic, none")]
pub struct InvalidTlsPolicy;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_follows_the_decision_table() {
        for (port, credentials, expected) in [
            (465, false, TlsPolicy::Implicit),
            (465, true, TlsPolicy::Implicit),
            (587, false, TlsPolicy::Required),
            (587, true, TlsPolicy::Required),
            (25, false, TlsPolicy::Opportunistic),
            (25, true, TlsPolicy::Required),
            (2525, false, TlsPolicy::Opportunistic),
            (2525, true, TlsPolicy::Required),
        ] {
            assert_eq!(
                TlsPolicy::Auto.resolve(port, credentials),
                expected,
                "port {port}, credentials {credentials}"
            );
        }
    }

    #[test]
    fn a_stated_policy_is_not_changed_by_the_port() {
        for policy in [
            TlsPolicy::Implicit,
            TlsPolicy::Required,
            TlsPolicy::Opportunistic,
            TlsPolicy::None,
        ] {
            for port in [25, 465, 587] {
                assert_eq!(policy.resolve(port, true), policy);
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["auto", "implicit", "required", "opportunistic", "none"] {
            assert_eq!(
                name.parse::<TlsPolicy>().unwrap().to_string(),
                name.to_owned()
            );
        }
        for wrong in ["", "Auto", "starttls", "none "] {
            assert_eq!(wrong.parse::<TlsPolicy>(), Err(InvalidTlsPolicy));
        }
    }
}
