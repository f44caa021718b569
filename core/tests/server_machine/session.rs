//! Greeting, hello, the commands outside a transaction, and the end of a session.

use mailwire::error::Phase;
use mailwire::proto::Need;
use mailwire::proto::server::{Answer, Closing, Hooks, NotOwed};

use crate::talk::{MORE, Talk, after_hello, asking, config, greeted, reply, talk};

#[test]
fn s030_s040_s043_the_server_speaks_first_and_lists_what_it_has() {
    talk(
        config(),
        &[
            "S: 220 mx.example.org ESMTP",
            "N: More",
            "C: eHlO a.example",
            "S: 250-mx.example.org",
            "S: 250-PIPELINING",
            "S: 250-SIZE 0",
            "S: 250-8BITMIME",
            "S: 250-SMTPUTF8",
            "S: 250-CHUNKING",
            "S: 250-ENHANCEDSTATUSCODES",
            "S: 250 HELP",
            "C: QUIT",
            "S: 221 2.0.0 Bye",
            "N: Close",
        ],
    );
}

#[test]
fn s200_s250_what_is_set_is_listed() {
    let config = asking()
        .with_size_limit(Some(1000))
        .with_auth_in_clear(true)
        .with_hooks(Hooks::EXPAND);
    talk(
        config,
        &[
            "S: 220 mx.example.org ESMTP",
            "C: EHLO [IPv6:::1]",
            "S: 250-mx.example.org",
            "S: 250-PIPELINING",
            "S: 250-SIZE 1000",
            "S: 250-8BITMIME",
            "S: 250-SMTPUTF8",
            "S: 250-CHUNKING",
            "S: 250-ENHANCEDSTATUSCODES",
            "S: 250-STARTTLS",
            "S: 250-AUTH PLAIN LOGIN",
            "S: 250-EXPN",
            "S: 250 HELP",
        ],
    );
}

#[test]
fn s041_s042_helo_lists_nothing() {
    let talk = talk(
        config(),
        &[
            "S: 220 mx.example.org ESMTP",
            "C: HELO a",
            "S: 250 mx.example.org",
        ],
    );
    assert_eq!(talk.connection.hello_name(), Some("a"));
}

#[test]
fn every_question_of_a_session_can_be_answered_with_the_usual_reply() {
    let mut talk = Talk::new(asking());
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Answer));
    talk.follow(&[
        "E: Connect",
        "N: Answer",
        "A: accept",
        "S: 220 mx.example.org ESMTP",
        "N: More",
        "C: HELO a.example",
        "E: Hello a.example",
        "N: Answer",
        "A: accept",
        "S: 250 mx.example.org",
        "C: VRFY joe",
        "E: Verify joe",
        "A: accept",
        "S: 252 2.5.0 Cannot verify the address, but will take mail for it",
        "C: EXPN list",
        "E: Expand list",
        "A: accept",
        "S: 252 2.5.0 Cannot verify the address, but will take mail for it",
        "C: HELP",
        "E: Help ",
        "A: accept",
        "S: 214 2.0.0 See RFC 5321",
        "C: XFOO bar baz",
        "E: Unknown XFOO bar baz",
        "A: accept",
        "S: 250 2.0.0 OK",
        "C: MAIL FROM:<a@b>",
        "E: Mail <a@b>",
        "A: accept",
        "S: 250 2.1.0 OK",
        "C: RSET",
        "S: 250 2.0.0 OK",
        "E: Reset",
        "C: QUIT",
        "E: Quit",
        "S: 221 2.0.0 Bye",
        "N: Close",
    ]);
}

#[test]
fn every_question_of_a_session_can_be_answered_with_a_reply() {
    talk(
        asking().with_starttls(false).with_mechanisms([]),
        &[
            "E: Connect",
            "A: 220 at your service|and more",
            "S: 220-mx.example.org at your service",
            "S: 220 and more",
            "C: EHLO a.example",
            "E: Hello a.example extended",
            "A: 250 hello there",
            "S: 250-mx.example.org hello there",
            "S: 250-PIPELINING",
            "S: 250-SIZE 0",
            "S: 250-8BITMIME",
            "S: 250-SMTPUTF8",
            "S: 250-CHUNKING",
            "S: 250-ENHANCEDSTATUSCODES",
            "S: 250-ETRN",
            "S: 250-EXPN",
            "S: 250 HELP",
            "C: VRFY joe",
            "E: Verify joe",
            "A: 250 2.1.5 <joe@example.org>",
            "S: 250 2.1.5 <joe@example.org>",
            "C: EXPN list",
            "E: Expand list",
            "A: 250 <a@b>|<c@d>",
            "S: 250-2.0.0 <a@b>",
            "S: 250 2.0.0 <c@d>",
            "C: HELP me",
            "E: Help me",
            "A: 504 5.5.4 Nothing",
            "S: 504 5.5.4 Nothing",
            "C: XFOO",
            "E: Unknown XFOO ",
            "A: 500 never heard",
            "S: 500 5.0.0 never heard",
        ],
    );
}

