//! Messages, and which numbers they move.

use super::*;

pub(super) const MESSAGES: &[Case] = &[
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
            let text = "x".repeat(200_000);
            says_in_transaction(server, &[("DATA", "354"), (&format!("{text}\r\n."), "552")]);
        },
        moves: &[("refused_messages", 1), ("messages_without_memory", 1)],
    },
    Case {
        what: "a message that is given up between two chunks",
        settings: &[],
        act: |server, _| says_in_transaction(server, &[("BDAT 3\r\nx", "250"), ("RSET", "250")]),
        moves: &[],
    },
    Case {
        what: "commands that would begin a message and cannot be carried out",
        settings: &[("extensions", "CHUNKING,8BITMIME,BINARYMIME")],
        act: |server, _| {
            // Without recipients there is no message.
            says(
                server,
                &[ENVELOPE[0], ("DATA", "503"), ("BDAT 0 LAST", "503")],
            );
            says_in_transaction(
                server,
                &[
                    ("DATA x", "501"),
                    ("BDAT 3\r\nx", "250"),
                    ("DATA", "503"),
                    ("RSET", "250"),
                    ("MAIL FROM:<a@b.example> BODY=BINARYMIME", "250"),
                    ENVELOPE[1],
                    ("DATA", "503"),
                    ("HELO client.example", "250"),
                    ENVELOPE[0],
                    ENVELOPE[1],
                    ("BDAT 3\r\nx", "503"),
                    // It is refused already.
                    ("DATA", "503"),
                    ("BDAT 0 LAST", "503"),
                ],
            );
        },
        moves: &[
            ("refused_messages", 4),
            ("bad_messages", 4),
            ("sessions", 1),
            ("sessions_quit", 1),
        ],
    },
];
