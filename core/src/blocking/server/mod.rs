//! The blocking server: threads of its own do the I/O, and the application takes events from a queue and answers them.

mod event;
mod post;
mod queue;
mod received;
mod session;
#[cfg(test)]
mod tests;
mod wait;
mod workers;

use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use event::{Event, EventKind};
pub use received::Received;

use self::queue::{Queue, Taken};
use self::workers::Workers;
use super::Call;
use crate::disposition::{Destination, Disposition};
use crate::error::{Error, Status};
use crate::net::ForkGuard;
use crate::net::close_raw;
use crate::server::{Hooks, Options, Server as AsyncServer, Shared, Statistics};
use crate::tls::ServerTls;

/// An SMTP or LMTP server as a queue of events.
///
/// Any number of threads may take events at the same time, and an event may be answered by any thread, in any order. Where nobody
/// answers within [`Options::set_answer_timeout`], the client is told 451, and goes on: only then can a second event of a session come
/// while an earlier one is still open, and perhaps to another thread. Only the questions of [`Options::set_hooks`] are
/// asked, and each message is; all others are answered by the library.
///
/// Its threads are named `mailwire-io-0` and so on, and have all signals blocked. Dropping the server ends all sessions and
/// joins them.
///
/// ```no_run
/// use mailwire::blocking::{Call, EventKind, Server};
///
/// let mut options = mailwire::server::Options::new();
/// options.listen("127.0.0.1:2525")?;
/// let server = Server::start(options)?;
/// while let Some(mut event) = server.next_event(None, Call::default())? {
///     if let EventKind::Message { envelope, content } = event.kind() {
///         println!("{} octets for {:?}", content.len(), envelope.recipients());
///         event.accept()?;
///     }
/// }
/// # Ok::<(), mailwire::Error>(())
/// ```
#[derive(Debug)]
pub struct Server {
    inner: Arc<Inner>,
    guard: ForkGuard,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    addresses: Vec<SocketAddr>,
    workers: Mutex<Workers>,
}

impl Server {
    /// Opens the sockets and starts the threads. Fails as [`server::Server::bind`](crate::server::Server::bind) does, or where
    /// no thread can be made.
    pub fn start(options: Options) -> Result<Self, Error> {
        Self::start_any(options, None)
    }

