//! Which mechanisms there are, and what a caller must know of each before using it.

/// A SASL mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// PLAIN (RFC 4616): one message with identity, user name and password.
    Plain,
    /// LOGIN (draft-murchison-sasl-login): user name and password, asked for one after the other. Obsolete, and still the only
    /// one that some servers and clients know.
    Login,
}

impl Mechanism {
    /// The name as it is written after AUTH and in the reply to EHLO.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// The mechanism of that name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Plain, Self::Login]
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Whether who reads along learns the password, so that the mechanism needs TLS around it.
    pub fn sends_password_in_clear(self) -> bool {
        match self {
            Self::Plain | Self::Login => true,
        }
    }

    /// Whether the mechanism can say whom the user wants to act as. With one that cannot, an exchange that was given an
    /// authorization identity fails rather than drop it.
    pub fn carries_authorization_identity(self) -> bool {
        match self {
            Self::Plain => true,
            Self::Login => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_in_any_case() {
        for mechanism in [Mechanism::Plain, Mechanism::Login] {
            assert_eq!(Mechanism::from_name(mechanism.name()), Some(mechanism));
            assert_eq!(
                Mechanism::from_name(&mechanism.name().to_lowercase()),
                Some(mechanism)
            );
        }
        for name in ["", "PLAI", "PLAINX", "PLAIN ", "CRAM-MD5", "ＰＬＡＩＮ"] {
            assert_eq!(Mechanism::from_name(name), None, "{name}");
        }
    }
}
