//! Each number of the statistics: what moves it, and that nothing else does.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::super::{Options, Statistics};
use super::talk::Talk;
use super::{Running, tls};
use crate::sasl::Secret;
use crate::tls::ClientTls;
use crate::tls::test_pki::Authority;

const ENVELOPE: [(&str, &str); 2] = [
    ("MAIL FROM:<a@b.example>", "250"),
    ("RCPT TO:<c@d.example>", "250"),
];

/// What a client does at a server with these settings, and which numbers that moves besides those of a session: they are in front.
struct Case {
    what: &'static str,
    settings: &'static [(&'static str, &'static str)],
    act: fn(&Running, &ClientTls),
    moves: &'static [(&'static str, u64)],
}

/// A client that says each of these, is answered so, and says QUIT.
fn says(server: &Running, script: &[(&str, &str)]) {
    let mut talk = server.greeted();
    follow(&mut talk, script);
    assert!(talk.ask("QUIT").starts_with("221 "));
}

fn follow(talk: &mut Talk, script: &[(&str, &str)]) {
    for (command, expected) in script {
        let reply = talk.ask(command);
        assert!(reply.starts_with(expected), "{command}: {reply}");
    }
}

/// A client that comes while another one is there, and is one too many.
fn comes_beside_another(server: &Running, _: &ClientTls) {
    let mut talk = server.greeted();
    assert!(Talk::connect(server.address).reply().starts_with("421 "));
    talk.ask("QUIT");
}

/// The same in a transaction with a recipient.
fn says_in_transaction(server: &Running, script: &[(&str, &str)]) {
    says(server, &[&ENVELOPE, script].concat());
}

const PLAIN_RIGHT: &str = "AUTH PLAIN AHRpbQBzZWNyZXQ=";
const PLAIN_WRONG: &str = "AUTH PLAIN AHRpbQB3cm9uZw==";

