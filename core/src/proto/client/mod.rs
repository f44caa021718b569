//! The client's side of SMTP and LMTP, without I/O: [`Connection`] turns what the caller wants into commands, and the
//! server's replies into [`Event`]s and outcomes.
//!
//! The driver owns the socket and the clock. It lends what it read to [`receive`](Connection::receive), writes what there is to
//! [`transmit`](Connection::transmit), and streams message bytes by itself between [`Event::SendBody`] and the end mark:
//! they never pass through here. Under BDAT, [`outgoing`](Connection::outgoing) tells it where between the commands they go. Replies are matched in order to what they answer, and every transaction keeps its own results.
//!
//! Files: `receive` takes bytes in, `command` is what a caller may ask for, `pipeline` decides when which command of a
//! transaction goes out, `reply` says what each reply means, `transaction` keeps the results of one of them, `conceal`
//! sees to it that no secret is shown that a server says back.

mod authentication;
mod command;
mod conceal;
mod event;
mod offered;
mod outbox;
mod pipeline;
mod receive;
mod reply;
#[cfg(test)]
mod tests;
mod transaction;

pub use event::{Event, Hello, NotNow, Outgoing, TransactionId, TransactionOptions, Transfer};

use std::collections::VecDeque;

use self::authentication::Authentication;
use self::outbox::Outbox;
use self::receive::Inbox;
use self::transaction::Transaction;
use super::address::Domains;
use super::mask::Mask;
use super::{Capabilities, Protocol, TlsInfo};
use crate::error::Phase;
use crate::sasl::SaslError;

/// One connection to a server, from its greeting to the reply to QUIT.
#[derive(Debug)]
pub struct Connection {
    protocol: Protocol,
    tls: Option<TlsInfo>,
    stage: Stage,
    capabilities: Capabilities,
    /// Whether the server announced PIPELINING: asked for at every command.
    pipelining: bool,
    authenticated: bool,
    authentication: Option<Authentication>,
    /// What is known about the failure of the last AUTH besides its reply.
    auth_failure: Option<SaslError>,
    /// What is shown of the server's words has none of this.
    mask: Mask,

    inbox: Inbox,
    outbox: Outbox,
    /// What the server owes replies to, oldest first.
    awaited: VecDeque<Awaited>,
    /// Begun and not finished, oldest first. Replies to commands of a transaction always concern the first.
    transactions: VecDeque<Transaction>,
    next_transaction: u64,
    /// Whether the server may hold a transaction, after all that is queued, that neither an end of data nor a RSET has closed.
    open: bool,
    /// The domains of recipients so far, where the server limits their number.
    domains: Domains,
    /// Octets of chunks that were queued and have no reply.
    unanswered: u64,
    /// Replies taken so far.
    replies: u64,
    /// The phase of the last reply, and once the connection has ended the phase in which it did.
    last_phase: Option<Phase>,
}

/// How far the connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The greeting is awaited; nothing may be sent (RFC 5321 section 4.3.1).
    Greeting,
    /// The greeting was no welcome: only QUIT may follow (RFC 5321 section 3.1).
    Unwelcome,
    /// Greeted, or secured; no hello was accepted since.
    Greeted,
    /// A hello was accepted.
    Ready,
    /// STARTTLS was accepted: the next bytes belong to TLS.
    Handshake,
    /// QUIT was answered, 421 came, the peer broke the protocol, or the transport is gone.
    Closed,
}

/// A command that has been queued, up to its reply.
#[derive(Debug, Clone, Copy)]
struct Awaited {
    what: Answers,
    /// How many octets had been queued on this connection once the command was. A reply that comes before that many were
    /// sent answers something else.
    end: u64,
}

