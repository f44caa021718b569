//! Opening a connection: all addresses of a host, the quickest wins (Happy Eyeballs, RFC 8305).

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpSocket, UnixStream};
use tokio::time::{Instant, sleep_until};

use super::deadline::{shown, until};
use super::host::host_and_port;
use super::resolve::resolve;
use super::socket::Socket;
use super::stream::{Peer, Stream};
use crate::error::{Error, Phase, Status, visible};
use crate::transcript::{Kind, Session};

/// How long the next address waits while the one before it has not answered (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to a host by name or address. An address is not looked up. Of several addresses each is tried, IPv6 and IPv4 by turns;
/// the first that answers wins and the others are closed. `source` is the address to connect from. Looking up and connecting
/// may each take `timeout`. What becomes of each address is told to `session`, and which of the two it is at, in `phase`.
///
/// Every error names the host and port, and is [`Status::Dns`], [`Status::ConnectionRefused`], [`Status::Timeout`] or
/// [`Status::Io`], in the phase Resolve or Connect. Dropping the future closes what was begun; a look-up goes on in its thread.
pub(crate) async fn connect(
    host: &str,
    port: u16,
    source: Option<IpAddr>,
    timeout: Duration,
    session: &Session,
    phase: &mut Phase,
) -> Result<(Stream, SocketAddr), Error> {
    let label = host_and_port(host, port);
    *phase = Phase::Resolve;
    let found = resolve(host, port, timeout)
        .await
        .map_err(|error| error.at(Phase::Resolve).with_peer(label.as_str()))?;
    *phase = Phase::Connect;
    let (socket, address) = connect_any(&label, found, source, timeout, session)
        .await
        .map_err(|error| error.at(Phase::Connect).with_peer(label.as_str()))?;
    Ok((Stream::new(socket, Peer::Named(label.into())), address))
}

/// Connects to the Unix socket at `path`.
pub(crate) async fn connect_unix(
    path: &Path,
    timeout: Duration,
    session: &Session,
) -> Result<Stream, Error> {
    let label = path.display().to_string();
    let address = || visible(label.clone());
    session.note(|| Kind::Connecting { address: address() });
    let opened = async { Socket::unix(UnixStream::connect(path).await?) };
    let connected = until(deadline(timeout), opened).await;
    match connected.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())) {
        Ok(socket) => {
            session.note(|| Kind::Connected { address: address() });
            Ok(Stream::new(socket, Peer::Named(label.into())))
        }
        Err(error) => {
            session.note(|| Kind::NotConnected {
                address: address(),
                reason: word(&error),
            });
            let (status, text) = match error.kind() {
                io::ErrorKind::ConnectionRefused => (
                    Status::ConnectionRefused,
                    "nothing listens on this socket: is the server running?".to_owned(),
                ),
                io::ErrorKind::NotFound => (
                    Status::ConnectionRefused,
                    "there is no such socket: is the server running, and the path right?"
                        .to_owned(),
                ),
                io::ErrorKind::PermissionDenied => (
                    Status::Io,
                    "this program has no right to use the socket".to_owned(),
                ),
                io::ErrorKind::TimedOut => (
                    Status::Timeout,
                    format!("no answer within {}", shown(timeout)),
                ),
                io::ErrorKind::WouldBlock => (
                    Status::Io,
                    "the server has more connections waiting than it takes".to_owned(),
                ),
                _ => (Status::Io, format!("cannot connect: {error}")),
            };
            Err(Error::new(status, text)
                .at(Phase::Connect)
                .with_peer(label)
                .with_source(error))
        }
    }
}

pub(super) fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

type Attempt = Pin<Box<dyn Future<Output = io::Result<Socket>> + Send>>;

/// The attempts that run, and what became of those that ended.
struct Race<'s> {
    waiting: std::vec::IntoIter<SocketAddr>,
    running: Vec<(SocketAddr, Attempt)>,
    failed: Vec<(SocketAddr, io::Error)>,
    source: Option<IpAddr>,
    session: &'s Session,
}

/// The first of these addresses that a connection opens to, and the connection. `label` names them in errors.
pub(super) async fn connect_any(
    label: &str,
    addresses: Vec<SocketAddr>,
    source: Option<IpAddr>,
    timeout: Duration,
    session: &Session,
) -> Result<(Socket, SocketAddr), Error> {
    let mut race = Race {
        waiting: addresses.into_iter(),
        running: Vec::new(),
        failed: Vec::new(),
        source,
        session,
    };
    let won = until(deadline(timeout), race.run()).await.flatten();
    // The losers close here, with the race.
    won.ok_or_else(|| race.fault(label, timeout))
}

