//! Connections, sessions and logins, and which numbers they move.

use super::*;

pub(super) const SESSIONS: &[Case] = &[
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

/// A client that says this in a transaction with a recipient, and is left then.
fn ends_by(server: &Running, script: &[(&str, &str)]) {
    let mut talk = server.greeted();
    follow(&mut talk, &[&ENVELOPE, script].concat());
    assert!(talk.is_closed());
}

const FAR_TOO_BIG: &[(&str, u64)] = &[
    ("sessions", 1),
    ("refused_messages", 1),
    ("messages_too_big", 1),
    ("sessions_over_limit", 1),
];

/// The end of a session, each by its cause.
pub(super) const ENDS: &[Case] = &[
    Case {
        what: "too many commands without mail",
        settings: &[("max_idle_commands", "2")],
        act: |server, _| follow(&mut server.greeted(), &[("NOOP", "250"), ("NOOP", "421")]),
        moves: &[("sessions", 1), ("sessions_over_limit", 1)],
    },
    Case {
        what: "too many transactions",
        settings: &[("max_transactions", "1")],
        act: |server, _| {
            ends_by(
                server,
                &[("RSET", "250"), ("MAIL FROM:<a@b.example>", "421")],
            );
        },
        // The 421 is the limit's, and no refused sender.
        moves: &[("sessions", 1), ("sessions_over_limit", 1)],
    },
    Case {
        what: "too many failed logins",
        settings: &[("max_auth_failures", "1"), ("auth_delay", "0")],
        act: |server, _| {
            let logins = [(PLAIN_WRONG, "535"), (PLAIN_RIGHT, "421")];
            follow(&mut server.greeted(), &logins);
        },
        moves: &[
            ("sessions", 1),
            ("failed_logins", 1),
            ("sessions_over_limit", 1),
        ],
    },
    Case {
        what: "a message by DATA that is far too big",
        settings: &[("max_message_size", "4")],
        act: |server, _| {
            // Little more than what is read of any message.
            let text = "x".repeat(0x10_0008);
            ends_by(server, &[("DATA", "354"), (&format!("{text}\r\n."), "552")]);
        },
        moves: FAR_TOO_BIG,
    },
    Case {
        what: "a chunk that is far too big",
        settings: &[("max_message_size", "4")],
        act: |server, _| ends_by(server, &[("BDAT 1114112", "552")]),
        moves: FAR_TOO_BIG,
    },
    Case {
        what: "a client that hangs up in a chunk that is too big",
        settings: &[("max_message_size", "4")],
        act: |server, _| {
            let mut talk = server.greeted();
            follow(&mut talk, &ENVELOPE);
            talk.send("BDAT 5\r\nx");
        },
        moves: &[("sessions", 1), ("sessions_lost", 1)],
    },
    Case {
        what: "a chunk where none are offered",
        settings: &[("extensions", "SIZE")],
        act: |server, _| ends_by(server, &[("BDAT 3\r\nx", "502")]),
        moves: &[("sessions", 1), ("sessions_violated", 1)],
    },
    Case {
        what: "a line without an end",
        settings: &[],
        act: |server, _| follow(&mut server.greeted(), &[(&"x".repeat(0x1_1000), "500")]),
        moves: &[("sessions", 1), ("sessions_violated", 1)],
    },
    Case {
        what: "what was sent in clear behind STARTTLS",
        settings: &[],
        act: |server, _| {
            let mut talk = server.greeted();
            follow(&mut talk, &[("STARTTLS\r\nNOOP", "554")]);
            assert!(talk.is_closed());
        },
        moves: &[("sessions", 1), ("sessions_violated", 1)],
    },
];
