//! Every mechanism through the same two doors: what holds for all of them.

use proptest::prelude::*;

use super::prepare::{Use, prepare};
use super::*;

fn client_context() -> ClientContext {
    ClientContext::default()
        .with_nonce(Nonce::new([1; 18]))
        .with_channel_binding(ChannelBinding::Exporter([5; 32]))
        .with_server("mx.example.org", 587)
}

fn server_context() -> ServerContext {
    ServerContext::default()
        .with_nonce(Nonce::new([2; 18]))
        .with_channel_binding(Some([5; 32]), true)
        .with_host("mx.example.org")
        .with_certificate(Some(b"certificate".to_vec()))
}

/// Credentials of the kind that the mechanism takes.
fn credentials_for(mechanism: Mechanism) -> Credentials {
    [
        Credentials::new("tim", "hunter2").unwrap(),
        Credentials::with_token("tim", "hunter2").unwrap(),
        Credentials::with_certificate(),
        Credentials::anonymous("tim").unwrap(),
    ]
    .into_iter()
    .find(|credentials| mechanism.takes(credentials))
    .unwrap()
}

fn server(mechanism: Mechanism) -> ServerExchange {
    ServerExchange::new(mechanism, &server_context()).unwrap()
}

/// What a whole exchange came to on the server's side.
#[derive(Debug)]
enum End {
    Credentials(Credentials),
    Proven(Identity),
}

/// Lets the two sides talk until the server is content.
fn converse(
    mechanism: Mechanism,
    credentials: &Credentials,
    found: &Found,
    with_initial_response: bool,
) -> Result<End, SaslError> {
    let mut client = ClientExchange::new(mechanism, credentials, &client_context())?;
    let mut server = server(mechanism);
    assert_eq!(client.name(), mechanism.name());
    assert!(!client.is_complete());
    let initial = if with_initial_response {
        client.initial_response()
    } else {
        None
    };
    let mut step = if let Some(initial) = initial {
        server.initial_response(initial.expose())?
    } else {
        let first = server.first_challenge()?;
        server.step(client.respond(first.expose())?.expose())?
    };
    for _ in 0..5 {
        step = match step {
            Step::Challenge(challenge) => {
                server.step(client.respond(challenge.expose())?.expose())?
            }
            Step::Lookup(lookup) => {
                assert_eq!(lookup.username(), "tim");
                server.found(found.clone(), &Decoy::new([0; 32]))?
            }
            Step::Credentials(_) | Step::Proven(_) => {
                assert!(client.is_complete(), "{mechanism:?}");
                assert!(client.initial_response().is_none());
                assert!(server.step(b"more").is_err());
                return Ok(match step {
                    Step::Proven(identity) => End::Proven(identity),
                    Step::Credentials(credentials) => End::Credentials(credentials),
                    _ => unreachable!("matched above"),
                });
            }
        }
    }
    panic!("{mechanism:?} takes fewer steps")
}

#[test]
fn both_sides_understand_each_other() {
    let found = Found::Password(Secret::new("hunter2"));
    for mechanism in Mechanism::ALL {
        for with_initial_response in [true, false] {
            let credentials = credentials_for(mechanism);
            let end = converse(mechanism, &credentials, &found, with_initial_response);
            match end.unwrap() {
                End::Proven(identity) => assert_eq!(identity, Identity::new("tim", None)),
                End::Credentials(got) if mechanism == Mechanism::External => {
                    assert_eq!(got.username(), fingerprint(b"certificate"));
                }
                End::Credentials(got) => {
                    assert_eq!(got.username(), "tim");
                    assert!(got.password().same_as(credentials.password().expose()));
                    assert_eq!(got.proof(), credentials.proof());
                    assert_eq!(got.authorization_identity(), None);
                }
            }
        }
    }
}

