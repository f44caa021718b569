//! Sockets, on tokio: opening and accepting connections, TLS over them, and the limits of time around every wait.

mod cancel;
mod connect;
mod deadline;
mod fault;
mod head;
mod listener;
mod proxy;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

pub use cancel::Cancel;
pub(crate) use connect::{connect, connect_unix};
pub(crate) use deadline::{Deadline, limit, limit_since};
pub(crate) use fault::io_fault;
pub(crate) use listener::{Bound, Listener};
pub(crate) use proxy::{Proxy, connect_through};
pub(crate) use socket::{close_raw, with_signals_blocked};
pub(crate) use stream::{Peer, Stream};