#[test]
fn s031_a_client_that_is_turned_away_may_only_quit() {
    talk(
        asking(),
        &[
            "E: Connect",
            "A: 554 5.7.1 Not you",
            "S: 554 Not you",
            "C: EHLO a",
            "S: 503 5.5.1 Only QUIT is possible here",
            "C: STARTTLS",
            "S: 503 5.5.1 Only QUIT is possible here",
            "C: QUIT",
            "E: Quit",
            "S: 221 2.0.0 Bye",
            "N: Close",
        ],
    );
}

#[test]
fn s033_a_greeting_or_any_other_reply_of_421_closes() {
    talk(
        asking(),
        &[
            "E: Connect",
            "A: 421 4.3.2 Too busy",
            "S: 421 Too busy",
            "N: Close",
        ],
    );
    after_hello(
        asking(),
        &[
            "C: HELP",
            "C: NOOP",
            "E: Help ",
            "A: 421 4.3.2 Going",
            "S: 421 4.3.2 Going",
            "N: Close",
        ],
    );
}

#[test]
fn an_answer_that_would_put_the_client_out_of_step_is_not_sent() {
    after_hello(
        asking(),
        &[
            "C: HELP",
            "E: Help ",
            "A: 354 go",
            "S: 451 4.3.0 Local error in processing",
            "C: MAIL FROM:<a@b.example>",
            "E: Mail <a@b.example>",
            "A: 220 hm",
            "S: 451 4.3.0 Local error in processing",
            "C: MAIL FROM:<a@b.example>",
            "E: Mail <a@b.example>",
            "A: 250 yes",
            "S: 250 2.0.0 yes",
            "C: RCPT TO:<c@d.example>",
            "E: Rcpt <c@d.example>",
            "A: 252 perhaps",
            "S: 451 4.3.0 Local error in processing",
            "C: RCPT TO:<c@d.example>",
            "E: Rcpt <c@d.example>",
            "A: 251 elsewhere",
            "S: 251 2.0.0 elsewhere",
        ],
    );
    talk(
        asking(),
        &["E: Connect", "A: 250 hm", "S: 220 mx.example.org ESMTP"],
    );
    talk(
        asking(),
        &[
            "E: Connect",
            "A: 354 hm",
            "S: 451 Local error in processing",
        ],
    );
}

#[test]
fn an_answer_that_is_not_owed_is_refused() {
    let mut talk = greeted(config().with_hooks(Hooks::MAIL));
    assert_eq!(talk.connection.answer(Answer::Accept), Err(NotOwed));
    assert_eq!(
        talk.connection.answer(reply("421 bye").into()),
        Err(NotOwed)
    );
    talk.follow(&["C: NOOP", "S: 250 2.0.0 OK", "N: More"]);
    // Nor does it end the session behind the next answer that is.
    talk.follow(&[
        "C: MAIL FROM:<a@b>",
        "E: Mail <a@b>",
        "A: accept",
        "S: 250 2.1.0 OK",
        "N: More",
    ]);
}

#[test]
fn s045_a_hello_that_is_refused_changes_nothing() {
    let talk = after_hello(
        config().with_hooks(Hooks::HELLO),
        &[
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: EHLO other",
            "E: Hello other extended",
            "A: 550 no",
            "S: 550 no",
            "C: EHLO",
            "S: 501 the client's domain name or address literal is needed",
            "C: RCPT TO:<c@d>",
            "S: 250 2.1.5 OK",
        ],
    );
    assert_eq!(talk.connection.hello_name(), Some("a.example"));
}

#[test]
fn s044_a_hello_in_a_transaction_ends_it() {
    let hooks = Hooks::HELLO.with(Hooks::RESET);
    after_hello(
        config().with_hooks(hooks),
        &[
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: HELO a",
            "E: Hello a",
            "A: accept",
            "S: 250 mx.example.org",
            "E: Reset",
            "C: RCPT TO:<c@d>",
            "S: 503 5.5.1 Say MAIL first",
            "C: HELO a",
            "E: Hello a",
            "A: accept",
            "S: 250 mx.example.org",
        ],
    );
    after_hello(
        config().with_hooks(Hooks::RESET),
        &[
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: HELO a",
            "S: 250 mx.example.org",
            "E: Reset",
        ],
    );
}

