//! The client's machine against a server that sends whatever the bytes say.
//!
//! The first octet sets the client up. Then comes what the application does, an octet each, up to one of 255: its low half says
//! what, its high half how many lines of the server's are read afterwards. The rest is what the server sends.

use std::collections::BTreeMap;

use mailwire::proto::client::{
    Connection, Event, Hello, Outgoing, TransactionId, TransactionOptions, Transfer,
};
use mailwire::proto::{Domain, Envelope, Need, Progress, Protocol, Reply, Violation, limits};
use mailwire::sasl::{ChannelBinding, ClientContext, Mechanism, Nonce};
use mailwire::{Delivery, Outcome};

use crate::serve::tls;
use crate::users;

/// Octets of a chunk.
const OCTETS: u64 = 7;

pub(crate) fn client(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let end = rest
        .iter()
        .position(|octet| *octet == 255)
        .unwrap_or(rest.len());
    let (actions, server) = rest.split_at(end);
    let server = server.get(1..).unwrap_or_default();
    let run = |octet_by_octet| {
        let mut client = Client::new(*choice, server, octet_by_octet);
        client.read(1);
        for action in actions {
            client.act(action & 15);
            client.read(action >> 4);
        }
        client.read(u8::MAX);
        client.finish()
    };
    assert_eq!(run(false), run(true), "the same in any segments");
}

struct Client<'a> {
    connection: Connection,
    /// One that is not PLAIN.
    mechanism: Mechanism,
    /// How a message travels that is all or nothing.
    transfer: Transfer,
    /// What the server has not sent yet.
    server: &'a [u8],
    octet_by_octet: bool,
    /// What was lent and not used.
    input: Vec<u8>,
    /// All that was sent.
    wire: Vec<u8>,
    shown: Vec<String>,
    transactions: BTreeMap<u64, Told>,
    /// Transactions whose bodies the server has asked for.
    asked: Vec<TransactionId>,
    ended: bool,
}

/// How far a transaction came, as the driver knows it.
struct Told {
    recipients: usize,
    transfer: Transfer,
    /// Octets of its message that went out in chunks.
    octets: u64,
    body_asked: bool,
    body_ended: bool,
    over: bool,
}

impl<'a> Client<'a> {
    fn new(choice: u8, server: &'a [u8], octet_by_octet: bool) -> Self {
        let protocol = if choice & 1 == 0 {
            Protocol::Smtp
        } else {
            Protocol::Lmtp
        };
        Self {
            connection: Connection::new(protocol, (choice & 2 != 0).then(tls)),
            mechanism: Mechanism::ALL[usize::from(choice >> 2) % Mechanism::ALL.len()],
            transfer: match choice >> 6 {
                0 | 1 => Transfer::Data,
                2 => Transfer::Whole(OCTETS),
                _ => Transfer::Chunks,
            },
            server,
            octet_by_octet,
            input: Vec::new(),
            wire: Vec::new(),
            shown: Vec::new(),
            transactions: BTreeMap::new(),
            asked: Vec::new(),
            ended: false,
        }
    }

    fn act(&mut self, action: u8) {
        let name = Domain::literal([192, 0, 2, 7].into());
        let taken = match action {
            0 => self.connection.hello(Hello::Ehlo, &name).is_ok(),
            1 => self.connection.hello(Hello::Helo, &name).is_ok(),
            2 => self.connection.start_tls().is_ok(),
            3 => self.authenticate(Mechanism::Plain),
            4 => self.authenticate(self.mechanism),
            5 => self.connection.noop().is_ok(),
            6 => self.connection.reset().is_ok(),
            7 => self.connection.verify("somebody").is_ok(),
            8 => self.begin(&["c@d.example", "e@f.example"], false, Transfer::Chunks),
            9 => self.connection.quit().is_ok(),
            10 => self.begin(&["c@d.example"], false, Transfer::Data),
            11 => self.begin(
                &["c@d.example", "e@f.example", "postmaster"],
                false,
                Transfer::Data,
            ),
            12 => self.begin(&["c@d.example", "e@f.example"], true, self.transfer),
            13 => {
                let nobody = self.begin(&[], false, Transfer::Data);
                assert!(!nobody, "somebody has to get it");
                let two = ["c@d.example", "e@f.example"];
                self.begin(&two, false, Transfer::Whole(OCTETS))
            }
            14 => self.end_body(),
            _ => {
                self.lose();
                true
            }
        };
        self.shown.push(format!("{action} {taken}"));
        self.transmit();
    }

