//! Who somebody says they are: user name, proof, and whom they want to act as.

use std::borrow::Cow;
use std::sync::Arc;

use super::prepare::{Use, prepare};
use super::salted::Salted;
use super::{MAX_RESPONSE, ScramHash, Secret, scram};

/// A user name with its proof, and the authorization identity if one was given.
///
/// Checked when made: what is in here can be sent by every mechanism of its kind, but for a token or name so long that what
/// OAUTHBEARER, XOAUTH2 or SCRAM put around it fits into no line. A password or token is overwritten when dropped
/// and never printed.
#[derive(Debug, Clone)]
pub struct Credentials {
    authorization_identity: Option<String>,
    username: String,
    proof: Proof,
    secret: Secret,
    /// What SCRAM has derived from the password; all clones share it.
    salted: Arc<Salted>,
}

/// What stands behind a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Proof {
    /// A password.
    Password,
    /// A bearer token of OAuth 2.0.
    Token,
    /// The certificate that the client showed in the TLS handshake.
    Certificate,
    /// Nothing: an anonymous user, who may have left a word on who it is.
    Nothing,
}

impl Credentials {
    /// A user name and its password, without an authorization identity. Refuses an empty user name or password, NUL in either (RFC
    /// 4616 section 2), CR and LF, and what is too long for one line.
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
        Self::of(Proof::Password, username, password).fitting()
    }

    /// A user name and a bearer token of OAuth 2.0 (RFC 6750), for OAUTHBEARER and XOAUTH2. Refuses an empty user name, NUL, CR
    /// and LF in it, and a token that is empty or has anything but visible ASCII.
    pub fn with_token(
        username: impl Into<String>,
        token: impl Into<Secret>,
    ) -> Result<Self, InvalidCredentials> {
        let username = username.into();
        if username.is_empty() {
            return Err(InvalidCredentials::EmptyUsername);
        }
        Self::heard_token(username, token.into())
    }

    /// What a server heard: with OAUTHBEARER the token alone may say whose it is.
    pub(super) fn heard_token(username: String, token: Secret) -> Result<Self, InvalidCredentials> {
        // The control character \x01 parts the fields of both mechanisms.
        if username.contains(['\0', '\x01', '\r', '\n']) {
            return Err(InvalidCredentials::UsernameOctet);
        }
        if token.expose().is_empty() || !token.expose().iter().all(u8::is_ascii_graphic) {
            return Err(InvalidCredentials::Token);
        }
        Self::of(Proof::Token, username, token).fitting()
    }

    /// The certificate of the TLS handshake, for EXTERNAL. Whose it is, the server knows; whom to act as may be asked for with
    /// [`with_authorization_identity`](Self::with_authorization_identity).
    pub fn with_certificate() -> Self {
        Self::of(Proof::Certificate, String::new(), Secret::new([]))
    }

    /// What a server heard: the user is known by the fingerprint of its certificate.
    pub(super) fn heard_certificate(fingerprint: String) -> Self {
        Self::of(Proof::Certificate, fingerprint, Secret::new([]))
    }

    /// No proof, for ANONYMOUS. `trace` is a mail address or another word on who it is, perhaps empty. Refuses more than 255
    /// characters and what RFC 4505 section 3 forbids, such as control characters.
    pub fn anonymous(trace: impl Into<String>) -> Result<Self, InvalidCredentials> {
        let trace = trace.into();
        if !super::anonymous::is_trace(&trace) {
            return Err(InvalidCredentials::Trace);
        }
        Ok(Self::of(Proof::Nothing, trace, Secret::new([])))
    }

    /// The same credentials, asking to act as `identity`. Refuses an empty one, NUL, CR and LF, with a token the control character
    /// \x01 too, and what is too long for one line.
    pub fn with_authorization_identity(
        mut self,
        identity: impl Into<String>,
    ) -> Result<Self, InvalidCredentials> {
        let identity = identity.into();
        if identity.is_empty() {
            return Err(InvalidCredentials::EmptyAuthorizationIdentity);
        }
        // What parts the fields of OAUTHBEARER must not come from within one.
        let parts_fields = self.proof == Proof::Token && identity.contains('\x01');
        if parts_fields || has_forbidden_octet(identity.as_bytes()) {
            return Err(InvalidCredentials::AuthorizationIdentityOctet);
        }
        self.authorization_identity = Some(identity);
        self.fitting()
    }

    /// What stands behind the user name.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// Whom the user wants to act as (RFC 4422 section 3.4.1), if it was said. It may equal the user name. A server that does
    /// not check that the user may do so must refuse an identity that differs from [`username`](Self::username).
    pub fn authorization_identity(&self) -> Option<&str> {
        self.authorization_identity.as_deref()
    }

    /// The user whose proof it is. What a server heard is prepared by SASLprep (RFC 4013).
    ///
    /// Of a token that a client sent without a user, it is empty; of a certificate that a server heard of, it is its
    /// [`fingerprint`](crate::sasl::fingerprint); of an anonymous user, it is the word on who it may be.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password or the token, octet by octet as it was given. Empty where there is neither: see [`proof`](Self::proof).
    pub fn password(&self) -> &Secret {
        &self.secret
    }

    /// User name and password as SCRAM wants them, prepared as a query (RFC 5802 section 5.1). `None` if they cannot be.
    pub(super) fn prepared(&self) -> Option<(Cow<'_, str>, Secret)> {
        let username = prepare(&self.username, Use::Query)?;
        Some((username, prepared_password(&self.secret, Use::Query)?))
    }

    /// What takes long of a client's answer to this challenge of SCRAM, to be done ahead of it on any thread. `None` if there is
    /// nothing to do.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the client with I/O asks for it")
    )]
    pub(crate) fn salting(
        &self,
        hash: ScramHash,
        challenge: &[u8],
    ) -> Option<impl FnOnce() + Send + use<>> {
        scram::salting(self, hash, challenge)
    }

    pub(super) fn salted(&self) -> &Arc<Salted> {
        &self.salted
    }

    fn of(proof: Proof, username: String, secret: Secret) -> Self {
        Self {
            authorization_identity: None,
            username,
            proof,
            secret,
            salted: Arc::default(),
        }
    }

    /// Refuses what PLAIN, which says all in one message, could not put into one line.
    fn fitting(self) -> Result<Self, InvalidCredentials> {
        let identity = self.authorization_identity.as_ref().map_or(0, String::len);
        let message = [
            identity,
            1,
            self.username.len(),
            1,
            self.secret.expose().len(),
        ];
        if message.into_iter().sum::<usize>() > MAX_RESPONSE {
            Err(InvalidCredentials::TooLong)
        } else {
            Ok(self)
        }
    }
}