#[test]
fn s046_s049_a_hello_needs_a_name() {
    // RFC 2034 section 4: no enhanced status code in replies to HELO and EHLO, whatever the row says.
    for line in ["EHLO", "HELO ", "EHLO a b<c>", "EHLO <x>"] {
        let mut talk = Talk::new(config());
        talk.lend(format!("{line}\r\n").as_bytes());
        talk.line();
        assert_eq!(
            talk.line().unwrap(),
            "501 the client's domain name or address literal is needed"
        );
    }
}

#[test]
fn s054_s152_these_work_before_a_hello() {
    talk(
        config(),
        &[
            "S: 220 mx.example.org ESMTP",
            "C: NOOP",
            "S: 250 2.0.0 OK",
            "C: RSET",
            "S: 250 2.0.0 OK",
            "C: HELP MAIL",
            "S: 214 2.0.0 See RFC 5321",
            "C: VRFY x",
            "S: 252 2.5.0 Cannot verify the address, but will take mail for it",
            "C: EXPN x",
            "S: 502 5.5.1 Command not implemented",
        ],
    );
}

#[test]
fn s018_s160_s162_s163_s164_verbs_that_are_not_carried_out() {
    after_hello(
        config(),
        &[
            "C: FOO",
            "S: 500 5.5.1 Unknown command",
            "C: WIZ",
            "S: 500 5.5.1 Unknown command",
            "C: LHLO a",
            "S: 500 5.5.1 Unknown command",
            "C: TURN",
            "S: 502 5.5.1 Command not implemented",
            "C: SOML FROM:<a@b>",
            "S: 502 5.5.1 Command not implemented",
            "C: STARTTLS",
            "S: 502 5.5.1 Command not implemented",
            "C: AUTH PLAIN",
            "S: 502 5.5.1 Command not implemented",
            "C: VRFY",
            "S: 501 5.5.4 an argument is needed",
            "C: EXPN",
            "S: 501 5.5.4 an argument is needed",
            "C: RSET x",
            "S: 501 5.5.4 the command takes no argument",
            "C: NOOP",
            "S: 250 2.0.0 OK",
        ],
    );
}

#[test]
fn s001_s002_s003_s008_s021_only_crlf_ends_a_line_and_each_line_gets_one_reply() {
    let mut talk = greeted(config());
    talk.follow(&[
        "c: NOOP",
        "N: More",
        "c: \r",
        "N: More",
        "c: \n",
        "S: 250 2.0.0 OK",
        "c: NOOP\n",
        "N: More",
        "C: QUIT",
        "S: 500 5.5.2 Not a command",
        "c: NOOP\rNOOP",
        "C: ",
        "S: 500 5.5.2 Not a command",
        "C: ",
        "S: 500 5.5.2 Not a command",
        "C: NOOP\0QUIT",
        "S: 500 5.5.2 Not a command",
        "C: NOOP   ",
        "S: 250 2.0.0 OK",
        "C: MAIL FROM:<a@b>\nRCPT TO:<c@d>",
        "S: 500 5.5.2 Not a command",
        "C: MAIL FROM:<a\0b@c>",
        "S: 501 5.1.7 Control character in the sender's address",
        "C: RCPT TO:<a\0b@c>",
        "S: 501 5.1.3 Control character in the recipient's address",
    ]);
    assert_eq!(talk.need, MORE);
}

#[test]
fn s016_what_a_client_says_is_never_said_back() {
    let mut talk = greeted(config());
    for line in [
        "EHLO \x1b[2J",
        "\x1b]0;x\x07",
        "MAIL FROM:<\x1b@b>",
        "RCPT TO:<a\x07@b>",
        "HELP \x1b",
        "VRFY \x1b",
    ] {
        talk.lend(format!("{line}\r\n").as_bytes());
    }
    assert!(
        talk.output
            .iter()
            .all(|b| matches!(b, b'\r' | b'\n' | b' '..=b'~')),
        "{}",
        talk.output.escape_ascii()
    );
}

#[test]
fn s022_a_browser_is_sent_away_before_its_form_is_read() {
    for first in [
        "POST / HTTP/1.1\r\n",
        "GET ",
        "PRI * HTTP/2.0\r\n",
        "CONNECT mx:25 HTTP/1.1\r\n",
    ] {
        let mut talk = greeted(config());
        talk.lend(format!("{first}Host: x\r\n\r\nMAIL FROM:<a@b>\r\n").as_bytes());
        talk.follow(&[
            "S: 421 4.7.0 This is an SMTP server",
            "V: OtherProtocol(\"HTTP\")",
        ]);
        assert!(talk.connection.is_closing());
    }
    // A line too long to be a command is one all the same.
    let mut talk = greeted(config());
    talk.lend(format!("GET /{}", "x".repeat(5000)).as_bytes());
    talk.follow(&[
        "S: 421 4.7.0 This is an SMTP server",
        "V: OtherProtocol(\"HTTP\")",
    ]);
}

