//! AUTH against servers that refuse it, each in its way, or that are not what they seem.

use mailwire::Status;
use mailwire::client::Options;
use mailwire::sasl::Credentials;
use mailwire::tls::TlsPolicy;

use crate::script::{Server, Session};
use crate::{options, send};

/// What a login comes to with a server that offers `mechanism` and then follows the script.
fn login(mechanism: &'static str, script: fn(&mut Session)) -> (Status, String) {
    let server = Server::once(move |s| {
        s.welcome(&[&format!("AUTH {mechanism}")]);
        s.hear_start(&format!("AUTH {mechanism}"));
        script(s);
    });
    let mut options: Options = options(&server);
    options.set_credentials(Credentials::new("user", "secret").unwrap());
    options.set_tls(TlsPolicy::None);
    options.set_allow_plaintext_auth(true);
    let error = send(options, &["a@x.example"]).unwrap_err();
    server.join();
    assert!(!error.to_string().contains("secret"));
    (error.status(), error.to_string())
}

#[test]
fn c123_each_refusal_is_told_apart() {
    for (reply, status) in [
        ("535 5.7.8 wrong\n", Status::AuthRejected),
        ("454 4.7.0 later\n", Status::AuthRejected),
        ("432 4.7.12 another password\n", Status::AuthRejected),
        ("534 5.7.9 too weak\n", Status::AuthMechanism),
        ("504 5.5.4 what\n", Status::AuthMechanism),
        ("538 5.7.11 not in clear\n", Status::AuthInsecure),
    ] {
        let server = Server::once(move |s| {
            s.welcome(&["AUTH PLAIN"]);
            s.hear_start("AUTH PLAIN ");
            s.say(reply);
            s.goodbye();
        });
        let mut options = options(&server);
        options.set_credentials(Credentials::new("user", "secret").unwrap());
        options.set_allow_plaintext_auth(true);
        options.set_tls(TlsPolicy::None);
        let error = send(options, &["a@x.example"]).unwrap_err();
        assert_eq!(error.status(), status, "{error}");
        let later = error.reply().unwrap().is_transient();
        assert_eq!(error.is_transient(), later, "{error}");
        server.join();
    }
}

#[test]
fn c115_c116_a_server_that_does_not_prove_itself() {
    // `r=abc,s=c2FsdA==,i=4096`: the nonce is not the client's.
    let (status, text) = login("SCRAM-SHA-256", |s| {
        s.say("334 cj1hYmMscz1jMkZzZEE9PSxpPTQwOTY=\n");
        s.hear("*");
        s.say("501 5.7.0 cancelled\n");
        s.goodbye();
    });
    assert_eq!(status, Status::Protocol, "{text}");
    assert!(
        text.contains("nonce") && text.contains("given up"),
        "{text}"
    );
    let (status, text) = login("SCRAM-SHA-256", |s| {
        s.say("235 2.7.0 welcome\n");
        s.hang_up();
    });
    assert_eq!(status, Status::Protocol, "{text}");
}

#[test]
fn c121_what_the_server_says_of_a_failure_is_cleaned() {
    let server = Server::once(|s| {
        s.welcome(&["AUTH XOAUTH2"]);
        s.hear_start("AUTH XOAUTH2 ");
        // `{"status":"400"}`, CR, LF, `250 ok`
        s.say("334 eyJzdGF0dXMiOiI0MDAifQ0KMjUwIG9r\n");
        assert_eq!(s.hear_start("").trim_end(), "");
        s.say("535 5.7.8 no\n");
        s.goodbye();
    });
    let mut options = options(&server);
    options.set_credentials(Credentials::with_token("user", "token").unwrap());
    options.set_allow_plaintext_auth(true);
    options.set_tls(TlsPolicy::None);
    let error = send(options, &["a@x.example"]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("{\"status\":\"400\"}  250 ok"), "{text}");
    assert!(!text.contains(['\r', '\n']), "{text:?}");
    server.join();
}
