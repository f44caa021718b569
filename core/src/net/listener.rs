//! Waiting for connections on an address or a Unix socket.

use std::fs::{File, Permissions};
use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use socket2::{Domain, Socket as RawSocket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::socket::Socket;
use super::stream::{Peer, Stream};
use crate::error::{Error, Status};

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// How long accepting rests when there is no descriptor or memory left for one more connection.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one that begins to listen on a Unix socket waits for others that begin in the same folder.
const OTHERS_BEGIN: Duration = Duration::from_secs(1);

/// An address that is listened on. It needs no runtime yet; each runtime that shall accept takes a [`Listener`] from it.
#[derive(Debug)]
pub(crate) enum Bound {
    /// A TCP address.
    Tcp(StdTcpListener),
    /// A Unix socket and its path. The file stays when the listener goes: the next one replaces it.
    Unix(StdUnixListener, PathBuf),
}

impl Bound {
    /// Listens on a TCP address; port 0 takes a free one. With `reuse_port` others that ask for it too may listen there as well. The
    /// error names the address and what to do.
    pub(crate) fn tcp(address: SocketAddr, reuse_port: bool) -> Result<Self, Error> {
        let listening = || {
            let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, None)?;
            // What connections of an earlier listener have left behind (TIME_WAIT) does not count.
            socket.set_reuse_address(true)?;
            if reuse_port {
                socket.set_reuse_port(true)?;
            }
            if address.is_ipv6() {
                // Or `[::]` would take the port of `0.0.0.0` too, where the system so decides.
                socket.set_only_v6(true)?;
            }
            // Accepted sockets inherit it on Linux, which saves a call for each of them.
            socket.set_tcp_nodelay(true)?;
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(Self::Tcp(socket.into()))
        };
        listening().map_err(|error| tcp_fault(address, error))
    }

    /// Listens on a Unix socket at `path`. A socket that is there already is replaced if nobody listens on it; any other file is
    /// left alone and is an error. `mode` are the permissions of its file; without them the process's umask decides.
    pub(crate) fn unix(path: &Path, mode: Option<u32>) -> Result<Self, Error> {
        let listening = || {
            let address = socket2::SockAddr::unix(path)?;
            let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            let _turn = take_turn(path);
            match socket.bind(&address) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
                    std::fs::remove_file(path)?;
                    socket.bind(&address)?;
                }
                other => other?,
            }
            if let Some(mode) = mode {
                // Before it listens: until then nobody can connect.
                std::fs::set_permissions(path, Permissions::from_mode(mode))?;
            }
            socket.listen(BACKLOG)?;
            Ok(Self::Unix(socket.into(), path.to_owned()))
        };
        listening().map_err(|error| unix_fault(path, error))
    }

    /// A listener on this address for the runtime that this is called on. Several share the connections that come.
    pub(crate) fn listener(&self) -> Result<Listener, Error> {
        let taken = match self {
            Self::Tcp(listener) => listener
                .try_clone()
                .and_then(TcpListener::from_std)
                .map(Listener::Tcp),
            Self::Unix(listener, _) => listener
                .try_clone()
                .and_then(UnixListener::from_std)
                .map(Listener::Unix),
        };
        taken.map_err(|error| {
            Error::new(
                Status::Io,
                format!("cannot listen on {}: {error}", self.label()),
            )
            .with_source(error)
        })
    }

    /// The TCP address, with the port that was chosen.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// The address or path, for people.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(
                |_| "a TCP address".to_owned(),
                |address| address.to_string(),
            ),
            Self::Unix(_, path) => path.display().to_string(),
        }
    }
}

/// Accepts connections on one runtime.
#[derive(Debug)]
pub(crate) enum Listener {
    /// On a TCP address.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(UnixListener),
}

impl Listener {
    /// The next connection. A client that went away again, and a process out of descriptors, are lived through; an error
    /// means that this listener is of no more use. Dropping the future loses no connection. Tells `failed` each time that a connection
    /// could not be accepted for want of descriptors or memory.
    pub(crate) async fn accept(&self, failed: impl Fn()) -> Result<Stream, Error> {
        loop {
            let error = match self.accept_once().await {
                Ok((Ok(socket), peer)) => return Ok(Stream::new(socket, peer)),
                // The client is gone already, or the socket cannot be used: that is this connection's end, not the listener's.
                Ok((Err(_), _)) => continue,
                Err(error) => error,
            };
            match after(&error) {
                After::GoOn => {}
                After::Pause => {
                    failed();
                    tokio::time::sleep(PAUSE).await;
                }
                After::Stop => {
                    return Err(Error::new(
                        Status::Io,
                        format!("no more connections can be accepted: {error}"),
                    )
                    .with_source(error));
                }
            }
        }
    }

    async fn accept_once(&self) -> io::Result<(io::Result<Socket>, Peer)> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                let socket = if cfg!(target_os = "linux") {
                    Socket::accepted_tcp(stream)
                } else {
                    Socket::tcp(stream)
                };
                (socket, Peer::Address(address))
            }
            Self::Unix(listener) => (Socket::unix(listener.accept().await?.0), Peer::Local),
        })
    }

    /// The descriptor that is listened on, for [`close_raw`](super::close_raw).
    pub(crate) fn raw_fd(&self) -> RawFd {
        match self {
            Self::Tcp(listener) => listener.as_raw_fd(),
            Self::Unix(listener) => listener.as_raw_fd(),
        }
    }
}

/// What to do after accepting failed.
#[derive(Debug, PartialEq, Eq)]
enum After {
    GoOn,
    Pause,
    Stop,
}

