//! A server that tells the limits of a session (RFC 9422): what they leave no room for goes out over another connection.

use mailwire::blocking::{Call, Client};
use mailwire::client::{self, Content, Options};
use mailwire::proto::Envelope;
use mailwire::{Delivery, Error, Outcome, Status};

use crate::script::{Script, Server};
use crate::{MESSAGE, deliveries, envelope, options};

/// The recipients of each session, in their order.
type Sessions = &'static [&'static [&'static str]];

/// A server of so many sessions, each with this limit. In each the client sends to the recipients told, and says goodbye.
fn server(limit: &'static str, sessions: Sessions) -> Server {
    let script = |recipients: &'static [&'static str]| -> Script {
        Box::new(move |s| {
            s.welcome(&["PIPELINING", limit]);
            assert_eq!(s.accept_all(), recipients);
        })
    };
    Server::new(sessions.iter().map(|each| script(each)).collect())
}

/// Sends to one recipient after the other: by calls of their own, or all by one call, of threads or of a task.
fn send(options: &Options, recipients: &[&str], way: &str) -> Vec<Result<Outcome, Error>> {
    let envelopes: Vec<Envelope> = recipients.iter().map(|one| envelope(&[one])).collect();
    let mut results: Vec<Option<Result<Outcome, Error>>> = Vec::new();
    results.resize_with(envelopes.len(), || None);
    let messages = envelopes
        .iter()
        .map(|envelope| (envelope.clone(), Content::bytes(MESSAGE)));
    let each = |index: usize, result| {
        assert!(
            results[index].replace(result).is_none(),
            "{index} was told twice"
        );
    };
    match way {
        "one by one" => {
            let client = Client::new(options.clone()).unwrap();
            let sent = envelopes.iter().map(|envelope| {
                Some(client.send(envelope, Content::bytes(MESSAGE), Call::default()))
            });
            results = sent.collect();
        }
        "many" => {
            let client = Client::new(options.clone()).unwrap();
            client.send_many(messages, Call::default(), each).unwrap();
        }
        _ => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let client = client::Client::new(options.clone()).unwrap();
                client.send_many(messages, each).await.unwrap();
                client.close(None).await;
            });
        }
    }
    results.into_iter().map(Option::unwrap).collect()
}

const WAYS: [&str; 3] = ["one by one", "many", "many of a task"];

#[test]
fn a_session_that_is_full_is_followed_by_another() {
    let cases: [(&str, &[&str], Sessions); 4] = [
        (
            "LIMITS MAILMAX=2",
            &["a@x.example", "b@y.example", "c@z.example"],
            &[&["a@x.example", "b@y.example"], &["c@z.example"]],
        ),
        (
            "LIMITS RCPTDOMAINMAX=1",
            &[
                "a@x.example",
                "b@x.example",
                "c@y.example",
                "d@y.example",
                "e@z.example",
            ],
            &[
                &["a@x.example", "b@x.example"],
                &["c@y.example", "d@y.example"],
                &["e@z.example"],
            ],
        ),
        (
            "LIMITS RCPTDOMAINMAX=2",
            &["a@x.example", "b@y.example", "c@x.example", "d@z.example"],
            &[
                &["a@x.example", "b@y.example", "c@x.example"],
                &["d@z.example"],
            ],
        ),
        (
            "LIMITS MAILMAX=1 RCPTDOMAINMAX=1",
            &["a@x.example", "b@x.example"],
            &[&["a@x.example"], &["b@x.example"]],
        ),
    ];
    for (limit, recipients, sessions) in cases {
        for way in WAYS {
            let server = server(limit, sessions);
            for result in send(&options(&server), recipients, way) {
                let outcome = result.unwrap_or_else(|error| panic!("{limit}, {way}: {error}"));
                assert_eq!(deliveries(&outcome), [Delivery::Accepted]);
            }
            server.join();
        }
    }
}

#[test]
fn what_no_session_has_room_for_is_told_once() {
    let server = server("LIMITS RCPTDOMAINMAX=1", &[&["a@x.example"], &[]]);
    let mut options = options(&server);
    options.set_all_or_nothing(true);
    let client = Client::new(options).unwrap();
    let messages = [vec!["a@x.example"], vec!["b@x.example", "c@y.example"]];
    let messages = messages.map(|to| (envelope(&to), Content::bytes(MESSAGE)));
    let mut results = Vec::new();
    let each = |index, result| results.push((index, result));
    client.send_many(messages, Call::default(), each).unwrap();
    let [(0, first), (1, second)] = <[_; 2]>::try_from(results).unwrap() else {
        panic!("in another order");
    };
    assert_eq!(deliveries(&first.unwrap()), [Delivery::Accepted]);
    let error = second.unwrap_err();
    assert_eq!(error.status(), Status::Transient, "{error}");
    assert!(error.message().contains("RCPTDOMAINMAX"), "{error}");
    drop(client);
    server.join();
}

#[test]
fn recipients_beyond_the_limit_of_one_message_are_not_tried() {
    let server = server("LIMITS RCPTMAX=2", &[&["a@x.example"]]);
    let recipients = ["a@x.example", "b@x.example", "c@x.example"];
    let outcome = crate::send(options(&server), &recipients).unwrap();
    let expected = [Delivery::Accepted, Delivery::Accepted, Delivery::NotTried];
    assert_eq!(deliveries(&outcome), expected);
    server.join();
}
