//! Greeting, hello, STARTTLS, AUTH, and the commands that a caller asks for.

use super::*;
use crate::sasl::{ClientContext, ClientExchange, Credentials, Mechanism};

fn exchange(mechanism: Mechanism, password: &str) -> ClientExchange {
    let credentials = Credentials::new("tim", password).unwrap();
    ClientExchange::new(mechanism, &credentials, &ClientContext::default()).unwrap()
}

#[test]
fn c056_nothing_is_sent_before_the_greeting() {
    let mut talk = Talk::new(Protocol::Smtp);
    let name = "client.example.org".parse().unwrap();
    assert_eq!(
        talk.connection.hello(Hello::Ehlo, &name),
        Err(NotNow::NotGreeted)
    );
    assert_eq!(talk.connection.quit(), Err(NotNow::NotGreeted));
    assert_eq!(talk.connection.noop(), Err(NotNow::NotGreeted));
    let begun = talk
        .connection
        .begin(envelope(&["a"]), TransactionOptions::default());
    assert_eq!(begun, Err(NotNow::NotGreeted));
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Greeting));
    talk.script("S: 220-mx\nS: 220 example\nE: greeting 220");
    assert_eq!(talk.connection.waiting_for(), None);
    assert!(talk.connection.is_idle());
    assert_eq!(talk.connection.noop(), Err(NotNow::NoHello));
}

#[test]
fn c057_a_greeting_that_is_no_welcome_leaves_only_quit() {
    for code in [554, 521, 450] {
        let mut talk = Talk::new(Protocol::Smtp);
        talk.script(&format!("S: {code} go away\nE: greeting {code}"));
        let name = "client.example.org".parse().unwrap();
        assert_eq!(
            talk.connection.hello(Hello::Helo, &name),
            Err(NotNow::Unwelcome)
        );
        talk.connection.quit().unwrap();
        talk.script("C: QUIT\nS: 221 bye\nE: reply QUIT 221");
        assert_eq!(talk.need, Need::Close);
    }
    let mut talk = Talk::new(Protocol::Smtp);
    talk.script("S: 421 not now\nE: closing 421");
    assert_eq!(talk.need, Need::Close);
    assert!(matches!(
        Talk::new(Protocol::Smtp).violates("354 what"),
        Violation::WrongReply { .. }
    ));
    assert!(matches!(
        Talk::new(Protocol::Smtp).violates("HTTP/1.1 400 Bad Request"),
        Violation::NotAReply(_)
    ));
}

#[test]
fn c060_helo_follows_a_refused_ehlo_and_gives_no_extensions() {
    let mut talk = Talk::new(Protocol::Smtp);
    talk.script("S: 220 x\nE: greeting 220");
    talk.hello(Hello::Ehlo);
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Hello));
    talk.script("C: EHLO client.example.org\nS: 502 what\nE: hello 502");
    assert_eq!(talk.connection.noop(), Err(NotNow::NoHello));
    talk.hello(Hello::Helo);
    talk.script("C: HELO client.example.org\nS: 250-x\nS: 250 PIPELINING\nE: hello 250");
    assert!(!talk.connection.pipelining());
    assert_eq!(talk.connection.capabilities().iter().count(), 0);
    talk.begin(&["a"]);
    talk.script("C: MAIL FROM:<me@example.org>");
}

#[test]
fn lmtp_says_lhlo_and_has_no_helo() {
    let mut talk = Talk::ready(Protocol::Lmtp, &["PIPELINING"]);
    assert!(talk.connection.pipelining());
    assert_eq!(talk.connection.protocol(), Protocol::Lmtp);
    let name = "client.example.org".parse().unwrap();
    assert_eq!(
        talk.connection.hello(Hello::Helo, &name),
        Err(NotNow::NoSuchCommand)
    );
}

#[test]
fn commands_that_a_caller_asks_for_are_answered_one_by_one() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.connection.noop().unwrap();
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Command));
    assert_eq!(talk.connection.reset(), Err(NotNow::Busy));
    assert_eq!(talk.connection.quit(), Err(NotNow::Busy));
    let begun = talk
        .connection
        .begin(envelope(&["a"]), TransactionOptions::default());
    assert_eq!(begun, Err(NotNow::Busy));
    talk.script("C: NOOP\nS: 250 ok\nE: reply NOOP 250");
    talk.connection.reset().unwrap();
    talk.script("C: RSET\nS: 250 ok\nE: reply RSET 250");
    talk.connection.verify("Smith, John").unwrap();
    talk.script("C: VRFY Smith, John\nS: 252 perhaps\nE: reply VRFY 252");
    talk.connection.expand("list").unwrap();
    talk.script("C: EXPN list\nS: 502 no\nE: reply EXPN 502");
    talk.connection.help("").unwrap();
    talk.script("C: HELP\nS: 214-a\nS: 214 b\nE: reply HELP 214");
    talk.connection.help("DATA").unwrap();
    talk.script("C: HELP DATA\nS: 299 any code of its class will do\nE: reply HELP 299");
    talk.connection.quit().unwrap();
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Quit));
    talk.script("C: QUIT\nS: 221 bye\nE: reply QUIT 221");
    assert_eq!(talk.need, Need::Close);
    assert_eq!(talk.connection.noop(), Err(NotNow::Closed));
    assert!(!talk.connection.is_idle());
}

