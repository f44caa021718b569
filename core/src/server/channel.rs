//! A client's connection with its machine: reading, writing, TLS, and the limits of time around each wait.

mod sending;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::sync::futures::OwnedNotified;
use tokio::time::{Instant, Sleep, timeout_at};

use super::alarm::{poll_alarm, will_ring};
use super::buffer::{give_back, make_room};
use super::limits::Admission;
use super::memory::Room;
use super::serve::Shared;
use super::statistics::{Counter, Counters};
use super::{Extensions, SessionInfo};
use crate::error::{Error, Phase, Status};
use crate::net::{Stream, io_fault};
use crate::proto::server::{Closing, Connection};
use crate::proto::{Reply, TlsInfo, Violation};

/// How long a client that is slower than the least rate is given before it counts.
const SLOW_START: Duration = Duration::from_secs(60);

/// How long such a client is given at the most, whatever it has sent before: as long as RFC 5321 section 4.5.3.2.5 has a client wait for
/// a server, and some more.
const MOST_PATIENCE: Duration = Duration::from_secs(300);

/// How long a client is given to take our last words.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a TLS record holds at the most (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

static IDLE: Reply = Reply::fixed(421, Some((4, 4, 2)), "Timeout, closing the connection");
static TOO_SLOW: Reply = Reply::fixed(421, Some((4, 4, 2)), "Too slow, closing the connection");
pub(super) static SHUTTING_DOWN: Reply = Reply::fixed(421, Some((4, 3, 2)), "Shutting down");

/// One client's connection.
pub(super) struct Channel {
    /// Dropped before the stream: from then on the descriptor may be anybody's.
    admission: Admission,
    pub(super) machine: Connection,
    /// What was read and not used yet.
    pub(super) input: BytesMut,
    pub(super) info: SessionInfo,
    pub(super) shared: Arc<Shared>,
    /// `None` while TLS begins, and after it failed.
    stream: Option<Stream>,
    /// What reading has failed with, behind octets that came before.
    failed: Option<std::io::Error>,
    alarm: Option<Pin<Box<Sleep>>>,
    shutdown: Pin<Box<OwnedNotified>>,
    /// Whom alarm and shutdown wake, if it is the same one.
    waker: Option<Waker>,
    /// When the session has lasted too long.
    end: Instant,
    /// Since when the next command is waited for. Its octets have this time together, so that none holds the session by dripping.
    command_wait: Option<Instant>,
    /// What was waited for last belongs to an exchange of AUTH, whose lines have that time together too.
    in_exchange: bool,
    /// What was waited for last is a chunk that is refused.
    in_refused_chunk: bool,
    /// Until when the client has to be through with a login that counts already.
    login_until: Option<Instant>,
    /// How much longer the message that comes is waited for, at the least rate.
    patience: Duration,
    /// How many milliseconds a message is still waited for between its chunks. It is waited for a command then, not for octets at a rate.
    between_chunks: u32,
    /// How long more of that message was waited for since something of it came, by futures that were dropped too.
    waited: Duration,
    /// How long the client was waited for to take what is sent to it now, by futures that were dropped too.
    unsent: Duration,
    /// Where its messages are counted, once there was one.
    memory: Option<Arc<Room>>,
    /// What was read and sent in all.
    received: u64,
    sent: u64,
    /// Whether the session's end was counted.
    is_counted: bool,
}

/// Why a session is over before its client said QUIT.
#[derive(Debug)]
pub(super) struct Ended {
    status: Status,
    phase: Phase,
    text: String,
}

/// A wait for the client. It counts also where it is given up, or whoever waits again and again would wait for ever; what the
/// application does in between is not the client's fault.
struct Waiting<'a> {
    channel: &'a mut Channel,
    /// Of a message only: the wait for a command has its own beginning.
    since: Option<Instant>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(since) = self.since else {
            return;
        };
        let channel = &mut *self.channel;
        if channel.machine.is_between_chunks() {
            let waited = milliseconds(since.elapsed());
            channel.between_chunks = channel.between_chunks.saturating_sub(waited);
        } else {
            channel.waited += since.elapsed();
        }
    }
}

