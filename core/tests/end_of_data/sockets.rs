//! Inward, over sockets: the table against the async server, in clear, by STARTTLS, under TLS from the start, and by LMTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mailwire::proto::data::LineEnds;
use mailwire::proto::{Envelope, Protocol};
use mailwire::server::{Answers, Body as Incoming, Handler, Options, Server, Session, SessionInfo};
use mailwire::tls::ServerTls;
use rcgen::{CertifiedKey, KeyPair};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::families::{Body, FAMILIES, LAST_OCTET, SECOND};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Plain,
    StartTls,
    Tls,
    Lmtp,
}

/// Messages that reached the handler, and how many transactions began.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<(Vec<Vec<u8>>, usize)>>);

impl Handler for Seen {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        self.clone()
    }
}

impl Session for Seen {
    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Incoming<'_>) -> Answers {
        self.0.lock().unwrap().1 += 1;
        if let Ok(pieces) = body.collect().await {
            self.0.lock().unwrap().0.push(pieces.concat());
        }
        Answers::accept()
    }
}

/// A server on a thread that lasts as long as the process, its certificate, and what it has seen.
struct Running {
    address: SocketAddr,
    certificate: CertifiedKey<KeyPair>,
    seen: Seen,
    transport: Transport,
}

/// What the server is set to, and so what becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    Usual,
    TooBig,
    Normalising,
}

impl Running {
    fn new(transport: Transport, setting: Setting) -> Self {
        let name = vec!["mx.example.org".to_owned()];
        let certificate = rcgen::generate_simple_self_signed(name).unwrap();
        let (pem, key) = (
            certificate.cert.pem(),
            certificate.signing_key.serialize_pem(),
        );
        let mut options = Options::new();
        options.set_hostname("mx.example.org").unwrap();
        if setting == Setting::TooBig {
            options.set_max_message_size(1).unwrap();
        } else if setting == Setting::Normalising {
            options.set_line_ends(LineEnds::Normalise);
        }
        options.set_tls(ServerTls::from_pem(pem.as_bytes(), key.as_bytes()).unwrap());
        options.set_implicit_tls(transport == Transport::Tls);
        if transport == Transport::Lmtp {
            options.set_protocol(Protocol::Lmtp);
        }
        let server = Server::bind(options).unwrap();
        let (address, seen) = (server.addresses()[0], Seen::default());
        let handler = seen.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(server.serve_until(handler, std::future::pending::<()>()))
        });
        Self {
            address,
            certificate,
            seen,
            transport,
        }
    }

    /// A client that has said hello.
    fn client(&self) -> Client {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let hello = match self.transport {
            Transport::Lmtp => "LHLO a.example",
            _ => "EHLO a.example",
        };
        let mut client = Client(BufReader::new(Box::new(stream.try_clone().unwrap())));
        if self.transport == Transport::StartTls {
            client.reply();
            client.ask(hello);
            assert!(client.ask("STARTTLS").starts_with("220"));
        }
        if matches!(self.transport, Transport::StartTls | Transport::Tls) {
            client = Client(BufReader::new(Box::new(self.secured(stream))));
        }
        if self.transport != Transport::StartTls {
            client.reply();
        }
        assert!(client.ask(hello).starts_with("250"));
        client
    }

    fn secured(&self, stream: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "mx.example.org".try_into().unwrap();
        let session = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(session, stream)
    }
}

trait Wire: Read + Write {}

impl<T: Read + Write> Wire for T {}

struct Client(BufReader<Box<dyn Wire>>);

impl Client {
    /// In one write, which under TLS is a record of its own.
    fn send(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).unwrap();
        self.0.get_mut().flush().unwrap();
    }

    /// The last line of a reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n").as_bytes());
        self.reply()
    }
}

/// How the bytes are cut into writes.
#[derive(Debug, Clone, Copy)]
enum Cuts {
    One,
    /// All octets but those of the second transaction by themselves.
    Octets,
}

