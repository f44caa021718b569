//! Commands: which of them fit where the session stands, and what they do (RFC 5321 sections 3 and 4.1).

use super::connection::{Owed, State, Step, Transaction};
use super::{Connection, Event, Hooks, replies, strangers};
use crate::proto::{
    BodyType, Command, CommandError, Envelope, ForwardPath, Found, LineFinder, MailParameters,
    Need, RcptParameters, Recipient, ReversePath, Violation, limits,
};

/// An AUTH command may hold an initial response as long as a line of the exchange (RFC 4954 section 4).
const AUTH_COMMAND: usize = limits::AUTH_LINE + 32;

impl Connection {
    /// The greeting (RFC 5321 section 3.1), or the question whether to give it.
    pub(super) fn start<'a>(&mut self) -> Step<'a> {
        self.state = State::Command;
        if self.config.hooks.has(Hooks::CONNECT) {
            self.owed = Owed::Connect;
            return Step::Event(0, Event::Connect);
        }
        self.greet(None);
        Step::Continue(0)
    }

    /// A line that should be a command.
    pub(super) fn command<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Violation> {
        if self.skipping().is_none()
            && let Some(name) = strangers::other_protocol(input, self.tls.is_some())
        {
            self.outbox.text(replies::OTHER_PROTOCOL);
            self.close();
            return Err(Violation::OtherProtocol(name));
        }
        let limit = self.skipping().unwrap_or(line_limit(input));
        let too_long = if limit == AUTH_COMMAND {
            replies::AUTH_LINE_TOO_LONG
        } else {
            replies::LINE_TOO_LONG
        };
        match self.find_line(input, limit) {
            Found::More { used } => Ok(Step::Need(used, Need::More)),
            Found::TooLong { used } => {
                self.bad(too_long);
                Ok(Step::Continue(used))
            }
            Found::Endless => {
                self.outbox.text(too_long);
                self.close();
                Err(Violation::CommandLineTooLong)
            }
            Found::Line { len } => {
                let used = len + 2;
                let event = self.execute(&input[..len], input.len() == used)?;
                Ok(event.map_or(Step::Continue(used), |event| Step::Event(used, event)))
            }
        }
    }

