//! A server that ends leaves nothing behind: no descriptor, no thread, no port that is taken. Alone in its process, since it counts
//! all of them.

#![cfg(all(feature = "io", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use mailwire::Status;
use mailwire::blocking::{Call, EventKind, Server};
use mailwire::proto::Envelope;
use mailwire::server::{self, Answers, Body, Handler, Options, Session, SessionInfo};
use mailwire::tls::ServerTls;
use tokio::sync::oneshot;

/// What leaks does so each time, and each time the servers wait for the hooks that are stuck.
const ROUNDS: usize = 4;

/// What clients have said when the server ends. Each of them stays connected.
const STATES: [&str; 7] = [
    "",
    "EHLO client.exa",
    "EHLO client.example\r\n",
    "EHLO client.example\r\nSTARTTLS\r\n\u{16}\u{3}\u{1}",
    "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n",
    "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhalf a mess",
    // Whole, and nobody answers it.
    "EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\n",
];

fn options(address: SocketAddr) -> Options {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (key.cert.pem(), key.signing_key.serialize_pem());
    let mut options = Options::new();
    options.listen(&address.to_string()).unwrap();
    options.set_tls(ServerTls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap());
    options.set_workers(2).unwrap();
    options.set_grace(Duration::from_millis(50));
    options
}

/// Clients in every state, each once.
fn clients(address: SocketAddr) -> Vec<TcpStream> {
    let connect = |said: &&str| {
        let mut client = TcpStream::connect(address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut greeting = [0; 512];
        assert!(client.read(&mut greeting).unwrap() > 0);
        client.write_all(said.as_bytes()).unwrap();
        client
    };
    STATES.iter().map(connect).collect()
}

/// Every client is told, or hung up on; none is left.
fn all_are_left(clients: Vec<TcpStream>) {
    for mut client in clients {
        let mut last_words = Vec::new();
        // A reset is an end too.
        if let Err(error) = client.read_to_end(&mut last_words) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
}

fn blocking_server(address: SocketAddr) -> SocketAddr {
    let server = Server::start(options(address)).unwrap();
    let address = server.addresses()[0];
    let clients = clients(address);
    let message = loop {
        let event = server.next_event(Some(Duration::from_secs(20)), Call::default());
        let event = event.unwrap().unwrap();
        if matches!(event.kind(), EventKind::Message { .. }) {
            break event;
        }
    };
    server.shutdown(Duration::from_millis(50)).unwrap();
    drop(message);
    let end = server.next_event(None, Call::default()).unwrap_err();
    assert_eq!(end.status(), Status::End);
    drop(server);
    all_are_left(clients);
    address
}

struct Silent;

impl Handler for Silent {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        Self
    }
}

impl Session for Silent {
    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        let _ = body.collect().await;
        std::future::pending().await
    }
}

fn async_server(address: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = {
        let _entered = runtime.enter();
        server::Server::bind(options(address)).unwrap()
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = thread::spawn(move || {
        runtime.block_on(server.serve_until(Silent, async { stopped.await.unwrap_or_default() }))
    });
    let clients = clients(address);
    drop(stop);
    serving.join().unwrap().unwrap();
    all_are_left(clients);
}

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Threads and descriptors, once there are no more than `wanted`, or after a while.
fn left(wanted: (usize, usize), patience: Duration) -> (usize, usize) {
    let until = Instant::now() + patience;
    loop {
        let now = (count("/proc/self/task"), count("/proc/self/fd"));
        if now <= wanted || Instant::now() > until {
            return now;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_server_that_ends_leaves_nothing_and_the_next_one_takes_its_port_at_once() {
    let threads = count("/proc/self/task");
    // What is made once for the whole process is made here.
    let address = blocking_server("127.0.0.1:0".parse().unwrap());
    async_server(address);
    // Threads that are just ending are given the time that they need.
    let before = left((threads, usize::MAX), Duration::from_secs(10));
    for _ in 0..ROUNDS {
        assert_eq!(blocking_server(address), address);
        async_server(address);
    }
    assert_eq!(
        left(before, Duration::from_secs(10)),
        before,
        "threads and descriptors"
    );
}
