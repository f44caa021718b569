//! One client's session: where it stands, and what the driver sees of it.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use super::auth::Logins;
use super::body::Body;
use super::chunks::Skip;
use super::normalise::Normaliser;
use super::outbox::Outbox;
use super::transaction::Transaction;
use super::{Closing, Config, Event, Refusals, replies};
use crate::error::Phase;
use crate::proto::address::Domains;
use crate::proto::chunk::Chunk;
use crate::proto::{
    Envelope, Found, LineFinder, Need, Progress, Protocol, Recipient, Reply, TlsInfo, Violation,
    limits,
};
use crate::sasl::{self, Mechanism, SaslError, Secret, ServerExchange};

/// Replies that may wait before no more commands are looked at: a client that sends and never reads costs no more memory.
const OUTBOX: usize = 16 * 1024;

/// The server's side of one connection. It holds no message and no input.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, no two exclude each other"
)]
#[derive(Debug)]
pub struct Connection {
    pub(super) config: Arc<Config>,
    pub(super) state: State,
    pub(super) outbox: Outbox,
    pub(super) tls: Option<TlsInfo>,
    pub(super) hello: Option<Box<str>>,
    /// Whether the last hello was EHLO or LHLO, so that extensions are in use.
    pub(super) extended: bool,
    /// The domains of the recipients that this session has taken, if their number is limited.
    pub(super) recipient_domains: Domains,
    /// Whether the peer may speak for others, by XCLIENT.
    pub(super) trusted: bool,
    /// The time of day, as it was told last: seconds since 1970.
    pub(super) now: Option<i64>,
    pub(super) user: Option<Box<str>>,
    /// Whether the user came by ANONYMOUS, and is nobody.
    pub(super) anonymous: bool,
    /// Whether the peer has spoken for another by XCLIENT: what its TLS shows is not that client's.
    pub(super) speaks_for_another: bool,
    /// The user that XCLIENT has told.
    pub(super) told_user: Option<Box<str>>,
    pub(super) transaction: Option<Transaction>,
    pub(super) owed: Owed,
    /// Recipients whose answers are owed.
    pub(super) candidates: VecDeque<Recipient>,
    /// No more RCPT joins those that are owed an answer.
    pub(super) batch_ended: bool,
    /// The greeting turned the client away: only QUIT is left to it.
    pub(super) turned_away: bool,
    /// A hello ended a transaction, which is still to be told.
    pub(super) reset_untold: bool,
    /// What to say last, at the next safe point.
    pub(super) farewell: Option<Farewell>,
    pub(super) bad_commands: u32,
    /// Commands since the last message was accepted.
    pub(super) idle_commands: u32,
    pub(super) logins: Logins,
    /// Whether lines of AUTH were taken that the driver was not told of.
    pub(super) secret_heard: bool,
    /// Boxed, for most connections are refused nothing.
    pub(super) refusals: Option<Box<Refusals>>,
    /// Transactions that were begun.
    pub(super) transactions: u32,
    finder: LineFinder,
    /// For the message that is being received, where its line ends are made canonical.
    pub(super) normaliser: Option<Box<Normaliser>>,
    /// The over-long line that is being skipped.
    skipping: Option<Line>,
}

/// What a line seems to become, by which its length is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Command,
    /// AUTH, which may hold an initial response as long as a line of the exchange (RFC 4954 section 4).
    Auth,
    /// A line of an exchange of AUTH.
    Exchange,
    /// BDAT, which is short. Behind one that is too long nobody knows where the chunk ends.
    Chunk,
}

/// Of what is seldom and large there is a box: thousands of connections may only wait for a command.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing was said yet.
    Start,
    /// The next line is a command.
    Command,
    /// The next line is a response of an AUTH exchange.
    Auth(ServerExchange),
    /// What a mechanism came to is to be acted on.
    AuthStep(Box<(ServerExchange, Result<sasl::Step, SaslError>)>),
    /// The next line is the client's answer to word of a refusal, behind which this is said.
    AuthRefused(Box<Reply>),
    /// A message comes behind DATA.
    Body(Body),
    /// Octets of a chunk come behind BDAT.
    Chunk(Chunk),
    /// Octets of a chunk come that was refused.
    Skip(Box<Skip>),
    /// The 220 to STARTTLS was given.
    Tls,
    /// All was said.
    Closed(Closing),
}

