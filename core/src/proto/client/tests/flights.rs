//! Several transactions in flight by BDAT on one connection, a pipelined RSET between them: each keeps its own results.

use super::*;
use crate::outcome::Delivery;

const BOTH: &[&str] = &["PIPELINING", "CHUNKING"];

#[test]
fn a_reset_whose_reply_is_nobodys_stands_between_two_flights() {
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a"], Transfer::Whole(5));
    talk.begin_chunks(&["b"], Transfer::Whole(6));
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: BDAT 5 LAST
         C: <0+5@0>
         C: RSET
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<b@example.org>
         C: BDAT 6 LAST
         C: <1+6@0>",
    );
    assert_eq!(talk.connection.unanswered_octets(), 11);
    talk.script("S: 250 ok\nS: 250 ok\nS: 250 first\nE: finished 0 Accepted@EndOfData:250 = 250");
    assert_eq!(talk.connection.waiting_for(), Some(Phase::Command));
    talk.script(
        "S: 500 what is RSET?
         S: 250 ok
         S: 250 ok
         S: 250 second
         E: finished 1 Accepted@EndOfData:250 = 250",
    );
    assert!(talk.connection.is_idle());
    // One that is begun once the last is closed needs no RSET.
    talk.begin(&["c"]);
    talk.script("C: MAIL FROM:<me@example.org>\nC: RCPT TO:<c@example.org>\nC: DATA");
}

#[test]
fn behind_a_chunk_under_way_a_reset_goes_even_where_mail_was_refused() {
    // RFC 3030 section 2: what a BDAT out of order leaves behind is not known before a RSET.
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a"], Transfer::Whole(5));
    talk.skip();
    talk.script("S: 550 no");
    talk.begin(&["b"]);
    talk.script(
        "C: RSET
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<b@example.org>
         C: DATA
         S: 503 no MAIL
         S: 503 no MAIL
         E: finished 0 Refused@Mail:550 = 550
         S: 250 reset
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 1
         B: 1 text
         S: 250 queued
         E: finished 1 Accepted@EndOfData:250 = 250",
    );
    assert!(talk.connection.is_idle());
}

#[test]
fn data_and_bdat_follow_one_another() {
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a"], Transfer::Whole(5));
    talk.begin(&["b"]);
    talk.begin_chunks(&["c"], Transfer::Whole(6));
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: BDAT 5 LAST
         C: <0+5@0>
         C: RSET
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<b@example.org>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 451 later
         E: finished 0 Deferred@EndOfData:451 = 451
         S: 250 reset
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 1
         B: 1 text
         C: MAIL FROM:<me@example.org>
         C: RCPT TO:<c@example.org>
         C: BDAT 6 LAST
         C: <2+6@0>
         S: 250 second
         E: finished 1 Accepted@EndOfData:250 = 250
         S: 250 ok
         S: 250 ok
         S: 250 third
         E: finished 2 Accepted@EndOfData:250 = 250",
    );
    assert!(talk.connection.is_idle());
}

#[test]
fn quit_may_ride_behind_the_last_chunk() {
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a"], Transfer::Whole(5));
    talk.connection.quit().unwrap();
    talk.script(
        "C: MAIL FROM:<me@example.org>
         C: RCPT TO:<a@example.org>
         C: BDAT 5 LAST
         C: <0+5@0>
         C: QUIT
         S: 250 ok
         S: 250 ok
         S: 250 queued
         E: finished 0 Accepted@EndOfData:250 = 250
         S: 221 bye
         E: reply QUIT 221",
    );
}

/// What the server says to one of the transactions, for the recipients a and b and two chunks or one.
#[derive(Clone, Copy)]
struct Case {
    mail: &'static str,
    rcpt: [&'static str; 2],
    chunk: &'static str,
    last: &'static str,
    result: &'static str,
}

const GOOD: Case = Case {
    mail: "250 ok",
    rcpt: ["250 ok", "250 ok"],
    chunk: "250 go on",
    last: "250 queued",
    result: "Accepted@EndOfData:250, Accepted@EndOfData:250 = 250",
};

/// The refusals of MAIL, of one RCPT, of all, and of the last chunk; for a message in chunks also of the first.
const CASES: [Case; 6] = [
    GOOD,
    Case {
        mail: "550 no",
        rcpt: ["503 no MAIL", "503 no MAIL"],
        chunk: "503 no MAIL",
        last: "503 no MAIL",
        result: "Refused@Mail:550, Refused@Mail:550 = 550",
    },
    Case {
        rcpt: ["450 later", "250 ok"],
        result: "Deferred@Rcpt:450, Accepted@EndOfData:250 = 250",
        ..GOOD
    },
    Case {
        rcpt: ["550 no", "553 no"],
        chunk: "503 nobody",
        last: "503 nobody",
        result: "Refused@Rcpt:550, Refused@Rcpt:553 = 553",
        ..GOOD
    },
    Case {
        last: "452 full",
        result: "Deferred@EndOfData:452, Deferred@EndOfData:452 = 452",
        ..GOOD
    },
    Case {
        chunk: "552 too big",
        last: "503 no",
        result: "Refused@Body:552, Refused@Body:552 = 552",
        ..GOOD
    },
];

/// A server that takes every octet in turn, counts chunks, and checks the order of commands as a real one would.
struct Server<'a> {
    cases: &'a [Case],
    transaction: usize,
    recipient: usize,
    in_mail: bool,
    line: Vec<u8>,
    /// Octets of a chunk still to come, and what to say after them.
    chunk: (usize, &'static str),
    resets: usize,
}

impl<'a> Server<'a> {
    fn new(cases: &'a [Case]) -> Self {
        Self {
            cases,
            transaction: 0,
            recipient: 0,
            in_mail: false,
            line: Vec::new(),
            chunk: (0, ""),
            resets: 0,
        }
    }

