//! PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd` in one message from the client.

use super::exchange::{ClientMechanism, ServerMechanism, Step};
use super::names::{prepared_identity, prepared_name};
use super::{Credentials, Mechanism, SaslError, Secret};

/// The client's side: one message, once.
#[derive(Debug)]
pub(super) struct Client {
    unsent: Option<Credentials>,
}

impl Client {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self {
            unsent: Some(credentials.clone()),
        }
    }
}

impl ClientMechanism for Client {
    fn name(&self) -> &str {
        Mechanism::Plain.name()
    }

    /// The message; `None` once it was given out.
    fn initial_response(&mut self) -> Option<Secret> {
        let credentials = self.unsent.take()?;
        let identity = credentials.authorization_identity().unwrap_or_default();
        let username = credentials.username().as_bytes();
        Some(Secret::concat(&[
            identity.as_bytes(),
            b"\0",
            username,
            b"\0",
            credentials.password().expose(),
        ]))
    }

    /// What the challenge holds is left open: it is taken for the question for the message.
    fn respond(&mut self, _: &[u8]) -> Result<Secret, SaslError> {
        self.initial_response()
            .ok_or(SaslError::UnexpectedChallenge)
    }

    fn is_complete(&self) -> bool {
        self.unsent.is_none()
    }
}

/// The server's side: one message, once.
#[derive(Debug, Default)]
pub(super) struct Server {
    over: bool,
}

impl ServerMechanism for Server {
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if self.over {
            return Err(SaslError::UnexpectedResponse);
        }
        self.over = true;
        // RFC 4616 section 2: all three parts are UTF-8, none holds NUL, and only the first may be empty.
        let message =
            str::from_utf8(response).map_err(|_| SaslError::Malformed("PLAIN takes UTF-8 only"))?;
        let mut parts = message.split('\0');
        let (Some(identity), Some(username), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SaslError::Malformed("PLAIN takes exactly two NULs"));
        };
        let mut credentials = Credentials::new(prepared_name(username)?, password)?;
        if let Some(identity) = prepared_identity(Some(identity))? {
            credentials = credentials.with_authorization_identity(identity)?;
        }
        Ok(Step::Credentials(credentials))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::InvalidCredentials;

    fn said(credentials: &Credentials) -> Vec<u8> {
        Client::new(credentials)
            .initial_response()
            .unwrap()
            .expose()
            .to_vec()
    }

    fn heard(message: &[u8]) -> Result<Credentials, SaslError> {
        Server::default().step(message).map(|step| match step {
            Step::Credentials(credentials) => credentials,
            step => panic!("PLAIN asks nothing: {step:?}"),
        })
    }

    #[test]
    fn rfc_4616_section_4_first_example() {
        let credentials = Credentials::new("tim", "tanstaaftanstaaf").unwrap();
        assert_eq!(said(&credentials), b"\0tim\0tanstaaftanstaaf");
        let got = heard(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!(
            (got.authorization_identity(), got.username()),
            (None, "tim")
        );
        assert!(got.password().same_as(b"tanstaaftanstaaf"));
    }

    #[test]
    fn rfc_4616_section_4_second_example_and_s217_keep_the_identity_apart() {
        let credentials = Credentials::new("Kurt", "xipj3plmq")
            .unwrap()
            .with_authorization_identity("Ursel")
            .unwrap();
        assert_eq!(said(&credentials), b"Ursel\0Kurt\0xipj3plmq");
        let got = heard(b"Ursel\0Kurt\0xipj3plmq").unwrap();
        assert_eq!(
            (got.authorization_identity(), got.username()),
            (Some("Ursel"), "Kurt")
        );
        assert_eq!(
            heard(b"tim\0tim\0pw").unwrap().authorization_identity(),
            Some("tim")
        );
    }

    #[test]
    fn s216_s236_malformed_messages_are_refused() {
        for message in [
            &b""[..],
            b"tim",
            b"tim\0pw",
            b"\0tim\0pw\0",
            b"\0\0tim\0pw",
            b"\0\0\0",
        ] {
            let refused = Some(SaslError::Malformed("PLAIN takes exactly two NULs"));
            assert_eq!(heard(message).err(), refused, "{}", message.escape_ascii());
        }
        for message in [&b"\0t\xffm\0pw"[..], b"\xc3\0tim\0pw", b"\0tim\0p\xe4ss"] {
            let refused = Some(SaslError::Malformed("PLAIN takes UTF-8 only"));
            assert_eq!(heard(message).err(), refused, "{}", message.escape_ascii());
        }
        assert_eq!(
            heard(b"\0\0pw").err(),
            Some(InvalidCredentials::EmptyUsername.into())
        );
        assert_eq!(
            heard(b"\0tim\0").err(),
            Some(InvalidCredentials::EmptyPassword.into())
        );
        let unprepared = Some(InvalidCredentials::UnpreparedName.into());
        for name in ["\u{AD}", "t\u{FFF9}m", "t\tm"] {
            assert_eq!(heard(format!("\0{name}\0pw").as_bytes()).err(), unprepared);
            assert_eq!(
                heard(format!("{name}\0tim\0pw").as_bytes()).err(),
                unprepared
            );
        }
        let got = heard("\0\u{2168}\0\u{2168}".as_bytes()).unwrap();
        assert_eq!(got.username(), "IX");
        assert_eq!(got.password().expose(), "\u{2168}".as_bytes());
        assert_eq!(
            heard(b"\0t\r\nim\0pw").err(),
            Some(InvalidCredentials::UsernameOctet.into())
        );
        assert_eq!(
            heard(b"\n\0tim\0pw").err(),
            Some(InvalidCredentials::AuthorizationIdentityOctet.into())
        );
    }
}