impl Race<'_> {
    /// The first connection, or `None` when every address has failed.
    async fn run(&mut self) -> Option<(Socket, SocketAddr)> {
        self.start_next();
        while !self.running.is_empty() {
            let stagger = sleep_until(Instant::now() + STAGGER);
            tokio::pin!(stagger);
            let more = self.waiting.len() > 0;
            let turn = poll_fn(|cx| match self.poll_running(cx) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending if more => stagger.as_mut().poll(cx).map(|()| None),
                Poll::Pending => Poll::Pending,
            })
            .await;
            match turn {
                Some((address, Ok(socket))) => {
                    self.session.note(|| Kind::Connected {
                        address: address.to_string(),
                    });
                    return Some((socket, address));
                }
                Some((address, Err(error))) => {
                    self.failed(address, error);
                    self.start_next();
                }
                // It is slow: the next one starts beside it.
                None => self.start_next(),
            }
        }
        None
    }

    fn failed(&mut self, address: SocketAddr, error: io::Error) {
        self.session.note(|| Kind::NotConnected {
            address: address.to_string(),
            reason: word(&error),
        });
        self.failed.push((address, error));
    }

    fn start_next(&mut self) {
        if let Some(address) = self.waiting.next() {
            self.session.note(|| Kind::Connecting {
                address: address.to_string(),
            });
            let attempt = Box::pin(open(address, self.source));
            self.running.push((address, attempt));
        }
    }

    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<(SocketAddr, io::Result<Socket>)> {
        for index in 0..self.running.len() {
            if let Poll::Ready(result) = self.running[index].1.as_mut().poll(cx) {
                let (address, _) = self.running.remove(index);
                return Poll::Ready((address, result));
            }
        }
        Poll::Pending
    }

    /// Why nothing came of it. An address that was still being tried had not answered in time.
    fn fault(mut self, label: &str, timeout: Duration) -> Error {
        for (address, _) in std::mem::take(&mut self.running) {
            self.failed(address, io::ErrorKind::TimedOut.into());
        }
        let port = label.rsplit(':').next().unwrap_or_default();
        let (status, what) = self.reason(label, port, timeout);
        let tried = self.tried(label);
        let error = Error::new(status, format!("{what}{tried}"));
        // The cause is the failure that the status was taken from.
        let cause = self
            .failed
            .into_iter()
            .find(|(_, error)| status_of(error) == status);
        match cause {
            Some((_, cause)) => error.with_source(cause),
            None => error,
        }
    }

    /// The most telling of the failures: a host that refuses is there, one that is silent may be.
    fn reason(&self, label: &str, port: &str, timeout: Duration) -> (Status, String) {
        let has = |status| {
            self.failed
                .iter()
                .find(|(_, error)| status_of(error) == status)
        };
        if has(Status::ConnectionRefused).is_some() {
            let refused = |(_, e): &(_, io::Error)| e.kind() == io::ErrorKind::ConnectionRefused;
            let text = if self.failed.iter().any(refused) {
                format!("nothing listens on {label}: is the server running, and the port right?")
            } else {
                format!(
                    "{label} reset the connection at once: is the server stopping, or a firewall in between?"
                )
            };
            return (Status::ConnectionRefused, text);
        }
        if has(Status::Timeout).is_some() {
            return (
                Status::Timeout,
                format!(
                    "no answer from {label} within {}: a firewall may be dropping port {port}",
                    shown(timeout)
                ),
            );
        }
        let text = match has(Status::Io) {
            Some((_, error)) => local_fault(label, error, self.source),
            None => format!("there is no address to connect to for {label}"),
        };
        (Status::Io, text)
    }

    /// What became of each address, where there is more to tell than the label says already.
    fn tried(&self, label: &str) -> String {
        match self.failed.as_slice() {
            [(address, _)] if address.to_string() == label => String::new(),
            failed => {
                let each: Vec<_> = failed
                    .iter()
                    .map(|(address, error)| format!("{}: {}", address.ip(), word(error)))
                    .collect();
                format!(" (tried {})", each.join(", "))
            }
        }
    }
}

async fn open(address: SocketAddr, source: Option<IpAddr>) -> io::Result<Socket> {
    let socket = if address.is_ipv6() {
        TcpSocket::new_v6()?
    } else {
        TcpSocket::new_v4()?
    };
    if let Some(source) = source {
        if source.is_ipv6() != address.is_ipv6() {
            return Err(Errno::AFNOSUPPORT.into());
        }
        socket.bind(SocketAddr::new(source, 0))?;
    }
    Socket::tcp(socket.connect(address).await?)
}

fn status_of(error: &io::Error) -> Status {
    match error.kind() {
        // A reset instead of an answer comes from a firewall or a server that is just stopping.
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => {
            Status::ConnectionRefused
        }
        io::ErrorKind::TimedOut => Status::Timeout,
        _ => Status::Io,
    }
}

