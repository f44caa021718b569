//! The pool of the blocking client. Its unit is a connection with a runtime of its own, driven by the thread that borrowed it;
//! threads meet only here, when they take one out or bring it back.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::call::{Call, TICK};
use super::fork::ForkGuard;
use crate::client::{Connection, Options};
use crate::error::{Error, Phase, Status};
use crate::net::{Deadline, close_raw};

/// How long all the goodbyes of a closing pool may take together.
const GOODBYE: Duration = Duration::from_secs(2);

pub(super) struct Pool {
    options: Options,
    state: Mutex<State>,
    /// Told when a connection comes back or is gone.
    freed: Condvar,
    guard: ForkGuard,
}

struct State {
    idle: Vec<Pooled>,
    /// Connections that exist, idle or borrowed.
    open: usize,
    closed: bool,
}

/// A connection and the runtime that drives it.
pub(super) struct Pooled {
    /// Dropped before its runtime.
    connection: Option<Connection>,
    runtime: Option<Runtime>,
    guard: ForkGuard,
    opened: Instant,
    used: Instant,
    messages: u32,
}

/// A borrowed connection. It goes back to the pool when dropped, if it is still good for another message.
pub(super) struct Borrowed<'p> {
    pool: &'p Pool,
    /// What may cut its goodbye short.
    call: Call<'p>,
    pooled: Option<Pooled>,
    reused: bool,
}

impl Pool {
    pub(super) fn new(mut options: Options) -> Self {
        options.one_thread = true;
        let state = State {
            idle: Vec::new(),
            open: 0,
            closed: false,
        };
        Self {
            options,
            state: Mutex::new(state),
            freed: Condvar::new(),
            guard: ForkGuard::new(),
        }
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// A connection: an idle one that is still good, or a new one, or the next that comes back. `ends` bounds the wait.
    pub(super) fn borrow<'p>(
        &'p self,
        call: &Call<'p>,
        ends: Deadline,
    ) -> Result<Borrowed<'p>, Error> {
        self.guard.check()?;
        call.check()?;
        loop {
            let mut state = self.lock();
            if state.closed {
                return Err(Error::new(Status::Closed, "the client was closed"));
            }
            if let Some(pooled) = state.idle.pop() {
                drop(state);
                let mut borrowed = Borrowed {
                    pool: self,
                    call: *call,
                    pooled: Some(pooled),
                    reused: true,
                };
                if borrowed.is_fresh() {
                    return Ok(borrowed);
                }
                borrowed.discard();
            } else if state.open < self.options.pool.max_connections {
                state.open += 1;
                drop(state);
                let opened = Pooled::open(&self.options, call, ends);
                if opened.is_err() {
                    self.forget_one();
                }
                return opened.map(|pooled| Borrowed {
                    pool: self,
                    call: *call,
                    pooled: Some(pooled),
                    reused: false,
                });
            } else {
                // Woken when a connection is free; the tick is there for the caller's wish to stop.
                drop(self.freed.wait_timeout(state, TICK));
                call.check()?;
                if ends.has_passed() {
                    let text = "all connections of the pool were busy until the deadline: raise max_connections or the deadline";
                    return Err(Error::new(Status::Timeout, text).at(Phase::Pool));
                }
            }
        }
    }

    /// Says goodbye on every idle connection, or as many as `call` leaves time for; the rest are closed without. Those that are
    /// borrowed are closed when they come back.
    pub(super) fn close(&self, call: &Call<'_>) {
        if self.guard.is_child() {
            return;
        }
        let idle = {
            let mut state = self.lock();
            state.closed = true;
            state.open -= state.idle.len();
            std::mem::take(&mut state.idle)
        };
        self.freed.notify_all();
        let until = Instant::now() + GOODBYE;
        for pooled in idle {
            pooled.quit(call, until.saturating_duration_since(Instant::now()));
        }
    }

    fn forget_one(&self) {
        self.lock().open -= 1;
        self.freed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock, so the state is whole even if a thread died elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if !self.guard.is_child() {
            self.close(&Call::default());
        }
        // In a child the connections are dropped as they are: `Pooled` knows what to do.
    }
}

