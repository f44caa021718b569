//! AUTH with mechanisms of several steps, against servers that are honest and others.

use super::*;
use crate::sasl::{
    ChannelBinding, ClientContext, ClientExchange, ClientMechanism, Credentials, Decoy, Found,
    Mechanism, Nonce, SaslError, Secret, ServerContext, ServerExchange, Step, base64,
};

const EXPORTER: [u8; 32] = [6; 32];

fn client(mechanism: Mechanism, credentials: &Credentials) -> ClientExchange {
    let context = ClientContext::default()
        .with_nonce(Nonce::new([1; 18]))
        .with_channel_binding(ChannelBinding::Exporter(EXPORTER));
    ClientExchange::new(mechanism, credentials, &context).unwrap()
}

fn tim() -> Credentials {
    Credentials::new("tim", "pw").unwrap()
}

/// A client that has sent its AUTH command, and the command.
fn begun(mechanism: Mechanism, credentials: &Credentials) -> (Talk, String) {
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH x"]);
    talk.connection
        .auth(client(mechanism, credentials))
        .unwrap();
    let line = said(&mut talk);
    (talk, line)
}

/// The line that the client sends.
fn said(talk: &mut Talk) -> String {
    talk.flush();
    let line = String::from_utf8(std::mem::take(&mut talk.wire)).unwrap();
    line.strip_suffix("\r\n").expect("a line").to_owned()
}

/// What the client says to a challenge.
fn answer(talk: &mut Talk, challenge: &[u8]) -> String {
    let challenge = base64::encode(challenge);
    let challenge = str::from_utf8(challenge.expose()).unwrap();
    talk.feed(format!("334 {challenge}\r\n").as_bytes())
        .unwrap();
    said(talk)
}

/// Lets an honest server answer until it is content. Gives its last words to the mechanism, if the client did not cancel.
fn with_server(talk: &mut Talk, command: &str, mechanism: Mechanism) -> Result<(), SaslError> {
    let context = ServerContext::default()
        .with_nonce(Nonce::new([2; 18]))
        .with_channel_binding(Some(EXPORTER), true);
    let mut server = ServerExchange::new(mechanism, &context).unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(&words[..2], ["AUTH", mechanism.name()]);
    let mut step = match words.get(2) {
        Some(initial) => {
            let initial = base64::decode_initial_response(initial.as_bytes()).unwrap();
            server.initial_response(initial.expose())?
        }
        None => Step::Challenge(server.first_challenge()?),
    };
    loop {
        step = match step {
            Step::Challenge(challenge) => {
                let line = answer(talk, challenge.expose());
                server.step(base64::decode(line.as_bytes()).unwrap().expose())?
            }
            Step::Lookup(_) => {
                server.found(Found::Password(Secret::new("pw")), &Decoy::new([0; 32]))?
            }
            Step::Proven(_) | Step::Credentials(_) => return Ok(()),
        };
    }
}

#[test]
fn c115_each_mechanism_comes_to_its_end_and_only_then_a_success_is_believed() {
    for mechanism in Mechanism::ALL {
        let credentials = match mechanism {
            Mechanism::External => Credentials::with_certificate(),
            Mechanism::Anonymous => Credentials::anonymous("tim").unwrap(),
            Mechanism::OauthBearer | Mechanism::Xoauth2 => {
                Credentials::with_token("tim", "token").unwrap()
            }
            _ => tim(),
        };
        if mechanism == Mechanism::External {
            // The server's side would want a certificate.
            let (mut talk, line) = begun(mechanism, &credentials);
            assert_eq!(line, "AUTH EXTERNAL =");
            talk.script("S: 235 in\nE: auth 235");
            assert!(talk.connection.is_authenticated());
            continue;
        }
        let (mut talk, command) = begun(mechanism, &credentials);
        with_server(&mut talk, &command, mechanism).unwrap();
        talk.script("S: 235 in\nE: auth 235");
        assert!(talk.connection.is_authenticated(), "{mechanism:?}");
        assert_eq!(talk.connection.auth_failure(), None);
    }
}

