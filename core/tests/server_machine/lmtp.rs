//! LMTP (RFC 2033): its own hello, and one answer for each recipient.

use mailwire::proto::Protocol;
use mailwire::proto::server::{Config, Hooks};

use crate::talk::{Talk, talk};

fn config() -> Config {
    Config::new("mx.example.org".parse().unwrap(), Protocol::Lmtp)
}

fn with_three_recipients(config: Config, middle: &str) -> Talk {
    let mut talk = Talk::new(config.with_hooks(Hooks::RCPT));
    talk.lend(b"LHLO a.example\r\n");
    talk.output.clear();
    talk.begin(&[
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<one@d>",
        "C: RCPT TO:<two@d>",
        "C: RCPT TO:<three@d>",
        "C: DATA",
        "S: 250 2.1.0 OK",
        "E: Rcpt <one@d>",
        "E: Rcpt <two@d>",
        "E: Rcpt <three@d>",
        "N: Answer",
        "A: accept",
        middle,
        "A: accept",
    ]);
    talk
}

#[test]
fn s330_s333_lhlo_takes_the_place_of_ehlo() {
    talk(
        config(),
        &[
            "S: 220 mx.example.org LMTP",
            "C: EHLO a",
            "S: 500 5.5.1 Unknown command",
            "C: HELO a",
            "S: 500 5.5.1 Unknown command",
            "C: MAIL FROM:<a@b>",
            "S: 503 5.5.1 Say LHLO first",
            "C: LHLO a",
            "S: 250-mx.example.org",
            "S: 250-PIPELINING",
            "S: 250-SIZE 0",
            "S: 250-8BITMIME",
            "S: 250-SMTPUTF8",
            "S: 250-CHUNKING",
            "S: 250-ENHANCEDSTATUSCODES",
            "S: 250 HELP",
            "C: DATA",
            "S: 503 5.5.1 Say MAIL first",
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: DATA",
            "S: 503 5.5.1 No valid recipient",
        ],
    );
}

#[test]
fn s331_s336_each_accepted_recipient_has_its_own_answer() {
    let mut talk = Talk::new(config().with_hooks(Hooks::RCPT));
    talk.lend(b"LHLO a.example\r\n");
    talk.output.clear();
    talk.follow(&[
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<one@d>",
        "C: RCPT TO:<no@d>",
        "C: RCPT TO:<two@d>",
        "C: RCPT TO:<three@d>",
        "C: DATA",
        "S: 250 2.1.0 OK",
        "E: Rcpt <one@d>",
        "E: Rcpt <no@d>",
        "E: Rcpt <two@d>",
        "E: Rcpt <three@d>",
        "A: accept",
        "S: 250 2.1.5 OK",
        "A: 550 5.1.1 No",
        "S: 550 5.1.1 No",
        "A: accept",
        "S: 250 2.1.5 OK",
        "A: accept",
        "S: 250 2.1.5 OK",
        "S: 354 End data with <CR><LF>.<CR><LF>",
        "C: x",
        "C: .",
        "C: NOOP",
        "E: Body x\\r\\n",
        "E: EndOfData 3",
        "N: Answer",
    ]);
    assert_eq!(talk.connection.owed(), 3);
    talk.follow(&[
        "A: accept",
        "S: 250 2.0.0 OK",
        "N: Answer",
        "A: 452 4.2.2 Full",
        "S: 452 4.2.2 Full",
        "N: Answer",
        "A: 550 5.7.1 No",
        "S: 550 5.7.1 No",
        "S: 250 2.0.0 OK",
        "N: More",
    ]);
    assert!(talk.connection.envelope().is_none());
}

#[test]
fn a_421_to_one_recipient_waits_for_the_others() {
    let mut talk = with_three_recipients(config(), "A: accept");
    talk.output.clear();
    talk.follow(&[
        "C: .",
        "E: EndOfData 0",
        "A: 421 4.3.0 Going",
        "S: 421 4.3.0 Going",
        "N: Answer",
        "A: accept",
        "S: 250 2.0.0 OK",
        "A: accept",
        "S: 250 2.0.0 OK",
        "N: Close",
    ]);
}

#[test]
fn a_message_that_the_machine_refuses_is_refused_for_each_accepted_recipient() {
    let mut talk = with_three_recipients(config(), "A: 550 no");
    talk.output.clear();
    talk.follow(&[
        "C: x\ny",
        "C: .",
        "C: NOOP",
        "E: Discarded",
        "S: 554 5.6.0 Message has a bare CR or LF",
        "S: 554 5.6.0 Message has a bare CR or LF",
        "S: 250 2.0.0 OK",
    ]);
}

#[test]
fn lhlo_gives_a_message_in_chunks_up() {
    let mut talk = Talk::new(config().with_hooks(Hooks::DATA));
    talk.lend(b"LHLO a.example\r\n");
    talk.output.clear();
    talk.begin(&[
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<c@d>",
        "c: BDAT 3\r\na\r\n",
        "E: Data",
        "A: accept",
        "E: Body a\\r\\n",
        "C: EHLO again",
        "C: LHLO again",
        "E: Abandoned",
    ]);
}
