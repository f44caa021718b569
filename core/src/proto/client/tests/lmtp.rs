//! LMTP (RFC 2033): a reply for each recipient after the end of data.

use super::*;

fn to_the_end_of_data() -> Talk {
    let mut talk = Talk::ready(Protocol::Lmtp, &["PIPELINING"]);
    talk.begin(&["a", "b", "c"]);
    talk.flush();
    talk.wire.clear();
    talk.script(
        "S: 250 ok
         S: 250 ok
         S: 550 no
         S: 250 ok
         S: 354 go
         E: send-body 0
         B: 0 hello",
    );
    talk
}

#[test]
fn c076_each_accepted_recipient_has_its_own_reply() {
    let mut talk = to_the_end_of_data();
    talk.begin(&["d"]);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<d@example.org>
         C: DATA
         S: 250 delivered
         S: 452 over quota
         E: finished 0 Accepted@EndOfData:250, Refused@Rcpt:550, Deferred@EndOfData:452 = 452
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 1
         B: 1 hello
         S: 250 delivered
         E: finished 1 Accepted@EndOfData:250 = 250",
    );
    assert!(talk.connection.is_idle());
}

#[test]
fn c077_a_reply_that_is_missing_leaves_its_recipient_unknown() {
    let mut talk = to_the_end_of_data();
    talk.script("S: 250 delivered");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::EndOfData));
    assert_eq!(
        talk.lost(),
        ["0 Accepted@EndOfData:250, Refused@Rcpt:550, Unknown@EndOfData:- = 250"]
    );
}

#[test]
fn a_421_answers_one_recipient_and_the_rest_stay_unknown() {
    let mut talk = to_the_end_of_data();
    talk.script("S: 421 closing\nE: closing 421");
    assert_eq!(
        talk.lost(),
        ["0 Deferred@EndOfData:421, Refused@Rcpt:550, Unknown@EndOfData:- = 421"]
    );
}

#[test]
fn a_354_without_a_recipient_is_a_violation() {
    let mut talk = Talk::ready(Protocol::Lmtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 550 no");
    assert!(matches!(
        talk.violates("354 go"),
        Violation::WrongReply {
            command: "DATA",
            ..
        }
    ));
    assert_eq!(talk.lost(), ["0 Refused@Rcpt:550 = 550"]);
}

#[test]
fn recipients_taken_although_mail_was_refused_leave_the_number_of_replies_open() {
    let both = &["PIPELINING", "CHUNKING"];
    let mut talk = Talk::ready(Protocol::Lmtp, both);
    talk.begin_chunks(&["a", "b"], Transfer::Whole(5));
    talk.begin_chunks(&["c"], Transfer::Whole(5));
    talk.skip();
    talk.script("S: 550 no\nS: 250 ok\nS: 250 ok");
    assert!(matches!(
        talk.violates("503 no MAIL"),
        Violation::WrongReply {
            command: "BDAT",
            ..
        }
    ));
    assert_eq!(
        talk.lost(),
        [
            "0 Unknown@EndOfData:-, Unknown@EndOfData:- = -",
            "1 Unknown@EndOfData:- = -"
        ]
    );
}