/// What came of waiting for the client.
enum Woken {
    Read(std::io::Result<usize>),
    TimeOut,
    Shutdown,
}

impl Ended {
    pub(super) fn new(status: Status, phase: Phase, text: impl Into<String>) -> Self {
        Self {
            status,
            phase,
            text: text.into(),
        }
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    pub(super) fn error(&self, info: &SessionInfo) -> Error {
        Error::new(self.status, self.text.clone())
            .at(self.phase)
            .with_peer(info.peer())
            .with_tls(info.tls().cloned())
    }

    pub(super) fn violation(violation: &Violation, phase: Phase) -> Self {
        Self::new(Status::Protocol, phase, violation.to_string())
    }

    fn io(error: std::io::Error, phase: Phase) -> Self {
        let error = io_fault(error, phase, "client");
        Self::new(error.status(), phase, error.message())
    }
}

impl Channel {
    pub(super) fn new(
        stream: Stream,
        info: SessionInfo,
        admission: Admission,
        shared: Arc<Shared>,
    ) -> Self {
        let machine = machine(&shared, &info, None);
        Self {
            admission,
            machine,
            input: BytesMut::new(),
            info,
            stream: Some(stream),
            failed: None,
            alarm: None,
            shutdown: Box::pin(shared.stop.notified()),
            waker: None,
            end: Instant::now() + shared.options.session_timeout,
            command_wait: None,
            in_exchange: false,
            in_refused_chunk: false,
            login_until: None,
            patience: SLOW_START,
            between_chunks: 0,
            waited: Duration::ZERO,
            unsent: Duration::ZERO,
            memory: None,
            received: 0,
            sent: 0,
            is_counted: false,
            shared,
        }
    }

    /// Where messages of this client are counted.
    pub(super) fn memory(&mut self) -> Arc<Room> {
        let memory = self.memory.get_or_insert_with(|| {
            let address = self.info.address();
            self.shared.memory.of(address.map(|address| address.ip()))
        });
        Arc::clone(memory)
    }

    /// The peer speaks for another client from now on. If its address was `told`, the connection is that client's from now on, or over
    /// where it is one too many.
    pub(super) fn begin_client(&mut self, told: bool) {
        self.memory = None;
        if !told {
            return;
        }
        let address = self.info.address().map(|address| address.ip());
        if let Err(full) = self.admission.claim(address) {
            self.shared.counters.note_full(full);
            self.machine.abort(full.reply(), Closing::Limit);
        }
    }

    /// A message begins.
    pub(super) fn begin_body(&mut self) {
        self.login_until = None;
        self.patience = SLOW_START;
        self.between_chunks = milliseconds(self.shared.options.idle_timeout);
        self.waited = Duration::ZERO;
    }

    /// Fills as [`fill`](Self::fill) does, and does not wait longer than until `login_until`, if there is such a time. Not `async`:
    /// a session that waits holds this future.
    pub(super) fn fill_until(
        &mut self,
        login_until: Option<Instant>,
    ) -> impl Future<Output = Result<(), Ended>> + '_ {
        self.login_until = login_until;
        self.fill()
    }

