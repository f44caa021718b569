//! A small driver of the client's machine in memory. It decides nothing that the async client decides: what it cannot do without,
//! such as which mechanism to log in with, the setting says.

mod transact;

use mailwire::proto::client::{Connection as Machine, Event, Hello, NotNow, Outgoing};
use mailwire::proto::{Domain, Need, Progress, Protocol, Reply, TlsInfo, TlsVersion};
use mailwire::sasl::{ChannelBinding, ClientContext, ClientExchange, Mechanism, Nonce};
use mailwire::{Outcome, Status};

use super::expectation::{Ending, Report};
use super::memory::{EXPORTER, Pipe};
use super::{Call, Setting};
use crate::server::Pieces;

/// A connection.
pub(super) struct Session {
    machine: Machine,
    pipe: Pipe,
    input: Vec<u8>,
    setting: Setting,
    pieces: Pieces,
    /// The message that the machine may ask for, in the form in which it is sent.
    message: Vec<u8>,
    /// Something went wrong, and nothing may be sent any more.
    over: bool,
}

/// Why something did not come to its end.
struct Failure {
    status: Option<Status>,
    text: String,
}

enum Step {
    Event(Event),
    Tls,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.pipe.leave();
    }
}

/// Connects, and does what comes before mail.
pub(super) async fn open(
    pipe: Pipe,
    setting: Setting,
    pieces: Pieces,
) -> (Option<Session>, Report) {
    // The client's own checks: they are before anything that could be sent.
    let checked = setting.options(([127, 0, 0, 1], 25).into(), "");
    let in_clear = setting.option("tls").is_none();
    if let Err(error) = checked
        && in_clear
    {
        return (None, Report::of(Err(error)));
    }
    let protocol = if setting.lmtp {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    };
    let implicit = setting.option("tls") == Some("implicit");
    if implicit {
        pipe.secured().await;
    }
    let mut session = Session {
        machine: Machine::new(protocol, implicit.then(tls)),
        pipe,
        input: Vec::new(),
        setting,
        pieces,
        message: Vec::new(),
        over: false,
    };
    match session.introduce().await {
        Ok(()) => (Some(session), Report::of(Ok(()))),
        Err(failure) => {
            let report = session.report(failure, None);
            if session.machine.is_idle() {
                session.quit().await;
            }
            (None, report)
        }
    }
}

/// Does something on a connection that is open.
pub(super) async fn go_on(session: Option<Session>, call: Call) -> (Option<Session>, Report) {
    let composed = match &call {
        Call::Send(given) => given.compose(),
        _ => Err("nothing is sent".to_owned()),
    };
    if let (Call::Send(_), Err(error)) = (&call, &composed) {
        return (session, Report::of(Err(error.clone())));
    }
    let Some(mut session) = session.filter(|session| !session.over) else {
        let mut report = Report::of(Err("the connection is not usable any more".to_owned()));
        report.ending = Ending::Failure(Some(Status::Closed));
        return (None, report);
    };
    match (call, composed) {
        (Call::Quit, _) => {
            session.quit().await;
            (None, Report::of(Ok(())))
        }
        (Call::Ask(what, argument), _) => {
            let asked = session.ask(&what, &argument).await;
            let report = match asked {
                Ok(reply) => Report {
                    text: reply.to_string(),
                    ..Report::of(Ok(()))
                },
                Err(failure) => session.report(failure, None),
            };
            (Some(session), report)
        }
        (_, Ok((envelope, message))) => {
            let report = session.transact(envelope, &message).await;
            (Some(session), report)
        }
        (_, Err(error)) => (Some(session), Report::of(Err(error))),
    }
}

fn tls() -> TlsInfo {
    TlsInfo::new(TlsVersion::Tls13, "TLS13_AES_256_GCM_SHA384").with_exporter(Some(EXPORTER))
}

impl Failure {
    fn new(status: Status, text: impl Into<String>) -> Self {
        Self {
            status: Some(status),
            text: text.into(),
        }
    }

    /// A request that the machine did not take.
    fn not_now(error: &NotNow) -> Self {
        let status = match error {
            NotNow::NotOffered(_) | NotNow::NeedsTls(_) => Some(Status::NotSupported),
            NotNow::TooLarge(_) => Some(Status::TooLarge),
            NotNow::Argument(_) => Some(Status::InvalidArgument),
            _ => None,
        };
        Self {
            status,
            text: error.to_string(),
        }
    }

    /// A reply that the client would find a status for.
    fn reply(reply: &Reply) -> Self {
        Self {
            status: None,
            text: reply.to_string(),
        }
    }
}

impl Session {
    fn report(&mut self, failure: Failure, outcome: Option<Outcome>) -> Report {
        let phase = self.machine.waiting_for();
        Report {
            ending: Ending::Failure(failure.status),
            phase: phase.or_else(|| self.machine.ended_in()),
            again: None,
            outcome,
            text: failure.text,
        }
    }

    async fn introduce(&mut self) -> Result<(), Failure> {
        match self.event().await? {
            Event::Greeting(reply) if reply.code() == 220 => {}
            Event::Greeting(reply) => return Err(Failure::reply(&reply)),
            _ => return Err(Failure::new(Status::Internal, "no greeting")),
        }
        self.hello().await?;
        let wanted = matches!(self.setting.option("tls"), Some("required" | "auto"));
        if wanted && self.machine.tls().is_none() {
            self.machine
                .start_tls()
                .map_err(|error| Failure::not_now(&error))?;
            match self.step().await? {
                Step::Tls => {}
                Step::Event(Event::StartTlsRefused(reply)) => return Err(Failure::reply(&reply)),
                Step::Event(_) => return Err(Failure::new(Status::Internal, "no reply")),
            }
            self.pipe.secured().await;
            self.input.extend(self.pipe.take());
            let secured = self.machine.secured(&self.input, tls());
            secured.map_err(|error| Failure::new(Status::Protocol, error.to_string()))?;
            self.hello().await?;
        }
        self.log_in().await
    }

