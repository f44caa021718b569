//! What goes wrong while connecting, each in its own words.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

use crate::error::{Error, Phase, Status};
use crate::net::{connect, connect_unix};
use crate::transcript::Session;

const PATIENCE: Duration = Duration::from_secs(10);

/// A port of loopback that nobody listens on.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// An address that lets every connection wait for ever, as a firewall does: a listener whose queue is full.
struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _queue: Vec<Socket>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let queue = (0..4)
            .map(|_| {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_nonblocking(true).unwrap();
                let _ = socket.connect(&address.into());
                socket
            })
            .collect();
        Self {
            address,
            _listener: listener,
            _queue: queue,
        }
    }
}

async fn fails(host: &str, port: u16, timeout: Duration) -> Error {
    match connect(
        host,
        port,
        None,
        timeout,
        &Session::default(),
        &mut Phase::Resolve,
    )
    .await
    {
        Ok((_, address)) => panic!("connected to {address}"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_closed_port_is_refused_and_says_so() {
    let port = closed_port();
    let error = fails("127.0.0.1", port, PATIENCE).await;
    assert_eq!(error.status(), Status::ConnectionRefused);
    assert_eq!(error.phase(), Some(Phase::Connect));
    assert_eq!(error.peer(), Some(format!("127.0.0.1:{port}").as_str()));
    assert_eq!(error.os_errno(), Some(Errno::CONNREFUSED.raw_os_error()));
    let begin = format!("nothing listens on 127.0.0.1:{port}");
    assert!(error.message().starts_with(&begin), "{error}");
    assert!(!error.message().contains("tried"), "{error}");
}

#[tokio::test]
async fn a_name_is_told_with_the_addresses_it_stood_for() {
    let error = fails("localhost", closed_port(), PATIENCE).await;
    assert_eq!(error.status(), Status::ConnectionRefused);
    assert!(error.message().contains("127.0.0.1: refused"), "{error}");
}

#[tokio::test]
async fn an_unknown_name_is_its_own_error() {
    let error = fails("no-such-host.invalid", 25, PATIENCE).await;
    assert_eq!(error.status(), Status::Dns, "{error}");
    assert_eq!(error.phase(), Some(Phase::Resolve));
    // A machine whose name server does not answer knows of no name that it does not exist.
    let begin = if error.is_transient() {
        "the name server did not answer for `no-such-host.invalid`: try again later"
    } else {
        "no such host `no-such-host.invalid`: check the spelling"
    };
    assert!(error.message().starts_with(begin), "{error}");
}

#[tokio::test]
async fn what_is_no_name_never_reaches_the_resolver() {
    for host in ["", "a b", "localhost\0.example", "a\r\nb"] {
        let error = fails(host, 25, PATIENCE).await;
        assert_eq!(error.status(), Status::InvalidArgument, "{host:?}");
    }
}

#[tokio::test]
async fn silence_is_a_timeout_that_suspects_a_firewall() {
    let hole = BlackHole::new();
    let port = hole.address.port();
    let begun = Instant::now();
    let error = fails("127.0.0.1", port, Duration::from_millis(400)).await;
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(error.status(), Status::Timeout, "{error}");
    assert_eq!(error.phase(), Some(Phase::Connect));
    let text = format!(
        "no answer from 127.0.0.1:{port} within 400 ms: a firewall may be dropping port {port}"
    );
    assert_eq!(error.message(), text);
}

#[tokio::test]
async fn a_source_address_is_used_and_a_wrong_one_explained() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let from = Some("127.0.0.3".parse().unwrap());
    let (_stream, _) = connect(
        "127.0.0.1",
        port,
        from,
        PATIENCE,
        &Session::default(),
        &mut Phase::Resolve,
    )
    .await
    .unwrap();
    let (_, seen) = listener.accept().unwrap();
    assert_eq!(seen.ip().to_string(), "127.0.0.3");

    let foreign = Some("192.0.2.1".parse().unwrap());
    let error = connect(
        "127.0.0.1",
        port,
        foreign,
        PATIENCE,
        &Session::default(),
        &mut Phase::Resolve,
    )
    .await
    .unwrap_err();
    assert_eq!(error.status(), Status::Io);
    assert!(error.message().contains("192.0.2.1"), "{error}");
    let other_family = Some("::1".parse().unwrap());
    let error = connect(
        "127.0.0.1",
        port,
        other_family,
        PATIENCE,
        &Session::default(),
        &mut Phase::Resolve,
    )
    .await
    .unwrap_err();
    assert!(error.message().contains("IPv6"), "{error}");
}

#[tokio::test]
async fn a_unix_socket_connects_or_says_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lmtp");
    let missing = connect_unix(&path, PATIENCE, &Session::default())
        .await
        .unwrap_err();
    assert_eq!(missing.status(), Status::ConnectionRefused);
    assert!(missing.message().contains("no such socket"), "{missing}");

    let listener = UnixListener::bind(&path).unwrap();
    let stream = connect_unix(&path, PATIENCE, &Session::default())
        .await
        .unwrap();
    assert_eq!(Path::new(&stream.peer_label()), path);

    drop(listener);
    let refused = connect_unix(&path, PATIENCE, &Session::default())
        .await
        .unwrap_err();
    assert_eq!(refused.status(), Status::ConnectionRefused);
    assert!(refused.message().contains("nothing listens"), "{refused}");
    assert_ne!(missing.message(), refused.message());
}

#[test]
fn the_black_hole_is_one() {
    let hole = BlackHole::new();
    let error = TcpStream::connect_timeout(&hole.address, Duration::from_millis(200));
    assert!(error.is_err(), "the queue was not full");
}
