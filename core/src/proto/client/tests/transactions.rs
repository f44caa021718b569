//! One transaction at a time: with and without PIPELINING, and every way in which a server may refuse.

use super::*;

#[test]
fn without_pipelining_commands_go_one_by_one() {
    let mut talk = Talk::ready(Protocol::Smtp, &["SIZE"]);
    talk.begin(&["a", "b"]);
    talk.script("C: MAIL FROM:<me@example.org>");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Mail));
    talk.script("S: 250 ok\nC: RCPT TO:<a@example.org>");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Rcpt));
    talk.script(
        "S: 250 ok
         C: RCPT TO:<b@example.org>
         S: 251 will forward
         C: DATA",
    );
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Data));
    talk.script("S: 354 go\nE: send-body 0");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Body));
    talk.script("B: 0 hello");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::EndOfData));
    assert_eq!(talk.connection.in_flight(), 1);
    talk.script(
        "S: 250 2.0.0 Ok: queued as 4F
         E: finished 0 Accepted@EndOfData:250, Accepted@EndOfData:250 = 250",
    );
    assert!(talk.connection.is_idle());
    assert_eq!(talk.connection.in_flight(), 0);
}

#[test]
fn c071_with_pipelining_mail_rcpt_and_data_go_in_one_write() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a", "b"]);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: RCPT TO:<b@example.org>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 0
         B: 0 hello
         S: 250 ok
         E: finished 0 Accepted@EndOfData:250, Accepted@EndOfData:250 = 250",
    );
    let slices = talk.connection.transmit().count();
    assert_eq!(slices, 0);
}

/// Of a reply that only says yes nobody asks for the text; of a refusal it is the reason.
#[test]
fn what_a_refusal_says_is_kept() {
    let lines = "250 ok\r\n250 ok\r\n554 5.7.1 not this one\r\n550 5.1.1 nor you\r\n";
    let replies: Vec<_> = lines.split_inclusive("\r\n").collect();
    for (order, expected) in [
        ([2, 0, 0, 2], ["not this one", "not this one"]),
        ([0, 3, 2, 2], ["nor you", "not this one"]),
        ([0, 0, 3, 2], ["not this one", "nor you"]),
    ] {
        let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
        talk.begin(&["a", "b"]);
        let said: String = order.iter().map(|&at| replies[at]).collect();
        let input = said.as_bytes();
        talk.skip();
        let mut used = 0;
        let outcome = loop {
            match talk.connection.receive(&input[used..]).unwrap() {
                Progress::Event {
                    event: Event::Finished { outcome, .. },
                    ..
                } => break outcome,
                Progress::Event { used: more, .. } => used += more,
                Progress::Need { need, .. } => panic!("{need:?} behind {used}"),
            }
        };
        let texts = outcome
            .recipients()
            .iter()
            .map(|r| r.reply().unwrap().text());
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn an_envelope_without_recipients_is_refused() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    let begun = talk
        .connection
        .begin(envelope(&[]), TransactionOptions::default());
    assert_eq!(begun, Err(NotNow::NoRecipients));
    talk.silent();
    assert!(talk.connection.is_idle());
}

#[test]
fn a_refused_mail_decides_all_recipients() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.begin(&["a", "b"]);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         S: 550 5.7.1 not you
         E: finished 0 Refused@Mail:550, Refused@Mail:550 = 550",
    );
    talk.begin(&["a"]);
    // No transaction was opened: no RSET.
    talk.script(
        "C: MAIL FROM:<me@example.org>\nS: 452 later\nE: finished 1 Deferred@Mail:452 = 452",
    );

    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a", "b"]);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: RCPT TO:<b@example.org>
         C: DATA
         S: 451 4.3.0 later
         S: 503 no MAIL
         S: 503 no MAIL
         S: 503 no MAIL
         E: finished 0 Deferred@Mail:451, Deferred@Mail:451 = 451",
    );
    talk.begin(&["a"]);
    talk.script("C: MAIL FROM:<me@example.org>\nC: RCPT TO:<a@example.org>\nC: DATA");
}

