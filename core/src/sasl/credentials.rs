//! Who somebody says they are: user name, password, and whom they want to act as.

use super::{MAX_RESPONSE, Secret};

/// A user name with its password, and the authorization identity if one was given.
///
/// Checked when made: what is in here can be sent by every mechanism. The password is overwritten when dropped and never
/// printed.
#[derive(Debug, Clone)]
pub struct Credentials {
    authorization_identity: Option<String>,
    username: String,
    password: Secret,
}

impl Credentials {
    /// Credentials without an authorization identity. Refuses an empty user name or password, NUL in either (RFC 4616 section
    /// 2), CR and LF, and what is too long for one line.
    pub fn new(
        username: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Result<Self, InvalidCredentials> {
        let (username, password) = (username.into(), password.into());
        if username.is_empty() {
            return Err(InvalidCredentials::EmptyUsername);
        }
        if has_forbidden_octet(username.as_bytes()) {
            return Err(InvalidCredentials::UsernameOctet);
        }
        if password.expose().is_empty() {
            return Err(InvalidCredentials::EmptyPassword);
        }
        if has_forbidden_octet(password.expose()) {
            return Err(InvalidCredentials::PasswordOctet);
        }
        Self {
            authorization_identity: None,
            username,
            password,
        }
        .fitting()
    }

    /// The same credentials, asking to act as `identity`. Refuses an empty one, NUL, CR and LF, and what is too long for one
    /// line.
    pub fn with_authorization_identity(
        mut self,
        identity: impl Into<String>,
    ) -> Result<Self, InvalidCredentials> {
        let identity = identity.into();
        if identity.is_empty() {
            return Err(InvalidCredentials::EmptyAuthorizationIdentity);
        }
        if has_forbidden_octet(identity.as_bytes()) {
            return Err(InvalidCredentials::AuthorizationIdentityOctet);
        }
        self.authorization_identity = Some(identity);
        self.fitting()
    }

    /// Whom the user wants to act as (RFC 4422 section 3.4.1), if it was said. It may equal the user name. A server that does
    /// not check that the user may do so must refuse an identity that differs from [`username`](Self::username).
    pub fn authorization_identity(&self) -> Option<&str> {
        self.authorization_identity.as_deref()
    }

    /// The user whose password it is.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// Refuses what PLAIN, which says all in one message, could not put into one line.
    fn fitting(self) -> Result<Self, InvalidCredentials> {
        let identity = self.authorization_identity.as_ref().map_or(0, String::len);
        let message = [
            identity,
            1,
            self.username.len(),
            1,
            self.password.expose().len(),
        ];
        if message.into_iter().sum::<usize>() > MAX_RESPONSE {
            Err(InvalidCredentials::TooLong)
        } else {
            Ok(self)
        }
    }
}

/// Why credentials were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidCredentials {
    /// The user name is empty.
    #[error("the user name is empty")]
    EmptyUsername,
    /// The user name holds a forbidden octet.
    #[error("the user name holds NUL, CR or LF")]
    UsernameOctet,
    /// The password is empty, which RFC 4616 section 2 forbids and which some directories take for an anonymous login.
    #[error("the password is empty")]
    EmptyPassword,
    /// The password holds a forbidden octet.
    #[error("the password holds NUL, CR or LF")]
    PasswordOctet,
    /// The authorization identity is empty; to have none, give none.
    #[error("the authorization identity is empty")]
    EmptyAuthorizationIdentity,
    /// The authorization identity holds a forbidden octet.
    #[error("the authorization identity holds NUL, CR or LF")]
    AuthorizationIdentityOctet,
    /// All together do not fit into an AUTH line of 12,288 octets (RFC 4954 section 4).
    #[error("user name, password and authorization identity are too long for one line")]
    TooLong,
}

fn has_forbidden_octet(octets: &[u8]) -> bool {
    octets
        .iter()
        .any(|octet| matches!(octet, 0 | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(username: &str, password: &str) -> Option<InvalidCredentials> {
        Credentials::new(username, password).err()
    }

    #[test]
    fn c005_forbidden_octets_are_refused() {
        for name in ["a\0b", "a\rb", "a\nb", "\r\n", "\0"] {
            assert_eq!(
                refusal(name, "pw"),
                Some(InvalidCredentials::UsernameOctet),
                "{name:?}"
            );
            let credentials = Credentials::new("tim", "pw").unwrap();
            let refused = credentials.with_authorization_identity(name).err();
            assert_eq!(
                refused,
                Some(InvalidCredentials::AuthorizationIdentityOctet),
                "{name:?}"
            );
        }
        for password in ["a\0b", "a\rb", "a\nb"] {
            assert_eq!(
                refusal("tim", password),
                Some(InvalidCredentials::PasswordOctet),
                "{password:?}"
            );
        }
    }

    #[test]
    fn s216_nothing_may_be_empty() {
        assert_eq!(refusal("", "pw"), Some(InvalidCredentials::EmptyUsername));
        assert_eq!(refusal("tim", ""), Some(InvalidCredentials::EmptyPassword));
        let refused = Credentials::new("tim", "pw")
            .unwrap()
            .with_authorization_identity("")
            .err();
        assert_eq!(
            refused,
            Some(InvalidCredentials::EmptyAuthorizationIdentity)
        );
    }

    #[test]
    fn the_whole_must_fit_into_one_line() {
        let longest = "p".repeat(MAX_RESPONSE - 2 - 3);
        let credentials = Credentials::new("tim", longest.as_str()).unwrap();
        assert_eq!(
            credentials.with_authorization_identity("x").err(),
            Some(InvalidCredentials::TooLong)
        );
        assert_eq!(refusal("timm", &longest), Some(InvalidCredentials::TooLong));
    }

    #[test]
    fn debug_shows_the_user_and_not_the_password() {
        let credentials = Credentials::new("tim", "hunter2")
            .unwrap()
            .with_authorization_identity("kurt")
            .unwrap();
        let shown = format!("{credentials:?}{credentials:#?}");
        assert!(shown.contains("tim") && shown.contains("kurt"));
        assert!(
            !shown.contains("hunter2") && !shown.contains("104"),
            "{shown}"
        );
    }
}
