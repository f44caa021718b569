//! Listening sockets that were made elsewhere: by this program, by a parent process, or by systemd.

use std::fs::File;
use std::net::TcpListener as StdTcpListener;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, io, process};

use socket2::{SockRef, Type};

use super::listener::Bound;
use super::socket::{close_at_exec, duplicate};
use crate::error::{Error, Status};

/// The first descriptor that systemd hands over (sd_listen_fds(3)).
const FIRST: RawFd = 3;

/// A socket that listens already. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Inherited {
    socket: Arc<OwnedFd>,
    /// Tells sockets apart, whatever their numbers.
    identity: (u64, u64),
}

impl Inherited {
    /// Takes a socket over, which must be a listening one of TCP or a Unix stream socket. It becomes non-blocking, for all who share
    /// it, and is closed where this process runs another program.
    pub(crate) fn new(socket: OwnedFd) -> Result<Self, Error> {
        Self::prepare(socket).map_err(|error| unfit("the descriptor", &error))
    }

    /// Shares the descriptor of this number, which stays open.
    pub(crate) fn numbered(number: RawFd) -> Result<Self, Error> {
        let taken = duplicate(number)
            .and_then(Self::prepare)
            .and_then(|taken| close_at_exec(number).map(|()| taken));
        taken.map_err(|error| unfit(&format!("descriptor {number}"), &error))
    }

    /// Shares what systemd has handed over, as `LISTEN_PID` and `LISTEN_FDS` tell.
    pub(crate) fn from_systemd() -> Result<Vec<Self>, Error> {
        let told = |name: &str| env::var(name).ok();
        let count = handed_over(told("LISTEN_PID"), told("LISTEN_FDS"), process::id());
        let count = count.map_err(|why| Error::invalid(format!("listen: systemd: {why}")))?;
        (FIRST..FIRST + count).map(Self::numbered).collect()
    }

    /// Whether both are one socket.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Listens on it too.
    pub(crate) fn bound(&self) -> Result<Bound, Error> {
        let bound = || {
            let own = self.socket.try_clone()?;
            let address = SockRef::from(&own).local_addr()?;
            Ok(if address.is_unix() {
                let path = address.as_pathname();
                let path = path.map_or_else(|| PathBuf::from("a Unix socket"), PathBuf::from);
                Bound::Unix(StdUnixListener::from(own), path)
            } else {
                Bound::Tcp(StdTcpListener::from(own))
            })
        };
        bound().map_err(|error: io::Error| {
            Error::new(
                Status::Io,
                format!("cannot listen on a descriptor: {error}"),
            )
            .with_source(error)
        })
    }

    fn prepare(socket: OwnedFd) -> io::Result<Self> {
        let file = File::from(socket);
        let metadata = file.metadata()?;
        let socket = OwnedFd::from(file);
        let listening = SockRef::from(&socket);
        let address = listening.local_addr()?;
        let is_tcp = address.as_socket().is_some();
        if listening.r#type()? != Type::STREAM || !(is_tcp || address.is_unix()) {
            return Err(other("it is neither a TCP socket nor a Unix stream socket"));
        }
        if !listening.is_listener()? {
            return Err(other(
                "it is a socket on which nobody listens: call listen() first",
            ));
        }
        listening.set_cloexec(true)?;
        listening.set_nonblocking(true)?;
        if is_tcp {
            // Accepted sockets inherit it on Linux, as those of a listener of our own do.
            listening.set_tcp_nodelay(true)?;
        }
        Ok(Self {
            identity: (metadata.dev(), metadata.ino()),
            socket: Arc::new(socket),
        })
    }
}

/// How many descriptors there are for the process `own`, or why there are none.
fn handed_over(pid: Option<String>, count: Option<String>, own: u32) -> Result<RawFd, String> {
    let (Some(pid), Some(count)) = (pid, count) else {
        return Err(
            "LISTEN_PID and LISTEN_FDS are not set: it has handed over no socket".to_owned(),
        );
    };
    if pid.parse() != Ok(own) {
        return Err(
            "LISTEN_PID is not this process: the sockets were handed to another one".to_owned(),
        );
    }
    match count.parse() {
        Ok(count @ 1..=1024) => Ok(count),
        _ => Err("LISTEN_FDS is no number from 1 to 1024".to_owned()),
    }
}

fn other(text: &str) -> io::Error {
    io::Error::other(text)
}

fn unfit(which: &str, error: &io::Error) -> Error {
    Error::invalid(format!("listen: {which} cannot be listened on: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_hands_over_is_for_one_process() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(handed_over(some("7"), some("2"), 7), Ok(2));
        for (pid, count) in [
            (None, None),
            (some("7"), None),
            (None, some("2")),
            (some("8"), some("2")),
            (some("x"), some("2")),
            (some("7"), some("0")),
            (some("7"), some("-1")),
            (some("7"), some("1025")),
            (some("7"), some("two")),
        ] {
            assert!(
                handed_over(pid.clone(), count.clone(), 7).is_err(),
                "{pid:?} {count:?}"
            );
        }
    }
}
