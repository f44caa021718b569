//! BDAT (RFC 3030): messages in chunks.

use mailwire::error::Phase;
use mailwire::proto::server::{Config, Extensions, Hooks};

use crate::talk::{Talk, after_hello, config, greeted};

const RECEIVED: &str = "S: 250 2.0.0 OK";
const RESET_FIRST: &str = "S: 503 5.5.1 A chunk was refused, say RSET first";
const MESSAGE_BEGUN: &str = "S: 503 5.5.1 The message has begun";
const TOO_BIG: &str = "S: 552 5.3.4 Message too big";
const BARE: &str = "S: 554 5.6.0 Message has a bare CR or LF";

/// In a transaction with one recipient.
pub(crate) fn begun(config: Config) -> Talk {
    let mut talk = greeted(config);
    talk.begin(&[
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<c@d>",
        "S: 250 2.1.0 OK",
        "S: 250 2.1.5 OK",
    ]);
    talk
}

pub(crate) fn in_chunks(config: Config, script: &[&str]) -> Talk {
    let mut talk = begun(config);
    talk.follow(script);
    talk
}

#[test]
fn s270_s271_s275_chunks_are_answered_one_by_one_and_the_last_by_the_application() {
    let talk = in_chunks(
        config(),
        &[
            "c: BDAT 7\r\n.\r\n..\r\n",
            "E: Body .\\r\\n..\\r\\n",
            RECEIVED,
            "N: More",
            "C: BDAT 0",
            RECEIVED,
            "c: bdat 3 last\r\nx\r\n",
            "E: Body x\\r\\n",
            "E: EndOfData 10",
            "N: Answer",
            "A: 250 2.6.0 Queued",
            "S: 250 2.6.0 Queued",
            "C: BDAT 0 LAST",
            "S: 503 5.5.1 Say MAIL first",
        ],
    );
    assert!(talk.connection.envelope().is_none());
}

#[test]
fn between_chunks_the_message_is_waited_for_and_behind_it_a_command() {
    let mut talk = begun(config());
    let waits_for = |talk: &Talk| talk.connection.waiting_for();
    assert_eq!(waits_for(&talk), Some(Phase::Idle));
    talk.follow(&["c: BDAT 3\r\nx\r\n", "E: Body x\\r\\n", RECEIVED]);
    assert_eq!(waits_for(&talk), Some(Phase::Body));
    talk.follow(&["C: BDAT 0 LAST", "E: EndOfData 3"]);
    assert_eq!(waits_for(&talk), Some(Phase::Answer));
    talk.follow(&["A: accept", RECEIVED]);
    assert_eq!(waits_for(&talk), Some(Phase::Idle));
}

#[test]
fn s275_bdat_0_last_ends_a_message_even_an_empty_one() {
    in_chunks(
        config(),
        &[
            "c: BDAT 5\r\nabc\r\n",
            "E: Body abc\\r\\n",
            RECEIVED,
            "C: BDAT 0 LAST",
            "E: EndOfData 5",
            "A: accept",
            "S: 250 2.0.0 OK",
        ],
    );
    in_chunks(
        config(),
        &[
            "C: BDAT 0 LAST",
            "E: EndOfData 0",
            "A: 554 5.6.0 Empty",
            "S: 554 5.6.0 Empty",
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
        ],
    );
}

#[test]
fn a_whole_transaction_and_the_next_command_may_come_in_one_go() {
    after_hello(
        config(),
        &[
            "C: MAIL FROM:<a@b>",
            "C: RCPT TO:<c@d>",
            "c: BDAT 3\r\na\r\n",
            "c: BDAT 5 LAST\r\nQUIT\n\r\n",
            "C: RSET",
            "C: NOOP",
            "S: 250 2.1.0 OK",
            "S: 250 2.1.5 OK",
            "E: Body a\\r\\n",
            RECEIVED,
            "E: Discarded",
            BARE,
            "S: 500 5.5.2 Not a command",
            "S: 250 2.0.0 OK",
            "S: 250 2.0.0 OK",
        ],
    );
    after_hello(
        config(),
        &[
            "C: MAIL FROM:<a@b>",
            "C: RCPT TO:<c@d>",
            "c: BDAT 6 LAST\r\nQUIT\r\nRSET\r\n",
            "C: MAIL FROM:<e@f>",
            "S: 250 2.1.0 OK",
            "S: 250 2.1.5 OK",
            "E: Body QUIT\\r\\n",
            "E: EndOfData 6",
            "A: accept",
            "S: 250 2.0.0 OK",
            "S: 250 2.0.0 OK",
            "S: 250 2.1.0 OK",
        ],
    );
}

