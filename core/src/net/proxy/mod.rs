//! Connecting through a proxy: SOCKS5 (RFC 1928) or HTTP's CONNECT (RFC 9110 section 9.3.6). What is said to the server
//! afterwards, TLS and the check of its certificate are the same as without one.

mod http;
mod socks5;
mod url;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::connect::{connect_any, deadline};
use super::deadline::{shown, until};
use super::host::{ascii_name, host_and_port, without_brackets};
use super::resolve::resolve;
use super::socket::Socket;
use super::stream::{Peer, Stream};
use crate::error::{Error, Phase, Status};
use crate::transcript::{Kind as Happened, Session};

/// A proxy, and how to log in there.
#[derive(Clone)]
pub(crate) struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<Login>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// SOCKS5, which is told the address of the server.
    Socks5,
    /// SOCKS5, which is told its name and looks it up.
    Socks5h,
    /// HTTP, which is told its name.
    Http,
}

impl Proxy {
    /// The password that it is told.
    pub(crate) fn password(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.password.as_str())
    }
}

/// User name and password, wiped when dropped.
#[derive(Clone)]
struct Login {
    user: Zeroizing<String>,
    password: Zeroizing<String>,
}

/// The server as a proxy is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Address(SocketAddr),
    /// A name in A-labels, and a port.
    Name(String, u16),
}

/// Why a proxy did not connect.
#[derive(Debug)]
enum Trouble {
    /// The connection to it broke, or what it said was too long.
    Broken(io::Error),
    /// It refused.
    Refused(Refusal),
}

/// How a proxy refused.
#[derive(Debug)]
struct Refusal {
    status: Status,
    /// Goes on from "the proxy did not connect: ".
    why: Cow<'static, str>,
    /// Whether another address of the server may be reached.
    elsewhere: bool,
}

/// Connects to a host by name or address through `proxy`, from the address `source`. With `socks5` the host's addresses are tried one
/// after the other, as long as the proxy says that it cannot reach them. Each of the two names is looked up within `timeout`;
/// connecting to the proxy and all that is said to it take no longer than `timeout` together.
///
/// The errors name the proxy and the host, which is their peer. Dropping the future closes what was begun.
pub(crate) async fn connect_through(
    proxy: &Proxy,
    host: &str,
    port: u16,
    source: Option<IpAddr>,
    timeout: Duration,
    session: &Session,
    phase: &mut Phase,
) -> Result<Stream, Error> {
    let server = host_and_port(host, port);
    *phase = Phase::Resolve;
    let targets = match proxy.kind {
        Kind::Socks5 => resolve(host, port, timeout)
            .await
            .map(|found| found.into_iter().map(Target::Address).collect()),
        Kind::Socks5h | Kind::Http => by_name(host, port).map(|target| vec![target]),
    };
    let targets = targets.map_err(|error| error.at(Phase::Resolve).with_peer(server.as_str()))?;
    let way = resolve(&proxy.host, proxy.port, timeout)
        .await
        .map_err(|error| on_the_way(error.at(Phase::Resolve), &server))?;
    *phase = Phase::Connect;
    let attempts = Attempts {
        proxy,
        way,
        server: &server,
        source,
        timeout,
        begun: Instant::now(),
        session,
    };
    let socket = attempts.run(&targets).await?;
    Ok(Stream::new(socket, Peer::Named(server.into())))
}

/// An error about the proxy itself.
fn on_the_way(error: Error, server: &str) -> Error {
    error
        .with_more(&format!("; that is the proxy on the way to {server}"))
        .with_peer(server)
}

/// Attempts to reach a server through a proxy, all within one time.
struct Attempts<'a> {
    proxy: &'a Proxy,
    /// The proxy's addresses.
    way: Vec<SocketAddr>,
    server: &'a str,
    source: Option<IpAddr>,
    timeout: Duration,
    begun: Instant,
    session: &'a Session,
}

