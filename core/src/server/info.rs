//! What is known about a session while it runs.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::proto::TlsInfo;

/// What is known about a session. Clones share their memory; a clone keeps what was known when it was made.
#[derive(Debug, Clone)]
pub struct SessionInfo(Arc<Known>);

#[derive(Debug, Clone)]
struct Known {
    id: u64,
    peer: String,
    address: Option<SocketAddr>,
    hello: Option<String>,
    tls: Option<TlsInfo>,
    user: Option<String>,
}

impl SessionInfo {
    pub(super) fn new(id: u64, peer: String, address: Option<SocketAddr>) -> Self {
        Self(Arc::new(Known {
            id,
            peer,
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

    /// The client's address for people, as `127.0.0.1:1234`; of one that came through a Unix socket, `local socket`.
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

    /// The state of TLS; `None` in clear.
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
            Arc::make_mut(&mut self.0).hello = Some(name.to_owned());
        }
    }

    pub(super) fn set_user(&mut self, name: &str) {
        if self.user() != Some(name) {
            Arc::make_mut(&mut self.0).user = Some(name.to_owned());
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
