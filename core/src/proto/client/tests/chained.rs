//! Several transactions on one connection: the chain is one ahead, and each keeps its own results.

use super::*;

#[test]
fn the_next_transaction_rides_behind_the_end_of_data() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    for name in ["a", "b", "c"] {
        talk.begin(&[name]);
    }
    assert_eq!(talk.connection.in_flight(), 3);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 0
         B: 0 first
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<b@example.org>
         C: DATA",
    );
    assert_eq!(talk.connection.waiting_for(), Some(Phase::EndOfData));
    talk.script(
        "S: 250 queued
         E: finished 0 Accepted@EndOfData:250 = 250
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 1
         B: 1 second
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<c@example.org>
         C: DATA
         S: 552 too big
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: finished 1 Refused@EndOfData:552 = 552
         E: send-body 2
         B: 2 third
         S: 250 queued
         E: finished 2 Accepted@EndOfData:250 = 250",
    );
    assert!(talk.connection.is_idle());
}

#[test]
fn one_that_is_begun_late_is_chained_at_once() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.flush();
    talk.wire.clear();
    talk.script("S: 250 ok\nS: 250 ok\nS: 354 go\nE: send-body 0\nB: 0 first");
    talk.begin(&["b"]);
    talk.script("C: MAIL FROM:<me@example.org>\nC: RCPT TO:<b@example.org>\nC: DATA");
}

#[test]
fn without_pipelining_the_next_waits_for_the_last_reply() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.begin(&["a"]);
    talk.begin(&["b"]);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         S: 250 ok
         C: RCPT TO:<a@example.org>
         S: 250 ok
         C: DATA
         S: 354 go
         E: send-body 0
         B: 0 first
         S: 250 queued
         E: finished 0 Accepted@EndOfData:250 = 250
         C: MAIL FROM:<me@example.org>
         S: 250 ok
         C: RCPT TO:<b@example.org>",
    );
}

#[test]
fn a_lone_dot_stands_between_two_transactions() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.begin(&["b"]);
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: DATA
         S: 250 ok
         S: 550 no
         S: 354 go
         C: .
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<b@example.org>
         C: DATA
         S: 554 no recipients
         E: finished 0 Refused@Rcpt:550 = 550
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 1
         B: 1 second
         S: 250 queued
         E: finished 1 Accepted@EndOfData:250 = 250",
    );
}

/// What the server says to the second of four transactions, for the recipients a and b.
struct Case {
    mail: &'static str,
    rcpt: [&'static str; 2],
    data: &'static str,
    end: &'static str,
    result: &'static str,
}

const GOOD: Case = Case {
    mail: "250 ok",
    rcpt: ["250 ok", "250 ok"],
    data: "354 go",
    end: "250 queued",
    result: "Accepted@EndOfData:250, Accepted@EndOfData:250 = 250",
};

const CASES: [Case; 7] = [
    GOOD,
    Case {
        mail: "550 no",
        rcpt: ["503 no MAIL", "503 no MAIL"],
        data: "503 no MAIL",
        result: "Refused@Mail:550, Refused@Mail:550 = 550",
        ..GOOD
    },
    Case {
        rcpt: ["450 later", "250 ok"],
        result: "Deferred@Rcpt:450, Accepted@EndOfData:250 = 250",
        ..GOOD
    },
    Case {
        rcpt: ["550 no", "553 no"],
        data: "554 no recipients",
        result: "Refused@Rcpt:550, Refused@Rcpt:553 = 553",
        ..GOOD
    },
    Case {
        rcpt: ["550 no", "553 no"],
        data: "354 go",
        end: "250 a lone dot",
        result: "Refused@Rcpt:550, Refused@Rcpt:553 = 553",
        ..GOOD
    },
    Case {
        data: "451 later",
        result: "Deferred@Data:451, Deferred@Data:451 = 451",
        ..GOOD
    },
    Case {
        end: "554 no",
        result: "Refused@EndOfData:554, Refused@EndOfData:554 = 554",
        ..GOOD
    },
];

/// A server that takes every command line in turn. It checks the order of commands, as a real one would.
struct Server<'a> {
    cases: &'a [&'a Case],
    transaction: usize,
    recipient: usize,
    in_mail: bool,
    in_data: bool,
}

