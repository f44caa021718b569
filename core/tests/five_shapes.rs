//! The shapes that the signatures of the two machines were made for, each driven in memory: chained transactions, a body of
//! 1 GiB in each direction, LMTP's replies by recipient, cancellation. The fifth, fork, belongs to the blocking client's pool and is
//! tested there. ARCHITECTURE.md has the page that goes with this.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use mailwire::Delivery;
use mailwire::proto::client::{self, Hello, Outgoing, TransactionId, TransactionOptions, Transfer};
use mailwire::proto::data::{Encoder, LineEnds};
use mailwire::proto::server::{self, Answer, Config, Hooks};
use mailwire::proto::{Domain, Envelope, Need, Progress, Protocol, Reply};

/// Both machines, and the bytes on their way.
struct Wire {
    client: client::Connection,
    server: server::Connection,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// What the application on the server's side answers to RCPT and to the end of data.
    answer: fn(&str) -> Answer,
    /// What the client was told, in order.
    told: Vec<client::Event>,
    /// Octets of message that reached the server.
    received: u64,
    /// Messages that the server's application took.
    taken: Vec<Envelope>,
}

fn accept(_: &str) -> Answer {
    Answer::Accept
}

fn refuse(text: &'static str) -> Answer {
    Answer::Reply(Reply::new(550, text).unwrap())
}

impl Wire {
    /// Greeted, and ready for a transaction.
    fn new(protocol: Protocol, answer: fn(&str) -> Answer) -> Self {
        let name: Domain = "test.example".parse().unwrap();
        let config = Config::new(name.clone(), protocol).with_hooks(Hooks::RCPT);
        let mut wire = Self {
            client: client::Connection::new(protocol, None),
            server: server::Connection::new(Arc::new(config), None),
            to_server: Vec::new(),
            to_client: Vec::new(),
            answer,
            told: Vec::new(),
            received: 0,
            taken: Vec::new(),
        };
        wire.run();
        wire.client.hello(Hello::Ehlo, &name).unwrap();
        wire.run();
        wire.told.clear();
        wire
    }

    fn begin(&mut self, recipients: &[&str]) -> TransactionId {
        self.begin_by(Transfer::Data, recipients)
    }

    fn begin_by(&mut self, transfer: Transfer, recipients: &[&str]) -> TransactionId {
        let envelope = Envelope::parse("from@client.example", recipients).unwrap();
        let options = TransactionOptions {
            transfer,
            ..TransactionOptions::default()
        };
        self.client.begin(envelope, options).unwrap()
    }

    /// Everything that the client has to send, as one write would; `message` gives the octets of messages.
    fn flight(&mut self, message: &[u8]) -> Vec<u8> {
        let mut write = Vec::new();
        for outgoing in self.client.outgoing() {
            match outgoing {
                Outgoing::Commands(bytes) | Outgoing::Secret { line: bytes, .. } => {
                    write.extend_from_slice(bytes);
                }
                Outgoing::Body { offset, octets, .. } => {
                    let start = usize::try_from(offset).unwrap() % message.len();
                    let end = start + usize::try_from(octets).unwrap();
                    write.extend_from_slice(&message[start..end]);
                }
            }
        }
        self.client.sent(write.len());
        self.to_server.extend_from_slice(&write);
        write
    }

    /// Lets both sides talk until neither has anything more to say.
    fn run(&mut self) {
        loop {
            let mut quiet = true;
            quiet &= !self.carry_to_server();
            quiet &= !self.serve();
            quiet &= !self.carry_to_client();
            quiet &= !self.listen();
            if quiet {
                return;
            }
        }
    }

    fn carry_to_server(&mut self) -> bool {
        let bytes: Vec<u8> = self
            .client
            .transmit()
            .flat_map(|slice| slice.to_vec())
            .collect();
        self.client.sent(bytes.len());
        self.to_server.extend_from_slice(&bytes);
        !bytes.is_empty()
    }

    fn carry_to_client(&mut self) -> bool {
        let bytes: Vec<u8> = self
            .server
            .transmit()
            .flat_map(|slice| slice.to_vec())
            .collect();
        self.server.sent(bytes.len());
        self.to_client.extend_from_slice(&bytes);
        !bytes.is_empty()
    }

