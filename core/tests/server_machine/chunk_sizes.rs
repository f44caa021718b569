//! BDAT (RFC 3030): sizes, limits, and chunks where none may come.

use mailwire::error::Phase;
use mailwire::proto::Protocol;
use mailwire::proto::server::{Config, Extensions, Hooks};

use crate::chunks::{begun, in_chunks};
use crate::talk::{MORE, Talk, after_hello, config};

const RECEIVED: &str = "S: 250 2.0.0 OK";
const RESET_FIRST: &str = "S: 503 5.5.1 A chunk was refused, say RSET first";
const TOO_BIG: &str = "S: 552 5.3.4 Message too big";
const BARE: &str = "S: 554 5.6.0 Message has a bare CR or LF";
const BAD_SIZE: &str = "S: 501 5.5.4 the form is BDAT size [LAST]";

#[test]
fn s276_s279_a_bad_size_closes() {
    for size in [
        "",
        " ",
        " x",
        " -1",
        " +5",
        " 0x5",
        " 5 5",
        " 1 LAST x",
        " 9223372036854775808",
        " 18446744073709551615",
        " 18446744073709551616",
        " 5\0",
        " 5\n",
        &" ".repeat(1000),
    ] {
        let line = format!("C: BDAT{size}");
        in_chunks(config(), &[&line, "C: NOOP", BAD_SIZE, "N: Close"]);
        after_hello(config(), &[&line, "C: NOOP", BAD_SIZE, "N: Close"]);
    }
}

#[test]
fn s276_s277_the_largest_size_that_there_is_costs_no_more_than_its_octets() {
    let most = format!("c: BDAT {}\r\nab", (1_u64 << 63) - 1);
    let mut talk = in_chunks(config(), &[&most, "E: Body ab"]);
    assert_eq!(
        (talk.need, talk.connection.waiting_for()),
        (MORE, Some(Phase::Body))
    );
    // All of it is the message, what looks like the next command too.
    talk.follow(&[
        "C: NOOP",
        "E: Body NOOP\\r\\n",
        "C: BDAT 9223372036854775807 LAST",
        "E: Body BDAT 9223372036854775807 LAST\\r\\n",
    ]);
}

#[test]
fn s277_s278_a_size_over_the_limit_is_refused_and_costs_nothing() {
    let limited = || config().with_size_limit(Some(1000));
    in_chunks(
        limited(),
        &["C: BDAT 9999999999", "C: NOOP", TOO_BIG, "N: Close"],
    );
    let chunk = format!("c: BDAT 1001\r\n{}", "x".repeat(1001));
    in_chunks(
        limited(),
        &[
            &chunk,
            TOO_BIG,
            "C: NOOP",
            "S: 250 2.0.0 OK",
            "C: BDAT 0 LAST",
            RESET_FIRST,
        ],
    );
    let chunk = format!("c: BDAT 1001 LAST\r\n{}", "x".repeat(1001));
    in_chunks(
        limited(),
        &[&chunk, TOO_BIG, "C: MAIL FROM:<a@b>", "S: 250 2.1.0 OK"],
    );
}

