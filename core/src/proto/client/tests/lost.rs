//! The connection is lost: at every octet of a session, in either direction, the results say what is known and no more.

use super::*;
use crate::outcome::{Delivery, RecipientOutcome};

#[test]
fn c055_after_the_end_of_data_the_result_is_unknown_and_before_it_is_not_tried() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a", "b"]);
    talk.begin(&["c"]);
    talk.begin(&["d"]);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 250 ok\nS: 550 no\nS: 354 go\nE: send-body 0");
    talk.connection.end_of_data(TransactionId(0)).unwrap();
    assert_eq!(
        talk.lost(),
        [
            "0 Unknown@EndOfData:-, Refused@Rcpt:550 = -",
            "1 NotTried@-:- = -",
            "2 NotTried@-:- = -"
        ]
    );
    assert_eq!(talk.lost(), [""; 0], "told once");
    assert!(!talk.connection.has_output());
    assert_eq!(talk.connection.waiting_for(), None);
}

#[test]
fn a_body_without_its_end_mark_is_no_message() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a", "b"]);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 550 no\nS: 250 ok\nS: 354 go\nE: send-body 0");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Body));
    assert_eq!(talk.lost(), ["0 Refused@Rcpt:550, NotTried@-:- = -"]);
}

#[test]
fn a_421_is_the_reply_of_the_transaction_it_answers() {
    // As the reply to MAIL, RCPT, DATA, instead of a body, and to the end of data.
    for (replies, result) in [
        (0, "0 Deferred@Mail:421, Deferred@Mail:421 = 421"),
        (1, "0 Deferred@Rcpt:421, Deferred@Rcpt:421 = 421"),
        (2, "0 Refused@Rcpt:550, Deferred@Rcpt:421 = 421"),
        (3, "0 Refused@Rcpt:550, Deferred@Data:421 = 421"),
        (4, "0 Refused@Rcpt:550, Deferred@Body:421 = 421"),
        (5, "0 Refused@Rcpt:550, Deferred@EndOfData:421 = 421"),
    ] {
        let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
        talk.begin(&["a", "b"]);
        talk.begin(&["c"]);
        talk.flush();
        for reply in ["250 ok", "550 no", "250 ok", "354 go"]
            .iter()
            .take(replies)
        {
            talk.feed(format!("{reply}\r\n").as_bytes()).unwrap();
        }
        talk.events.clear();
        if replies == 5 {
            talk.wire.clear();
            talk.connection.end_of_data(TransactionId(0)).unwrap();
            talk.flush();
        }
        talk.feed(b"421 4.3.2 closing\r\n").unwrap();
        assert_eq!(
            talk.events.pop_front().as_ref().map(show).as_deref(),
            Some("closing 421")
        );
        assert_eq!(talk.need, Need::Close);
        let late = talk.connection.end_of_data(TransactionId(0));
        assert_eq!(late, Err(NotNow::Closed));
        assert_eq!(talk.lost(), [result, "1 NotTried@-:- = -"]);
    }
}

#[test]
fn c078_a_421_that_was_there_before_the_command_leaves_the_message_untried() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.feed(b"421 idle for too long\r\n").unwrap();
    assert!(matches!(talk.events.pop_front(), Some(Event::Closing(_))));
    assert_eq!(talk.lost(), ["0 NotTried@-:- = -"]);
}

#[test]
fn what_a_lone_dot_or_a_reset_follows_is_decided_already() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 550 no\nS: 354 go\nC: .");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::EndOfData));
    assert_eq!(talk.lost(), ["0 Refused@Rcpt:550 = 550"]);

    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin_with(&["a", "b"], true);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 250 ok\nS: 450 no\nC: RSET");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Command));
    assert_eq!(talk.lost(), ["0 NotTried@-:-, Deferred@Rcpt:450 = 450"]);
}

/// What a session of three messages, the second with a refused recipient, came to before it was cut.
struct Cut {
    /// Delivery of each recipient, by transaction, whether by event or from `lost`.
    deliveries: Vec<Vec<Delivery>>,
    /// Transactions whose `end_of_data` was called.
    ended: Vec<u64>,
    finished: Vec<u64>,
    /// Octets that passed to the server and from it.
    passed: (usize, usize),
}

