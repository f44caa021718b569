//! Which mechanism a client takes, and what it tells the server about its choice (RFC 5802 section 6).

use std::sync::{Arc, Mutex};

use mailwire::Status;
use mailwire::sasl::{Credentials, Mechanism, SaslError, ServerMechanism, Step};

use crate::peers::{Running, failure, serve};

/// Offers mechanisms by their names and notes how each begins. Nobody is let in.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

struct Noting(&'static str, Notes);

impl ServerMechanism for Noting {
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        let said = String::from_utf8_lossy(response);
        let header = said.split(',').next().unwrap_or_default();
        let note = format!("{} {header}", self.0);
        self.1.0.lock().unwrap().push(note);
        Err(SaslError::Rejected("nobody is let in"))
    }
}

fn offering(mechanisms: &[Mechanism]) -> (Running, Notes) {
    let notes = Notes::default();
    let server = serve(|options| {
        for mechanism in mechanisms {
            let (name, notes) = (mechanism.name(), notes.clone());
            let begin = move |_: &_| Box::new(Noting(name, notes.clone())) as _;
            options.add_mechanism(name, begin).unwrap();
        }
    });
    (server, notes)
}

/// What the client begins with where these are offered and, if there are any, only these allowed.
async fn taken(offered: &[Mechanism], allowed: &[Mechanism]) -> Option<String> {
    let (server, notes) = offering(offered);
    let mut options = server.client();
    options.set_credentials(Credentials::new("tim", "pw").unwrap());
    if !allowed.is_empty() {
        options.set_mechanisms(allowed).unwrap();
    }
    let (status, text) = failure(&options).await;
    let mut notes = notes.0.lock().unwrap();
    assert!(notes.len() <= 1, "no second try by a weaker one: {notes:?}");
    let taken = notes.pop();
    let expected = match taken {
        Some(_) => Status::AuthRejected,
        None => Status::AuthMechanism,
    };
    assert_eq!(status, expected, "{text}");
    taken
}

#[tokio::test]
async fn c111_the_strongest_that_is_offered() {
    use Mechanism::{
        CramMd5, Login, Plain, ScramSha1, ScramSha1Plus, ScramSha256, ScramSha256Plus,
    };
    for (offered, expected) in [
        (&Mechanism::ALL[..], "SCRAM-SHA-256-PLUS p=tls-exporter"),
        (
            &[Plain, ScramSha256, ScramSha1Plus],
            "SCRAM-SHA-1-PLUS p=tls-exporter",
        ),
        (&[Login, Plain, ScramSha1, ScramSha256], "SCRAM-SHA-256 y"),
        (&[Plain, ScramSha1], "SCRAM-SHA-1 y"),
        (&[Login, Plain], "PLAIN \0tim\0pw"),
    ] {
        assert_eq!(taken(offered, &[]).await.as_deref(), Some(expected));
    }
    assert_eq!(taken(&[Mechanism::Xoauth2], &[]).await, None);
    // And what the caller lets it take.
    for (offered, allowed, expected) in [
        (
            &Mechanism::ALL[..],
            &[ScramSha256][..],
            Some("SCRAM-SHA-256 n"),
        ),
        (
            &[Plain, ScramSha256],
            &[ScramSha256, ScramSha256Plus],
            Some("SCRAM-SHA-256 y"),
        ),
        // The server does bind to TLS, so nobody may tell it that it does not.
        (
            &[Plain, ScramSha256, ScramSha1Plus],
            &[ScramSha256, ScramSha256Plus],
            Some("SCRAM-SHA-256 n"),
        ),
        (&Mechanism::ALL, &[Plain, Login], Some("PLAIN \0tim\0pw")),
        (&[Plain, CramMd5], &[ScramSha1], None),
    ] {
        assert_eq!(taken(offered, allowed).await.as_deref(), expected);
    }
}

#[tokio::test]
async fn credentials_that_scram_cannot_prepare_leave_the_others() {
    let (server, notes) = offering(&Mechanism::ALL);
    let mut options = server.client();
    options.set_credentials(Credentials::new("tim", "a\tb").unwrap());
    options
        .set_mechanisms(&[Mechanism::Plain, Mechanism::ScramSha256Plus])
        .unwrap();
    failure(&options).await;
    assert_eq!(*notes.0.lock().unwrap(), ["PLAIN \0tim\0a\tb"]);
}
