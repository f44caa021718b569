//! Round trips, and messages by BDAT: what leaves without waiting, what waits, and that each message keeps its own result.

use std::io::Read;
use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options, TransferChoice};
use mailwire::{Delivery, Error, Outcome, Phase, Status};

use crate::link::{Heard, Link, Refuse};
use crate::script::Server;
use crate::{MESSAGE, envelope};

const BOTH: &[&str] = &["PIPELINING", "CHUNKING", "8BITMIME"];

fn nothing(_: &str, _: usize) -> Option<&'static str> {
    None
}

fn options(link: &Link) -> Options {
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(link.port())).unwrap();
    options.set_timeout(Some(Duration::from_secs(20))).unwrap();
    options
}

/// Sends so many messages, one call each, and gives what the server heard.
fn one_by_one(
    link: Link,
    count: usize,
    change: impl FnOnce(&mut Options),
    content: impl Fn() -> Content<'static>,
) -> Heard {
    let mut options = options(&link);
    change(&mut options);
    let client = Client::new(options).unwrap();
    for _ in 0..count {
        let sent = client.send(&envelope(&["a@x.example"]), content(), Call::default());
        assert_eq!(sent.unwrap().delivery(), Delivery::Accepted);
    }
    drop(client);
    link.join()
}

/// Sends so many messages in one call; gives what became of each, and what the server heard.
fn all_at_once(
    link: Link,
    count: usize,
    change: impl FnOnce(&mut Options),
    message: &'static [u8],
) -> (Vec<String>, Heard) {
    let mut options = options(&link);
    change(&mut options);
    let client = Client::new(options).unwrap();
    let messages = (0..count).map(|_| {
        (
            envelope(&["a@x.example", "b@x.example"]),
            Content::bytes(message),
        )
    });
    let mut results = vec![String::new(); count];
    client
        .send_many(messages, Call::default(), |index, result| {
            assert_eq!(results[index], "", "one result for each");
            let outcome = match &result {
                Ok(outcome) => outcome,
                Err(error) => error.outcome().unwrap(),
            };
            results[index] = format!("{:?}", outcome.delivery());
        })
        .unwrap();
    drop(client);
    (results, link.join())
}

#[test]
fn a_send_is_one_round_trip_with_chunking_and_two_with_data() {
    let short = || Content::bytes(MESSAGE);
    let heard = one_by_one(Link::new(BOTH, nothing), 3, |_| {}, short);
    assert_eq!(heard.turns, 3, "{:?}", heard.verbs);
    assert_eq!(heard.verbs[..4], ["MAIL", "RCPT", "BDAT", "|"]);
    assert!(
        !heard.verbs.contains(&"RSET".to_owned()),
        "{:?}",
        heard.verbs
    );
    let by_bdat = heard.messages;

    let heard = one_by_one(Link::new(&["PIPELINING"], nothing), 3, |_| {}, short);
    assert_eq!(heard.turns, 6, "{:?}", heard.verbs);
    assert_eq!(
        heard.messages, by_bdat,
        "the same message arrives either way"
    );
    assert_eq!(by_bdat[0], MESSAGE);

    // The same where the server offers both and the caller chooses.
    let data = |options: &mut Options| options.set_transfer(TransferChoice::Data);
    let heard = one_by_one(Link::new(BOTH, nothing), 1, data, short);
    assert_eq!((heard.turns, heard.longest_chunk), (2, 0));

    // A reader that has all of it at once is as good.
    let read = || Content::reader(MESSAGE, None);
    let heard = one_by_one(Link::new(BOTH, nothing), 2, |_| {}, read);
    assert_eq!((heard.turns, &heard.messages[1][..]), (2, MESSAGE));

    // Without PIPELINING each command waits.
    let heard = one_by_one(Link::new(&["CHUNKING"], nothing), 1, |_| {}, short);
    assert_eq!(heard.turns, 3, "{:?}", heard.verbs);
}

