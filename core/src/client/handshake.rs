//! From nothing to a session that can send: connect, TLS, greeting, EHLO, STARTTLS, XCLIENT, AUTH.

use std::net::{IpAddr, Ipv4Addr};

use super::advice::advice;
use super::connection::Step;
use super::limits::longest_wait;
use super::record::not_opened;
use super::verdict;
use super::{Connection, Options};
use crate::error::{Error, Phase, Status};
use crate::net::{self, Deadline, Stream, machine_name};
use crate::proto::client::{Connection as Machine, Event, Hello};
use crate::proto::{Domain, Protocol, Reply, TlsInfo, Violation};
use crate::tls::{self, TlsPolicy};
use crate::transcript::{Kind, Session};

impl Connection {
    /// Connects, and does all that comes before the first message. Dropping the future closes the connection.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let opened = Self::open_by(options, Deadline::after(options.deadline)).await;
        opened.map(|connection| *connection)
    }

    /// The same within a deadline that began earlier.
    pub(crate) async fn open_by(options: &Options, deadline: Deadline) -> Result<Box<Self>, Error> {
        // Large, and there once for each connection.
        Box::pin(Opening::new(options, deadline)?.run()).await
    }
}

/// A connection that is being opened. It outlives a future that was dropped in the middle, and can then say how far that came.
pub(crate) struct Opening<'o> {
    options: &'o Options,
    deadline: Deadline,
    peer: String,
    /// That of the connection, until there is one.
    session: Session,
    /// Where it is, unless the connection knows better.
    phase: Phase,
    connection: Option<Box<Connection>>,
}

impl<'o> Opening<'o> {
    pub(crate) fn new(options: &'o Options, deadline: Deadline) -> Result<Self, Error> {
        options.check()?;
        let peer = options.peer()?;
        Ok(Self {
            session: options.begin_session(&peer),
            options,
            deadline,
            peer,
            phase: Phase::Resolve,
            connection: None,
        })
    }

    /// Opens it. To be called once.
    pub(crate) async fn run(&mut self) -> Result<Box<Connection>, Error> {
        let opening = self
            .options
            .open_stream(self.deadline, &self.session, &mut self.phase);
        let (stream, host) = opening
            .await
            .map_err(not_opened(&self.session, &self.peer))?;
        let policy = self.options.tls_policy();
        let (stream, tls) = if policy == TlsPolicy::Implicit {
            let (stream, tls) = self.secure(stream, host, tls::Start::Implicit).await?;
            (stream, Some(tls))
        } else {
            (stream, None)
        };
        let mut machine = Machine::new(self.options.protocol, tls);
        self.options.conceal_secrets(&mut machine);
        let connection = self.greet(stream, machine);
        if let Err(error) = connection.introduce(policy).await {
            return Err(self.leave(error).await);
        }
        let wanted = matches!(policy, TlsPolicy::Required | TlsPolicy::Opportunistic);
        if wanted && connection.capabilities().has("STARTTLS") {
            if let Err(error) = connection.start_tls().await {
                return Err(self.leave(error).await);
            }
            self.turn_to_tls(host, policy).await?;
        }
        self.log_in(policy).await
    }

    /// The error of a call that was cut short meanwhile, with how far it came. It is told to the transcript.
    pub(crate) fn cut_short(&self, error: Error) -> Error {
        match &self.connection {
            Some(connection) => {
                let phase = connection.machine.waiting_for().unwrap_or(self.phase);
                connection.fail(error.at(phase))
            }
            None => not_opened(&self.session, &self.peer)(error.at(self.phase)),
        }
    }

    /// The session goes on as a connection.
    fn greet(&mut self, stream: Stream, machine: Machine) -> &mut Connection {
        self.connection.insert(Box::new(Connection::new(
            stream,
            machine,
            self.options,
            self.peer.clone(),
            self.deadline,
            std::mem::take(&mut self.session).into(),
        )))
    }

