//! PIPELINING (RFC 2920): replies in the order of commands, answers in the order of questions, and output that waits.

use mailwire::proto::server::{Answer, Connection, Hooks};
use mailwire::proto::{Need, Progress};

use crate::talk::{Talk, after_hello, asking, config, greeted, reply};

#[test]
fn s260_s262_a_batch_is_answered_in_order() {
    let mut talk = after_hello(
        config().with_hooks(Hooks::RCPT),
        &[
            "C: MAIL FROM:<a@b>",
            "C: RCPT TO:<one@d>",
            "C: RCPT TO:<two@d>",
            "C: RCPT TO:<three@d>",
            "C: DATA",
            "C: x",
            "C: .",
            "C: NOOP",
            "S: 250 2.1.0 OK",
            "E: Rcpt <one@d>",
            "E: Rcpt <two@d>",
            "E: Rcpt <three@d>",
            "N: Answer",
        ],
    );
    assert_eq!(talk.connection.owed(), 3);
    talk.follow(&[
        "A: accept",
        "S: 250 2.1.5 OK",
        "N: Answer",
        "A: 550 5.1.1 No",
        "S: 550 5.1.1 No",
        "N: Answer",
        "A: accept",
        "S: 250 2.1.5 OK",
        "S: 354 End data with <CR><LF>.<CR><LF>",
        "E: Body x\\r\\n",
        "E: EndOfData 3",
        "N: Answer",
    ]);
    let recipients: Vec<_> = talk
        .connection
        .envelope()
        .unwrap()
        .recipients()
        .iter()
        .map(|r| r.path().as_str())
        .collect();
    assert_eq!(recipients, ["one@d", "three@d"]);
    talk.follow(&["A: accept", "S: 250 2.0.0 OK", "S: 250 2.0.0 OK"]);
}

#[test]
fn only_another_question_joins_a_batch() {
    for next in [
        "NOOP",
        "RCPT TO:<x>",
        "RCPT TO:<a@b> FOO=1",
        "MAIL FROM:<a@b>",
        "RSET",
        "QUIT",
        "",
        "DATA",
        "RCPT TO:<e@f",
    ] {
        let mut talk = greeted(config().with_hooks(Hooks::RCPT));
        talk.lend(
            format!("MAIL FROM:<a@b>\r\nRCPT TO:<one@d>\r\n{next}\r\nRCPT TO:<two@d>\r\n")
                .as_bytes(),
        );
        talk.follow(&["S: 250 2.1.0 OK", "E: Rcpt <one@d>", "N: Answer"]);
        assert_eq!(talk.connection.owed(), 1, "{next}");
    }
    // Half a command may become anything.
    let mut talk = greeted(config().with_hooks(Hooks::RCPT));
    talk.lend(b"MAIL FROM:<a@b>\r\nRCPT TO:<one@d>\r\nRCPT TO:<two@d");
    talk.follow(&[
        "S: 250 2.1.0 OK",
        "E: Rcpt <one@d>",
        "N: Answer",
        "A: accept",
        "S: 250 2.1.5 OK",
        "N: More",
        "C: >",
        "E: Rcpt <two@d>",
    ]);
}

#[test]
fn a_batch_is_bounded() {
    let mut talk = greeted(config().with_hooks(Hooks::RCPT));
    talk.lend(b"MAIL FROM:<a@b>\r\n");
    talk.lend(&b"RCPT TO:<c@d>\r\n".repeat(300));
    assert_eq!(talk.connection.owed(), 128);
    for _ in 0..300 {
        talk.answer(Answer::Accept);
    }
    assert_eq!(talk.connection.envelope().unwrap().recipients().len(), 300);
    assert_eq!((talk.connection.owed(), talk.need), (0, Some(Need::More)));
}

