//! AUTH (RFC 4954): the command, the lines of its exchange, and the verdict.

use super::connection::{Line, Owed, State, Step};
use super::{Closing, Connection, Event, NotOwed, replies};
use crate::proto::{Found, InitialResponse, Need, Reply, Violation};
use crate::sasl::{
    self, Credentials, Decoy, Identity, MAX_RESPONSE, Mechanism, Nonce, Proof, SaslError, Secret,
    ServerContext, ServerExchange, base64,
};

/// How the logins of a connection have ended.
#[derive(Debug, Default)]
pub(super) struct Logins {
    /// The exchanges that were begun.
    begun: u32,
    succeeded: u32,
    failed: u32,
    /// The one that failed last was not judged by anybody, and nobody has asked about it since.
    unjudged: bool,
    /// Those that had failed when XCLIENT told of another client.
    failed_of_others: u32,
}

impl Logins {
    /// The peer speaks for another client from now on.
    pub(super) fn begin_client(&mut self) {
        self.failed_of_others = self.failed;
    }
}

impl Connection {
    /// How many logins have failed on this connection, also before XCLIENT: a driver may see a failure only together with the
    /// XCLIENT that came behind it.
    pub fn auth_failures(&self) -> u32 {
        self.logins.failed
    }

    /// Whether one of these, since this was asked last, is one that nobody could judge: whoever was asked, or a mechanism of the
    /// application's own, was at fault.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn take_unjudged(&mut self) -> bool {
        std::mem::take(&mut self.logins.unjudged)
    }

    /// The login about which an answer is owed could not be judged: for the connection it counts like one that has failed, for it
    /// costs as much. A login that was not to be judged is answered the same, so that only the driver knows.
    pub(crate) fn count_unjudged_login(&mut self) {
        self.logins.unjudged = true;
        self.auth_failed();
    }

    /// How many logins have succeeded on this connection.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn auth_successes(&self) -> u32 {
        self.logins.succeeded
    }

    /// The number of the exchange of AUTH that is going on, if there is one.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn exchange(&self) -> Option<u32> {
        let goes_on = matches!(
            self.state,
            State::Auth(_) | State::AuthStep(_) | State::AuthRefused(_)
        ) || matches!(
            self.owed,
            Owed::Auth { .. }
                | Owed::Nonce { .. }
                | Owed::Lookup(_)
                | Owed::OwnMechanism { .. }
                | Owed::OwnVerdict(_)
        );
        goes_on.then_some(self.logins.begun)
    }

    /// The AUTH command.
    pub(super) fn auth<'a>(
        &mut self,
        mechanism: &str,
        initial: Option<InitialResponse<'_>>,
    ) -> Option<Event<'a>> {
        if !self.config.has_auth() {
            self.bad(replies::NOT_IMPLEMENTED);
        } else if self.tls_missing() {
            self.bad(replies::TLS_NEEDED);
        } else if self.hello.is_none() {
            self.bad(self.hello_first());
        } else if self.user.is_some() {
            self.bad(replies::ALREADY_AUTHENTICATED);
        } else if self.transaction.is_some() {
            self.bad(replies::IN_TRANSACTION);
        } else if self.logins.failed - self.logins.failed_of_others >= self.config.max_auth_failures
        {
            self.outbox.text(replies::TOO_MANY_AUTH_FAILURES);
            self.close(Closing::Limit);
        } else {
            return self.begin_mechanism(mechanism, initial.map(InitialResponse::expose));
        }
        None
    }

    fn begin_mechanism<'a>(&mut self, name: &str, initial: Option<&str>) -> Option<Event<'a>> {
        self.logins.begun = self.logins.begun.wrapping_add(1);
        let tls = self.tls.as_ref();
        if let Some((own, usable)) = self.config.own_mechanism(name, tls) {
            if usable {
                let exchange = own.begin(&self.context());
                let initial = self.decoded(initial).ok()?;
                self.owed = Owed::OwnMechanism { exchange, initial };
                return Some(Event::OwnMechanism);
            }
            self.bad(replies::TLS_NEEDED_TO_AUTH);
            return None;
        }
        let known = Mechanism::from_name(name).filter(|m| self.config.mechanisms.contains(m));
        match known {
            Some(mechanism) if self.config.allows(mechanism, tls) => {
                if !mechanism.needs_nonce() {
                    let exchange = ServerExchange::new(mechanism, &self.context());
                    return self.begin_exchange(exchange, initial);
                }
                let initial = self.decoded(initial).ok()?;
                self.owed = Owed::Nonce { mechanism, initial };
                return Some(Event::Nonce);
            }
            // RFC 4954 section 6.
            Some(_) if tls.is_none() => self.bad(replies::TLS_NEEDED_TO_AUTH),
            // Not offered here: the client showed no certificate, or this TLS has nothing to bind to.
            Some(_) | None => self.bad(replies::UNKNOWN_MECHANISM),
        }
        None
    }

    /// The initial response if there is one. Of an error the client has been told.
    fn decoded(&mut self, initial: Option<&str>) -> Result<Option<Secret>, SaslError> {
        let initial = initial.map(|text| base64::decode_initial_response(text.as_bytes()));
        let initial = initial.transpose();
        if initial.is_err() {
            self.bad(replies::NOT_BASE64);
        }
        initial
    }

    /// What is lent to an exchange besides a nonce.
    fn context(&self) -> ServerContext {
        let tls = self.tls.as_ref();
        // RFC 5802 section 6: of whichever hash it is, a client that has seen it knows that this server binds to TLS.
        let mut bound = Mechanism::PLUS.into_iter();
        let offered = bound.any(|bound| self.config.allows(bound, tls));
        ServerContext::default()
            .with_channel_binding(tls.and_then(|tls| tls.exporter().copied()), offered)
            .with_certificate(tls.and_then(|tls| tls.peer_certificate().map(<[u8]>::to_vec)))
            .with_host(self.config.hostname.as_str())
    }

    fn begin_exchange<'a>(
        &mut self,
        exchange: Result<ServerExchange, SaslError>,
        initial: Option<&str>,
    ) -> Option<Event<'a>> {
        let Ok(mut exchange) = exchange else {
            self.bad(replies::UNKNOWN_MECHANISM);
            return None;
        };
        if let Some(initial) = initial {
            let step = base64::decode_initial_response(initial.as_bytes())
                .and_then(|response| exchange.initial_response(response.expose()));
            return self.advance(exchange, step);
        }
        self.challenge_first(exchange);
        None
    }

    /// Lends the nonce that [`Event::Nonce`] has asked for. Fails, and does nothing, if none is owed.
    pub fn lend_nonce(&mut self, nonce: Nonce) -> Result<(), NotOwed> {
        let (mechanism, initial) = match std::mem::take(&mut self.owed) {
            Owed::Nonce { mechanism, initial } => (mechanism, initial),
            other => {
                self.owed = other;
                return Err(NotOwed);
            }
        };
        let context = self.context().with_nonce(nonce);
        match ServerExchange::new(mechanism, &context) {
            Ok(exchange) => self.set_off(exchange, initial),
            Err(_) => self.bad(replies::UNKNOWN_MECHANISM),
        }
        self.say_farewell();
        Ok(())
    }

    /// An exchange begins that had to wait for an answer.
    pub(super) fn set_off(&mut self, mut exchange: ServerExchange, initial: Option<Secret>) {
        match initial {
            Some(initial) => {
                let step = exchange.initial_response(initial.expose());
                self.state = State::AuthStep(Box::new((exchange, step)));
            }
            None => self.challenge_first(exchange),
        }
    }

    /// No initial response came.
    fn challenge_first(&mut self, mut exchange: ServerExchange) {
        match exchange.first_challenge() {
            Ok(challenge) => self.challenge(&challenge, State::Auth(exchange)),
            Err(error) => self.conclude(Err(error)),
        }
    }

    /// Supplies what was found of the user that [`Event::Lookup`] has asked for. `decoy` makes up what was not, so that the client
    /// cannot tell. Fails, and does nothing, if nothing is owed.
    pub fn supply(&mut self, found: sasl::Found, decoy: &Decoy) -> Result<(), NotOwed> {
        match std::mem::take(&mut self.owed) {
            Owed::Lookup(mut exchange) => {
                let step = exchange.found(found, decoy);
                self.state = State::AuthStep(Box::new((exchange, step)));
                self.say_farewell();
                Ok(())
            }
            other => {
                self.owed = other;
                Err(NotOwed)
            }
        }
    }

    /// A nonce, a user, or leave to begin was asked for and an answer came: the exchange cannot go on.
    pub(super) fn not_supplied(&mut self, reply: Option<Reply>) {
        let reply = reply
            .filter(|reply| !reply.is_positive())
            .unwrap_or(replies::UNFIT_ANSWER);
        if reply.is_permanent() {
            self.auth_failed();
        }
        self.say(&reply);
    }

    /// A line of the exchange.
    pub(super) fn auth_line<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, Violation> {
        self.secret_heard |= !input.is_empty();
        let (len, used) = match self.find_line(input, Line::Exchange) {
            Found::More { used } => return Ok(Step::Need(used, Need::More)),
            Found::Line { len, used } => (len, used),
            Found::TooLong { used } => {
                self.state = State::Command;
                self.bad(replies::AUTH_LINE_TOO_LONG);
                return Ok(Step::Continue(used));
            }
            Found::Endless => {
                self.outbox.text(replies::AUTH_LINE_TOO_LONG);
                self.close(Closing::Violation);
                return Err(Violation::CommandLineTooLong);
            }
        };
        let mut exchange = match std::mem::replace(&mut self.state, State::Command) {
            State::Auth(exchange) => exchange,
            // Whatever the client says to it (RFC 7628 section 3.2.3).
            State::AuthRefused(reply) => {
                self.say(&reply);
                return Ok(Step::Continue(used));
            }
            other => {
                self.state = other;
                return Ok(Step::Continue(0));
            }
        };
        let line = &input[..len];
        if line == b"*" {
            // RFC 4954 section 4: the client gives up.
            self.bad(replies::AUTH_CANCELLED);
            return Ok(Step::Continue(used));
        }
        let step = base64::decode(line).and_then(|response| exchange.step(response.expose()));
        let event = self.advance(exchange, step);
        Ok(event.map_or(Step::Continue(used), |event| Step::Event(used, event)))
    }

    /// What came of a nonce or a user that was supplied.
    pub(super) fn auth_step<'a>(&mut self) -> Step<'a> {
        match std::mem::replace(&mut self.state, State::Command) {
            State::AuthStep(next) => {
                let (exchange, step) = *next;
                let event = self.advance(exchange, step);
                event.map_or(Step::Continue(0), |event| Step::Event(0, event))
            }
            other => {
                self.state = other;
                Step::Continue(0)
            }
        }
    }

    /// The exchange goes on or is over.
    fn advance<'a>(
        &mut self,
        mut exchange: ServerExchange,
        mut step: Result<sasl::Step, SaslError>,
    ) -> Option<Event<'a>> {
        // Asked about both alike: a lockout of the right ones alone would tell which these are.
        if is_verdict(&step) {
            match exchange.username() {
                Ok(Some(username)) => {
                    self.owed = Owed::OwnVerdict(Box::new(step));
                    return Some(Event::OwnVerdict { username });
                }
                Ok(None) => {}
                Err(error) => step = Err(error),
            }
        }
        match step {
            Ok(sasl::Step::Challenge(challenge)) => {
                self.challenge(&challenge, State::Auth(exchange));
            }
            Ok(sasl::Step::Lookup(lookup)) if self.may_act(lookup.identity()) => {
                self.owed = Owed::Lookup(exchange);
                return Some(Event::Lookup(lookup));
            }
            Ok(sasl::Step::Credentials(credentials)) => {
                return self.ask_credentials(exchange, credentials);
            }
            other => self.conclude(other),
        }
        None
    }

    /// The exchange is over, and nobody is asked any more: its client is told how.
    pub(super) fn conclude(&mut self, verdict: Result<sasl::Step, SaslError>) {
        match verdict {
            // RFC 4422 section 3.4.1: to act as somebody else has to be allowed, and nobody was asked.
            Ok(sasl::Step::Proven(identity)) if self.may_act(&identity) => {
                self.auth_succeeded(identity.username());
                self.outbox.text(replies::AUTHENTICATED);
            }
            Ok(_) | Err(SaslError::Credentials(_) | SaslError::Rejected(_)) => {
                self.auth_failed();
                self.outbox.text(replies::BAD_CREDENTIALS);
            }
            // RFC 4954 section 6.
            Err(SaslError::Unavailable) => {
                self.count_unjudged_login();
                self.outbox.text(replies::CANNOT_AUTHENTICATE);
            }
            Err(SaslError::TooLong) => self.bad(replies::AUTH_LINE_TOO_LONG),
            Err(SaslError::NoInitialResponse) => self.bad(replies::NO_INITIAL_RESPONSE),
            Err(_) => self.bad(replies::NOT_BASE64),
        }
    }

    fn may_act(&self, identity: &Identity) -> bool {
        let wanted = identity.authorization_identity();
        self.config.other_identities || wanted.is_none_or(|wanted| wanted == identity.username())
    }

    fn ask_credentials<'a>(
        &mut self,
        exchange: ServerExchange,
        credentials: Credentials,
    ) -> Option<Event<'a>> {
        let wanted = credentials.authorization_identity().map(ToOwned::to_owned);
        let identity = Identity::new(credentials.username(), wanted);
        let username = match (credentials.proof(), identity.authorization_identity()) {
            // Who the owner of a certificate is, only the application knows: it is asked whether it may be who it wants to be.
            (Proof::Certificate, Some(wanted)) => wanted,
            (Proof::Nothing, _) => "anonymous",
            _ if self.may_act(&identity) => identity.username(),
            _ => {
                self.auth_failed();
                self.outbox.text(replies::BAD_CREDENTIALS);
                return None;
            }
        };
        self.owed = Owed::Auth {
            username: username.to_owned(),
            anonymous: credentials.proof() == Proof::Nothing,
            exchange,
        };
        Some(Event::Auth { credentials })
    }

    /// The application's verdict on the credentials.
    pub(super) fn judged(
        &mut self,
        username: &str,
        mut exchange: ServerExchange,
        reply: Option<Reply>,
    ) {
        match reply {
            Some(reply) if reply.is_permanent() => {
                self.auth_failed();
                match exchange.refused().filter(fits_into_a_line) {
                    Some(challenge) => {
                        self.challenge(&challenge, State::AuthRefused(Box::new(reply)));
                    }
                    None => self.say(&reply),
                }
            }
            Some(reply) if !reply.is_positive() => self.say(&reply),
            reply => {
                self.auth_succeeded(username);
                match reply.filter(|reply| reply.code() == 235) {
                    Some(reply) => self.say(&reply),
                    None => self.outbox.text(replies::AUTHENTICATED),
                }
            }
        }
    }

    fn auth_succeeded(&mut self, username: &str) {
        self.logins.succeeded = self.logins.succeeded.saturating_add(1);
        self.user = Some(username.into());
    }

    fn auth_failed(&mut self) {
        self.logins.failed = self.logins.failed.saturating_add(1);
    }

    /// Sends a challenge, behind which the session stands at `then`. If no line has room for it, the application's own mechanism
    /// is at fault, and the exchange is over.
    fn challenge(&mut self, challenge: &Secret, then: State) {
        if fits_into_a_line(challenge) {
            self.outbox
                .challenge(base64::encode(challenge.expose()).expose());
            self.state = then;
        } else {
            self.say(&replies::UNFIT_ANSWER);
        }
    }
}

/// Whether a mechanism has judged by itself.
fn is_verdict(step: &Result<sasl::Step, SaslError>) -> bool {
    matches!(
        step,
        Ok(sasl::Step::Proven(_)) | Err(SaslError::Credentials(_) | SaslError::Rejected(_))
    )
}

/// RFC 4954 section 4.
fn fits_into_a_line(challenge: &Secret) -> bool {
    challenge.expose().len() <= MAX_RESPONSE
}