#[test]
fn c116_a_success_before_the_servers_proof_is_a_violation() {
    let (mut talk, _) = begun(Mechanism::ScramSha256, &tim());
    talk.violates("235 in");
    let (mut talk, _) = begun(Mechanism::ScramSha256, &tim());
    answer(&mut talk, server_first("4096").as_bytes());
    talk.violates("235 in");
    assert!(!talk.connection.is_authenticated());
    // And behind a proof that is wrong.
    let (mut talk, _) = begun(Mechanism::ScramSha256, &tim());
    answer(&mut talk, server_first("4096").as_bytes());
    assert_eq!(answer(&mut talk, b"v=AAAA"), "*");
    talk.violates("235 in");
    let failure = talk.connection.auth_failure().unwrap().to_string();
    assert!(failure.contains("does not know the password"), "{failure}");
}

fn server_first(iterations: &str) -> String {
    format!("r=AQEBAQEBAQEBAQEBAQEBAQEBxyz,s=c2FsdA==,i={iterations}")
}

#[test]
fn c113_c117_what_no_honest_server_says_is_cancelled_and_told() {
    for (challenge, reason) in [
        (server_first("4095"), "fewer than 4096"),
        (server_first("4000000000"), "more iterations"),
        ("r=abc,s=c2FsdA==,i=4096".to_owned(), "nonce"),
        ("e=other-error".to_owned(), "the server says: other-error"),
    ] {
        let (mut talk, _) = begun(Mechanism::ScramSha1, &tim());
        assert_eq!(answer(&mut talk, challenge.as_bytes()), "*", "{challenge}");
        talk.script("S: 501 cancelled\nE: auth 501");
        let failure = talk.connection.auth_failure().unwrap().to_string();
        assert!(failure.contains(reason), "{failure}");
    }
    let (mut talk, _) = begun(Mechanism::CramMd5, &tim());
    talk.script("S: 334 !!!\nC: *\nS: 501 cancelled\nE: auth 501");
    assert_eq!(talk.connection.auth_failure(), Some(&SaslError::NotBase64));
    // The next attempt has its own.
    talk.connection
        .auth(client(Mechanism::Plain, &tim()))
        .unwrap();
    talk.script("C: AUTH PLAIN AHRpbQBwdw==\nS: 535 no\nE: auth 535");
    assert_eq!(talk.connection.auth_failure(), None);
}

#[test]
fn c120_c121_a_refused_token_is_acknowledged_and_told() {
    let credentials = Credentials::with_token("tim", "token").unwrap();
    for (mechanism, line) in [(Mechanism::OauthBearer, "AQ=="), (Mechanism::Xoauth2, "")] {
        let (mut talk, _) = begun(mechanism, &credentials);
        assert_eq!(answer(&mut talk, b"{\"status\":\"invalid_token\"}"), line);
        talk.script("S: 535 no\nE: auth 535");
        let failure = talk.connection.auth_failure().unwrap().to_string();
        assert_eq!(failure, "the server says: {\"status\":\"invalid_token\"}");
        let (mut talk, _) = begun(mechanism, &credentials);
        answer(&mut talk, b"{}");
        talk.violates("235 in");
        assert!(!talk.connection.is_authenticated());
    }
}

#[test]
fn c112_a_long_token_waits_for_the_question() {
    let token = "t".repeat(2000);
    let credentials = Credentials::with_token("tim", token.as_str()).unwrap();
    let (mut talk, command) = begun(Mechanism::Xoauth2, &credentials);
    assert_eq!(command, "AUTH XOAUTH2");
    talk.feed(b"334\r\n").unwrap();
    assert!(said(&mut talk).len() > 2000);
    talk.script("S: 235 in\nE: auth 235");
    assert!(talk.connection.is_authenticated());
}