#[test]
fn c004_an_argument_that_could_smuggle_is_refused_before_a_byte_is_queued() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    let long = "x".repeat(5000);
    for bad in ["a\r\nQUIT", "a\rb", "a\nb", "a\0b", "\u{85}", " ", &long] {
        for result in [
            talk.connection.verify(bad),
            talk.connection.expand(bad),
            talk.connection.help(bad),
        ] {
            assert!(matches!(result, Err(NotNow::Argument(_))), "{bad:?}");
        }
    }
    assert_eq!(
        talk.connection.verify("é"),
        Err(NotNow::NotOffered("SMTPUTF8"))
    );
    assert!(matches!(
        talk.connection.verify(""),
        Err(NotNow::Argument(_))
    ));
    talk.silent();
    assert!(talk.connection.is_idle());
}

#[test]
fn an_argument_leaves_room_for_its_verb_and_for_smtputf8() {
    let longest = limits::COMMAND_LINE - limits::VERB - " SMTPUTF8\r\n".len();
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    let too_long = talk.connection.verify(&"x".repeat(longest + 1));
    assert!(matches!(too_long, Err(NotNow::Argument(_))));
    talk.connection.verify(&"x".repeat(longest)).unwrap();
}

#[test]
fn what_a_driver_reads_of_a_connection_is_what_has_happened() {
    let mut talk = Talk::ready(Protocol::Smtp, &["SIZE 100", "X-OWN"]);
    let offered = talk.connection.capabilities();
    assert!(offered.has("X-OWN"));
    assert_eq!(offered.size_limit(), Some(100));
    // The greeting and the reply to EHLO, which has three lines.
    assert_eq!(talk.connection.replies(), 2);
    talk.connection.noop().unwrap();
    talk.script("C: NOOP\nS: 250-ok");
    assert_eq!(talk.connection.replies(), 2);
    talk.script("S: 250 ok\nE: reply NOOP 250");
    assert_eq!(talk.connection.replies(), 3);
}

#[test]
fn the_phase_that_a_connection_ended_in_is_kept_and_there_is_none_before() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.connection.help("").unwrap();
    talk.script("C: HELP");
    assert_eq!(talk.connection.ended_in(), None);
    talk.connection.lost();
    assert_eq!(talk.connection.ended_in(), Some(Phase::Command));
    // Lost a second time, it ended where it did.
    talk.connection.lost();
    assert_eq!(talk.connection.ended_in(), Some(Phase::Command));

    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.begin(&["a"]);
    talk.script("C: MAIL FROM:<me@example.org>\nS: 421 bye\nE: closing 421");
    assert_eq!(talk.connection.ended_in(), Some(Phase::Mail));
}

#[test]
fn c083_only_220_starts_tls() {
    for (line, refused) in [
        ("454 later", true),
        ("502 no", true),
        ("250 fine", false),
        ("354 go", false),
        ("221 x", false),
    ] {
        let mut talk = Talk::ready(Protocol::Smtp, &["STARTTLS"]);
        talk.connection.start_tls().unwrap();
        assert_eq!(talk.connection.waiting_for(), Some(Phase::StartTls));
        if refused {
            let code = &line[..3];
            talk.script(&format!(
                "C: STARTTLS\nS: {line}\nE: starttls refused {code}"
            ));
            assert!(talk.connection.is_idle() && talk.connection.tls().is_none());
        } else {
            talk.script("C: STARTTLS");
            let violation = talk.violates(line);
            assert!(matches!(
                violation,
                Violation::WrongReply {
                    command: "STARTTLS",
                    ..
                }
            ));
        }
    }
}

