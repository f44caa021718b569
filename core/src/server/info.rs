//! What is known about a session while it runs.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::proto::{Attribute, ClientAttributes, TlsInfo};

/// What is known about a session. Clones share their memory; a clone keeps what was known when it was made.
#[derive(Debug, Clone)]
pub struct SessionInfo(Arc<Known>);

#[derive(Debug, Clone)]
struct Known {
    id: u64,
    peer: Box<str>,
    address: Option<SocketAddr>,
    hello: Option<Box<str>>,
    tls: Option<TlsInfo>,
    user: Option<Box<str>>,
}

impl SessionInfo {
    pub(super) fn new(id: u64, peer: String, address: Option<SocketAddr>) -> Self {
        Self(Arc::new(Known {
            id,
            peer: peer.into(),
            address,
            hello: None,
            tls: None,
            user: None,
        }))
    }

    /// A number that no other session of this server has had.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// The client's address for people, as `127.0.0.1:1234`, or as a trusted proxy has told it by XCLIENT; of one that came through a Unix socket, `local socket`.
    pub fn peer(&self) -> &str {
        &self.0.peer
    }

    /// The client's address. `None` if it came through a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// What the client called itself in its last EHLO, HELO or LHLO. Nobody has verified it.
    pub fn hello_name(&self) -> Option<&str> {
        self.0.hello.as_deref()
    }

    /// The state of TLS; `None` in clear. Behind XCLIENT it is that of the proxy's connection, without certificate and exporter.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.0.tls.as_ref()
    }

    /// The user who has authenticated.
    pub fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    pub(super) fn set_hello(&mut self, name: &str) {
        // Most clients say the same thing again and again.
        if self.hello_name() != Some(name) {
            Arc::make_mut(&mut self.0).hello = Some(name.into());
        }
    }

    /// XCLIENT: the peer speaks for this client from now on, whose user this is, and what was learnt before is forgotten.
    pub(super) fn set_client(&mut self, client: &ClientAttributes, user: Option<&str>) {
        let known = Arc::make_mut(&mut self.0);
        let ip = match &client.address {
            Some(Attribute::Known(ip)) => Some(*ip),
            Some(Attribute::Unavailable | Attribute::TemporarilyUnavailable) => None,
            None => known.address.map(|address| address.ip()),
        };
        let port = match &client.port {
            Some(port) => port.known().copied().unwrap_or(0),
            None => known.address.map_or(0, |address| address.port()),
        };
        known.address = ip.map(|ip| SocketAddr::new(ip, port));
        if client.address.is_some() || client.port.is_some() {
            known.peer = known
                .address
                .map_or_else(|| "unknown".into(), |address| address.to_string().into());
        }
        known.hello = None;
        if let Some(hello) = client.hello.as_ref().and_then(Attribute::known) {
            known.hello = Some(hello.to_string().into());
        }
        known.user = user.map(Into::into);
        known.tls = known.tls.take().map(TlsInfo::without_peer);
    }

    pub(super) fn set_user(&mut self, name: &str) {
        if self.user() != Some(name) {
            Arc::make_mut(&mut self.0).user = Some(name.into());
        }
    }

    /// TLS is up: what was learnt in clear is forgotten (RFC 3207 section 4.2).
    pub(super) fn set_tls(&mut self, tls: TlsInfo) {
        let known = Arc::make_mut(&mut self.0);
        known.tls = Some(tls);
        known.hello = None;
        known.user = None;
    }
}
