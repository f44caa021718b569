//! BDAT (RFC 3030): one transaction at a time, whole or chunk by chunk, with every way in which a server may refuse.

use super::*;

const BOTH: &[&str] = &["PIPELINING", "CHUNKING"];

#[test]
fn c028_bdat_is_used_only_where_chunking_is_offered() {
    for transfer in [Transfer::Whole(5), Transfer::Chunks] {
        let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING", "X-CHUNKING"]);
        let options = TransactionOptions {
            transfer,
            ..TransactionOptions::default()
        };
        let begun = talk.connection.begin(envelope(&["a"]), options);
        assert_eq!(begun, Err(NotNow::NotOffered("CHUNKING")));
        talk.silent();
        assert!(talk.connection.is_idle());
    }
}

#[test]
fn a_whole_transaction_is_one_flight() {
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a", "b"], Transfer::Whole(5));
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: RCPT TO:<b@example.org>
         C: BDAT 5 LAST
         C: <0+5@0>",
    );
    assert_eq!(talk.connection.unanswered_octets(), 5);
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Mail));
    talk.script("S: 250 ok\nS: 250 ok\nS: 550 no");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::EndOfData));
    talk.script(
        "S: 250 queued
         E: finished 0 Accepted@EndOfData:250, Refused@Rcpt:550 = 250",
    );
    assert_eq!(talk.connection.unanswered_octets(), 0);
    assert!(talk.connection.is_idle());
    // What was accepted is closed: no RSET.
    talk.begin_chunks(&["a"], Transfer::Whole(1));
    talk.script(
        "C: MAIL FROM:<me@example.org>\nC: RCPT TO:<a@example.org>\nC: BDAT 1 LAST\nC: <1+1@0>",
    );
}

#[test]
fn c026_an_empty_message_is_an_empty_last_chunk() {
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a"], Transfer::Whole(0));
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: BDAT 0 LAST
         S: 250 ok
         S: 250 ok
         S: 250 queued
         E: finished 0 Accepted@EndOfData:250 = 250",
    );
}

#[test]
fn without_pipelining_the_chunk_waits_for_the_recipients() {
    let mut talk = Talk::ready(Protocol::Smtp, &["CHUNKING"]);
    talk.begin_chunks(&["a"], Transfer::Whole(5));
    talk.begin_chunks(&["b"], Transfer::Whole(7));
    talk.script(
        "C: MAIL FROM:<me@example.org>
         S: 250 ok
         C: RCPT TO:<a@example.org>
         S: 250 ok
         C: BDAT 5 LAST
         C: <0+5@0>
         S: 250 queued
         E: finished 0 Accepted@EndOfData:250 = 250
         C: MAIL FROM:<me@example.org>
         S: 250 ok
         C: RCPT TO:<b@example.org>
         S: 550 no
         E: finished 1 Refused@Rcpt:550 = 550",
    );
}

#[test]
fn all_or_nothing_holds_the_last_chunk_until_every_recipient_was_taken() {
    let all = |transfer| TransactionOptions {
        all_or_nothing: true,
        transfer,
    };
    for (last, end) in [("250 ok", ""), ("452 later", "RSET")] {
        let mut talk = Talk::ready(Protocol::Smtp, BOTH);
        let recipients = envelope(&["a", "b"]);
        talk.connection
            .begin(recipients, all(Transfer::Whole(5)))
            .unwrap();
        talk.script(
            "C: MAIL FROM:<me@example.org>\nC: RCPT TO:<a@example.org>\nC: RCPT TO:<b@example.org>\nS: 250 ok\nS: 250 ok",
        );
        talk.feed(format!("{last}\r\n").as_bytes()).unwrap();
        if end.is_empty() {
            talk.script("C: BDAT 5 LAST\nC: <0+5@0>\nS: 250 queued\nE: finished 0 Accepted@EndOfData:250, Accepted@EndOfData:250 = 250");
            continue;
        }
        talk.script("C: RSET\nS: 250 ok\nE: finished 0 NotTried@-:-, Deferred@Rcpt:452 = 452");
        let recipients = envelope(&["a", "b"]);
        talk.connection
            .begin(recipients, all(Transfer::Chunks))
            .unwrap();
        talk.skip();
        talk.script("S: 250 ok\nS: 250 ok\nS: 550 no\nC: RSET");
    }
}

