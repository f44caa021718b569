//! The header of the PROXY protocol, from whoever sends one to a server that waits for it.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Client};
use mailwire::client::{self, Content, ProxyHeader, ProxyVersion};
use mailwire::proto::Envelope;
use mailwire::server::{Answers, Body, Control, Handler, Options, Server, Session, SessionInfo};
use mailwire::tls::{ClientTls, Pem, Roots, ServerTls, TlsPolicy};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(20);
const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 127.0.0.1 4660 25\r\n";

/// Takes every message, and tells the address of each session as it begins.
struct Telling(Sender<(String, Option<SocketAddr>)>);

struct Taking;

impl Handler for Telling {
    type Session = Taking;

    fn session(&self, info: &SessionInfo) -> Taking {
        self.0
            .send((info.peer().to_owned(), info.address()))
            .unwrap();
        Taking
    }
}

impl Session for Taking {
    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        body.collect().await.unwrap();
        Answers::accept()
    }
}

/// A server on a thread of its own, which stops when this is dropped.
struct Running {
    address: SocketAddr,
    control: Control,
    told: Receiver<(String, Option<SocketAddr>)>,
    stop: Option<oneshot::Sender<()>>,
}

impl Running {
    fn new(settings: &[(&str, &str)]) -> Self {
        let mut options = Options::new();
        options.set_hostname("mx.example.org").unwrap();
        for (name, value) in settings {
            options.set(name, value).unwrap();
        }
        Self::start(options)
    }

