//! LOGIN (draft-murchison-sasl-login): the server asks for the user name, then for the password.

use std::mem;

use super::exchange::{ClientMechanism, ServerMechanism, Step};
use super::names::prepared_name;
use super::{Credentials, Mechanism, SaslError, Secret};

/// The question for the user name.
const FIRST_CHALLENGE: &[u8] = b"Username:";

/// The question for the password.
const SECOND_CHALLENGE: &[u8] = b"Password:";

/// The client's side. It answers by the order of the questions, since their wording differs from server to server.
pub(super) enum Client {
    Username(Credentials),
    Password(Secret),
    Over,
}

impl Client {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self::Username(credentials.clone())
    }
}

impl ClientMechanism for Client {
    fn name(&self) -> &str {
        Mechanism::Login.name()
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, SaslError> {
        match mem::replace(self, Self::Over) {
            Self::Username(credentials) => {
                *self = Self::Password(credentials.password().clone());
                Ok(Secret::new(credentials.username()))
            }
            Self::Password(password) => Ok(password),
            Self::Over => Err(SaslError::UnexpectedChallenge),
        }
    }

    fn is_complete(&self) -> bool {
        matches!(self, Self::Over)
    }
}

/// The server's side. An initial response is taken as the user name, as most clients and servers do.
#[derive(Debug, Default)]
pub(super) enum Server {
    #[default]
    Username,
    Password {
        username: String,
    },
    Over,
}

impl ServerMechanism for Server {
    fn first_challenge(&mut self) -> Option<Secret> {
        Some(Secret::new(FIRST_CHALLENGE))
    }

    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        match mem::replace(self, Self::Over) {
            Self::Username => {
                let username = str::from_utf8(response)
                    .map_err(|_| SaslError::Malformed("a user name is UTF-8 only"))?
                    .to_owned();
                *self = Self::Password { username };
                Ok(Step::Challenge(Secret::new(SECOND_CHALLENGE)))
            }
            // The password may be any octets: LOGIN is older than the wish that all text be UTF-8.
            Self::Password { username } => {
                let credentials = Credentials::new(prepared_name(&username)?, response)?;
                Ok(Step::Credentials(credentials))
            }
            Self::Over => Err(SaslError::UnexpectedResponse),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{
        ClientContext, ClientExchange, InvalidCredentials, ServerContext, ServerExchange, base64,
    };

    #[test]
    fn s218_the_questions_read_as_every_client_expects() {
        let mut server = ServerExchange::new(Mechanism::Login, &ServerContext::default()).unwrap();
        assert_eq!(
            base64::encode(server.first_challenge().unwrap().expose()).expose(),
            b"VXNlcm5hbWU6"
        );
        let Step::Challenge(second) = server.step(b"tim").unwrap() else {
            panic!("the password was not asked for")
        };
        assert_eq!(base64::encode(second.expose()).expose(), b"UGFzc3dvcmQ6");
        let Step::Credentials(got) = server.step(b"p\xe4ss").unwrap() else {
            panic!("asked a third time")
        };
        assert_eq!(
            (got.username(), got.password().expose()),
            ("tim", &b"p\xe4ss"[..])
        );
        assert_eq!(got.authorization_identity(), None);
    }

    #[test]
    fn s238_empty_or_broken_lines_are_refused() {
        let refused = |username: &[u8], password: &[u8]| {
            let mut server = Server::default();
            server
                .step(username)
                .and_then(|_| server.step(password))
                .err()
        };
        assert_eq!(
            refused(b"", b"pw"),
            Some(InvalidCredentials::EmptyUsername.into())
        );
        assert_eq!(
            refused(b"tim", b""),
            Some(InvalidCredentials::EmptyPassword.into())
        );
        assert_eq!(
            refused(b"t\0im", b"pw"),
            Some(InvalidCredentials::UsernameOctet.into())
        );
        assert_eq!(
            refused(b"tim", b"\0"),
            Some(InvalidCredentials::PasswordOctet.into())
        );
        assert_eq!(
            refused(b"t\xffm", b"pw"),
            Some(SaslError::Malformed("a user name is UTF-8 only"))
        );
        assert_eq!(refused(b"tim", b"pw"), None);
    }

    #[test]
    fn an_error_ends_the_exchange() {
        let mut server = Server::default();
        assert!(server.step(b"\xff").is_err());
        assert_eq!(
            server.step(b"tim").err(),
            Some(SaslError::UnexpectedResponse)
        );
    }

    #[test]
    fn an_authorization_identity_is_refused_rather_than_dropped() {
        let credentials = Credentials::new("Kurt", "pw")
            .unwrap()
            .with_authorization_identity("Ursel")
            .unwrap();
        let refused =
            ClientExchange::new(Mechanism::Login, &credentials, &ClientContext::default());
        assert_eq!(refused.err(), Some(SaslError::NoAuthorizationIdentity));
    }
}
