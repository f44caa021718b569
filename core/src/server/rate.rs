//! How many messages and recipients one address may bring within a minute.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Options;
use super::limits::network;
use super::tally::{REMEMBERED, Tally};
use crate::proto::Reply;

const MINUTE: Duration = Duration::from_secs(60);

pub(super) const TOO_MANY_MESSAGES: Reply = Reply::fixed(
    452,
    Some((4, 7, 0)),
    "Too many messages from your address in a minute, try again later",
);
pub(super) const TOO_MANY_RECIPIENTS: Reply = Reply::fixed(
    452,
    Some((4, 7, 0)),
    "Too many recipients from your address in a minute, try again later",
);

impl Options {
    /// The most connections within a minute from one address; of IPv6, from one /64 network. Those beyond are greeted with 421, or
    /// closed without a word where TLS comes first. Whom a proxy tells is counted as
    /// [`set_connections_per_address`](Self::set_connections_per_address) has it; told again on the same connection, an address counts
    /// once. 0, the default, is no limit: what is much from one host is little from a network behind one address.
    pub fn set_connections_per_minute(&mut self, count: u32) {
        self.connections_per_minute = count;
    }

    /// The most messages that one address may begin within a minute, in all its sessions; of IPv6, one /64 network. MAIL beyond is
    /// answered 452 4.7.0, also to who has authenticated or is trusted. A MAIL that is refused counts too; the minute begins with the
    /// first. The address is the peer's, or what a trusted proxy tells; a client of a Unix socket has none, and no limit. 0, the
    /// default, is no limit, for the reason that [`set_connections_per_minute`](Self::set_connections_per_minute) has none.
    pub fn set_messages_per_minute(&mut self, count: u32) {
        self.messages_per_minute = count;
    }

    /// The most recipients that one address may name within a minute, in all its messages; of IPv6, one /64 network. RCPT beyond is
    /// answered 452 4.7.0. One that is refused counts too, so that nobody can try for long who there is. All else is as
    /// [`set_messages_per_minute`](Self::set_messages_per_minute) has it. 0, the default, is no limit.
    pub fn set_recipients_per_minute(&mut self, count: u32) {
        self.recipients_per_minute = count;
    }
}

/// Counts what comes from an address, within a minute that begins with the first.
#[derive(Debug)]
pub(super) struct Rate {
    /// 0: no limit.
    most: u32,
    lately: Mutex<Tally<IpAddr>>,
}

impl Rate {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            lately: Mutex::new(Tally::new(MINUTE, REMEMBERED)),
        }
    }

    /// Counts one more from this address, and tells whether it is one too many.
    pub(super) fn is_exceeded(&self, address: Option<SocketAddr>) -> bool {
        address.is_some_and(|address| self.is_exceeded_by(network(address.ip())))
    }

    /// The same from what counts as one client.
    pub(super) fn is_exceeded_by(&self, client: IpAddr) -> bool {
        if self.most == 0 {
            return false;
        }
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.count(client, Instant::now()) > self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_that_has_its_number_waits_until_its_minute_is_over() {
        let rate = Rate::new(2);
        let more = |text: &str| rate.is_exceeded(Some(text.parse().unwrap()));
        assert!(!more("[2001:db8::1]:1"));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!more("[2001:db8::2]:2"));
        assert!(more("[2001:db8::3]:3"));
        // Others never notice.
        assert!(!more("192.0.2.1:1") && !rate.is_exceeded(None));
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(more("[2001:db8::1]:1"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!more("[2001:db8::1]:1"));
    }

    #[tokio::test]
    async fn without_a_limit_nothing_is_counted() {
        let rate = Rate::new(0);
        let client = "192.0.2.1".parse().unwrap();
        assert!(!(0..1000).any(|_| rate.is_exceeded_by(client)));
        let lately = rate.lately.lock().unwrap();
        assert_eq!(lately.times(client, Instant::now()), 0);
    }

    #[test]
    fn the_replies_are_well_formed() {
        for reply in [TOO_MANY_MESSAGES, TOO_MANY_RECIPIENTS] {
            let again = Reply::new(reply.code(), reply.text().to_owned()).unwrap();
            assert_eq!(
                again.with_enhanced(reply.enhanced().unwrap()).unwrap(),
                reply
            );
        }
    }
}
