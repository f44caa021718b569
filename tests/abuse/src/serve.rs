//! The listener that is attacked: `abuse listen KIND NAME=VALUE … [-- KIND NAME=VALUE …]` runs a server for each group, and does
//! what it is told on standard input: `statistics`, `forget` (what was the most of memory), `stop`. It ends with its input. A panic anywhere ends it at once.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mailwire::blocking::{Call, Server as BlockingServer};
use mailwire::proto::Envelope;
use mailwire::sasl::Credentials;
use mailwire::server::{
    Answer, Answers, Body, Control, Handler, Hooks, Options, Server, Session, SessionInfo,
    Statistics,
};
use peak_alloc::PeakAlloc;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::Outcome;

/// Runs the servers of the groups until standard input ends. `memory` counts what the process holds.
pub fn serve(arguments: &[String], memory: &PeakAlloc) -> Outcome<()> {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // One that the server would have caught counts too.
        usual(panic);
        std::process::abort();
    }));
    let mut running = arguments
        .split(|word| word == "--")
        .map(Running::start)
        .collect::<Outcome<Vec<_>>>()?;
    let mut out = std::io::stdout();
    for server in &running {
        writeln!(out, "listening {}", server.address)?;
    }
    writeln!(out, "ready")?;
    for line in std::io::stdin().lock().lines() {
        match line?.as_str() {
            "statistics" => {
                let all: Vec<_> = running.iter().map(Running::statistics).collect();
                let sum = |of: fn(&Statistics) -> u64| -> u64 { all.iter().map(of).sum() };
                let (open, sessions) = (sum(|s| s.open_sessions), sum(|s| s.sessions));
                let (messages, held) = (sum(|s| s.messages), sum(|s| s.body_memory));
                let (allocated, most) = (memory.current_usage(), memory.peak_usage());
                writeln!(
                    out,
                    "statistics {open} {sessions} {messages} {held} {allocated} {most}"
                )?;
            }
            "forget" => memory.reset_peak_usage(),
            "stop" => {
                for server in running.drain(..) {
                    server.stop()?;
                }
                writeln!(out, "stopped")?;
            }
            other => return Err(format!("{other:?} is nothing to do").into()),
        }
    }
    Ok(())
}

struct Running {
    address: SocketAddr,
    grace: Duration,
    kind: Kind,
}

enum Kind {
    /// On tasks of a runtime.
    Tasks {
        control: Control,
        stop: oneshot::Sender<()>,
        thread: JoinHandle<Result<(), mailwire::Error>>,
    },
    /// On the event queue.
    Queue {
        server: Arc<BlockingServer>,
        threads: Vec<JoinHandle<()>>,
    },
}

impl Running {
    /// `tasks` is the async server on one thread, `threads` the same on two, and `queue` the event queue, with two threads that
    /// take events. Beside the options of the server there is `read`, which says what becomes of a message.
    fn start(group: &[String]) -> Outcome<Self> {
        let (kind, settings) = group.split_first().ok_or("a kind of server is missing")?;
        let mut options = Options::new();
        options.set_hostname("mx.example.org")?;
        let (mut reading, mut grace) = (Reading::Pieces, Duration::from_secs(30));
        for setting in settings {
            match setting.split_once('=').ok_or("the form is name=value")? {
                ("read", "pieces") => reading = Reading::Pieces,
                ("read", "whole") => reading = Reading::Whole,
                ("read", "mixed") => reading = Reading::Mixed,
                ("hooks", "all") => options.set_hooks(Hooks::ALL),
                ("grace", seconds) => grace = Duration::from_secs(seconds.parse()?),
                (name, value) => options.set(name, value)?,
            }
        }
        options.set_grace(grace);
        match kind.as_str() {
            "tasks" => Self::tasks(options, grace, reading, Builder::new_current_thread()),
            "threads" => Self::tasks(options, grace, reading, Builder::new_multi_thread()),
            "queue" => Self::queue(options, grace),
            other => Err(format!("{other:?} is no kind of server").into()),
        }
    }

    fn tasks(
        options: Options,
        grace: Duration,
        reading: Reading,
        mut runtime: Builder,
    ) -> Outcome<Self> {
        let runtime = runtime.worker_threads(2).enable_all().build()?;
        let entered = runtime.enter();
        let server = Server::bind(options)?;
        drop(entered);
        let address = *server.addresses().first().ok_or("no address")?;
        let control = server.control();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let stopped = async { stopped.await.unwrap_or_default() };
            runtime.block_on(server.serve_until(reading, stopped))
        });
        Ok(Self {
            address,
            grace,
            kind: Kind::Tasks {
                control,
                stop,
                thread,
            },
        })
    }

    fn queue(options: Options, grace: Duration) -> Outcome<Self> {
        let server = Arc::new(BlockingServer::start(options)?);
        let address = *server.addresses().first().ok_or("no address")?;
        let threads = (0..2)
            .map(|_| {
                let server = Arc::clone(&server);
                thread::spawn(move || accept_all(&server))
            })
            .collect();
        Ok(Self {
            address,
            grace,
            kind: Kind::Queue { server, threads },
        })
    }

    fn statistics(&self) -> Statistics {
        match &self.kind {
            Kind::Tasks { control, .. } => control.statistics(),
            Kind::Queue { server, .. } => server.statistics(),
        }
    }

    fn stop(self) -> Outcome<()> {
        match self.kind {
            Kind::Tasks { stop, thread, .. } => {
                let _ = stop.send(());
                thread.join().map_err(|_| "the server has panicked")??;
            }
            Kind::Queue { server, threads } => {
                server.shutdown(self.grace)?;
                for thread in threads {
                    thread.join().map_err(|_| "a thread has panicked")?;
                }
            }
        }
        Ok(())
    }
}

/// Accepts what is asked until the server has ended.
fn accept_all(server: &BlockingServer) {
    while let Ok(events) = server.next_events(16, None, Call::default()) {
        for mut event in events {
            if event.owed() > 0 {
                // A client that is gone needs no answer.
                let _ = event.accept();
            }
        }
    }
}

/// What the async server's sessions do with a message.
#[derive(Clone, Copy)]
enum Reading {
    /// Take it piece by piece and drop each.
    Pieces,
    /// Hold all of it until its end.
    Whole,
    /// Both by turns, and answer some messages unread.
    Mixed,
}

impl Handler for Reading {
    type Session = Self;

    fn session(&self, info: &SessionInfo) -> Self {
        match (self, info.id() % 3) {
            (Self::Mixed, 0) => Self::Pieces,
            (Self::Mixed, 1) => Self::Whole,
            _ => *self,
        }
    }
}

impl Session for Reading {
    /// For mechanisms that the table of users does not serve.
    async fn auth(&mut self, _: &SessionInfo, _: Credentials) -> Answer {
        Answer::Accept
    }

    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        match self {
            Self::Pieces => while let Ok(Some(_)) = body.chunk().await {},
            // Where it fails, what is answered is not sent.
            Self::Whole => drop(body.collect().await),
            Self::Mixed => {}
        }
        Answers::accept()
    }
}