/// A message in chunks, up to where the first may be sent.
fn to_the_chunks(extensions: &[&str], protocol: Protocol) -> Talk {
    let mut talk = Talk::ready(protocol, extensions);
    talk.begin_chunks(&["a", "b"], Transfer::Chunks);
    for reply in ["250 ok", "250 ok", "550 no"] {
        assert!(talk.events.is_empty());
        talk.skip();
        talk.feed(format!("{reply}\r\n").as_bytes()).unwrap();
    }
    talk.script("E: send-body 0");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Body));
    talk
}

#[test]
fn c030_chunks_follow_one_another_and_the_last_says_so_once() {
    let mut talk = to_the_chunks(BOTH, Protocol::Smtp);
    talk.chunk(0, 100, false);
    talk.chunk(0, 50, false);
    assert_eq!(talk.connection.unanswered_octets(), 150);
    talk.script(
        "C: BDAT 100
         C: <0+100@0>
         C: BDAT 50
         C: <0+50@100>
         S: 250 100 octets
         E: send-body 0",
    );
    assert_eq!(talk.connection.unanswered_octets(), 50);
    talk.begin_chunks(&["c"], Transfer::Whole(3));
    talk.chunk(0, 7, true);
    assert_eq!(
        talk.connection.chunk(TransactionId(0), 1, true),
        Err(NotNow::NotSendingBody)
    );
    // The next transaction rides behind the last chunk.
    talk.script(
        "C: BDAT 7 LAST
         C: <0+7@150>
         C: RSET
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<c@example.org>
         C: BDAT 3 LAST
         C: <1+3@0>
         S: 250 50 octets
         S: 250 queued
         E: finished 0 Accepted@EndOfData:250, Refused@Rcpt:550 = 250
         S: 250 reset
         S: 250 ok
         S: 250 ok
         S: 250 queued
         E: finished 1 Accepted@EndOfData:250 = 250",
    );
    assert!(talk.connection.is_idle());
}

#[test]
fn without_groups_each_chunk_waits_for_the_reply_to_the_last() {
    for (extensions, protocol) in [(&["CHUNKING"][..], Protocol::Smtp), (BOTH, Protocol::Lmtp)] {
        let mut talk = to_the_chunks(extensions, protocol);
        talk.chunk(0, 100, false);
        assert_eq!(
            talk.connection.chunk(TransactionId(0), 1, false),
            Err(NotNow::Busy)
        );
        talk.script("C: BDAT 100\nC: <0+100@0>\nS: 250 ok\nE: send-body 0");
        talk.chunk(0, 0, true);
        talk.script(
            "C: BDAT 0 LAST
             S: 250 queued
             E: finished 0 Accepted@EndOfData:250, Refused@Rcpt:550 = 250",
        );
        assert!(talk.connection.is_idle());
    }
}

#[test]
fn chunks_are_taken_only_of_a_transaction_that_sends_them() {
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    let id = talk.begin_chunks(&["a"], Transfer::Chunks);
    assert_eq!(
        talk.connection.chunk(id, 1, true),
        Err(NotNow::NotSendingBody)
    );
    talk.skip();
    talk.script("S: 250 ok\nS: 250 ok\nE: send-body 0");
    assert_eq!(
        talk.connection.chunk(TransactionId(1), 1, true),
        Err(NotNow::NotSendingBody)
    );
    assert_eq!(talk.connection.end_of_data(id), Err(NotNow::NotSendingBody));
    talk.silent();

    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    let id = talk.begin(&["a"]);
    talk.skip();
    talk.script("S: 250 ok\nS: 250 ok\nS: 354 go\nE: send-body 0");
    assert_eq!(
        talk.connection.chunk(id, 1, true),
        Err(NotNow::NotSendingBody)
    );
}