    /// Sends what there is to send, then reads once.
    pub(super) async fn fill(&mut self) -> Result<(), Ended> {
        loop {
            if self.machine.has_output() {
                self.flush().await?;
                let in_exchange = self.machine.exchange().is_some();
                if !(in_exchange && self.in_exchange) {
                    self.command_wait = None;
                }
                self.in_exchange = in_exchange;
                // The machine holds commands back while too much waits to be sent.
                if !self.input.is_empty() {
                    return Ok(());
                }
            }
            self.heed_stop();
            if self.machine.is_closing() {
                return Ok(());
            }
            let begun = Instant::now();
            let phase = self.phase();
            let (until, reply) = self.limit(begun, phase);
            // Looked at first: a client that always has more to read would never come to the end of its time.
            let woken = if until <= begun {
                Woken::TimeOut
            } else {
                let heed_shutdown = !self.shared.stop.begun();
                let since = (phase == Phase::Body).then_some(begun);
                let channel = &mut *self;
                let waiting = Waiting { channel, since };
                poll_fn(move |cx| waiting.channel.poll_read(cx, until, heed_shutdown)).await
            };
            match woken {
                Woken::Read(Ok(0)) => {
                    let text = "the client closed the connection";
                    return Err(Ended::new(Status::ConnectionLost, phase, text));
                }
                Woken::Read(Ok(octets)) => {
                    self.received += octets as u64;
                    tell_time(&mut self.machine, &self.shared);
                    if phase == Phase::Body {
                        let options = &self.shared.options;
                        let (octets, least_rate) = (octets as u64, options.least_rate);
                        let waited = std::mem::take(&mut self.waited);
                        let left = self.patience.saturating_sub(waited);
                        self.patience = patience(left, octets, least_rate);
                        let earned = milliseconds(earned(octets, least_rate));
                        let most = milliseconds(options.idle_timeout);
                        self.between_chunks = self.between_chunks.saturating_add(earned).min(most);
                    }
                    return Ok(());
                }
                Woken::Read(Err(error)) => return Err(Ended::io(error, phase)),
                // Looked at again above; time may be shorter now.
                Woken::Shutdown => {}
                Woken::TimeOut => {
                    let (status, closing) = if *reply == SHUTTING_DOWN {
                        (Status::Closed, Closing::ShutDown)
                    } else {
                        (Status::Timeout, Closing::Limit)
                    };
                    self.machine.abort(reply, closing);
                    return Err(self.last_word(status, phase));
                }
            }
        }
    }

    /// Once the server stops, a transaction may come to its end, and all else is told so behind what is owed.
    pub(super) fn heed_stop(&mut self) {
        if self.shared.stop.begun() && self.machine.envelope().is_none() {
            self.machine.shut_down(SHUTTING_DOWN.clone());
        }
    }

    /// Until when anything is waited for once the server stops: a transaction has the time of all, and what is none has a moment for
    /// its last words, from then on or from `since`, where that is later.
    fn stop_limit(&self, since: Option<Instant>) -> Option<Instant> {
        let stop = &self.shared.stop;
        let (begun, deadline) = (stop.since()?, stop.deadline()?);
        if self.machine.envelope().is_some() {
            return Some(deadline);
        }
        Some(deadline.min(since.map_or(begun, |since| since.max(begun)) + LAST_WORDS))
    }

    /// Does the handshake of STARTTLS, or of a listener where TLS comes first. A server that stops does not wait for it.
    pub(super) async fn begin_tls(&mut self, implicit: bool) -> Result<(), Ended> {
        self.flush().await?;
        self.command_wait = None;
        let tls = self.shared.tls();
        let (Some(tls), Some(stream)) = (tls, self.stream.take()) else {
            return Err(gone(Phase::Tls));
        };
        self.admission.set_socket(None);
        let until = Instant::now() + self.shared.options.handshake_timeout;
        // Boxed: a handshake is large, and short against the session whose size it would add to.
        let handshake = Box::pin(timeout_at(
            until.min(self.end),
            stream.into_tls_server(&tls),
        ));
        let done = tokio::select! {
            biased;
            () = self.stopped() => {
                let text = "the server was shut down before the TLS handshake was done";
                return Err(Ended::new(Status::Closed, Phase::Tls, text));
            }
            done = handshake => done,
        };
        let counters = &self.shared.counters;
        match &done {
            Ok(Ok(_)) => counters.tls_handshakes.add(1),
            _ => counters.failed_tls_handshakes.add(1),
        }
        let (stream, tls) = done
            .map_err(|_| {
                Ended::new(
                    Status::Timeout,
                    Phase::Tls,
                    "the TLS handshake took too long",
                )
            })?
            .map_err(|error| Ended::new(error.status(), Phase::Tls, error.message()))?;
        self.admission.set_socket(Some(stream.raw_fd()));
        self.stream = Some(stream);
        self.info.set_tls(self.machine.shown_to_client(tls.clone()));
        if implicit {
            self.machine = machine(&self.shared, &self.info, Some(tls));
            return Ok(());
        }
        self.machine
            .secured(&self.input, tls)
            .map_err(|violation| Ended::violation(&violation, Phase::Tls))
    }