#[test]
fn a_response_that_fits_into_no_line_is_not_sent() {
    let longest = crate::sasl::MAX_RESPONSE - "tim".len() - 2;
    let token = "t".repeat(longest);
    let credentials = Credentials::with_token("tim", token.as_str()).unwrap();
    let (mut talk, _) = begun(Mechanism::Xoauth2, &credentials);
    assert_eq!(answer(&mut talk, b""), "*");
    talk.script("S: 501 cancelled\nE: auth 501");
    assert_eq!(talk.connection.auth_failure(), Some(&SaslError::TooLong));
    // With what the mechanism adds, so much fits.
    let around = "user=\x01auth=Bearer \x01\x01".len() - 2;
    let credentials = Credentials::with_token("tim", &token[around..]).unwrap();
    let (mut talk, _) = begun(Mechanism::Xoauth2, &credentials);
    assert_eq!(answer(&mut talk, b"").len(), base64::MAX_ENCODED);
    talk.script("S: 235 in\nE: auth 235");
}

/// A mechanism that answers whatever it is asked, and believes every success.
struct Patient;

impl ClientMechanism for Patient {
    fn name(&self) -> &'static str {
        "X-PATIENT"
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, SaslError> {
        Ok(Secret::from("yes"))
    }

    fn is_complete(&self) -> bool {
        true
    }
}

#[test]
fn c125_no_exchange_has_more_steps_than_the_limit() {
    for (steps, last) in [(limits::AUTH_STEPS, "eWVz"), (limits::AUTH_STEPS + 1, "*")] {
        let mut talk = Talk::ready(Protocol::Smtp, &["AUTH X-PATIENT"]);
        let exchange = ClientExchange::own(Box::new(Patient)).unwrap();
        talk.connection.auth(exchange).unwrap();
        assert_eq!(said(&mut talk), "AUTH X-PATIENT");
        let answers: Vec<String> = (0..steps).map(|_| answer(&mut talk, b"more")).collect();
        assert!(
            answers[..steps - 1]
                .iter()
                .all(|response| response == "eWVz")
        );
        assert_eq!(answers[steps - 1], last, "{steps} steps");
    }
}

#[test]
fn rfc_4954_section_4_a_challenge_may_have_12288_octets_and_no_other_reply() {
    let (mut talk, _) = begun(Mechanism::Login, &tim());
    assert_eq!(
        answer(&mut talk, &[b'x'; crate::sasl::MAX_RESPONSE]),
        "dGlt"
    );
    let one_more = format!("334 {}", "A".repeat(base64::MAX_ENCODED + 1));
    assert!(matches!(
        talk.violates(&one_more),
        Violation::ReplyLineTooLong
    ));
    let longest = format!("235 {}\r\n", "x".repeat(limits::REPLY_LINE - 6));
    let (mut talk, _) = begun(Mechanism::Plain, &tim());
    talk.feed(longest.as_bytes()).unwrap();
    assert!(talk.connection.is_authenticated());
    // The exchange is over: the next replies are as short as others.
    talk.connection.noop().unwrap();
    said(&mut talk);
    talk.feed(longest.as_bytes()).unwrap();
    talk.connection.noop().unwrap();
    said(&mut talk);
    let one_more = longest.trim_end().replacen("235 ", "235 x", 1);
    assert!(matches!(
        talk.violates(&one_more),
        Violation::ReplyLineTooLong
    ));
}

#[test]
fn c122_c125_challenges_are_bounded() {
    let (mut talk, _) = begun(Mechanism::CramMd5, &tim());
    let huge = format!("334 {}", "A".repeat(1 << 20));
    assert!(matches!(talk.violates(&huge), Violation::ReplyLineTooLong));
    let (mut talk, _) = begun(Mechanism::Plain, &tim());
    assert_eq!(answer(&mut talk, b"more"), "*");
    talk.violates("334 ");
}