#[test]
fn s284_without_the_extension_the_octets_are_not_taken_for_commands() {
    let without = config().with_extensions(Extensions::USUAL.without(Extensions::CHUNKING));
    after_hello(
        without.clone(),
        &[
            "c: BDAT 6\r\nQUIT\r\n",
            "S: 502 5.5.1 Command not implemented",
            "N: Close",
        ],
    );
    after_hello(
        without,
        &[
            "C: BDAT x",
            "S: 502 5.5.1 Command not implemented",
            "N: Close",
        ],
    );
    let mut talk = Talk::new(config());
    talk.lend(b"HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
    talk.output.clear();
    talk.follow(&[
        "c: BDAT 6\r\nNOOP\r\n",
        "S: 503 5.5.1 Say EHLO first",
        "C: NOOP",
        "S: 250 2.0.0 OK",
    ]);
}

#[test]
fn a_chunk_is_consumed_before_tls_and_before_auth_as_well() {
    after_hello(
        config().with_starttls(true).with_required_tls(true),
        &[
            "c: BDAT 6\r\nNOOP\r\n",
            "S: 530 5.7.0 Say STARTTLS first",
            "C: NOOP",
            "S: 250 2.0.0 OK",
        ],
    );
    after_hello(
        config().with_required_auth(true),
        &[
            "c: BDAT 6 LAST\r\nNOOP\r\n",
            "S: 530 5.7.0 Authentication required",
            "C: NOOP",
            "S: 250 2.0.0 OK",
        ],
    );
}

#[test]
fn s335_in_lmtp_the_last_chunk_has_a_reply_for_each_recipient() {
    let lmtp = |limit| {
        let config = Config::new("mx.example.org".parse().unwrap(), Protocol::Lmtp);
        let mut talk = Talk::new(config.with_size_limit(limit));
        talk.lend(b"LHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<one@d>\r\nRCPT TO:<two@d>\r\n");
        talk.output.clear();
        talk
    };
    lmtp(None).follow(&[
        "c: BDAT 3\r\na\r\n",
        "E: Body a\\r\\n",
        RECEIVED,
        "c: BDAT 3 LAST\r\nb\r\n",
        "E: Body b\\r\\n",
        "E: EndOfData 6",
        "A: accept",
        "S: 250 2.0.0 OK",
        "N: Answer",
        "A: 452 4.2.2 Full",
        "S: 452 4.2.2 Full",
        "N: More",
    ]);
    lmtp(None).follow(&[
        "c: BDAT 1 LAST\r\n\r",
        "E: Body \\r",
        "E: Discarded",
        BARE,
        BARE,
        "C: NOOP",
        "S: 250 2.0.0 OK",
    ]);
    lmtp(Some(1)).follow(&["c: BDAT 2 LAST\r\n\r\n", TOO_BIG, TOO_BIG]);
    lmtp(Some(1)).follow(&["c: BDAT 2\r\n\r\n", TOO_BIG, "C: BDAT 0 LAST", RESET_FIRST]);
}

#[test]
fn a_shutdown_waits_for_the_last_chunk() {
    let mut talk = in_chunks(
        config(),
        &["c: BDAT 3\r\na\r\n", "E: Body a\\r\\n", RECEIVED],
    );
    talk.connection
        .shut_down(crate::talk::reply("421 4.3.2 Going"));
    talk.follow(&[
        "c: BDAT 3 LAST\r\nb",
        "E: Body b",
        "N: More",
        "c: \r\n",
        "E: Body \\r\\n",
        "E: EndOfData 6",
        "A: accept",
        "S: 250 2.0.0 OK",
        "S: 421 4.3.2 Going",
        "N: Close",
    ]);
}

#[test]
fn many_chunks_are_no_commands_without_mail() {
    let mut talk = begun(config().with_max_idle_commands(5));
    for _ in 0..100 {
        talk.lend(b"BDAT 2\r\n\r\n");
    }
    talk.output.clear();
    talk.follow(&[
        &format!("E: Body {}", "\\r\\n".repeat(100)),
        "C: BDAT 0",
        RECEIVED,
        "C: BDAT 0",
        RECEIVED,
        "C: BDAT 0",
        RECEIVED,
        "C: BDAT 0",
        "S: 421 4.7.0 Too many commands without mail",
        "N: Close",
    ]);
}

#[test]
fn s031_a_client_that_was_turned_away_sends_its_chunks_in_vain() {
    let mut talk = Talk::new(config().with_hooks(Hooks::CONNECT));
    talk.follow(&[
        "E: Connect",
        "A: 554 5.7.1 Not you",
        "S: 554 Not you",
        "c: BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
        "S: 503 5.5.1 Only QUIT is possible here",
        "S: 503 5.5.1 Only QUIT is possible here",
        "C: BDAT x",
        BAD_SIZE,
        "N: Close",
    ]);
}