#[test]
fn credentials_of_another_kind_are_refused() {
    for mechanism in Mechanism::ALL {
        for other in Mechanism::ALL {
            let credentials = credentials_for(other);
            let made = ClientExchange::new(mechanism, &credentials, &client_context());
            let same = credentials.proof() == credentials_for(mechanism).proof();
            assert_eq!(made.is_ok(), same, "{mechanism:?} {other:?}");
            assert_eq!(mechanism.takes(&credentials), same);
        }
    }
    // What SASLprep cannot prepare is no password for SCRAM, and still one for PLAIN.
    for password in [&b"a\tb"[..], b"\xff"] {
        let credentials = Credentials::new("tim", password).unwrap();
        assert!(!Mechanism::ScramSha256.takes(&credentials));
        assert!(Mechanism::Plain.takes(&credentials));
    }
}

#[test]
fn an_authorization_identity_is_carried_or_refused_and_never_dropped() {
    let found = Found::Password(Secret::new("hunter2"));
    for mechanism in Mechanism::ALL {
        let credentials = credentials_for(mechanism)
            .with_authorization_identity("kurt")
            .unwrap();
        let end = converse(mechanism, &credentials, &found, true);
        let carried = mechanism.carries_authorization_identity();
        assert_eq!(mechanism.takes(&credentials), carried);
        let identity = match end {
            Err(error) => {
                assert!(!carried && error == SaslError::NoAuthorizationIdentity);
                continue;
            }
            // OAuth's two mechanisms have one place for a name: it is whom to act as.
            Ok(End::Credentials(got)) if got.proof() == Proof::Token => got.username().to_owned(),
            Ok(End::Credentials(got)) => got.authorization_identity().unwrap().to_owned(),
            Ok(End::Proven(got)) => got.authorization_identity().unwrap().to_owned(),
        };
        assert!(carried && identity == "kurt", "{mechanism:?}");
    }
}

#[test]
fn c125_an_endless_row_of_challenges_is_an_error() {
    for mechanism in Mechanism::ALL {
        let credentials = credentials_for(mechanism);
        let mut client = ClientExchange::new(mechanism, &credentials, &client_context()).unwrap();
        let answered = (0..1000)
            .filter(|_| client.respond(b"again").is_ok())
            .count();
        assert!(answered <= 2, "{mechanism:?} answered {answered} times");
    }
}

#[test]
fn s208_only_cram_md5_refuses_an_initial_response() {
    for mechanism in Mechanism::ALL {
        let refused = server(mechanism).initial_response(b"foo").err();
        let expected = mechanism == Mechanism::CramMd5;
        assert_eq!(
            refused == Some(SaslError::NoInitialResponse),
            expected,
            "{mechanism:?}"
        );
    }
}

#[test]
fn what_needs_a_nonce_is_not_begun_without() {
    for mechanism in Mechanism::ALL {
        let context = ServerContext::default().with_certificate(Some(Vec::new()));
        let made = ServerExchange::new(mechanism, &context).is_ok();
        assert_eq!(made, !mechanism.needs_nonce(), "{mechanism:?}");
    }
}

#[test]
fn c124_s237_nothing_shows_the_secret() {
    for mechanism in Mechanism::ALL {
        let credentials = credentials_for(mechanism);
        let mut client = ClientExchange::new(mechanism, &credentials, &client_context()).unwrap();
        let mut server = server(mechanism);
        let mut shown = vec![format!(
            "{client:?}{server:?}{credentials:?}{:?}{:?}",
            client_context(),
            server_context()
        )];
        let mut challenge = server.first_challenge().unwrap();
        for _ in 0..4 {
            let response = client.respond(challenge.expose());
            shown.push(format!("{response:?}{client:?}"));
            let Ok(response) = response else { break };
            let step = server.step(response.expose());
            shown.push(format!("{step:?}{server:?}"));
            let step = match step {
                Ok(Step::Lookup(_)) => {
                    let found = Found::Password(Secret::new("hunter2"));
                    shown.push(format!("{found:?}"));
                    server.found(found, &Decoy::new([7; 32]))
                }
                step => step,
            };
            match step {
                Ok(Step::Challenge(next)) => challenge = next,
                _ => break,
            }
        }
        let shown = shown.concat();
        // Neither as text nor as a list of octets.
        assert!(
            !shown.contains("hunter2") && !shown.contains("104, 117"),
            "{shown}"
        );
    }
}

