//! A server that sends anything, in any pieces: the same events, bounded memory, and one result for every transaction.

use std::collections::HashSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::outcome::Delivery;
use crate::proto::limits;
use crate::sasl::{ClientContext, ClientExchange, Credentials, Mechanism};

fn login() -> ClientExchange {
    let credentials = Credentials::new("tim", "pw").unwrap();
    ClientExchange::new(Mechanism::Login, &credentials, &ClientContext::default()).unwrap()
}

type Action = fn(&mut Talk);

/// What the driver does, and what the server then says at once.
const SESSION: [(Action, &str); 12] = [
    (|_| (), "220-mx\r\n220 example\r\n"),
    (
        |talk| talk.hello(Hello::Ehlo),
        "250-mx\r\n250-STARTTLS\r\n250 X\r\n",
    ),
    (|talk| talk.connection.start_tls().unwrap(), "220 go\r\n"),
    (
        |talk| {
            talk.connection.secured(b"", tls()).unwrap();
            talk.hello(Hello::Ehlo);
        },
        "250-mx\r\n250-PIPELINING\r\n250-\r\n250 AUTH LOGIN\r\n",
    ),
    (
        |talk| talk.connection.auth(login()).unwrap(),
        "334 VXNlcm5hbWU6\r\n",
    ),
    (|_| (), "334 UGFzc3dvcmQ6\r\n"),
    (|_| (), "235 2.7.0 yes\r\n"),
    (
        |talk| {
            talk.begin(&["a", "b"]);
            talk.begin(&["c"]);
            talk.begin(&["d"]);
        },
        "250 ok\r\n250 \u{e9}\nok\r\n550-no\r\n550 5.1.1 no\r\n354 go\r\n",
    ),
    (
        |talk| talk.body(0, "one"),
        "250 queued\r\n250 ok\r\n550 no\r\n354 go\r\n",
    ),
    (|_| (), "250 lone dot\r\n250 ok\r\n250 ok\r\n354\r\n"),
    (|talk| talk.body(2, "three"), "452\r\n"),
    (|talk| talk.connection.quit().unwrap(), "221 bye\r\n"),
];

/// Runs the session with each turn of the server's cut as `pieces` says; gives what the client sent and what happened.
fn run(mut pieces: impl FnMut(usize, usize) -> Vec<usize>) -> Vec<String> {
    let mut talk = Talk::new(Protocol::Smtp);
    let mut log = Vec::new();
    for (turn, (action, said)) in SESSION.iter().enumerate() {
        action(&mut talk);
        talk.flush();
        log.push(String::from_utf8(std::mem::take(&mut talk.wire)).unwrap());
        let mut start = 0;
        for end in pieces(turn, said.len()).into_iter().chain([said.len()]) {
            talk.feed(&said.as_bytes()[start..end]).unwrap();
            start = end;
        }
        log.extend(talk.events.drain(..).map(|event| show(&event)));
        log.push(format!("{:?}", talk.need));
    }
    assert_eq!(talk.need, Need::Close);
    log
}

#[test]
fn c049_any_split_gives_the_same_events() {
    let whole = run(|_, _| Vec::new());
    let finished = whole.iter().filter(|line| line.starts_with("finished"));
    assert_eq!(finished.count(), 3);
    assert_eq!(run(|_, len| (1..len).collect()), whole);
    for (turn, (_, said)) in SESSION.iter().enumerate() {
        for cut in 1..said.len() {
            let cuts = |at, _| if at == turn { vec![cut] } else { Vec::new() };
            assert_eq!(run(cuts), whole, "turn {turn}, cut at {cut}");
        }
    }
}

#[test]
fn c046_c047_replies_without_end_are_given_up() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.connection.noop().unwrap();
    talk.flush();
    assert_eq!(talk.feed(b"250 "), Ok(()));
    let mut fed = 4;
    while talk.feed(&[b'x'; 100]).is_ok() {
        fed += 100;
        assert!(fed <= limits::REPLY_LINE + 100);
    }
    // A line of 4 KiB is taken.
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.connection.noop().unwrap();
    talk.flush();
    talk.feed(format!("250 {}\r\n", "x".repeat(4096)).as_bytes())
        .unwrap();
    assert_eq!(talk.events.len(), 1);

    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.connection.noop().unwrap();
    talk.flush();
    let ended = (0..=limits::REPLY_LINES).find_map(|_| talk.feed(b"250-x\r\n").err());
    assert_eq!(ended, Some(Violation::ReplyTooLong));
}

#[test]
fn c045_a_reply_of_mixed_codes_is_a_violation() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.connection.noop().unwrap();
    talk.flush();
    talk.feed(b"250-a\r\n").unwrap();
    assert!(matches!(
        talk.violates("550 b"),
        Violation::MixedCodes { .. }
    ));
}

