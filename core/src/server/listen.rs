//! Where a server listens: on addresses, on Unix sockets, and on sockets that were made elsewhere.

use std::fmt;
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

impl Listen {
    /// Whether both are the same place.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => one == other,
            (Self::Unix(one), Self::Unix(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Given(_) => f.write_str("a socket that was given"),
        }
    }
}

impl Options {
    /// Adds an address to listen on:
    ///
    /// - `127.0.0.1:2525` or `[::1]:0`, an IP address and a port (0: a free one). `[::]` is all addresses of IPv6 and `0.0.0.0` all of
    ///   IPv4; neither is the other's, so that both can be listed.
    /// - `unix:/path`, a Unix socket: a path of at most 107 octets (103 outside Linux). A socket that nobody listens on any more is
    ///   replaced, for its file stays when a server has ended. Abstract names, which some write with an `@`, are not taken.
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
            check_path(path)?;
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
        for (index, listen) in self.listen.iter().enumerate() {
            let is_shared = self.reuse_port && matches!(listen, Listen::Tcp(_));
            let is_any = matches!(listen, Listen::Tcp(address) if address.port() == 0);
            if !is_shared && !is_any && self.listen[..index].iter().any(|one| one.is(listen)) {
                return Err(Error::invalid(format!(
                    "listen: {listen} was added twice to this server"
                )));
            }
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

/// Looks at the path of a Unix socket.
fn check_path(path: &str) -> Result<(), Error> {
    // What the system has room for, one less for the NUL at its end.
    const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
    let problem = if path.is_empty() {
        "is missing"
    } else if path.contains('\0') {
        "has a NUL in it: a name without a file is not taken"
    } else if path.starts_with('@') {
        "begins with @: a name without a file is not taken; for a file of this name write unix:./@"
    } else if path.len() > LONGEST {
        return Err(Error::invalid(format!(
            "listen: the path of the Unix socket has {} octets, and no more than {LONGEST} are possible",
            path.len()
        )));
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!(
        "listen: the path of the Unix socket {problem}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_cannot_be_is_refused_at_once_and_says_why() {
        let long = "x".repeat(108);
        for (path, why) in [
            ("", "missing"),
            ("\0abs", "NUL"),
            ("@abs", "begins with @"),
            (&long, "no more than 107"),
        ] {
            let error = Options::new().listen(&format!("unix:{path}")).unwrap_err();
            assert!(error.message().starts_with("listen: "), "{error}");
            if cfg!(target_os = "linux") {
                assert!(error.message().contains(why), "{error}");
            }
        }
        let mut options = Options::new();
        options.listen(&format!("unix:{}", &long[..103])).unwrap();
    }

    #[test]
    fn an_address_that_was_added_twice_is_told_as_such() {
        for address in ["127.0.0.1:9", "unix:/no/such/folder/socket"] {
            let mut options = Options::new();
            options.listen(address).unwrap();
            options.listen(address).unwrap();
            let error = options.bind().unwrap_err();
            assert_eq!(error.status(), crate::Status::InvalidArgument, "{error}");
            assert!(error.message().contains("added twice"), "{error}");
        }
        let mut options = Options::new();
        options.listen("127.0.0.1:0").unwrap();
        options.listen("127.0.0.1:0").unwrap();
        assert_eq!(options.bind().unwrap().len(), 2);
    }
}
