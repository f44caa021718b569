//! A small driver of the client's machine in memory. It decides nothing that the async client decides: what it cannot do without,
//! such as which mechanism to log in with, the setting says.

use mailwire::proto::client::{
    Connection as Machine, Event, Hello, NotNow, Outgoing, TransactionId, TransactionOptions,
    Transfer,
};
use mailwire::proto::data::{Encoder, LineEnds};
use mailwire::proto::{
    BodyType, Domain, Envelope, Need, Progress, Protocol, Reply, TlsInfo, TlsVersion,
};
use mailwire::sasl::{ChannelBinding, ClientContext, ClientExchange, Mechanism, Nonce};
use mailwire::{Outcome, Status};

use super::expectation::{Ending, Report};
use super::memory::{EXPORTER, Pipe};
use super::{Call, Setting};
use crate::server::Pieces;

/// Octets of a message that leave with its envelope, as in the async client.
const WHOLE: usize = 128 * 1024;

/// Octets of a chunk, at most.
const CHUNK: usize = 256 * 1024;

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

    async fn transact(&mut self, envelope: Envelope, message: &[u8]) -> Report {
        match self.send(envelope, message).await {
            Ok(outcome) => Report {
                ending: Ending::Outcome,
                text: format!("{outcome:?}"),
                phase: None,
                outcome: Some(outcome),
            },
            Err(failure) => {
                // A request that was not taken leaves the connection as it was.
                if self.machine.is_idle() {
                    return self.report(failure, None);
                }
                self.over = true;
                let mut report = self.report(failure, None);
                let lost = self.machine.lost().into_iter().next();
                report.outcome = lost.map(|(_, outcome)| outcome);
                self.pipe.leave();
                report
            }
        }
    }

    async fn send(&mut self, envelope: Envelope, message: &[u8]) -> Result<Outcome, Failure> {
        let refuses = self.setting.option("line_ends") == Some("refuse");
        let line_ends = if refuses {
            LineEnds::Refuse
        } else {
            LineEnds::Normalise
        };
        let lines = self.lines(message, line_ends)?;
        let mut parameters = envelope.parameters().clone();
        parameters.size = parameters.size.or(u64::try_from(lines.len()).ok());
        if !message.is_ascii() {
            parameters.body = parameters.body.or(Some(BodyType::EightBitMime));
        }
        let is_binary = parameters.body == Some(BodyType::BinaryMime);
        self.message = if is_binary { message.to_vec() } else { lines };
        let transfer = self.transfer(is_binary);
        let options = TransactionOptions {
            all_or_nothing: self.setting.is_on("all_or_nothing"),
            transfer,
        };
        // What came unasked must not pass for the reply to what is sent now.
        self.input.extend(self.pipe.take());
        if !self.input.is_empty() {
            self.event().await?;
        }
        self.machine
            .begin(envelope.with_parameters(parameters), options)
            .map_err(|error| Failure::not_now(&error))?;
        let mut chunked = 0;
        loop {
            match self.event().await? {
                Event::SendBody(id) if transfer == Transfer::Data => {
                    self.send_data(id, message, line_ends)?;
                }
                Event::SendBody(id) => self.queue_chunks(id, &mut chunked)?,
                Event::Finished { outcome, .. } => return Ok(outcome),
                _ => return Err(Failure::new(Status::Internal, "no end of a transaction")),
            }
        }
    }

    /// The message as BDAT carries it.
    fn lines(&self, message: &[u8], line_ends: LineEnds) -> Result<Vec<u8>, Failure> {
        let refused = |error: mailwire::proto::data::BareLineEnd| {
            Failure::new(Status::InvalidArgument, error.to_string())
        };
        let mut encoder = mailwire::proto::chunk::Encoder::new(line_ends);
        let mut lines = Vec::new();
        for mut piece in self.cut(message) {
            while let Some(slice) = encoder.encode(&mut piece).map_err(refused)? {
                lines.extend_from_slice(slice);
            }
        }
        lines.extend_from_slice(encoder.finish().map_err(refused)?);
        Ok(lines)
    }

    fn transfer(&self, is_binary: bool) -> Transfer {
        let offered = self.machine.capabilities().has("CHUNKING");
        let octets = self.message.len();
        let whole = u64::try_from(octets).unwrap_or(u64::MAX);
        match self.setting.option("transfer") {
            Some("bdat") if octets <= WHOLE => Transfer::Whole(whole),
            Some("bdat") => Transfer::Chunks,
            Some("data") => Transfer::Data,
            _ if offered && octets <= WHOLE => Transfer::Whole(whole),
            _ if offered && (is_binary || self.machine.pipelining()) => Transfer::Chunks,
            _ => Transfer::Data,
        }
    }

    /// The message in the pieces in which the client has it.
    fn cut<'m>(&self, message: &'m [u8]) -> Vec<&'m [u8]> {
        match self.pieces {
            Pieces::Whole => vec![message],
            Pieces::Octets => message.chunks(1).collect(),
            Pieces::CutAt(place) => {
                let (first, rest) = message.split_at(place % (message.len() + 1));
                vec![first, rest]
            }
        }
    }

    fn send_data(
        &mut self,
        id: TransactionId,
        message: &[u8],
        line_ends: LineEnds,
    ) -> Result<(), Failure> {
        let refused = |error: mailwire::proto::data::BareLineEnd| {
            Failure::new(Status::InvalidArgument, error.to_string())
        };
        self.flush();
        let mut encoder = Encoder::new(line_ends);
        for mut piece in self.cut(message) {
            while let Some(slice) = encoder.encode(&mut piece).map_err(refused)? {
                self.pipe.write(slice);
            }
        }
        let end = encoder.finish().map_err(refused)?;
        self.machine
            .end_of_data(id)
            .map_err(|error| Failure::not_now(&error))?;
        self.pipe.write(end);
        Ok(())
    }

    fn queue_chunks(&mut self, id: TransactionId, chunked: &mut usize) -> Result<(), Failure> {
        while self.machine.takes_chunk(id) {
            let left = self.message.len() - *chunked;
            let octets = left.min(CHUNK);
            *chunked += octets;
            let last = octets == left;
            self.machine
                .chunk(id, octets as u64, last)
                .map_err(|error| Failure::not_now(&error))?;
            if last {
                break;
            }
        }
        Ok(())
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
                Outgoing::Commands(commands) => {
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