/// Sends the body behind its 354, and a NOOP; gives both replies.
fn exchange(client: &mut Client, body: &Body, cuts: Cuts, transport: Transport) -> Vec<String> {
    for command in ["MAIL FROM:<a@a.example>", "RCPT TO:<b@b.example>"] {
        assert!(client.ask(command).starts_with("250"));
    }
    if transport == Transport::Lmtp {
        client.ask("RCPT TO:<c@b.example>");
    }
    assert!(client.ask("DATA").starts_with("354"));
    let ended = body.ended();
    match cuts {
        Cuts::One => client.send(&[&ended, &b"NOOP\r\n"[..]].concat()),
        Cuts::Octets => {
            let hidden = memchr::memmem::find(&ended, SECOND);
            let hidden = hidden.map_or(0..0, |at| at + 8..at + SECOND.len() - 4);
            ended[..hidden.start]
                .chunks(1)
                .for_each(|octet| client.send(octet));
            client.send(&ended[hidden.clone()]);
            ended[hidden.end..]
                .chunks(1)
                .for_each(|octet| client.send(octet));
            client.send(b"NOOP\r\n");
        }
    }
    let verdicts = if transport == Transport::Lmtp { 2 } else { 1 };
    (0..=verdicts).map(|_| client.reply()).collect()
}

/// First and later line, with and without a bare octet in front of the mark.
fn some_bodies(lead: &[u8]) -> Vec<Body> {
    let mut bodies: Vec<Body> = FAMILIES
        .iter()
        .map(|(family, bare)| {
            let family = if lead.is_empty() {
                family.strip_prefix(b"\r\n").unwrap_or(family)
            } else {
                family
            };
            Body {
                octets: [lead, family, SECOND].concat(),
                bare: *bare,
                tail: false,
            }
        })
        .collect();
    bodies.extend(LAST_OCTET.iter().map(|octets| Body {
        octets: [lead, octets].concat(),
        bare: true,
        tail: true,
    }));
    bodies
}

fn check(transport: Transport, setting: Setting) {
    let running = Running::new(transport, setting);
    for cuts in [Cuts::One, Cuts::Octets] {
        for lead in [&b""[..], b"text\r\nmore\r\n"] {
            let mut client = running.client();
            let mut accepted = Vec::new();
            let bodies = some_bodies(lead);
            for body in &bodies {
                let replies = exchange(&mut client, body, cuts, transport);
                let verdict = if setting == Setting::TooBig {
                    "552 5.3.4 Message too big"
                } else if setting == Setting::Normalising {
                    accepted.push(body.normalised());
                    "250 2.0.0 OK"
                } else if body.bare {
                    "554 5.6.0 Message has a bare CR or LF"
                } else {
                    accepted.push(body.unstuffed());
                    "250 2.0.0 OK"
                };
                let (noop, verdicts) = replies.split_last().unwrap();
                let place = format!("{transport:?} {cuts:?} {}", body.octets.escape_ascii());
                assert!(
                    verdicts.iter().all(|reply| reply == verdict),
                    "{place}: {replies:?}"
                );
                assert_eq!(noop, "250 2.0.0 OK", "{place}");
            }
            assert_eq!(client.ask("QUIT"), "221 2.0.0 Bye");
            let (messages, begun) = std::mem::take(&mut *running.seen.0.lock().unwrap());
            assert_eq!(messages, accepted);
            assert_eq!(begun, bodies.len(), "no other transaction began");
        }
    }
}

#[test]
fn in_clear() {
    check(Transport::Plain, Setting::Usual);
}

#[test]
fn by_starttls() {
    check(Transport::StartTls, Setting::Usual);
}

#[test]
fn under_tls_from_the_start() {
    check(Transport::Tls, Setting::Usual);
}

#[test]
fn by_lmtp() {
    check(Transport::Lmtp, Setting::Usual);
}

#[test]
fn with_the_size_limit_exceeded() {
    for transport in [
        Transport::Plain,
        Transport::StartTls,
        Transport::Tls,
        Transport::Lmtp,
    ] {
        check(transport, Setting::TooBig);
    }
}

#[test]
fn with_line_ends_made_canonical() {
    for transport in [Transport::Plain, Transport::Tls, Transport::Lmtp] {
        check(transport, Setting::Normalising);
    }
}