    /// Is done once the server stops.
    async fn stopped(&mut self) {
        self.waker = None;
        if !self.shared.stop.begun() {
            self.shutdown.as_mut().await;
        }
    }

    /// Why a session is over that was ended by a reply of ours, which is still to be sent.
    pub(super) fn last_word(&mut self, status: Status, phase: Phase) -> Ended {
        let said = self.machine.transmit().last();
        let said = said.as_deref().unwrap_or_default();
        let line = said.strip_suffix(b"\r\n").unwrap_or(said);
        let line = line.rsplit(|octet| *octet == b'\n').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default());
        let text = format!("the session was ended: {line}");
        Ended::new(status, phase, text)
    }

    /// Counts how the session came to its end.
    pub(super) fn count_end(&mut self, end: impl FnOnce(&Counters) -> &Counter) {
        end(&self.shared.counters).add(1);
        self.is_counted = true;
    }

    fn count_octets(&mut self) {
        let counters = &self.shared.counters;
        counters
            .octets_received
            .add(std::mem::take(&mut self.received));
        counters.octets_sent.add(std::mem::take(&mut self.sent));
    }

    /// What the session waits for.
    pub(super) fn phase(&self) -> Phase {
        self.machine.waiting_for().unwrap_or(Phase::Idle)
    }

    /// Until when the client is waited for, and what it is told then.
    fn limit(&mut self, now: Instant, phase: Phase) -> (Instant, &'static Reply) {
        let in_refused_chunk = self.machine.refuses_chunk();
        if in_refused_chunk && !self.in_refused_chunk {
            // It has nothing of what the message before has earned, or has used up.
            self.begin_body();
        }
        self.in_refused_chunk = in_refused_chunk;
        let is_between_chunks = self.machine.is_between_chunks();
        let options = &self.shared.options;
        let mut limit = if phase == Phase::Body && !is_between_chunks {
            let is_slow = options.least_rate > 0 && self.patience < options.idle_timeout;
            let (whole, reply) = if is_slow {
                (self.patience, &TOO_SLOW)
            } else {
                (options.idle_timeout, &IDLE)
            };
            (now + whole.saturating_sub(self.waited), reply)
        } else {
            // All of a command has this time (RFC 5321 section 4.5.3.2.7).
            let since = *self.command_wait.get_or_insert(now);
            let until = since + options.idle_timeout;
            (
                self.login_until.map_or(until, |login| login.min(until)),
                &IDLE,
            )
        };
        // Else who sends the smallest chunks at the longest intervals could hold what it has sent for as long as a session may last.
        if is_between_chunks && options.least_rate > 0 {
            let until = now + Duration::from_millis(self.between_chunks.into());
            if until < limit.0 {
                limit = (until, &TOO_SLOW);
            }
        }
        if self.end < limit.0 {
            limit = (self.end, &IDLE);
        }
        // Not by each octet anew.
        match self.stop_limit(None) {
            Some(until) if until < limit.0 => (until, &SHUTTING_DOWN),
            _ => limit,
        }
    }

    /// Reads once. A buffer is held only while there is something in it.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        until: Instant,
        heed_shutdown: bool,
    ) -> Poll<Woken> {
        let Some(stream) = self.stream.as_mut() else {
            return Poll::Ready(Woken::Read(Ok(0)));
        };
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Woken::Read(Err(error)));
        }
        make_room(&mut self.input, 1);
        if let Poll::Ready(result) = poll_once(stream, &mut self.input, cx) {
            let result = result.map(|octets| octets + self.gather(octets, cx));
            return Poll::Ready(Woken::Read(result));
        }
        give_back(&mut self.input);
        if heed_shutdown && self.shared.stop.begun() {
            return Poll::Ready(Woken::Shutdown);
        }
        // Most often both will wake the same task as before, and at no later time: then there is nothing to do.
        let (known, alarm) = (&mut self.waker, &mut self.alarm);
        let is_known = known
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_known && alarm.as_ref().is_some_and(|alarm| will_ring(alarm, until)) {
            return Poll::Pending;
        }
        *known = Some(cx.waker().clone());
        if heed_shutdown && self.shutdown.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Woken::Shutdown);
        }
        poll_alarm(alarm, cx, until).map(|()| Woken::TimeOut)
    }

    /// Reads what else of a message is there already, behind a read of `last` octets over TLS: that gives a record, and only a piece
    /// that is most of its buffer is handed on without a copy. Gives how many octets.
    fn gather(&mut self, mut last: usize, cx: &mut Context<'_>) -> usize {
        let begun = self.input.len();
        let gathers = self.phase() == Phase::Body;
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.is_tls()) else {
            return 0;
        };
        // A small record is the last one that has come.
        while gathers && last >= RECORD / 2 && self.input.len() < self.input.capacity() {
            match poll_once(stream, &mut self.input, cx) {
                Poll::Ready(Ok(octets)) => last = octets,
                Poll::Ready(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
                Poll::Pending => break,
            }
        }
        self.input.len() - begun
    }
}