    fn start(options: Options) -> Self {
        let server = Server::bind(options).unwrap();
        let (address, control) = (server.addresses()[0], server.control());
        let (sender, told) = channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let until = async { stopped.await.unwrap_or_default() };
            runtime.block_on(server.serve_until(Telling(sender), until))
        });
        Self {
            address,
            control,
            told,
            stop: Some(stop),
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn peer(&self) -> String {
        let (peer, address) = self.told.recv_timeout(PATIENCE).unwrap();
        assert_eq!(
            address.map(|address| address.to_string()),
            Some(peer.clone())
        );
        peer
    }

    /// Waits until this many bad headers were counted.
    fn wait_for_bad_headers(&self, count: u64) {
        let until = Instant::now() + PATIENCE;
        while self.control.statistics().bad_proxy_headers != count {
            assert!(Instant::now() < until, "{:?}", self.control.statistics());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// One reply, and nothing of what follows.
fn reply(mut stream: &TcpStream) -> String {
    let mut reply = String::new();
    let mut octet = [0];
    while stream.read(&mut octet).unwrap() > 0 {
        reply.push(char::from(octet[0]));
        let last = reply.lines().last().unwrap();
        if reply.ends_with('\n') && last.as_bytes().get(3) == Some(&b' ') {
            break;
        }
    }
    reply
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[command, family][..],
        &length,
        rest,
    ]
    .concat()
}

#[test]
fn the_told_address_takes_the_place_of_the_peers() {
    let server = Running::new(&[("proxy_protocol", "127.0.0.0/8")]);
    let four = b"\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x34\x00\x19\x04\x00\x01x";
    for (header, told) in [
        (LINE.to_vec(), Some("192.0.2.7:4660")),
        (
            b"PROXY TCP6 2001:db8::7 ::1 1 25\r\n".to_vec(),
            Some("[2001:db8::7]:1"),
        ),
        (binary(0x21, 0x11, four), Some("192.0.2.7:4660")),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (binary(0x20, 0x11, four), None),
    ] {
        // In one write with a command behind it, and octet by octet.
        for dripping in [false, true] {
            let mut stream = server.connect();
            let own = stream.local_addr().unwrap().to_string();
            if dripping {
                for octet in &header {
                    stream.write_all(&[*octet]).unwrap();
                }
            } else {
                stream
                    .write_all(&[&header[..], b"NOOP\r\n"].concat())
                    .unwrap();
            }
            assert_eq!(reply(&stream).split(' ').next(), Some("220"));
            assert_eq!(server.peer(), told.map_or(own, str::to_owned));
            if dripping {
                stream.write_all(b"NOOP\r\n").unwrap();
            }
            assert!(reply(&stream).starts_with("250 "));
        }
    }
    assert_eq!(server.control.statistics().bad_proxy_headers, 0);
    assert_eq!(server.control.statistics().sessions, 10);
}

#[test]
fn s370_s372_s373_a_bad_header_is_the_end_without_a_word_and_is_counted() {
    let server = Running::new(&[
        ("proxy_protocol", "127.0.0.1"),
        ("handshake_timeout", "0.3"),
    ]);
    let long = [b"PROXY UNKNOWN ".as_slice(), &b"x".repeat(200), b"\r\n"].concat();
    for (count, said) in [
        b"EHLO client.example\r\n".as_slice(),
        b"PROXY TCP4 192.0.2.7 127.0.0.1 4660 25\n",
        &long,
        &binary(0x21, 0x11, b"short"),
        &binary(0x20, 0, &[0; 600]),
        // Never all of it, and nothing.
        b"PROXY TCP4 192.0.2.7",
        b"",
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = server.connect();
        stream.write_all(said).unwrap();
        let mut heard = Vec::new();
        // A reset is an end without a word too.
        let _ = stream.read_to_end(&mut heard);
        assert_eq!(heard, b"", "{}", said.escape_ascii());
        server.wait_for_bad_headers(count as u64 + 1);
    }
    // Hung up in the middle.
    drop(server.connect());
    server.wait_for_bad_headers(8);
    assert!(server.told.try_recv().is_err());
    assert_eq!(server.control.statistics().sessions, 0);
    assert_eq!(server.control.statistics().open_sessions, 0);
}

#[test]
fn others_are_not_looked_at() {
    for trusted in [None, Some(("proxy_protocol", "127.0.0.2,192.0.2.0/24"))] {
        let settings: Vec<_> = trusted.into_iter().collect();
        let server = Running::new(&settings);
        let mut stream = server.connect();
        assert!(reply(&stream).starts_with("220 "));
        assert_eq!(server.peer(), stream.local_addr().unwrap().to_string());
        stream.write_all(LINE).unwrap();
        assert!(reply(&stream).starts_with("500 "), "a header is a command");
    }
}

#[test]
fn connections_are_counted_by_the_told_address() {
    let server = Running::new(&[
        ("proxy_protocol", "127.0.0.1"),
        ("connections_per_address", "1"),
    ]);
    let with = |header: &[u8]| {
        let mut stream = server.connect();
        stream.write_all(header).unwrap();
        let said = reply(&stream);
        (stream, said)
    };
    let (first, said) = with(LINE);
    assert!(said.starts_with("220 "), "{said}");
    // Of another client through the same proxy.
    let (_other, said) = with(b"PROXY TCP4 192.0.2.8 127.0.0.1 4660 25\r\n");
    assert!(said.starts_with("220 "), "{said}");
    let (_same, said) = with(b"PROXY TCP4 192.0.2.7 127.0.0.1 4661 25\r\n");
    assert!(said.starts_with("421 4.7.0 "), "{said}");
    assert_eq!(
        server.control.statistics().connections_too_many_of_address,
        1
    );
    (&first).write_all(b"QUIT\r\n").unwrap();
    assert!(reply(&first).starts_with("221 "));
    let until = Instant::now() + PATIENCE;
    while server.control.statistics().open_sessions > 1 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
    let (_again, said) = with(LINE);
    assert!(said.starts_with("220 "), "{said}");
}

#[test]
fn connections_in_a_minute_are_counted_by_the_told_address() {
    let server = Running::new(&[
        ("proxy_protocol", "127.0.0.1"),
        ("connections_per_minute", "2"),
    ]);
    let said = |header: &[u8]| {
        let mut stream = server.connect();
        stream.write_all(header).unwrap();
        reply(&stream)
    };
    // The proxy's own address, which is that of all, counts nowhere.
    for client in ["192.0.2.6", "192.0.2.8", "192.0.2.7"] {
        let header = format!("PROXY TCP4 {client} 127.0.0.1 4660 25\r\n");
        for _ in 0..2 {
            assert!(said(header.as_bytes()).starts_with("220 "), "{client}");
        }
    }
    for refused in 1..=2 {
        assert_eq!(
            said(LINE),
            "421 4.7.0 Too many connections from your address in a minute, try again later\r\n"
        );
        assert_eq!(server.control.statistics().connections_too_often, refused);
    }
}

#[test]
fn who_may_say_xclient_is_told_by_the_header() {
    for (trusted, offered) in [("192.0.2.7", true), ("127.0.0.1", false)] {
        let server = Running::new(&[("proxy_protocol", "127.0.0.1"), ("xclient", trusted)]);
        let mut stream = server.connect();
        stream.write_all(LINE).unwrap();
        assert!(reply(&stream).starts_with("220 "));
        stream.write_all(b"EHLO client.example\r\n").unwrap();
        assert_eq!(reply(&stream).contains("XCLIENT"), offered, "{trusted}");
    }
}

#[test]
fn a_server_that_stops_does_not_wait_for_a_header() {
    let mut server = Running::new(&[("proxy_protocol", "127.0.0.1")]);
    let mut stream = server.connect();
    let until = Instant::now() + PATIENCE;
    while server.control.statistics().open_sessions == 0 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(server.stop.take());
    let begun = Instant::now();
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    assert!(begun.elapsed() < Duration::from_secs(10), "it waited");
}

/// A client's own header in front of whichever TLS, at a server that tells whom it sees.
#[test]
fn what_a_client_sends_is_what_a_server_takes() {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = Pem::bytes(issued.cert.pem());
    let key = Pem::bytes(issued.signing_key.serialize_pem());
    let roots = Roots::Only(vec![certificate.clone()]);
    let (four, six): (SocketAddr, SocketAddr) = (
        "192.0.2.7:4660".parse().unwrap(),
        "[2001:db8::7]:1".parse().unwrap(),
    );
    for policy in [TlsPolicy::None, TlsPolicy::Required, TlsPolicy::Implicit] {
        let mut options = Options::new();
        options.set("proxy_protocol", "127.0.0.1").unwrap();
        options.set_tls(ServerTls::new(&certificate, &key).unwrap());
        options.set_implicit_tls(policy == TlsPolicy::Implicit);
        let server = Running::start(options);
        for version in [ProxyVersion::V1, ProxyVersion::V2] {
            for client in [None, Some(four), Some(six)] {
                let mut options = client::Options::new();
                let port = Some(server.address.port());
                options.set_server("127.0.0.1", port).unwrap();
                options.set_tls(policy);
                options.set_tls_name("localhost").unwrap();
                options.set_client_tls(ClientTls::new().with_roots(&roots).unwrap());
                let header = match client {
                    None => ProxyHeader::new(version),
                    Some(client) => ProxyHeader::of_client(version, client),
                };
                options.set_send_proxy_header(Some(header));
                let envelope = Envelope::parse("me@example.org", ["you@example.net"]).unwrap();
                let message = Content::bytes(b"Subject: test\r\n\r\n");
                Client::new(options)
                    .unwrap()
                    .send(&envelope, message, Call::default())
                    .unwrap();
                let peer = server.peer();
                match client {
                    None => assert!(peer.starts_with("127.0.0.1:"), "{peer}"),
                    Some(client) => assert_eq!(peer, client.to_string()),
                }
            }
        }
        assert_eq!(server.control.statistics().bad_proxy_headers, 0);
    }
}

/// What a client says first where it is to send a header, and its own address.
fn first_words(setting: &str) -> (Vec<u8>, SocketAddr, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let mut options = client::Options::new();
    options
        .set_server("127.0.0.1", Some(server.port()))
        .unwrap();
    options.set("send_proxy_header", setting).unwrap();
    options.set("timeout", "3").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let envelope = Envelope::parse("me@example.org", ["you@example.net"]).unwrap();
            let client = Client::new(options).unwrap();
            let message = Content::bytes(b"x");
            client
                .send(&envelope, message, Call::default())
                .unwrap_err();
        });
        let (mut stream, client) = listener.accept().unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        (heard, client, server)
    })
}

#[test]
fn a_header_is_the_first_thing_that_a_client_says() {
    let (heard, client, server) = first_words("v1");
    let line = format!(
        "PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n",
        client.port(),
        server.port()
    );
    assert_eq!(heard, line.as_bytes(), "{}", heard.escape_ascii());
    let (heard, client, server) = first_words("v2");
    let mut rest = b"\x7f\x00\x00\x01\x7f\x00\x00\x01".to_vec();
    rest.extend(client.port().to_be_bytes());
    rest.extend(server.port().to_be_bytes());
    assert_eq!(heard, binary(0x21, 0x11, &rest), "{}", heard.escape_ascii());
}
