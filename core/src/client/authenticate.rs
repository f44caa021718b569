//! AUTH on a connection: the choice of a mechanism, what it is lent, and what its end means.

use super::advice::login_advice;
use super::connection::{Connection, Step};
use super::limits::longest_wait;
use super::login::{OwnMechanism, Source, TokenRequest};
use super::options::ServerAddress;
use super::provider::Provider;
use crate::error::{Error, Phase, Status};
use crate::net;
use crate::proto::Reply;
use crate::proto::client::Event;
use crate::sasl::{
    ChannelBinding, ClientContext, ClientExchange, Credentials, Mechanism, Nonce, SaslError,
    ScramHash, base64,
};
use crate::tls;
use crate::transcript::Kind;

/// What was chosen.
#[derive(Clone, Copy)]
enum Choice {
    /// The application's own mechanism with this index.
    Own(usize),
    Known(Mechanism),
}

/// What a challenge of SCRAM is salted with.
struct Salting {
    hash: ScramHash,
    credentials: Credentials,
}

impl Salting {
    /// What there is to do before `input` is read, if it is such a challenge.
    fn work(&self, input: &[u8]) -> Option<impl FnOnce() + Send + use<>> {
        let line = input.strip_prefix(b"334 ")?.strip_suffix(b"\r\n")?;
        let challenge = base64::decode(line).ok()?;
        self.credentials.salting(self.hash, challenge.expose())
    }
}

impl Connection {
    /// Logs in. A token that is refused is replaced once by a new one; nothing else is tried twice, and no weaker mechanism after a
    /// stronger one has failed.
    pub(super) async fn authenticate(&mut self) -> Result<(), Error> {
        let choice = self.choose_mechanism()?;
        let mut refused = false;
        loop {
            let (exchange, salting) = self.begin_exchange(choice, refused).await?;
            let mechanism = exchange.name().to_owned();
            self.machine.auth(exchange).map_err(|e| self.misuse(e))?;
            let step = match self.auth_step(salting.as_ref()).await {
                Ok(step) => step,
                Err(error) => return Err(self.explained(error)),
            };
            let has_more = matches!(self.options.login.source, Some(Source::Tokens(_)));
            match step {
                Step::Event(Event::Auth(reply)) if reply.code() == 235 => {
                    self.record.session.note(|| Kind::LoggedIn { mechanism });
                    return Ok(());
                }
                Step::Event(Event::Auth(reply))
                    if reply.code() == 535 && has_more && !refused && self.has_told_us() =>
                {
                    refused = true;
                }
                Step::Event(Event::Auth(reply)) => return Err(self.auth_refused(reply)),
                step => return Err(self.out_of_order(Phase::Auth, &step)),
            }
        }
    }

    /// As [`step`](Self::step). What SCRAM computes for long is done aside, so that it holds up nothing else of an async program and
    /// counts as time that a login takes.
    async fn auth_step(&mut self, salting: Option<&Salting>) -> Result<Step, Error> {
        loop {
            if let Some(salting) = salting
                && let Some(work) = salting.work(self.leftover())
            {
                let aside = async { Ok(tokio::task::spawn_blocking(work).await) };
                let limit = longest_wait(Phase::Auth, self.options.timeout);
                // Undone, it is done when it is needed.
                let _ = net::limit(Phase::Auth, limit, self.deadline, aside)
                    .await
                    .map_err(|error| self.fail(error.at(Phase::Auth)))?;
            }
            match self.take_step()? {
                Some(step @ Step::Event(_)) => return Ok(step),
                step => {
                    self.write(&[], &[]).await?;
                    match step {
                        Some(step) => return Ok(step),
                        None => self.read().await?,
                    }
                }
            }
        }
    }

    /// Whether the refusal is the server's own, and no end that this side has made.
    fn has_told_us(&self) -> bool {
        matches!(
            self.machine.auth_failure(),
            None | Some(SaslError::Server(_))
        )
    }