impl Drop for Channel {
    /// A session that waits for its application when the server's time is over ends here.
    fn drop(&mut self) {
        if !self.is_counted {
            self.count_end(|counters| &counters.sessions_shut_down);
        }
        self.count_octets();
    }
}

/// Reads once, if something is there.
fn poll_once(
    stream: &mut Stream,
    input: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<std::io::Result<usize>> {
    pin!(stream.read_buf(input)).poll(cx)
}

/// A machine for a client that has just connected.
fn machine(shared: &Shared, info: &SessionInfo, tls: Option<TlsInfo>) -> Connection {
    let mut machine = Connection::new(Arc::clone(&shared.config), tls);
    let trusted = |address: SocketAddr| shared.options.may_say_xclient(address.ip());
    machine.set_trusted(info.address().is_some_and(trusted));
    tell_time(&mut machine, shared);
    machine
}

/// Tells the machine the time of day, if it needs it.
fn tell_time(machine: &mut Connection, shared: &Shared) {
    if shared.config.extensions().has(Extensions::FUTURERELEASE)
        && let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH)
    {
        machine.set_time(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }
}

/// How much longer a client is waited for that was to be waited for so long and has sent `octets`. There is a most of it, or who
/// once was quick could hold what it has sent for days.
fn patience(left: Duration, octets: u64, least_rate: u64) -> Duration {
    left.saturating_add(earned(octets, least_rate))
        .min(MOST_PATIENCE)
}

/// How long so many octets take at the least rate.
fn earned(octets: u64, least_rate: u64) -> Duration {
    let nanos = octets.saturating_mul(1_000_000_000);
    nanos
        .checked_div(least_rate)
        .map_or(Duration::ZERO, Duration::from_nanos)
}

/// As many as there are, or as fit: a month and a half.
fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

fn gone(phase: Phase) -> Ended {
    Ended::new(Status::ConnectionLost, phase, "the connection is gone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_earns_patience_by_what_it_sends() {
        let seconds = Duration::from_secs;
        assert_eq!(patience(seconds(60), 0, 64), seconds(60));
        assert_eq!(patience(seconds(1), 6400, 64), seconds(101));
        assert_eq!(patience(seconds(1), 32, 64), Duration::from_millis(1500));
        assert_eq!(patience(Duration::ZERO, u64::MAX, 1), MOST_PATIENCE);
        assert_eq!(patience(seconds(1), 6400, 0), seconds(1));
    }
}
