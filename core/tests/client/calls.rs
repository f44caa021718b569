//! Calls of the blocking client: kept connections, many messages, readers, limits of time, cancelling.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Cancel, Client};
use mailwire::client::{Connection, Content, Options};
use mailwire::{Delivery, Phase, Status};

use crate::script::Server;
use crate::{MESSAGE, envelope, options, send};

#[test]
fn a_kept_connection_is_used_again_and_replaced_when_the_server_closed_it() {
    let server = Server::new(vec![
        Box::new(|s| {
            s.welcome(&["PIPELINING"]);
            s.accept_one();
            s.accept_one();
            s.say("421 4.4.2 idle for too long\n");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(&["PIPELINING"]);
            s.accept_one();
            // Gone without a word, after the client looked: the next one goes out on a third connection.
            s.hear_start("MAIL");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(&["PIPELINING"]);
            s.accept_one();
            s.goodbye();
        }),
    ]);
    let client = Client::new(options(&server)).unwrap();
    for round in 0..4 {
        if round == 2 {
            // Lets the 421 arrive.
            std::thread::sleep(Duration::from_millis(200));
        }
        let result = client.send(
            &envelope(&["a@x.example"]),
            Content::bytes(MESSAGE),
            Call::default(),
        );
        assert!(result.is_ok(), "round {round}: {}", result.unwrap_err());
    }
    drop(client);
    server.join();
}

#[test]
fn many_messages_are_chained_and_each_has_its_own_result() {
    let server = Server::once(|s| {
        s.welcome(&["PIPELINING"]);
        s.hear("MAIL FROM:<me@example.org>\nRCPT TO:<r0@x.example>\nDATA");
        s.say("250 ok\n250 ok\n354 go on\n");
        s.body();
        // The second envelope rides behind the first body.
        s.hear("MAIL FROM:<me@example.org>\nRCPT TO:<r1@x.example>\nDATA");
        s.say("250 first\n250 ok\n550 5.1.1 no\n503 no recipients\n");
        s.hear("RSET");
        s.say("250 ok\n");
        s.hear("MAIL FROM:<me@example.org>\nRCPT TO:<r2@x.example>\nDATA");
        s.say("250 ok\n250 ok\n354 go on\n");
        s.body();
        s.say("250 third\n");
        s.goodbye();
    });
    let client = Client::new(options(&server)).unwrap();
    let messages = (0..3).map(|n| {
        (
            envelope(&[&format!("r{n}@x.example")]),
            Content::bytes(MESSAGE),
        )
    });
    let mut results = Vec::new();
    client
        .send_many(messages, Call::default(), |index, result| {
            let text = match &result {
                Ok(outcome) => outcome.reply().unwrap().text().to_owned(),
                Err(error) => format!("{:?}", error.status()),
            };
            results.push((index, text));
        })
        .unwrap();
    drop(client);
    assert_eq!(
        results,
        [
            (0, "first".to_owned()),
            (1, "Permanent".to_owned()),
            (2, "third".to_owned())
        ]
    );
    server.join();
}

#[test]
fn many_messages_too_replace_a_kept_connection_that_is_dead_at_its_first_command() {
    let server = Server::new(vec![
        Box::new(|s| {
            s.welcome(&["PIPELINING", "SIZE 100"]);
            s.accept_one();
            // Gone without a word, after the client looked.
            s.hear_start("MAIL");
            s.hang_up();
        }),
        Box::new(|s| {
            s.welcome(&["PIPELINING", "SIZE 100"]);
            for name in ["r1", "r2", "r3"] {
                s.hear("MAIL FROM:<me@example.org> SIZE=30");
                s.hear(&format!("RCPT TO:<{name}@x.example>\nDATA"));
                s.say("250 ok\n250 ok\n354 go on\n");
                s.body();
                s.say(&format!("250 {name}\n"));
            }
            // Not kept when it died, so the caller is to know.
            s.hear_start("MAIL");
            s.hang_up();
        }),
    ]);
    let client = Client::new(options(&server)).unwrap();
    client
        .send(
            &envelope(&["a@x.example"]),
            Content::bytes(MESSAGE),
            Call::default(),
        )
        .unwrap();
    let large = [b'x'; 200];
    let messages = ["large0", "r1", "r2", "r3", "r4"].map(|name| {
        let content = if name == "large0" {
            large.as_slice()
        } else {
            MESSAGE
        };
        (
            envelope(&[&format!("{name}@x.example")]),
            Content::bytes(content),
        )
    });
    let mut results = Vec::new();
    client
        .send_many(messages, Call::default(), |index, result| {
            let text = match &result {
                Ok(outcome) => outcome.reply().unwrap().text().to_owned(),
                Err(error) => format!("{:?}", error.status()),
            };
            results.push((index, text));
        })
        .unwrap();
    drop(client);
    let expected = ["TooLarge", "r1", "r2", "r3", "ConnectionLost"];
    let results: Vec<_> = results
        .iter()
        .map(|(i, text)| (*i, text.as_str()))
        .collect();
    assert_eq!(
        results,
        expected.into_iter().enumerate().collect::<Vec<_>>()
    );
    server.join();
}