    /// The same, with messages that go to `destination` and are never in the queue: an event of
    /// [`EventKind::Message`] or [`EventKind::Body`] does not come. All other questions of [`Options::set_hooks`] do; without one
    /// the queue may be left alone. Where a message cannot be taken, [`Hooks::FAULT`] has [`EventKind::Fault`] say why. Fails too if the destination relays and the options let strangers relay
    /// ([`Handler::relays`](crate::server::Handler::relays)). A relay has connections of its own for each of
    /// [`Options::set_workers`].
    ///
    /// ```
    /// use mailwire::blocking::Server;
    /// use mailwire::disposition::Destination;
    /// use mailwire::server::Options;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("mail");
    /// let maildir = Destination::open(&format!("maildir:{}", path.display()))?;
    /// let server = Server::start_with(Options::new(), &maildir)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start_with(options: Options, destination: &Destination) -> Result<Self, Error> {
        options.check_relaying(destination.relays())?;
        Self::start_any(options, Some(destination))
    }

    fn start_any(options: Options, destination: Option<&Destination>) -> Result<Self, Error> {
        let server = AsyncServer::with_hooks(options, Hooks::NONE)?;
        let addresses = server.addresses();
        let (shared, bound) = server.parts();
        let guard = ForkGuard::new();
        let queue = Arc::new(Queue::new(shared.options.answer_timeout())?);
        let workers = Workers::start(&shared, &bound, &queue, guard, destination)?;
        Ok(Self {
            inner: Arc::new(Inner {
                shared,
                queue,
                addresses,
                workers: Mutex::new(workers),
            }),
            guard,
        })
    }

    /// The TCP addresses that it listens on, with the ports that were chosen.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.inner.addresses
    }

    /// Waits for the next event. `None`: none came within `timeout`, which may be zero.
    ///
    /// Fails with [`Status::End`] once the server was shut down and nothing is left to answer: that is, every event that was taken
    /// was answered or dropped, or is too late. Where the server has ended by itself, it fails with [`Status::Io`] then, if a socket
    /// that it listens on can accept nothing any more, and else with [`Status::Internal`], each time it is called. It fails with [`Status::Cancelled`] and
    /// [`Status::Timeout`] as `call` says, and with [`Status::Forked`] in the child of a fork.
    pub fn next_event(
        &self,
        timeout: Option<Duration>,
        call: Call<'_>,
    ) -> Result<Option<Event>, Error> {
        Ok(self.next_events(1, timeout, call)?.pop())
    }

    /// Waits for events, and takes up to `max` of those that are there. Empty: none came within `timeout`. Fails as
    /// [`next_event`](Self::next_event) does.
    pub fn next_events(
        &self,
        max: usize,
        timeout: Option<Duration>,
        call: Call<'_>,
    ) -> Result<Vec<Event>, Error> {
        self.guard.check()?;
        if max == 0 {
            return Err(Error::invalid("max: at least one event must be wanted"));
        }
        let ends =
            |limit: Option<Duration>| limit.and_then(|limit| Instant::now().checked_add(limit));
        let (timeout, deadline) = (ends(timeout), ends(call.deadline));
        call.check()?;
        loop {
            let ending = match self.inner.queue.take(max) {
                Taken::Events(events) => return Ok(events),
                Taken::End(None) => {
                    return Err(Error::new(Status::End, "the server was shut down"));
                }
                Taken::End(Some((status, why))) => {
                    let text = format!("the server has ended by itself: {why}");
                    return Err(Error::new(status, text));
                }
                Taken::None { ending } => ending,
            };
            let now = Instant::now();
            if timeout.is_some_and(|timeout| timeout <= now) {
                return Ok(Vec::new());
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Err(Error::new(
                    Status::Timeout,
                    "no event came within the deadline",
                ));
            }
            let until = [timeout, deadline].into_iter().flatten().min();
            let left = until.map(|until| until.saturating_duration_since(now));
            if self.inner.queue.wait(left, ending, call)? {
                call.check()?;
            }
        }
    }

    /// A descriptor that is readable while an event waits or the queue has ended, for programs with an event loop of their own.
    /// It may be so once without an event: when the server has ended but for answers that are still owed. It is not to be read
    /// from.
    pub fn fd(&self) -> BorrowedFd<'_> {
        if !self.guard.is_child() {
            self.inner.queue.watch();
        }
        self.inner.queue.fd()
    }

    /// Accepts no more connections, tells idle clients 421, gives running transactions `grace` to finish, ends what is left and
    /// joins the threads. Meanwhile other threads must go on taking and answering events, or a transaction that waits for an answer
    /// finds none: a program that takes events on one thread alone calls [`begin_shutdown`](Self::begin_shutdown). Called
    /// again, it waits for the same end, and its `grace` means nothing.
    pub fn shutdown(&self, grace: Duration) -> Result<(), Error> {
        self.begin_shutdown(grace)?;
        let mut workers = self
            .inner
            .workers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        workers.join();
        Ok(())
    }

    /// Begins what [`shutdown`](Self::shutdown) does, and returns at once: take and answer events until
    /// [`next_event`](Self::next_event) fails with [`Status::End`]. Called again, it changes nothing. A server that is dropped before that end
    /// waits for what is left of `grace`.
    pub fn begin_shutdown(&self, grace: Duration) -> Result<(), Error> {
        self.guard.check()?;
        self.inner.shared.stop.begin(grace);
        Ok(())
    }

    /// Uses another certificate for all handshakes from now on. Fails with [`Status::Misuse`] if the server has none.
    pub fn reload_tls(&self, tls: ServerTls) -> Result<(), Error> {
        self.guard.check()?;
        self.inner.shared.reload_tls(tls)
    }

    /// What it has done so far.
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.inner.shared.statistics();
        statistics.queued_events = self.inner.queue.len() as u64;
        statistics.unanswered_events = self.inner.queue.unanswered() as u64;
        statistics
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.guard.is_child() {
            // The threads are the parent's, and so are the sockets behind these descriptors: all objects are left as they are, and
            // only this process's copies are closed.
            std::mem::forget(Arc::clone(&self.inner));
            self.inner.descriptors().into_iter().for_each(close_raw);
            return;
        }
        // What nobody will answer any more is answered now, so that nothing is waited for.
        self.inner.queue.close();
        // It fails in a child only.
        let _ = self.shutdown(Duration::ZERO);
    }
}

impl Inner {
    /// All that must be closed in the child of a fork. What another thread was just changing then is left out.
    fn descriptors(&self) -> Vec<RawFd> {
        let mut all = self.shared.connections.sockets();
        if let Ok(workers) = self.workers.try_lock() {
            all.extend(workers.sockets());
        }
        all.extend(self.queue.descriptors());
        all
    }
}