    /// The handshake behind STARTTLS, and EHLO again.
    async fn turn_to_tls(&mut self, host: &str, policy: TlsPolicy) -> Result<(), Error> {
        let Some(connection) = self.connection.take() else {
            return Err(nothing_opened());
        };
        let Connection {
            mut machine,
            stream,
            record,
            ..
        } = *connection;
        self.session = record.session;
        let (stream, info) = self.secure(stream, host, tls::Start::StartTls).await?;
        machine.secured(&[], info).map_err(|v| {
            Error::new(Status::Protocol, v.to_string())
                .at(Phase::StartTls)
                .with_peer(self.peer.clone())
        })?;
        let connection = self.greet(stream, machine);
        let name = connection.local_name();
        match connection.hello(&name, policy).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.leave(error).await),
        }
    }

    /// What a session that is secured needs before its first message.
    async fn log_in(&mut self, policy: TlsPolicy) -> Result<Box<Connection>, Error> {
        let Some(connection) = &mut self.connection else {
            return Err(nothing_opened());
        };
        self.phase = Phase::Auth;
        // Boxed, as they are large and done once.
        let mut done = Ok(());
        if self.options.speak_for.is_some() {
            done = Box::pin(connection.speak_for(policy)).await;
        }
        if done.is_ok() && self.options.login.is_wanted() {
            done = Box::pin(connection.authenticate()).await;
        }
        if let Err(error) = done {
            return Err(self.leave(error).await);
        }
        let mut connection = self.connection.take().ok_or_else(nothing_opened)?;
        connection.busy = false;
        Ok(connection)
    }

    /// Says goodbye to a server that took part so far but cannot be used, as one that greets with 554 waits for (RFC 5321
    /// section 3.1). Gives the error that is the reason.
    async fn leave(&mut self, error: Error) -> Error {
        if let Some(connection) = self.connection.take_if(|it| it.machine.is_idle()) {
            self.phase = Phase::Quit;
            // Seldom taken, so it is not to make every future that opens a connection larger.
            Box::pin(connection.quit()).await;
        }
        error
    }

    async fn secure(
        &mut self,
        stream: Stream,
        host: &str,
        start: tls::Start,
    ) -> Result<(Stream, TlsInfo), Error> {
        self.phase = Phase::Tls;
        let securing = secure(
            stream,
            host,
            self.options,
            start,
            self.deadline,
            &self.session,
        );
        securing
            .await
            .map_err(not_opened(&self.session, &self.peer))
    }
}

impl Connection {
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

    /// STARTTLS, up to where the handshake is due.
    async fn start_tls(&mut self) -> Result<(), Error> {
        self.machine.start_tls().map_err(|e| self.misuse(e))?;
        match self.step().await? {
            Step::Tls => {}
            Step::Event(Event::StartTlsRefused(reply)) => {
                let error = Error::new(
                    Status::TlsRefused,
                    "the server offered STARTTLS and then refused it; nothing was sent, for what follows would be in clear: try again later, or \
                     another port (smtps:// is 465)",
                );
                return Err(self.fail(error.at(Phase::StartTls).with_reply(reply)));
            }
            step => return Err(self.out_of_order(Phase::StartTls, &step)),
        }
        // Checked before the handshake as well as by the machine behind it: what was sent in clear is not to be read as TLS.
        if !self.leftover().is_empty() {
            return Err(self.violation(&Violation::BytesBehindStartTls));
        }
        Ok(())
    }

    /// The name for EHLO: as set, or this host's full name, or the address of this end as a literal.
    pub(super) fn local_name(&self) -> Domain {
        if let Some(name) = &self.options.local_hostname {
            return name.clone();
        }
        own_name(machine_name().as_deref(), self.stream.local_ip())
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

/// The name of this host if it is a full one, else the address of this end of a connection as a literal. A Unix socket has none.
fn own_name(nodename: Option<&str>, address: Option<IpAddr>) -> Domain {
    let full_name = nodename
        .filter(|name| name.contains('.'))
        .and_then(|name| name.parse().ok());
    full_name.unwrap_or_else(|| Domain::literal(address.unwrap_or(Ipv4Addr::LOCALHOST.into())))
}

fn nothing_opened() -> Error {
    let text = "a connection that is being opened is missing";
    Error::new(Status::Internal, text)
}

async fn secure(
    stream: Stream,
    host: &str,
    options: &Options,
    start: tls::Start,
    deadline: Deadline,
    session: &Session,
) -> Result<(Stream, TlsInfo), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_for_ehlo_is_a_full_name_or_a_literal() {
        let (v4, v6) = ("192.0.2.1".parse().ok(), "2001:db8::1".parse().ok());
        for (nodename, address, name) in [
            (Some("mail.example.org"), v4, "mail.example.org"),
            (Some("mail.example.org"), None, "mail.example.org"),
            (Some("mail"), v4, "[192.0.2.1]"),
            (Some("mail"), v6, "[IPv6:2001:db8::1]"),
            (Some("mail"), None, "[127.0.0.1]"),
            (Some("not a.name"), v4, "[192.0.2.1]"),
            (Some(""), v4, "[192.0.2.1]"),
            (None, v6, "[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(own_name(nodename, address).as_str(), name, "{nodename:?}");
        }
    }
}