#[test]
fn a_reader_is_streamed() {
    let size = 3 * 1024 * 1024;
    let server = Server::once(move |s| {
        s.welcome(&["PIPELINING", "SIZE"]);
        assert_eq!(s.accept_one().len(), size + 2);
        s.goodbye();
    });
    let client = Client::new(options(&server)).unwrap();
    let content = Content::reader(std::io::repeat(b'x').take_at_most(size), Some(size as u64));
    client
        .send(&envelope(&["a@x.example"]), content, Call::default())
        .unwrap();
    drop(client);
    server.join();
}

/// `Read::take` under a name that says that it is the whole message.
trait TakeAtMost: std::io::Read + Sized {
    fn take_at_most(self, size: usize) -> std::io::Take<Self> {
        self.take(size as u64)
    }
}

impl<R: std::io::Read> TakeAtMost for R {}

#[test]
fn a_silent_server_is_a_timeout_with_its_phase() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.hear_start("MAIL");
        s.closed();
    });
    let mut options = options(&server);
    options.set_timeout(Some(Duration::from_secs(3))).unwrap();
    let error = send(options, &["a@x.example"]).unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Timeout, Some(Phase::Mail)),
        "{error}"
    );
    server.join();

    let server = Server::once(super::script::Session::closed);
    let client = Client::new(self::options(&server)).unwrap();
    let call = Call {
        deadline: Some(Duration::from_secs(3)),
        ..Call::default()
    };
    let error = client
        .send(&envelope(&["a@x.example"]), Content::bytes(MESSAGE), call)
        .unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Timeout, Some(Phase::Greeting)),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("expects TLS from the start"), "{text}");
    drop(client);
    server.join();
}

#[test]
fn a_call_is_cancelled_from_another_thread_and_by_a_question() {
    let start = Instant::now();
    for by_token in [true, false] {
        let (tell, told) = channel();
        let server = Server::once(move |s| {
            s.welcome(&[]);
            s.hear_start("MAIL");
            tell.send(()).unwrap();
            s.closed();
        });
        let mut options = options(&server);
        options.set_timeout(Some(Duration::from_secs(60))).unwrap();
        let client = Client::new(options).unwrap();
        let cancel = Cancel::new().unwrap();
        let other = cancel.clone();
        let thread = std::thread::spawn(move || {
            told.recv().unwrap();
            other.signal();
        });
        let ask = || cancel.is_signalled();
        let call = if by_token {
            Call {
                cancel: Some(&cancel),
                ..Call::default()
            }
        } else {
            Call {
                interrupted: Some(&ask),
                ..Call::default()
            }
        };
        let error = client
            .send(&envelope(&["a@x.example"]), Content::bytes(MESSAGE), call)
            .unwrap_err();
        assert_eq!(
            (error.status(), error.phase()),
            (Status::Cancelled, Some(Phase::Mail)),
            "{error}"
        );
        assert_eq!(error.outcome().unwrap().delivery(), Delivery::NotTried);
        thread.join().unwrap();
        drop(client);
        server.join();
    }
    assert!(start.elapsed() < Duration::from_secs(40));
}

#[test]
fn a_call_cancelled_before_there_is_a_session_names_the_server() {
    let (begins, begun) = channel();
    let server = Server::once(move |s| {
        begins.send(()).unwrap();
        s.closed();
    });
    let client = Client::new(options(&server)).unwrap();
    let cancel = Cancel::new().unwrap();
    let error = std::thread::scope(|scope| {
        let cancel = &cancel;
        scope.spawn(move || {
            begun.recv().unwrap();
            cancel.signal();
        });
        let call = Call {
            cancel: Some(cancel),
            ..Call::default()
        };
        client
            .send(&envelope(&["a@x.example"]), Content::bytes(MESSAGE), call)
            .unwrap_err()
    });
    let peer = format!("127.0.0.1:{}", server.port());
    assert_eq!(
        (error.status(), error.peer()),
        (Status::Cancelled, Some(peer.as_str()))
    );
    server.join();
}

#[tokio::test]
async fn a_deadline_that_passes_while_connecting_names_the_server() {
    let listener = tokio::net::TcpSocket::new_v4().unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // A listener whose queue is full does not answer who connects.
    let listener = listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let waiting = [(); 2].map(|()| std::net::TcpStream::connect(address).unwrap());
    let mut options = Options::new();
    options
        .set_server("127.0.0.1", Some(address.port()))
        .unwrap();
    options
        .set_deadline(Some(Duration::from_millis(100)))
        .unwrap();
    let error = Connection::open(&options).await.err().unwrap();
    assert_eq!(
        (error.status(), error.phase(), error.peer()),
        (
            Status::Timeout,
            Some(Phase::Connect),
            Some(address.to_string().as_str())
        )
    );
    drop(waiting);
}

#[test]
fn the_blocking_client_refuses_to_block_an_async_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(9)).unwrap();
    let client = Client::new(options).unwrap();
    let error = runtime
        .block_on(async {
            client.send(
                &envelope(&["a@x.example"]),
                Content::bytes(MESSAGE),
                Call::default(),
            )
        })
        .unwrap_err();
    assert_eq!(error.status(), Status::Misuse);
}

#[test]
fn an_envelope_without_recipients_is_refused() {
    let server = Server::once(|s| {
        s.welcome(&[]);
        s.goodbye();
    });
    assert_eq!(
        send(options(&server), &[]).unwrap_err().status(),
        Status::InvalidArgument
    );
    server.join();
}
