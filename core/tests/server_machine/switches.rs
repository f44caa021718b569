//! The switches of a listener that make it more lenient, or stricter, than it is by default.

use mailwire::proto::data::LineEnds;
use mailwire::proto::server::{Hooks, OwnMechanism};
use mailwire::sasl::{SaslError, ServerContext, ServerMechanism, Step};

use crate::talk::{after_hello, config, greeted};

#[test]
fn lf_alone_ends_no_command_unless_the_listener_is_lenient() {
    after_hello(
        config(),
        &["c: NOOP\nNOOP\nNOOP\r\n", "S: 500 5.5.2 Not a command"],
    );
    after_hello(
        config().with_lenient_line_ends(true),
        &[
            "c: NOOP\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nRCPT TO:<e@f>\r\n",
            "S: 250 2.0.0 OK",
            "S: 250 2.1.0 OK",
            "S: 250 2.1.5 OK",
            "S: 250 2.1.5 OK",
        ],
    );
}

#[test]
fn leniency_ends_at_the_message() {
    for line_ends in [LineEnds::Refuse, LineEnds::Normalise] {
        let config = config()
            .with_lenient_line_ends(true)
            .with_line_ends(line_ends);
        let mut talk = after_hello(
            config,
            &[
                "c: MAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n",
                "S: 250 2.1.0 OK",
                "S: 250 2.1.5 OK",
                "S: 354 End data with <CR><LF>.<CR><LF>",
            ],
        );
        // What would end the message, and a command behind it.
        talk.lend(b"one\n.\nRSET\nNOOP\n\r\n.\r\nNOOP\n");
        let told: Vec<_> = std::iter::from_fn(|| talk.event()).collect();
        if line_ends == LineEnds::Refuse {
            assert_eq!(told.last().map(String::as_str), Some("Discarded"));
            talk.follow(&[
                "S: 554 5.6.0 Message has a bare CR or LF",
                "S: 250 2.0.0 OK",
            ]);
        } else {
            let body = "Body one\\r\\n.\\r\\nRSET\\r\\nNOOP\\r\\n\\r\\n";
            assert_eq!(told, [body, "EndOfData 22"]);
            talk.follow(&["A: accept", "S: 250 2.0.0 OK", "S: 250 2.0.0 OK"]);
        }
    }
}

#[test]
fn a_message_in_chunks_is_made_canonical_up_to_its_end() {
    let config = || config().with_line_ends(LineEnds::Normalise);
    for (chunks, body, size) in [
        ("BDAT 3\r\na\nbBDAT 1 LAST\r\nc", "a\\r\\nbc\\r\\n", 7),
        ("BDAT 2\r\na\rBDAT 0 LAST\r\n", "a\\r\\n", 3),
        ("BDAT 4 LAST\r\na\n\n\n", "a\\r\\n\\r\\n\\r\\n", 7),
        ("BDAT 1 LAST\r\na", "a\\r\\n", 3),
    ] {
        let mut talk = greeted(config());
        talk.lend(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
        talk.lend(chunks.as_bytes());
        let told: Vec<_> = std::iter::from_fn(|| talk.event()).collect();
        let end = format!("EndOfData {size}");
        assert_eq!(told, [format!("Body {body}"), end], "{chunks:?}");
        talk.output.clear();
        talk.follow(&["A: accept", "S: 250 2.0.0 OK"]);
        talk.follow(&["C: NOOP", "S: 250 2.0.0 OK"]);
    }
    // The line end that is added counts.
    let mut talk = greeted(config().with_size_limit(Some(2)));
    talk.lend(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1 LAST\r\na");
    let told: Vec<_> = std::iter::from_fn(|| talk.event()).collect();
    assert_eq!(told, ["Body a", "Discarded"]);
    talk.output.drain(..talk.output.len() - 27);
    talk.follow(&["S: 552 5.3.4 Message too big"]);
}

#[test]
fn questions_that_are_asked_for_twice_are_asked_for() {
    let hooks = Hooks::MAIL.with(Hooks::MAIL).with(Hooks::RCPT);
    assert!(hooks.has(Hooks::MAIL) && hooks.has(Hooks::RCPT));
    assert!(!hooks.has(Hooks::DATA));
}

#[test]
fn what_is_set_is_shown() {
    struct Never;
    impl ServerMechanism for Never {
        fn step(&mut self, _: &[u8]) -> Result<Step, SaslError> {
            Err(SaslError::TooLong)
        }
    }
    let own = OwnMechanism::new("X-OWN", |_: &ServerContext| Box::new(Never)).unwrap();
    let shown = format!("{own:?}");
    assert_eq!(
        shown,
        "OwnMechanism { name: \"X-OWN\", needs_tls: true, .. }"
    );
}

#[test]
fn s063_a_space_behind_the_colon_is_forgiven_unless_the_listener_is_strict() {
    let forgiven = ["S: 250 2.1.0 OK", "S: 250 2.1.5 OK"];
    let commands = ["C: MAIL FROM: <a@b>", "C: RCPT TO: <c@d>"];
    after_hello(config(), &[&commands[..], &forgiven[..]].concat());
    after_hello(
        config().with_strict_spaces(true),
        &[
            "C: MAIL FROM: <a@b>",
            "S: 501 5.5.4 the form is MAIL FROM:<address>",
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: RCPT TO: <c@d>",
            "S: 501 5.5.4 the form is RCPT TO:<address>",
            "C: RCPT TO:<c@d>",
            "S: 250 2.1.5 OK",
        ],
    );
}
