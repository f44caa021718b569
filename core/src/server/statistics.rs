//! What a server has done so far, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of a server's counters since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that became sessions.
    pub sessions: u64,
    /// Sessions that are going on now.
    pub open_sessions: u64,
    /// Connections turned away because of a limit.
    pub turned_away: u64,
    /// Connections of proxies that did not begin with a good header of the PROXY protocol.
    pub bad_proxy_headers: u64,
    /// Messages that the application took: the reply to their end of data began with 2.
    pub messages: u64,
    /// Octets of those messages.
    pub octets: u64,
    /// Messages whose end of data was answered 4yz or 5yz.
    pub refused_messages: u64,
    /// Recipients answered 4yz or 5yz.
    pub refused_recipients: u64,
    /// Octets of messages that are held in memory now.
    pub body_memory: u64,
}

/// One counter. It orders nothing, so it costs next to nothing.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters behind [`Statistics`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sessions: Counter,
    pub(super) turned_away: Counter,
    pub(super) bad_proxy_headers: Counter,
    pub(super) messages: Counter,
    pub(super) octets: Counter,
    pub(super) refused_messages: Counter,
    pub(super) refused_recipients: Counter,
}