#[test]
fn c029_after_a_refused_chunk_nothing_is_sent_but_a_reset_before_the_next() {
    let mut talk = to_the_chunks(BOTH, Protocol::Smtp);
    talk.chunk(0, 100, false);
    talk.chunk(0, 50, false);
    talk.skip();
    talk.script("S: 452 4.3.1 no space");
    assert_eq!(
        talk.connection.chunk(TransactionId(0), 7, true),
        Err(NotNow::NotSendingBody)
    );
    talk.script("S: 503 what?\nE: finished 0 Deferred@Body:452, Refused@Rcpt:550 = 452");
    talk.begin_chunks(&["a"], Transfer::Whole(3));
    talk.script("C: RSET\nC: MAIL FROM:<me@example.org>\nC: RCPT TO:<a@example.org>\nC: BDAT 3 LAST\nC: <1+3@0>");
    // The same where the last chunk is the one that is refused.
    talk.script("S: 250 reset\nS: 250 ok\nS: 250 ok\nS: 552 too big\nE: finished 1 Refused@EndOfData:552 = 552");
    talk.begin(&["a"]);
    talk.script("C: RSET\nC: MAIL FROM:<me@example.org>\nC: RCPT TO:<a@example.org>\nC: DATA");
}

#[test]
fn a_chunk_refused_before_the_last_decides_though_the_last_is_on_its_way() {
    let mut talk = to_the_chunks(BOTH, Protocol::Smtp);
    talk.chunk(0, 100, false);
    talk.chunk(0, 50, true);
    talk.skip();
    talk.script(
        "S: 552 too big
         S: 503 what?
         E: finished 0 Refused@Body:552, Refused@Rcpt:550 = 552",
    );
    talk.begin(&["a"]);
    talk.flush();
    assert!(talk.wire.starts_with(b"RSET\r\n"));
}

#[test]
fn a_server_that_takes_the_end_of_what_it_refused_leaves_the_result_unknown() {
    let mut talk = to_the_chunks(BOTH, Protocol::Smtp);
    talk.chunk(0, 100, false);
    talk.chunk(0, 50, true);
    talk.skip();
    talk.script("S: 552 too big");
    let violation = talk.violates("250 queued");
    assert!(matches!(
        violation,
        Violation::WrongReply {
            command: "BDAT",
            ..
        }
    ));
    assert_eq!(talk.lost(), ["0 Unknown@EndOfData:-, Refused@Rcpt:550 = -"]);

    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a", "b"], Transfer::Whole(5));
    talk.skip();
    talk.script("S: 550 no\nS: 250 yes\nS: 550 no");
    talk.violates("250 queued");
    assert_eq!(
        talk.lost(),
        ["0 Unknown@EndOfData:-, Unknown@EndOfData:- = -"]
    );
}

#[test]
fn c070_a_message_taken_for_nobody_was_accepted_by_nobody() {
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a"], Transfer::Whole(5));
    talk.skip();
    talk.script("S: 250 ok\nS: 550 no\nS: 250 taken\nE: finished 0 Refused@Rcpt:550 = 550");
    assert!(talk.connection.is_idle());
}

#[test]
fn a_reply_to_a_chunk_that_is_not_all_sent_is_a_violation() {
    for reply in ["250 queued", "552 too big"] {
        let mut talk = Talk::ready(Protocol::Smtp, BOTH);
        talk.begin_chunks(&["a"], Transfer::Whole(500));
        drain(&mut talk.connection, 200);
        talk.feed(b"250 ok\r\n250 ok\r\n").unwrap();
        let violation = talk.feed(format!("{reply}\r\n").as_bytes());
        assert!(matches!(violation, Err(Violation::UnexpectedReply(_))));
        assert_eq!(talk.lost(), ["0 NotTried@-:- = -"]);
    }
}

