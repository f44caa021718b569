//! Which mechanisms there are, and what a caller must know of each before using it.

use super::{Credentials, InvalidCredentials, Proof, SaslError, ScramHash};

/// A SASL mechanism that this library has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mechanism {
    /// EXTERNAL (RFC 4422 appendix A): who the client is was shown by its TLS certificate.
    External,
    /// SCRAM-SHA-256-PLUS (RFC 7677): as SCRAM-SHA-256, bound to the TLS connection.
    ScramSha256Plus,
    /// SCRAM-SHA-1-PLUS (RFC 5802): as SCRAM-SHA-1, bound to the TLS connection.
    ScramSha1Plus,
    /// SCRAM-SHA-256 (RFC 7677): each side proves that it knows the password, or what was derived from it.
    ScramSha256,
    /// SCRAM-SHA-1 (RFC 5802): the same with an older hash.
    ScramSha1,
    /// CRAM-MD5 (RFC 2195): a digest of a challenge under the password. Obsolete: who reads along can try passwords at leisure,
    /// and the server has to know the password itself.
    CramMd5,
    /// OAUTHBEARER (RFC 7628): a token of OAuth 2.0.
    OauthBearer,
    /// XOAUTH2: the same in a form older than the RFC.
    Xoauth2,
    /// PLAIN (RFC 4616): one message with identity, user name and password.
    Plain,
    /// LOGIN (draft-murchison-sasl-login): user name and password, asked for one after the other. Obsolete, and still the only
    /// one that some servers and clients know.
    Login,
    /// ANONYMOUS (RFC 4505): no proof at all, but a word on who it may be.
    Anonymous,
}

impl Mechanism {
    /// All of them, the strongest first: those that are bound to the TLS connection, then those that do not show the server the
    /// secret, then those that do, then the one without any.
    pub const ALL: [Self; 11] = [
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::CramMd5,
        Self::OauthBearer,
        Self::Xoauth2,
        Self::Plain,
        Self::Login,
        Self::Anonymous,
    ];

    /// Those that are the same as another with a binding to the TLS connection.
    pub(crate) const PLUS: [Self; 2] = [Self::ScramSha256Plus, Self::ScramSha1Plus];

    /// The name as it is written after AUTH and in the reply to EHLO.
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::CramMd5 => "CRAM-MD5",
            Self::OauthBearer => "OAUTHBEARER",
            Self::Xoauth2 => "XOAUTH2",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// The mechanism of that name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Whether who reads along learns the password or token itself.
    pub fn sends_password_in_clear(self) -> bool {
        matches!(
            self,
            Self::Plain | Self::Login | Self::OauthBearer | Self::Xoauth2
        )
    }

    /// Whether the mechanism needs TLS around it: who reads along would learn the secret, or could try passwords against what was
    /// said (RFC 5802 section 9), or would find the session behind it open.
    pub fn needs_tls(self) -> bool {
        self != Self::Anonymous
    }

    /// Whether the mechanism is about this very TLS connection, so that none in clear can have it.
    pub fn is_bound_to_tls(self) -> bool {
        matches!(
            self,
            Self::External | Self::ScramSha256Plus | Self::ScramSha1Plus
        )
    }

    /// The hash of a SCRAM mechanism; `None` for all others.
    pub fn scram_hash(self) -> Option<ScramHash> {
        match self {
            Self::ScramSha256Plus | Self::ScramSha256 => Some(ScramHash::Sha256),
            Self::ScramSha1Plus | Self::ScramSha1 => Some(ScramHash::Sha1),
            _ => None,
        }
    }

    /// The mechanism that is the same with a binding to the TLS connection. `None` where there is none.
    pub fn with_channel_binding(self) -> Option<Self> {
        match self {
            Self::ScramSha256 => Some(Self::ScramSha256Plus),
            Self::ScramSha1 => Some(Self::ScramSha1Plus),
            _ => None,
        }
    }

    /// Whether the mechanism can say whom the user wants to act as. With one that cannot, an exchange that was given an
    /// authorization identity fails rather than drop it.
    pub fn carries_authorization_identity(self) -> bool {
        !matches!(
            self,
            Self::CramMd5 | Self::Xoauth2 | Self::Login | Self::Anonymous
        )
    }

    /// Whether credentials have what the mechanism needs.
    pub fn takes(self, credentials: &Credentials) -> bool {
        self.check(credentials).is_ok()
    }

    /// The same, with the reason.
    pub(super) fn check(self, credentials: &Credentials) -> Result<(), SaslError> {
        let (proof, what) = match self {
            Self::External => (Proof::Certificate, "a client certificate"),
            Self::OauthBearer | Self::Xoauth2 => (Proof::Token, "a token"),
            Self::Anonymous => (Proof::Nothing, "anonymous credentials"),
            _ => (Proof::Password, "a password"),
        };
        if credentials.proof() != proof {
            return Err(SaslError::Missing(what));
        }
        // Left unsaid, the user would act as somebody else than was asked for.
        if credentials.authorization_identity().is_some() && !self.carries_authorization_identity()
        {
            return Err(SaslError::NoAuthorizationIdentity);
        }
        if self.scram_hash().is_some() && credentials.prepared().is_none() {
            return Err(SaslError::Credentials(
                InvalidCredentials::UnpreparedPassword,
            ));
        }
        Ok(())
    }

    /// Whether a server's side of the mechanism needs a [`Nonce`](super::Nonce).
    pub fn needs_nonce(self) -> bool {
        self == Self::CramMd5 || self.scram_hash().is_some()
    }
}

/// Whether `name` can be that of a mechanism (RFC 4422 section 3.1): 1 to 20 capital letters, digits, hyphens and underscores.
pub(crate) fn is_mechanism_name(name: &str) -> bool {
    let fits = |octet| matches!(octet, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_');
    (1..=20).contains(&name.len()) && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_scram_each_has_one_that_is_bound_to_tls() {
        use Mechanism::{ScramSha1, ScramSha1Plus, ScramSha256, ScramSha256Plus};
        for mechanism in Mechanism::ALL {
            let bound = match mechanism {
                ScramSha256 => Some(ScramSha256Plus),
                ScramSha1 => Some(ScramSha1Plus),
                _ => None,
            };
            assert_eq!(mechanism.with_channel_binding(), bound);
        }
    }

    #[test]
    fn names_are_found_again_in_any_case() {
        for mechanism in Mechanism::ALL {
            assert!(is_mechanism_name(mechanism.name()));
            assert_eq!(Mechanism::from_name(mechanism.name()), Some(mechanism));
            assert_eq!(
                Mechanism::from_name(&mechanism.name().to_lowercase()),
                Some(mechanism)
            );
        }
        for name in ["", "PLAI", "PLAINX", "PLAIN ", "CRAM_MD5", "ＰＬＡＩＮ"] {
            assert_eq!(Mechanism::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_could_not_stand_in_a_command_are_none() {
        for name in [
            "",
            "a",
            "A B",
            "A\r\nQUIT",
            "ABCDEFGHIJKLMNOPQRSTU",
            "Ä",
            "A=",
        ] {
            assert!(!is_mechanism_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_mechanism_that_shows_the_secret_never_comes_before_one_that_does_not() {
        let shows = |m: &&Mechanism| m.sends_password_in_clear();
        let first_open = Mechanism::ALL.iter().position(|m| shows(&m)).unwrap();
        assert!(
            Mechanism::ALL[first_open..]
                .iter()
                .all(|m| m.sends_password_in_clear() || *m == Mechanism::Anonymous)
        );
        assert!(Mechanism::ALL.iter().filter(shows).all(|m| m.needs_tls()));
    }
}