/// What a reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Greeting,
    Hello(Hello),
    StartTls,
    Auth,
    /// A command that the caller asked for, by its name.
    Command(&'static str),
    Quit,
    /// RSET on our own account, before a MAIL. Its reply belongs to no transaction.
    Reset,
    Mail,
    /// The RCPT with this index.
    Rcpt(usize),
    Data,
    /// BDAT of so many octets. If it is the last, under LMTP, it is the reply for the first recipient.
    Chunk {
        octets: u64,
        last: bool,
    },
    EndOfData,
    /// LMTP: the end of data for the recipient with this index.
    Delivered(usize),
    /// RSET or a lone dot, which ends a transaction whose results are known already.
    Abandoned(&'static str),
}

impl Connection {
    /// A connection that waits for the greeting. `tls` is given if TLS was there from the first byte.
    pub fn new(protocol: Protocol, tls: Option<TlsInfo>) -> Self {
        Self {
            protocol,
            tls,
            stage: Stage::Greeting,
            capabilities: Capabilities::default(),
            pipelining: false,
            authenticated: false,
            authentication: None,
            auth_failure: None,
            mask: Mask::default(),
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            awaited: VecDeque::from([Awaited {
                what: Answers::Greeting,
                end: 0,
            }]),
            transactions: VecDeque::new(),
            next_transaction: 0,
            open: false,
            domains: Domains::default(),
            unanswered: 0,
            replies: 0,
            last_phase: None,
        }
    }

    /// The protocol that is spoken.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// What is known about TLS; `None` in clear.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// What the server announced to the last EHLO or LHLO that it accepted. HELO, and a TLS handshake, leave nothing.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Whether the server takes commands in groups (RFC 2920), and so whether transactions are chained.
    pub fn pipelining(&self) -> bool {
        self.pipelining
    }

    /// Whether AUTH succeeded on this connection, under the present TLS.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// Why the last AUTH failed, where more is known than its reply says: what the server told inside of the exchange, or why this
    /// side has cancelled it.
    pub fn auth_failure(&self) -> Option<&SaslError> {
        self.auth_failure.as_ref()
    }

    /// Whether the connection waits for nothing: it was greeted, is not closed, no reply is owed and no transaction runs.
    pub fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Greeted | Stage::Ready | Stage::Unwelcome)
            && self.awaited.is_empty()
            && self.transactions.is_empty()
    }

    /// How many transactions were begun and are not finished.
    pub fn in_flight(&self) -> usize {
        self.transactions.len()
    }

    /// Octets of chunks that were queued and have no reply yet: what a driver bounds when it sends ahead.
    pub fn unanswered_octets(&self) -> u64 {
        self.unanswered
    }

    /// The phase whose timer runs (RFC 5321 section 4.5.3.2): that of the oldest command without reply, [`Phase::Body`] while
    /// a message is to be sent, [`Phase::Tls`] while a handshake is. `None` if nothing is awaited.
    pub fn waiting_for(&self) -> Option<Phase> {
        if self.stage == Stage::Handshake {
            return Some(Phase::Tls);
        }
        if let Some(oldest) = self.awaited.front() {
            return Some(oldest.what.phase());
        }
        let body = self
            .transactions
            .front()
            .is_some_and(Transaction::is_sending_body);
        body.then_some(Phase::Body)
    }

    /// The phase in which the connection ended: that of the command whose reply ended it, or was awaited then. `None` as long
    /// as it has not ended.
    pub fn ended_in(&self) -> Option<Phase> {
        self.last_phase.filter(|_| self.stage == Stage::Closed)
    }

    /// How many replies the server has given. The timer of [`waiting_for`](Self::waiting_for) begins anew with each whole
    /// reply, and not with each octet of one.
    pub fn replies(&self) -> u64 {
        self.replies
    }

    /// Queues one command line, which is made of `parts`, and awaits its reply.
    fn send(&mut self, what: Answers, parts: &[&str]) {
        for part in parts {
            self.outbox.push(part.as_bytes());
        }
        self.outbox.push(b"\r\n");
        self.expect(what);
    }

    /// Awaits a reply to all that has been queued up to now.
    fn expect(&mut self, what: Answers) {
        let end = self.outbox.end();
        self.awaited.push_back(Awaited { what, end });
    }

    /// Ends the connection: nothing is sent or taken any more. The transactions stay for `lost` to report.
    fn close(&mut self) {
        if self.stage != Stage::Closed {
            self.last_phase = self.waiting_for().or(self.last_phase);
        }
        self.stage = Stage::Closed;
        self.authentication = None;
        self.awaited.clear();
        self.unanswered = 0;
        self.outbox.wipe();
    }
}

impl Answers {
    fn phase(self) -> Phase {
        match self {
            Self::Greeting => Phase::Greeting,
            Self::Hello(_) => Phase::Hello,
            Self::StartTls => Phase::StartTls,
            Self::Auth => Phase::Auth,
            Self::Command(_) | Self::Reset | Self::Abandoned("RSET") => Phase::Command,
            Self::Quit => Phase::Quit,
            Self::Mail => Phase::Mail,
            Self::Rcpt(_) => Phase::Rcpt,
            Self::Data => Phase::Data,
            Self::Chunk { last: false, .. } => Phase::Body,
            Self::Chunk { last: true, .. }
            | Self::EndOfData
            | Self::Delivered(_)
            | Self::Abandoned(_) => Phase::EndOfData,
        }
    }

    /// What the command is called in an error.
    fn name(self) -> &'static str {
        match self {
            Self::Greeting => "(greeting)",
            Self::Hello(Hello::Ehlo) => "EHLO",
            Self::Hello(Hello::Helo) => "HELO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Command(name) | Self::Abandoned(name) => name,
            Self::Quit => "QUIT",
            Self::Reset => "RSET",
            Self::Mail => "MAIL",
            Self::Rcpt(_) => "RCPT",
            Self::Data => "DATA",
            Self::Chunk { .. } => "BDAT",
            Self::EndOfData | Self::Delivered(_) => END_OF_DATA,
        }
    }

    /// Whether it is a command of the caller's, behind which nothing else may be queued.
    fn is_callers(self) -> bool {
        matches!(
            self,
            Self::Greeting
                | Self::Hello(_)
                | Self::StartTls
                | Self::Auth
                | Self::Command(_)
                | Self::Quit
        )
    }
}

/// What the end mark is called in an error.
const END_OF_DATA: &str = "(end of data)";
