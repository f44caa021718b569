//! What can go wrong in an exchange. No message holds an octet of what was exchanged.

use super::InvalidCredentials;

/// Why an exchange cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// A line was not strict base64.
    #[error("the line is not valid base64")]
    NotBase64,
    /// A line or response was longer than RFC 4954 section 4 allows.
    #[error("the authentication line is too long")]
    TooLong,
    /// A response did not have the form its mechanism asks for; the text says which rule it broke.
    #[error("malformed response: {0}")]
    Malformed(&'static str),
    /// A response was well-formed, but holds a user name, password or authorization identity that cannot be one.
    #[error("unusable credentials: {0}")]
    Credentials(#[from] InvalidCredentials),
    /// The server asked again although the mechanism has nothing left to say.
    #[error("the server asked for more than the mechanism has to say")]
    UnexpectedChallenge,
    /// A response came although the exchange was over.
    #[error("a response came after the end of the exchange")]
    UnexpectedResponse,
    /// The credentials ask to act as somebody else, which the mechanism cannot express.
    #[error("the mechanism cannot carry an authorization identity")]
    NoAuthorizationIdentity,
}
