//! One exchange, whatever its mechanism: the client's side and the server's.

use super::{Credentials, MAX_RESPONSE, Mechanism, SaslError, Secret, login, plain};

/// The client's side of one exchange.
///
/// It says what the mechanism has to say and no more: a server that goes on asking gets an error, so an exchange ends after a
/// handful of steps.
#[derive(Debug)]
pub struct ClientExchange {
    mechanism: Mechanism,
    side: ClientSide,
}

#[derive(Debug)]
enum ClientSide {
    Plain(plain::Client),
    Login(login::Client),
}

impl ClientExchange {
    /// An exchange that has not begun. The password is copied, and overwritten with the exchange.
    pub fn new(mechanism: Mechanism, credentials: &Credentials) -> Self {
        let side = match mechanism {
            Mechanism::Plain => ClientSide::Plain(plain::Client::new(credentials)),
            Mechanism::Login => ClientSide::Login(login::Client::new(credentials)),
        };
        Self { mechanism, side }
    }

    /// The mechanism this exchange follows.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What may be sent along with the AUTH command, before it is base64. `None` if the server speaks first in this mechanism,
    /// or if the exchange has begun.
    ///
    /// Taking it is optional: where it would make the command too long (RFC 4954 section 4), it is given instead to the empty
    /// challenge by which the server asks for it.
    pub fn initial_response(&mut self) -> Option<Secret> {
        match &mut self.side {
            ClientSide::Plain(side) => side.message(),
            ClientSide::Login(_) => None,
        }
    }

    /// The response to a challenge, both without their base64. After an error the exchange is to be cancelled with `*`.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        // Neither mechanism reads its challenges: what PLAIN's holds is left open, and the words in LOGIN's differ by server.
        let _ = challenge;
        match &mut self.side {
            ClientSide::Plain(side) => side.message().ok_or(SaslError::UnexpectedChallenge),
            ClientSide::Login(side) => side.respond(),
        }
    }
}

/// The server's side of one exchange.
#[derive(Debug)]
pub struct ServerExchange {
    mechanism: Mechanism,
    side: ServerSide,
}

#[derive(Debug)]
enum ServerSide {
    Plain(plain::Server),
    Login(login::Server),
}

/// What the server does after a response.
#[derive(Debug)]
pub enum Step {
    /// Send this challenge, and give the response to [`ServerExchange::step`].
    Challenge(&'static [u8]),
    /// The exchange is over and this is what the client said. It was not verified.
    Credentials(Credentials),
}

impl ServerExchange {
    /// An exchange that has not begun.
    pub fn new(mechanism: Mechanism) -> Self {
        let side = match mechanism {
            Mechanism::Plain => ServerSide::Plain(plain::Server::default()),
            Mechanism::Login => ServerSide::Login(login::Server::default()),
        };
        Self { mechanism, side }
    }

    /// The mechanism this exchange follows.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// What to send if the AUTH command came without an initial response.
    pub fn first_challenge(&self) -> &'static [u8] {
        match self.mechanism {
            Mechanism::Plain => plain::FIRST_CHALLENGE,
            Mechanism::Login => login::FIRST_CHALLENGE,
        }
    }

