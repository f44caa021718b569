//! Each mechanism on its own.

use mailwire::Status;
use mailwire::client::Options as ClientOptions;
use mailwire::sasl::{
    ClientMechanism, Credentials, Identity, Mechanism, SaslError, ScramHash, ScramKeys, Secret,
    ServerMechanism, Step, fingerprint,
};
use mailwire::server::Hooks;
use mailwire::tls::TlsPolicy;

use crate::peers::{failure, send, serve};

/// The mechanisms that prove a password.
const PASSWORD: [Mechanism; 7] = [
    Mechanism::ScramSha256Plus,
    Mechanism::ScramSha1Plus,
    Mechanism::ScramSha256,
    Mechanism::ScramSha1,
    Mechanism::CramMd5,
    Mechanism::Plain,
    Mechanism::Login,
];

fn password(options: &mut ClientOptions, name: &str, password: &str) {
    options.set_credentials(Credentials::new(name, password).unwrap());
}

#[tokio::test]
async fn each_that_proves_a_password() {
    for mechanism in PASSWORD {
        for implicit in [false, true] {
            let server = serve(|options| {
                options.add_user("tim", Secret::new("right")).unwrap();
                options.set_mechanisms(&[mechanism]).unwrap();
                options.set_implicit_tls(implicit);
            });
            let mut options = server.client();
            if implicit {
                options.set_tls(TlsPolicy::Implicit);
            }
            password(&mut options, "tim", "right");
            send(&options).await.unwrap();
            assert_eq!(server.application.users(), ["tim"], "{mechanism:?}");
            for (name, wrong) in [("tim", "wrong"), ("nobody", "right")] {
                password(&mut options, name, wrong);
                let (status, text) = failure(&options).await;
                assert_eq!(status, Status::AuthRejected, "{mechanism:?}: {text}");
                assert!(text.contains("535 5.7.8"), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn stored_keys_serve_scram_plain_and_login_and_no_cram_md5() {
    let keys = |hash| ScramKeys::from_password(hash, &Secret::new("right"), [9; 16], 5000).unwrap();
    let server = serve(|options| {
        options.set_mechanisms(&PASSWORD).unwrap();
        for hash in ScramHash::ALL {
            options.add_user_keys("tim", keys(hash)).unwrap();
        }
    });
    for mechanism in PASSWORD {
        let mut options = server.client();
        options.set_mechanism(Some(mechanism));
        password(&mut options, "tim", "right");
        if mechanism == Mechanism::CramMd5 {
            assert_eq!(failure(&options).await.0, Status::AuthMechanism);
            continue;
        }
        send(&options).await.unwrap();
        for (name, wrong) in [("tim", "wrong"), ("nobody", "right")] {
            password(&mut options, name, wrong);
            assert_eq!(failure(&options).await.0, Status::AuthRejected);
        }
    }
}

#[tokio::test]
async fn the_hook_looks_up_who_is_not_in_the_table() {
    let server = serve(|options| {
        options.add_user("tim", Secret::new("right")).unwrap();
        options.set_hooks(Hooks::LOOKUP);
    });
    let mut options = server.client();
    password(&mut options, "tim", "right");
    send(&options).await.unwrap();
    password(&mut options, "ann", "hook's secret");
    send(&options).await.unwrap();
    password(&mut options, "nobody", "hook's secret");
    assert_eq!(failure(&options).await.0, Status::AuthRejected);
    password(&mut options, "fault", "hook's secret");
    let (_, text) = failure(&options).await;
    assert!(text.contains("454") && text.contains("not now"), "{text}");
    assert_eq!(server.application.users(), ["tim", "ann"]);
    assert_eq!(
        server.application.asked(),
        ["Lookup ann", "Lookup nobody", "Lookup fault"]
    );
}

#[tokio::test]
async fn external_is_the_certificate_of_the_handshake() {
    let server = serve(|options| {
        options.set_mechanisms(&[Mechanism::External]).unwrap();
        options.set_hooks(Hooks::AUTH);
    });
    let mut options = server.client();
    options.set_credentials(Credentials::with_certificate());
    let (status, text) = failure(&options).await;
    assert_eq!(status, Status::InvalidArgument, "{text}");
    let (certificate, key, der) = server.pki.issue("client");
    let shown = server.pki.client_tls();
    options.set_client_tls(shown.with_certificate(&certificate, &key).unwrap());
    send(&options).await.unwrap();
    let named = Credentials::with_certificate().with_authorization_identity("tim");
    options.set_credentials(named.unwrap());
    send(&options).await.unwrap();
    let owner = fingerprint(&der);
    assert_eq!(server.application.users(), [owner.as_str(), "tim"]);
    let asked = format!("Certificate {owner}");
    assert_eq!(server.application.asked(), [asked.as_str(), &asked]);
    // One without a certificate is not offered it.
    let mut options = server.client();
    password(&mut options, "tim", "right");
    assert_eq!(failure(&options).await.0, Status::AuthNotOffered);
}

#[tokio::test]
async fn anonymous_may_go_in_clear_and_nothing_else() {
    let server = serve(|options| {
        options
            .set_mechanisms(&[Mechanism::Anonymous, Mechanism::ScramSha256])
            .unwrap();
        options.add_user("tim", Secret::new("right")).unwrap();
        options.set_hooks(Hooks::AUTH);
        options.set_allow_plaintext_auth(true);
    });
    let mut options = server.client();
    options.set_tls(TlsPolicy::None);
    options.set_credentials(Credentials::anonymous("sirhc").unwrap());
    send(&options).await.unwrap();
    assert_eq!(server.application.users(), ["anonymous"]);
    assert_eq!(server.application.asked(), ["Nothing sirhc"]);
    password(&mut options, "tim", "right");
    assert_eq!(failure(&options).await.0, Status::AuthInsecure);
    options.set_tls(TlsPolicy::Opportunistic);
    send(&options).await.unwrap();
    options.set_tls(TlsPolicy::None);
    options.set_allow_plaintext_auth(true);
    send(&options).await.unwrap();
}

/// The application's own mechanism: the client says the word that the server asks for, backwards.
struct Backwards {
    over: bool,
}

impl ClientMechanism for Backwards {
    fn name(&self) -> &'static str {
        "X-BACKWARDS"
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        self.over = true;
        Ok(Secret::new(
            challenge.iter().rev().copied().collect::<Vec<u8>>(),
        ))
    }

    fn is_complete(&self) -> bool {
        self.over
    }
}

impl ServerMechanism for Backwards {
    fn first_challenge(&mut self) -> Option<Secret> {
        Some(Secret::new("word"))
    }

    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if response == b"drow" {
            Ok(Step::Proven(Identity::new("somebody", None)))
        } else {
            Err(SaslError::Rejected("not backwards"))
        }
    }
}

#[tokio::test]
async fn an_applications_own_on_both_sides_comes_before_all_others() {
    let server = serve(|options| {
        options.add_user("tim", Secret::new("right")).unwrap();
        options
            .add_mechanism("X-BACKWARDS", |_| Box::new(Backwards { over: false }))
            .unwrap();
    });
    let mut options = server.client();
    password(&mut options, "tim", "right");
    options
        .add_mechanism("X-BACKWARDS", || Box::new(Backwards { over: false }))
        .unwrap();
    send(&options).await.unwrap();
    assert_eq!(server.application.users(), ["somebody"]);
    // A mechanism that is not what it was added as is not begun.
    let mut options = server.client();
    options
        .add_mechanism("PLAIN", || Box::new(Backwards { over: false }))
        .unwrap();
    assert_eq!(failure(&options).await.0, Status::Misuse);
}
