//! Faults between the driver and the client: each breaks what one group of rows promises, so that the group's cases must notice.

use std::time::Duration;

use mailwire::{Delivery, Outcome, RecipientOutcome};

use super::expectation::{Ending, Report};
use super::{Call, Composition, Setting, Target, Wire};
use crate::case::Script;
use crate::server::{Finish, Said, Unable};
use crate::template::replaced;

/// What goes wrong on the way.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The group whose promise it breaks.
    pub group: &'static str,
    /// What a client with this fault does.
    pub what: &'static str,
    /// Whether it shows only over a socket.
    pub over_a_socket: bool,
    act: Act,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    /// In what the client sends, this becomes that.
    ToServer(&'static str, &'static str),
    /// In what the server sends, this becomes that.
    ToClient(&'static str, &'static str),
    /// In what the caller gives it, this becomes that.
    Given(&'static str, &'static str),
    /// It verifies no certificate.
    Trust,
    /// It reports this of a recipient, where it should report that.
    Report(Delivery, Delivery),
    /// It reports success, whatever happened.
    Succeed,
    /// It tells what the caller has set it to.
    Tell,
}

/// At least one for each group.
pub const FAULTS: &[Fault] = &[
    fault(
        "injection",
        "mends what it is given, where it should refuse it",
        Act::Given("\r\n", ""),
    ),
    fault(
        "injection",
        "pastes addresses into commands",
        Act::ToServer("<\"x@evil.example> SIZE=1\"@", "<x@evil.example> SIZE=1@"),
    ),
    fault(
        "message",
        "leaves dots as they are",
        Act::ToServer("\r\n..", "\r\n."),
    ),
    fault(
        "message",
        "lets bare line ends through",
        Act::ToServer("a\r\nb", "a\nb"),
    ),
    fault(
        "message",
        "adds a line end to what has one",
        Act::ToServer("x\r\n.\r\n", "x\r\n\r\n.\r\n"),
    ),
    fault(
        "replies",
        "believes the text rather than the code",
        Act::ToClient("250 550", "550"),
    ),
    fault(
        "replies",
        "takes a break behind the end mark for a success",
        Act::Report(Delivery::Accepted, Delivery::Unknown),
    ),
    fault(
        "replies",
        "passes over what is no reply",
        Act::ToClient("abc\r\n", "250 OK\r\n"),
    ),
    fault("session", "says HELO", Act::ToServer("EHLO", "HELO")),
    fault(
        "session",
        "leaves transactions open",
        Act::ToServer("RSET\r\n", ""),
    ),
    fault(
        "session",
        "knows keywords in capitals only",
        Act::ToClient("-pipelining", "-x"),
    ),
    fault(
        "recipients",
        "gives a recipient up for whom there was no room",
        Act::Report(Delivery::Refused, Delivery::Deferred),
    ),
    fault(
        "recipients",
        "takes one reply of LMTP for all",
        Act::Report(Delivery::Accepted, Delivery::Unknown),
    ),
    fault(
        "tls",
        "takes any good reply for the start of TLS",
        Act::ToClient("250 OK\r\n", "220 OK\r\n"),
    ),
    fault(
        "tls",
        "passes over what came in clear behind the 220",
        Act::ToClient("go\r\n250-mx.inbox.example\r\n250 AUTH PLAIN\r\n", "go\r\n"),
    ),
    fault(
        "tls",
        "goes on without TLS",
        Act::ToServer("STARTTLS\r\n", "MAIL FROM:<>\r\n"),
    ),
    Fault {
        over_a_socket: true,
        ..fault("certificates", "trusts anybody", Act::Trust)
    },
    fault("sasl", "believes every server", Act::Succeed),
    fault("sasl", "tells the password", Act::Tell),
    fault(
        "sasl",
        "answers what is no base64",
        Act::ToServer("*\r\n", "Kg==\r\n"),
    ),
    fault(
        "extensions",
        "says SMTPUTF8 whenever it may",
        Act::ToServer(
            "sender@client.example>\r\n",
            "sender@client.example> SMTPUTF8\r\n",
        ),
    ),
    fault(
        "extensions",
        "leaves parameters out that were not offered",
        Act::Given("ENVID=a", "SIZE=1"),
    ),
    fault(
        "connection",
        "calls untried what may have been taken",
        Act::Report(Delivery::NotTried, Delivery::Unknown),
    ),
    fault(
        "connection",
        "remembers that a sender was refused",
        Act::ToServer("MAIL FROM:<second@client.example>\r\n", ""),
    ),
];

