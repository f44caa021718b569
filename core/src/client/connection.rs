//! One connection to a server: the machine, the stream under it, and the steps that everything else is made of.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::Instant;

use super::Options;
use super::failure::Fault;
use super::limits::longest_wait;
use super::record::Record;
use crate::error::{Error, Phase, Status};
use crate::net::{Alarm, Deadline, Stream};
use crate::proto::client::{Connection as Machine, Event, Outgoing, TransactionId, Transfer};
use crate::proto::{Capabilities, Need, Progress, TlsInfo};

/// A connection to a server, greeted, secured and authenticated as its options say.
///
/// Dropping a future of one of its methods leaves the session in the middle of something: the connection is then no longer
/// [usable](Self::is_usable) and must be dropped. What became of a message that was on its way is then not known.
pub struct Connection {
    pub(super) machine: Machine,
    /// What the machine knows about TLS, for every outcome to share.
    pub(super) tls: Option<Arc<TlsInfo>>,
    pub(super) stream: Stream,
    /// Received and not yet used.
    input: Input,
    pub(super) options: Options,
    /// The server as `host:port`, for errors, and its address unless a proxy is on the way.
    pub(super) peer: String,
    pub(super) address: Option<IpAddr>,
    pub(super) deadline: Deadline,
    /// Messages that were begun and have no result yet, oldest first.
    pub(super) under_way: VecDeque<UnderWay>,
    /// Something is under way, or went wrong: only a call that ended well clears it.
    pub(super) busy: bool,
    pub(super) record: Record,
    /// How many replies had come when the wait for the next one began, and when that was, if it had to wait at all.
    wait: (u64, Option<Instant>),
    alarm: Alarm,
}

/// A message that was begun and has no result yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderWay {
    pub(super) id: TransactionId,
    /// Its index in the caller's order.
    pub(super) index: usize,
    pub(super) transfer: Transfer,
}

/// The octets of a message that the machine may ask to be sent, from some octet on.
pub(super) struct Window<'w> {
    pub(super) id: TransactionId,
    /// Octets of the message before them.
    pub(super) offset: u64,
    pub(super) parts: [&'w [u8]; 2],
}

/// What comes next in a session.
pub(super) enum Step {
    Event(Event),
    /// The handshake is due.
    Tls,
    /// The machine is done with the connection.
    Close,
}

impl Step {
    /// Whether the server said that it closes.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self, Self::Event(Event::Closing(_)))
    }
}

impl Connection {
    pub(super) fn new(
        stream: Stream,
        machine: Machine,
        options: &Options,
        peer: String,
        deadline: Deadline,
        record: Record,
    ) -> Self {
        Self {
            tls: machine.tls().cloned().map(Arc::new),
            machine,
            address: options.address_reached(&stream),
            stream,
            input: Input::default(),
            options: options.clone(),
            peer,
            deadline,
            under_way: VecDeque::new(),
            busy: true,
            record,
            wait: (0, None),
            alarm: Alarm::default(),
        }
    }

    /// What the server announced after the last EHLO. A pooled client has many sessions, each with an announcement of its own, so it
    /// has no such call: what a message needs and its session lacks is an error of that message.
    pub fn capabilities(&self) -> &Capabilities {
        self.machine.capabilities()
    }

    /// What is known about TLS; `None` in clear.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// Whether another message can be sent: nothing is under way, nothing went wrong.
    pub fn is_usable(&self) -> bool {
        !self.busy && self.machine.is_idle()
    }

    pub(super) fn check_usable(&self) -> Result<(), Error> {
        if self.is_usable() {
            return Ok(());
        }
        let text = "the connection is not usable any more";
        Err(self.fail(Error::new(Status::Closed, text)))
    }

    /// How many more messages the server takes in this session (RFC 9422). `None` if it told no limit. A pooled client sees to it
    /// itself.
    pub fn messages_left(&self) -> Option<u64> {
        self.machine.transactions_left()
    }

    /// Whether the server has closed, or said something unasked, since the last call. Waits for nothing.
    pub(crate) async fn is_stale(&mut self) -> bool {
        // The runtime looks at its sockets when a task yields.
        tokio::task::yield_now().await;
        let polled = poll_fn(|cx| Poll::Ready(self.input.poll_fill(&mut self.stream, cx))).await;
        self.note_received(self.input.len());
        if matches!(polled, Poll::Ready(Ok(0))) {
            self.record.session.closed_by_peer();
        }
        polled.is_ready() || self.input.len() > 0
    }

