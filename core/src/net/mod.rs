//! Sockets, on tokio: opening and accepting connections, TLS over them, and the limits of time around every wait.

mod cancel;
mod connect;
mod deadline;
mod fault;
mod fork;
mod head;
mod host;
mod inherited;
mod listener;
mod proxy;
mod proxy_header;
mod resolve;
mod socket;
mod stream;
#[cfg(test)]
mod tests;

pub use cancel::Cancel;
pub(crate) use connect::{connect, connect_unix};
pub(crate) use deadline::{Alarm, Deadline, limit, until};
pub(crate) use fault::io_fault;
pub(crate) use fork::ForkGuard;
pub(crate) use host::{checked_host, host_and_port, machine_name};
pub(crate) use inherited::Inherited;
pub(crate) use listener::{Bound, Listener};
pub(crate) use proxy::{Proxy, connect_through};
pub use proxy_header::ProxyVersion;
pub(crate) use proxy_header::{proxy_header, take_proxy_header};
pub(crate) use socket::{close_raw, with_signals_blocked};
pub(crate) use stream::{Peer, Stream};
