//! Streams, connections and listeners on loopback.

mod connecting;
mod handshake;
mod listening;
mod names;
mod sigpipe;
mod standard;
mod trust;
mod writing;

use std::net::SocketAddr;
use std::process::Command;

use tokio::net::UnixStream;

use super::socket::Socket;
use super::stream::{Peer, Stream};
use super::{Bound, Listener};

/// A listener on a free port of loopback.
fn listener() -> (Listener, SocketAddr) {
    let bound = Bound::tcp("127.0.0.1:0".parse().unwrap(), false).unwrap();
    (bound.listener().unwrap(), bound.address().unwrap())
}

/// Two ends of a connection.
fn pair() -> (Stream, Stream) {
    let (one, other) = UnixStream::pair().unwrap();
    let stream = |end| Stream::new(Socket::unix(end).unwrap(), Peer::Local);
    (stream(one), stream(other))
}

/// The variable that tells a test that it runs in a process of its own, and as what.
const ROLE: &str = "MAILWIRE_TEST_ROLE";

/// This test program, as a child that runs the test `name` alone.
fn child(name: &str, role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ROLE, role);
    command
}

/// What this process is to be, if it is such a child.
fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}
