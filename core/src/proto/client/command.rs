//! What a caller may ask of a connection apart from sending mail. Each request is checked before a byte of it is queued.

use super::authentication::Authentication;
use super::transaction::Transaction;
use super::{Answers, Connection, Hello, NotNow, Stage};
use crate::proto::{ClientAttributes, Domain, Protocol, limits};
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
        let authentication = Authentication::begin(exchange, &mut self.outbox, &mut self.mask);
        self.authentication = Some(authentication);
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

    /// Sends VRFY: does the server know this user or mailbox? One outside ASCII needs SMTPUTF8 (RFC 6531 section 3.7.4.2).
    pub fn verify(&mut self, user: &str) -> Result<(), NotNow> {
        self.look_up("VRFY", user)
    }

    /// Sends EXPN: who is on this mailing list? One outside ASCII needs SMTPUTF8.
    pub fn expand(&mut self, list: &str) -> Result<(), NotNow> {
        self.look_up("EXPN", list)
    }

    /// Sends ETRN (RFC 1985), which the server must have announced: it is to start its queue for `node`, a host name, `@` and a
    /// domain with all hosts below it, or `#` and the name of a queue.
    pub fn start_queue(&mut self, node: &str) -> Result<(), NotNow> {
        check_argument(node)?;
        if node.contains(' ') {
            return Err(NotNow::Argument("has a space"));
        }
        self.check_ready()?;
        self.check_offered("ETRN")?;
        self.simple("ETRN", Some(node))
    }

    /// Sends XCLIENT, which the server must have announced together with each attribute: on whose behalf we speak from now on.
    /// If the reply is positive the session is at its beginning again, and a new hello is needed.
    pub fn speak_for(&mut self, client: &ClientAttributes) -> Result<(), NotNow> {
        if client.is_empty() {
            return Err(NotNow::Argument("is empty"));
        }
        let attributes = client.to_string();
        self.check_ready()?;
        self.check_offered("XCLIENT")?;
        for name in ClientAttributes::NAMES.split(' ') {
            let is_said = attributes
                .split(' ')
                .any(|word| word.split('=').next() == Some(name));
            let mut taken = self.capabilities.xclient_attributes();
            if is_said && !taken.any(|known| known.eq_ignore_ascii_case(name)) {
                return Err(NotNow::NotOffered(name));
            }
        }
        self.send(Answers::Command(XCLIENT), &[XCLIENT, &attributes]);
        Ok(())
    }

    /// Sends a command that this library does not know, which has one reply. It cannot be one that this machine sends by itself or
    /// that changes the state of the session. An `argument` outside ASCII needs SMTPUTF8.
    pub fn extension_command(&mut self, verb: &str, argument: &str) -> Result<(), NotNow> {
        let fits = (1..=limits::VERB).contains(&verb.len())
            && verb.starts_with(|first: char| first.is_ascii_alphabetic())
            && verb.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !fits {
            return Err(NotNow::Argument(
                "is no verb: letters, digits and hyphens, beginning with a letter",
            ));
        }
        let reserved = RESERVED
            .into_iter()
            .find(|reserved| reserved.eq_ignore_ascii_case(verb));
        if let Some(reserved) = reserved {
            return Err(NotNow::Reserved(reserved));
        }
        if !argument.is_empty() {
            self.check_text(argument)?;
        }
        self.check_ready()?;
        let space = if argument.is_empty() { "" } else { " " };
        self.send(Answers::Command(EXTENSION), &[verb, space, argument]);
        Ok(())
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

    fn look_up(&mut self, verb: &'static str, argument: &str) -> Result<(), NotNow> {
        self.check_text(argument)?;
        self.check_ready()?;
        let utf8 = if argument.is_ascii() { "" } else { " SMTPUTF8" };
        self.send(Answers::Command(verb), &[verb, " ", argument, utf8]);
        Ok(())
    }

    fn check_offered(&self, keyword: &'static str) -> Result<(), NotNow> {
        let offered = self.capabilities.has(keyword);
        offered.then_some(()).ok_or(NotNow::NotOffered(keyword))
    }

    /// Checks what may be outside ASCII where the server offers SMTPUTF8.
    fn check_text(&self, argument: &str) -> Result<(), NotNow> {
        match check_argument(argument) {
            Err(NotNow::Argument(OUTSIDE_ASCII)) => self.check_offered("SMTPUTF8"),
            checked => checked,
        }
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

/// The name of XCLIENT, whose reply begins the session anew.
pub(super) const XCLIENT: &str = "XCLIENT";

/// What a command of the caller's own is called in events and errors.
const EXTENSION: &str = "(extension)";

const OUTSIDE_ASCII: &str = "has letters outside ASCII";

/// Verbs that open, close or turn round a session or a transaction, or have more than one reply or a body.
const RESERVED: [&str; 18] = [
    "HELO", "EHLO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "BURL", "RSET", "QUIT", "STARTTLS",
    "AUTH", "XCLIENT", "TURN", "ATRN", "SEND", "SOML", "SAML",
];

/// What stands behind VRFY, EXPN or HELP: one line of printable ASCII (RFC 5321 section 4.1.2, `String`).
fn check_argument(argument: &str) -> Result<(), NotNow> {
    if argument.trim().is_empty() {
        Err(NotNow::Argument("is empty"))
    } else if argument.chars().any(char::is_control) {
        Err(NotNow::Argument(
            "has a control character, which could smuggle a command",
        ))
    } else if argument.len() + limits::VERB + " SMTPUTF8\r\n".len() > limits::COMMAND_LINE {
        Err(NotNow::Argument("is too long for a command line"))
    } else if !argument.is_ascii() {
        Err(NotNow::Argument(OUTSIDE_ASCII))
    } else {
        Ok(())
    }
}
