//! mailwire's listener for the benchmarks, through the queue of events: threads take what there is, accept every message and drop
//! it. `bench_programs.py` has its contract.
//!
//!     --threads T           the application's threads (1)
//!
//! What else it knows stands at `mailwire_bench::server_options`. Nobody is asked when a client connects, so that the time of a run
//! begins with its first message.

use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use mailwire::Status;
use mailwire::blocking::{Call, EventKind, Server};
use mailwire_bench::{Arguments, Times, cpu_seconds, ended, listening, report, server_options};
use tokio::runtime::Builder;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Events that a thread takes at a time.
const BATCH: usize = 256;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read();
    let limit = Duration::from_secs(arguments.number("seconds", 60)?);
    let run = Run {
        wanted: arguments.number("messages", 0)?,
        counts: Counts::default(),
    };
    let server = Arc::new(Server::start(server_options(&arguments)?)?);
    listening(server.addresses().first().map_or(0, SocketAddr::port));
    let before = cpu_seconds();
    let over = Arc::clone(&server);
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let in_time = runtime.and_then(|runtime| runtime.block_on(ended(limit)));
        if in_time.is_err() || over.shutdown(Duration::ZERO).is_err() {
            // Without the signal nobody could end it in time.
            process::exit(1);
        }
    });
    thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.number("threads", 1)?)
            .map(|_| scope.spawn(|| run.take(&server)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
    .map_err(|error: Failure| -> Box<dyn std::error::Error> { error })?;
    let cpu = cpu_seconds() - before;
    let (first, last) = run.counts.times.both();
    report(
        run.counts.messages.load(Ordering::SeqCst),
        server.statistics().sessions,
        first,
        last,
        cpu,
    );
    Ok(())
}

/// What is to come, and what was seen so far.
struct Run {
    wanted: u64,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    messages: AtomicU64,
    closed: AtomicU64,
    /// Of the first message and of the last.
    times: Times,
}

impl Run {
    /// Takes events and answers them until the run is over.
    fn take(&self, server: &Server) -> Result<(), Failure> {
        loop {
            let events = match server.next_events(BATCH, None, Call::default()) {
                Err(error) if error.status() == Status::End => return Ok(()),
                events => events?,
            };
            let (mut messages, mut closed) = (0, 0);
            for mut event in events {
                match event.kind() {
                    EventKind::Message { .. } => {
                        event.accept()?;
                        messages += 1;
                    }
                    EventKind::Disconnect => closed += 1,
                    _ => {}
                }
            }
            if messages > 0 {
                self.counts.times.begin();
                self.counts.times.end();
            }
            let messages = messages + self.counts.messages.fetch_add(messages, Ordering::SeqCst);
            let closed = closed + self.counts.closed.fetch_add(closed, Ordering::SeqCst);
            if self.wanted > 0 && messages >= self.wanted && closed == server.statistics().sessions
            {
                server.shutdown(Duration::ZERO)?;
            }
        }
    }
}