    /// The reply to what ends with this octet.
    fn octet(&mut self, octet: u8) -> Option<&'static str> {
        if self.chunk.0 > 0 {
            assert_eq!(octet, b'x');
            self.chunk.0 -= 1;
            return (self.chunk.0 == 0).then_some(self.chunk.1);
        }
        self.line.push(octet);
        if octet != b'\n' {
            return None;
        }
        let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
        let words: Vec<&str> = line.split([' ', ':', '\r']).collect();
        Some(match words[0] {
            "RSET" => {
                self.in_mail = false;
                self.resets += 1;
                "250 reset"
            }
            "MAIL" => {
                assert!(!self.in_mail, "MAIL inside an open transaction");
                let case = self.cases[self.transaction];
                self.in_mail = case.mail.starts_with('2');
                self.transaction += 1;
                self.recipient = 0;
                case.mail
            }
            "RCPT" => {
                self.recipient += 1;
                self.cases[self.transaction - 1].rcpt[self.recipient - 1]
            }
            "BDAT" => {
                let case = self.cases[self.transaction - 1];
                let is_last = words[2] == "LAST";
                let reply = if is_last { case.last } else { case.chunk };
                self.in_mail &= !(is_last && reply.starts_with('2'));
                self.chunk = (words[1].parse().unwrap(), reply);
                return None;
            }
            _ => panic!("{line:?}"),
        })
    }
}

/// What four transactions of two recipients came to before the session was cut.
#[derive(Default)]
struct Session {
    results: Vec<String>,
    /// Result of each first recipient, by event or from `lost`.
    deliveries: Vec<Option<Delivery>>,
    /// Transactions whose last octet was sent.
    complete: Vec<bool>,
    resets: usize,
    /// Octets that passed to the server and from it.
    passed: (usize, usize),
}

const OCTETS: usize = 9;

/// Runs the transactions, each whole or in two chunks, until so many octets have passed.
fn run(cases: &[Case], extensions: &[&str], whole: &[bool], most: (usize, usize)) -> Session {
    let mut talk = Talk::ready(Protocol::Smtp, extensions);
    let mut server = Server::new(cases);
    let mut session = Session {
        deliveries: vec![None; cases.len()],
        complete: vec![false; cases.len()],
        ..Session::default()
    };
    for whole in whole {
        let transfer = if *whole {
            Transfer::Whole(OCTETS as u64)
        } else {
            Transfer::Chunks
        };
        talk.begin_chunks(&["a", "b"], transfer);
    }
    let mut chunks = vec![0; cases.len()];
    'session: loop {
        let sent = drain(&mut talk.connection, most.0 - session.passed.0);
        if sent.is_empty() {
            break;
        }
        session.passed.0 += sent.len();
        for octet in sent {
            // Of two chunks the second is complete; the first alone is not.
            let at_end =
                server.chunk.0 == 1 && server.chunk.1 == cases[server.transaction - 1].last;
            let Some(reply) = server.octet(octet) else {
                continue;
            };
            if at_end {
                session.complete[server.transaction - 1] = true;
            }
            let reply = format!("{reply}\r\n");
            let came = reply.len().min(most.1 - session.passed.1);
            session.passed.1 += came;
            talk.feed(&reply.as_bytes()[..came]).unwrap();
            if came < reply.len() {
                break 'session;
            }
        }
        while let Some(event) = talk.events.pop_front() {
            match event {
                Event::SendBody(id) => {
                    let sent = &mut chunks[usize::try_from(id.number()).unwrap()];
                    while *sent < 2 {
                        let (octets, last) = [(4, false), (5, true)][*sent];
                        if talk.connection.chunk(id, octets, last).is_err() {
                            break;
                        }
                        *sent += 1;
                    }
                }
                Event::Finished { id, ref outcome } => {
                    session.results.push(show(&event));
                    let at = usize::try_from(id.number()).unwrap();
                    session.deliveries[at] = Some(outcome.recipients()[0].delivery());
                }
                other => panic!("{other:?}"),
            }
        }
    }
    while let Some(event) = talk.events.pop_front() {
        if let Event::Finished { id, outcome } = event {
            let at = usize::try_from(id.number()).unwrap();
            session.deliveries[at] = Some(outcome.recipients()[0].delivery());
        }
    }
    session.resets = server.resets;
    if session.results.len() == cases.len() {
        assert!(talk.connection.is_idle());
    }
    for (id, outcome) in talk.connection.lost() {
        let at = usize::try_from(id.number()).unwrap();
        assert_eq!(session.deliveries[at], None, "one result for each");
        session.deliveries[at] = Some(outcome.recipients()[0].delivery());
    }
    session
}