    fn authenticate(&mut self, mechanism: Mechanism) -> bool {
        let context = ClientContext::default()
            .with_nonce(Nonce::new([1; 18]))
            .with_channel_binding(ChannelBinding::Exporter([2; 32]));
        let exchange = users::exchange(mechanism, &context);
        exchange.is_some_and(|exchange| self.connection.auth(exchange).is_ok())
    }

    fn begin(&mut self, recipients: &[&str], all_or_nothing: bool, transfer: Transfer) -> bool {
        let Ok(envelope) = Envelope::parse("a@b.example", recipients) else {
            return false;
        };
        let options = TransactionOptions {
            all_or_nothing,
            transfer,
        };
        let Ok(id) = self.connection.begin(envelope, options) else {
            return false;
        };
        let told = Told {
            recipients: recipients.len(),
            transfer,
            octets: 0,
            body_asked: false,
            body_ended: false,
            over: false,
        };
        let before = self.transactions.insert(id.number(), told);
        assert!(before.is_none(), "a new number");
        true
    }

    /// Ends the bodies that the server waits for, or sends a chunk; and tries to end those that it does not wait for.
    fn end_body(&mut self) -> bool {
        let mut taken = false;
        for &id in &self.asked {
            let Some(told) = self.transactions.get_mut(&id.number()) else {
                continue;
            };
            let may = told.body_asked && !told.body_ended && !told.over;
            // The second chunk is the last, and it is empty.
            let last = told.octets > 0;
            let done = match told.transfer {
                Transfer::Chunks => {
                    let octets = if last { 0 } else { OCTETS };
                    self.connection.chunk(id, octets, last).is_ok()
                }
                _ => self.connection.end_of_data(id).is_ok(),
            };
            assert!(may || !done, "no message that was not asked for");
            told.body_ended |= done && (last || told.transfer == Transfer::Data);
            taken |= done;
            // A chunk is on its way before the next is thought of.
            if told.transfer == Transfer::Chunks {
                break;
            }
        }
        taken
    }

    /// Reads so many lines of the server's.
    fn read(&mut self, lines: u8) {
        let mut end = 0;
        for _ in 0..lines {
            let rest = &self.server[end..];
            end += rest
                .iter()
                .position(|octet| *octet == b'\n')
                .map_or(rest.len(), |at| at + 1);
        }
        let (now, later) = self.server.split_at(end);
        self.server = later;
        if self.octet_by_octet {
            (0..now.len()).for_each(|at| self.lend(&now[at..=at], &now[at + 1..]));
        } else if !now.is_empty() {
            self.lend(now, b"");
        }
        // Not in between: what was read together came before any answer to the first of it.
        self.transmit();
    }

    /// Lends `segment`, when `behind` was read together with it and is still to be lent.
    fn lend(&mut self, segment: &[u8], behind: &[u8]) {
        if self.ended {
            return;
        }
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(segment);
        let mut start = 0;
        while !self.ended {
            match self.connection.receive(&input[start..]) {
                Ok(Progress::Event { used, event }) => {
                    assert!(used > 0, "progress");
                    start += used;
                    self.told(&event);
                }
                Ok(Progress::Need { used, need }) => {
                    start += used;
                    match need {
                        Need::More => break,
                        Need::Answer => panic!("a client is asked nothing"),
                        Need::Close => self.ended = true,
                        Need::Tls => {
                            assert_eq!(start, input.len(), "nothing is carried over into TLS");
                            self.secure(behind);
                            break;
                        }
                    }
                }
                Err(violation) => self.violated(&violation),
            }
        }
        self.input = input[start..].to_vec();
        assert!(
            self.ended || self.input.len() <= limits::REPLY_LINE,
            "a driver keeps a line at most"
        );
    }

    /// The handshake is done, if nothing was read in clear behind the 220.
    fn secure(&mut self, behind: &[u8]) {
        match self.connection.secured(behind, tls()) {
            Ok(()) => {
                assert!(behind.is_empty(), "nothing is carried over into TLS");
                let learnt = self.connection.capabilities().iter().count();
                assert_eq!(learnt, 0, "all that was learnt in clear is forgotten");
            }
            Err(violation) => self.violated(&violation),
        }
    }

    fn violated(&mut self, violation: &Violation) {
        let text = violation.to_string();
        let unsafe_to_show = |c: char| c.is_control() && c != '\t' && c != '\n';
        assert!(!text.contains(unsafe_to_show), "{text:?}");
        self.shown.push(text);
        self.ended = true;
    }

