//! What one server allows over all its sessions: connections in all and by address, and memory for messages.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// Counts connections, in all and by address.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    most_by_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    sockets: HashSet<RawFd>,
}

/// A connection that was let in. Dropping it makes room for another.
#[derive(Debug)]
pub(super) struct Admission {
    connections: Arc<Connections>,
    address: Option<IpAddr>,
    socket: Option<RawFd>,
}

impl Connections {
    pub(super) fn new(most: usize, most_by_address: usize) -> Self {
        Self {
            most,
            most_by_address,
            open: Mutex::default(),
        }
    }

    /// Lets a connection in, or tells why not. One from a Unix socket has no address and counts in all only.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        socket: RawFd,
    ) -> Result<Admission, &'static str> {
        // An IPv4 peer of an IPv6 socket is the same peer.
        let address = address.map(|address| address.to_canonical());
        let mut open = self.open();
        if open.all >= self.most {
            return Err("too many connections");
        }
        if let Some(address) = address {
            let count = open.by_address.entry(address).or_default();
            if *count >= self.most_by_address {
                return Err("too many connections from your address");
            }
            *count += 1;
        }
        open.all += 1;
        open.sockets.insert(socket);
        Ok(Admission {
            connections: Arc::clone(self),
            address,
            socket: Some(socket),
        })
    }

    /// The descriptors of all open sessions, for the child of a fork. Empty if another thread was just changing them.
    pub(crate) fn sockets(&self) -> Vec<RawFd> {
        match self.open.try_lock() {
            Ok(open) => open.sockets.iter().copied().collect(),
            Err(_) => Vec::new(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.open().all
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admission {
    /// Takes the session's descriptor off the list while something else owns it, or puts it back.
    pub(super) fn set_socket(&mut self, socket: Option<RawFd>) {
        let mut open = self.connections.open();
        if let Some(old) = self.socket {
            open.sockets.remove(&old);
        }
        open.sockets.extend(socket);
        self.socket = socket;
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.set_socket(None);
        let mut open = self.connections.open();
        open.all -= 1;
        if let Some(address) = self.address
            && let Some(count) = open.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

/// Counts the octets of messages that are held, over all sessions or in one.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    most: u64,
    used: AtomicU64,
    less: Notify,
}

impl BodyMemory {
    pub(crate) fn new(most: u64) -> Self {
        Self {
            most,
            used: AtomicU64::new(0),
            less: Notify::new(),
        }
    }

    /// Whether there is room. What is about to be read may exceed the limit by one read buffer for each session.
    pub(super) fn has_room(&self) -> bool {
        self.used() < self.most
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Waits until there is room.
    pub(crate) async fn room(&self) {
        loop {
            let less = self.less.notified();
            tokio::pin!(less);
            // Listening begins before the look, or a release in between would go unheard.
            less.as_mut().enable();
            if self.has_room() {
                return;
            }
            less.await;
        }
    }

    /// Counts `octets` until the result and all its clones and slices are dropped.
    pub(crate) fn charge(self: &Arc<Self>, octets: Bytes) -> Bytes {
        self.used.fetch_add(octets.len() as u64, Ordering::Relaxed);
        Bytes::from_owner(Charged {
            octets,
            memory: Arc::clone(self),
        })
    }
}

struct Charged {
    octets: Bytes,
    memory: Arc<BodyMemory>,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        let memory = &self.memory;
        let before = memory
            .used
            .fetch_sub(self.octets.len() as u64, Ordering::Relaxed);
        if before >= memory.most {
            memory.less.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_in_all_and_by_address() {
        let connections = Arc::new(Connections::new(3, 2));
        let address = |text: &str| Some(text.parse().unwrap());
        let one = connections.admit(address("192.0.2.1"), 1).unwrap();
        let _two = connections.admit(address("::ffff:192.0.2.1"), 2).unwrap();
        assert_eq!(
            connections.admit(address("192.0.2.1"), 1).unwrap_err(),
            "too many connections from your address"
        );
        let _unix = connections.admit(None, 3).unwrap();
        assert_eq!(
            connections.admit(address("192.0.2.2"), 4).unwrap_err(),
            "too many connections"
        );
        drop(one);
        let mut open = connections.sockets();
        open.sort_unstable();
        assert_eq!(open, [2, 3]);
        assert_eq!(connections.count(), 2);
        assert!(connections.admit(address("192.0.2.1"), 1).is_ok());
    }

    #[tokio::test]
    async fn room_comes_back_with_the_last_clone() {
        let memory = Arc::new(BodyMemory::new(10));
        let held = memory.charge(Bytes::from_static(b"0123456789"));
        let part = held.slice(3..4);
        drop(held);
        assert!(!memory.has_room());
        let waiting = tokio::spawn({
            let memory = Arc::clone(&memory);
            async move { memory.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(part);
        waiting.await.unwrap();
        assert_eq!(memory.used(), 0);
    }
}