/// Something that a driver or a server does.
#[derive(Debug, Clone)]
enum Step {
    Says(Vec<u8>),
    Hello,
    StartTls,
    Auth,
    Noop,
    Quit,
    Begin(usize, bool, Transfer),
    EndOfData,
    Chunk(u64, bool),
    Send(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let says = |text: &str| Just(Step::Says(text.as_bytes().to_vec()));
    prop_oneof![
        4 => says("250 ok\r\n"),
        2 => says("354 go\r\n"),
        2 => says("550 no\r\n"),
        1 => prop_oneof![says("220 hi\r\n"), says("421 bye\r\n"), says("334 \r\n"), says("235 ok\r\n"), says("250-x\r\n250 PIPELINING\r\n")],
        1 => vec(any::<u8>(), 0..300).prop_map(Step::Says),
        1 => "[2-5][0-5][0-9][- ][ -~]{0,20}\r?\n?".prop_map(|text| Step::Says(text.into_bytes())),
        1 => prop_oneof![Just(Step::Hello), Just(Step::StartTls), Just(Step::Auth), Just(Step::Noop), Just(Step::Quit)],
        3 => (1..4_usize, any::<bool>(), transfer()).prop_map(|(n, all, transfer)| Step::Begin(n, all, transfer)),
        2 => (0..40_u64, any::<bool>()).prop_map(|(octets, last)| Step::Chunk(octets, last)),
        3 => Just(Step::EndOfData),
        6 => prop_oneof![Just(usize::MAX), 0..50_usize].prop_map(Step::Send),
    ]
}

fn transfer() -> impl Strategy<Value = Transfer> {
    prop_oneof![
        Just(Transfer::Data),
        (0..40_u64).prop_map(Transfer::Whole),
        Just(Transfer::Chunks),
    ]
}

/// Where the steps start.
const STARTS: [&str; 6] = [
    "",
    "220 hi\r\n",
    "250-mx\r\n250-STARTTLS\r\n250-AUTH LOGIN PLAIN\r\n250 SIZE\r\n",
    "250-mx\r\n250-STARTTLS\r\n250-AUTH LOGIN PLAIN\r\n250 PIPELINING\r\n",
    "250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n",
    "250-mx\r\n250 CHUNKING\r\n",
];

fn start(protocol: Protocol, start: usize) -> Talk {
    let mut talk = Talk::new(protocol);
    if start > 0 {
        talk.feed(STARTS[1].as_bytes()).unwrap();
    }
    if start > 1 {
        talk.hello(Hello::Ehlo);
        talk.flush();
        talk.feed(STARTS[start].as_bytes()).unwrap();
    }
    talk.events.clear();
    talk
}

fn check(outcome: &Outcome, ended: bool) {
    for recipient in outcome.recipients() {
        let delivery = recipient.delivery();
        if matches!(delivery, Delivery::Accepted | Delivery::Unknown) {
            assert!(ended, "{delivery:?} without an end of data");
        }
        assert_eq!(
            recipient.reply().is_some(),
            matches!(
                delivery,
                Delivery::Accepted | Delivery::Refused | Delivery::Deferred
            )
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_a_server_says_every_transaction_has_one_result(
        lmtp in any::<bool>(), from in 0..STARTS.len(), steps in vec(step(), 0..60)
    ) {
        let mut talk = start(if lmtp { Protocol::Lmtp } else { Protocol::Smtp }, from);
        let (mut begun, mut ended, mut told) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut body: Option<TransactionId> = None;
        for step in steps {
            let connection = &mut talk.connection;
            match step {
                Step::Says(bytes) => {
                    if talk.feed(&bytes).is_err() {
                        talk.unread.clear();
                        prop_assert!(!talk.connection.has_output());
                    }
                }
                Step::Hello => { let _ = connection.hello(Hello::Ehlo, &"a.example".parse().unwrap()); }
                Step::StartTls => { let _ = connection.start_tls(); }
                Step::Auth => { let _ = connection.auth(login()); }
                Step::Noop => { let _ = connection.noop(); }
                Step::Quit => { let _ = connection.quit(); }
                Step::Begin(count, all_or_nothing, transfer) => {
                    let envelope = envelope(&["a", "b", "c"][..count]);
                    let options = TransactionOptions { all_or_nothing, transfer };
                    if let Ok(id) = connection.begin(envelope, options) {
                        prop_assert!(begun.insert(id));
                        if matches!(transfer, Transfer::Whole(_)) {
                            ended.insert(id);
                        }
                    }
                }
                Step::EndOfData => if let Some(id) = body && connection.end_of_data(id).is_ok() {
                    ended.insert(id);
                },
                Step::Chunk(octets, last) => if let Some(id) = body && connection.chunk(id, octets, last).is_ok() && last {
                    ended.insert(id);
                },
                Step::Send(most) => { drain(connection, most); }
            }
            for event in talk.events.drain(..) {
                match event {
                    Event::SendBody(id) => {
                        prop_assert!(begun.contains(&id) && !ended.contains(&id));
                        body = Some(id);
                    }
                    Event::Finished { id, outcome } => {
                        prop_assert!(told.insert(id));
                        check(&outcome, ended.contains(&id));
                    }
                    _ => {}
                }
            }
            prop_assert!(talk.unread.len() <= limits::REPLY_LINE);
            prop_assert!(talk.connection.outbox.pending().len() < 1024);
            prop_assert_eq!(talk.connection.in_flight(), begun.len() - told.len());
        }
        for (id, outcome) in talk.connection.lost() {
            prop_assert!(told.insert(id));
            check(&outcome, ended.contains(&id));
        }
        prop_assert_eq!(told, begun);
    }

    #[test]
    fn random_octets_never_panic(from in 0..STARTS.len(), pieces in vec(vec(any::<u8>(), 0..50), 0..20)) {
        let mut talk = start(Protocol::Smtp, from);
        if from > 1 {
            talk.begin(&["a"]);
        }
        for piece in pieces {
            talk.flush();
            if talk.feed(&piece).is_err() {
                prop_assert_eq!(talk.connection.in_flight(), usize::from(from > 1));
                break;
            }
        }
    }
}