/// Which answers are owed.
#[derive(Debug, Default)]
pub(super) enum Owed {
    #[default]
    Nothing,
    Connect,
    Hello {
        extended: bool,
        name: Box<str>,
    },
    Auth {
        username: String,
        anonymous: bool,
        exchange: ServerExchange,
    },
    Nonce {
        mechanism: Mechanism,
        initial: Option<Secret>,
    },
    Lookup(ServerExchange),
    /// To an exchange of an application's own mechanism, which is to begin.
    OwnMechanism {
        exchange: ServerExchange,
        initial: Option<Secret>,
    },
    /// To the end of such an exchange that names its user.
    OwnVerdict(Box<Result<sasl::Step, SaslError>>),
    Mail(Box<Envelope>),
    /// One for each candidate.
    Rcpt,
    /// To DATA, or to BDAT with the first chunk of a message.
    Data(Option<Chunk>),
    EndOfData {
        answers: usize,
    },
    /// To a command that changes nothing, with the reply that accepting it stands for.
    Other(&'static str),
}

#[derive(Debug)]
pub(super) enum Farewell {
    Say(Box<Reply>),
    /// It was said already, with a reply of 421.
    Said,
}

/// What one step of the machine came to. The number is of octets done with.
pub(super) enum Step<'a> {
    Continue(usize),
    Event(usize, Event<'a>),
    Need(usize, Need),
}

impl Connection {
    /// A client that has just connected; with `tls` if TLS came first (RFC 8314 section 3).
    pub fn new(config: Arc<Config>, tls: Option<TlsInfo>) -> Self {
        Self {
            finder: LineFinder::lenient(config.lenient_line_ends),
            config,
            state: State::Start,
            outbox: Outbox::default(),
            tls,
            hello: None,
            extended: false,
            trusted: false,
            recipient_domains: Domains::default(),
            now: None,
            user: None,
            anonymous: false,
            speaks_for_another: false,
            told_user: None,
            transaction: None,
            owed: Owed::Nothing,
            candidates: VecDeque::new(),
            batch_ended: false,
            turned_away: false,
            reset_untold: false,
            farewell: None,
            bad_commands: 0,
            idle_commands: 0,
            logins: Logins::default(),
            secret_heard: false,
            refusals: None,
            transactions: 0,
            normaliser: None,
            skipping: None,
        }
    }