impl Attempts<'_> {
    /// Tries the targets one after the other, each on a connection of its own, until one is reached or the proxy refuses in a way
    /// that holds for the others too. The first refusal is the error.
    async fn run(&self, targets: &[Target]) -> Result<Socket, Error> {
        let mut first = None;
        for target in targets {
            match self.reach(target).await? {
                Ok(socket) => return Ok(socket),
                Err(refusal) => {
                    let last = !refusal.elsewhere;
                    first.get_or_insert(refusal);
                    if last {
                        break;
                    }
                }
            }
        }
        let Refusal { status, why, .. } =
            first.unwrap_or_else(|| Refusal::new(Status::Dns, "the server has no address"));
        Err(self.error(status, &why))
    }

    async fn reach(&self, target: &Target) -> Result<Result<Socket, Refusal>, Error> {
        let (label, way) = (self.proxy.label(), self.way.clone());
        let (mut socket, _) = connect_any(&label, way, self.source, self.left(), self.session)
            .await
            .map_err(|error| on_the_way(error.at(Phase::Connect), self.server))?;
        // Not a word of what is said to it: there may be a password in it.
        self.session.note(|| Happened::ProxyAsked {
            proxy: label.clone(),
            server: target.to_string(),
        });
        let asking = self.proxy.ask(&mut socket, target);
        match until(deadline(self.left()), asking).await {
            Some(Ok(())) => {
                self.session
                    .note(|| Happened::ProxyConnected { proxy: label });
                Ok(Ok(socket))
            }
            Some(Err(Trouble::Refused(refusal))) => Ok(Err(refusal)),
            Some(Err(Trouble::Broken(error))) => Err(self.broken(error)),
            None => Err(self.silent()),
        }
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.begun.elapsed())
    }

    fn error(&self, status: Status, why: &str) -> Error {
        let (proxy, server) = (self.proxy.label(), self.server);
        let text = format!("the proxy {proxy} did not connect to {server}: {why}");
        Error::new(status, text)
            .at(Phase::Connect)
            .with_peer(server)
    }

    fn silent(&self) -> Error {
        let why = format!(
            "it did not say within {} whether it can; the server may not answer it, or it is no proxy of this kind",
            shown(self.timeout)
        );
        self.error(Status::Timeout, &why)
    }

    fn broken(&self, error: io::Error) -> Error {
        let (status, why) = match error.kind() {
            io::ErrorKind::InvalidData => (
                Status::Protocol,
                "its answer has no end: is it a proxy of this kind?".to_owned(),
            ),
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => (
                Status::ConnectionLost,
                "it closed the connection without an answer: is it a proxy of this kind, and does it serve this address?".to_owned(),
            ),
            _ => (Status::Io, format!("the connection to it failed: {error}")),
        };
        self.error(status, &why).with_source(error)
    }
}

/// The server by its name. An address is not a name.
fn by_name(host: &str, port: u16) -> Result<Target, Error> {
    let bare = without_brackets(host);
    Ok(match bare.parse::<IpAddr>() {
        Ok(address) => Target::Address(SocketAddr::new(address, port)),
        Err(_) => Target::Name(ascii_name(bare)?, port),
    })
}

impl Proxy {
    /// `host:port`.
    fn label(&self) -> String {
        host_and_port(&self.host, self.port)
    }

    /// Asks for a connection on a fresh one to the proxy, and takes its answers and nothing more.
    async fn ask(&self, socket: &mut Socket, target: &Target) -> Result<(), Trouble> {
        match self.kind {
            Kind::Socks5 | Kind::Socks5h => socks5::ask(socket, target, self.login.as_ref()).await,
            Kind::Http => http::ask(socket, target, self.login.as_ref()).await,
        }
    }
}

impl Refusal {
    fn new(status: Status, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            why: why.into(),
            elsewhere: false,
        }
    }

    /// The same, of this address of the server alone.
    fn of_this_address(mut self) -> Self {
        self.elsewhere = true;
        self
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for Target {
    /// As HTTP has it, the address of IPv6 in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

impl fmt::Debug for Proxy {
    /// Without the login.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, label, login) = (self.kind, self.label(), self.login.is_some());
        write!(f, "Proxy({kind:?} {label}, login: {login})")
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Runs both addresses against a proxy that gives these replies, one on each connection. Gives how many connections it had.
    async fn with_replies(replies: &'static [u8]) -> (Result<Socket, Error>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            let patience = std::time::Instant::now() + Duration::from_secs(10);
            while open.len() < replies.len() && std::time::Instant::now() < patience {
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                stream.set_nonblocking(false).unwrap();
                let mut heard = [0; 3];
                stream.read_exact(&mut heard).unwrap();
                stream.write_all(&[5, 0]).unwrap();
                let mut request = [0; 10];
                stream.read_exact(&mut request).unwrap();
                assert_eq!(request[7], u8::try_from(open.len()).unwrap());
                let reply = replies[open.len()];
                stream
                    .write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0])
                    .unwrap();
                open.push(stream);
            }
            open.len()
        });
        let proxy = Proxy::from_url(&format!("socks5://{address}")).unwrap();
        let attempts = Attempts {
            proxy: &proxy,
            way: vec![address],
            server: "both.example:25",
            source: None,
            timeout: Duration::from_secs(10),
            begun: Instant::now(),
            session: &Session::default(),
        };
        let targets = ["192.0.2.0:25", "192.0.2.1:25"];
        let result = attempts
            .run(&targets.map(|target| Target::Address(target.parse().unwrap())))
            .await;
        (result, thread.join().unwrap())
    }

    #[tokio::test]
    async fn the_next_address_is_tried_where_one_cannot_be_reached() {
        let (reached, connections) = with_replies(&[4, 0]).await;
        reached.unwrap();
        assert_eq!(connections, 2);
        let (reached, connections) = with_replies(&[0]).await;
        reached.unwrap();
        assert_eq!(connections, 1);
    }

    #[tokio::test]
    async fn the_first_refusal_is_told_and_one_that_holds_for_all_ends_it() {
        let (failed, connections) = with_replies(&[3, 5]).await;
        let error = failed.unwrap_err();
        assert!(error.message().contains("network"), "{error}");
        assert_eq!(connections, 2);
        let (failed, connections) = with_replies(&[2]).await;
        let error = failed.unwrap_err();
        assert_eq!(error.status(), Status::ConnectionRefused);
        assert!(error.message().contains("rules"), "{error}");
        assert_eq!(connections, 1);
    }
}