    /// The descriptor under the stream, for the child of a fork to close.
    pub(crate) fn raw_fd(&self) -> std::os::fd::RawFd {
        self.stream.raw_fd()
    }

    /// The limit on the whole of what is done next.
    pub(crate) fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// Says goodbye and closes: QUIT, its reply, for which the server has 5 s, and the end of TLS. A failure here is of no consequence
    /// and not reported. Dropping the future closes at once, whatever of that was done; no message is in doubt by it, for each that was
    /// sent has its result already.
    pub async fn quit(mut self) {
        self.busy = true;
        if self.machine.quit().is_ok() {
            while let Ok(step) = self.step().await {
                if matches!(step, Step::Close) {
                    break;
                }
            }
        }
        let closing = async { tokio::io::AsyncWriteExt::shutdown(&mut self.stream).await };
        let _ = tokio::time::timeout(longest_wait(Phase::Quit, None), closing).await;
    }

    /// Sends what is due and waits for the next thing to happen.
    pub(super) async fn step(&mut self) -> Result<Step, Error> {
        loop {
            let step = self.take_step()?;
            if let Some(step @ Step::Event(_)) = step {
                return Ok(step);
            }
            self.write(&[], &[]).await?;
            match step {
                Some(step) => return Ok(step),
                None if self.machine.has_output() => {}
                None => self.read().await?,
            }
        }
    }

    /// What comes next of what was received. `None`: nothing more before there is more to read.
    pub(super) fn take_step(&mut self) -> Result<Option<Step>, Error> {
        let progress = self
            .machine
            .receive(self.input.unused())
            .map_err(|v| self.violation(&v))?;
        let (used, step) = match progress {
            Progress::Event { used, event } => (used, Some(Step::Event(event))),
            Progress::Need { used, need } => match need {
                Need::More => (used, None),
                Need::Tls => (used, Some(Step::Tls)),
                Need::Close => (used, Some(Step::Close)),
                // A client's machine asks nothing.
                Need::Answer => {
                    return Err(self.fail(Error::new(
                        Status::Internal,
                        "the machine waits for an answer",
                    )));
                }
            },
        };
        self.note_received(used);
        self.input.consume(used);
        Ok(step)
    }

    /// Takes what has come, without waiting. Gives whether anything has.
    pub(super) async fn listen(&mut self) -> Result<bool, Error> {
        if self.input.len() >= READ_AHEAD {
            return Ok(true);
        }
        // The runtime looks at its sockets when a task yields, and writes that never have to wait do not.
        tokio::task::yield_now().await;
        match poll_fn(|cx| Poll::Ready(self.input.poll_fill(&mut self.stream, cx))).await {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => {
                Err(self.fault(Phase::Body, Fault::Io(io::ErrorKind::UnexpectedEof.into())))
            }
            Poll::Ready(Ok(_)) => Ok(true),
            Poll::Ready(Err(error)) => Err(self.fault(Phase::Body, Fault::Io(error))),
        }
    }

    /// Takes what the server says while a message is on its way to it, without waiting for more. It owes nothing then: what it
    /// says is that it closes, or a breach of the protocol that must not pass for the reply to the end of data.
    pub(super) async fn interruption(&mut self) -> Result<(), Error> {
        let polled = poll_fn(|cx| Poll::Ready(self.input.poll_fill(&mut self.stream, cx))).await;
        if self.input.len() > 0 {
            let progress = self.machine.receive(self.input.unused());
            match progress.map_err(|v| self.violation(&v))? {
                Progress::Event { used, event } => {
                    self.note_received(used);
                    self.input.consume(used);
                    return Err(self.out_of_order(self.phase(), &Step::Event(event)));
                }
                Progress::Need { used, .. } => {
                    self.note_received(used);
                    self.input.consume(used);
                }
            }
        }
        match polled {
            Poll::Pending | Poll::Ready(Ok(1..)) => Ok(()),
            Poll::Ready(Ok(0)) => {
                Err(self.fault(Phase::Body, Fault::Io(io::ErrorKind::UnexpectedEof.into())))
            }
            Poll::Ready(Err(error)) => Err(self.fault(Phase::Body, Fault::Io(error))),
        }
    }

    /// What was received beyond the last event: after STARTTLS there must be none.
    pub(super) fn leftover(&self) -> &[u8] {
        self.input.unused()
    }