const ALL: (usize, usize) = (usize::MAX, usize::MAX);

#[test]
fn c029_what_befalls_the_second_of_four_leaves_the_others_alone() {
    for extensions in [BOTH, &["CHUNKING"]] {
        for whole in [
            [true; 4],
            [false; 4],
            [true, false, true, false],
            [false, true, false, true],
        ] {
            for (number, case) in CASES.iter().enumerate() {
                if whole[1] && number == 5 {
                    continue;
                }
                let cases = [GOOD, *case, GOOD, GOOD];
                let session = run(&cases, extensions, &whole, ALL);
                let expected: Vec<String> = (0..)
                    .zip(&cases)
                    .map(|(id, case): (usize, _)| format!("finished {id} {}", case.result))
                    .collect();
                assert_eq!(session.results, expected, "case {number}, {whole:?}");
                if extensions == BOTH && whole == [true; 4] {
                    assert_eq!(session.resets, 3, "one between two");
                }
            }
        }
    }
}

#[test]
fn any_four_in_a_row_keep_their_own_results() {
    for extensions in [BOTH, &["CHUNKING"]] {
        for whole in [[true; 4], [false; 4]] {
            for code in 0..CASES.len().pow(3) {
                let numbers = [code % 6, code / 6 % 6, code / 36, 0];
                if whole[0] && numbers.contains(&5) {
                    continue;
                }
                let cases = numbers.map(|number| CASES[number]);
                let session = run(&cases, extensions, &whole, ALL);
                for (id, (result, case)) in session.results.iter().zip(cases).enumerate() {
                    assert_eq!(*result, format!("finished {id} {}", case.result));
                }
                assert_eq!(session.results.len(), 4);
            }
        }
    }
}