#[test]
fn errors_show_nothing_of_the_response() {
    for mechanism in Mechanism::ALL {
        for response in [
            &b"\0hunter2"[..],
            b"\0\0hunter2\0",
            b"\xffhunter2",
            b"",
            b"hunter2\r\n\0",
            b"n,,n=hunter2,r=",
            b"user=hunter2\x01auth=Bearer \x01\x01",
        ] {
            if let Err(error) = server(mechanism).step(response) {
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
fn s210_an_over_long_response_is_refused() {
    for mechanism in Mechanism::ALL {
        let refused = server(mechanism).step(&[b'a'; MAX_RESPONSE + 1]).err();
        assert_eq!(refused, Some(SaslError::TooLong));
    }
}

/// A mechanism of an application's own: the client repeats what the server says.
struct Echo(bool);

impl ClientMechanism for Echo {
    fn name(&self) -> &str {
        if self.0 { "X-ECHO" } else { "x echo" }
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        Ok(Secret::new(challenge))
    }

    fn is_complete(&self) -> bool {
        true
    }
}

#[test]
fn an_own_mechanism_has_a_name_that_can_stand_in_a_command() {
    assert!(ClientExchange::own(Box::new(Echo(false))).is_none());
    let mut client = ClientExchange::own(Box::new(Echo(true))).unwrap();
    assert_eq!(client.name(), "X-ECHO");
    assert!(client.initial_response().is_none() && client.failure().is_none());
    assert_eq!(client.respond(b"hey").unwrap().expose(), b"hey");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_octets_never_panic_and_prove_nothing(responses in proptest::collection::vec(
        proptest::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..40), 0..5
    )) {
        for mechanism in Mechanism::ALL {
            let mut server = server(mechanism);
            let mut client = ClientExchange::new(
                mechanism, &credentials_for(mechanism), &client_context()
            ).unwrap();
            for response in &responses {
                match server.step(response) {
                    Ok(Step::Proven(_)) => prop_assert!(false, "{:?} is proven by nothing", mechanism),
                    Ok(Step::Lookup(_)) => {
                        let found = server.found(Found::Nobody, &Decoy::new([0; 32]));
                        prop_assert!(!matches!(found, Ok(Step::Proven(_))));
                    }
                    Ok(Step::Challenge(challenge)) => {
                        prop_assert!(challenge.expose().len() < MAX_RESPONSE);
                    }
                    _ => {}
                }
                if let Ok(answer) = client.respond(response) {
                    prop_assert!(answer.expose().len() < 1000);
                }
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
        let prepared = |name: &str| prepare(name, Use::Query).map(String::from);
        let names = (prepared(&username), identity.as_deref().map(prepared));
        for mechanism in [Mechanism::Plain, Mechanism::Login] {
            if !mechanism.takes(&credentials) {
                continue;
            }
            let end = converse(mechanism, &credentials, &Found::Nobody, true);
            match (&names, end) {
                ((Some(name), None), Ok(End::Credentials(got))) => {
                    prop_assert_eq!(got.username(), name);
                    prop_assert_eq!(got.password().expose(), password.as_bytes());
                    prop_assert_eq!(got.authorization_identity(), None);
                }
                ((Some(name), Some(Some(identity))), Ok(End::Credentials(got))) => {
                    prop_assert_eq!(got.username(), name);
                    prop_assert_eq!(got.authorization_identity(), Some(identity.as_str()));
                }
                ((None, _) | (_, Some(None)), Err(SaslError::Credentials(_))) => {}
                (_, end) => prop_assert!(false, "{:?}", end),
            }
        }
    }
}