const SESSIONS: &[Case] = &[
    Case {
        what: "a session",
        settings: &[],
        act: |server, _| {
            let mut talk = server.greeted();
            assert_eq!(server.statistics().open_sessions, 1);
            assert_eq!(server.statistics().octets_received, 0);
            talk.ask("QUIT");
        },
        moves: &[("sessions", 1), ("sessions_quit", 1)],
    },
    Case {
        what: "a client that hangs up",
        settings: &[],
        act: |server, _| drop(server.greeted()),
        moves: &[("sessions", 1), ("sessions_lost", 1)],
    },
    Case {
        what: "a client that says nothing",
        settings: &[("idle_timeout", "0.2")],
        act: |server, _| assert!(server.greeted().reply().starts_with("421 ")),
        moves: &[("sessions", 1), ("sessions_timed_out", 1)],
    },
    Case {
        what: "too many bad commands",
        settings: &[("max_bad_commands", "1")],
        act: |server, _| follow(&mut server.greeted(), &[("FOO", "500"), ("FOO", "421")]),
        moves: &[("sessions", 1), ("sessions_over_limit", 1)],
    },
    Case {
        what: "another protocol",
        settings: &[],
        act: |server, _| follow(&mut server.client(), &[("GET / HTTP/1.1", "421")]),
        moves: &[("sessions", 1), ("sessions_violated", 1)],
    },
    Case {
        what: "one connection too many",
        settings: &[("max_connections", "1")],
        act: comes_beside_another,
        moves: &[
            ("sessions", 1),
            ("connections_too_many", 1),
            ("sessions_quit", 1),
        ],
    },
    Case {
        what: "one connection of an address too many",
        settings: &[("connections_per_address", "1")],
        act: comes_beside_another,
        moves: &[
            ("sessions", 1),
            ("connections_too_many_of_address", 1),
            ("sessions_quit", 1),
        ],
    },
    Case {
        what: "a connection too many for a minute",
        settings: &[("connections_per_minute", "1")],
        act: |server, _| {
            server.greeted().ask("QUIT");
            assert!(Talk::connect(server.address).reply().starts_with("421 "));
        },
        moves: &[
            ("sessions", 1),
            ("connections_too_often", 1),
            ("sessions_quit", 1),
        ],
    },
    Case {
        what: "a session that the application ends",
        settings: &[],
        act: |server, _| {
            follow(
                &mut server.greeted(),
                &[("MAIL FROM:<leave@b.example>", "421")],
            );
        },
        moves: &[
            ("sessions", 1),
            ("refused_senders", 1),
            ("senders_refused_by_application", 1),
            ("sessions_ended_by_application", 1),
        ],
    },
    Case {
        what: "a chunk whose size is none",
        settings: &[],
        act: |server, _| {
            let chunks = [("BDAT 3\r\nx", "250"), ("BDAT x", "501")];
            follow(&mut server.greeted(), &[&ENVELOPE[..], &chunks].concat());
        },
        moves: &[("sessions", 1), ("sessions_violated", 1)],
    },
    Case {
        what: "a proxy without its header",
        settings: &[("proxy_protocol", "127.0.0.1")],
        act: |server, _| {
            let mut talk = Talk::connect(server.address);
            talk.send("EHLO client.example\r\n");
            assert!(talk.is_closed());
        },
        moves: &[("bad_proxy_headers", 1)],
    },
    Case {
        what: "STARTTLS",
        settings: &[],
        act: |server, tls| {
            let mut talk = tls::secured(server, tls);
            talk.ask("QUIT");
        },
        moves: &[("sessions", 1), ("tls_handshakes", 1), ("sessions_quit", 1)],
    },
    Case {
        what: "a handshake that is none",
        settings: &[],
        act: |server, _| {
            let mut talk = server.greeted();
            follow(&mut talk, &[("STARTTLS", "220")]);
            talk.send("no handshake\r\n");
            talk.is_closed();
        },
        moves: &[
            ("sessions", 1),
            ("failed_tls_handshakes", 1),
            ("sessions_lost", 1),
        ],
    },
    Case {
        what: "a login",
        settings: &[],
        act: |server, _| says(server, &[(PLAIN_RIGHT, "235")]),
        moves: &[("sessions", 1), ("logins", 1), ("sessions_quit", 1)],
    },
    Case {
        what: "a login that fails, and one that is not judged",
        settings: &[("auth_failures_per_address", "1"), ("auth_delay", "0")],
        act: |server, _| says(server, &[(PLAIN_WRONG, "535"), (PLAIN_RIGHT, "454")]),
        moves: &[
            ("sessions", 1),
            ("failed_logins", 1),
            ("locked_logins", 1),
            ("sessions_quit", 1),
        ],
    },
];