    /// The server's driver and its application.
    fn serve(&mut self) -> bool {
        let mut start = 0;
        let mut busy = false;
        loop {
            let progress = self.server.receive(&self.to_server[start..]).unwrap();
            let (used, event) = match progress {
                Progress::Event { used, event } => (used, Some(event)),
                Progress::Need { used, need } => {
                    assert_ne!(need, Need::Answer, "every answer is given at once");
                    (used, None)
                }
            };
            busy |= used > 0;
            start += used;
            match event {
                None => break,
                Some(server::Event::Body(piece)) => self.received += piece.len() as u64,
                Some(server::Event::Rcpt { path, .. }) => {
                    self.server.answer((self.answer)(path.as_str())).unwrap();
                }
                Some(server::Event::EndOfData { .. }) => {
                    let envelope = self.server.take_envelope().unwrap();
                    if self.server.owed() == 1 {
                        self.server.answer(Answer::Accept).unwrap();
                    } else {
                        for recipient in envelope.recipients() {
                            self.server
                                .answer((self.answer)(&format!("delivery to {}", recipient.path())))
                                .unwrap();
                        }
                    }
                    self.taken.push(envelope);
                }
                Some(_) => {}
            }
        }
        self.to_server.drain(..start);
        busy
    }

    /// The client's driver, without the bodies.
    fn listen(&mut self) -> bool {
        let mut start = 0;
        while let Progress::Event { used, event } =
            self.client.receive(&self.to_client[start..]).unwrap()
        {
            start += used;
            self.told.push(event);
        }
        self.to_client.clear();
        start > 0
    }

    /// Sends a short message, and what the machine has to send behind it, as one write would.
    fn send_body(&mut self, id: TransactionId) -> Vec<u8> {
        let mut encoder = Encoder::new(LineEnds::Normalise);
        let mut rest = b"Subject: test\r\n\r\nbody\r\n".as_slice();
        let mut write = Vec::new();
        while let Some(slice) = encoder.encode(&mut rest).unwrap() {
            write.extend_from_slice(slice);
        }
        self.client.end_of_data(id).unwrap();
        write.extend_from_slice(encoder.finish().unwrap());
        for slice in self.client.transmit() {
            write.extend_from_slice(&slice);
        }
        let commands = self.client.transmit().map(|slice| slice.len()).sum();
        self.client.sent(commands);
        self.to_server.extend_from_slice(&write);
        write
    }

    fn outcome(&self, id: TransactionId) -> Vec<Delivery> {
        let outcome = self.told.iter().find_map(|event| match event {
            client::Event::Finished { id: other, outcome } if *other == id => Some(outcome),
            _ => None,
        });
        outcome
            .unwrap()
            .recipients()
            .iter()
            .map(mailwire::RecipientOutcome::delivery)
            .collect()
    }

    fn asked_for_body(&self, id: TransactionId) -> bool {
        self.told.contains(&client::Event::SendBody(id))
    }
}

#[test]
fn chained_transactions_ride_behind_each_others_bodies_and_keep_their_own_outcomes() {
    let mut wire = Wire::new(Protocol::Smtp, |to| {
        if to == "bad@b.example" {
            refuse("no such user")
        } else {
            Answer::Accept
        }
    });
    let first = wire.begin(&["a@b.example"]);
    let second = wire.begin(&["bad@b.example"]);
    let third = wire.begin(&["c@b.example", "bad@b.example"]);
    wire.run();
    assert!(wire.asked_for_body(first) && !wire.asked_for_body(second));

    let write = wire.send_body(first);
    let text = String::from_utf8(write).unwrap();
    let (_, behind) = text.split_once("\r\n.\r\n").unwrap();
    assert!(
        behind.starts_with("MAIL FROM:") && behind.ends_with("DATA\r\n"),
        "one write: {text}"
    );

    wire.run();
    assert!(!wire.asked_for_body(second) && wire.asked_for_body(third));
    wire.send_body(third);
    wire.run();
    assert_eq!(wire.outcome(first), [Delivery::Accepted]);
    assert_eq!(wire.outcome(second), [Delivery::Refused]);
    assert_eq!(wire.outcome(third), [Delivery::Accepted, Delivery::Refused]);
    assert_eq!(wire.taken.len(), 2);
}

#[test]
fn whole_messages_by_bdat_share_a_flight_and_keep_their_own_outcomes() {
    let mut wire = Wire::new(Protocol::Smtp, |to| {
        if to == "bad@b.example" {
            refuse("no such user")
        } else {
            Answer::Accept
        }
    });
    let message = b"Subject: test\r\n\r\n.body\r\n";
    let whole = Transfer::Whole(message.len() as u64);
    let ids = ["a@b.example", "bad@b.example", "c@b.example"].map(|to| wire.begin_by(whole, &[to]));
    let text = String::from_utf8(wire.flight(message)).unwrap();
    assert_eq!(text.matches("BDAT 24 LAST").count(), 3, "one write: {text}");
    assert_eq!(text.matches("RSET").count(), 2);
    wire.run();
    assert_eq!(wire.outcome(ids[0]), [Delivery::Accepted]);
    assert_eq!(wire.outcome(ids[1]), [Delivery::Refused]);
    assert_eq!(wire.outcome(ids[2]), [Delivery::Accepted]);
    assert_eq!((wire.taken.len(), wire.received), (2, 2 * 24));
    assert!(wire.client.is_idle());
}