const fn fault(group: &'static str, what: &'static str, act: Act) -> Fault {
    Fault {
        group,
        what,
        over_a_socket: false,
        act,
    }
}

/// A target with a fault.
pub struct Faulty<'a> {
    /// The target.
    pub target: &'a dyn Target,
    /// Its fault.
    pub fault: Fault,
}

impl Target for Faulty<'_> {
    fn open(&self, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Unable> {
        let mut setting = setting.clone();
        if matches!(self.fault.act, Act::Trust) {
            setting
                .options
                .push(("verify".to_owned(), "false".to_owned()));
        }
        let password = setting.password.clone().unwrap_or_default();
        Ok(Box::new(FaultyWire {
            wire: self.target.open(script, &setting)?,
            act: self.fault.act,
            password,
        }))
    }

    fn patience(&self) -> Duration {
        self.target.patience()
    }

    fn silence(&self) -> Duration {
        self.target.silence()
    }
}

struct FaultyWire {
    wire: Box<dyn Wire>,
    act: Act,
    password: String,
}

impl FaultyWire {
    fn distort(&self, mut report: Report) -> Report {
        match self.act {
            Act::Succeed => report.ending = Ending::Success,
            Act::Tell => report.text.push_str(&self.password),
            Act::Report(wrong, right) => {
                report.outcome = report.outcome.map(|outcome| {
                    let all = outcome.recipients().iter().map(|one| {
                        let delivery = if one.delivery() == right {
                            wrong
                        } else {
                            one.delivery()
                        };
                        RecipientOutcome::new(
                            one.recipient().clone(),
                            delivery,
                            one.reply().cloned(),
                            one.phase(),
                        )
                    });
                    Outcome::new(all.collect(), outcome.reply().cloned())
                });
            }
            _ => {}
        }
        report
    }
}

impl Wire for FaultyWire {
    fn call(&mut self, call: Call) {
        let call = match (call, self.act) {
            (Call::Send(given), Act::Given(from, to)) => {
                Call::Send(Box::new(given_otherwise(*given, from, to)))
            }
            (Call::Ask(what, argument), Act::Given(from, to)) => {
                Call::Ask(what, argument.replace(from, to))
            }
            (call, _) => call,
        };
        self.wire.call(call);
    }

    fn cancel(&mut self) {
        self.wire.cancel();
    }

    fn result(&mut self, patience: Duration) -> Option<Report> {
        let report = self.wire.result(patience)?;
        Some(self.distort(report))
    }

    fn send(&mut self, octets: &[u8]) {
        match self.act {
            Act::ToClient(from, to) => self.wire.send(&replaced(octets, from, to)),
            _ => self.wire.send(octets),
        }
    }

    fn receive(&mut self, patience: Duration) -> Said {
        match (self.wire.receive(patience), self.act) {
            (Said::Octets(octets), Act::ToServer(from, to)) => {
                Said::Octets(replaced(&octets, from, to))
            }
            (said, _) => said,
        }
    }

    fn start_tls(&mut self, certificate: &str) -> Result<(), String> {
        self.wire.start_tls(certificate)
    }

    fn close(&mut self, how: Finish) {
        self.wire.close(how);
    }

    fn accept(&mut self, patience: Duration) -> bool {
        self.wire.accept(patience)
    }

    fn server_name(&self) -> Option<String> {
        self.wire.server_name()
    }

    fn exporter(&self) -> Option<[u8; 32]> {
        self.wire.exporter()
    }
}

fn given_otherwise(mut given: Composition, from: &str, to: &str) -> Composition {
    given.from = given.from.replace(from, to);
    for word in &mut given.mail {
        *word = word.replace(from, to);
    }
    for (recipient, parameters) in &mut given.recipients {
        *recipient = recipient.replace(from, to);
        for word in parameters {
            *word = word.replace(from, to);
        }
    }
    for (_, text) in &mut given.parts {
        *text = text.replace(from, to);
    }
    given.message = replaced(&given.message, from, to);
    given
}