    /// Takes a response, or the initial response, without its base64. An error ends the exchange.
    pub fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if response.len() > MAX_RESPONSE {
            return Err(SaslError::TooLong);
        }
        match &mut self.side {
            ServerSide::Plain(side) => side.step(response),
            ServerSide::Login(side) => side.step(response),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

    /// Lets the two sides talk until the server has credentials.
    fn converse(
        mechanism: Mechanism,
        credentials: &Credentials,
        with_initial_response: bool,
    ) -> Credentials {
        let mut client = ClientExchange::new(mechanism, credentials);
        let mut server = ServerExchange::new(mechanism);
        assert_eq!(
            (client.mechanism(), server.mechanism()),
            (mechanism, mechanism)
        );
        let initial = if with_initial_response {
            client.initial_response()
        } else {
            None
        };
        let mut response =
            initial.unwrap_or_else(|| client.respond(server.first_challenge()).unwrap());
        for _ in 0..3 {
            match server.step(response.expose()).unwrap() {
                Step::Challenge(challenge) => response = client.respond(challenge).unwrap(),
                Step::Credentials(got) => {
                    assert_eq!(
                        server.step(b"more").err(),
                        Some(SaslError::UnexpectedResponse)
                    );
                    assert_eq!(
                        client.respond(b"").err(),
                        Some(SaslError::UnexpectedChallenge)
                    );
                    assert!(client.initial_response().is_none());
                    return got;
                }
            }
        }
        panic!("{mechanism:?} takes at most two responses");
    }

    #[test]
    fn both_sides_understand_each_other() {
        let credentials = Credentials::new("tim", "tanstaaftanstaaf").unwrap();
        for mechanism in MECHANISMS {
            for with_initial_response in [true, false] {
                let got = converse(mechanism, &credentials, with_initial_response);
                assert_eq!(got.username(), "tim");
                assert_eq!(got.password().expose(), b"tanstaaftanstaaf");
                assert_eq!(got.authorization_identity(), None);
            }
        }
    }

    #[test]
    fn an_endless_row_of_challenges_is_an_error() {
        let credentials = Credentials::new("tim", "pw").unwrap();
        for mechanism in MECHANISMS {
            let mut client = ClientExchange::new(mechanism, &credentials);
            let answered = (0..1000)
                .filter(|_| client.respond(b"again").is_ok())
                .count();
            assert_eq!(answered, if mechanism == Mechanism::Plain { 1 } else { 2 });
        }
    }

    #[test]
    fn no_side_shows_the_password() {
        let credentials = Credentials::new("tim", "hunter2").unwrap();
        for mechanism in MECHANISMS {
            let mut client = ClientExchange::new(mechanism, &credentials);
            let mut server = ServerExchange::new(mechanism);
            let mut shown = vec![format!("{client:?}{server:?}")];
            for _ in 0..3 {
                let response = client.respond(b"");
                shown.push(format!("{response:?}{client:?}"));
                if let Ok(response) = response {
                    let step = server.step(response.expose());
                    shown.push(format!("{step:?}{server:?}"));
                }
            }
            let shown = shown.concat();
            assert!(shown.contains("tim"), "the test reached the credentials");
            // Neither as text nor as a list of octets.
            assert!(
                !shown.contains("hunter2") && !shown.contains("104, 117"),
                "{shown}"
            );
        }
    }

    #[test]
    fn errors_show_nothing_of_the_response() {
        for mechanism in MECHANISMS {
            for response in [
                &b"\0hunter2"[..],
                b"\0\0hunter2\0",
                b"\xffhunter2",
                b"",
                b"hunter2\r\n\0",
            ] {
                if let Err(error) = ServerExchange::new(mechanism).step(response) {
                    let shown = format!("{error} {error:?}");
                    assert!(
                        !shown.contains("hunter2") && !shown.contains("104"),
                        "{shown}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_over_long_response_is_refused() {
        for mechanism in MECHANISMS {
            let refused = ServerExchange::new(mechanism)
                .step(&[b'a'; MAX_RESPONSE + 1])
                .err();
            assert_eq!(refused, Some(SaslError::TooLong));
        }
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(responses in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..40), 0..5
        )) {
            for mechanism in MECHANISMS {
                let mut server = ServerExchange::new(mechanism);
                for response in &responses {
                    let _ = server.step(response);
                }
            }
        }

        #[test]
        fn any_valid_credentials_arrive(
            username in "[^\0\r\n]{1,40}", password in "[^\0\r\n]{1,40}", identity in proptest::option::of("[^\0\r\n]{1,40}")
        ) {
            let mut credentials = Credentials::new(username.as_str(), password.as_str()).unwrap();
            if let Some(identity) = &identity {
                credentials = credentials.with_authorization_identity(identity.as_str()).unwrap();
            }
            for mechanism in MECHANISMS.into_iter().filter(|m| identity.is_none() || m.carries_authorization_identity()) {
                let got = converse(mechanism, &credentials, true);
                prop_assert_eq!(got.username(), &username);
                prop_assert_eq!(got.password().expose(), password.as_bytes());
                prop_assert_eq!(got.authorization_identity(), identity.as_deref());
            }
        }
    }
}
