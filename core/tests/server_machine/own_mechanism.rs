//! Mechanisms of an application's own: the question before one begins, what it comes to, and challenges that fit into no line.

use std::sync::{Arc, Mutex};

use mailwire::proto::server::OwnMechanism;
use mailwire::sasl::{Identity, SaslError, Secret, ServerMechanism, Step};

use crate::sasl::{OK, REFUSED, over_tls, tim, tls};
use crate::talk::{config, greeted};

/// A mechanism of the application's own: the client has to say the word, and is whoever it says next.
struct Word(Arc<Mutex<Vec<String>>>);

impl ServerMechanism for Word {
    fn first_challenge(&mut self) -> Option<Secret> {
        Some(Secret::new("the word?"))
    }

    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        let said = String::from_utf8_lossy(response).into_owned();
        self.0.lock().unwrap().push(said.clone());
        match said.strip_prefix("please ") {
            Some("root") => Ok(Step::Proven(Identity::new("tim", Some("root".to_owned())))),
            Some(name) => Ok(Step::Proven(Identity::new(name, None))),
            None => Err(SaslError::Rejected("not the word")),
        }
    }
}

#[test]
fn an_applications_own_mechanism() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let own = {
        let heard = Arc::clone(&heard);
        OwnMechanism::new("X-WORD", move |_| Box::new(Word(Arc::clone(&heard)))).unwrap()
    };
    assert!(OwnMechanism::new("x word", |_| unreachable!()).is_none());
    let (mut talk, offered) = over_tls(config().with_own_mechanism(own.clone()), tls());
    assert_eq!(offered, "X-WORD");
    talk.follow(&[
        "C: AUTH x-word bm93",
        "E: OwnMechanism",
        "A: accept",
        &format!("S: {REFUSED}"),
        "C: AUTH X-WORD",
        "E: OwnMechanism",
        "A: accept",
        "S: 334 dGhlIHdvcmQ/",
        "C: cGxlYXNlIHJvb3Q=",
        &format!("S: {REFUSED}"),
        "C: AUTH X-WORD",
        "E: OwnMechanism",
        "A: accept",
        "S: 334 dGhlIHdvcmQ/",
        "C: cGxlYXNlIHRpbQ==",
        &format!("S: {OK}"),
    ]);
    assert_eq!(talk.connection.user(), Some("tim"));
    assert_eq!(talk.connection.auth_failures(), 2);
    assert_eq!(*heard.lock().unwrap(), ["now", "please root", "please tim"]);
    let mut talk = greeted(config().with_own_mechanism(own.clone()));
    talk.follow(&[
        "C: AUTH X-WORD",
        "S: 538 5.7.11 Encryption required for this authentication mechanism",
    ]);
    let mut talk = greeted(config().with_own_mechanism(own.in_clear()));
    talk.follow(&[
        "C: AUTH X-WORD =x",
        "S: 501 5.5.2 Cannot decode the response",
        "C: AUTH X-WORD",
        "E: OwnMechanism",
        "A: 454 4.7.0 Later",
        "S: 454 4.7.0 Later",
    ]);
    talk.follow(&[
        "C: AUTH X-WORD",
        "E: OwnMechanism",
        "A: accept",
        "S: 334 dGhlIHdvcmQ/",
    ]);
}

/// One that names its user: `tim` with the right word, or else `kurt` with a wrong one.
struct Named(bool);

impl ServerMechanism for Named {
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        self.0 = response == b"tim";
        match response {
            b"tim" => Ok(Step::Proven(Identity::new("tim", None))),
            b"kurt" => Err(SaslError::Rejected("not the word")),
            _ => Err(SaslError::Malformed("no name")),
        }
    }

    fn username(&self) -> Option<&str> {
        Some(if self.0 { "tim" } else { "kurt" })
    }
}

#[test]
fn the_verdict_of_an_own_mechanism_that_names_its_user_is_asked_about_before_it_is_told() {
    let own = OwnMechanism::new("X-NAMED", |_| Box::new(Named(false))).unwrap();
    let mut talk = greeted(config().with_own_mechanism(own.in_clear()));
    let (right, wrong) = ("C: AUTH X-NAMED dGlt", "C: AUTH X-NAMED a3VydA==");
    let (refused, accepted) = (format!("S: {REFUSED}"), format!("S: {OK}"));
    let later = ["A: 454 4.7.0 Later", "S: 454 4.7.0 Later"];
    for (login, end) in [
        (right, &["E: OwnVerdict tim", later[0], later[1]][..]),
        (wrong, &["E: OwnVerdict kurt", later[0], later[1]]),
        // No verdict, but a mistake.
        (
            "C: AUTH X-NAMED eA==",
            &["S: 501 5.5.2 Cannot decode the response"],
        ),
        (wrong, &["E: OwnVerdict kurt", "A: accept", &refused]),
        (right, &["E: OwnVerdict tim", "A: accept", &accepted]),
    ] {
        let begin = [login, "E: OwnMechanism", "A: accept"];
        talk.follow(&[&begin, end].concat());
    }
    assert_eq!(talk.connection.user(), Some("tim"));
    assert_eq!(talk.connection.auth_failures(), 1);
}

/// A mechanism of the application's own whose challenges have so many octets.
struct Wordy(usize);

impl ServerMechanism for Wordy {
    fn first_challenge(&mut self) -> Option<Secret> {
        Some(Secret::new(vec![b'x'; self.0]))
    }

    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        Ok(match response {
            b"name" => Step::Credentials(tim()),
            _ => Step::Challenge(Secret::new(vec![b'x'; self.0])),
        })
    }

    fn refused(&mut self) -> Option<Secret> {
        self.first_challenge()
    }
}

#[test]
fn rfc_4954_section_4_a_challenge_that_fits_into_no_line_is_not_sent() {
    const LONGEST: usize = 12_288 / 4 * 3;
    let challenge = format!("S: 334 {}", "eHh4".repeat(LONGEST / 3));
    let refusal = "S: 535 5.7.8 no";
    let asked = "E: Auth \"\" tim pw";
    let wordy = |octets| {
        let own = OwnMechanism::new("X-WORDY", move |_| Box::new(Wordy(octets)));
        greeted(config().with_own_mechanism(own.unwrap().in_clear()))
    };
    wordy(LONGEST).follow(&[
        "C: AUTH X-WORDY",
        "E: OwnMechanism",
        "A: accept",
        &challenge,
        "C: AAAA",
        &challenge,
        "C: bmFtZQ==",
        asked,
        "A: 535 5.7.8 no",
        &challenge,
        "C: ",
        refusal,
    ]);
    let fault = "S: 451 4.3.0 Local error in processing";
    let noop = ["C: NOOP", "S: 250 2.0.0 OK"];
    let mut talk = wordy(LONGEST + 1);
    talk.follow(&["C: AUTH X-WORDY", "E: OwnMechanism", "A: accept", fault]);
    talk.follow(&noop);
    talk.follow(&[
        "C: AUTH X-WORDY AAAA",
        "E: OwnMechanism",
        "A: accept",
        fault,
    ]);
    talk.follow(&noop);
    talk.follow(&[
        "C: AUTH X-WORDY bmFtZQ==",
        "E: OwnMechanism",
        "A: accept",
        asked,
        "A: 535 5.7.8 no",
        refusal,
    ]);
    talk.follow(&noop);
}