#[test]
fn c054_c055_a_cut_at_any_octet_is_unknown_only_where_the_last_octet_had_left() {
    for extensions in [BOTH, &["CHUNKING"]] {
        for whole in [[true; 3], [false; 3], [true, false, true]] {
            let cases = [GOOD; 3];
            let (to_server, from_server) = run(&cases, extensions, &whole, ALL).passed;
            let cuts = (0..=to_server)
                .map(|most| (most, usize::MAX))
                .chain((0..from_server).map(|most| (usize::MAX, most)));
            let mut unknown = 0;
            for most in cuts {
                let session = run(&cases, extensions, &whole, most);
                for (id, delivery) in session.deliveries.iter().enumerate() {
                    let sent_whole = session.complete[id] || most.0 == usize::MAX;
                    match delivery.unwrap() {
                        Delivery::Accepted => {}
                        Delivery::NotTried => assert!(!session.complete[id], "{most:?}"),
                        Delivery::Unknown => {
                            assert!(sent_whole, "{most:?}");
                            unknown += 1;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
            // Each of the three waits for the whole of its "250 queued".
            assert!(unknown >= 3 * "250 queued\r\n".len(), "{unknown}");
        }
    }
}

/// Two whole messages, one in chunks and one by DATA, all that the server says cut into pieces of such lengths.
fn in_pieces(lengths: &[usize]) -> Vec<String> {
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a", "b"], Transfer::Whole(5));
    talk.begin_chunks(&["a"], Transfer::Whole(6));
    talk.begin_chunks(&["a"], Transfer::Chunks);
    talk.begin(&["a"]);
    let mut lengths = lengths.iter().copied().cycle();
    let mut said: &[u8] = b"250 ok\r\n250-ok\r\n250 ok\r\n550 no\r\n250 queued\r\n250 reset\r\n550 no\r\n503 no\r\n503 no\r\n250 reset\r\n250 ok\r\n250 ok\r\n";
    let mut log = Vec::new();
    for more in [
        &b""[..],
        b"250 chunk\r\n250 queued\r\n250 reset\r\n250 ok\r\n450 later\r\n503 no\r\n",
    ] {
        if !more.is_empty() {
            talk.chunk(2, 7, false);
            talk.chunk(2, 8, true);
            said = more;
        }
        talk.flush();
        while !said.is_empty() {
            let (piece, rest) = said.split_at(lengths.next().unwrap_or(1).clamp(1, said.len()));
            talk.feed(piece).unwrap();
            said = rest;
        }
        talk.flush();
        log.push(String::from_utf8(std::mem::take(&mut talk.wire)).unwrap());
        log.extend(talk.events.drain(..).map(|event| show(&event)));
    }
    assert!(talk.connection.is_idle());
    log
}

proptest::proptest! {
    #[test]
    fn c049_any_split_of_what_the_server_says_gives_the_same_events(lengths in proptest::collection::vec(1..40_usize, 1..20)) {
        let whole = in_pieces(&[usize::MAX]);
        assert_eq!(whole.iter().filter(|line| line.starts_with("finished")).count(), 4);
        assert_eq!(in_pieces(&lengths), whole);
        assert_eq!(in_pieces(&[1]), whole);
    }
}

/// Octets that a pipe holds.
const PIPE: usize = 3;

#[test]
fn c074_neither_side_waits_for_the_other_however_little_is_held_in_between() {
    // A server that does not read while what it said waits, over pipes of three octets.
    let cases = [GOOD; 4];
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    for _ in 0..4 {
        talk.begin_chunks(&["a", "b"], Transfer::Whole(OCTETS as u64));
    }
    let mut server = Server::new(&cases);
    let (mut to_server, mut to_client): (VecDeque<u8>, VecDeque<u8>) = Default::default();
    let mut saying: VecDeque<u8> = VecDeque::new();
    let mut finished = 0;
    while finished < 4 {
        let mut moved = false;
        // The driver polls both: it writes what the pipe takes, and reads what is there.
        let sent = drain(&mut talk.connection, PIPE - to_server.len());
        moved |= !sent.is_empty();
        to_server.extend(sent);
        let came: Vec<u8> = to_client.drain(..).collect();
        moved |= !came.is_empty();
        talk.feed(&came).unwrap();
        finished += talk.events.drain(..).count();
        // The server says all it has to before it reads on.
        while to_client.len() < PIPE
            && let Some(octet) = saying.pop_front()
        {
            to_client.push_back(octet);
            moved = true;
        }
        while saying.is_empty()
            && let Some(octet) = to_server.pop_front()
        {
            moved = true;
            if let Some(reply) = server.octet(octet) {
                saying.extend(reply.bytes().chain(*b"\r\n"));
            }
        }
        assert!(moved, "both wait for the other");
    }
    assert!(talk.connection.is_idle());
}

#[test]
fn c052_a_421_in_the_middle_decides_its_own_transaction_and_no_other() {
    for (before, result) in [
        (0, "1 Deferred@Mail:421, Deferred@Mail:421 = 421"),
        (1, "1 Deferred@Rcpt:421, Deferred@Rcpt:421 = 421"),
        (2, "1 Refused@Rcpt:550, Deferred@Rcpt:421 = 421"),
        (3, "1 Refused@Rcpt:550, Deferred@EndOfData:421 = 421"),
    ] {
        let mut talk = Talk::ready(Protocol::Smtp, BOTH);
        for _ in 0..4 {
            talk.begin_chunks(&["a", "b"], Transfer::Whole(100));
        }
        // Of the last, the last octet has not left.
        let in_all = 4 * 190 + 3;
        drain(&mut talk.connection, in_all);
        assert!(talk.connection.has_output());
        talk.feed(b"250 ok\r\n250 ok\r\n250 ok\r\n250 queued\r\n250 reset\r\n")
            .unwrap();
        for reply in ["250 ok", "550 no", "250 ok"].iter().take(before) {
            talk.feed(format!("{reply}\r\n").as_bytes()).unwrap();
        }
        talk.feed(b"421 4.3.2 closing\r\n").unwrap();
        assert_eq!(
            talk.lost(),
            [
                result,
                "2 Unknown@EndOfData:-, Unknown@EndOfData:- = -",
                "3 NotTried@-:-, NotTried@-:- = -"
            ]
        );
    }
    // Where it answers the RSET in between it is about no message.
    let mut talk = Talk::ready(Protocol::Smtp, BOTH);
    talk.begin_chunks(&["a"], Transfer::Whole(100));
    talk.begin_chunks(&["b"], Transfer::Whole(100));
    talk.skip();
    talk.script("S: 250 ok\nS: 250 ok\nS: 250 queued\nE: finished 0 Accepted@EndOfData:250 = 250\nS: 421 bye\nE: closing 421");
    assert_eq!(talk.lost(), ["1 Unknown@EndOfData:- = -"]);
}
