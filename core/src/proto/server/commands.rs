//! Commands: which of them fit where the session stands, and what they do (RFC 5321 sections 3 and 4.1).

use super::connection::{Line, Owed, State, Step};
use super::{Closing, Connection, Event, Extensions, Hooks, replies, strangers};
use crate::proto::{
    ClientAttributes, Command, CommandError, Extension, ForwardPath, Found, LineFinder, Need,
    RcptParameters, Violation,
};

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
            self.close(Closing::Violation);
            return Err(Violation::OtherProtocol(name));
        }
        let line = self.skipping().unwrap_or_else(|| seeming(input));
        self.secret_heard |= line == Line::Auth || is_auth(input);
        let too_long = match line {
            Line::Auth => replies::AUTH_LINE_TOO_LONG,
            _ => replies::LINE_TOO_LONG,
        };
        match self.find_line(input, line) {
            Found::More { used } => Ok(Step::Need(used, Need::More)),
            Found::TooLong { used } => {
                if line == Line::Chunk {
                    self.refuse_chunk_size();
                } else {
                    self.bad(too_long);
                }
                Ok(Step::Continue(used))
            }
            Found::Endless => {
                self.outbox.text(too_long);
                self.close(Closing::Violation);
                Err(Violation::CommandLineTooLong)
            }
            Found::Line { len, .. } if self.gives_message_up(&input[..len]) => {
                // The line is carried out once that was told.
                self.abandon_message();
                Ok(Step::Event(0, Event::Abandoned))
            }
            Found::Line { len, used } => {
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
        if !self.batch_has_room() {
            return None;
        }
        let limit = self.config.command_line;
        let mut finder = LineFinder::lenient(self.config.lenient_line_ends);
        let Found::Line { len, used } = finder.find(input, limit, limit) else {
            return None;
        };
        match self.parse(&input[..len]) {
            Ok(Command::Rcpt(path, parameters))
                if self.unfit_recipient(&path, &parameters).is_none() =>
            {
                Some((used, path, parameters))
            }
            _ => None,
        }
    }

    /// Whether a line ends a message of which chunks have come, and of which more were to come.
    fn gives_message_up(&self, line: &[u8]) -> bool {
        self.has_open_message()
            && match Command::parse(line) {
                Ok(Command::Rset | Command::Quit) => true,
                // Where the application is to judge a hello it cannot be asked now: see `hello`.
                Ok(_) if self.config.hooks.has(Hooks::HELLO) => false,
                Ok(Command::Helo(_) | Command::Ehlo(_)) => !self.is_lmtp(),
                Ok(Command::Lhlo(_)) => self.is_lmtp(),
                _ => false,
            }
    }

    /// RFC 5321 section 3.3 has no space behind the colon of `FROM:` and `TO:`. Many clients do.
    fn parse<'a>(&self, line: &'a [u8]) -> Result<Command<'a>, CommandError> {
        if self.config.strict_spaces {
            Command::parse_strictly(line)
        } else {
            Command::parse(line)
        }
    }

    /// Carries out a line. `alone` tells that nothing stands behind it in the input.
    fn execute<'a>(&mut self, line: &'a [u8], alone: bool) -> Result<Option<Event<'a>>, Violation> {
        let command = self.parse(line);
        // RFC 5321 section 3.1: a client that was turned away may say QUIT and nothing else.
        if self.turned_away {
            match &command {
                Ok(Command::Quit) | Err(CommandError::Chunk) => {}
                Ok(Command::Bdat(chunk)) => {
                    if !self.count_idle(1) {
                        self.turn_away_chunk(*chunk);
                    }
                    return Ok(None);
                }
                _ => {
                    self.bad(replies::TURNED_AWAY);
                    self.count_refused_line(line);
                    return Ok(None);
                }
            }
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
        // While a message comes in chunks its application has no ear for anything else.
        let hooks = if self.has_open_message() {
            Hooks::NONE
        } else {
            self.config.hooks
        };
        Ok(match command {
            // RFC 2033 section 4.1: LHLO takes the place of HELO and EHLO, each protocol knows its own only.
            Command::Helo(name) if !self.is_lmtp() => self.hello(false, name),
            Command::Ehlo(name) if !self.is_lmtp() => self.hello(true, name),
            Command::Lhlo(name) if self.is_lmtp() => self.hello(true, name),
            Command::Mail(path, parameters) => self.mail(path, parameters),
            Command::Rcpt(path, parameters) => self.rcpt(path, parameters),
            Command::Data => self.data(),
            Command::Bdat(chunk) => self.bdat(chunk),
            Command::Rset => {
                let had_transaction = self.transaction.take().is_some();
                self.outbox.text(replies::OK);
                (had_transaction && hooks.has(Hooks::RESET)).then_some(Event::Reset)
            }
            Command::Noop => {
                self.outbox.text(replies::OK);
                None
            }
            Command::Quit => {
                self.outbox.text(replies::BYE);
                self.close(Closing::Quit);
                hooks.has(Hooks::QUIT).then_some(Event::Quit)
            }
            Command::Vrfy(_) | Command::Expn(_) if self.refuses_strangers() => None,
            Command::Vrfy(argument) if hooks.has(Hooks::VERIFY) => {
                let argument = self.without_smtputf8(argument);
                Some(self.ask(replies::CANNOT_VERIFY, Event::Verify(argument)))
            }
            // RFC 5321 section 7.3: neither yes nor no tells nobody who lives here.
            Command::Vrfy(_) => {
                self.outbox.text(replies::CANNOT_VERIFY);
                None
            }
            Command::Expn(argument) if hooks.has(Hooks::EXPAND) => {
                let argument = self.without_smtputf8(argument);
                Some(self.ask(replies::CANNOT_VERIFY, Event::Expand(argument)))
            }
            Command::Expn(_) if self.config.hooks.has(Hooks::EXPAND) => {
                self.outbox.text(replies::CANNOT_VERIFY);
                None
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
            Command::Etrn(node) => self.etrn(node),
            Command::Xclient(attributes) => self.xclient(attributes),
            Command::Expn(_) | Command::Obsolete(_) => {
                self.bad(replies::NOT_IMPLEMENTED);
                None
            }
            Command::Unknown(verb, _) if self.is_busy_for(verb) => {
                self.outbox.text(replies::MESSAGE_BEGUN);
                None
            }
            Command::Unknown(verb, argument)
                if hooks.has(Hooks::UNKNOWN) || self.config.additions.has_verb(verb) =>
            {
                Some(self.ask(replies::OK, Event::Unknown { verb, argument }))
            }
            Command::Helo(_) | Command::Ehlo(_) | Command::Lhlo(_) | Command::Unknown(..) => {
                self.bad(replies::UNKNOWN);
                None
            }
        })
    }

    /// Counts a command that brings no mail. If there were too many, its reply says so. Of RCPT and of a chunk it turns out later:
    /// see [`count_refused`](Self::count_refused).
    fn is_idling(&mut self, command: &Command<'_>) -> bool {
        let brings_mail = match command {
            Command::Quit => return false,
            Command::Rcpt(..) => self.transaction.is_some(),
            Command::Bdat(chunk) => self.transaction.is_some() && chunk.size() > 0,
            _ => false,
        };
        self.count_idle(u32::from(!brings_mail))
    }

    fn count_idle(&mut self, commands: u32) -> bool {
        self.idle_commands = self.idle_commands.saturating_add(commands);
        let idling = self.idle_commands > self.config.max_idle_commands;
        if idling {
            self.outbox.text(replies::TOO_MANY_IDLE_COMMANDS);
            self.close(Closing::Limit);
        }
        idling
    }

    /// Counts a recipient or a chunk that might have brought mail and was refused. It has its reply: the next command is told if
    /// there were too many.
    pub(super) fn count_refused(&mut self) {
        self.idle_commands = self.idle_commands.saturating_add(1);
    }

    fn ask<'a>(&mut self, accepted: &'static str, event: Event<'a>) -> Event<'a> {
        self.owed = Owed::Other(accepted);
        event
    }

    /// ETRN (RFC 1985).
    fn etrn<'a>(&mut self, node: &'a str) -> Option<Event<'a>> {
        if !self.config.hooks.has(Hooks::ETRN) {
            self.bad(replies::NOT_IMPLEMENTED);
        } else if self.refuses_strangers() {
        } else if self.hello.is_none() {
            self.bad(self.hello_first());
        } else if self.transaction.is_some() {
            self.bad(replies::IN_TRANSACTION);
        } else {
            return Some(self.ask(replies::QUEUE_STARTED, Event::Etrn(node)));
        }
        None
    }

    /// XCLIENT: all that was learnt from the proxy is forgotten, and the client behind it is greeted.
    fn xclient<'a>(&mut self, attributes: Box<ClientAttributes>) -> Option<Event<'a>> {
        if !self.trusted {
            self.bad(replies::NOT_TRUSTED);
            return None;
        }
        if self.transaction.is_some() {
            self.bad(replies::IN_TRANSACTION);
            return None;
        }
        self.hello = None;
        self.extended = false;
        // RFC 4422 appendix A and RFC 5802 section 6: the certificate and the channel are the proxy's, and not its client's to use.
        self.speaks_for_another = true;
        if let Some(tls) = self.tls.take() {
            self.tls = Some(self.shown_to_client(tls));
        }
        if let Some(login) = &attributes.login {
            self.told_user = login.known().map(|user| user.to_string().into());
        }
        // What the proxy itself has proven is not for its client to use.
        self.user.clone_from(&self.told_user);
        self.anonymous = false;
        self.bad_commands = 0;
        self.idle_commands = 0;
        self.logins.begin_client();
        self.transactions = 0;
        self.recipient_domains.clear();
        self.state = State::Start;
        Some(Event::Client(attributes))
    }

    /// Whether a verb of the application's own must wait for the end of a message that comes in chunks.
    fn is_busy_for(&self, verb: &str) -> bool {
        self.has_open_message()
            && (self.config.hooks.has(Hooks::UNKNOWN) || self.config.additions.has_verb(verb))
    }

    /// RFC 6531 section 3.7.4.2: VRFY and EXPN may say that the client takes letters outside ASCII. The replies have none.
    fn without_smtputf8<'a>(&self, argument: &'a str) -> &'a str {
        let word = argument
            .rsplit_once(' ')
            .filter(|(_, last)| last.eq_ignore_ascii_case("SMTPUTF8"));
        match word {
            Some((rest, _)) if self.offers(Extension::SmtpUtf8) => rest.trim_ascii_end(),
            _ => argument,
        }
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
            self.close(Closing::Violation);
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
            CommandError::ReversePathNotUtf8 if self.offers(Extension::SmtpUtf8) => {
                self.bad_because("501 5.1.7", error);
            }
            CommandError::ForwardPathNotUtf8 if self.offers(Extension::SmtpUtf8) => {
                self.bad_because("501 5.1.3", error);
            }
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
            CommandError::Chunk if self.config.extensions.has(Extensions::CHUNKING) => {
                self.refuse_chunk_size();
            }
            CommandError::Chunk => {
                self.outbox.text(replies::NOT_IMPLEMENTED);
                self.close(Closing::Violation);
            }
            CommandError::Attributes(_) if !self.trusted => self.bad(replies::NOT_TRUSTED),
            CommandError::Argument(_) if is(&["ETRN"]) && !self.config.hooks.has(Hooks::ETRN) => {
                self.bad(replies::NOT_IMPLEMENTED);
            }
            CommandError::Argument(_)
            | CommandError::Parameter(_)
            | CommandError::Attributes(_) => {
                self.bad_because("501 5.5.4", error);
            }
            CommandError::Address(_) if is(&["MAIL"]) => self.bad_because("501 5.1.7", error),
            CommandError::Address(_) => self.bad_because("501 5.1.3", error),
        }
        self.count_refused_line(line);
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
    pub(super) fn auth_missing(&self) -> bool {
        self.config.require_auth && self.user.is_none()
    }

    pub(super) fn hello_first(&self) -> &'static str {
        if self.is_lmtp() {
            replies::LHLO_FIRST
        } else {
            replies::HELLO_FIRST
        }
    }

    pub(super) fn mail_first(&self) -> &'static str {
        if self.auth_missing() && self.hello.is_some() {
            replies::AUTH_NEEDED
        } else {
            replies::MAIL_FIRST
        }
    }
}

/// Whether this is a line of AUTH, or may become one.
fn is_auth(input: &[u8]) -> bool {
    input
        .get(..4)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH"))
}

/// What this line seems to become.
fn seeming(input: &[u8]) -> Line {
    match input.get(..5) {
        Some(verb) if !b" \t".contains(&verb[4]) => Line::Command,
        Some(verb) if verb[..4].eq_ignore_ascii_case(b"AUTH") => Line::Auth,
        Some(verb) if verb[..4].eq_ignore_ascii_case(b"BDAT") => Line::Chunk,
        _ => Line::Command,
    }
}