#[test]
fn c073_a_354_without_a_recipient_gets_a_lone_dot() {
    for replies in [["451 x", "503 x", "503 x"], ["250 x", "550 x", "550 x"]] {
        let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
        talk.begin(&["a", "b"]);
        talk.flush();
        talk.wire.clear();
        for reply in replies {
            talk.script(&format!("S: {reply}"));
        }
        let expected = if replies[0].starts_with('4') {
            "Deferred@Mail:451, Deferred@Mail:451 = 451"
        } else {
            "Refused@Rcpt:550, Refused@Rcpt:550 = 550"
        };
        // The reply to the lone dot is nobody's acceptance.
        talk.script(&format!(
            "S: 354 go\nC: .\nS: 250 queued\nE: finished 0 {expected}"
        ));
        assert!(talk.connection.is_idle());
        // The lone dot ended the transaction: no RSET.
        talk.begin(&["a"]);
        talk.script("C: MAIL FROM:<me@example.org>\nC: RCPT TO:<a@example.org>\nC: DATA");
    }
}

#[test]
fn no_empty_message_goes_to_a_recipient_taken_after_mail_was_refused() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 550 no\nS: 250 yes");
    assert!(matches!(
        talk.violates("354 go"),
        Violation::WrongReply {
            command: "DATA",
            ..
        }
    ));
    assert_eq!(talk.lost(), ["0 Refused@Mail:550 = 550"]);
}

#[test]
fn a_recipient_taken_after_mail_was_refused_is_reset_before_the_next() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 550 no\nS: 250 yes\nS: 503 no MAIL\nE: finished 0 Refused@Mail:550 = 550");
    talk.begin(&["a"]);
    talk.flush();
    assert!(talk.wire.starts_with(b"RSET\r\n"));
}

#[test]
fn c069_one_refused_recipient_does_not_sink_the_rest() {
    for extensions in [&[][..], &["PIPELINING"]] {
        let mut talk = Talk::ready(Protocol::Smtp, extensions);
        talk.begin(&["a", "b", "c", "d"]);
        for reply in [
            "250 ok",
            "250 ok",
            "550 5.1.1 no",
            "450 busy",
            "552 too many",
            "354 go",
        ] {
            talk.flush();
            talk.feed(format!("{reply}\r\n").as_bytes()).unwrap();
        }
        talk.wire.clear();
        talk.script(
            "E: send-body 0
             B: 0 hello
             S: 250 ok
             E: finished 0 Accepted@EndOfData:250, Refused@Rcpt:550, Deferred@Rcpt:450, Deferred@Rcpt:552 = 250",
        );
        // The end of data closed the transaction: no RSET.
        talk.begin(&["a"]);
        talk.flush();
        assert!(talk.wire.starts_with(b"MAIL"));
    }
}

#[test]
fn c065_c070_all_recipients_refused_means_no_message_and_a_rset_before_the_next() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.begin(&["a", "b"]);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         S: 250 ok
         C: RCPT TO:<a@example.org>
         S: 550 no
         C: RCPT TO:<b@example.org>
         S: 450 later
         E: finished 0 Refused@Rcpt:550, Deferred@Rcpt:450 = 450",
    );
    assert!(talk.connection.is_idle());
    talk.begin(&["a"]);
    talk.script("C: RSET");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Command));
    talk.script("S: 250 ok\nC: MAIL FROM:<me@example.org>\nS: 250 ok\nC: RCPT TO:<a@example.org>");

    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 550 no\nS: 503 no recipients\nE: finished 0 Refused@Rcpt:550 = 550");
    talk.begin(&["a"]);
    talk.script("C: RSET\nC: MAIL FROM:<me@example.org>\nC: RCPT TO:<a@example.org>\nC: DATA");
}