    fn told(&mut self, event: &Event) {
        match event {
            Event::SendBody(id) => {
                self.asked.retain(|asked| asked != id);
                self.asked.push(*id);
                let Some(told) = self.transactions.get_mut(&id.number()) else {
                    panic!("a transaction that was never begun");
                };
                assert!(!told.over && !told.body_ended, "of a message that goes on");
                let by = match told.transfer {
                    Transfer::Data => &b"DATA\r\n"[..],
                    Transfer::Chunks => b"RCPT TO:",
                    Transfer::Whole(_) => panic!("it was sent without being asked for"),
                };
                assert!(self.wire.windows(by.len()).any(|window| window == by));
                assert!(
                    told.transfer == Transfer::Chunks || !told.body_asked,
                    "once"
                );
                told.body_asked = true;
            }
            Event::Finished { id, outcome } => self.finished(*id, outcome, false),
            Event::Greeting(reply)
            | Event::Hello(reply)
            | Event::StartTlsRefused(reply)
            | Event::Auth(reply)
            | Event::Reply { reply, .. }
            | Event::Closing(reply) => clean(reply),
            _ => {}
        }
        self.shown.push(format!("{event:?}"));
    }

    fn finished(&mut self, id: TransactionId, outcome: &Outcome, lost: bool) {
        let Some(told) = self.transactions.get_mut(&id.number()) else {
            panic!("a transaction that was never begun");
        };
        assert!(!told.over, "an outcome comes once");
        told.over = true;
        assert_eq!(
            outcome.recipients().len(),
            told.recipients,
            "a result for each recipient"
        );
        for recipient in outcome.recipients() {
            recipient.reply().map(clean);
            match recipient.delivery() {
                Delivery::Accepted => {
                    assert!(told.body_ended, "accepted without a message");
                    assert!(
                        recipient.reply().is_some_and(Reply::is_positive),
                        "accepted without a word"
                    );
                }
                Delivery::Unknown => assert!(told.body_ended && lost, "unknown without a loss"),
                Delivery::NotTried => {}
                Delivery::Refused | Delivery::Deferred => assert!(recipient.reply().is_some()),
                _ => panic!("no recipient's result"),
            }
        }
    }

    fn lose(&mut self) {
        for (id, outcome) in self.connection.lost() {
            self.finished(id, &outcome, true);
            self.shown.push(format!("{id:?} {outcome:?}"));
        }
        self.ended = true;
    }

    fn transmit(&mut self) {
        let mut sent = 0;
        for outgoing in self.connection.outgoing() {
            match outgoing {
                Outgoing::Commands(lines) | Outgoing::Secret { line: lines, .. } => {
                    sent += lines.len() as u64;
                    check_lines(lines);
                    self.wire.extend_from_slice(lines);
                }
                Outgoing::Body { id, offset, octets } => {
                    sent += octets;
                    let Some(told) = self.transactions.get_mut(&id.number()) else {
                        panic!("a transaction that was never begun");
                    };
                    assert_eq!(offset, told.octets, "the next octets");
                    assert_ne!(told.transfer, Transfer::Data, "never inside DATA");
                    told.octets += octets;
                    told.body_ended |= told.transfer == Transfer::Whole(told.octets);
                }
            }
        }
        self.connection
            .sent(usize::try_from(sent).unwrap_or(usize::MAX));
        assert!(!self.connection.has_output(), "all was sent");
    }

    /// Whatever was begun and not finished is told now, and then nothing is left.
    fn finish(mut self) -> (Vec<String>, Vec<u8>) {
        self.lose();
        assert!(
            self.transactions.values().all(|told| told.over),
            "every transaction has its outcome"
        );
        assert!(!self.connection.has_output() && self.connection.in_flight() == 0);
        (self.shown, self.wire)
    }
}

/// Holds that commands are whole lines of printable ASCII.
fn check_lines(lines: &[u8]) {
    assert!(lines.ends_with(b"\r\n"), "whole lines");
    for line in lines.split_inclusive(|octet| *octet == b'\n') {
        let text = line.strip_suffix(b"\r\n").unwrap_or(b"\n");
        let printable = text.iter().all(|octet| (b' '..=b'~').contains(octet));
        assert!(printable, "{}", line.escape_ascii());
        assert!(line.len() <= limits::AUTH_LINE);
    }
}

fn clean(reply: &Reply) {
    assert!(
        reply
            .text()
            .chars()
            .all(|c| !c.is_control() || c == '\n' || c == '\t'),
        "{:?}",
        reply.text()
    );
}