impl Pooled {
    fn open(options: &Options, call: &Call<'_>, ends: Deadline) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .thread_name("mailwire-resolve")
            .build()
            .map_err(|e| {
                Error::new(Status::Io, format!("the system gave no event queue: {e}"))
                    .with_source(e)
            })?;
        // Large, and there once for each connection: not on the caller's stack.
        let opening = async { call.run(Box::pin(Connection::open_by(options, ends))).await };
        let connection = match runtime.block_on(opening) {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) | Err(error) => {
                // A look-up that cannot be interrupted ends on its own.
                runtime.shutdown_background();
                // One that was cut short does not say where.
                return Err(match error.peer() {
                    Some(_) => error,
                    None => error.with_peer(options.peer()?),
                });
            }
        };
        let now = Instant::now();
        Ok(Self {
            connection: Some(connection),
            runtime: Some(runtime),
            guard: ForkGuard::new(),
            opened: now,
            used: now,
            messages: 0,
        })
    }

    /// How many more messages the server takes over this connection.
    fn messages_left(&self) -> u32 {
        let left = self.connection.as_ref().and_then(Connection::messages_left);
        left.map_or(u32::MAX, |left| u32::try_from(left).unwrap_or(u32::MAX))
    }

    fn quit(mut self, call: &Call<'_>, limit: Duration) {
        // Inside another runtime nothing can be waited for: the connection is just closed.
        if tokio::runtime::Handle::try_current().is_ok() || self.guard.is_child() {
            return;
        }
        if let (Some(runtime), Some(connection)) = (&self.runtime, self.connection.take())
            && connection.is_usable()
        {
            let _ = runtime
                .block_on(async { tokio::time::timeout(limit, call.run(connection.quit())).await });
        }
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let (connection, runtime) = (self.connection.take(), self.runtime.take());
        if self.guard.is_child() {
            // The runtime's event queue is shared with the parent: dropping the socket properly would take it out of there.
            if let Some(connection) = connection {
                let descriptor = connection.raw_fd();
                std::mem::forget(connection);
                close_raw(descriptor);
            }
            std::mem::forget(runtime);
            return;
        }
        drop(connection);
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
}

