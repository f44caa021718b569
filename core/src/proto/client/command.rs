//! What a caller may ask of a connection apart from sending mail. Each request is checked before a byte of it is queued.

use super::authentication::Authentication;
use super::transaction::Transaction;
use super::{Answers, Connection, Hello, NotNow, Stage};
use crate::proto::{Domain, Protocol, limits};
use crate::sasl;

impl Connection {
    /// Introduces the client by `name`: EHLO or HELO, or LHLO under LMTP. What a reply to it changes is told by
    /// [`Event::Hello`](super::Event::Hello).
    pub fn hello(&mut self, hello: Hello, name: &Domain) -> Result<(), NotNow> {
        self.check_idle()?;
        if self.stage == Stage::Unwelcome {
            return Err(NotNow::Unwelcome);
        }
        let verb = match (self.protocol, hello) {
            (Protocol::Smtp, Hello::Ehlo) => "EHLO ",
            (Protocol::Smtp, Hello::Helo) => "HELO ",
            (Protocol::Lmtp, Hello::Ehlo) => "LHLO ",
            (Protocol::Lmtp, Hello::Helo) => return Err(NotNow::NoSuchCommand),
        };
        self.send(Answers::Hello(hello), &[verb, name.as_ascii()]);
        Ok(())
    }

    /// Asks for TLS (RFC 3207), which the server must have announced.
    pub fn start_tls(&mut self) -> Result<(), NotNow> {
        self.check_ready()?;
        if self.tls.is_some() {
            return Err(NotNow::AlreadySecure);
        }
        if !self.capabilities.has("STARTTLS") {
            return Err(NotNow::NotOffered("STARTTLS"));
        }
        self.send(Answers::StartTls, &["STARTTLS"]);
        Ok(())
    }

    /// Authenticates (RFC 4954). The server must have announced AUTH; whether it named this mechanism, and whether the
    /// mechanism may be used without TLS, is the caller's to judge.
    pub fn auth(&mut self, exchange: sasl::ClientExchange) -> Result<(), NotNow> {
        self.check_ready()?;
        if self.authenticated {
            return Err(NotNow::AlreadyAuthenticated);
        }
        if !self.capabilities.has("AUTH") {
            return Err(NotNow::NotOffered("AUTH"));
        }
        self.auth_failure = None;
        self.authentication = Some(Authentication::begin(exchange, &mut self.outbox));
        self.expect(Answers::Auth);
        Ok(())
    }

    /// Sends NOOP.
    pub fn noop(&mut self) -> Result<(), NotNow> {
        self.simple("NOOP", None)
    }

    /// Sends RSET. There is no need to between transactions: where one was left open, the next sends it.
    pub fn reset(&mut self) -> Result<(), NotNow> {
        self.simple("RSET", None)
    }

    /// Sends VRFY: does the server know this user or mailbox?
    pub fn verify(&mut self, user: &str) -> Result<(), NotNow> {
        self.simple("VRFY", Some(user))
    }

    /// Sends EXPN: who is on this mailing list?
    pub fn expand(&mut self, list: &str) -> Result<(), NotNow> {
        self.simple("EXPN", Some(list))
    }

    /// Sends HELP. An empty `topic` asks in general.
    pub fn help(&mut self, topic: &str) -> Result<(), NotNow> {
        self.simple("HELP", Some(topic).filter(|topic| !topic.is_empty()))
    }

    /// Sends QUIT. With PIPELINING it may follow at once on the end of data of the last message.
    pub fn quit(&mut self) -> Result<(), NotNow> {
        let chained = self.pipelining
            && self.stage == Stage::Ready
            && self.transactions.iter().all(Transaction::has_ended)
            && !self.owes_caller();
        if !chained {
            self.check_idle()?;
        }
        self.send(Answers::Quit, &["QUIT"]);
        Ok(())
    }

    fn simple(&mut self, verb: &'static str, argument: Option<&str>) -> Result<(), NotNow> {
        if let Some(argument) = argument {
            check_argument(argument)?;
        }
        self.check_ready()?;
        match argument {
            None => self.send(Answers::Command(verb), &[verb]),
            Some(argument) => self.send(Answers::Command(verb), &[verb, " ", argument]),
        }
        Ok(())
    }

    /// Whether a command of the caller's has no reply yet.
    pub(super) fn owes_caller(&self) -> bool {
        self.awaited
            .back()
            .is_some_and(|last| last.what.is_callers())
    }

    fn check_idle(&self) -> Result<(), NotNow> {
        match self.stage {
            Stage::Greeting => Err(NotNow::NotGreeted),
            Stage::Handshake | Stage::Closed => Err(NotNow::Closed),
            Stage::Unwelcome | Stage::Greeted | Stage::Ready => {
                self.is_idle().then_some(()).ok_or(NotNow::Busy)
            }
        }
    }

    fn check_ready(&self) -> Result<(), NotNow> {
        self.check_idle()?;
        self.check_hello()
    }

    /// Whether the stage is one in which mail may be sent.
    pub(super) fn check_hello(&self) -> Result<(), NotNow> {
        match self.stage {
            Stage::Greeting => Err(NotNow::NotGreeted),
            Stage::Unwelcome => Err(NotNow::Unwelcome),
            Stage::Greeted => Err(NotNow::NoHello),
            Stage::Ready => Ok(()),
            Stage::Handshake | Stage::Closed => Err(NotNow::Closed),
        }
    }
}

/// What stands behind VRFY, EXPN or HELP: one line of printable ASCII (RFC 5321 section 4.1.2, `String`).
fn check_argument(argument: &str) -> Result<(), NotNow> {
    if argument.trim().is_empty() {
        Err(NotNow::Argument("is empty"))
    } else if argument.chars().any(char::is_control) {
        Err(NotNow::Argument(
            "has a control character, which could smuggle a command",
        ))
    } else if !argument.is_ascii() {
        Err(NotNow::Argument("has letters outside ASCII"))
    } else if argument.len() + "VRFY \r\n".len() > limits::COMMAND_LINE {
        Err(NotNow::Argument("is too long for a command line"))
    } else {
        Ok(())
    }
}
