//! Names as a server hears them: prepared, so that one user has one name.

use super::InvalidCredentials;
use super::prepare::{Use, prepare};

/// Who a client has proven to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    username: String,
    authorization_identity: Option<String>,
}

impl Identity {
    /// A user, and whom it asks to act as, if it said so.
    pub fn new(username: impl Into<String>, authorization_identity: Option<String>) -> Self {
        Self {
            username: username.into(),
            authorization_identity,
        }
    }

    /// The user whose proof it was.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Whom the user asks to act as. Nothing says that it may.
    pub fn authorization_identity(&self) -> Option<&str> {
        self.authorization_identity.as_deref()
    }
}

/// A user name, prepared as a query (RFC 4013).
pub(super) fn prepared_name(name: &str) -> Result<String, InvalidCredentials> {
    if name.is_empty() {
        return Err(InvalidCredentials::EmptyUsername);
    }
    // Told apart from what SASLprep forbids too, since it is more likely an attack than a mistake.
    if name.contains(['\0', '\r', '\n']) {
        return Err(InvalidCredentials::UsernameOctet);
    }
    prepare(name, Use::Query)
        .map(Into::into)
        .ok_or(InvalidCredentials::UnpreparedName)
}

/// An authorization identity likewise. An empty one is none.
pub(super) fn prepared_identity(
    identity: Option<&str>,
) -> Result<Option<String>, InvalidCredentials> {
    match identity.filter(|identity| !identity.is_empty()) {
        None => Ok(None),
        Some(identity) if identity.contains(['\0', '\r', '\n']) => {
            Err(InvalidCredentials::AuthorizationIdentityOctet)
        }
        Some(identity) => prepare(identity, Use::Query)
            .map(|identity| Some(identity.into()))
            .ok_or(InvalidCredentials::UnpreparedName),
    }
}