/// Runs the session until so many octets passed to the server or from it, then loses the connection.
fn cut(pipelining: bool, to_server: usize, from_server: usize) -> Cut {
    let extensions: &[&str] = if pipelining { &["PIPELINING"] } else { &[] };
    let mut talk = Talk::ready(Protocol::Smtp, extensions);
    for _ in 0..3 {
        talk.begin(&["a", "b"]);
    }
    let mut cut = Cut {
        deliveries: vec![Vec::new(); 3],
        ended: Vec::new(),
        finished: Vec::new(),
        passed: (0, 0),
    };
    let (mut at_server, mut line, mut in_data, mut mails) = (Vec::new(), Vec::new(), false, 0);
    let mut body: VecDeque<u8> = VecDeque::new();
    'session: loop {
        // The driver writes the body first, then what the machine has to say, as far as the cut allows.
        let room = to_server - cut.passed.0;
        let mut sent: Vec<u8> = body.drain(..room.min(body.len())).collect();
        sent.extend(drain(&mut talk.connection, room - sent.len()));
        cut.passed.0 += sent.len();
        at_server.extend(sent);
        if at_server.is_empty() {
            break;
        }
        for byte in std::mem::take(&mut at_server) {
            line.push(byte);
            if byte != b'\n' {
                continue;
            }
            let reply = match line.as_slice() {
                b".\r\n" if in_data => {
                    in_data = false;
                    "250 queued\r\n"
                }
                _ if in_data => "",
                b"DATA\r\n" => {
                    in_data = true;
                    "354 go\r\n"
                }
                [b'M', ..] => {
                    mails += 1;
                    "250 ok\r\n"
                }
                [
                    ..,
                    b'b',
                    b'@',
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    _,
                    b'>',
                    b'\r',
                    b'\n',
                ] if mails == 2 => "550 no\r\n",
                _ => "250 ok\r\n",
            };
            line.clear();
            let room = from_server - cut.passed.1;
            let came = &reply.as_bytes()[..reply.len().min(room)];
            cut.passed.1 += came.len();
            talk.feed(came).unwrap();
            while let Some(event) = talk.events.pop_front() {
                match event {
                    Event::SendBody(id) => {
                        cut.ended.push(id.number());
                        talk.connection.end_of_data(id).unwrap();
                        body.extend(b"text\r\n.\r\n");
                    }
                    Event::Finished { id, outcome } => {
                        cut.finished.push(id.number());
                        *place(&mut cut.deliveries, id) = deliveries(&outcome);
                    }
                    other => panic!("{other:?}"),
                }
            }
            if came.len() < reply.len() {
                break 'session;
            }
        }
    }
    for (id, outcome) in talk.connection.lost() {
        let place = place(&mut cut.deliveries, id);
        assert!(place.is_empty(), "one result for each");
        *place = deliveries(&outcome);
    }
    cut
}

fn deliveries(outcome: &Outcome) -> Vec<Delivery> {
    outcome
        .recipients()
        .iter()
        .map(RecipientOutcome::delivery)
        .collect()
}

fn place(all: &mut [Vec<Delivery>], id: TransactionId) -> &mut Vec<Delivery> {
    &mut all[usize::try_from(id.number()).unwrap()]
}

fn check(cut: &Cut) {
    for (id, got) in (0..).zip(&cut.deliveries) {
        let expected = if cut.finished.contains(&id) {
            Delivery::Accepted
        } else if cut.ended.contains(&id) {
            Delivery::Unknown
        } else {
            Delivery::NotTried
        };
        assert_eq!(got[0], expected, "transaction {id}");
        if id == 1 && cut.ended.contains(&1) {
            assert_eq!(got[1], Delivery::Refused);
        } else if id != 1 {
            assert_eq!(got[1], expected);
        } else {
            assert!(matches!(got[1], Delivery::NotTried | Delivery::Refused));
        }
    }
}

#[test]
fn c054_a_cut_at_any_octet_tells_what_is_known_and_no_more() {
    for pipelining in [false, true] {
        let whole = cut(pipelining, usize::MAX, usize::MAX);
        assert_eq!(whole.finished, [0, 1, 2]);
        check(&whole);
        let mut unknown = 0;
        for to_server in 0..whole.passed.0 {
            let cut = cut(pipelining, to_server, usize::MAX);
            check(&cut);
        }
        for from_server in 0..whole.passed.1 {
            let cut = cut(pipelining, usize::MAX, from_server);
            unknown += usize::from(cut.deliveries.iter().any(|d| d[0] == Delivery::Unknown));
            check(&cut);
        }
        // Each of the three waits for the whole of its "250 queued": at no fewer octets is it known.
        assert!(unknown >= 3 * "250 queued\r\n".len());
    }
}