#[test]
fn an_intermediate_reply_to_a_chunk_is_a_violation() {
    let mut talk = to_the_chunks(BOTH, Protocol::Smtp);
    talk.chunk(0, 100, false);
    talk.skip();
    talk.violates("354 go");
    assert_eq!(talk.lost(), ["0 NotTried@-:-, Refused@Rcpt:550 = -"]);
}

#[test]
fn lmtp_answers_the_last_chunk_once_for_each_recipient() {
    let mut talk = Talk::ready(Protocol::Lmtp, BOTH);
    talk.begin_chunks(&["a", "b", "c", "d"], Transfer::Whole(5));
    talk.begin_chunks(&["e", "f"], Transfer::Whole(6));
    talk.begin_chunks(&["g"], Transfer::Whole(7));
    talk.skip();
    talk.script("S: 250 ok\nS: 250 ok\nS: 550 no\nS: 250 ok\nS: 250 ok\nS: 250 a\nS: 452 c");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::EndOfData));
    talk.script(
        "S: 250 d
         E: finished 0 Accepted@EndOfData:250, Refused@Rcpt:550, Deferred@EndOfData:452, Accepted@EndOfData:250 = 250
         S: 250 reset
         S: 250 ok
         S: 550 no
         S: 550 no
         S: 503 nobody
         E: finished 1 Refused@Rcpt:550, Refused@Rcpt:550 = 550
         S: 250 reset
         S: 250 ok
         S: 250 ok
         S: 250 g
         E: finished 2 Accepted@EndOfData:250 = 250",
    );
    assert!(talk.connection.is_idle());
}

#[test]
fn c077_an_lmtp_reply_that_is_missing_leaves_its_recipient_unknown() {
    for (said, first) in [
        ("250 a", "Accepted@EndOfData:250"),
        ("421 a", "Deferred@EndOfData:421"),
    ] {
        let mut talk = Talk::ready(Protocol::Lmtp, BOTH);
        talk.begin_chunks(&["a", "b"], Transfer::Whole(5));
        talk.skip();
        talk.script("S: 250 ok\nS: 250 ok\nS: 250 ok");
        talk.feed(format!("{said}\r\n").as_bytes()).unwrap();
        let code = &said[..3];
        assert_eq!(
            talk.lost(),
            [format!("0 {first}, Unknown@EndOfData:- = {code}")]
        );
    }
}

#[test]
fn c052_a_421_in_the_middle_of_a_chunk_leaves_the_message_untried() {
    let mut talk = Talk::ready(Protocol::Smtp, &["CHUNKING"]);
    let id = talk.begin_chunks(&["a"], Transfer::Chunks);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         S: 250 ok
         C: RCPT TO:<a@example.org>
         S: 250 ok
         E: send-body 0",
    );
    talk.chunk(0, 100, false);
    // Its command, and a part of it.
    drain(&mut talk.connection, "BDAT 100\r\n".len() + 50);
    talk.feed(b"421 bye\r\n").unwrap();
    assert!(matches!(talk.events.pop_front(), Some(Event::Closing(_))));
    let [(lost, outcome)] = &talk.connection.lost()[..] else {
        panic!("one transaction was begun");
    };
    assert_eq!((*lost, outcome.delivery()), (id, crate::Delivery::NotTried));
}

#[test]
fn a_chunk_of_2_to_the_63_octets_is_none() {
    let mut talk = Talk::ready(Protocol::Smtp, &["CHUNKING"]);
    let whole = TransactionOptions {
        transfer: Transfer::Whole(limits::CHUNK),
        ..TransactionOptions::default()
    };
    let begun = talk.connection.begin(envelope(&["a"]), whole);
    assert!(matches!(begun, Err(NotNow::Argument(_))));
    talk.silent();

    let mut talk = to_the_chunks(&["CHUNKING"], Protocol::Smtp);
    let id = TransactionId(0);
    let queued = talk.connection.chunk(id, limits::CHUNK, true);
    assert!(matches!(queued, Err(NotNow::Argument(_))));
    talk.silent();
    talk.connection.chunk(id, limits::CHUNK - 1, true).unwrap();
}
