//! Where a server listens: on addresses, on Unix sockets, and on sockets that were made elsewhere.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::Options;
use crate::error::Error;
use crate::net::{Bound, Inherited};

/// Where to listen.
#[derive(Debug, Clone)]
pub(super) enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
    Given(Inherited),
}

impl Options {
    /// Adds an address to listen on:
    ///
    /// - `127.0.0.1:2525` or `[::1]:0`, an IP address and a port (0: a free one). `[::]` is all addresses of IPv6 and `0.0.0.0` all of
    ///   IPv4; neither is the other's, so that both can be listed.
    /// - `unix:/path`, a Unix socket. A socket that nobody listens on any more is replaced.
    /// - `fd:3`, a descriptor that a parent process has left open: a listening socket of TCP or a Unix stream socket. It stays open as
    ///   long as this process runs, and becomes non-blocking for all who share it.
    /// - `systemd`, all sockets that systemd's socket activation has handed over (sd_listen_fds(3)). `LISTEN_PID` and `LISTEN_FDS`
    ///   are read from the environment now, and only now. They stay set, as no thread may change the environment while another reads
    ///   it: a program that this one starts sees them too, with a `LISTEN_PID` that is not its own.
    ///
    /// Fails with [`Status::InvalidArgument`](crate::Status) for any other text, for a descriptor that cannot be listened on or was
    /// added already, and where systemd has handed over nothing. Whether an address can be had is seen when the server is made.
    pub fn listen(&mut self, address: &str) -> Result<(), Error> {
        if address == "systemd" {
            let before = self.listen.len();
            return Inherited::from_systemd()?
                .into_iter()
                .try_for_each(|given| self.add(given))
                .inspect_err(|_| self.listen.truncate(before));
        }
        if let Some(number) = address.strip_prefix("fd:") {
            let number = number.parse().ok().filter(|number| *number >= 0);
            let number = number.ok_or_else(|| {
                Error::invalid("listen: behind fd: stands the number of a descriptor, as fd:3")
            })?;
            return self.add(Inherited::numbered(number)?);
        }
        let listen = if let Some(path) = address.strip_prefix("unix:") {
            if path.is_empty() || path.contains('\0') {
                return Err(Error::invalid(
                    "listen: the path of the Unix socket is missing",
                ));
            }
            Listen::Unix(path.into())
        } else {
            Listen::Tcp(address.parse().map_err(|_| {
                Error::invalid(format!(
                    "listen: {address:?} is no address with a port, as 127.0.0.1:2525 or [::1]:0, nor unix:/path, fd:3 or systemd"
                ))
            })?)
        };
        self.listen.push(listen);
        Ok(())
    }

    /// Adds a socket that listens already, as a `TcpListener` or `UnixListener` of the standard library. It becomes non-blocking, for
    /// all who share it. It is closed when these options and their clones are gone, and the servers made of them have stopped.
    ///
    /// Fails with [`Status::InvalidArgument`](crate::Status) if it is no listening stream socket, or was added already.
    pub fn listen_on(&mut self, socket: impl Into<OwnedFd>) -> Result<(), Error> {
        self.add(Inherited::new(socket.into())?)
    }

    /// Whether several servers, of one process or of several, may listen on the same TCP address (SO_REUSEPORT): each new connection
    /// goes to one of them, as the system chooses. All of them must want it, and run under one user. By default an address in use is
    /// an error.
    pub fn set_reuse_port(&mut self, reuse: bool) {
        self.reuse_port = reuse;
    }

    /// The permissions of the files of Unix sockets, as `0o660`; who may write can connect. By default the process's umask decides.
    /// Fails with [`Status::InvalidArgument`](crate::Status) beyond `0o777`.
    pub fn set_unix_mode(&mut self, mode: u32) -> Result<(), Error> {
        if mode > 0o777 {
            return Err(Error::invalid(format!(
                "unix_mode: {mode:o} is not between 0 and 777"
            )));
        }
        self.unix_mode = Some(mode);
        Ok(())
    }

    /// Opens the sockets.
    pub(super) fn bind(&self) -> Result<Vec<Bound>, Error> {
        if self.listen.is_empty() {
            let any_port = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
            return Ok(vec![Bound::tcp(any_port, self.reuse_port)?]);
        }
        let bound = self.listen.iter().map(|listen| match listen {
            Listen::Tcp(address) => Bound::tcp(*address, self.reuse_port),
            Listen::Unix(path) => Bound::unix(path, self.unix_mode),
            Listen::Given(given) => given.bound(),
        });
        bound.collect()
    }

    fn add(&mut self, given: Inherited) -> Result<(), Error> {
        let is_known = |listen: &Listen| matches!(listen, Listen::Given(known) if known.is(&given));
        if self.listen.iter().any(is_known) {
            return Err(Error::invalid(
                "listen: this descriptor, or another one of the same socket, was added already",
            ));
        }
        self.listen.push(Listen::Given(given));
        Ok(())
    }
}
