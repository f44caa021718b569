//! From nothing to a session that can send: connect, TLS, greeting, EHLO, STARTTLS, XCLIENT, AUTH.

use super::advice::advice;
use super::connection::Step;
use super::limits::longest_wait;
use super::record::not_opened;
use super::verdict;
use super::{Connection, Options};
use crate::error::{Error, Phase, Status};
use crate::net::{self, Deadline, Stream};
use crate::proto::client::{Connection as Machine, Event, Hello};
use crate::proto::{Domain, Protocol, Reply, Violation};
use crate::tls::{self, TlsPolicy};
use crate::transcript::{Kind, Session};

impl Connection {
    /// Connects, and does all that comes before the first message. Dropping the future closes the connection.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        Self::open_by(options, Deadline::after(options.deadline)).await
    }

    /// The same within a deadline that began earlier.
    pub(crate) async fn open_by(options: &Options, deadline: Deadline) -> Result<Self, Error> {
        options.check()?;
        let peer = options.peer()?;
        let session = options.begin_session(&peer);
        let (stream, host) = options
            .open_stream(deadline, &session)
            .await
            .map_err(not_opened(&session, &peer))?;
        let policy = options.tls_policy();
        let (stream, tls) = if policy == TlsPolicy::Implicit {
            let start = tls::Start::Implicit;
            let secured = secure(stream, host, options, start, deadline, &session).await;
            let (stream, tls) = secured.map_err(not_opened(&session, &peer))?;
            (stream, Some(tls))
        } else {
            (stream, None)
        };
        let mut machine = Machine::new(options.protocol, tls);
        options.conceal_secrets(&mut machine);
        let connection = Self::new(stream, machine, options, peer, deadline, session.into());
        connection.begin(host.to_owned(), policy).await
    }

    async fn begin(mut self, host: String, policy: TlsPolicy) -> Result<Self, Error> {
        if let Err(error) = self.introduce(policy).await {
            return Err(self.leave(error).await);
        }
        let wanted = matches!(policy, TlsPolicy::Required | TlsPolicy::Opportunistic);
        if wanted && self.capabilities().has("STARTTLS") {
            self = self.start_tls(&host).await?;
            let name = self.local_name();
            if let Err(error) = self.hello(&name, policy).await {
                return Err(self.leave(error).await);
            }
        }
        // Boxed, as they are large and done once.
        if self.options.speak_for.is_some()
            && let Err(error) = Box::pin(self.speak_for(policy)).await
        {
            return Err(self.leave(error).await);
        }
        if self.options.login.is_wanted()
            && let Err(error) = Box::pin(self.authenticate()).await
        {
            return Err(self.leave(error).await);
        }
        self.busy = false;
        Ok(self)
    }

    /// Greeting and hello, and whether the server offers the TLS that the policy requires.
    async fn introduce(&mut self, policy: TlsPolicy) -> Result<(), Error> {
        self.greeting().await?;
        let name = self.local_name();
        self.hello(&name, policy).await?;
        if policy == TlsPolicy::Required && !self.capabilities().has("STARTTLS") {
            return Err(self.fail(
                Error::new(
                    Status::TlsNotOffered,
                    "TLS is required and the server does not offer STARTTLS: it may be the wrong port (smtps:// is 465), or someone on \
                     the way removed the offer",
                )
                .at(Phase::StartTls),
            ));
        }
        Ok(())
    }

    /// Says goodbye to a server that took part so far but cannot be used, as one that greets with 554 waits for (RFC 5321
    /// section 3.1). Gives the error that is the reason.
    async fn leave(self, error: Error) -> Error {
        if self.machine.is_idle() {
            // Seldom taken, so it is not to make every future that opens a connection larger.
            Box::pin(self.quit()).await;
        }
        error
    }

    async fn greeting(&mut self) -> Result<(), Error> {
        match self.step().await? {
            Step::Event(Event::Greeting(reply)) if reply.code() == 220 => Ok(()),
            Step::Event(Event::Greeting(reply) | Event::Closing(reply)) => {
                Err(self.refused(Phase::Greeting, "", reply))
            }
            step => Err(self.out_of_order(Phase::Greeting, &step)),
        }
    }

    /// EHLO or LHLO; HELO for servers that do not know EHLO, unless something is wanted that only EHLO can give.
    pub(super) async fn hello(&mut self, name: &Domain, policy: TlsPolicy) -> Result<(), Error> {
        let reply = self.one_hello(Hello::Ehlo, name).await?;
        if reply.is_positive() {
            return Ok(());
        }
        let needs_ehlo = self.options.protocol == Protocol::Lmtp
            || policy == TlsPolicy::Required
            || self.options.login.is_wanted()
            || self.options.speak_for.is_some();
        if needs_ehlo || !matches!(reply.code(), 500 | 502 | 504 | 550) {
            return Err(self.refused(Phase::Hello, "the server refused EHLO", reply));
        }
        let reply = self.one_hello(Hello::Helo, name).await?;
        if reply.is_positive() {
            Ok(())
        } else {
            Err(self.refused(Phase::Hello, "the server refused HELO", reply))
        }
    }

    async fn one_hello(&mut self, hello: Hello, name: &Domain) -> Result<Reply, Error> {
        self.machine
            .hello(hello, name)
            .map_err(|e| self.misuse(e))?;
        match self.step().await? {
            Step::Event(Event::Hello(reply)) => Ok(reply),
            step => Err(self.out_of_order(Phase::Hello, &step)),
        }
    }

    async fn start_tls(mut self, host: &str) -> Result<Self, Error> {
        self.machine.start_tls().map_err(|e| self.misuse(e))?;
        match self.step().await? {
            Step::Tls => {}
            Step::Event(Event::StartTlsRefused(reply)) => {
                let error = Error::new(
                    Status::TlsRefused,
                    "the server offered STARTTLS and then refused it; nothing was sent, for what follows would be in clear: try again later, or \
                     another port (smtps:// is 465)",
                );
                let error = self.fail(error.at(Phase::StartTls).with_reply(reply));
                return Err(self.leave(error).await);
            }
            step => return Err(self.out_of_order(Phase::StartTls, &step)),
        }
        // Checked before the handshake as well as by the machine behind it: what was sent in clear is not to be read as TLS.
        if !self.leftover().is_empty() {
            return Err(self.violation(&Violation::BytesBehindStartTls));
        }
        let Self {
            mut machine,
            stream,
            options,
            peer,
            deadline,
            record,
            ..
        } = self;
        let (start, session) = (tls::Start::StartTls, &record.session);
        let secured = secure(stream, host, &options, start, deadline, session).await;
        let (stream, info) = secured.map_err(not_opened(session, &peer))?;
        machine.secured(&[], info).map_err(|v| {
            Error::new(Status::Protocol, v.to_string())
                .at(Phase::StartTls)
                .with_peer(peer.clone())
        })?;
        Ok(Self::new(stream, machine, &options, peer, deadline, record))
    }

    /// The name for EHLO: as set, or this host's full name, or the address of this end as a literal.
    pub(super) fn local_name(&self) -> Domain {
        if let Some(name) = &self.options.local_hostname {
            return name.clone();
        }
        let host = rustix::system::uname();
        let full_name = host
            .nodename()
            .to_str()
            .ok()
            .filter(|name| name.contains('.'))
            .and_then(|name| name.parse().ok());
        full_name.unwrap_or_else(|| {
            Domain::literal(
                self.stream
                    .local_ip()
                    .unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()),
            )
        })
    }

    /// The server said no in `phase`: what that was, if the phase does not tell it, and what the reply means.
    pub(super) fn refused(&self, phase: Phase, what: &str, reply: Reply) -> Error {
        let text = match (what, advice(phase, &reply)) {
            ("", "") => "the server refused to go on".to_owned(),
            (text, "") | ("", text) => text.to_owned(),
            (what, meaning) => format!("{what}: {meaning}"),
        };
        let error = Error::new(verdict::status_of(&reply), text);
        self.fail(self.with_limits(error.at(phase).with_reply(reply)))
    }

    /// The server closed or spoke out of turn.
    pub(super) fn out_of_order(&self, phase: Phase, step: &Step) -> Error {
        match step {
            Step::Event(Event::Closing(reply)) => self.refused(phase, "", reply.clone()),
            Step::Close => self
                .fail(Error::new(Status::ConnectionLost, "the server ended the session").at(phase)),
            Step::Tls | Step::Event(_) => self.fail(
                Error::new(
                    Status::Internal,
                    "the machine and its driver disagree on what comes next",
                )
                .at(phase),
            ),
        }
    }

    pub(super) fn misuse(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.fail(Error::new(Status::Misuse, error.to_string()).with_source(error))
    }
}

async fn secure(
    stream: Stream,
    host: &str,
    options: &Options,
    start: tls::Start,
    deadline: Deadline,
    session: &Session,
) -> Result<(Stream, crate::proto::TlsInfo), Error> {
    let name = options.tls_name(host)?;
    session.note(|| Kind::TlsBegun {
        name: name.to_str().into_owned(),
    });
    let limit = longest_wait(Phase::Tls, options.timeout);
    let address = options.address_reached(&stream);
    let securing = stream.into_tls_client(&options.client_tls, &name, start);
    let secured = net::limit(Phase::Tls, limit, deadline, securing)
        .await
        .map_err(|error| error.with_address(address))?;
    session.note(|| Kind::tls(&secured.1, options.client_tls.verifies()));
    Ok(secured)
}