const COMMANDS: &[Case] = &[
    Case {
        what: "the sender of another",
        settings: &[("bind_sender", "true")],
        act: |server, _| {
            let foreign = "MAIL FROM:<kurt@d.example>";
            says(server, &[(PLAIN_RIGHT, "235"), (foreign, "553")]);
        },
        moves: &[
            ("logins", 1),
            ("refused_senders", 1),
            ("foreign_senders", 1),
        ],
    },
    Case {
        what: "a message too many for a minute",
        settings: &[("messages_per_minute", "1")],
        act: |server, _| {
            let mail = "MAIL FROM:<a@b.example>";
            says(server, &[(mail, "250"), ("RSET", "250"), (mail, "452")]);
        },
        moves: &[("refused_senders", 1), ("messages_too_often", 1)],
    },
    Case {
        what: "a size over the limit",
        settings: &[("max_message_size", "1000")],
        act: |server, _| says(server, &[("MAIL FROM:<a@b.example> SIZE=1001", "552")]),
        moves: &[("refused_senders", 1), ("declared_sizes_too_big", 1)],
    },
    Case {
        what: "senders that cannot be taken",
        settings: &[],
        act: |server, _| {
            says(
                server,
                &[
                    ("MAIL FROM:<a", "501"),
                    ("MAIL", "501"),
                    ("MAIL FROM:<\u{fc}@b.example>", "550"),
                    ("MAIL FROM:<a@b.example> FOO=1", "555"),
                    ("MAIL FROM:<a@b.example>", "250"),
                    ("MAIL FROM:<a@b.example>", "503"),
                    // No sender at all.
                    ("MAILBOX a", "500"),
                ],
            );
        },
        moves: &[("refused_senders", 5), ("bad_senders", 5)],
    },
    Case {
        what: "a sender before a login",
        settings: &[("auth_required", "true")],
        act: |server, _| says(server, &[("MAIL FROM:<a@b.example>", "530")]),
        moves: &[("refused_senders", 1), ("bad_senders", 1)],
    },
    Case {
        what: "one recipient too many",
        settings: &[("max_recipients", "1")],
        act: |server, _| says_in_transaction(server, &[("RCPT TO:<e@d.example>", "452")]),
        moves: &[("refused_recipients", 1), ("recipients_too_many", 1)],
    },
    Case {
        what: "one domain too many",
        settings: &[("max_recipient_domains", "1")],
        act: |server, _| says_in_transaction(server, &[("RCPT TO:<c@e.example>", "452")]),
        moves: &[("refused_recipients", 1), ("recipients_too_many", 1)],
    },
    Case {
        what: "recipients that cannot be taken",
        settings: &[],
        act: |server, _| {
            says(
                server,
                &[
                    ("RCPT TO:<c@d.example>", "503"),
                    ("MAIL FROM:<a@b.example>", "250"),
                    ("RCPT TO:<c", "501"),
                    ("RCPT TO:<\u{fc}@d.example>", "553"),
                    ("RCPT TO:<c@d.example> FOO=1", "555"),
                    ("RCPT TO:<c@d.example>", "250"),
                    ("BDAT 0", "250"),
                    ("RCPT TO:<e@d.example>", "503"),
                    ("RSET", "250"),
                ],
            );
        },
        moves: &[("refused_recipients", 5), ("bad_recipients", 5)],
    },
    Case {
        what: "a recipient too many for a minute",
        settings: &[("recipients_per_minute", "1")],
        act: |server, _| says_in_transaction(server, &[("RCPT TO:<c@d.example>", "452")]),
        moves: &[("refused_recipients", 1), ("recipients_too_often", 1)],
    },
    Case {
        what: "a stranger's recipient elsewhere",
        settings: &[("domains", "d.example")],
        act: |server, _| says_in_transaction(server, &[("RCPT TO:<c@e.example>", "550")]),
        moves: &[("refused_recipients", 1), ("denied_relays", 1)],
    },
    Case {
        what: "what the application does not want",
        settings: &[],
        act: |server, _| {
            let hello = ("EHLO refuse.example", "550");
            says(server, &[hello, ("MAIL FROM:<refuse@b.example>", "550")]);
            says_in_transaction(server, &[("RCPT TO:<refuse@d.example>", "550")]);
        },
        moves: &[
            ("hellos_refused_by_application", 1),
            ("refused_senders", 1),
            ("senders_refused_by_application", 1),
            ("refused_recipients", 1),
            ("recipients_refused_by_application", 1),
            ("sessions", 1),
            ("sessions_quit", 1),
        ],
    },
];