#[test]
fn s089_a_batch_ends_where_the_limit_of_recipients_may_be() {
    after_hello(
        config().with_hooks(Hooks::RCPT).with_max_recipients(2),
        &[
            "C: MAIL FROM:<a@b>",
            "C: RCPT TO:<1@d>",
            "C: RCPT TO:<2@d>",
            "C: RCPT TO:<3@d>",
            "C: RCPT TO:<4@d>",
            "C: DATA",
            "S: 250 2.1.0 OK",
            "E: Rcpt <1@d>",
            "E: Rcpt <2@d>",
            "N: Answer",
            "A: 550 no",
            "S: 550 5.0.0 no",
            "A: accept",
            "S: 250 2.1.5 OK",
            "E: Rcpt <3@d>",
            "N: Answer",
            "A: accept",
            "S: 250 2.1.5 OK",
            "S: 452 4.5.3 Too many recipients",
            "S: 354 End data with <CR><LF>.<CR><LF>",
        ],
    );
}

#[test]
fn s264_a_message_behind_its_data_is_the_message() {
    let mut talk = greeted(asking());
    talk.lend(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nQUIT\r\n.\r\nNOOP\r\n");
    talk.follow(&[
        "E: Mail <a@b>",
        "A: accept",
        "S: 250 2.1.0 OK",
        "E: Rcpt <c@d>",
        "A: accept",
        "S: 250 2.1.5 OK",
        "E: Data",
        "A: accept",
        "S: 354 End data with <CR><LF>.<CR><LF>",
        "E: Body QUIT\\r\\n",
        "E: EndOfData 6",
        "A: accept",
        "S: 250 2.0.0 OK",
        "S: 250 2.0.0 OK",
        "N: More",
    ]);
}

#[test]
fn a_421_to_one_of_a_batch_waits_for_the_others() {
    let mut talk = greeted(config().with_hooks(Hooks::RCPT));
    talk.lend(b"MAIL FROM:<a@b>\r\nRCPT TO:<one@d>\r\nRCPT TO:<two@d>\r\nNOOP\r\n");
    talk.follow(&[
        "S: 250 2.1.0 OK",
        "E: Rcpt <one@d>",
        "E: Rcpt <two@d>",
        "A: 421 4.3.2 Going",
        "S: 421 4.3.2 Going",
        "N: Answer",
        "A: accept",
        "S: 250 2.1.5 OK",
        "N: Close",
    ]);
    assert!(talk.connection.answer(reply("250 x").into()).is_err());
}

/// Without flushing, as a driver whose client does not read.
#[test]
fn s266_a_client_that_never_reads_costs_no_more_memory() {
    let mut talk = greeted(config().with_max_idle_commands(u32::MAX));
    let input = b"NOOP\r\n".repeat(100_000);
    let mut start = 0;
    for _ in 0..100 {
        match talk.connection.receive(&input[start..]).unwrap() {
            mailwire::proto::Progress::Need {
                used,
                need: Need::More,
            } => start += used,
            other => panic!("{other:?}"),
        }
    }
    let waiting: usize = talk.connection.transmit().map(|slice| slice.len()).sum();
    assert!(
        (15 * 1024..17 * 1024).contains(&waiting) && start < input.len(),
        "{waiting} octets for {start}"
    );
    // Once it reads, all is answered.
    talk.lend(&input[start..]);
    assert_eq!(talk.output.len(), b"250 2.0.0 OK\r\n".len() * 100_000);
}

#[test]
fn s012_s261_each_command_has_its_reply() {
    let mut talk = Talk::new(config());
    talk.lend(&b"NOOP\r\n".repeat(100));
    assert_eq!(std::iter::from_fn(|| talk.line()).count(), 101);
}

#[test]
fn a_reply_of_several_lines_leaves_in_one_piece() {
    let mut connection = Connection::new(std::sync::Arc::new(config()), None);
    let mut input = &b"EHLO a.example\r\n"[..];
    let mut pieces = Vec::new();
    while pieces.is_empty() {
        match connection.receive(input).unwrap() {
            Progress::Event { used, .. } => input = &input[used..],
            Progress::Need { used, .. } => {
                input = &input[used..];
                if input.is_empty() {
                    pieces = connection.transmit().map(|slice| slice.to_vec()).collect();
                }
            }
        }
    }
    // The greeting and all lines of the reply to EHLO, for one write.
    let [piece] = pieces.as_slice() else {
        panic!("{pieces:?}")
    };
    let text = String::from_utf8(piece.clone()).unwrap();
    let last = text.lines().last().unwrap();
    assert!(
        text.starts_with("220 ") && last.starts_with("250 "),
        "{text}"
    );
}
