//! mailwire's listener for the benchmarks: takes every message and drops it. `bench_programs.py` has its contract; what else it
//! knows stands at `mailwire_bench::server_options`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mailwire::Error;
use mailwire::proto::Envelope;
use mailwire::server::{Answers, Body, Handler, Server, Session, SessionInfo};
use mailwire_bench::{Arguments, cpu_seconds, report, server_options};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read();
    let seconds = arguments.number("seconds", 60)?;
    let counts = Arc::new(Counts {
        wanted: arguments.number("messages", 0)?,
        ..Counts::default()
    });
    let server = Server::bind(server_options(&arguments)?)?;
    println!(
        "port {}",
        server
            .addresses()
            .first()
            .map_or(0, std::net::SocketAddr::port)
    );
    let before = cpu_seconds();

    let mut terminated = signal(SignalKind::terminate())?;
    let seen = Arc::clone(&counts);
    let enough = async move {
        tokio::select! {
            () = seen.ended.notified() => {}
            _ = terminated.recv() => {}
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        }
    };
    server
        .serve_until(Sink(Arc::clone(&counts)), enough)
        .await?;
    let (first, last) = *counts.times();
    let now = Instant::now();
    report(
        counts.messages.load(Ordering::Relaxed),
        counts.connections.load(Ordering::Relaxed),
        first.unwrap_or(now),
        last.unwrap_or(now),
        cpu_seconds() - before,
    );
    Ok(())
}

/// What is to come, and what was seen so far: all on one thread.
#[derive(Default)]
struct Counts {
    wanted: u64,
    messages: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
    /// Of the first connection and the last message.
    times: Mutex<(Option<Instant>, Option<Instant>)>,
    ended: Notify,
}

impl Counts {
    fn times(&self) -> MutexGuard<'_, (Option<Instant>, Option<Instant>)> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Sink(Arc<Counts>);

impl Handler for Sink {
    type Session = Drain;

    fn session(&self, _: &SessionInfo) -> Drain {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        if self.0.connections.fetch_add(1, Ordering::Relaxed) == 0 {
            self.0.times().0 = Some(Instant::now());
        }
        Drain(Arc::clone(&self.0))
    }
}

struct Drain(Arc<Counts>);

impl Session for Drain {
    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        while let Ok(Some(_)) = body.chunk().await {}
        self.0.messages.fetch_add(1, Ordering::Relaxed);
        self.0.times().1 = Some(Instant::now());
        Answers::accept()
    }

    async fn disconnect(&mut self, _: &SessionInfo, _: Option<&Error>) {
        let all = self.0.messages.load(Ordering::Relaxed);
        if self.0.open.fetch_sub(1, Ordering::Relaxed) == 1
            && self.0.wanted > 0
            && all >= self.0.wanted
        {
            self.0.ended.notify_one();
        }
    }
}
