//! AUTH (RFC 4954): the command, the lines of its exchange, and the verdict.

use super::connection::{Owed, State, Step};
use super::{Connection, Event, replies};
use crate::proto::{Found, Need, Reply, Violation, limits};
use crate::sasl::{Credentials, Mechanism, SaslError, Secret, ServerExchange, base64};

impl Connection {
    /// The AUTH command.
    pub(super) fn auth<'a>(&mut self, mechanism: &str, initial: Option<&str>) -> Option<Event<'a>> {
        let known = Mechanism::from_name(mechanism).filter(|m| self.config.mechanisms.contains(m));
        if self.config.mechanisms.is_empty() {
            self.bad(replies::NOT_IMPLEMENTED);
        } else if self.tls_missing() {
            self.bad(replies::TLS_NEEDED);
        } else if self.hello.is_none() {
            self.bad(self.hello_first());
        } else if self.user.is_some() {
            self.bad(replies::ALREADY_AUTHENTICATED);
        } else if self.transaction.is_some() {
            self.bad(replies::IN_TRANSACTION);
        } else if self.auth_failures >= self.config.max_auth_failures {
            self.outbox.text(replies::TOO_MANY_AUTH_FAILURES);
            self.close();
        } else if let Some(mechanism) = known {
            if self.config.allows(mechanism, self.tls.is_some()) {
                return self.begin_exchange(ServerExchange::new(mechanism), initial);
            }
            // RFC 4954 section 6.
            self.bad(replies::TLS_NEEDED_TO_AUTH);
        } else {
            self.bad(replies::UNKNOWN_MECHANISM);
        }
        None
    }

    fn begin_exchange<'a>(
        &mut self,
        exchange: ServerExchange,
        initial: Option<&str>,
    ) -> Option<Event<'a>> {
        if let Some(initial) = initial {
            let response = base64::decode_initial_response(initial.as_bytes());
            return self.respond_to(exchange, response);
        }
        self.challenge(exchange.first_challenge());
        self.state = State::Auth(exchange);
        None
    }

    /// A line of the exchange.
    pub(super) fn auth_line<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Violation> {
        let (len, used) = match self.find_line(input, limits::AUTH_LINE) {
            Found::More { used } => return Ok(Step::Need(used, Need::More)),
            Found::Line { len } => (len, len + 2),
            Found::TooLong { used } => {
                self.state = State::Command;
                self.bad(replies::AUTH_LINE_TOO_LONG);
                return Ok(Step::Continue(used));
            }
            Found::Endless => {
                self.outbox.text(replies::AUTH_LINE_TOO_LONG);
                self.close();
                return Err(Violation::CommandLineTooLong);
            }
        };
        let State::Auth(exchange) = std::mem::replace(&mut self.state, State::Command) else {
            return Ok(Step::Continue(0));
        };
        let line = &input[..len];
        if line == b"*" {
            // RFC 4954 section 4: the client gives up.
            self.bad(replies::AUTH_CANCELLED);
            return Ok(Step::Continue(used));
        }
        let event = self.respond_to(exchange, base64::decode(line));
        Ok(event.map_or(Step::Continue(used), |event| Step::Event(used, event)))
    }

    /// The next step of the exchange, which goes on or is over.
    fn respond_to<'a>(
        &mut self,
        mut exchange: ServerExchange,
        response: Result<Secret, SaslError>,
    ) -> Option<Event<'a>> {
        match response.and_then(|response| exchange.step(response.expose())) {
            Ok(crate::sasl::Step::Challenge(challenge)) => {
                self.challenge(challenge);
                self.state = State::Auth(exchange);
                None
            }
            Ok(crate::sasl::Step::Credentials(credentials)) => self.ask_credentials(credentials),
            Err(SaslError::Credentials(_)) => {
                self.auth_failed();
                self.outbox.text(replies::BAD_CREDENTIALS);
                None
            }
            Err(SaslError::TooLong) => {
                self.bad(replies::AUTH_LINE_TOO_LONG);
                None
            }
            Err(_) => {
                self.bad(replies::NOT_BASE64);
                None
            }
        }
    }

    fn ask_credentials<'a>(&mut self, credentials: Credentials) -> Option<Event<'a>> {
        let other = credentials
            .authorization_identity()
            .is_some_and(|identity| identity != credentials.username());
        if other && !self.config.other_identities {
            // RFC 4616 section 2: to act as somebody else has to be allowed, and nobody was asked.
            self.auth_failed();
            self.outbox.text(replies::BAD_CREDENTIALS);
            return None;
        }
        self.owed = Owed::Auth {
            username: credentials.username().to_owned(),
        };
        Some(Event::Auth { credentials })
    }

    /// The application's verdict on the credentials.
    pub(super) fn judged(&mut self, username: String, reply: Option<Reply>) {
        match reply {
            Some(reply) if !reply.is_positive() => {
                if reply.is_permanent() {
                    self.auth_failed();
                }
                self.say(&reply);
            }
            reply => {
                self.user = Some(username);
                match reply.filter(|reply| reply.code() == 235) {
                    Some(reply) => self.say(&reply),
                    None => self.outbox.text(replies::AUTHENTICATED),
                }
            }
        }
    }

    fn auth_failed(&mut self) {
        self.auth_failures = self.auth_failures.saturating_add(1);
    }

    fn challenge(&mut self, challenge: &[u8]) {
        self.outbox.challenge(base64::encode(challenge).expose());
    }
}
