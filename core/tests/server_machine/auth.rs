//! AUTH (RFC 4954): when it may come, its exchanges, and who may send mail without it.

use mailwire::error::Phase;
use mailwire::proto::server::{Config, Hooks};
use mailwire::proto::{Progress, limits};

use crate::talk::{Talk, after_hello, asking, config, greeted, talk};

const OK: &str = "S: 235 2.7.0 Authentication successful";
const TIM: &str = "E: Auth \"\" tim pw";

fn clear() -> Config {
    asking().with_auth_in_clear(true).with_hooks(Hooks::NONE)
}

#[test]
fn s206_s215_plain_with_and_without_an_initial_response() {
    let talk = after_hello(
        clear(),
        &[
            "C: AUTH PLAIN AHRpbQBwdw==",
            TIM,
            "N: Answer",
            "A: accept",
            OK,
        ],
    );
    assert_eq!(talk.connection.user(), Some("tim"));
    let mut talk = after_hello(clear(), &["C: auth plain", "S: 334 "]);
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Auth));
    talk.follow(&[
        "C: AHRpbQBwdw==",
        TIM,
        "A: 235 2.7.0 Hello Tim",
        "S: 235 2.7.0 Hello Tim",
    ]);
    assert_eq!(talk.connection.user(), Some("tim"));
}

#[test]
fn s218_login_asks_for_name_and_password() {
    after_hello(
        clear(),
        &[
            "C: AUTH LOGIN",
            "S: 334 VXNlcm5hbWU6",
            "C: dGlt",
            "S: 334 UGFzc3dvcmQ6",
            "C: cHc=",
            TIM,
            "A: 250 hm",
            OK,
        ],
    );
    after_hello(
        clear(),
        &[
            "C: AUTH LOGIN dGlt",
            "S: 334 UGFzc3dvcmQ6",
            "C: cHc=",
            TIM,
            "A: accept",
            OK,
        ],
    );
}

#[test]
fn s203_s204_auth_comes_once_and_not_in_a_transaction() {
    after_hello(
        clear(),
        &[
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: AUTH PLAIN",
            "S: 503 5.5.1 Not within a mail transaction",
            "C: RSET",
            "S: 250 2.0.0 OK",
            "C: AUTH PLAIN AHRpbQBwdw==",
            TIM,
            "A: accept",
            OK,
            "C: AUTH PLAIN",
            "S: 503 5.5.1 Already authenticated",
        ],
    );
    talk(
        clear(),
        &[
            "S: 220 mx.example.org ESMTP",
            "C: AUTH PLAIN",
            "S: 503 5.5.1 Say EHLO first",
        ],
    );
}

#[test]
fn s187_s201_s202_s214_mechanisms() {
    after_hello(
        clear(),
        &[
            "C: AUTH",
            "S: 501 5.5.4 the form is AUTH mechanism [initial-response]",
            "C: AUTH FOO",
            "S: 504 5.5.4 Authentication mechanism not supported",
        ],
    );
    after_hello(
        asking().with_hooks(Hooks::NONE),
        &[
            "C: AUTH PLAIN AHRpbQBwdw==",
            "S: 538 5.7.11 Encryption required for this authentication mechanism",
            "C: AUTH LOGIN",
            "S: 538 5.7.11 Encryption required for this authentication mechanism",
        ],
    );
    let mut talk = Talk::new(asking().with_hooks(Hooks::NONE));
    talk.lend(b"EHLO a\r\n");
    assert!(!talk.output.windows(4).any(|w| w == b"AUTH"));
}

#[test]
fn s205_s209_what_ends_an_exchange() {
    let refused = "S: 501 5.5.2 Cannot decode the response";
    after_hello(
        clear(),
        &[
            "C: AUTH LOGIN",
            "S: 334 VXNlcm5hbWU6",
            "C: *",
            "S: 501 5.7.0 Authentication cancelled",
            "C: AUTH LOGIN",
            "S: 334 VXNlcm5hbWU6",
            "C: YQ =",
            refused,
            "C: AUTH PLAIN =AAA",
            refused,
            "C: AUTH PLAIN =",
            refused,
            "C: AUTH PLAIN AHRpbQ==",
            refused,
            "C: AUTH PLAIN",
            "S: 334 ",
            "C: ",
            refused,
            "C: NOOP",
            "S: 250 2.0.0 OK",
        ],
    );
}

#[test]
fn s240_a_command_pipelined_behind_an_exchange_waits_for_the_verdict() {
    after_hello(
        clear().with_required_auth(true),
        &[
            "C: AUTH PLAIN AHRpbQBwdw==",
            "C: MAIL FROM:<a@b>",
            TIM,
            "N: Answer",
            "A: 535 5.7.8 No",
            "S: 535 5.7.8 No",
            "S: 530 5.7.0 Authentication required",
        ],
    );
}

#[test]
fn s216_s217_credentials_that_cannot_be_ones_never_reach_the_application() {
    let refused = "S: 535 5.7.8 Authentication credentials invalid";
    after_hello(
        clear(),
        &[
            // tim without a password, and kurt who wants to act as tim
            "C: AUTH PLAIN AHRpbQA=",
            refused,
            "C: AUTH PLAIN dGltAGt1cnQAcHc=",
            refused,
        ],
    );
    // An identity that is the user's own is no other one.
    after_hello(
        clear(),
        &[
            "C: AUTH PLAIN dGltAHRpbQBwdw==",
            "E: Auth \"tim\" tim pw",
            "A: accept",
            OK,
        ],
    );
    let talk = after_hello(
        clear().with_other_identities(true),
        &[
            "C: AUTH PLAIN dGltAGt1cnQAcHc=",
            "E: Auth \"tim\" kurt pw",
            "A: accept",
            OK,
        ],
    );
    assert_eq!(talk.connection.user(), Some("kurt"));
}