#[test]
fn c082_tls_forgets_what_was_learnt_in_clear() {
    let mut talk = Talk::ready(
        Protocol::Smtp,
        &["STARTTLS", "PIPELINING", "AUTH PLAIN LOGIN"],
    );
    talk.connection.start_tls().unwrap();
    talk.script("C: STARTTLS\nS: 220 go");
    assert_eq!(talk.need, Need::Tls);
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Tls));
    assert!(!talk.connection.is_idle());
    assert_eq!(talk.connection.noop(), Err(NotNow::Closed));
    talk.connection.secured(b"", tls()).unwrap();
    assert_eq!(talk.connection.tls(), Some(&tls()));
    assert_eq!(talk.connection.capabilities().iter().count(), 0);
    assert!(!talk.connection.pipelining());
    assert_eq!(talk.connection.noop(), Err(NotNow::NoHello));
    talk.hello(Hello::Ehlo);
    talk.script("C: EHLO client.example.org\nS: 250-x\nS: 250 STARTTLS\nE: hello 250");
    assert_eq!(talk.connection.start_tls(), Err(NotNow::AlreadySecure));
}

#[test]
fn c081_bytes_behind_the_220_are_a_violation_wherever_they_are_cut() {
    let injected = b"220 go\r\n250-AUTH PLAIN\r\n250 x\r\n";
    for cut in 0..injected.len() {
        let mut talk = Talk::ready(Protocol::Smtp, &["STARTTLS"]);
        talk.connection.start_tls().unwrap();
        talk.flush();
        let result = talk
            .feed(&injected[..cut])
            .and_then(|()| talk.feed(&injected[cut..]));
        assert_eq!(result, Err(Violation::BytesBehindStartTls), "cut at {cut}");
    }
    let mut talk = Talk::ready(Protocol::Smtp, &["STARTTLS"]);
    talk.connection.start_tls().unwrap();
    talk.script("C: STARTTLS\nS: 220 go");
    assert_eq!(
        talk.connection.secured(b"2", tls()),
        Err(Violation::BytesBehindStartTls)
    );
    assert_eq!(
        talk.connection
            .hello(Hello::Ehlo, &"client.example.org".parse().unwrap()),
        Err(NotNow::Closed)
    );
}

#[test]
fn extensions_that_were_not_offered_are_not_used() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    assert_eq!(
        talk.connection.start_tls(),
        Err(NotNow::NotOffered("STARTTLS"))
    );
    let auth = talk.connection.auth(exchange(Mechanism::Plain, "pw"));
    assert_eq!(auth, Err(NotNow::NotOffered("AUTH")));
    talk.silent();
}

#[test]
fn auth_plain_goes_in_one_line() {
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH PLAIN"]);
    talk.connection
        .auth(exchange(Mechanism::Plain, "tanstaaftanstaaf"))
        .unwrap();
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Auth));
    let shown = format!("{:?}", talk.connection);
    assert!(!shown.contains("tanst") && !shown.contains("AHRpbQ"));
    talk.script(
        "C: AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm
         S: 235 2.7.0 welcome
         E: auth 235",
    );
    assert!(talk.connection.is_authenticated());
    let again = talk.connection.auth(exchange(Mechanism::Plain, "x"));
    assert_eq!(again, Err(NotNow::AlreadyAuthenticated));
}

#[test]
fn auth_login_is_asked_twice() {
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH LOGIN"]);
    talk.connection
        .auth(exchange(Mechanism::Login, "pw"))
        .unwrap();
    talk.script(
        "C: AUTH LOGIN
         S: 334 VXNlcm5hbWU6
         C: dGlt
         S: 334 UGFzc3dvcmQ6
         C: cHc=
         S: 535 5.7.8 no
         E: auth 535",
    );
    assert!(!talk.connection.is_authenticated() && talk.connection.is_idle());
}

#[test]
fn c112_c114_a_long_initial_response_waits_for_the_empty_challenge() {
    // With tim and two NULs, 367 octets of password make 372, which are 496 of base64; 13 more belong to the line.
    for (length, fits) in [(364, true), (367, true), (368, false), (5000, false)] {
        for challenge in ["334 ", "334"] {
            let mut talk = Talk::ready(Protocol::Smtp, &["AUTH PLAIN"]);
            talk.connection
                .auth(exchange(Mechanism::Plain, &"p".repeat(length)))
                .unwrap();
            talk.flush();
            let line = String::from_utf8(std::mem::take(&mut talk.wire)).unwrap();
            assert!(line.len() <= 512);
            assert_eq!(line != "AUTH PLAIN\r\n", fits, "{length}");
            if !fits {
                talk.feed(format!("{challenge}\r\n").as_bytes()).unwrap();
                talk.flush();
                assert!(talk.wire.starts_with(b"AHRpbQBwcHBw") && talk.wire.len() > 500);
                talk.wire.clear();
            }
            talk.script("S: 235 ok\nE: auth 235");
        }
    }
}