const MESSAGES: &[Case] = &[
    Case {
        what: "a message",
        settings: &[],
        act: |server, _| says_in_transaction(server, &[("DATA", "354"), ("x\r\n.", "250")]),
        moves: &[("messages", 1), ("octets", 3)],
    },
    Case {
        what: "a message that the application does not want",
        settings: &[],
        act: |server, _| {
            let later = ("RCPT TO:<later@d.example>", "250");
            let message = [ENVELOPE[0], later, ("DATA", "354"), ("x\r\n.", "450")];
            says(server, &message);
        },
        moves: &[
            ("refused_messages", 1),
            ("messages_refused_by_application", 1),
        ],
    },
    Case {
        what: "a positive answer that is none to this",
        settings: &[],
        act: |server, _| {
            says(server, &[("MAIL FROM:<strange@b.example>", "451")]);
            says_in_transaction(server, &[("RCPT TO:<strange@d.example>", "451")]);
            let elsewhere = ("RCPT TO:<elsewhere@d.example>", "250");
            says(
                server,
                &[ENVELOPE[0], elsewhere, ("DATA", "354"), ("x\r\n.", "451")],
            );
        },
        moves: &[
            ("refused_senders", 1),
            ("senders_refused_by_application", 1),
            ("refused_recipients", 1),
            ("recipients_refused_by_application", 1),
            ("refused_messages", 1),
            ("messages_refused_by_application", 1),
            ("sessions", 2),
            ("sessions_quit", 2),
        ],
    },
    Case {
        what: "a fault of this side",
        settings: &[],
        act: |server, _| {
            let faulty = ("MAIL FROM:<faulty@b.example>", "250");
            says(server, &[faulty, ENVELOPE[1], ("DATA", "451")]);
        },
        moves: &[
            ("refused_messages", 1),
            ("messages_failed", 1),
            ("faults", 1),
        ],
    },
    Case {
        what: "a line end alone",
        settings: &[],
        act: |server, _| says_in_transaction(server, &[("DATA", "354"), ("x\ny\r\n.", "554")]),
        moves: &[("refused_messages", 1), ("messages_with_bare_line_ends", 1)],
    },
    Case {
        what: "line ends alone in a chunk and in the last one",
        settings: &[],
        act: |server, _| {
            let chunk = [("BDAT 5\r\nx\ny", "554"), ("RSET", "250")];
            let last = [("BDAT 5 LAST\r\nx\ny", "554")];
            says(server, &[&ENVELOPE[..], &chunk, &ENVELOPE, &last].concat());
        },
        moves: &[("refused_messages", 2), ("messages_with_bare_line_ends", 2)],
    },
    Case {
        what: "a message in circles, whose rest is bad too",
        settings: &[],
        act: |server, _| {
            let text = "Received: x\r\n".repeat(101);
            for (rest, code) in [("", "554"), ("\r\nx\ny\r\n", "554")] {
                let whole = format!("{text}{rest}.");
                says_in_transaction(server, &[("DATA", "354"), (&whole, code)]);
            }
        },
        moves: &[
            ("refused_messages", 2),
            ("mail_loops", 1),
            ("messages_with_bare_line_ends", 1),
            ("sessions", 1),
            ("sessions_quit", 1),
        ],
    },
    Case {
        what: "too big by DATA",
        settings: &[("max_message_size", "4")],
        act: |server, _| says_in_transaction(server, &[("DATA", "354"), ("xyz\r\n.", "552")]),
        moves: &[("refused_messages", 1), ("messages_too_big", 1)],
    },
    Case {
        what: "too big in a first chunk, which is the last too",
        settings: &[("max_message_size", "4")],
        act: |server, _| says_in_transaction(server, &[("BDAT 5 LAST\r\nxyz", "552")]),
        moves: &[("refused_messages", 1), ("messages_too_big", 1)],
    },
    Case {
        what: "too big in a first chunk, and what comes behind it is no other message",
        settings: &[("max_message_size", "4")],
        act: |server, _| {
            let last = ("BDAT 2 LAST\r\n", "503");
            says_in_transaction(server, &[("BDAT 5\r\nxyz", "552"), last, ("RSET", "250")]);
        },
        moves: &[("refused_messages", 1), ("messages_too_big", 1)],
    },
    Case {
        what: "too big in a second chunk",
        settings: &[("max_message_size", "4")],
        act: |server, _| {
            says_in_transaction(
                server,
                &[("BDAT 3\r\nx", "250"), ("BDAT 2 LAST\r\n", "552")],
            );
        },
        moves: &[("refused_messages", 1), ("messages_too_big", 1)],
    },
    Case {
        what: "no memory",
        settings: &[("body_memory", "20000")],
        act: |server, _| {
            let text = "x".repeat(60_000);
            says_in_transaction(server, &[("DATA", "354"), (&format!("{text}\r\n."), "452")]);
        },
        moves: &[("refused_messages", 1), ("messages_without_memory", 1)],
    },
    Case {
        what: "a message that is given up between two chunks",
        settings: &[],
        act: |server, _| says_in_transaction(server, &[("BDAT 3\r\nx", "250"), ("RSET", "250")]),
        moves: &[],
    },
];