    /// While answers to RCPT are owed, another RCPT may join them if it will be a question too, whatever the answers are. All
    /// else waits, so that replies leave in the order of the commands (RFC 2920 section 3.2).
    pub(super) fn next_recipient<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        if !self.batch_ended
            && let Some((used, path, parameters)) = self.peek_recipient(input)
        {
            return Step::Event(used, self.ask_recipient(path, parameters));
        }
        self.batch_ended = true;
        Step::Need(0, Need::Answer)
    }

    fn peek_recipient(&self, input: &[u8]) -> Option<(usize, ForwardPath, RcptParameters)> {
        let accepted = self
            .transaction
            .as_ref()
            .map_or(0, |transaction| transaction.accepted);
        let owed = self.candidates.len();
        if !matches!(self.owed, Owed::Rcpt)
            || owed >= limits::PIPELINED_RECIPIENTS
            || accepted + owed >= self.config.max_recipients
            || self.idle_commands > self.config.max_idle_commands
        {
            return None;
        }
        let limit = limits::COMMAND_LINE;
        let Found::Line { len } = LineFinder::default().find(input, limit, limit) else {
            return None;
        };
        match Command::parse(&input[..len]) {
            Ok(Command::Rcpt(path, parameters)) if parameters.is_empty() && path.is_ascii() => {
                Some((len + 2, path, parameters))
            }
            _ => None,
        }
    }

    /// Carries out a line. `alone` tells that nothing stands behind it in the input.
    fn execute<'a>(&mut self, line: &'a [u8], alone: bool) -> Result<Option<Event<'a>>, Violation> {
        let command = Command::parse(line);
        // RFC 5321 section 3.1: a client that was turned away may say QUIT and nothing else.
        if self.turned_away && command != Ok(Command::Quit) {
            self.bad(replies::TURNED_AWAY);
            return Ok(None);
        }
        let command = match command {
            Ok(command) => command,
            Err(error) => {
                self.refuse(line, &error);
                return Ok(None);
            }
        };
        if self.is_idling(&command) {
            return Ok(None);
        }
        let hooks = self.config.hooks;
        Ok(match command {
            // RFC 2033 section 4.1: LHLO takes the place of HELO and EHLO, each protocol knows its own only.
            Command::Helo(name) if !self.is_lmtp() => self.hello(false, name),
            Command::Ehlo(name) if !self.is_lmtp() => self.hello(true, name),
            Command::Lhlo(name) if self.is_lmtp() => self.hello(true, name),
            Command::Mail(path, parameters) => self.mail(path, parameters),
            Command::Rcpt(path, parameters) => self.rcpt(path, parameters),
            Command::Data => self.data(),
            Command::Rset => {
                self.transaction = None;
                self.outbox.text(replies::OK);
                hooks.has(Hooks::RESET).then_some(Event::Reset)
            }
            Command::Noop => {
                self.outbox.text(replies::OK);
                None
            }
            Command::Quit => {
                self.outbox.text(replies::BYE);
                self.close();
                hooks.has(Hooks::QUIT).then_some(Event::Quit)
            }
            Command::Vrfy(_) | Command::Expn(_) if self.refuses_strangers() => None,
            Command::Vrfy(argument) if hooks.has(Hooks::VERIFY) => {
                Some(self.ask(replies::CANNOT_VERIFY, Event::Verify(argument)))
            }
            // RFC 5321 section 7.3: neither yes nor no tells nobody who lives here.
            Command::Vrfy(_) => {
                self.outbox.text(replies::CANNOT_VERIFY);
                None
            }
            Command::Expn(argument) if hooks.has(Hooks::EXPAND) => {
                Some(self.ask(replies::CANNOT_VERIFY, Event::Expand(argument)))
            }
            Command::Help(argument) if hooks.has(Hooks::HELP) => {
                Some(self.ask(replies::HELP, Event::Help(argument)))
            }
            Command::Help(_) => {
                self.outbox.text(replies::HELP);
                None
            }
            Command::StartTls => return self.start_tls(alone),
            Command::Auth(mechanism, initial) => self.auth(mechanism, initial),
            Command::Expn(_)
            | Command::Obsolete(_)
            | Command::Bdat(_)
            | Command::Etrn(_)
            | Command::Xclient(_) => {
                self.bad(replies::NOT_IMPLEMENTED);
                None
            }
            Command::Unknown(verb, argument) if hooks.has(Hooks::UNKNOWN) => {
                Some(self.ask(replies::OK, Event::Unknown { verb, argument }))
            }
            Command::Helo(_) | Command::Ehlo(_) | Command::Lhlo(_) | Command::Unknown(..) => {
                self.bad(replies::UNKNOWN);
                None
            }
        })
    }

    /// Counts a command that brings no mail. If there were too many, its reply says so.
    fn is_idling(&mut self, command: &Command<'_>) -> bool {
        let brings_mail = match command {
            Command::Quit => return false,
            Command::Rcpt(..) => self.transaction.is_some(),
            _ => false,
        };
        self.count_idle(u32::from(!brings_mail))
    }

    fn count_idle(&mut self, commands: u32) -> bool {
        self.idle_commands = self.idle_commands.saturating_add(commands);
        let idling = self.idle_commands > self.config.max_idle_commands;
        if idling {
            self.outbox.text(replies::TOO_MANY_IDLE_COMMANDS);
            self.close();
        }
        idling
    }

    fn ask<'a>(&mut self, accepted: &'static str, event: Event<'a>) -> Event<'a> {
        self.owed = Owed::Other(accepted);
        event
    }

    fn hello<'a>(&mut self, extended: bool, name: &'a str) -> Option<Event<'a>> {
        if self.config.hooks.has(Hooks::HELLO) {
            self.owed = Owed::Hello {
                extended,
                name: name.to_owned(),
            };
            return Some(Event::Hello { extended, name });
        }
        self.welcome(extended, name.to_owned(), None);
        None
    }

    fn mail<'a>(
        &mut self,
        reverse_path: ReversePath,
        parameters: MailParameters,
    ) -> Option<Event<'a>> {
        if self.tls_missing() {
            self.bad(replies::TLS_NEEDED);
        } else if self.hello.is_none() {
            self.bad(self.hello_first());
        } else if self.auth_missing() {
            self.bad(replies::AUTH_NEEDED);
        } else if self.transaction.is_some() {
            // RFC 5321 section 4.1.4: the first sender stays.
            self.bad(replies::NESTED_MAIL);
        } else if !self.knows(&parameters) {
            self.bad(replies::UNKNOWN_PARAMETER);
        } else if !reverse_path.is_ascii() {
            self.outbox.text(replies::SENDER_NOT_ASCII);
        } else if self.is_too_big(parameters.size.unwrap_or(0)) {
            // RFC 1870 section 6.1.
            self.outbox.text(replies::TOO_BIG);
        } else {
            return self.ask_sender(reverse_path, parameters);
        }
        None
    }

    fn ask_sender<'a>(
        &mut self,
        reverse_path: ReversePath,
        parameters: MailParameters,
    ) -> Option<Event<'a>> {
        if self.config.hooks.has(Hooks::MAIL) {
            self.owed =
                Owed::Mail(Envelope::new(reverse_path.clone()).with_parameters(parameters.clone()));
            return Some(Event::Mail {
                reverse_path,
                parameters,
            });
        }
        self.begin(Envelope::new(reverse_path).with_parameters(parameters));
        self.outbox.text(replies::MAIL_OK);
        None
    }

    /// RFC 5321 section 4.1.1.11: what is not known is refused. RFC 4954 section 5: a server with AUTH knows AUTH=.
    fn knows(&self, parameters: &MailParameters) -> bool {
        let auth = self.config.has_auth();
        let none_of_others = !parameters.smtputf8
            && parameters.ret.is_none()
            && parameters.envid.is_none()
            && !parameters.requiretls
            && parameters.by.is_none()
            && parameters.priority.is_none()
            && parameters.hold.is_none()
            && parameters.others().is_empty();
        none_of_others
            && parameters.body != Some(BodyType::BinaryMime)
            && (auth || parameters.auth.is_none())
    }

    /// Opens a transaction.
    pub(super) fn begin(&mut self, envelope: Envelope) {
        self.transaction = Some(Transaction {
            envelope: Some(envelope),
            accepted: 0,
        });
    }

    // A client that pipelines sends RCPT and DATA whatever becomes of MAIL, so that they are not counted as bad when it was
    // refused.
    fn rcpt<'a>(&mut self, path: ForwardPath, parameters: RcptParameters) -> Option<Event<'a>> {
        if self.tls_missing() {
            self.outbox.text(replies::TLS_NEEDED);
            return None;
        }
        let Some(transaction) = &self.transaction else {
            self.outbox.text(self.mail_first());
            return None;
        };
        if !parameters.is_empty() {
            self.bad(replies::UNKNOWN_PARAMETER);
        } else if !path.is_ascii() {
            // Not bad, for it is this side that lacks what the address needs; but no mail either.
            self.idle_commands = self.idle_commands.saturating_add(1);
            self.outbox.text(replies::RECIPIENT_NOT_ASCII);
        } else if transaction.accepted >= self.config.max_recipients {
            // RFC 5321 section 4.5.3.1.10: the earlier ones stay.
            self.idle_commands = self.idle_commands.saturating_add(1);
            self.outbox.text(replies::TOO_MANY_RECIPIENTS);
        } else if self.config.hooks.has(Hooks::RCPT) {
            self.owed = Owed::Rcpt;
            self.batch_ended = false;
            return Some(self.ask_recipient(path, parameters));
        } else {
            self.add(Recipient::new(path).with_parameters(parameters));
            self.outbox.text(replies::RCPT_OK);
        }
        None
    }

    fn ask_recipient<'a>(&mut self, path: ForwardPath, parameters: RcptParameters) -> Event<'a> {
        self.candidates
            .push_back(Recipient::new(path.clone()).with_parameters(parameters.clone()));
        Event::Rcpt { path, parameters }
    }

    /// Accepts a recipient.
    pub(super) fn add(&mut self, recipient: Recipient) {
        if let Some(transaction) = &mut self.transaction {
            transaction.accepted += 1;
            if let Some(envelope) = &mut transaction.envelope {
                envelope.push(recipient);
            }
        }
    }

    fn data<'a>(&mut self) -> Option<Event<'a>> {
        if self.tls_missing() {
            self.outbox.text(replies::TLS_NEEDED);
        } else if self.transaction.is_none() {
            self.outbox.text(self.mail_first());
        } else if self.transaction.as_ref().is_some_and(|t| t.accepted == 0) {
            // RFC 5321 section 3.3 allows 503 and 554; RFC 2033 section 4.2 wants 503.
            self.outbox.text(replies::NO_RECIPIENT);
        } else if self.config.hooks.has(Hooks::DATA) {
            self.owed = Owed::Data;
            return Some(Event::Data);
        } else {
            self.outbox.text(replies::START_DATA);
            self.begin_body();
        }
        None
    }

    fn start_tls<'a>(&mut self, alone: bool) -> Result<Option<Event<'a>>, Violation> {
        if self.tls.is_some() {
            self.bad(replies::ALREADY_TLS);
        } else if !self.config.starttls {
            self.bad(replies::NOT_IMPLEMENTED);
        } else if self.transaction.is_some() {
            self.bad(replies::IN_TRANSACTION);
        } else if alone {
            self.outbox.text(replies::READY_FOR_TLS);
            self.state = State::Tls;
            return Ok(Some(Event::StartTls));
        } else {
            // What stands behind was sent in clear and wants to be taken for part of the protected session.
            self.outbox.text(replies::BEHIND_STARTTLS);
            self.close();
            return Err(Violation::BytesBehindStartTls);
        }
        Ok(None)
    }

    /// Answers a line that is no command.
    fn refuse(&mut self, line: &[u8], error: &CommandError) {
        let is = |verbs: &[&str]| {
            verbs.iter().any(|verb| {
                let start = line.get(..verb.len()).unwrap_or_default();
                start.eq_ignore_ascii_case(verb.as_bytes())
            })
        };
        match error {
            // Not bad, for it is this side that lacks what the address needs; but no mail either.
            CommandError::ReversePathNotUtf8 | CommandError::ForwardPathNotUtf8
                if self.count_idle(1) => {}
            CommandError::ReversePathNotUtf8 => self.outbox.text(replies::SENDER_NOT_ASCII),
            CommandError::ForwardPathNotUtf8 => self.outbox.text(replies::RECIPIENT_NOT_ASCII),
            CommandError::NotACommand => {
                // RFC 5321 section 4.1.2 forbids control characters in paths; a bare CR or LF makes it no line at all.
                let one_line = memchr::memchr2(b'\r', b'\n', line).is_none();
                self.bad(if one_line && is(&["MAIL "]) {
                    replies::CONTROL_IN_SENDER
                } else if one_line && is(&["RCPT "]) {
                    replies::CONTROL_IN_RECIPIENT
                } else {
                    replies::NOT_A_COMMAND
                });
            }
            // RFC 2034 section 4: no enhanced status code in any reply to HELO and EHLO.
            CommandError::Argument(_) if is(&["HELO", "EHLO", "LHLO"]) => {
                self.bad_because("501", error);
            }
            CommandError::Argument(_)
            | CommandError::Parameter(_)
            | CommandError::Chunk
            | CommandError::Attributes(_) => {
                self.bad_because("501 5.5.4", error);
            }
            CommandError::Address(_) if is(&["MAIL"]) => self.bad_because("501 5.1.7", error),
            CommandError::Address(_) => self.bad_because("501 5.1.3", error),
        }
    }

    fn bad_because(&mut self, codes: &str, error: &CommandError) {
        if self.count_bad() {
            self.outbox.explained(codes, error);
        }
    }

    /// Refuses VRFY and EXPN to those who may not send mail either.
    fn refuses_strangers(&mut self) -> bool {
        if self.tls_missing() {
            self.bad(replies::TLS_NEEDED);
        } else if self.auth_missing() {
            self.bad(replies::AUTH_NEEDED);
        } else {
            return false;
        }
        true
    }

    /// RFC 3207 section 4: a server may insist on TLS.
    pub(super) fn tls_missing(&self) -> bool {
        self.config.require_tls && self.tls.is_none()
    }

    /// RFC 4954 section 6: a server may insist on AUTH.
    fn auth_missing(&self) -> bool {
        self.config.require_auth && self.user.is_none()
    }

    pub(super) fn hello_first(&self) -> &'static str {
        if self.is_lmtp() {
            replies::LHLO_FIRST
        } else {
            replies::HELLO_FIRST
        }
    }

    fn mail_first(&self) -> &'static str {
        if self.auth_missing() && self.hello.is_some() {
            replies::AUTH_NEEDED
        } else {
            replies::MAIL_FIRST
        }
    }
}

/// The longest line that is taken for what this one seems to become.
fn line_limit(input: &[u8]) -> usize {
    match input.get(..5) {
        Some(verb) if verb.eq_ignore_ascii_case(b"AUTH ") => AUTH_COMMAND,
        _ => limits::COMMAND_LINE,
    }
}
