//! What a login says is nowhere in the process once it is over: each test logs in in one way, and then looks through all memory,
//! with the server still there.

#![cfg(all(target_os = "linux", feature = "io"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod memory;
mod peers;

use mailwire::Status;
use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::proto::Envelope;
use mailwire::sasl::{Credentials, Mechanism, Secret};
use mailwire::tls::TlsPolicy;

use self::memory::Password;
use self::peers::{Running, line};

/// In front of a password in base64: the user `jim2` as PLAIN has it, and as LOGIN has it.
const PLAIN_USER: &str = "AGppbTIA";
const LOGIN_USER: &str = "amltMg==";

const ACCEPTED: &str = "235 2.7.0 Authentication successful";

#[test]
fn the_look_finds_what_is_there_and_only_that() {
    let password = Password::new();
    assert_eq!(password.find(), None);
    let plain = line(&[], password.plain());
    assert!(password.find().is_some());
    drop(plain);
    password.assert_forgotten("a line");
    let mut coded = line(&["AUTH PLAIN ", PLAIN_USER], password.coded());
    assert!(password.find().is_some());
    // The first half is enough.
    let half = coded.len() - 16;
    coded[half..].fill(0);
    assert!(password.find().is_some());
    drop(coded);
    password.assert_forgotten("half a line");
}

#[test]
fn a_server_forgets_a_login_that_it_accepts() {
    let server = Running::start();
    for initial in [true, false] {
        let password = Password::new();
        let mut talk = server.greeted();
        if initial {
            talk.send(&line(&["AUTH PLAIN ", PLAIN_USER], password.coded()));
        } else {
            assert_eq!(talk.ask("AUTH PLAIN"), "334 ");
            talk.send(&line(&[PLAIN_USER], password.coded()));
        }
        assert_eq!(talk.reply(), ACCEPTED);
        password.assert_forgotten("PLAIN, with its session still there");
        talk.finish();
        password.assert_forgotten("PLAIN");
    }
    let password = Password::new();
    let mut talk = server.greeted();
    assert!(talk.ask("AUTH LOGIN").starts_with("334 "));
    assert!(talk.ask(LOGIN_USER).starts_with("334 "));
    talk.send(&line(&[], password.coded()));
    assert_eq!(talk.reply(), ACCEPTED);
    password.assert_forgotten("LOGIN");
}

#[test]
fn a_server_forgets_a_login_that_it_refuses() {
    let server = Running::start();
    let password = Password::new();
    let mut talk = server.client();
    talk.send(&line(&["AUTH PLAIN ", PLAIN_USER], password.coded()));
    assert_eq!(&talk.reply()[..3], "503");
    password.assert_forgotten("AUTH before EHLO");

    let mut talk = server.greeted();
    talk.send(&line(&["AUTH NONESUCH ", PLAIN_USER], password.coded()));
    assert_eq!(&talk.reply()[..3], "504");
    password.assert_forgotten("a mechanism that is not there");

    talk.send(&line(&["AUTH PLAIN *", PLAIN_USER], password.coded()));
    assert_eq!(&talk.reply()[..3], "501");
    password.assert_forgotten("what is not base64");
}

#[test]
fn a_server_forgets_a_line_of_auth_that_is_too_long() {
    let server = Running::start();
    let too_much = [b'A'; 13_000];
    let mut talk = server.greeted();
    for begun in [false, true] {
        let password = Password::new();
        if begun {
            assert_eq!(talk.ask("AUTH PLAIN"), "334 ");
        } else {
            talk.send(b"AUTH PLAIN ");
        }
        talk.send(&line(&[PLAIN_USER], password.coded())[..40]);
        talk.send(&too_much);
        talk.send(&line(&[], password.coded()));
        assert_eq!(&talk.reply()[..3], "500");
        password.assert_forgotten("a line that is too long");
    }
}

#[test]
fn a_server_forgets_a_login_between_two_chunks() {
    let server = Running::start();
    let password = Password::new();
    let mut talk = server.greeted();
    assert!(talk.ask("MAIL FROM:<a@b.example>").starts_with("250 "));
    assert!(talk.ask("RCPT TO:<c@d.example>").starts_with("250 "));
    assert!(talk.ask("BDAT 7\r\nHello").starts_with("250 "));
    talk.send(&line(&["AUTH PLAIN ", PLAIN_USER], password.coded()));
    assert_eq!(&talk.reply()[..3], "503");
    password.assert_forgotten("AUTH between two chunks");
    assert!(talk.ask("BDAT 0 LAST").starts_with("250 "));
}

#[test]
fn a_server_forgets_half_a_login() {
    let server = Running::start();
    for initial in [true, false] {
        let password = Password::new();
        let mut talk = server.greeted();
        if initial {
            let login = line(&["AUTH PLAIN ", PLAIN_USER], password.coded());
            talk.send(&login[..login.len() - 2]);
        } else {
            assert_eq!(talk.ask("AUTH PLAIN"), "334 ");
            let login = line(&[PLAIN_USER], password.coded());
            talk.send(&login[..login.len() - 2]);
        }
        talk.finish();
        password.assert_forgotten("half a line");
    }
}

#[test]
fn a_client_forgets_what_it_has_logged_in_with() {
    let server = Running::start();
    for (mechanism, accepted) in [
        (Mechanism::Plain, true),
        (Mechanism::Login, true),
        (Mechanism::CramMd5, false),
        (Mechanism::ScramSha256, false),
    ] {
        let password = Password::new();
        let mut options = Options::new();
        let port = server.address.port();
        options.set_server("127.0.0.1", Some(port)).unwrap();
        options.set_tls(TlsPolicy::None);
        options.set_allow_plaintext_auth(true);
        options.set_mechanism(Some(mechanism));
        let mut plain = Vec::with_capacity(24);
        plain.extend(password.plain());
        options.set_credentials(Credentials::new("jim2", Secret::new(plain)).unwrap());
        let client = Client::new(options).unwrap();
        let envelope = Envelope::parse("a@b.example", ["c@d.example"]).unwrap();
        let sent = client.send(&envelope, Content::bytes(b"x\r\n"), Call::default());
        if accepted {
            sent.unwrap();
        } else {
            let error = sent.unwrap_err();
            assert_eq!(error.status(), Status::AuthRejected, "{error}");
        }
        drop(client);
        password.assert_forgotten(mechanism.name());
    }
}