impl Server<'_> {
    fn answer(&mut self, line: &str) -> Option<&'static str> {
        if self.in_data {
            if line != "." {
                return None;
            }
            self.in_data = false;
            self.in_mail = false;
            return Some(self.cases[self.transaction - 1].end);
        }
        Some(match line.split([' ', ':']).next() {
            Some("RSET") => {
                self.in_mail = false;
                "250 reset"
            }
            Some("MAIL") => {
                assert!(!self.in_mail, "MAIL inside an open transaction");
                let case = self.cases[self.transaction];
                self.in_mail = case.mail.starts_with('2');
                self.transaction += 1;
                self.recipient = 0;
                case.mail
            }
            Some("RCPT") => {
                self.recipient += 1;
                self.cases[self.transaction - 1].rcpt[self.recipient - 1]
            }
            Some("DATA") => {
                let reply = self.cases[self.transaction - 1].data;
                self.in_data = reply.starts_with('3');
                reply
            }
            _ => panic!("{line:?}"),
        })
    }
}

/// Four transactions of two recipients each; gives their results and how often the server was reset.
fn run(cases: &[&Case], extensions: &[&str]) -> (Vec<String>, usize) {
    let mut talk = Talk::ready(Protocol::Smtp, extensions);
    let mut server = Server {
        cases,
        transaction: 0,
        recipient: 0,
        in_mail: false,
        in_data: false,
    };
    for _ in cases {
        talk.begin(&["a", "b"]);
    }
    let (mut results, mut resets) = (Vec::new(), 0);
    for _ in 0..100 {
        talk.flush();
        let sent = String::from_utf8(std::mem::take(&mut talk.wire)).unwrap();
        if sent.is_empty() {
            break;
        }
        for line in sent.lines() {
            resets += usize::from(line == "RSET");
            if let Some(reply) = server.answer(line) {
                talk.feed(format!("{reply}\r\n").as_bytes()).unwrap();
            }
        }
        while let Some(event) = talk.events.pop_front() {
            match event {
                Event::SendBody(id) => {
                    talk.connection.end_of_data(id).unwrap();
                    talk.wire.extend(b"text\r\n.\r\n");
                }
                Event::Finished { .. } => results.push(show(&event)),
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(talk.connection.is_idle());
    (results, resets)
}

#[test]
fn what_befalls_the_second_of_four_leaves_the_others_alone() {
    for extensions in [&[][..], &["PIPELINING"]] {
        for (number, case) in CASES.iter().enumerate() {
            let cases = [&GOOD, case, &GOOD, &GOOD];
            let (results, resets) = run(&cases, extensions);
            let expected: Vec<String> = cases
                .iter()
                .enumerate()
                .map(|(id, case)| format!("finished {id} {}", case.result))
                .collect();
            assert_eq!(results, expected, "case {number}");
            let no_data = case.data.starts_with(['4', '5']) || extensions.is_empty();
            let left_open = case.mail.starts_with('2')
                && (case.data.starts_with(['4', '5'])
                    || (no_data && !case.rcpt.iter().any(|reply| reply.starts_with('2'))));
            assert_eq!(resets, usize::from(left_open), "case {number}");
        }
    }
}

#[test]
fn any_four_in_a_row_keep_their_own_results() {
    for extensions in [&[][..], &["PIPELINING"]] {
        for first in &CASES {
            for second in &CASES {
                for third in &CASES {
                    let cases = [first, second, third, &GOOD];
                    let (results, _) = run(&cases, extensions);
                    for (id, (result, case)) in results.iter().zip(cases).enumerate() {
                        assert_eq!(*result, format!("finished {id} {}", case.result));
                    }
                    assert_eq!(results.len(), 4);
                }
            }
        }
    }
}

#[test]
fn a_reset_goes_out_in_the_group_of_the_next_transaction() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.begin(&["b"]);
    talk.flush();
    talk.wire.clear();
    talk.script(
        "S: 250 ok
         S: 250 ok
         S: 451 later
         E: finished 0 Deferred@Data:451 = 451
         C: RSET
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<b@example.org>
         C: DATA
         S: 250 reset
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 1",
    );
}

#[test]
fn all_or_nothing_behind_another_holds_its_data() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
    talk.begin(&["a"]);
    talk.begin_with(&["b", "c"], true);
    talk.begin(&["d"]);
    talk.flush();
    talk.wire.clear();
    talk.script(
        "S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 0
         B: 0 first
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<b@example.org>
         C: RCPT TO:<c@example.org>
         S: 250 queued
         E: finished 0 Accepted@EndOfData:250 = 250
         S: 250 ok
         S: 250 ok
         S: 550 no
         C: RSET
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<d@example.org>
         C: DATA
         S: 250 reset
         E: finished 1 NotTried@-:-, Refused@Rcpt:550 = 550
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 2",
    );
}