/// A password as SASLprep has it. `None` if it is not UTF-8 or cannot be prepared.
pub(super) fn prepared_password(password: &Secret, purpose: Use) -> Option<Secret> {
    let text = str::from_utf8(password.expose()).ok()?;
    prepare(text, purpose).map(|prepared| match prepared {
        Cow::Borrowed(text) => Secret::new(text),
        Cow::Owned(text) => Secret::new(text),
    })
}

/// A password as it is compared: as SASLprep has it, or octet by octet if it is not UTF-8. `None` if SASLprep forbids it.
#[cfg_attr(
    not(feature = "io"),
    allow(dead_code, reason = "the server with I/O asks for it")
)]
pub(crate) fn comparable_password(password: &Secret, purpose: Use) -> Option<Secret> {
    match str::from_utf8(password.expose()) {
        Ok(_) => prepared_password(password, purpose),
        Err(_) => Some(password.clone()),
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
    /// SASLprep (RFC 4013) forbids the user name or the authorization identity, or leaves nothing of it.
    #[error("SASLprep forbids the user name or authorization identity")]
    UnpreparedName,
    /// The password is empty, which RFC 4616 section 2 forbids and which some directories take for an anonymous login.
    #[error("the password is empty")]
    EmptyPassword,
    /// The password holds a forbidden octet.
    #[error("the password holds NUL, CR or LF")]
    PasswordOctet,
    /// SASLprep (RFC 4013) forbids the password, or leaves nothing of it.
    #[error("SASLprep forbids the password")]
    UnpreparedPassword,
    /// The token is empty, or holds a space, a control character or something outside ASCII.
    #[error("the token is empty or holds something else than visible ASCII")]
    Token,
    /// The word on who an anonymous user is has more than 255 characters or a forbidden one.
    #[error("the trace of an anonymous user has a forbidden character or is too long")]
    Trace,
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
    fn a_password_is_compared_as_saslprep_has_it_or_octet_by_octet() {
        let compared = |octets: &[u8]| {
            let secret = comparable_password(&Secret::new(octets), Use::Query);
            secret.map(|secret| secret.expose().to_vec())
        };
        assert_eq!(compared("I\u{ad}X".as_bytes()), Some(b"IX".to_vec()));
        assert_eq!(compared(b"\xff\xfe"), Some(b"\xff\xfe".to_vec()));
        assert_eq!(compared(b"a\x07"), None);
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

    #[test]
    fn c005_tokens_are_visible_ascii() {
        for token in ["", "a b", "a\x01", "a\r\n", "tök", "a\0"] {
            let refused = Credentials::with_token("tim", token).err();
            assert_eq!(refused, Some(InvalidCredentials::Token), "{token:?}");
        }
        for name in ["", "a\x01b", "a\rb", "\0"] {
            assert!(Credentials::with_token(name, "t").is_err(), "{name:?}");
            let credentials = Credentials::with_token("tim", "t").unwrap();
            let refused = credentials.with_authorization_identity(name);
            assert!(refused.is_err(), "{name:?}");
        }
        let credentials = Credentials::with_token("tim", "dG9rZW4=").unwrap();
        assert_eq!(credentials.proof(), Proof::Token);
        assert!(!format!("{credentials:?}").contains("dG9r"));
    }
}
