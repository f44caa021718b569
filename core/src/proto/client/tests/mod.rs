//! Conversations with a client connection, in memory. [`Talk`] plays the driver and, by a script, the server.
//!
//! A script has a line for each thing that happens: `S:` the server says it; `C:` the client sends it, and lines of `C:` without
//! another between them are all that it sends in one write; `B:` the driver sends the body of a transaction, whose number comes
//! first; `E:` an event, as [`show`] writes it.

mod chained;
mod chunks;
mod commands;
mod conceal;
mod flights;
mod hostile;
mod lmtp;
mod lost;
mod offered;
mod sasl;
mod transactions;
mod verbs;

use std::collections::VecDeque;
use std::fmt::Write;

use super::*;
use crate::outcome::Outcome;
use crate::proto::{Domain, Envelope, Need, Progress, TlsVersion, Violation, limits};

struct Talk {
    connection: Connection,
    /// What the client sent and the script has not looked at.
    wire: Vec<u8>,
    /// What the server sent and the client has not used.
    unread: Vec<u8>,
    events: VecDeque<Event>,
    need: Need,
}

impl Talk {
    fn new(protocol: Protocol) -> Self {
        Self {
            connection: Connection::new(protocol, None),
            wire: Vec::new(),
            unread: Vec::new(),
            events: VecDeque::new(),
            need: Need::More,
        }
    }

    /// Greeted, and ready after a hello to which the server answered with these extensions.
    fn ready(protocol: Protocol, extensions: &[&str]) -> Self {
        let mut talk = Self::new(protocol);
        talk.script("S: 220 mx.example.org\nE: greeting 220");
        talk.hello(Hello::Ehlo);
        let mut lines = vec!["mx.example.org"];
        lines.extend(extensions);
        let verb = match protocol {
            Protocol::Smtp => "EHLO",
            Protocol::Lmtp => "LHLO",
        };
        let mut script = format!("C: {verb} client.example.org\n");
        for (index, line) in lines.iter().enumerate() {
            let sign = if index + 1 == lines.len() { ' ' } else { '-' };
            writeln!(script, "S: 250{sign}{line}").unwrap();
        }
        talk.script(&(script + "E: hello 250"));
        talk
    }

    fn hello(&mut self, hello: Hello) {
        let name: Domain = "client.example.org".parse().unwrap();
        self.connection.hello(hello, &name).unwrap();
    }

    fn begin(&mut self, recipients: &[&str]) -> TransactionId {
        self.begin_with(recipients, false)
    }

    fn begin_with(&mut self, recipients: &[&str], all_or_nothing: bool) -> TransactionId {
        let envelope = envelope(recipients);
        self.connection
            .begin(
                envelope,
                TransactionOptions {
                    all_or_nothing,
                    ..TransactionOptions::default()
                },
            )
            .unwrap()
    }

    /// Begins a transaction whose message goes by BDAT.
    fn begin_chunks(&mut self, recipients: &[&str], transfer: Transfer) -> TransactionId {
        let options = TransactionOptions {
            transfer,
            ..TransactionOptions::default()
        };
        self.connection
            .begin(envelope(recipients), options)
            .unwrap()
    }

    fn chunk(&mut self, number: u64, octets: u64, last: bool) {
        self.connection
            .chunk(TransactionId(number), octets, last)
            .unwrap();
    }

    /// Sends all there is to send. Octets of a message are shown as a line of their own: `<number+octets@offset>`.
    fn flush(&mut self) {
        let mut octets = 0;
        for outgoing in self.connection.outgoing() {
            match outgoing {
                Outgoing::Commands(bytes) | Outgoing::Secret { line: bytes, .. } => {
                    octets += bytes.len();
                    self.wire.extend(bytes);
                }
                Outgoing::Body {
                    id,
                    offset,
                    octets: of_message,
                } => {
                    octets += usize::try_from(of_message).unwrap();
                    let line = format!("<{}+{of_message}@{offset}>\r\n", id.number());
                    self.wire.extend(line.as_bytes());
                }
            }
        }
        self.connection.sent(octets);
    }

    /// Sends all there is to send and looks at none of it.
    fn skip(&mut self) {
        self.flush();
        self.wire.clear();
    }