#[test]
fn many_messages_share_their_round_trips() {
    let (results, heard) = all_at_once(Link::new(BOTH, nothing), 16, |_| {}, MESSAGE);
    assert!(results.iter().all(|result| result == "Accepted"));
    assert_eq!(heard.messages, vec![MESSAGE; 16]);
    // Eight are on their way before the first is answered.
    assert_eq!(heard.turns, 2, "{:?}", heard.verbs);
    let first: Vec<&str> = heard.verbs[..7].iter().map(String::as_str).collect();
    assert_eq!(
        first,
        ["MAIL", "RCPT", "RCPT", "BDAT", "RSET", "MAIL", "RCPT"]
    );

    let (_, heard) = all_at_once(Link::new(&["PIPELINING"], nothing), 4, |_| {}, MESSAGE);
    assert_eq!(heard.messages.len(), 4);
    assert_eq!(heard.turns, 5, "{:?}", heard.verbs);
}

#[test]
fn no_more_is_on_its_way_than_the_options_say() {
    let three = |options: &mut Options| options.set_max_in_flight(3).unwrap();
    let (_, heard) = all_at_once(Link::new(BOTH, nothing), 9, three, MESSAGE);
    assert_eq!((heard.turns, heard.messages.len()), (3, 9));
    // Two of these are enough for the octets.
    let octets = |options: &mut Options| {
        let two = MESSAGE.len() as u64 + 1;
        options.set_max_octets_in_flight(two).unwrap();
    };
    let (_, heard) = all_at_once(Link::new(BOTH, nothing), 6, octets, MESSAGE);
    assert_eq!((heard.turns, heard.messages.len()), (3, 6));
}

const LONG: &[u8] = &[b'x'; 700 * 1024];

#[test]
fn how_long_a_message_may_be_to_leave_with_its_envelope_is_an_option() {
    let length = MESSAGE.len() as u64;
    let contents: [fn() -> Content<'static>; 3] = [
        || Content::bytes(MESSAGE),
        || Content::reader(MESSAGE, None),
        || Content::pieces(MESSAGE.chunks(7)),
    ];
    for content in contents {
        for (ahead, turns) in [(length, 1), (length - 1, 2), (0, 2)] {
            let change = |options: &mut Options| options.set_max_octets_ahead(ahead);
            let heard = one_by_one(Link::new(BOTH, nothing), 1, change, content);
            assert_eq!(heard.turns, turns, "{:?}", heard.verbs);
        }
    }
}

#[test]
fn c030_a_long_message_waits_for_its_recipients_and_goes_in_bounded_chunks() {
    let all = |verb: &str, _: usize| (verb == "RCPT").then_some("550 no");
    let (results, heard) = all_at_once(Link::new(BOTH, all), 2, |_| {}, LONG);
    assert_eq!(results, ["Refused", "Refused"]);
    assert_eq!(heard.longest_chunk, 0, "none of it left");

    let (results, heard) = all_at_once(Link::new(BOTH, nothing), 3, |_| {}, LONG);
    assert_eq!(results, ["Accepted", "Accepted", "Accepted"]);
    assert_eq!(heard.longest_chunk, 256 * 1024);
    for message in heard.messages {
        assert_eq!(message.len(), LONG.len() + 2);
    }
    // Its envelope, then the chunks and the next envelope behind them.
    assert_eq!(heard.turns, 4, "{:?}", heard.verbs);

    let read = || Content::reader(LONG.take(u64::MAX), Some(LONG.len() as u64));
    let heard = one_by_one(Link::new(BOTH, nothing), 1, |_| {}, read);
    assert_eq!(heard.messages[0].len(), LONG.len() + 2);
    assert_eq!(heard.longest_chunk, 64 * 1024);
}

