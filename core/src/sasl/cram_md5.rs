//! CRAM-MD5 (RFC 2195): the client answers a challenge with its HMAC-MD5 under the password.
//!
//! The password is used octet by octet, as every other implementation does: the RFC knows no preparation.

use md5::Md5;

use super::exchange::{ClientMechanism, Found, Lookup, ServerMechanism, Step, Wanted};
use super::names::prepared_name;
use super::{Credentials, Decoy, Identity, Mechanism, SaslError, Secret, ServerContext, digest};

/// The client's side: one answer to one challenge.
pub(super) struct Client(Option<Credentials>);

impl Client {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self(Some(credentials.clone()))
    }
}

impl ClientMechanism for Client {
    fn name(&self) -> &str {
        Mechanism::CramMd5.name()
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        let credentials = self.0.take().ok_or(SaslError::UnexpectedChallenge)?;
        let digest = digest_of(credentials.password(), challenge);
        Ok(Secret::concat(&[
            credentials.username().as_bytes(),
            b" ",
            digest.as_bytes(),
        ]))
    }

    fn is_complete(&self) -> bool {
        self.0.is_none()
    }
}

/// The server's side.
pub(super) struct Server {
    challenge: Vec<u8>,
    state: State,
}

enum State {
    Start,
    Asked { username: String, digest: Vec<u8> },
    Over,
}

impl Server {
    pub(super) fn new(context: &ServerContext) -> Result<Self, SaslError> {
        let nonce = context
            .nonce
            .as_ref()
            .ok_or(SaslError::Missing("a nonce"))?;
        let host = if context.host.is_empty() {
            "localhost"
        } else {
            &context.host
        };
        // Section 2: in the form of a message identifier, and never the same twice.
        Ok(Self {
            challenge: format!("<{}@{host}>", nonce.as_str()).into_bytes(),
            state: State::Start,
        })
    }
}

impl ServerMechanism for Server {
    fn first_challenge(&mut self) -> Option<Secret> {
        Some(Secret::new(self.challenge.as_slice()))
    }

    fn takes_initial_response(&self) -> bool {
        false
    }

    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if !matches!(
            std::mem::replace(&mut self.state, State::Over),
            State::Start
        ) {
            return Err(SaslError::UnexpectedResponse);
        }
        // The user name may have spaces in it, the digest has none.
        let text = str::from_utf8(response)
            .map_err(|_| SaslError::Malformed("CRAM-MD5 takes UTF-8 only"))?;
        let (username, digest) = text.rsplit_once(' ').ok_or(SaslError::Malformed(
            "CRAM-MD5 takes a user name and a digest",
        ))?;
        let username = prepared_name(username)?;
        self.state = State::Asked {
            username: username.clone(),
            digest: digest.to_ascii_lowercase().into_bytes(),
        };
        Ok(Step::Lookup(Lookup::new(Wanted::Password, username, None)))
    }

    fn found(&mut self, found: Found, _: &Decoy) -> Result<Step, SaslError> {
        let State::Asked { username, digest } = std::mem::replace(&mut self.state, State::Over)
        else {
            return Err(SaslError::UnexpectedResponse);
        };
        let (password, genuine) = match found {
            Found::Password(password) => (password, true),
            Found::Keys(_) | Found::Nobody => (Secret::new("nobody"), false),
        };
        let right = Secret::new(digest_of(&password, &self.challenge)).same_as(&digest);
        if right & genuine {
            Ok(Step::Proven(Identity::new(username, None)))
        } else {
            Err(SaslError::Rejected("the digest is wrong"))
        }
    }
}

fn digest_of(password: &Secret, challenge: &[u8]) -> String {
    digest::hexadecimal(digest::hmac::<Md5>(password.expose(), &[challenge]).expose())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Nonce;

    const CHALLENGE: &[u8] = b"<1896.697170952@postoffice.reston.mci.net>";
    const RESPONSE: &[u8] = b"tim b913a602c7eda7a495b4e6e7334d3890";

    fn server() -> Server {
        Server {
            challenge: CHALLENGE.to_vec(),
            state: State::Start,
        }
    }

    fn ends(response: &[u8], found: Found) -> Result<Step, SaslError> {
        let mut server = server();
        match server.step(response)? {
            Step::Lookup(lookup) => assert_eq!(lookup.wanted(), Wanted::Password),
            step => panic!("{step:?}"),
        }
        server.found(found, &Decoy::new([0; 32]))
    }

    #[test]
    fn rfc_2195_section_2_example() {
        let mut client = Client::new(&Credentials::new("tim", "tanstaaftanstaaf").unwrap());
        assert!(client.initial_response().is_none() && !client.is_complete());
        assert_eq!(client.respond(CHALLENGE).unwrap().expose(), RESPONSE);
        assert!(client.is_complete());
        assert!(client.respond(CHALLENGE).is_err());
        let Ok(Step::Proven(identity)) = ends(RESPONSE, Found::Password("tanstaaftanstaaf".into()))
        else {
            panic!("not proven")
        };
        assert_eq!(identity, Identity::new("tim", None));
    }

    #[test]
    fn a_wrong_digest_and_nobody_are_rejected() {
        let rejected = Some(SaslError::Rejected("the digest is wrong"));
        assert_eq!(ends(RESPONSE, Found::Password("x".into())).err(), rejected);
        assert_eq!(ends(RESPONSE, Found::Nobody).err(), rejected);
        // The digest under what stands in for the password of nobody.
        let digest = digest_of(&"nobody".into(), CHALLENGE);
        let response = format!("tim {digest}");
        assert_eq!(ends(response.as_bytes(), Found::Nobody).err(), rejected);
        for response in [
            &b""[..],
            b"tim",
            b"tim\xff b913a602c7eda7a495b4e6e7334d3890",
        ] {
            assert!(matches!(
                server().step(response),
                Err(SaslError::Malformed(_))
            ));
        }
        assert!(server().step(b" b913").is_err());
    }

    #[test]
    fn s219_each_exchange_has_a_challenge_of_its_own() {
        let challenge = |octet| {
            let context = ServerContext::default()
                .with_nonce(Nonce::new([octet; 18]))
                .with_host("mx.example.org");
            let challenge = Server::new(&context).unwrap().first_challenge().unwrap();
            String::from_utf8(challenge.expose().to_vec()).unwrap()
        };
        assert_eq!(challenge(1), "<AQEBAQEBAQEBAQEBAQEBAQEB@mx.example.org>");
        assert_ne!(challenge(1), challenge(2));
        assert!(Server::new(&ServerContext::default()).is_err());
    }
}