    fn auth_refused(&self, reply: Reply) -> Error {
        let status = match reply.code() {
            _ if !self.has_told_us() => Status::Protocol,
            504 | 534 => Status::AuthMechanism,
            538 => Status::AuthInsecure,
            _ => Status::AuthRejected,
        };
        let text = match self.machine.auth_failure() {
            Some(_) if status == Status::Protocol => "the login was given up",
            _ => login_advice(self.options.login.proof(), &reply),
        };
        let error = Error::new(status, text).at(Phase::Auth).with_reply(reply);
        self.fail(self.advised(self.explained(error)))
    }

    /// The error with what is known of this provider's logins.
    fn advised(&self, error: Error) -> Error {
        let advice = match error.status() {
            Status::AuthRejected | Status::AuthMechanism => {
                self.options.provider().and_then(Provider::login_advice)
            }
            _ => None,
        };
        match advice {
            Some(advice) => error.with_more(&format!("; {advice}")),
            None => error,
        }
    }

    /// The error with what is known besides the reply.
    fn explained(&self, error: Error) -> Error {
        match self.machine.auth_failure() {
            Some(failure) => error
                .with_more(&format!(": {failure}"))
                .with_source(failure.clone()),
            None => error,
        }
    }

    async fn begin_exchange(
        &mut self,
        choice: Choice,
        refused: bool,
    ) -> Result<(ClientExchange, Option<Salting>), Error> {
        let mechanism = match choice {
            Choice::Known(mechanism) => mechanism,
            Choice::Own(index) => {
                let exchange = self
                    .options
                    .login
                    .own
                    .get(index)
                    .and_then(OwnMechanism::begin);
                return exchange.map(|exchange| (exchange, None)).ok_or_else(|| {
                    let text = "an own mechanism has another name than it was added by";
                    self.fail(Error::new(Status::Misuse, text).at(Phase::Auth))
                });
            }
        };
        let credentials = self.credentials(refused).await?;
        self.machine.conceal(credentials.password());
        let context = self.context(mechanism)?;
        let exchange = ClientExchange::new(mechanism, &credentials, &context).map_err(|error| {
            let text = error.to_string();
            self.fail(
                Error::new(Status::AuthMechanism, text)
                    .at(Phase::Auth)
                    .with_source(error),
            )
        })?;
        let hash = mechanism.scram_hash().filter(|_| !self.options.one_thread);
        Ok((exchange, hash.map(|hash| Salting { hash, credentials })))
    }

    async fn credentials(&self, refused: bool) -> Result<Credentials, Error> {
        let no_token = |why: &dyn std::fmt::Display| {
            Error::new(
                Status::AuthRequired,
                format!("no token to log in with: {why}"),
            )
        };
        match &self.options.login.source {
            Some(Source::Known(credentials)) => Ok(credentials.clone()),
            Some(Source::Tokens(tokens)) => {
                let fetching = async {
                    tokens
                        .fetch(TokenRequest { refused })
                        .await
                        .map_err(|why| no_token(&why).with_source(why))
                };
                let limit = longest_wait(Phase::Auth, self.options.timeout);
                net::limit(Phase::Auth, limit, self.deadline, fetching)
                    .await
                    .map_err(|error| self.fail(error.at(Phase::Auth)))
            }
            None => Err(self.fail(no_token(&"there is no source").at(Phase::Auth))),
        }
    }