#[test]
fn a_reset_that_the_caller_asked_for_closes_the_transaction_too() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.begin(&["a"]);
    talk.flush();
    talk.wire.clear();
    talk.script(
        "S: 250 ok\nC: RCPT TO:<a@example.org>\nS: 550 no\nE: finished 0 Refused@Rcpt:550 = 550",
    );
    talk.connection.reset().unwrap();
    talk.script("C: RSET\nS: 250 ok\nE: reply RSET 250");
    talk.begin(&["a"]);
    talk.script("C: MAIL FROM:<me@example.org>");
}

#[test]
fn c025_a_refused_data_means_no_message_and_a_rset_before_the_next() {
    for (extensions, code, word) in [
        (&[][..], 451, "Deferred"),
        (&["PIPELINING"], 451, "Deferred"),
        (&[], 554, "Refused"),
        (&["PIPELINING"], 554, "Refused"),
    ] {
        let mut talk = Talk::ready(Protocol::Smtp, extensions);
        talk.begin(&["a", "b"]);
        for reply in ["250 ok", "250 ok", "550 no"] {
            talk.flush();
            talk.feed(format!("{reply}\r\n").as_bytes()).unwrap();
        }
        talk.flush();
        talk.wire.clear();
        talk.script(&format!(
            "S: {code} no data\nE: finished 0 {word}@Data:{code}, Refused@Rcpt:550 = {code}"
        ));
        assert!(talk.connection.is_idle());
        talk.begin(&["a"]);
        talk.flush();
        assert!(talk.wire.starts_with(b"RSET\r\n"));
    }
}

#[test]
fn only_354_asks_for_a_message() {
    for line in ["250 ok", "353 go", "334 "] {
        let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
        talk.begin(&["a"]);
        talk.flush();
        talk.wire.clear();
        talk.script("S: 250 ok\nS: 250 ok");
        assert!(matches!(
            talk.violates(line),
            Violation::WrongReply {
                command: "DATA",
                ..
            }
        ));
        assert_eq!(talk.lost(), ["0 NotTried@-:- = -"]);
    }
}

#[test]
fn c041_the_reply_to_the_end_of_data_counts_by_its_first_digit() {
    for (code, word) in [
        (250, "Accepted"),
        (299, "Accepted"),
        (452, "Deferred"),
        (459, "Deferred"),
        (552, "Refused"),
        (559, "Refused"),
    ] {
        let mut talk = to_the_end_of_data();
        talk.script(&format!(
            "S: {code} x\nE: finished 0 {word}@EndOfData:{code} = {code}"
        ));
        assert!(talk.connection.is_idle());
    }
}

fn to_the_end_of_data() -> Talk {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 250 ok\nS: 354 go\nE: send-body 0\nB: 0 hello");
    talk
}

#[test]
fn an_intermediate_reply_where_none_belongs_is_a_violation() {
    // To MAIL, to RCPT, and to the end of data, which leaves the result unknown.
    for (replies, result) in [
        (&[][..], "0 NotTried@-:- = -"),
        (&["250 ok"], "0 NotTried@-:- = -"),
        (
            &["250 ok", "550 no"],
            "0 Refused@Rcpt:550, NotTried@-:- = -",
        ),
    ] {
        let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
        talk.begin(if replies.len() == 2 {
            &["a", "b"]
        } else {
            &["a"]
        });
        talk.flush();
        talk.wire.clear();
        for reply in replies {
            talk.script(&format!("S: {reply}"));
        }
        assert!(matches!(
            talk.violates("354 go"),
            Violation::WrongReply { .. }
        ));
        assert_eq!(talk.lost(), [result]);
    }
    let mut talk = to_the_end_of_data();
    assert!(matches!(
        talk.violates("354 go"),
        Violation::WrongReply { .. }
    ));
    assert_eq!(talk.lost(), ["0 Unknown@EndOfData:- = -"]);
}