impl Borrowed<'_> {
    /// Whether this connection was in use before.
    pub(super) fn is_reused(&self) -> bool {
        self.reused
    }

    /// Runs `work` on the connection, on this thread. Fails if the call was cut short: see [`Borrowed::connection`] then.
    pub(super) fn run<T>(
        &mut self,
        call: &Call<'_>,
        ends: Deadline,
        work: impl AsyncFnOnce(&mut Connection) -> T,
    ) -> Result<T, Error> {
        let missing = || Error::new(Status::Internal, "a borrowed connection is missing");
        let pooled = self.pooled.as_mut().ok_or_else(missing)?;
        let (runtime, connection) = pooled
            .runtime
            .as_ref()
            .zip(pooled.connection.as_mut())
            .ok_or_else(missing)?;
        connection.set_deadline(ends);
        runtime.block_on(async { call.run(work(connection)).await })
    }

    /// The connection, to ask what became of the messages when a call was cut short.
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.pooled.as_mut()?.connection.as_mut()
    }

    /// Counts messages that went over the connection.
    pub(super) fn count(&mut self, messages: u32) {
        if let Some(pooled) = &mut self.pooled {
            pooled.messages = pooled.messages.saturating_add(messages);
        }
    }

    /// How many more messages this connection may carry.
    pub(super) fn room(&self) -> u32 {
        let of_options = self
            .pool
            .options
            .pool
            .max_messages
            .saturating_sub(self.pooled.as_ref().map_or(0, |pooled| pooled.messages));
        of_options.min(self.pooled.as_ref().map_or(0, Pooled::messages_left))
    }

    /// Whether an idle connection can take another message: not too old, not idle for too long, and not closed by the server.
    fn is_fresh(&mut self) -> bool {
        let limits = &self.pool.options.pool;
        let Some(pooled) = &mut self.pooled else {
            return false;
        };
        let young =
            pooled.opened.elapsed() < limits.max_age && pooled.used.elapsed() < limits.idle_timeout;
        match (&pooled.runtime, &mut pooled.connection) {
            (Some(runtime), Some(connection)) if young => !runtime.block_on(connection.is_stale()),
            _ => false,
        }
    }

    fn discard(mut self) {
        self.pooled = None;
    }

    /// Says goodbye, as this session has no room for what is to be sent.
    pub(super) fn retire(mut self) {
        if let Some(pooled) = self.pooled.take() {
            pooled.quit(&self.call, GOODBYE);
        }
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let limits = &self.pool.options.pool;
        let pooled = self.pooled.take();
        if self.pool.guard.is_child() {
            // Forked within a callback: another thread of the parent may have held the lock, and would never let go of it here.
            return drop(pooled);
        }
        let Some(mut pooled) = pooled else {
            return self.pool.forget_one();
        };
        let good = pooled
            .connection
            .as_ref()
            .is_some_and(Connection::is_usable);
        if good && pooled.messages < limits.max_messages && pooled.messages_left() > 0 {
            let mut state = self.pool.lock();
            if !state.closed {
                pooled.used = Instant::now();
                state.idle.push(pooled);
                drop(state);
                self.pool.freed.notify_one();
                return;
            }
        }
        pooled.quit(&self.call, GOODBYE);
        self.pool.forget_one();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// A server that greets one connection and tells what it hears afterwards.
    fn server() -> (u16, std::thread::JoinHandle<Vec<String>>) {
        server_with_goodbye(b"221 bye\r\n")
    }

    /// The same, which says this to QUIT.
    fn server_with_goodbye(goodbye: &'static [u8]) -> (u16, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            stream.write_all(b"220 test.example\r\n").unwrap();
            let mut lines = Vec::new();
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let line = line.unwrap();
                let command = line.split(' ').next().unwrap_or_default();
                let reply = if command == "QUIT" {
                    goodbye
                } else {
                    b"250 ok\r\n"
                };
                lines.push(command.to_owned());
                let _ = stream.write_all(reply);
            }
            lines
        });
        (port, thread)
    }

    fn pool(port: u16) -> Pool {
        let mut options = Options::new();
        options.set_server("127.0.0.1", Some(port)).unwrap();
        Pool::new(options)
    }

    #[test]
    fn a_pool_says_goodbye_on_its_idle_connections() {
        let (port, server) = server();
        let pool = pool(port);
        drop(pool.borrow(&Call::default(), Deadline::NONE).unwrap());
        drop(pool);
        assert_eq!(server.join().unwrap(), ["EHLO", "QUIT"]);
    }

    #[test]
    fn a_goodbye_that_is_not_answered_may_be_cut_short() {
        let interrupted = || true;
        let call = Call {
            interrupted: Some(&interrupted),
            ..Call::default()
        };
        let (port, server) = server_with_goodbye(b"");
        let pool = pool(port);
        drop(pool.borrow(&Call::default(), Deadline::NONE).unwrap());
        let begun = Instant::now();
        pool.close(&call);
        assert!(begun.elapsed() < GOODBYE / 2);
        assert_eq!(server.join().unwrap(), ["EHLO", "QUIT"]);
    }

    #[test]
    fn in_a_child_every_call_fails_and_dropping_closes_without_a_word() {
        let (port, server) = server();
        let mut pool = pool(port);
        drop(pool.borrow(&Call::default(), Deadline::NONE).unwrap());
        pool.guard = ForkGuard::of_another_process();
        for pooled in &mut pool.lock().idle {
            pooled.guard = ForkGuard::of_another_process();
        }
        let refused = pool.borrow(&Call::default(), Deadline::NONE).err().unwrap();
        assert_eq!(refused.status(), Status::Forked);
        pool.close(&Call::default());
        drop(pool);
        assert_eq!(
            server.join().unwrap(),
            ["EHLO"],
            "no QUIT, but the end of the stream"
        );
    }

    #[test]
    fn the_pool_is_bounded_and_waiting_for_it_ends() {
        let (port, server) = server();
        let mut pool = pool(port);
        pool.options.set_max_connections(1).unwrap();
        let borrowed = pool.borrow(&Call::default(), Deadline::NONE).unwrap();
        let soon = Deadline::after(Some(Duration::from_millis(60)));
        let refused = pool.borrow(&Call::default(), soon).err().unwrap();
        assert_eq!(
            (refused.status(), refused.phase()),
            (Status::Timeout, Some(Phase::Pool))
        );
        drop(borrowed);
        pool.close(&Call::default());
        let refused = pool.borrow(&Call::default(), Deadline::NONE).err().unwrap();
        assert_eq!(refused.status(), Status::Closed);
        server.join().unwrap();
    }
}
