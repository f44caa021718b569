//! What the listeners of the benchmarks share, those of peers too: what they count, and how a run ends.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::contract::report;

/// Tells whoever has started the listener where it listens.
pub fn listening(port: u16) {
    println!("port {port}");
}

/// Until SIGTERM, or until so much time has passed.
pub async fn ended(limit: Duration) -> io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let _ = timeout(limit, terminated.recv()).await;
    Ok(())
}

/// What a listener has seen that is told when a client connects, when its message is taken and when it goes.
pub struct Tally {
    wanted: u64,
    messages: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
    times: Times,
    all: Notify,
}

impl Tally {
    /// Nothing yet, of so many messages; 0: of any number.
    pub fn of(wanted: u64) -> Self {
        Self {
            wanted,
            messages: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            times: Times::default(),
            all: Notify::new(),
        }
    }

    /// A client has connected. The time begins with the first.
    pub fn connected(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
        if self.connections.fetch_add(1, Ordering::SeqCst) == 0 {
            self.times.begin();
        }
    }

    /// A message was taken. The time ends with the last.
    pub fn taken(&self) {
        self.messages.fetch_add(1, Ordering::SeqCst);
        self.times.end();
    }

    /// A client is gone.
    pub fn gone(&self) {
        if self.open.fetch_sub(1, Ordering::SeqCst) == 1
            && self.wanted > 0
            && self.messages.load(Ordering::SeqCst) >= self.wanted
        {
            self.all.notify_one();
        }
    }

    /// Until all messages were taken and every client is gone.
    pub async fn all(&self) {
        self.all.notified().await;
    }

    /// The line that the run ends with.
    pub fn report(&self, cpu_seconds: f64) {
        let (first, last) = self.times.both();
        report(
            self.messages.load(Ordering::SeqCst),
            self.connections.load(Ordering::SeqCst),
            first,
            last,
            cpu_seconds,
        );
    }
}

/// When a run began and ended.
#[derive(Default)]
pub struct Times(Mutex<(Option<Instant>, Option<Instant>)>);

impl Times {
    /// Now, unless it began before.
    pub fn begin(&self) {
        self.lock().0.get_or_insert_with(Instant::now);
    }

    /// Now, whatever was said before.
    pub fn end(&self) {
        self.lock().1 = Some(Instant::now());
    }

    /// Both; now, where one was never told.
    pub fn both(&self) -> (Instant, Instant) {
        let now = Instant::now();
        let (first, last) = *self.lock();
        (first.unwrap_or(now), last.unwrap_or(now))
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Instant>, Option<Instant>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
