//! What can go wrong in an exchange. No message holds an octet of what was exchanged, but for what the server says of a failure.

use super::InvalidCredentials;

/// Why an exchange cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// A line was not strict base64.
    #[error("the line is not valid base64")]
    NotBase64,
    /// A line or response was longer than RFC 4954 section 4 allows.
    #[error("the authentication line is too long")]
    TooLong,
    /// A message did not have the form its mechanism asks for; the text says which rule it broke.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// A response was well-formed, but holds a user name, password or authorization identity that cannot be one.
    #[error("unusable credentials: {0}")]
    Credentials(#[from] InvalidCredentials),
    /// A well-formed message does not prove what it should; the text says why.
    #[error("not proven: {0}")]
    Rejected(&'static str),
    /// Whether anything is proven cannot be told now. A server answers 454 (RFC 4954 section 6), also where a mechanism of the
    /// application's own has panicked.
    #[error("the mechanism cannot go on now")]
    Unavailable,
    /// What the server says about a failure, in printable characters and shortened.
    #[error("the server says: {0}")]
    Server(String),
    /// The server asked again although the mechanism has nothing left to say.
    #[error("the server asked for more than the mechanism has to say")]
    UnexpectedChallenge,
    /// A response came although the exchange was over.
    #[error("a response came after the end of the exchange")]
    UnexpectedResponse,
    /// The client sent an initial response where the server speaks first (RFC 4954 section 4).
    #[error("the mechanism takes no initial response")]
    NoInitialResponse,
    /// The credentials ask to act as somebody else, which the mechanism cannot express.
    #[error("the mechanism cannot carry an authorization identity")]
    NoAuthorizationIdentity,
    /// The mechanism needs something that was not given: another kind of credentials, a nonce, a TLS connection.
    #[error("the mechanism needs {0}")]
    Missing(&'static str),
}

/// The most characters that are kept of what a server says about a failure.
const MOST: usize = 500;

impl SaslError {
    /// What a server says about a failure. It is its word only: control characters are replaced, and the end is cut off.
    pub(super) fn server(said: &[u8]) -> Self {
        let said = String::from_utf8_lossy(&said[..said.len().min(4 * MOST)]);
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        Self::Server(said.chars().take(MOST).map(clean).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_cleaned_and_bounded() {
        let said = SaslError::server(b"{\"status\":\"400\"}\r\n\x1b[2J\xff");
        assert_eq!(
            said.to_string(),
            "the server says: {\"status\":\"400\"}   [2J\u{fffd}"
        );
        let SaslError::Server(long) = SaslError::server("ä".repeat(9000).as_bytes()) else {
            panic!("another kind of error")
        };
        assert_eq!(long.chars().count(), MOST);
    }
}
