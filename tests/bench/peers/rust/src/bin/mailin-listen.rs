//! mailin-embedded as a listener under the contract of bench_programs.py: takes every message, keeps none. It has a thread for each
//! connection: `--connections C` says how many (16).

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mailin_embedded::response::OK;
use mailin_embedded::{Handler, Response, Server, SslConfig};
use mailwire_bench_peers::{Arguments, cpu_seconds, report};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let seconds = Duration::from_secs(arguments.number("seconds", 60)?);
    let counts = Arc::new(Counts {
        wanted: arguments.number("messages", 0)?,
        ..Counts::default()
    });
    let ssl = match arguments.text("certificate", "") {
        "" => SslConfig::None,
        certificate => SslConfig::SelfSigned {
            cert_path: certificate.to_owned(),
            key_path: arguments.text("key", "").to_owned(),
        },
    };
    let listener = TcpListener::bind(("127.0.0.1", u16::try_from(arguments.number("port", 0)?)?))?;
    let port = listener.local_addr()?.port();
    let mut server = Server::new(Taker {
        counts: Arc::clone(&counts),
        is_session: false,
    });
    server
        .with_name("mailin.example")
        .with_num_threads(u32::try_from(arguments.number("connections", 16)?)?)
        .with_tcp_listener(listener)
        .with_ssl(ssl)
        .map_err(|error| error.to_string())?;
    println!("port {port}");
    let before = cpu_seconds();
    thread::spawn(move || {
        // It never ends by itself.
        if let Err(error) = server.serve() {
            eprintln!("{error}");
            std::process::exit(1);
        }
    });
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        () = counts.ended.notified() => {}
        _ = terminated.recv() => {}
        () = tokio::time::sleep(seconds) => {}
    }
    let now = Instant::now();
    let (first, last) = *counts.times.lock().unwrap_or_else(PoisonError::into_inner);
    report(
        counts.messages.load(Ordering::SeqCst),
        counts.connections.load(Ordering::SeqCst),
        first.unwrap_or(now),
        last.unwrap_or(now),
        cpu_seconds() - before,
    );
    Ok(())
}

/// What is to come, and what was seen so far.
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

/// The server clones one for each session.
struct Taker {
    counts: Arc<Counts>,
    is_session: bool,
}

impl Clone for Taker {
    fn clone(&self) -> Self {
        self.counts.open.fetch_add(1, Ordering::SeqCst);
        if self.counts.connections.fetch_add(1, Ordering::SeqCst) == 0 {
            let mut times = self
                .counts
                .times
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            times.0 = Some(Instant::now());
        }
        Self {
            counts: Arc::clone(&self.counts),
            is_session: true,
        }
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        let counts = &self.counts;
        if self.is_session
            && counts.open.fetch_sub(1, Ordering::SeqCst) == 1
            && counts.wanted > 0
            && counts.messages.load(Ordering::SeqCst) >= counts.wanted
        {
            counts.ended.notify_one();
        }
    }
}

impl Handler for Taker {
    fn data(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        if self.counts.messages.fetch_add(1, Ordering::SeqCst) + 1 >= self.counts.wanted {
            let mut times = self
                .counts
                .times
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            times.1 = Some(Instant::now());
        }
        OK
    }
}