fn local_fault(label: &str, error: &io::Error, source: Option<IpAddr>) -> String {
    match (error.kind(), source) {
        (io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable, _) => {
            format!("there is no way to {label} from here: is the network up?")
        }
        (io::ErrorKind::AddrNotAvailable, Some(source)) => {
            format!("cannot connect from {source}: this machine does not have that address")
        }
        (_, Some(source)) if Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT) => {
            format!("cannot connect from {source} to {label}: one is IPv4 and the other IPv6")
        }
        _ => format!("cannot connect to {label}: {error}"),
    }
}

fn word(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused".to_owned(),
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
        io::ErrorKind::HostUnreachable => "host unreachable".to_owned(),
        _ if Errno::from_io_error(error) == Some(Errno::AFNOSUPPORT) => {
            "other family than the source address".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_reset_is_not_called_a_port_where_nothing_listens() {
        let text = |kinds: &[io::ErrorKind]| {
            let address = "127.0.0.1:25".parse().unwrap();
            let race = Race {
                waiting: Vec::new().into_iter(),
                running: Vec::new(),
                failed: kinds.iter().map(|&kind| (address, kind.into())).collect(),
                source: None,
                session: &Session::default(),
            };
            let error = race.fault("127.0.0.1:25", Duration::from_secs(1));
            assert_eq!(error.status(), Status::ConnectionRefused);
            error.message().to_owned()
        };
        let (refused, reset) = (
            io::ErrorKind::ConnectionRefused,
            io::ErrorKind::ConnectionReset,
        );
        assert!(text(&[refused]).starts_with("nothing listens on 127.0.0.1:25: "));
        assert!(text(&[reset, refused]).starts_with("nothing listens on 127.0.0.1:25: "));
        assert!(text(&[reset]).starts_with("127.0.0.1:25 reset the connection at once: "));
    }

    /// Addresses for a server that is to fail, IPv6 too where this machine has it.
    fn first_addresses() -> Vec<SocketAddr> {
        let mut found = addresses(&["127.0.0.1:0", "[::1]:0"]);
        found.retain(|address| std::net::TcpListener::bind(address).is_ok());
        found
    }

    #[tokio::test]
    async fn after_a_refusing_address_comes_the_next_at_once() {
        for first in first_addresses() {
            let good = TcpListener::bind("127.0.0.2:0").await.unwrap();
            let good = (good.local_addr().unwrap(), good);
            let begun = Instant::now();
            let (_, address) = connect_any(
                "both.example:25",
                vec![SocketAddr::new(first.ip(), good.0.port()), good.0],
                None,
                Duration::from_secs(5),
                &Session::default(),
            )
            .await
            .unwrap();
            assert_eq!(address, good.0);
            assert!(begun.elapsed() < STAGGER, "waited for no reason");
        }
    }

    #[tokio::test]
    async fn beside_a_silent_address_the_next_one_starts() {
        for first in first_addresses() {
            // A listener whose queue is full lets everyone wait.
            let silent = match first {
                SocketAddr::V4(_) => TcpSocket::new_v4().unwrap(),
                SocketAddr::V6(_) => TcpSocket::new_v6().unwrap(),
            };
            silent.bind(first).unwrap();
            let silent = silent.listen(0).unwrap();
            let address = silent.local_addr().unwrap();
            let mut queue = Vec::new();
            while let Ok(stream) =
                tokio::time::timeout(Duration::from_millis(100), open(address, None)).await
            {
                queue.push(stream.unwrap());
                assert!(queue.len() < 10, "the queue has no end");
            }
            let good = TcpListener::bind(("127.0.0.2", address.port()))
                .await
                .unwrap();
            let good = (good.local_addr().unwrap(), good);
            let begun = Instant::now();
            let (_, won) = connect_any(
                "both.example:25",
                vec![address, good.0],
                None,
                Duration::from_secs(5),
                &Session::default(),
            )
            .await
            .unwrap();
            assert_eq!(won, good.0);
            assert!(begun.elapsed() >= STAGGER, "the first had no head start");
            assert!(begun.elapsed() < Duration::from_secs(3));
        }
    }

    #[tokio::test]
    async fn every_address_is_told_when_all_refuse() {
        let error = connect_any(
            "both.example:1",
            addresses(&["127.0.0.1:1", "127.0.0.2:1"]),
            None,
            Duration::from_secs(5),
            &Session::default(),
        )
        .await
        .unwrap_err();
        assert_eq!(error.status(), Status::ConnectionRefused);
        assert_eq!(
            error.message(),
            "nothing listens on both.example:1: is the server running, and the port right? \
             (tried 127.0.0.1: refused, 127.0.0.2: refused)"
        );
        assert!(error.os_errno().is_some());
    }
}