    async fn hello(&mut self) -> Result<(), Failure> {
        let name = self.setting.option("local_hostname");
        let name: Domain = name
            .unwrap_or("client.example")
            .parse()
            .map_err(|_| Failure::new(Status::InvalidArgument, "that is no name"))?;
        for hello in [Hello::Ehlo, Hello::Helo] {
            self.machine
                .hello(hello, &name)
                .map_err(|error| Failure::not_now(&error))?;
            match self.event().await? {
                Event::Hello(reply) if reply.is_positive() => return Ok(()),
                Event::Hello(reply) if hello == Hello::Helo || self.setting.lmtp => {
                    return Err(Failure::reply(&reply));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Logs in by the mechanism that the setting names.
    async fn log_in(&mut self) -> Result<(), Failure> {
        let wrong = |text: String| Failure::new(Status::InvalidArgument, text);
        let credentials = self.setting.credentials().map_err(wrong)?;
        let Some(credentials) = credentials else {
            return Ok(());
        };
        let name = self.setting.option("auth").unwrap_or_default();
        let mechanism = Mechanism::from_name(name).ok_or(Failure {
            status: None,
            text: "the case names no mechanism".to_owned(),
        })?;
        let binding = if mechanism.is_bound_to_tls() {
            ChannelBinding::Exporter(EXPORTER)
        } else {
            ChannelBinding::Impossible
        };
        let context = ClientContext::default()
            .with_nonce(Nonce::new([42; 18]))
            .with_channel_binding(binding)
            .with_server("127.0.0.1", 25);
        let exchange = ClientExchange::new(mechanism, &credentials, &context);
        let exchange = exchange.map_err(|error| wrong(error.to_string()))?;
        self.machine
            .auth(exchange)
            .map_err(|error| Failure::not_now(&error))?;
        match self.event().await {
            Ok(Event::Auth(reply)) if reply.code() == 235 => Ok(()),
            Ok(Event::Auth(reply)) => {
                let more = self.machine.auth_failure();
                let text = format!("{reply}; {more:?} {more:#?}");
                Err(Failure { status: None, text })
            }
            Ok(_) => Err(Failure::new(Status::Internal, "no reply to AUTH")),
            Err(failure) => Err(failure),
        }
    }

    async fn ask(&mut self, what: &str, argument: &str) -> Result<Reply, Failure> {
        let asked = match what {
            "noop" => self.machine.noop(),
            "reset" => self.machine.reset(),
            "verify" => self.machine.verify(argument),
            "expand" => self.machine.expand(argument),
            "help" => self.machine.help(argument),
            "etrn" => self.machine.start_queue(argument),
            _ => {
                let (verb, rest) = argument.split_once(' ').unwrap_or((argument, ""));
                self.machine.extension_command(verb, rest)
            }
        };
        asked.map_err(|error| Failure::not_now(&error))?;
        match self.event().await? {
            Event::Reply { reply, .. } => Ok(reply),
            _ => Err(Failure::new(Status::Internal, "no reply to a command")),
        }
    }

    async fn quit(&mut self) {
        if self.machine.quit().is_ok() {
            while self.event().await.is_ok() {}
        }
        self.over = true;
        self.pipe.leave();
    }

    async fn event(&mut self) -> Result<Event, Failure> {
        match self.step().await? {
            Step::Event(Event::Closing(reply)) => Err(Failure::reply(&reply)),
            Step::Event(event) => Ok(event),
            Step::Tls => Err(Failure::new(Status::Internal, "TLS out of turn")),
        }
    }

    /// Sends what is due and waits for the next thing to happen.
    async fn step(&mut self) -> Result<Step, Failure> {
        loop {
            let progress = self.machine.receive(&self.input);
            let progress =
                progress.map_err(|error| Failure::new(Status::Protocol, error.to_string()))?;
            let (used, need) = match progress {
                Progress::Event { used, event } => {
                    self.input.drain(..used);
                    return Ok(Step::Event(event));
                }
                Progress::Need { used, need } => (used, need),
            };
            self.input.drain(..used);
            self.flush();
            match need {
                Need::Tls => return Ok(Step::Tls),
                Need::Close => {
                    return Err(Failure::new(Status::ConnectionLost, "the session is over"));
                }
                Need::More | Need::Answer => {}
            }
            let octets = self.pipe.read().await;
            if octets.is_empty() {
                return Err(Failure::new(
                    Status::ConnectionLost,
                    "the server has closed",
                ));
            }
            self.input.extend(octets);
        }
    }

    fn flush(&mut self) {
        let mut octets = 0;
        for outgoing in self.machine.outgoing() {
            match outgoing {
                Outgoing::Commands(commands) | Outgoing::Secret { line: commands, .. } => {
                    self.pipe.write(commands);
                    octets += commands.len();
                }
                Outgoing::Body {
                    offset,
                    octets: len,
                    ..
                } => {
                    let from = usize::try_from(offset).unwrap_or(usize::MAX);
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    let part = self.message.get(from..).and_then(|rest| rest.get(..len));
                    self.pipe.write(part.unwrap_or_default());
                    octets += len;
                }
            }
        }
        self.machine.sent(octets);
    }
}