/// A way of refusing something of the second message, and what becomes of that message by DATA, by BDAT, and by BDAT in chunks.
const REFUSALS: [(Refuse, [&str; 3]); 5] = [
    (
        |verb, mails| (verb == "MAIL" && mails == 2).then_some("550 no"),
        ["Refused"; 3],
    ),
    (
        |verb, mails| (verb == "RCPT" && mails == 2).then_some("450 later"),
        ["Deferred"; 3],
    ),
    (
        |verb, mails| (verb == "DATA" && mails == 2).then_some("451 later"),
        ["Deferred", "Accepted", "Accepted"],
    ),
    (
        |verb, mails| (matches!(verb, "." | "LAST") && mails == 2).then_some("554 no"),
        ["Refused"; 3],
    ),
    (
        |verb, mails| (verb == "BDAT" && mails == 2).then_some("552 too big"),
        ["Accepted", "Accepted", "Refused"],
    ),
];

#[test]
fn c029_what_befalls_the_second_of_four_leaves_the_others_alone() {
    for (number, (refuse, second)) in REFUSALS.into_iter().enumerate() {
        for ((extensions, message), second) in [
            (&["PIPELINING"][..], MESSAGE),
            (BOTH, MESSAGE),
            (BOTH, LONG),
        ]
        .into_iter()
        .zip(second)
        {
            let (results, heard) = all_at_once(Link::new(extensions, refuse), 4, |_| {}, message);
            let expected = ["Accepted", second, "Accepted", "Accepted"];
            assert_eq!(results, expected, "case {number}, {:?}", heard.verbs);
            let accepted = results.iter().filter(|result| *result == "Accepted");
            assert_eq!(heard.messages.len(), accepted.count());
        }
    }
}

#[test]
fn all_or_nothing_keeps_the_message_back_until_every_recipient_was_taken() {
    let all = |options: &mut Options| options.set_all_or_nothing(true);
    let (results, heard) = all_at_once(Link::new(BOTH, nothing), 1, all, MESSAGE);
    assert_eq!((&results[0][..], heard.turns), ("Accepted", 2));
    assert_eq!(heard.verbs[..5], ["MAIL", "RCPT", "RCPT", "|", "BDAT"]);
}

#[test]
fn c028_bdat_that_was_asked_for_needs_chunking() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        s.goodbye();
    });
    let mut options = crate::options(&server);
    options.set("transfer", "bdat").unwrap();
    let error = crate::send(options, &["a@x.example"]).unwrap_err();
    assert_eq!(error.status(), Status::NotSupported, "{error}");
    assert!(error.to_string().contains("CHUNKING"), "{error}");
    server.join();
}

#[test]
fn c055_a_server_that_goes_after_a_flight_leaves_what_it_has_unknown() {
    let server = Server::once(|s| {
        s.welcome(BOTH);
        s.hear("MAIL FROM:<me@example.org>");
        s.hear("RCPT TO:<a@x.example>\nBDAT 30 LAST");
        s.skip(30);
        s.say("250 ok\n250 ok\n");
        s.hang_up();
    });
    let mut options = crate::options(&server);
    options.set_transfer(TransferChoice::Bdat);
    let error = crate::send(options, &["a@x.example"]).unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::ConnectionLost, Some(Phase::EndOfData)),
        "{error}"
    );
    assert_eq!(error.outcome().unwrap().delivery(), Delivery::Unknown);
    server.join();
}

#[test]
fn what_a_server_said_before_it_went_is_not_lost() {
    // It refuses the first chunk and hangs up while the others are on their way.
    let server = Server::once(|s| {
        s.welcome(BOTH);
        s.hear_start("MAIL");
        s.hear_start("RCPT");
        s.say("250 ok\n250 ok\n");
        s.hear_start("BDAT 262144");
        s.skip(262_144);
        s.say("552 5.3.4 too big\n421 4.3.2 enough of you\n");
        // Closing at once could take back what was said.
        s.skip(8 * 1024 * 1024);
        s.hang_up();
    });
    let client = Client::new(crate::options(&server)).unwrap();
    let message = vec![b'x'; 32 * 1024 * 1024];
    let error = client
        .send(
            &envelope(&["a@x.example"]),
            Content::bytes(&message),
            Call::default(),
        )
        .unwrap_err();
    assert_eq!(
        error.outcome().unwrap().delivery(),
        Delivery::Refused,
        "{error}"
    );
    drop(client);
    server.join();
}