/// Linux hands the failures of a single connection to `accept` (see accept(2)): those end that connection, not the listener. What is
/// not known here pauses, so that nothing spins.
fn after(error: &io::Error) -> After {
    match Errno::from_io_error(error) {
        Some(
            Errno::CONNABORTED
            | Errno::CONNRESET
            | Errno::INTR
            | Errno::PERM
            | Errno::PROTO
            | Errno::TIMEDOUT
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH
            | Errno::NETDOWN,
        ) => After::GoOn,
        Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT) | None => After::Stop,
        Some(_) => After::Pause,
    }
}

/// Locks the folder of `path` until the result is dropped, so that no socket of another starter is taken for one that is left over
/// between its binding and its listening. A folder that cannot be read or locked, or that somebody keeps locked, does without.
fn take_turn(path: &Path) -> Option<File> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).ok()?;
    let until = Instant::now() + OTHERS_BEGIN;
    while flock(&folder, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
        && Instant::now() < until
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(folder)
}

/// Whether `path` is a socket on which nobody listens. It is never waited for one who does and whose backlog is full.
fn is_stale(path: &Path) -> bool {
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    let knock = || {
        let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&socket2::SockAddr::unix(path)?)
    };
    is_socket && knock().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn tcp_fault(address: SocketAddr, error: io::Error) -> Error {
    let port = address.port();
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "cannot listen on {address}: another program listens there already; stop it or take another port, or set reuse_port in both"
        ),
        io::ErrorKind::PermissionDenied if port < 1024 => format!(
            "port {port} needs root or CAP_NET_BIND_SERVICE: run with that right, or take a port from 1024 on"
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "cannot listen on {address}: this machine does not have the address {}",
            address.ip()
        ),
        _ => format!("cannot listen on {address}: {error}"),
    };
    Error::new(Status::Io, text).with_source(error)
}

fn unix_fault(path: &Path, error: io::Error) -> Error {
    let shown = path.display();
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "cannot listen on {shown}: another program listens there already, or it is a file that is no socket"
        ),
        io::ErrorKind::NotFound => {
            format!("cannot listen on {shown}: its folder does not exist")
        }
        io::ErrorKind::PermissionDenied => {
            format!("cannot listen on {shown}: no right to write in its folder")
        }
        _ => format!("cannot listen on {shown}: {error}"),
    };
    Error::new(Status::Io, text).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errno(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn accepting_outlives_what_ends_a_single_connection() {
        for (error, expected) in [
            (Errno::MFILE, After::Pause),
            (Errno::NFILE, After::Pause),
            (Errno::NOBUFS, After::Pause),
            (Errno::CONNABORTED, After::GoOn),
            (Errno::PERM, After::GoOn),
            (Errno::BADF, After::Stop),
        ] {
            assert_eq!(after(&errno(error)), expected, "{error:?}");
        }
    }

    #[test]
    fn a_unix_socket_whose_listener_hangs_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smtp");
        let address = socket2::SockAddr::unix(&path).unwrap();
        let hung = RawSocket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        hung.bind(&address).unwrap();
        hung.listen(0).unwrap();
        // What waits to be accepted stays there for as long as its client holds it.
        let mut waiting = Vec::new();
        loop {
            let client = RawSocket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            match client.connect(&address) {
                Ok(()) => waiting.push(client),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        let (said, told) = std::sync::mpsc::channel();
        let starting = path.clone();
        std::thread::spawn(move || said.send(Bound::unix(&starting, None).map(drop)));
        let told = told.recv_timeout(Duration::from_secs(5));
        let error = told.expect("it hangs too").unwrap_err();
        assert!(error.message().contains("listens there already"), "{error}");
        drop(waiting);
        drop(hung);
        Bound::unix(&path, None).unwrap();
    }

    #[test]
    fn a_socket_is_not_taken_for_left_over_while_another_starter_begins_to_listen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smtp");
        let turn = take_turn(&path).unwrap();
        let first = RawSocket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        first
            .bind(&socket2::SockAddr::unix(&path).unwrap())
            .unwrap();
        let starting = path.clone();
        let second = std::thread::spawn(move || Bound::unix(&starting, None).map(drop));
        // Without a turn it would be through by now.
        std::thread::sleep(Duration::from_millis(100));
        first.listen(1).unwrap();
        drop(turn);
        let error = second.join().unwrap().unwrap_err();
        assert!(error.message().contains("listens there already"), "{error}");
        std::os::unix::net::UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn of_several_that_begin_at_once_on_a_socket_that_is_left_over_one_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("smtp");
        for _ in 0..20 {
            drop(StdUnixListener::bind(&path).unwrap());
            let barrier = std::sync::Barrier::new(4);
            let begun: Vec<_> = std::thread::scope(|scope| {
                let start = || {
                    barrier.wait();
                    Bound::unix(&path, Some(0o600))
                };
                let starting: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
                let begun = starting.into_iter().map(|one| one.join().unwrap());
                begun.filter_map(Result::ok).collect()
            });
            assert_eq!(begun.len(), 1);
            std::os::unix::net::UnixStream::connect(&path).unwrap();
            drop(begun);
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_refused_port_says_what_it_needs() {
        let error = tcp_fault("127.0.0.1:25".parse().unwrap(), errno(Errno::ACCESS));
        assert!(error.message().contains("CAP_NET_BIND_SERVICE"), "{error}");
        assert!(error.message().contains("port 25"), "{error}");
    }
}