#[test]
fn s023_a_tls_client_is_sent_away_unless_tls_is_up() {
    let mut talk = Talk::new(asking().with_hooks(Hooks::NONE));
    talk.lend(b"\x16");
    assert_eq!(talk.need, MORE);
    talk.lend(b"\x03\x01\x02\x00\x01");
    talk.follow(&[
        "S: 220 mx.example.org ESMTP",
        "S: 421 4.7.0 This is an SMTP server",
        "V: OtherProtocol(\"TLS\")",
    ]);
}

#[test]
fn s154_after_quit_nothing_is_heard() {
    let mut talk = after_hello(
        config(),
        &[
            "C: QUIT",
            "C: NOOP",
            "C: NOOP",
            "S: 221 2.0.0 Bye",
            "N: Close",
        ],
    );
    talk.follow(&["C: NOOP", "N: Close"]);
    assert_eq!(talk.connection.waiting_for(), None);
}

#[test]
fn s390_a_session_is_shut_down_between_commands() {
    let mut talk = greeted(config());
    talk.connection.shut_down(reply("421 4.3.2 Shutting down"));
    talk.pump();
    talk.follow(&[
        "S: 421 4.3.2 Shutting down",
        "N: Close",
        "C: NOOP",
        "N: Close",
    ]);
    // All was said.
    talk.connection.shut_down(reply("421 4.3.2 Once more"));
    assert!(!talk.connection.has_output());
}

#[test]
fn a_session_is_shut_down_once() {
    let mut talk = greeted(config().with_hooks(Hooks::MAIL));
    talk.follow(&["C: MAIL FROM:<a@b>", "E: Mail <a@b>", "N: Answer"]);
    talk.connection.shut_down(reply("421 4.3.2 Shutting down"));
    talk.connection.shut_down(reply("421 4.3.2 Once more"));
    talk.follow(&[
        "A: accept",
        "S: 250 2.1.0 OK",
        "S: 421 4.3.2 Shutting down",
        "N: Close",
    ]);
}

#[test]
fn a_session_is_shut_down_behind_the_answers_that_are_owed_and_behind_a_message() {
    let mut talk = after_hello(
        config().with_hooks(Hooks::RCPT),
        &[
            "C: MAIL FROM:<a@b>",
            "C: RCPT TO:<c@d>",
            "C: RCPT TO:<e@f>",
            "C: NOOP",
            "S: 250 2.1.0 OK",
            "E: Rcpt <c@d>",
            "E: Rcpt <e@f>",
        ],
    );
    talk.connection.shut_down(reply("421 4.3.2 Shutting down"));
    talk.follow(&[
        "A: accept",
        "S: 250 2.1.5 OK",
        "A: accept",
        "S: 250 2.1.5 OK",
        "S: 421 4.3.2 Shutting down",
        "N: Close",
    ]);

    let mut talk = after_hello(
        config(),
        &[
            "C: MAIL FROM:<a@b>",
            "C: RCPT TO:<c@d>",
            "C: DATA",
            "C: x",
            "S: 250 2.1.0 OK",
            "S: 250 2.1.5 OK",
            "S: 354 End data with <CR><LF>.<CR><LF>",
            "E: Body x\\r\\n",
        ],
    );
    talk.connection.shut_down(reply("421 4.3.2 Shutting down"));
    talk.follow(&[
        "C: y",
        "E: Body y\\r\\n",
        "C: .",
        "C: NOOP",
        "E: EndOfData 6",
        "N: Answer",
        "A: accept",
        "S: 250 2.0.0 OK",
        "S: 421 4.3.2 Shutting down",
        "N: Close",
    ]);
}

#[test]
fn s380_a_time_limit_ends_a_session_wherever_it_is() {
    let limit = reply("421 4.4.2 Too slow");
    let body = [
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<c@d>",
        "C: DATA",
        "C: x",
        "S: 250 2.1.0 OK",
        "S: 250 2.1.5 OK",
        "S: 354 End data with <CR><LF>.<CR><LF>",
        "E: Body x\\r\\n",
    ];
    let mut talk = after_hello(config(), &body);
    talk.connection.abort(&limit, Closing::Limit);
    talk.pump();
    talk.follow(&["S: 421 4.4.2 Too slow", "N: Close"]);

    let mut talk = after_hello(asking(), &["C: HELP", "E: Help "]);
    talk.connection.abort(&limit, Closing::Limit);
    assert_eq!(talk.connection.answer(Answer::Accept), Err(NotOwed));
    talk.pump();
    talk.follow(&["S: 421 4.4.2 Too slow", "N: Close"]);
    assert_eq!(talk.need, Some(Need::Close));
}