#[test]
fn a_long_body_goes_chunk_by_chunk_and_nothing_of_it_is_kept() {
    const CHUNK: usize = 256 * 1024;
    const CHUNKS: u64 = 1024;
    let piece = [b"x".repeat(CHUNK - 2), b"\r\n".to_vec()].concat();
    let mut wire = Wire::new(Protocol::Smtp, accept);
    let id = wire.begin_by(Transfer::Chunks, &["a@b.example"]);
    wire.run();
    assert!(wire.asked_for_body(id));
    for number in 1..=CHUNKS {
        wire.client
            .chunk(id, CHUNK as u64, number == CHUNKS)
            .unwrap();
        wire.flight(&piece);
        wire.serve();
        assert!(wire.to_server.len() < 8, "nothing but a line's beginning");
        if number % 16 == 0 {
            wire.run();
            assert_eq!(wire.client.unanswered_octets(), 0);
        }
    }
    assert_eq!(wire.outcome(id), [Delivery::Accepted]);
    assert_eq!(wire.received, CHUNKS * CHUNK as u64);
}

#[test]
fn a_body_of_a_gibibyte_passes_in_each_direction_and_nothing_of_it_is_kept() {
    const PIECE: usize = 256 * 1024;
    const TOTAL: u64 = 1024 * 1024 * 1024;
    let mut line = vec![b'x'; 76];
    line.extend_from_slice(b"\r\n");
    let piece: Vec<u8> = line.iter().copied().cycle().take(PIECE).collect();

    let mut wire = Wire::new(Protocol::Smtp, accept);
    let id = wire.begin(&["a@b.example"]);
    wire.run();
    assert!(wire.asked_for_body(id));
    let mut encoder = Encoder::new(LineEnds::Normalise);
    let mut sent = 0;
    while sent < TOTAL {
        let mut rest = piece.as_slice();
        // Out of the client: slices of the piece that was lent. Into the server: slices of what it is lent. Neither is held.
        while let Some(slice) = encoder.encode(&mut rest).unwrap() {
            wire.to_server.extend_from_slice(slice);
        }
        sent += piece.len() as u64;
        wire.serve();
        assert!(
            wire.to_server.len() < 8,
            "the driver keeps nothing but a line's beginning"
        );
        assert!(!wire.server.has_output());
    }
    wire.client.end_of_data(id).unwrap();
    wire.to_server.extend_from_slice(encoder.finish().unwrap());
    wire.run();
    assert_eq!(wire.outcome(id), [Delivery::Accepted]);
    // A piece does not end with a line, so cutting and normalising add line ends; none is lost.
    assert!(
        wire.received >= TOTAL && wire.received < TOTAL + TOTAL / 1024,
        "{}",
        wire.received
    );
}

#[test]
fn lmtp_answers_the_end_of_data_once_for_each_recipient() {
    let mut wire = Wire::new(Protocol::Lmtp, |what| match what {
        "nobody@b.example" => refuse("no such user"),
        "delivery to full@b.example" => Answer::Reply(Reply::new(452, "mailbox full").unwrap()),
        _ => Answer::Accept,
    });
    let id = wire.begin(&[
        "a@b.example",
        "nobody@b.example",
        "full@b.example",
        "c@b.example",
    ]);
    wire.run();
    wire.send_body(id);
    wire.run();
    let expected = [
        Delivery::Accepted,
        Delivery::Refused,
        Delivery::Deferred,
        Delivery::Accepted,
    ];
    assert_eq!(wire.outcome(id), expected);
}

#[test]
fn a_call_that_is_cut_short_leaves_a_result_for_each_message() {
    // Before anything was said, after the envelope, and after the end mark: only the last may have been accepted.
    for (stage, expected) in [
        (0, Delivery::NotTried),
        (1, Delivery::NotTried),
        (2, Delivery::Unknown),
    ] {
        let mut wire = Wire::new(Protocol::Smtp, accept);
        let first = wire.begin(&["a@b.example"]);
        let second = wire.begin(&["c@b.example"]);
        if stage > 0 {
            wire.run();
        }
        if stage > 1 {
            wire.send_body(first);
        }
        let lost: Vec<_> = wire
            .client
            .lost()
            .into_iter()
            .map(|(id, outcome)| (id, outcome.delivery()))
            .collect();
        assert_eq!(
            lost,
            [(first, expected), (second, Delivery::NotTried)],
            "stage {stage}"
        );
        assert!(wire.begin_fails(), "the connection is of no more use");
    }
}

impl Wire {
    fn begin_fails(&mut self) -> bool {
        let envelope = Envelope::parse("", ["a@b.example"]).unwrap();
        self.client
            .begin(envelope, TransactionOptions::default())
            .is_err()
    }
}
