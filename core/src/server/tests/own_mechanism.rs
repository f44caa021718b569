//! A mechanism of the application's own that panics: it costs its login, and nothing else.

use super::super::Hooks;
use super::Running;
use crate::sasl::{
    Credentials, Decoy, Found, Identity, Lookup, SaslError, Secret, ServerMechanism, Step, Wanted,
};

/// It panics where it is told to.
struct Panics(&'static str);

impl Panics {
    fn at(&self, place: &str) {
        if self.0 == place {
            // `resume_unwind` is a panic that prints nothing.
            std::panic::resume_unwind(Box::new(self.0))
        }
    }
}

impl ServerMechanism for Panics {
    fn first_challenge(&mut self) -> Option<Secret> {
        self.at("first_challenge");
        None
    }

    fn takes_initial_response(&self) -> bool {
        self.at("takes_initial_response");
        true
    }

    fn step(&mut self, _: &[u8]) -> Result<Step, SaslError> {
        self.at("step");
        Ok(match self.0 {
            "found" => Step::Lookup(Lookup::new(Wanted::Password, "tim", None)),
            "refused" => Step::Credentials(Credentials::new("tim", "wrong")?),
            _ => Step::Proven(Identity::new("tim", None)),
        })
    }

    fn found(&mut self, _: Found, _: &Decoy) -> Result<Step, SaslError> {
        self.at("found");
        Err(SaslError::UnexpectedResponse)
    }

    fn username(&self) -> Option<&str> {
        self.at("username");
        None
    }

    fn refused(&mut self) -> Option<Secret> {
        self.at("refused");
        None
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.at("drop");
    }
}

const FAULT: &str = "454 4.7.0 Temporary authentication failure";

#[test]
fn a_mechanism_that_panics_costs_its_login_alone() {
    for (place, lines, expected) in [
        ("begin", &["AUTH X-OWN YQ=="][..], FAULT),
        ("begin", &["AUTH X-OWN"], FAULT),
        ("first_challenge", &["AUTH X-OWN"], FAULT),
        ("takes_initial_response", &["AUTH X-OWN YQ=="], FAULT),
        ("step", &["AUTH X-OWN YQ=="], FAULT),
        ("step", &["AUTH X-OWN", "YQ=="], FAULT),
        ("found", &["AUTH X-OWN YQ=="], FAULT),
        ("username", &["AUTH X-OWN YQ=="], FAULT),
        // This was judged, and no word of the mechanism's own comes in front of the reply.
        ("refused", &["AUTH X-OWN YQ=="], "535 5.0.0 no"),
        (
            "drop",
            &["AUTH X-OWN YQ=="],
            "235 2.7.0 Authentication successful",
        ),
    ] {
        let server = Running::with(|options| {
            options.set_hooks(Hooks::USUAL.with(Hooks::AUTH).with(Hooks::LOOKUP));
            options.set_allow_plaintext_auth(true);
            let begin = move |_: &_| {
                let own = Panics(place);
                if place == "begin" {
                    own.at(place);
                }
                Box::new(own) as Box<dyn ServerMechanism>
            };
            options.add_mechanism("X-OWN", begin).unwrap();
        });
        let mut talk = server.greeted();
        let replies: Vec<String> = lines.iter().map(|line| talk.ask(line)).collect();
        assert_eq!(replies.last().unwrap(), expected, "{place}");
        let challenges = &replies[..replies.len() - 1];
        assert!(challenges.iter().all(|reply| reply == "334 "), "{place}");
        assert_eq!(talk.ask("NOOP"), "250 2.0.0 OK", "{place}");
        let said = talk.message("a@b.example", &["c@d.example"], b"x\r\n");
        assert_eq!(said, "250 2.0.0 queued");
        assert_eq!(talk.ask("QUIT"), "221 2.0.0 Bye");
        assert_eq!(server.seen.wait_for("disconnect"), "disconnect -");
        let told = server.statistics();
        assert_eq!((told.sessions, told.sessions_quit), (1, 1));
        // What nobody could judge counts as well, for its session and address.
        assert_eq!(told.failed_logins, u64::from(place != "drop"), "{place}");
        server.stop();
    }
}

#[test]
fn one_that_is_dropped_with_its_session_costs_nothing_either() {
    let server = Running::with(|options| {
        options.set_allow_plaintext_auth(true);
        let begin = |_: &_| Box::new(Panics("drop")) as Box<dyn ServerMechanism>;
        options.add_mechanism("X-OWN", begin).unwrap();
    });
    let mut talk = server.greeted();
    assert_eq!(talk.ask("AUTH X-OWN"), "334 ");
    drop(talk);
    assert!(
        server
            .seen
            .wait_for("disconnect")
            .starts_with("disconnect ")
    );
    server.stop();
}
