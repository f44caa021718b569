//! STARTTLS (RFC 3207), and what does not survive it.

use mailwire::error::Phase;
use mailwire::proto::Violation;
use mailwire::proto::server::{Closing, Config, Hooks};

use crate::talk::{Talk, after_hello, asking, greeted, reply, tls};

fn config() -> Config {
    asking().with_hooks(Hooks::NONE)
}

const IN_TLS: [&str; 9] = [
    "S: 250-mx.example.org",
    "S: 250-PIPELINING",
    "S: 250-SIZE 0",
    "S: 250-8BITMIME",
    "S: 250-SMTPUTF8",
    "S: 250-CHUNKING",
    "S: 250-ENHANCEDSTATUSCODES",
    "S: 250-AUTH PLAIN LOGIN",
    "S: 250 HELP",
];

#[test]
fn s170_s174_s175_s176_tls_starts_the_session_anew() {
    let mut talk = greeted(config());
    talk.follow(&[
        "C: STARTTLS",
        "S: 220 2.0.0 Ready to start TLS",
        "E: StartTls",
        "N: Tls",
    ]);
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Tls));
    talk.begin(&[
        "T:",
        "N: More",
        "C: MAIL FROM:<a@b>",
        "S: 503 5.5.1 Say EHLO first",
        "C: EHLO a",
    ]);
    assert_eq!(talk.connection.tls(), Some(&tls()));
    talk.follow(&IN_TLS);
    talk.follow(&["C: STARTTLS", "S: 503 5.5.1 TLS is already active"]);
}

#[test]
fn s174_authentication_does_not_survive() {
    let mut talk = after_hello(
        config().with_auth_in_clear(true),
        &[
            "C: AUTH PLAIN AHRpbQBwdw==",
            "E: Auth \"\" tim pw",
            "A: accept",
            "S: 235 2.7.0 Authentication successful",
            "C: STARTTLS",
            "S: 220 2.0.0 Ready to start TLS",
            "E: StartTls",
        ],
    );
    assert_eq!(
        (talk.connection.user(), talk.connection.hello_name()),
        (Some("tim"), Some("a.example"))
    );
    talk.follow(&["T:"]);
    assert_eq!(
        (talk.connection.user(), talk.connection.hello_name()),
        (None, None)
    );
}

#[test]
fn s173_bytes_behind_starttls_end_the_connection() {
    for behind in [
        "NOOP\r\n",
        "x",
        "\r\n",
        "\x16\x03\x01",
        "EHLO a\r\nMAIL FROM:<a@b>\r\n",
    ] {
        let mut talk = greeted(config());
        talk.lend(format!("STARTTLS\r\n{behind}").as_bytes());
        talk.follow(&[
            "S: 554 5.5.0 Commands behind STARTTLS in clear",
            "V: BytesBehindStartTls",
        ]);
        assert!(talk.connection.is_closing());
    }
}

#[test]
fn s173_bytes_that_were_read_before_the_handshake_end_the_connection() {
    let mut talk = after_hello(
        config(),
        &[
            "C: STARTTLS",
            "S: 220 2.0.0 Ready to start TLS",
            "E: StartTls",
        ],
    );
    assert_eq!(
        talk.connection.secured(b"NOOP\r\n", tls()),
        Err(Violation::BytesBehindStartTls)
    );
    assert!(
        talk.connection.is_closing()
            && talk.connection.tls().is_none()
            && !talk.connection.has_output()
    );

    let mut talk = after_hello(
        config(),
        &[
            "C: STARTTLS",
            "S: 220 2.0.0 Ready to start TLS",
            "E: StartTls",
        ],
    );
    talk.follow(&["c: N", "V: BytesBehindStartTls"]);
    assert!(talk.connection.is_closing() && !talk.connection.has_output());
}

#[test]
fn what_is_behind_a_starttls_that_is_not_granted_is_just_the_next_command() {
    after_hello(
        config().with_starttls(false),
        &[
            "C: STARTTLS",
            "C: NOOP",
            "S: 502 5.5.1 Command not implemented",
            "S: 250 2.0.0 OK",
        ],
    );
    after_hello(
        config(),
        &[
            "C: STARTTLS x",
            "S: 501 5.5.4 the command takes no argument",
            "C: MAIL FROM:<a@b>",
            "C: STARTTLS",
            "C: NOOP",
            "S: 250 2.1.0 OK",
            "S: 503 5.5.1 Not within a mail transaction",
            "S: 250 2.0.0 OK",
        ],
    );
}

#[test]
fn s178_required_tls_lets_nothing_happen_in_clear() {
    after_hello(
        config().with_required_tls(true).with_auth_in_clear(true),
        &[
            "C: MAIL FROM:<a@b>",
            "S: 530 5.7.0 Say STARTTLS first",
            "C: RCPT TO:<a@b>",
            "S: 530 5.7.0 Say STARTTLS first",
            "C: DATA",
            "S: 530 5.7.0 Say STARTTLS first",
            "C: AUTH PLAIN AHRpbQBwdw==",
            "S: 530 5.7.0 Say STARTTLS first",
            "C: VRFY x",
            "S: 530 5.7.0 Say STARTTLS first",
            "C: EXPN x",
            "S: 530 5.7.0 Say STARTTLS first",
            "C: NOOP",
            "S: 250 2.0.0 OK",
            "C: STARTTLS",
            "S: 220 2.0.0 Ready to start TLS",
            "E: StartTls",
            "T:",
            "C: HELO a",
            "C: MAIL FROM:<a@b>",
            "S: 250 mx.example.org",
            "S: 250 2.1.0 OK",
        ],
    );
}

#[test]
fn required_tls_does_not_offer_auth_in_clear() {
    let mut talk = Talk::new(config().with_required_tls(true).with_auth_in_clear(true));
    talk.lend(b"EHLO a\r\n");
    let lines: Vec<_> = std::iter::from_fn(|| talk.line()).collect();
    assert!(lines.iter().any(|line| line == "250-STARTTLS"));
    assert!(!lines.iter().any(|line| line.contains("AUTH")), "{lines:?}");
}

#[test]
fn s345_implicit_tls_offers_no_starttls() {
    let mut talk = Talk::over_tls(config().with_required_tls(true));
    talk.begin(&["S: 220 mx.example.org ESMTP", "C: EHLO a"]);
    talk.follow(&IN_TLS);
}

#[test]
fn shutting_down_waits_for_the_handshake() {
    let mut talk = after_hello(
        config(),
        &[
            "C: STARTTLS",
            "S: 220 2.0.0 Ready to start TLS",
            "E: StartTls",
        ],
    );
    talk.connection.shut_down(reply("421 4.3.2 Going"));
    assert!(!talk.connection.has_output());
    talk.follow(&["T:", "S: 421 4.3.2 Going", "N: Close"]);

    let mut talk = after_hello(
        config(),
        &[
            "C: STARTTLS",
            "S: 220 2.0.0 Ready to start TLS",
            "E: StartTls",
        ],
    );
    talk.connection
        .abort(&reply("421 4.4.2 Slow"), Closing::Limit);
    assert!(!talk.connection.has_output() && talk.connection.is_closing());
}