    /// What the exchange is lent.
    fn context(&self, mechanism: Mechanism) -> Result<ClientContext, Error> {
        let exporter = self.tls().and_then(|tls| tls.exporter().copied());
        // RFC 5802 section 6: `y` says that the server binds to nothing, and one that does has to refuse who says so. So it is not
        // said to one that offers a -PLUS of another hash, which would have been taken if the caller allowed it. Nor if the caller
        // named its mechanisms and no -PLUS one, for it wants none.
        let binding = match (exporter, mechanism.with_channel_binding()) {
            (Some(octets), None) => ChannelBinding::Exporter(octets),
            (Some(_), Some(bound))
                if self.options.login.allows(bound) && !self.offers_binding() =>
            {
                ChannelBinding::NotOffered
            }
            _ => ChannelBinding::Impossible,
        };
        let nonce = tls::random().map_err(|error| self.fail(error.at(Phase::Auth)))?;
        let context = ClientContext::default()
            .with_nonce(Nonce::new(nonce))
            .with_channel_binding(binding);
        Ok(match &self.options.server {
            Some(ServerAddress::Host { host, port }) => {
                let port = port.unwrap_or_else(|| self.options.default_port());
                context.with_server(host, port)
            }
            _ => context,
        })
    }

    /// Whether the server offers a mechanism with a binding that is known here.
    fn offers_binding(&self) -> bool {
        let mut offered = self.capabilities().auth_mechanisms();
        offered.any(|name| Mechanism::from_name(name).is_some_and(|m| Mechanism::PLUS.contains(&m)))
    }

    /// The strongest mechanism that the server offers, the caller allows and this connection can carry.
    fn choose_mechanism(&self) -> Result<Choice, Error> {
        let offered: Vec<&str> = self.capabilities().auth_mechanisms().collect();
        if offered.is_empty() {
            let text = if self.tls().is_none() && self.capabilities().has("STARTTLS") {
                "the server offers AUTH only under TLS: use tls=required"
            } else {
                "credentials were given and the server does not offer AUTH on this port: 587 and 465 are the usual ones"
            };
            return Err(self.fail(Error::new(Status::AuthNotOffered, text).at(Phase::Auth)));
        }
        let login = &self.options.login;
        let is_offered = |name: &str| offered.iter().any(|one| one.eq_ignore_ascii_case(name));
        let own = login.own.iter().position(|own| is_offered(&own.name));
        let known = Mechanism::ALL.into_iter().find(|&mechanism| {
            login.allows(mechanism) && is_offered(mechanism.name()) && self.can_carry(mechanism)
        });
        let (choice, needs_tls) = match (own, known) {
            (Some(index), _) => (Choice::Own(index), true),
            (None, Some(known)) => (Choice::Known(known), known.needs_tls()),
            (None, None) => return Err(self.no_mechanism(&offered)),
        };
        let same_host = matches!(self.options.server, Some(ServerAddress::Unix(_)));
        if self.tls().is_none() && needs_tls && !self.options.allow_plaintext_auth && !same_host {
            let text = "the connection is not encrypted, so nobody logs in over it: use TLS, or set allow_plaintext_auth";
            return Err(self.fail(Error::new(Status::AuthInsecure, text).at(Phase::Auth)));
        }
        Ok(choice)
    }

    /// Whether this connection has what the mechanism is bound to.
    fn can_carry(&self, mechanism: Mechanism) -> bool {
        match mechanism {
            Mechanism::External => self.tls().is_some(),
            _ if mechanism.is_bound_to_tls() => self.tls().is_some_and(|t| t.exporter().is_some()),
            _ => true,
        }
    }

    fn no_mechanism(&self, offered: &[&str]) -> Error {
        let login = &self.options.login;
        let mut usable: Vec<&str> = login.own.iter().map(|own| own.name.as_str()).collect();
        let known = Mechanism::ALL.iter();
        let known = known.filter(|&&m| login.allows(m) && self.can_carry(m));
        usable.extend(known.map(|known| known.name()));
        // What it offers is what the server says.
        let offered = self.machine.hide(offered.join(", "));
        let usable = usable.join(", ");
        let text = if usable.is_empty() {
            format!(
                "the server offers the mechanisms {offered}, and these credentials fit none that may be used here: give others"
            )
        } else {
            format!(
                "the server offers the mechanisms {offered}, and what could be used here is {usable}: other credentials may be needed"
            )
        };
        self.fail(self.advised(Error::new(Status::AuthMechanism, text).at(Phase::Auth)))
    }
}