#[test]
fn c113_a_challenge_that_is_not_base64_is_answered_by_an_asterisk() {
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH LOGIN"]);
    talk.connection
        .auth(exchange(Mechanism::Login, "pw"))
        .unwrap();
    talk.script(
        "C: AUTH LOGIN
         S: 334 !!!
         C: *
         S: 501 cancelled
         E: auth 501",
    );
    assert!(talk.connection.is_idle());
    talk.connection
        .auth(exchange(Mechanism::Login, "pw"))
        .unwrap();
    talk.script("C: AUTH LOGIN\nS: 334 a\nC: *");
    assert!(
        matches!(
            talk.violates("235 welcome"),
            Violation::WrongReply {
                command: "AUTH",
                ..
            }
        ),
        "no success after the exchange was cancelled"
    );
    // Even where the mechanism had said all it has to say.
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH PLAIN"]);
    talk.connection
        .auth(exchange(Mechanism::Plain, "pw"))
        .unwrap();
    talk.script("C: AUTH PLAIN AHRpbQBwdw==\nS: 334 \nC: *");
    assert!(matches!(
        talk.violates("235 welcome"),
        Violation::WrongReply {
            command: "AUTH",
            ..
        }
    ));
}

#[test]
fn c125_an_endless_row_of_challenges_ends() {
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH PLAIN"]);
    talk.connection
        .auth(exchange(Mechanism::Plain, "pw"))
        .unwrap();
    talk.script("C: AUTH PLAIN AHRpbQBwdw==\nS: 334 \nC: *");
    assert!(matches!(
        talk.violates("334 "),
        Violation::WrongReply {
            command: "AUTH",
            ..
        }
    ));
}

#[test]
fn a_success_before_the_mechanism_came_to_its_end_is_not_believed() {
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH LOGIN"]);
    talk.connection
        .auth(exchange(Mechanism::Login, "pw"))
        .unwrap();
    talk.script("C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dGlt");
    assert!(matches!(
        talk.violates("235 welcome"),
        Violation::WrongReply {
            command: "AUTH",
            ..
        }
    ));
    assert!(!talk.connection.is_authenticated());
}

#[test]
fn a_success_before_the_initial_response_was_sent_is_not_believed() {
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH PLAIN"]);
    talk.connection
        .auth(exchange(Mechanism::Plain, &"p".repeat(400)))
        .unwrap();
    talk.script("C: AUTH PLAIN");
    assert!(matches!(
        talk.violates("235 welcome"),
        Violation::WrongReply {
            command: "AUTH",
            ..
        }
    ));
}

#[test]
fn c053_a_reply_to_nothing_ends_the_connection() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    assert!(matches!(
        talk.violates("250 ok"),
        Violation::UnexpectedReply(_)
    ));
    assert_eq!(talk.feed(b"250 more\r\n"), Ok(()));
    assert_eq!((talk.need, talk.unread.len()), (Need::Close, 0));
}

#[test]
fn c053_an_early_reply_does_not_answer_the_next_command() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.connection.noop().unwrap();
    talk.flush();
    let both = b"250 ok\r\n250 extra\r\n";
    let Ok(Progress::Event { used, .. }) = talk.connection.receive(both) else {
        panic!()
    };
    talk.connection.reset().unwrap();
    drain(&mut talk.connection, usize::MAX);
    assert!(matches!(
        talk.connection.receive(&both[used..]),
        Err(Violation::UnexpectedReply(_))
    ));

    // The same when only the first bytes of the extra reply had come.
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.feed(b"25").unwrap();
    talk.connection.reset().unwrap();
    talk.flush();
    assert!(matches!(
        talk.feed(b"0 ok\r\n"),
        Err(Violation::UnexpectedReply(_))
    ));

    // Nor does one that came before the command was sent.
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.connection.reset().unwrap();
    drain(&mut talk.connection, 5);
    assert!(matches!(
        talk.feed(b"250 ok\r\n"),
        Err(Violation::UnexpectedReply(_))
    ));

    // Nor one that began behind the reply which brought the command.
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.begin(&["a"]);
    talk.flush();
    talk.feed(b"250 ok\r\n25").unwrap();
    talk.flush();
    assert!(matches!(
        talk.feed(b"0 ok\r\n"),
        Err(Violation::UnexpectedReply(_))
    ));
}

#[test]
fn c052_421_closes_whenever_it_comes() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.script("S: 421 4.3.2 shutting down\nE: closing 421");
    assert_eq!(talk.need, Need::Close);
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.connection.noop().unwrap();
    talk.script("C: NOOP\nS: 421 bye\nE: closing 421");
    assert_eq!(talk.connection.noop(), Err(NotNow::Closed));
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH LOGIN"]);
    talk.connection
        .auth(exchange(Mechanism::Login, "pw"))
        .unwrap();
    talk.script("C: AUTH LOGIN\nS: 421 bye\nE: closing 421");
}