#[test]
fn the_application_is_asked_once_before_the_first_chunk_passes() {
    let asking = || config().with_hooks(Hooks::DATA);
    in_chunks(
        asking(),
        &[
            "c: BDAT 3\r\na\r\n",
            "E: Data",
            "N: Answer",
            "A: accept",
            "E: Body a\\r\\n",
            RECEIVED,
            "c: BDAT 3 LAST\r\nb\r\n",
            "E: Body b\\r\\n",
            "E: EndOfData 6",
            "A: accept",
            "S: 250 2.0.0 OK",
        ],
    );
    // A 354 would put the client out of step.
    in_chunks(
        asking(),
        &[
            "C: BDAT 0 LAST",
            "E: Data",
            "A: 354 go on",
            "E: EndOfData 0",
            "A: accept",
            "S: 250 2.0.0 OK",
        ],
    );
    in_chunks(
        asking(),
        &[
            "c: BDAT 3\r\na",
            "E: Data",
            "A: 452 4.3.1 Full",
            "N: More",
            "c: \r\nBDAT 3 LAST\r\nb\r\n",
            "S: 452 4.3.1 Full",
            RESET_FIRST,
            "C: RSET",
            "S: 250 2.0.0 OK",
        ],
    );
    let talk = in_chunks(
        asking(),
        &[
            "c: BDAT 3 LAST\r\na\r\n",
            "E: Data",
            "A: 452 4.3.1 Full",
            "S: 452 4.3.1 Full",
        ],
    );
    assert!(talk.connection.envelope().is_none(), "the message is over");
}

#[test]
fn a_421_to_the_first_chunk_closes_behind_its_octets() {
    in_chunks(
        config().with_hooks(Hooks::DATA),
        &[
            "c: BDAT 3 LAST\r\nab",
            "E: Data",
            "A: 421 4.3.2 Going",
            "N: More",
            "c: c",
            "S: 421 4.3.2 Going",
            "N: Close",
        ],
    );
}

#[test]
fn s272_a_message_comes_one_way_or_the_other() {
    in_chunks(
        config(),
        &[
            "c: BDAT 1\r\na",
            "E: Body a",
            RECEIVED,
            "C: DATA",
            MESSAGE_BEGUN,
            "C: RCPT TO:<e@f>",
            MESSAGE_BEGUN,
            "C: MAIL FROM:<e@f>",
            "S: 503 5.5.1 Sender already given",
            "c: BDAT 2 LAST\r\n\r\n",
            "E: Body \\r\\n",
            "E: EndOfData 3",
            "A: accept",
            "S: 250 2.0.0 OK",
        ],
    );
}

#[test]
fn s273_a_chunk_without_a_transaction_or_a_recipient_is_consumed_and_refused() {
    after_hello(
        config().with_hooks(Hooks::RCPT),
        &[
            "c: BDAT 6\r\nQUIT\r\nNOOP\r\n",
            "S: 503 5.5.1 Say MAIL first",
            "S: 250 2.0.0 OK",
            "C: MAIL FROM:<a@b>",
            "C: RCPT TO:<c@d>",
            "c: BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
            "S: 250 2.1.0 OK",
            "E: Rcpt <c@d>",
            "A: 550 no",
            "S: 550 5.0.0 no",
            "S: 503 5.5.1 No valid recipient",
            "S: 250 2.0.0 OK",
        ],
    );
}

#[test]
fn s274_after_a_refused_chunk_all_are_refused_until_rset() {
    let mut talk = in_chunks(
        config().with_size_limit(Some(10)),
        &[
            "c: BDAT 8\r\n012345\r\n",
            "E: Body 012345\\r\\n",
            RECEIVED,
            "c: BDAT 3\r\nabc",
            "E: Discarded",
            TOO_BIG,
            "c: BDAT 2 LAST\r\n\r\n",
            RESET_FIRST,
            "C: BDAT 0 LAST",
            RESET_FIRST,
            "C: DATA",
            MESSAGE_BEGUN,
            "C: RSET",
            "S: 250 2.0.0 OK",
        ],
    );
    talk.follow(&[
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<c@d>",
        "c: BDAT 3 LAST\r\na\r\n",
        "S: 250 2.1.0 OK",
        "S: 250 2.1.5 OK",
        "E: Body a\\r\\n",
        "E: EndOfData 3",
        "A: accept",
        "S: 250 2.0.0 OK",
    ]);
}

