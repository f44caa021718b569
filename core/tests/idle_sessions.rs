//! A session that waits for its client holds little memory, for there may be thousands of them: in clear 2 KiB, and 10 KiB over TLS.
//!
//! Counted is what the server's thread has asked the allocator for and not given back, which leaves out what the allocator adds, a
//! tenth in clear, and over TLS 1.5 KiB that the cryptography in C holds. `make bench` measures resident memory.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use allocation_counter::measure;
use mailwire::client::{self, Connection};
use mailwire::proto::Envelope;
use mailwire::server::{Answers, Body, Handler, Options, Server, Session, SessionInfo};
use mailwire::tls::{ClientTls, Pem, Roots, ServerTls, TlsPolicy};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Sessions that are measured; and as many before them, so that what all share has grown.
const SESSIONS: u32 = 64;

struct Idle;

impl Handler for Idle {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        Self
    }
}

impl Session for Idle {
    async fn message(&mut self, _: &SessionInfo, _: Envelope, _: &mut Body<'_>) -> Answers {
        Answers::accept()
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Opens connections by as many as it is told to, and says EHLO on each, over TLS a second time. It holds them all until it is told no more.
fn clients(options: &client::Options, wanted: &mpsc::Receiver<u32>, open: &Semaphore) {
    let runtime = runtime();
    let mut held = Vec::new();
    for count in wanted {
        for _ in 0..count {
            held.push(runtime.block_on(Connection::open(options)).unwrap());
        }
        open.add_permits(count as usize);
    }
}

/// Octets that the server holds for each session.
fn held_by_each(tls: bool) -> i64 {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = Pem::bytes(issued.cert.pem());
    let key = Pem::bytes(issued.signing_key.serialize_pem());
    let mut options = Options::new();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    options.listen(&any.to_string()).unwrap();
    options.set_connections_per_address(1000).unwrap();
    options.set_tls(ServerTls::new(&certificate, &key).unwrap());
    let runtime = runtime();
    let server = {
        let _entered = runtime.enter();
        Server::bind(options).unwrap()
    };

    let mut options = client::Options::new();
    let port = server.addresses()[0].port();
    options.set_server("127.0.0.1", Some(port)).unwrap();
    options.set_local_hostname("client.example").unwrap();
    options.set_tls_name("localhost").unwrap();
    let roots = Roots::Only(vec![certificate]);
    options.set_client_tls(ClientTls::new().with_roots(&roots).unwrap());
    options.set_tls(if tls {
        TlsPolicy::Required
    } else {
        TlsPolicy::None
    });

    let (want, wanted) = mpsc::channel();
    let open = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&open);
    let holding = thread::spawn(move || clients(&options, &wanted, &opened));
    let serving = runtime.spawn(server.serve_until(Idle, std::future::pending()));
    let opened = || {
        // A session waits again before anything else of this thread hears of its reply.
        runtime.block_on(async {
            let all = open.acquire_many(SESSIONS);
            let all = timeout(Duration::from_secs(60), all).await;
            all.unwrap().unwrap().forget();
        });
    };
    want.send(SESSIONS).unwrap();
    opened();
    want.send(SESSIONS).unwrap();
    let held = measure(opened);
    drop(want);
    serving.abort();
    holding.join().unwrap();
    held.bytes_current / i64::from(SESSIONS)
}

#[test]
fn a_session_in_clear_that_waits_holds_little() {
    let held = held_by_each(false);
    assert!(held > 256, "nothing was measured: {held} octets");
    assert!(held <= 1_850, "{held} octets");
}

#[test]
fn a_session_over_tls_that_waits_holds_what_tls_needs() {
    let held = held_by_each(true);
    assert!(held <= 8_600, "{held} octets");
}