#[test]
fn c079_what_left_whole_is_not_sent_again_when_a_kept_connection_turns_out_to_close() {
    let server = Server::new(vec![
        Box::new(|s| {
            s.welcome(BOTH);
            s.hear_start("MAIL");
            s.hear_start("RCPT");
            s.hear("BDAT 30 LAST");
            s.skip(30);
            s.say("250 ok\n250 ok\n250 ok\n");
            // Both messages of the second call are on their way when it says so to the first.
            s.hear_start("MAIL");
            s.hear_start("RCPT");
            s.hear("BDAT 30 LAST");
            s.skip(30);
            s.hear("RSET");
            s.hear_start("MAIL");
            s.hear_start("RCPT");
            s.hear("BDAT 30 LAST");
            s.skip(30);
            s.say("421 4.4.2 idle for too long\n");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(BOTH);
            s.hear_start("MAIL");
            s.hear_start("RCPT");
            s.hear("BDAT 30 LAST");
            s.skip(30);
            s.say("250 ok\n250 ok\n250 ok\n");
            s.goodbye();
        }),
    ]);
    let client = Client::new(crate::options(&server)).unwrap();
    let mut results = Vec::new();
    for count in [1, 2] {
        let messages = (0..count).map(|_| (envelope(&["a@x.example"]), Content::bytes(MESSAGE)));
        let each = |index, result: Result<Outcome, Error>| {
            let delivery = match &result {
                Ok(outcome) => outcome.delivery(),
                Err(error) => error.outcome().unwrap().delivery(),
            };
            results.push((index, delivery));
        };
        client.send_many(messages, Call::default(), each).unwrap();
    }
    results.sort_by_key(|(index, _)| *index);
    let expected = [
        (0, Delivery::Accepted),
        (0, Delivery::Accepted),
        (1, Delivery::Unknown),
    ];
    assert_eq!(results, expected);
    drop(client);
    server.join();
}

#[test]
fn c027_chunks_with_bytes_outside_ascii_need_8bitmime_too() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING", "CHUNKING"]);
        s.hear_start("MAIL");
        s.hear_start("RCPT");
        s.say("250 ok\n250 ok\n");
        s.closed();
    });
    let client = Client::new(crate::options(&server)).unwrap();
    let text = "\u{e9}".repeat(100 * 1024);
    let content = Content::reader(text.as_bytes(), None);
    let error = client
        .send(&envelope(&["a@x.example"]), content, Call::default())
        .unwrap_err();
    assert_eq!(error.status(), Status::NotSupported, "{error}");
    assert_eq!(error.outcome().unwrap().delivery(), Delivery::NotTried);
    drop(client);
    server.join();
}

#[test]
fn c074_neither_side_waits_for_the_other_when_both_directions_are_full() {
    // The server answers each line before it reads the next, at length, and what each side says is more than all buffers hold.
    const RECIPIENTS: usize = 30_000;
    let server = Server::once(|s| {
        s.shrink_buffers();
        s.welcome(&["PIPELINING", "CHUNKING"]);
        let long = "x".repeat(400);
        s.hear_start("MAIL");
        s.say("250 ok\n");
        for _ in 0..RECIPIENTS {
            s.hear_start("RCPT");
            s.say(&format!("250 {long}\n"));
        }
        s.hear_start("BDAT");
        s.skip(MESSAGE.len());
        s.say("250 queued\n");
        s.goodbye();
    });
    let local = "a".repeat(60);
    let domain = [
        &*"b".repeat(60),
        &*"c".repeat(60),
        &*"d".repeat(60),
        "example",
    ]
    .join(".");
    let recipients: Vec<String> = (0..RECIPIENTS)
        .map(|n| format!("{n}{local}@{domain}"))
        .collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let sent = crate::send(crate::options(&server), &recipients);
    assert_eq!(
        sent.map(|outcome| outcome.delivery())
            .map_err(|e| e.to_string()),
        Ok(Delivery::Accepted)
    );
    server.join();
}
