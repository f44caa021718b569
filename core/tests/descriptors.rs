//! A client leaves no descriptor open, whatever became of its connections. Alone in its process, since it counts all of them.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::proto::Envelope;
use mailwire::tls::{ClientTls, Pem, Roots, TlsPolicy};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;

/// How often the server goes through all that it does.
const ROUNDS: usize = 10;

/// A server that hangs up after so many lines of one connection, in turn, and never answers QUIT.
fn server(connections: usize) -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        for number in 0..connections {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let _ = stream.write_all(b"220 test.example\r\n");
            let (mut body, mut left) = (false, number % 12);
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let Ok(line) = line else { break };
                if left == 0 || line == "QUIT" {
                    break;
                }
                left -= 1;
                if body && line != "." {
                    continue;
                }
                body = line == "DATA";
                let reply: &[u8] = if body {
                    b"354 go on\r\n"
                } else {
                    b"250 ok\r\n"
                };
                let _ = stream.write_all(reply);
            }
        }
    });
    (port, serving)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Sends until the server has hung up in every way, so many times.
fn send_through(rounds: usize) {
    let (port, serving) = server(12 * rounds);
    let envelope = Envelope::parse("a@b.example", ["c@d.example"]).unwrap();
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(port)).unwrap();
    let client = Client::new(options).unwrap();
    let (mut sent, mut failed) = (0, 0);
    while !serving.is_finished() {
        let content = Content::bytes(b"x\r\n");
        match client.send(&envelope, content, Call::default()) {
            Ok(_) => sent += 1,
            Err(_) => failed += 1,
        }
    }
    drop(client);
    serving.join().unwrap();
    assert!(
        sent >= rounds && failed >= rounds,
        "{sent} sent, {failed} failed"
    );
}

/// What the relay does behind so many octets of the server, and how the client then ends its call.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Close,
    Reset,
    /// Nothing more passes, up to the timeout, the deadline or the cancelling of the call.
    Timeout,
    Deadline,
    Cancelled,
}

const MANNERS: [Manner; 5] = [
    Manner::Close,
    Manner::Reset,
    Manner::Timeout,
    Manner::Deadline,
    Manner::Cancelled,
];

const SOON: Duration = Duration::from_millis(40);

/// One session with STARTTLS, in which everything is accepted, as long as it goes.
fn serve(mut stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    for reply in ["220 x\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n"] {
        stream.write_all(reply.as_bytes())?;
        if reply != "220 go\r\n" {
            line.clear();
            lines.read_line(&mut line)?;
        }
    }
    drop(lines);
    let session = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(session, stream));
    let mut in_body = false;
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if in_body && line != ".\r\n" {
            continue;
        }
        in_body = line == "DATA\r\n";
        let reply = if in_body { "354 go\r\n" } else { "250 ok\r\n" };
        stream.get_mut().write_all(reply.as_bytes())?;
    }
}

/// Passes on what both sides say, of the server so many octets, and then ends it.
fn relay(mut client: TcpStream, server: u16, octets: usize, manner: Manner) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", server))?;
    client.set_nonblocking(true)?;
    server.set_nonblocking(true)?;
    let (mut buffer, mut left) = ([0; 4096], octets);
    let would_block = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => server.write_all(&buffer[..read])?,
            Err(error) if would_block(&error) => thread::sleep(Duration::from_micros(200)),
            Err(error) => return Err(error),
        }
        let most = left.min(buffer.len());
        match server.read(&mut buffer[..most]) {
            Ok(0) if most > 0 => return Ok(()),
            Ok(read) => client.write_all(&buffer[..read]).map(|()| left -= read)?,
            Err(error) if would_block(&error) => {}
            Err(error) => return Err(error),
        }
        if left == 0 && matches!(manner, Manner::Close | Manner::Reset) {
            if manner == Manner::Reset {
                SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
            }
            return Ok(());
        }
    }
}

/// Sends one message over TLS, which may fail, in this manner behind so many octets of the server. Gives whether it arrived.
fn send_over_tls(octets: usize, manner: Manner, tls: &Arc<ServerConfig>, root: &[u8]) -> bool {
    let listeners = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [port, through] = [0, 1].map(|at| listeners[at].local_addr().unwrap().port());
    let [server, proxy] = listeners;
    let tls = Arc::clone(tls);
    let serving = thread::spawn(move || serve(server.accept()?.0, tls));
    let relaying = thread::spawn(move || relay(proxy.accept()?.0, port, octets, manner));
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(through)).unwrap();
    options.set_tls(TlsPolicy::Required);
    let roots = Roots::Only(vec![Pem::bytes(root)]);
    options.set_client_tls(ClientTls::new().with_roots(&roots).unwrap());
    if manner == Manner::Timeout {
        options.set_timeout(Some(SOON)).unwrap();
    }
    let start = Instant::now();
    let asked = || start.elapsed() > SOON;
    let call = Call {
        deadline: (manner == Manner::Deadline).then_some(SOON),
        interrupted: (manner == Manner::Cancelled).then_some(&asked),
        ..Call::default()
    };
    let envelope = Envelope::parse("a@b.example", ["c@d.example"]).unwrap();
    let client = Client::new(options).unwrap();
    let sent = client.send(&envelope, Content::bytes(b"x\r\n"), call);
    drop(client);
    // What became of them is of no interest here, but that they are over.
    let _ = relaying.join().unwrap();
    let _ = serving.join().unwrap();
    sent.is_ok()
}

/// Over TLS, in each manner, at many places of the handshake and of the session.
fn send_all_over_tls(step: usize) {
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            key.signing_key.serialize_der().try_into().unwrap(),
        )
        .unwrap();
    let (tls, root) = (Arc::new(tls), key.cert.pem().into_bytes());
    for manner in MANNERS {
        let arrived = (0..2400)
            .step_by(step)
            .filter(|octets| send_over_tls(*octets, manner, &tls, &root))
            .count();
        assert!(arrived < 2400 / step, "nothing was cut");
    }
    assert!(
        send_over_tls(usize::MAX, Manner::Close, &tls, &root),
        "a session that nobody cuts"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn no_descriptor_is_left_open() {
    // What a process opens once and for all.
    send_through(1);
    send_all_over_tls(1200);
    let before = descriptors();
    send_through(ROUNDS);
    assert_eq!(descriptors(), before, "in clear");
    send_all_over_tls(97);
    assert_eq!(descriptors(), before, "over TLS");
}