#[test]
fn s280_s283_a_message_that_is_given_up_between_two_chunks_is_told() {
    let asking = || config().with_hooks(Hooks::DATA.with(Hooks::RESET).with(Hooks::QUIT));
    let start = [
        "c: BDAT 3\r\na\r\n",
        "E: Data",
        "A: accept",
        "E: Body a\\r\\n",
        RECEIVED,
        "N: More",
    ];
    let mut talk = in_chunks(asking(), &start);
    talk.follow(&[
        "C: RSET",
        "E: Abandoned",
        "S: 250 2.0.0 OK",
        "E: Reset",
        "C: BDAT 0 LAST",
        "S: 503 5.5.1 Say MAIL first",
    ]);
    let mut talk = in_chunks(asking(), &start);
    talk.follow(&[
        "C: QUIT",
        "E: Abandoned",
        "E: Quit",
        "S: 221 2.0.0 Bye",
        "N: Close",
    ]);
    let mut talk = in_chunks(asking(), &start);
    talk.begin(&[
        "C: EHLO again",
        "E: Abandoned",
        "E: Reset",
        "S: 250-mx.example.org",
    ]);
    // What does not end it is answered without asking.
    let all = [
        Hooks::VERIFY,
        Hooks::EXPAND,
        Hooks::HELP,
        Hooks::UNKNOWN,
        Hooks::ETRN,
    ];
    let all = all.into_iter().fold(Hooks::DATA, Hooks::with);
    let mut talk = in_chunks(config().with_hooks(all), &start);
    talk.follow(&[
        "C: NOOP",
        "S: 250 2.0.0 OK",
        "C: VRFY x",
        "S: 252 2.5.0 Cannot verify the address, but will take mail for it",
        "C: EXPN x",
        "S: 252 2.5.0 Cannot verify the address, but will take mail for it",
        "C: HELP",
        "S: 214 2.0.0 See RFC 5321",
        "C: XFOO",
        MESSAGE_BEGUN,
        "C: ETRN a",
        "S: 503 5.5.1 Not within a mail transaction",
        "C: LHLO a",
        "S: 500 5.5.1 Unknown command",
        "C: RSET x",
        "S: 501 5.5.4 the command takes no argument",
        "C: EHLO",
        "S: 501 the client's domain name or address literal is needed",
        "c: BDAT 3 LAST\r\nb\r\n",
        "E: Body b\\r\\n",
        "E: EndOfData 6",
        "A: accept",
        "S: 250 2.0.0 OK",
    ]);
}

#[test]
fn s045_a_hello_between_two_chunks_that_the_application_would_judge_is_refused_and_changes_nothing()
{
    let hooks = Hooks::HELLO.with(Hooks::DATA).with(Hooks::RESET);
    let mut talk = after_hello(
        config().with_hooks(hooks),
        &[
            "C: MAIL FROM:<a@b>",
            "C: RCPT TO:<c@d>",
            "S: 250 2.1.0 OK",
            "S: 250 2.1.5 OK",
            "c: BDAT 5\r\nabc\r\n",
            "E: Data",
            "A: accept",
            "E: Body abc\\r\\n",
            "S: 250 2.0.0 OK",
        ],
    );
    for hello in ["EHLO other", "HELO other"] {
        talk.follow(&[
            &format!("C: {hello}"),
            "S: 503 The message has begun, say RSET first",
        ]);
    }
    assert_eq!(talk.connection.hello_name(), Some("a.example"));
    talk.follow(&[
        "c: BDAT 5 LAST\r\nabc\r\n",
        "E: Body abc\\r\\n",
        "E: EndOfData 10",
        "A: accept",
        "S: 250 2.0.0 OK",
        "C: EHLO other",
        "E: Hello other extended",
        "A: 550 no",
        "S: 550 no",
    ]);
}

#[test]
fn s282_a_bare_line_end_refuses_the_message_but_not_in_binarymime() {
    in_chunks(
        config(),
        &[
            "c: BDAT 3 LAST\r\na\nb",
            "E: Discarded",
            BARE,
            "C: NOOP",
            "S: 250 2.0.0 OK",
        ],
    );
    // Over the border of two chunks the CR has its LF, or has not.
    in_chunks(
        config(),
        &[
            "c: BDAT 2\r\na\r",
            "E: Body a\\r",
            RECEIVED,
            "c: BDAT 1 LAST\r\n\n",
            "E: Body \\n",
            "E: EndOfData 3",
            "A: accept",
            "S: 250 2.0.0 OK",
        ],
    );
    in_chunks(
        config(),
        &[
            "c: BDAT 2\r\na\r",
            "E: Body a\\r",
            RECEIVED,
            "c: BDAT 1\r\nb",
            "E: Discarded",
            BARE,
            "C: BDAT 0 LAST",
            RESET_FIRST,
        ],
    );
    in_chunks(
        config(),
        &[
            "c: BDAT 2\r\na\r",
            "E: Body a\\r",
            RECEIVED,
            "C: BDAT 0 LAST",
            "E: Discarded",
            BARE,
        ],
    );
    let binary = config().with_extensions(Extensions::USUAL.with(Extensions::BINARYMIME));
    after_hello(
        binary,
        &[
            "C: MAIL FROM:<a@b> BODY=BINARYMIME",
            "C: RCPT TO:<c@d>",
            "S: 250 2.1.0 OK",
            "S: 250 2.1.5 OK",
            "C: DATA",
            "S: 503 5.5.1 BODY=BINARYMIME needs BDAT",
            "c: BDAT 10 LAST\r\na\nb\r\n.\n.\r\r",
            "E: Body a\\nb\\r\\n.\\n.\\r\\r",
            "E: EndOfData 10",
            "A: accept",
            "S: 250 2.0.0 OK",
        ],
    );
}

#[test]
fn s281_binarymime_is_taken_only_where_it_is_offered() {
    after_hello(
        config(),
        &[
            "C: MAIL FROM:<a@b> BODY=BINARYMIME",
            "S: 555 5.5.4 Parameter not recognised",
        ],
    );
}