    /// Writes `body`, and behind it what the machine has to send, with octets of messages out of `windows`, in as few writes as
    /// the transport allows. Reads meanwhile, so that two full directions cannot hold each other up. Where that comes to
    /// [`READ_AHEAD`] octets it is left to the caller to take them and to come back with what has not been sent.
    pub(super) async fn write(
        &mut self,
        body: &[&[u8]],
        windows: &[Window<'_>],
    ) -> Result<(), Error> {
        let phase = if body.is_empty() {
            self.machine.waiting_for().unwrap_or(Phase::Command)
        } else {
            Phase::Body
        };
        let limit = longest_wait(phase, self.options.timeout);
        let mut since = None;
        let mut body: &[&[u8]] = body;
        let mut offset = 0;
        while !body.is_empty() || self.machine.has_output() {
            // Room for the octets of a small message and for commands on both sides of them.
            let mut slices = Vec::with_capacity(body.len() + 4);
            slices.extend(body.iter().map(|slice| IoSlice::new(slice)));
            if let Some(first) = slices.first_mut() {
                first.advance(offset);
            }
            for outgoing in self.machine.outgoing() {
                match outgoing {
                    Outgoing::Commands(bytes) | Outgoing::Secret { line: bytes, .. } => {
                        slices.push(IoSlice::new(bytes));
                    }
                    Outgoing::Body { id, offset, octets } => {
                        let window = windows.iter().find(|window| window.id == id);
                        let Some(parts) = window.and_then(|window| window.cut(offset, octets))
                        else {
                            return Err(self.fail(Error::new(
                                Status::Internal,
                                "octets of a message are due that the driver does not have",
                            )));
                        };
                        let parts = parts.into_iter().filter(|part| !part.is_empty());
                        slices.extend(parts.map(IoSlice::new));
                    }
                }
            }
            let (stream, input) = (&mut self.stream, &mut self.input);
            let writing = poll_fn(|cx| poll_write(stream, input, &slices, cx));
            let limited = within(
                &mut self.alarm,
                &mut since,
                phase,
                limit,
                self.deadline,
                writing,
            );
            let written = limited.await;
            let in_all: usize = slices.iter().map(|slice| slice.len()).sum();
            drop(slices);
            let mut left = match written {
                // The server may not read on before it could say more.
                Ok(0) if body.is_empty() => return Ok(()),
                Ok(0) => {
                    self.interruption().await?;
                    continue;
                }
                Ok(written) => written,
                Err(fault) => {
                    // TLS may have sent a part of what it failed with; a socket has not.
                    if matches!(fault, Fault::Io(_)) && self.machine.tls().is_some() {
                        self.machine.sent(in_all);
                    }
                    return Err(self.fault(phase, fault));
                }
            };
            since = since.map(|since| later_by(since, left));
            let written = left;
            while let Some(first) = body.first().map(|slice| slice.len() - offset) {
                if left < first {
                    offset += left;
                    left = 0;
                    break;
                }
                left -= first;
                offset = 0;
                body = &body[1..];
            }
            self.note_written(written - left, body.is_empty(), left);
            self.machine.sent(left);
        }
        let flushing = poll_fn(|cx| Pin::new(&mut self.stream).poll_flush(cx));
        let limited = within(
            &mut self.alarm,
            &mut since,
            phase,
            limit,
            self.deadline,
            flushing,
        );
        limited.await.map_err(|fault| self.fault(phase, fault))
    }

    pub(super) async fn read(&mut self) -> Result<(), Error> {
        let phase = self.phase();
        let limit = longest_wait(phase, self.options.timeout);
        // The limit is for a whole reply: a server that sends an octet now and then does not stretch it.
        if self.wait.0 != self.machine.replies() {
            self.wait = (self.machine.replies(), None);
        }
        let reading = poll_fn(|cx| self.input.poll_fill(&mut self.stream, cx));
        let since = &mut self.wait.1;
        let limited = within(&mut self.alarm, since, phase, limit, self.deadline, reading);
        match limited.await {
            Ok(0) => Err(self.fault(phase, Fault::Io(io::ErrorKind::UnexpectedEof.into()))),
            Ok(_) => Ok(()),
            Err(fault) => Err(self.fault(phase, fault)),
        }
    }
}

/// The least octets a second, on the average of one write, that a server must take.
const LEAST_RATE: u64 = 64;

/// When the wait for a server began that has taken so many octets more: they earn it time, but none in advance, so that one that
/// takes an octet now and then does not stretch the limit.
fn later_by(since: Instant, octets: usize) -> Instant {
    let millis = u64::try_from(octets)
        .unwrap_or(u64::MAX)
        .saturating_mul(1000)
        / LEAST_RATE;
    let now = Instant::now();
    since
        .checked_add(Duration::from_millis(millis))
        .map_or(now, |later| later.min(now))
}

impl<'w> Window<'w> {
    /// So many octets from the octet `offset` of the message on, if they are here.
    fn cut(&self, offset: u64, octets: u64) -> Option<[&'w [u8]; 2]> {
        let skip = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let [first, tail] = self.parts;
        let of_tail = skip.saturating_sub(first.len());
        let (first, tail) = (first.get(skip.min(first.len())..)?, tail.get(of_tail..)?);
        let octets = usize::try_from(octets).ok()?;
        let of_first = octets.min(first.len());
        Some([&first[..of_first], tail.get(..octets - of_first)?])
    }
}

/// Waits for I/O, at most for `limit` from `since` on and not past `deadline`.
async fn within<T>(
    alarm: &mut Alarm,
    since: &mut Option<Instant>,
    phase: Phase,
    limit: Duration,
    deadline: Deadline,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, Fault> {
    let work = async { Ok(work.await) };
    match alarm.limit_since(since, phase, limit, deadline, work).await {
        Ok(done) => done.map_err(Fault::Io),
        Err(late) => Err(Fault::Late(late)),
    }
}

/// Received octets, used from the front.
#[derive(Default)]
struct Input {
    buffer: Vec<u8>,
    start: usize,
}

/// The most that is read ahead: more than the longest reply.
const READ_AHEAD: usize = 128 * 1024;

/// What is asked for in one read: replies are short.
const READ: usize = 8 * 1024;

impl Input {
    fn unused(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn consume(&mut self, used: usize) {
        self.start += used;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// Reads once. Gives the number of octets, 0 at the end.
    fn poll_fill(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.reserve(READ);
        pin!(stream.read_buf(&mut self.buffer)).poll(cx)
    }
}

/// Writes once, reading what has come meanwhile if the peer takes no more. Gives 0 if so much has come that it is to be looked
/// at first. The end of the stream is left for the next read to find.
fn poll_write(
    stream: &mut Stream,
    input: &mut Input,
    slices: &[IoSlice<'_>],
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    loop {
        match Pin::new(&mut *stream).poll_write_vectored(cx, slices) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(result) => return Poll::Ready(result),
            Poll::Pending => {}
        }
        if input.len() >= READ_AHEAD {
            return Poll::Ready(Ok(0));
        }
        match input.poll_fill(stream, cx) {
            Poll::Ready(Ok(0)) | Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use socket2::SockRef;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::{UnixListener, UnixStream};

    use super::*;
    use crate::net;
    use crate::proto::Protocol;
    use crate::transcript::Session;

    const TIMEOUT: Duration = Duration::from_secs(600);

    /// A connection whose socket holds little, and its other end.
    pub(in crate::client) async fn pair() -> (Connection, UnixStream) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let stream = net::connect_unix(&path, TIMEOUT, &Session::default())
            .await
            .unwrap();
        SockRef::from(&stream).set_send_buffer_size(4096).unwrap();
        let (other, _) = listener.accept().await.unwrap();
        let mut options = Options::new();
        options.set_timeout(Some(TIMEOUT)).unwrap();
        let machine = Machine::new(Protocol::Smtp, None);
        let none = Deadline::after(None);
        let connection = Connection::new(
            stream,
            machine,
            &options,
            String::new(),
            none,
            Record::default(),
        );
        (connection, other)
    }

    /// Writes 128 KiB to a server that takes so many octets a second of a clock that jumps. Gives the result and the seconds.
    async fn write_to_one_that_takes(octets_per_second: u64) -> (Result<(), Error>, u64) {
        let (mut connection, mut other) = pair().await;
        let begun = Instant::now();
        let reading = tokio::spawn(async move {
            let mut taken = vec![0; 64 * 1024];
            while let Ok(octets @ 1..) = other.read(&mut taken).await {
                let wait = Duration::from_secs(octets as u64 / octets_per_second);
                tokio::time::sleep(wait).await;
            }
        });
        let message = vec![b'x'; 128 * 1024];
        let written = connection.write(&[&message], &[]).await;
        reading.abort();
        (written, begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_a_message_by_drops_is_left() {
        let (written, seconds) = write_to_one_that_takes(LEAST_RATE / 2).await;
        let error = written.unwrap_err();
        assert_eq!(
            (error.status(), error.phase()),
            (Status::Timeout, Some(Phase::Body))
        );
        assert!(seconds < 1500, "{seconds}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_server_has_all_the_time_it_needs() {
        let (written, seconds) = write_to_one_that_takes(LEAST_RATE * 2).await;
        written.unwrap();
        assert!(seconds > TIMEOUT.as_secs(), "{seconds}");
    }
}
