//! Senders, recipients and hellos, and which numbers they move.

use super::*;

pub(super) const COMMANDS: &[Case] = &[
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
                    ("MAIL\tFROM:<a", "501"),
                    // No sender at all.
                    ("MAILBOX a", "500"),
                ],
            );
        },
        moves: &[("refused_senders", 6), ("bad_senders", 6)],
    },
    Case {
        what: "a sender before a login",
        settings: &[("auth_required", "true")],
        act: |server, _| says(server, &[("MAIL FROM:<a@b.example>", "530")]),
        moves: &[("refused_senders", 1), ("bad_senders", 1)],
    },
    Case {
        what: "what is too long for a command",
        settings: &[("command_line", "512")],
        act: |server, _| {
            let long = format!("MAIL FROM:<a@b.example> {}", "x".repeat(500));
            says(server, &[(&long, "500")]);
        },
        moves: &[],
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
