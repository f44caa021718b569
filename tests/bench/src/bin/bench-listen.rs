//! mailwire's listener for the benchmarks: takes every message and drops it. `bench_programs.py` has its contract; what else it
//! knows stands at `mailwire_bench::server_options`.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use mailwire::Error;
use mailwire::proto::Envelope;
use mailwire::server::{Answers, Body, Handler, Server, Session, SessionInfo};
use mailwire_bench::{Arguments, cpu_seconds, report, server_options};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read();
    let wanted = arguments.number("messages", 0)?;
    let seconds = arguments.number("seconds", 60)?;
    let server = Server::bind(server_options(&arguments)?)?;
    let (counts, mut seen) = watch::channel(Counts::default());
    println!(
        "port {}",
        server
            .addresses()
            .first()
            .map_or(0, std::net::SocketAddr::port)
    );
    let before = cpu_seconds();

    let mut terminated = signal(SignalKind::terminate())?;
    let mut done = seen.clone();
    let enough = async move {
        let all =
            done.wait_for(|counts| wanted > 0 && counts.messages >= wanted && counts.open == 0);
        tokio::select! {
            _ = all => {}
            _ = terminated.recv() => {}
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        }
    };
    server.serve_until(Sink(Mutex::new(counts)), enough).await?;
    let counts = *seen.borrow_and_update();
    let now = Instant::now();
    report(
        counts.messages,
        counts.connections,
        counts.first.unwrap_or(now),
        counts.last.unwrap_or(now),
        cpu_seconds() - before,
    );
    Ok(())
}

/// What was seen so far.
#[derive(Clone, Copy, Default)]
struct Counts {
    messages: u64,
    connections: u64,
    open: u64,
    first: Option<Instant>,
    last: Option<Instant>,
}

struct Sink(Mutex<watch::Sender<Counts>>);

impl Handler for Sink {
    type Session = Drain;

    fn session(&self, _: &SessionInfo) -> Drain {
        let counts = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        counts.send_modify(|counts| {
            counts.connections += 1;
            counts.open += 1;
            counts.first.get_or_insert_with(Instant::now);
        });
        Drain(counts)
    }
}

struct Drain(watch::Sender<Counts>);

impl Session for Drain {
    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        while let Ok(Some(_)) = body.chunk().await {}
        self.0.send_modify(|counts| {
            counts.messages += 1;
            counts.last = Some(Instant::now());
        });
        Answers::accept()
    }

    async fn disconnect(&mut self, _: &SessionInfo, _: Option<&Error>) {
        self.0.send_modify(|counts| counts.open -= 1);
    }
}