/// What moved at a server with these options once its sessions were over.
fn moved(case: &Case, mut options: Options, tls: &ClientTls) -> Vec<(&'static str, u64)> {
    for (name, value) in case.settings {
        options.set(name, value).unwrap();
    }
    let server = Running::start(options);
    (case.act)(&server, tls);
    let begun = Instant::now();
    while server.statistics().open_sessions > 0 || server.statistics() == Statistics::default() {
        let waited = begun.elapsed();
        assert!(
            waited < Duration::from_secs(20),
            "{}: it goes on",
            case.what
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = server.statistics();
    let ends = told.sessions_quit
        + told.sessions_lost
        + told.sessions_timed_out
        + told.sessions_over_limit
        + told.sessions_ended_by_application
        + told.sessions_shut_down
        + told.sessions_violated;
    assert_eq!(ends, told.sessions, "{}", case.what);
    // Whoever has talked has heard and been heard.
    assert_eq!(told.octets_received > 0, told.sessions > 0, "{}", case.what);
    assert_eq!(told.octets_sent > 0, told.sessions > 0, "{}", case.what);
    let values = told.values();
    values
        .filter(|(name, value)| *value > 0 && !name.starts_with("octets_"))
        .collect()
}

#[test]
fn each_number_is_moved_by_what_it_counts_and_by_nothing_else() {
    let authority = Authority::new("test");
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    options.set_tls(authority.issue(&["mx.example.org"]).server());
    options.set_allow_plaintext_auth(true);
    options.add_user("tim", Secret::new("secret")).unwrap();
    let tls = authority.client();
    let mut provoked: HashSet<&str> = ["octets_received", "octets_sent", "open_sessions"].into();
    let quits = [("sessions", 1), ("sessions_quit", 1)];
    let sessions = SESSIONS.iter().map(|case| (case, &[][..]));
    let others = COMMANDS
        .iter()
        .chain(MESSAGES)
        .map(|case| (case, &quits[..]));
    for (case, usual) in sessions.chain(others) {
        let mut expected: Vec<(&str, u64)> = Vec::new();
        for (name, count) in case.moves.iter().chain(usual) {
            match expected.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += count,
                None => expected.push((name, *count)),
            }
        }
        let mut moves = moved(case, options.clone(), &tls);
        expected.sort_unstable();
        moves.sort_unstable();
        assert_eq!(moves, expected, "{}", case.what);
        provoked.extend(expected.iter().map(|(name, _)| *name));
    }
    // Of other tests: memory is held while it is used (memory.rs), long lists (memory.rs), the queue (blocking/server/tests/full.rs), a
    // handler that panics (sessions.rs), the end of a server (ends.rs), want of descriptors (core/tests/listening.rs).
    provoked.extend([
        "body_memory",
        "recipients_without_memory",
        "queued_events",
        "unanswered_events",
        "connections_refused_by_application",
        "sessions_shut_down",
        "failed_accepts",
    ]);
    let all = Statistics::default();
    for (name, _) in all.values() {
        assert!(provoked.contains(name), "nothing has moved {name}");
    }
}

#[test]
fn a_chunk_that_is_no_number_ends_the_session_and_refuses_no_message() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    follow(&mut talk, &ENVELOPE);
    follow(&mut talk, &[("BDAT 3\r\nx", "250"), ("BDAT x", "501")]);
    assert!(talk.is_closed());
    assert_eq!(server.seen.wait_for("lost"), "lost 600");
    server.seen.wait_for("disconnect");
    let told = server.statistics();
    assert_eq!((told.messages, told.refused_messages), (0, 0));
}
