//! Tokens of OAuth 2.0: fixed ones, and a source that is asked again.

use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mailwire::Status;
use mailwire::client::{Options, TokenRequest};
use mailwire::sasl::{Credentials, Mechanism, Secret};
use mailwire::server::Hooks;

use crate::peers::{Running, failure, send, serve};

const BOTH: [Mechanism; 2] = [Mechanism::OauthBearer, Mechanism::Xoauth2];

fn with_tokens(mechanism: Mechanism) -> Running {
    serve(|options| {
        options.set_mechanisms(&[mechanism]).unwrap();
        options.set_hooks(Hooks::AUTH);
    })
}

/// Options whose source gives these tokens in turn, and what it was asked.
fn source(server: &Running, tokens: [&'static str; 2]) -> (Options, Arc<Mutex<Vec<bool>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut options = server.client();
    let notes = Arc::clone(&asked);
    let fetch = move |request: TokenRequest| {
        let mut notes = notes.lock().unwrap();
        let token = tokens[notes.len().min(1)];
        notes.push(request.refused);
        ready(Ok(Secret::new(token)))
    };
    options.set_token_source("tim", fetch).unwrap();
    (options, asked)
}

#[tokio::test]
async fn a_fixed_token_is_tried_once_and_the_reason_is_told() {
    for mechanism in BOTH {
        let server = with_tokens(mechanism);
        let mut options = server.client();
        options.set_credentials(Credentials::with_token("tim", "good").unwrap());
        send(&options).await.unwrap();
        assert_eq!(server.application.users(), ["tim"]);
        options.set_credentials(Credentials::with_token("tim", "stale").unwrap());
        let (status, text) = failure(&options).await;
        assert_eq!(status, Status::AuthRejected);
        assert!(
            text.contains("the server says: {\"status\":\"") && text.contains("535"),
            "{text}"
        );
        assert!(!text.contains("stale"), "{text}");
        assert_eq!(server.application.asked(), ["Token tim", "Token tim"]);
    }
}

#[tokio::test]
async fn a_source_is_asked_again_once_after_a_535() {
    for mechanism in BOTH {
        let server = with_tokens(mechanism);
        let (options, asked) = source(&server, ["stale", "good"]);
        send(&options).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), [false, true]);
        // Each login begins by the source.
        send(&options).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), [false, true, false]);
        let (options, asked) = source(&server, ["stale", "stale too"]);
        let (status, _) = failure(&options).await;
        assert_eq!(status, Status::AuthRequired, "a token has no space in it");
        assert_eq!(*asked.lock().unwrap(), [false, true]);
        let (options, asked) = source(&server, ["stale", "stale"]);
        assert_eq!(failure(&options).await.0, Status::AuthRejected);
        assert_eq!(*asked.lock().unwrap(), [false, true]);
    }
}

#[tokio::test]
async fn a_source_that_fails_or_never_answers_is_told() {
    let server = with_tokens(Mechanism::Xoauth2);
    let mut options = server.client();
    options
        .set_token_source("tim", |_| ready(Err("the vault is locked".into())))
        .unwrap();
    let (status, text) = failure(&options).await;
    assert_eq!(status, Status::AuthRequired);
    assert!(text.contains("the vault is locked"), "{text}");
    options
        .set_token_source("tim", |_| std::future::pending())
        .unwrap();
    options.set_timeout(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(failure(&options).await.0, Status::Timeout);
    assert!(server.application.asked().is_empty());
}
