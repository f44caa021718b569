//! Logins by each mechanism: its name and the octets that were said are noted, and nothing else.

use mailwire::client::Options;
use mailwire::sasl::{Credentials, Mechanism};
use mailwire::tls::TlsPolicy;

use crate::server::{Behaviour, Server, Tls};
use crate::{notes, recorded, send};

pub(crate) const PASSWORD: &str = "correct-horse";
pub(crate) const TOKEN: &str = "ya29.a0AfH6SMC-token";

/// Every mechanism that has something to say in secret.
pub(crate) const MECHANISMS: [Mechanism; 9] = [
    Mechanism::Plain,
    Mechanism::Login,
    Mechanism::CramMd5,
    Mechanism::ScramSha1,
    Mechanism::ScramSha256,
    Mechanism::ScramSha1Plus,
    Mechanism::ScramSha256Plus,
    Mechanism::Xoauth2,
    Mechanism::OauthBearer,
];

pub(crate) fn secret_of(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Xoauth2 | Mechanism::OauthBearer => TOKEN,
        _ => PASSWORD,
    }
}

/// A server that offers the mechanism, and takes its secret or another.
pub(crate) fn offering(mechanism: Mechanism, takes: bool, echoes: bool) -> Behaviour {
    let offer = format!("AUTH {}", mechanism.name());
    Behaviour {
        // It is there for as long as the tests run.
        offers: vec![Box::leak(offer.into_boxed_str())],
        password: if takes {
            secret_of(mechanism)
        } else {
            "another password"
        },
        echoes,
        tls: if mechanism.is_bound_to_tls() {
            Tls::Implicit
        } else {
            Tls::Never
        },
        ..Behaviour::default()
    }
}

pub(crate) fn log_in(options: &mut Options, mechanism: Mechanism) {
    let secret = secret_of(mechanism);
    let credentials = match mechanism {
        Mechanism::Xoauth2 | Mechanism::OauthBearer => Credentials::with_token("tim", secret),
        _ => Credentials::new("tim", secret),
    };
    options.set_credentials(credentials.unwrap());
    options.set_mechanism(Some(mechanism));
    options.set_allow_plaintext_auth(true);
    if mechanism.is_bound_to_tls() {
        options.set_tls(TlsPolicy::Implicit);
    }
}

/// What is noted of a login.
fn login(mechanism: Mechanism, takes: bool) -> Vec<String> {
    let server = Server::start(offering(mechanism, takes, false));
    let (mut options, buffer) = recorded(&server);
    log_in(&mut options, mechanism);
    let sent = send(&options, &["a@x.example"]);
    assert_eq!(sent.is_ok(), takes, "{mechanism:?} {sent:?}");
    server.join();
    let all = notes(&buffer);
    let end = if takes { "C MAIL" } else { "* error" };
    let lines = all.lines().skip_while(|line| !line.starts_with("C AUTH"));
    lines
        .take_while(|line| !line.starts_with(end))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_name_of_the_mechanism_and_the_number_of_octets_are_noted() {
    for (mechanism, expected) in [
        (Mechanism::Plain, &["C AUTH PLAIN [24 octets hidden]"][..]),
        (
            Mechanism::Login,
            &[
                "C AUTH LOGIN",
                "S 334 [12 octets hidden]",
                "C [4 octets hidden]",
                "S 334 [12 octets hidden]",
                "C [20 octets hidden]",
            ],
        ),
        (
            Mechanism::CramMd5,
            &["C AUTH CRAM-MD5", "S 334 [", "C [48 octets hidden]"],
        ),
        (
            Mechanism::ScramSha1,
            &["C AUTH SCRAM-SHA-1 [", "S 334 [", "C [", "S 334 [", "C "],
        ),
        (
            Mechanism::ScramSha256,
            &["C AUTH SCRAM-SHA-256 [", "S 334 [", "C [", "S 334 [", "C "],
        ),
        (
            Mechanism::ScramSha256Plus,
            &[
                "C AUTH SCRAM-SHA-256-PLUS [",
                "S 334 [",
                "C [",
                "S 334 [",
                "C ",
            ],
        ),
        (Mechanism::Xoauth2, &["C AUTH XOAUTH2 [60 octets hidden]"]),
        (Mechanism::OauthBearer, &["C AUTH OAUTHBEARER ["]),
    ] {
        let noted = login(mechanism, true);
        let (others, ends) = noted.split_at(noted.len() - 2);
        let logged_in = format!("* logged in by {}", mechanism.name());
        assert_eq!(ends, ["S 235 2.7.0 welcome", logged_in.as_str()]);
        assert_eq!(others.len(), expected.len(), "{noted:#?}");
        for (note, start) in others.iter().zip(expected) {
            assert!(note.starts_with(start), "{note:?} {start:?}");
        }
    }
}

#[test]
fn a_login_that_is_refused_is_noted_with_its_error() {
    for mechanism in MECHANISMS {
        let noted = login(mechanism, false);
        assert!(noted[0].starts_with(&format!("C AUTH {}", mechanism.name())));
        assert!(
            noted.contains(&"S 535 5.7.8 wrong".to_owned()),
            "{noted:#?}"
        );
    }
}