#[test]
fn all_or_nothing_holds_data_until_every_recipient_was_taken() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin_with(&["a", "b"], true);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: RCPT TO:<b@example.org>
         S: 250 ok
         S: 250 ok
         S: 250 ok
         C: DATA
         S: 354 go
         E: send-body 0
         B: 0 hello
         S: 250 ok
         E: finished 0 Accepted@EndOfData:250, Accepted@EndOfData:250 = 250",
    );
}

#[test]
fn all_or_nothing_resets_when_one_recipient_fails() {
    for extensions in [&[][..], &["PIPELINING"]] {
        let mut talk = Talk::ready(Protocol::Smtp, extensions);
        talk.begin_with(&["a", "b", "c"], true);
        for reply in ["250 ok", "250 ok", "550 no", "250 ok"] {
            talk.flush();
            talk.wire.clear();
            talk.feed(format!("{reply}\r\n").as_bytes()).unwrap();
        }
        talk.script(
            "C: RSET
             S: 250 ok
             E: finished 0 NotTried@-:-, Refused@Rcpt:550, NotTried@-:- = 550",
        );
        assert!(talk.connection.is_idle());
        talk.begin(&["a"]);
        talk.flush();
        assert!(talk.wire.starts_with(b"MAIL"), "one RSET is enough");
    }
}

#[test]
fn all_or_nothing_with_a_refused_mail_sends_no_data() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin_with(&["a"], true);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         S: 550 no
         S: 503 no MAIL
         E: finished 0 Refused@Mail:550 = 550",
    );
    assert!(talk.connection.is_idle());
}

#[test]
fn the_end_of_data_is_taken_only_from_the_transaction_that_sends() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    let id = talk.begin(&["a"]);
    assert_eq!(talk.connection.end_of_data(id), Err(NotNow::NotSendingBody));
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 250 ok\nS: 354 go\nE: send-body 0");
    assert_eq!(
        talk.connection.end_of_data(TransactionId(1)),
        Err(NotNow::NotSendingBody)
    );
    talk.connection.end_of_data(id).unwrap();
    assert_eq!(talk.connection.end_of_data(id), Err(NotNow::NotSendingBody));
}

#[test]
fn quit_may_follow_the_end_of_data_at_once_and_its_failure_is_no_failure_to_send() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    assert_eq!(talk.connection.quit(), Err(NotNow::Busy));
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 250 ok\nS: 354 go\nE: send-body 0");
    assert_eq!(talk.connection.quit(), Err(NotNow::Busy));
    talk.script("B: 0 hello");
    talk.connection.quit().unwrap();
    let begun = talk
        .connection
        .begin(envelope(&["a"]), TransactionOptions::default());
    assert_eq!(begun, Err(NotNow::Busy));
    talk.script(
        "C: QUIT
         S: 250 ok
         E: finished 0 Accepted@EndOfData:250 = 250
         S: 500 what
         E: reply QUIT 500",
    );
    assert_eq!(talk.need, Need::Close);
    assert_eq!(talk.lost(), [""; 0]);
}

/// A transaction that DATA was refused in is left open on the server.
fn left_open() -> Talk {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 451 later
         E: finished 0 Deferred@Data:451 = 451",
    );
    talk
}

#[test]
fn only_a_reset_that_was_done_closes_what_was_left_open() {
    let mut talk = left_open();
    talk.connection.noop().unwrap();
    talk.script("C: NOOP\nS: 250 ok\nE: reply NOOP 250");
    talk.connection.reset().unwrap();
    talk.script("C: RSET\nS: 500 what\nE: reply RSET 500");
    talk.begin(&["b"]);
    talk.script("C: RSET\nC: MAIL FROM:<me@example.org>\nC: RCPT TO:<b@example.org>\nC: DATA");

    let mut talk = left_open();
    talk.connection.reset().unwrap();
    talk.script("C: RSET\nS: 250 ok\nE: reply RSET 250");
    talk.begin(&["b"]);
    talk.script("C: MAIL FROM:<me@example.org>\nC: RCPT TO:<b@example.org>\nC: DATA");
}
