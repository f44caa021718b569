//! Messages that are read as they are sent: from a reader that fails, or that takes its time.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Client};
use mailwire::client::Content;
use mailwire::proto::Envelope;
use mailwire::{Delivery, Error, Outcome, Phase, Status};

use crate::script::{Server, Session};
use crate::{MESSAGE, deliveries, envelope, options};

/// Gives some text, and then what it is told to, as often as it is asked.
struct Then<F>(Option<&'static [u8]>, F);

const TEXT: &[u8] = b"Subject: x\r\n\r\nthe first half\r\n";

fn then<F: FnMut() -> io::Result<usize> + Send>(more: F) -> Then<F> {
    Then(Some(TEXT), more)
}

impl<F: FnMut() -> io::Result<usize>> Read for Then<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(text) => {
                buffer[..text.len()].copy_from_slice(text);
                Ok(text.len())
            }
            None => (self.1)(),
        }
    }
}

/// A reader that fails behind its text, once: who reads on would take the half for the whole.
fn breaks() -> impl Read + Send {
    let mut broken = false;
    then(move || {
        if std::mem::replace(&mut broken, true) {
            return Ok(0);
        }
        Err(io::Error::other("the disk broke"))
    })
}

const OFFERS: [&[&str]; 2] = [&["PIPELINING"], &["PIPELINING", "CHUNKING"]];

/// Welcomes, takes one message, and then hears whatever comes until the client leaves. No further message may be whole.
fn takes_one(offers: &'static [&'static str]) -> Server {
    Server::once(move |s| {
        s.welcome(offers);
        accept(s);
        while let Some(line) = s.next_line() {
            match line.split(' ').next().unwrap() {
                "DATA" => s.say("354 go on\n"),
                "BDAT" => panic!("a part of a message left: {line}"),
                "." => panic!("a message ended that was not whole"),
                "QUIT" => return s.say("221 bye\n"),
                _ => s.say("250 ok\n"),
            }
        }
    })
}

fn accept(s: &mut Session) {
    for _ in 0..2 {
        let line = s.next_line().unwrap();
        assert!(
            line.starts_with("MAIL") || line.starts_with("RCPT"),
            "{line}"
        );
    }
    let line = s.next_line().unwrap();
    s.say("250 ok\n250 ok\n");
    if let Some(octets) = line.strip_prefix("BDAT ") {
        s.skip(octets.split(' ').next().unwrap().parse().unwrap());
    } else {
        s.say("354 go on\n");
        s.body();
    }
    s.say("250 taken\n");
}

/// A client that keeps a connection over which one message went, and the envelope of that.
fn kept(server: &Server) -> (Client, Envelope) {
    let client = Client::new(options(server)).unwrap();
    let envelope = envelope(&["a@x.example"]);
    let sent = client.send(&envelope, Content::bytes(MESSAGE), Call::default());
    sent.unwrap();
    (client, envelope)
}

fn is_broken(result: Result<Outcome, Error>) {
    let error = result.unwrap_err();
    assert!(error.message().contains("the disk broke"), "{error}");
    assert_eq!(error.phase(), Some(Phase::Body), "{error}");
    if let Some(outcome) = error.outcome() {
        assert_eq!(deliveries(outcome), [Delivery::NotTried]);
    }
}

#[test]
fn what_a_failing_reader_gave_is_never_sent_as_a_whole_message() {
    for offers in OFFERS {
        let server = takes_one(offers);
        let (client, envelope) = kept(&server);
        is_broken(client.send(&envelope, Content::reader(breaks(), None), Call::default()));
        drop(client);
        server.join();
    }
}

#[test]
fn a_failing_reader_among_many_has_its_own_result() {
    for offers in OFFERS {
        let server = takes_one(offers);
        let (client, envelope) = kept(&server);
        let messages = [(envelope, Content::reader(breaks(), None))];
        let mut results = Vec::new();
        let each = |index, result| results.push((index, result));
        client.send_many(messages, Call::default(), each).unwrap();
        assert_eq!(results.len(), 1);
        let (index, result) = results.pop().unwrap();
        assert_eq!(index, 0);
        is_broken(result);
        drop(client);
        server.join();
    }
}

#[test]
fn a_reader_that_gives_more_or_less_than_it_was_to_fails_the_message() {
    for offers in OFFERS {
        for length in [TEXT.len() - 1, TEXT.len() + 1] {
            let server = takes_one(offers);
            let (client, envelope) = kept(&server);
            let content = Content::reader(TEXT, Some(length as u64));
            let error = client
                .send(&envelope, content, Call::default())
                .unwrap_err();
            let text = error.message();
            assert!(text.contains(&format!("was to give {length}")), "{text}");
            drop(client);
            server.join();
        }
    }
}

#[test]
fn a_slow_reader_does_not_outlast_the_deadline_or_the_cancelling_of_its_call() {
    let slow = || {
        let mut times = 3;
        then(move || {
            std::thread::sleep(Duration::from_millis(150));
            times -= 1;
            Ok(usize::from(times > 0))
        })
    };
    for offers in OFFERS {
        for by_deadline in [true, false] {
            let server = takes_one(offers);
            let (client, envelope) = kept(&server);
            let start = Instant::now();
            let asked = || start.elapsed() > Duration::from_millis(100);
            let call = Call {
                deadline: by_deadline.then_some(Duration::from_millis(100)),
                interrupted: (!by_deadline).then_some(&asked),
                ..Call::default()
            };
            let error = client
                .send(&envelope, Content::reader(slow(), None), call)
                .unwrap_err();
            let expected = if by_deadline {
                Status::Timeout
            } else {
                Status::Cancelled
            };
            assert_eq!(error.status(), expected, "{error}");
            let outcome = error.outcome().unwrap();
            assert_eq!(deliveries(outcome), [Delivery::NotTried], "{error}");
            drop(client);
            server.join();
        }
    }
}