    /// Takes bytes from the client. The first call, with none, makes the greeting.
    ///
    /// The first `used` octets of the input are done with. The others are lent again, in front of what is read next: they
    /// are the start of a line, never more than [`Config::with_auth_line`](super::Config::with_auth_line) and 32, or what
    /// [`Config::with_command_line`](super::Config::with_command_line) allows where that is more.
    ///
    /// [`Need::More`] also comes when more than 16 KiB of replies wait to be sent, with commands left in the input. So
    /// whenever there was something to transmit, call again with the rest before reading.
    ///
    /// After [`Need::Answer`] nothing is parsed before *all* owed answers were given.
    ///
    /// A [`Violation`] ends the connection. There may be a last reply to transmit.
    pub fn receive<'a>(&mut self, input: &'a [u8]) -> Result<Progress<Event<'a>>, Violation> {
        let mut used = 0;
        loop {
            match self.step(&input[used..])? {
                Step::Continue(n) => used += n,
                Step::Event(n, event) => {
                    return Ok(Progress::Event {
                        used: used + n,
                        event,
                    });
                }
                Step::Need(n, need) => {
                    return Ok(Progress::Need {
                        used: used + n,
                        need,
                    });
                }
            }
        }
    }

    /// Whether what [`receive`](Self::receive) has taken since this was asked last may hold lines of AUTH, the command or
    /// responses: passwords. A driver that keeps its memory overwrites these octets.
    pub fn heard_secret(&mut self) -> bool {
        std::mem::take(&mut self.secret_heard)
    }

    /// Bytes to send now.
    pub fn transmit(&mut self) -> impl Iterator<Item = IoSlice<'_>> {
        let pending = self.outbox.pending();
        (!pending.is_empty())
            .then(|| IoSlice::new(pending))
            .into_iter()
    }

    /// The first `n` octets of what there was to transmit are sent.
    pub fn sent(&mut self, n: usize) {
        self.outbox.sent(n);
    }

    /// Whether there is something to transmit.
    pub fn has_output(&self) -> bool {
        !self.outbox.pending().is_empty()
    }

    /// Which time limit runs now: waiting for an answer, for TLS, for the message, for a response of AUTH, or for a command.
    /// `None` before the greeting and when all was said.
    pub fn waiting_for(&self) -> Option<Phase> {
        if self.owed() > 0 {
            return Some(Phase::Answer);
        }
        match self.state {
            State::Start | State::Closed(_) => None,
            // A message in chunks is waited for between them as well.
            _ if self.is_between_chunks() => Some(Phase::Body),
            State::Command => Some(Phase::Idle),
            State::Auth(_) | State::AuthStep(_) | State::AuthRefused(_) => Some(Phase::Auth),
            State::Body(_) | State::Chunk(_) | State::Skip(_) => Some(Phase::Body),
            State::Tls => Some(Phase::Tls),
        }
    }

    /// Whether a command is waited for within a message that comes in chunks.
    pub fn is_between_chunks(&self) -> bool {
        matches!(self.state, State::Command) && self.has_open_message()
    }

    /// Whether the octets of a chunk that is refused are waited for.
    pub fn refuses_chunk(&self) -> bool {
        matches!(self.state, State::Skip(_))
    }

    /// TLS is up. All that was learnt in clear is forgotten (RFC 3207 section 4.2): the client's name, AUTH, the transaction.
    /// `leftover` is what the driver read and did not lend before the handshake: anything in it is a violation.
    pub fn secured(&mut self, leftover: &[u8], tls: TlsInfo) -> Result<(), Violation> {
        self.outbox.clear();
        if !leftover.is_empty() {
            self.close(Closing::Violation);
            return Err(Violation::BytesBehindStartTls);
        }
        self.tls = Some(self.shown_to_client(tls));
        self.hello = None;
        self.extended = false;
        self.user = None;
        self.anonymous = false;
        self.told_user = None;
        self.transaction = None;
        self.finder.begin_anew();
        self.skipping = None;
        if matches!(self.state, State::Tls) {
            self.state = State::Command;
        }
        self.say_farewell();
        Ok(())
    }

    /// Whether the peer is trusted to speak for others, by XCLIENT, which is offered and taken only then. By default it is not. Only
    /// for a peer whose address is that of a proxy of one's own: what it says is believed. It stays trusted behind XCLIENT, so that it
    /// can speak for the next client: it must not pass on XCLIENT commands of its clients.
    pub fn set_trusted(&mut self, trusted: bool) {
        self.trusted = trusted;
    }

    /// What of the peer's TLS holds for whom it speaks for: all of it, or behind XCLIENT neither its certificate nor what SASL would
    /// be bound to, for the client behind it has neither.
    pub(crate) fn shown_to_client(&self, tls: TlsInfo) -> TlsInfo {
        if self.speaks_for_another {
            tls.without_peer()
        } else {
            tls
        }
    }

    /// Tells the time of day, in seconds since the start of 1970 in UTC. Without it FUTURERELEASE is not offered, for which it
    /// should be told again from time to time; nothing else needs it.
    pub fn set_time(&mut self, now: i64) {
        self.now = Some(now);
    }

    /// Says `reply`, which should be a 421, and closes: now, or behind the reply that ends a message that is being received,
    /// behind owed answers, and never between STARTTLS and its handshake. An idle transaction is given up.
    pub fn shut_down(&mut self, reply: Reply) {
        if self.farewell.is_none() && !self.is_closing() {
            self.farewell = Some(Farewell::Say(Box::new(reply)));
            self.say_farewell();
        }
    }

    /// Says `reply` and closes at once for this reason, in the middle of a message too, and forgets what is owed: as a time limit has
    /// passed. Between STARTTLS and its handshake nothing can be said.
    pub fn abort(&mut self, reply: &Reply, closing: Closing) {
        if self.is_closing() {
            return;
        }
        if !matches!(self.state, State::Tls) {
            self.say(reply);
        }
        self.close(closing);
    }

    /// What is known about TLS, once it is up; behind XCLIENT without the peer's certificate and exporter.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref()
    }

    /// Whether the last hello was EHLO or LHLO, and not HELO.
    pub fn is_extended(&self) -> bool {
        self.extended
    }

    /// What the client called itself in the last HELO, EHLO or LHLO that was accepted.
    pub fn hello_name(&self) -> Option<&str> {
        self.hello.as_deref()
    }

    /// The user name that AUTH has proven.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Whether a user has authenticated who is somebody: not by ANONYMOUS.
    pub fn has_identity(&self) -> bool {
        self.user.is_some() && !self.anonymous
    }

    /// The envelope of the transaction: accepted reverse-path and recipients. It lasts until the end of data was answered.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.transaction.as_ref()?.envelope.as_deref()
    }

    /// The envelope that MAIL would begin a transaction with, while its answer is owed.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn asked_envelope(&self) -> Option<&Envelope> {
        match &self.owed {
            Owed::Mail(envelope) => Some(envelope),
            _ => None,
        }
    }

    /// Takes the envelope out, which makes sense once the message has begun.
    pub fn take_envelope(&mut self) -> Option<Envelope> {
        self.transaction
            .as_mut()?
            .envelope
            .take()
            .map(|envelope| *envelope)
    }

    /// Answers owed.
    pub fn owed(&self) -> usize {
        match self.owed {
            Owed::Nothing => 0,
            Owed::Rcpt => self.candidates.len(),
            Owed::EndOfData { answers } => answers,
            _ => 1,
        }
    }

    /// Whether all was said: what there is to transmit is the last, and input is ignored.
    pub fn is_closing(&self) -> bool {
        self.closing().is_some()
    }

    /// Why all was said, once it was.
    pub fn closing(&self) -> Option<Closing> {
        match self.state {
            State::Closed(closing) => Some(closing),
            _ => None,
        }
    }

    fn step<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Violation> {
        if self.is_closing() {
            return Ok(Step::Need(input.len(), Need::Close));
        }
        if let Some(event) = self.held_end() {
            return Ok(Step::Event(0, event));
        }
        if self.owed() > 0 {
            return Ok(self.next_recipient(input));
        }
        if self.reset_untold {
            self.reset_untold = false;
            return Ok(Step::Event(0, Event::Reset));
        }
        if self.outbox.pending().len() > OUTBOX {
            return Ok(Step::Need(0, Need::More));
        }
        match &self.state {
            State::Start => Ok(self.start()),
            State::Command => self.command(input),
            State::Auth(_) | State::AuthRefused(_) => self.auth_line(input),
            State::AuthStep(_) => Ok(self.auth_step()),
            State::Body(_) | State::Chunk(_) if self.normaliser.is_some() => {
                Ok(self.normalised(input))
            }
            State::Body(_) => Ok(self.body(input)),
            State::Chunk(_) => Ok(self.chunk(input)),
            State::Skip(_) => Ok(self.skip_chunk(input)),
            State::Tls if input.is_empty() => Ok(Step::Need(0, Need::Tls)),
            State::Tls => {
                self.close(Closing::Violation);
                Err(Violation::BytesBehindStartTls)
            }
            State::Closed(_) => Ok(Step::Need(input.len(), Need::Close)),
        }
    }

    /// Looks for the end of a line, and remembers what an over-long one is that is skipped: to be called with it again.
    pub(super) fn find_line(&mut self, input: &[u8], line: Line) -> Found {
        let limit = match line {
            Line::Command => self.config.command_line,
            Line::Auth => self.config.auth_line + 32,
            Line::Exchange => self.config.auth_line,
            Line::Chunk => 512,
        };
        let found = self.finder.find(input, limit, limits::SKIPPED_LINE);
        match found {
            Found::More { used: 0 } => {}
            Found::More { .. } => self.skipping = Some(line),
            _ => self.skipping = None,
        }
        found
    }

    /// Whether the input begins in the middle of an over-long line, and then of what.
    pub(super) fn skipping(&self) -> Option<Line> {
        self.skipping
    }

    /// A reply with its enhanced status code, which those of 3yz do not have (RFC 2034 section 4).
    pub(super) fn say(&mut self, reply: &Reply) {
        self.outbox.reply(reply, !reply.is_intermediate());
    }

    /// A reply of ours to a command that a client should not have sent. Too many of them end the session.
    pub(super) fn bad(&mut self, reply: &str) {
        if self.count_bad() {
            self.outbox.text(reply);
        }
    }

    /// Counts a bad command. If it was one too many, that is its reply.
    pub(super) fn count_bad(&mut self) -> bool {
        self.bad_commands = self.bad_commands.saturating_add(1);
        let few = self.bad_commands <= self.config.max_bad_commands;
        if !few {
            self.outbox.text(replies::TOO_MANY_BAD_COMMANDS);
            self.close(Closing::Limit);
        }
        few
    }

    /// Closes if it is time for that: nothing is owed, and the client waits for no reply.
    pub(super) fn say_farewell(&mut self) {
        let in_between = matches!(
            self.state,
            State::Body(_) | State::Chunk(_) | State::Skip(_) | State::Tls
        );
        if self.owed() > 0 || in_between || self.has_open_message() {
            return;
        }
        match self.farewell.take() {
            Some(Farewell::Say(reply)) => {
                self.say(&reply);
                self.close(Closing::ShutDown);
            }
            Some(Farewell::Said) => self.close(Closing::Answer),
            None => {}
        }
    }

    /// Nothing is said or heard any more.
    pub(super) fn close(&mut self, closing: Closing) {
        self.state = State::Closed(closing);
        self.owed = Owed::Nothing;
        self.candidates.clear();
        self.transaction = None;
        self.farewell = None;
    }

    pub(super) fn is_lmtp(&self) -> bool {
        self.config.protocol == Protocol::Lmtp
    }
}