    /// The driver's loop: lends what came until the connection wants more.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        self.unread.extend(bytes);
        loop {
            match self.connection.receive(&self.unread)? {
                Progress::Event { used, event } => {
                    self.unread.drain(..used);
                    self.events.push_back(event);
                }
                Progress::Need { used, need } => {
                    self.unread.drain(..used);
                    self.need = need;
                    return Ok(());
                }
            }
        }
    }

    /// The driver sends a body, its end mark, and what the connection has to send behind it.
    fn body(&mut self, number: u64, text: &str) {
        assert!(self.wire.is_empty() && !self.connection.has_output());
        self.connection.end_of_data(TransactionId(number)).unwrap();
        self.wire.extend(text.as_bytes());
        self.wire.extend(b"\r\n.\r\n");
        self.flush();
        let body = format!("{text}\r\n.\r\n").into_bytes();
        assert!(self.wire.starts_with(&body));
        self.wire.drain(..body.len());
    }

    #[track_caller]
    fn script(&mut self, script: &str) {
        let mut client_speaks = false;
        for line in script.lines().map(str::trim_start) {
            let (who, text) = line.split_once(": ").expect("a line of the script");
            if who == "C" {
                self.flush();
                let expected = format!("{text}\r\n").into_bytes();
                assert!(
                    self.wire.starts_with(&expected),
                    "expected {text:?}, the client sent {:?}",
                    String::from_utf8_lossy(&self.wire)
                );
                self.wire.drain(..expected.len());
                client_speaks = true;
                continue;
            }
            if client_speaks || who == "S" {
                self.silent();
            }
            client_speaks = false;
            match who {
                "S" => self.feed(format!("{text}\r\n").as_bytes()).unwrap(),
                "B" => {
                    let (number, text) = text.split_once(' ').expect("a number and a body");
                    self.body(number.parse().unwrap(), text);
                }
                "E" => assert_eq!(
                    self.events.pop_front().as_ref().map(show).as_deref(),
                    Some(text)
                ),
                _ => panic!("{line}"),
            }
        }
        self.silent();
        assert_eq!(self.events.pop_front().as_ref().map(show), None);
    }

    /// The client has nothing to say.
    #[track_caller]
    fn silent(&mut self) {
        self.flush();
        assert!(
            self.wire.is_empty(),
            "the client sent {:?}",
            String::from_utf8_lossy(&self.wire)
        );
    }

    /// The server's last words break the protocol.
    #[track_caller]
    fn violates(&mut self, line: &str) -> Violation {
        self.flush();
        let violation = self.feed(format!("{line}\r\n").as_bytes()).unwrap_err();
        assert!(!self.connection.has_output() && !self.connection.is_idle());
        assert_eq!(self.connection.noop(), Err(NotNow::Closed));
        violation
    }

    fn lost(&mut self) -> Vec<String> {
        let lost = self.connection.lost();
        lost.iter()
            .map(|(id, outcome)| format!("{} {}", id.number(), results(outcome)))
            .collect()
    }
}

/// Takes up to `most` octets of what the connection has to send. Those of messages are `x`.
fn drain(connection: &mut Connection, most: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    for outgoing in connection.outgoing() {
        match outgoing {
            Outgoing::Commands(bytes) | Outgoing::Secret { line: bytes, .. } => sent.extend(bytes),
            Outgoing::Body { octets, .. } => {
                sent.resize(sent.len() + usize::try_from(octets).unwrap(), b'x');
            }
        }
    }
    sent.truncate(most);
    connection.sent(sent.len());
    sent
}

fn envelope(recipients: &[&str]) -> Envelope {
    let recipients = recipients.iter().map(|name| format!("{name}@example.org"));
    Envelope::parse("me@example.org", recipients).unwrap()
}

fn tls() -> TlsInfo {
    TlsInfo::new(TlsVersion::Tls13, "TLS13_AES_128_GCM_SHA256")
}

fn show(event: &Event) -> String {
    match event {
        Event::Greeting(reply) => format!("greeting {}", reply.code()),
        Event::Hello(reply) => format!("hello {}", reply.code()),
        Event::StartTlsRefused(reply) => format!("starttls refused {}", reply.code()),
        Event::Auth(reply) => format!("auth {}", reply.code()),
        Event::SendBody(id) => format!("send-body {}", id.number()),
        Event::Finished { id, outcome } => format!("finished {} {}", id.number(), results(outcome)),
        Event::Reply { command, reply } => format!("reply {command} {}", reply.code()),
        Event::Closing(reply) => format!("closing {}", reply.code()),
    }
}

/// `Accepted@EndOfData:250, Refused@Rcpt:550 = 250`: each recipient's result, phase and code, and the message's reply.
fn results(outcome: &Outcome) -> String {
    let code = |reply: Option<&crate::proto::Reply>| {
        reply.map_or("-".to_owned(), |reply| reply.code().to_string())
    };
    let each: Vec<String> = outcome
        .recipients()
        .iter()
        .map(|r| {
            let phase = r
                .phase()
                .map_or("-".to_owned(), |phase| format!("{phase:?}"));
            format!("{:?}@{phase}:{}", r.delivery(), code(r.reply()))
        })
        .collect();
    format!("{} = {}", each.join(", "), code(outcome.reply()))
}