#[test]
fn s211_s213_after_three_failures_the_next_try_is_the_last() {
    let no = [
        "C: AUTH PLAIN AHRpbQBwdw==",
        TIM,
        "A: 535 no",
        "S: 535 5.0.0 no",
    ];
    let busy = [
        "C: AUTH PLAIN AHRpbQBwdw==",
        TIM,
        "A: 454 4.7.0 later",
        "S: 454 4.7.0 later",
    ];
    let mut talk = greeted(clear());
    for _ in 0..4 {
        talk.follow(&busy);
    }
    for _ in 0..3 {
        talk.follow(&no);
    }
    assert_eq!(talk.connection.user(), None);
    talk.follow(&[
        "C: AUTH PLAIN AHRpbQBwdw==",
        "S: 421 4.7.0 Too many failed authentications",
        "N: Close",
    ]);
}

#[test]
fn s212_s340_required_authentication() {
    after_hello(
        clear().with_required_auth(true),
        &[
            "C: MAIL FROM:<a@b>",
            "S: 530 5.7.0 Authentication required",
            "C: RCPT TO:<a@b>",
            "S: 530 5.7.0 Authentication required",
            "C: DATA",
            "S: 530 5.7.0 Authentication required",
            "C: VRFY a",
            "S: 530 5.7.0 Authentication required",
            "C: EXPN a",
            "S: 530 5.7.0 Authentication required",
            "C: RSET",
            "S: 250 2.0.0 OK",
            "C: AUTH PLAIN AHRpbQBwdw==",
            TIM,
            "A: accept",
            OK,
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
        ],
    );
}

#[test]
fn s011_s210_the_longest_line_and_one_longer() {
    // 12288 octets of base64 are 9216 octets: an empty identity, a user name of 3, and a password of 9211.
    let mut message = b"\0tim\0".to_vec();
    message.resize(9216, b'p');
    let line = mailwire::sasl::base64::encode(&message);
    let line = std::str::from_utf8(line.expose()).unwrap();
    assert_eq!(line.len(), 12288);
    assert_eq!(limits::AUTH_LINE, line.len() + "\r\n".len());
    for way in [
        format!("AUTH PLAIN {line}\r\n"),
        format!("AUTH\tPLAIN {line}\r\n"),
        format!("AUTH PLAIN\r\n{line}\r\n"),
    ] {
        let mut talk = greeted(clear());
        talk.lend(way.as_bytes());
        let event = talk.event().unwrap();
        assert!(event.starts_with("Auth \"\" tim ppp"), "{event:.40}");
    }
    for way in [
        format!("AUTH PLAIN {line}AAAA\r\n"),
        format!("AUTH PLAIN\r\n{line}AAAA\r\n"),
        format!("AUTH PLAIN {line}{line}\r\n"),
    ] {
        let mut talk = greeted(clear());
        talk.lend(way.as_bytes());
        talk.lend(b"NOOP\r\n");
        let lines: Vec<_> = std::iter::from_fn(|| talk.line())
            .filter(|line| line != "334 ")
            .collect();
        assert_eq!(
            lines,
            [
                "500 5.5.6 Authentication exchange line is too long",
                "250 2.0.0 OK"
            ]
        );
    }
}

#[test]
fn a_line_of_auth_may_be_as_long_as_the_server_was_told() {
    let too_long = "S: 500 5.5.6 Authentication exchange line is too long";
    let most = limits::AUTH_LINE;
    // What is out of range becomes the nearest that is not.
    for (told, most) in [
        (512, 512),
        (1002, 1002),
        (0, 512),
        (most, most),
        (usize::MAX, most),
    ] {
        // What fits is no message of PLAIN, which is told once all of it was taken.
        let line = |octets: usize| "A".repeat(octets - "\r\n".len());
        let fits = [
            &format!("C: {}", line(most))[..],
            "S: 501 5.5.2 Cannot decode the response",
        ];
        let one_more = [&format!("C: {}", line(most + 1))[..], too_long];
        let mut talk = greeted(clear().with_auth_line(told));
        let begin = ["C: AUTH PLAIN", "S: 334 "];
        for lines in [fits, one_more] {
            talk.follow(&[&begin[..], &lines].concat());
        }
        // AUTH has room for a whole line behind its mechanism.
        let auth = |octets: usize| format!("C: AUTH PLAIN {}", line(octets));
        talk.follow(&[&auth(most), "S: 501 5.5.2 Cannot decode the response"]);
        let longest = most + 32 - "AUTH PLAIN ".len();
        talk.follow(&[&auth(longest + 1), too_long, "C: NOOP", "S: 250 2.0.0 OK"]);
    }
}

#[test]
fn of_a_command_that_is_too_long_nothing_is_kept() {
    for (octets, kept) in [(limits::AUTH_LINE, true), (limits::AUTH_LINE + 64, false)] {
        let mut talk = greeted(clear());
        let mut line = b"AUTH PLAIN ".to_vec();
        line.resize(octets, b'A');
        let used = match talk.connection.receive(&line) {
            Ok(Progress::Need { used, .. }) => used,
            other => panic!("{other:?}"),
        };
        assert_eq!(used, if kept { 0 } else { octets });
    }
}

#[test]
fn a_server_without_mechanisms_knows_no_auth() {
    after_hello(
        config(),
        &[
            "C: AUTH PLAIN AHRpbQBwdw==",
            "S: 502 5.5.1 Command not implemented",
        ],
    );
}
