//! What one server allows over all its sessions: connections in all and by address.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Options;
use super::options::within;
use super::rate::Rate;
use crate::error::Error;
use crate::proto::Reply;
use crate::proto::limits::{AUTH_LINES, COMMAND_LINES};

/// Said where the server as a whole is full (RFC 5321 section 3.8).
static TOO_MANY: Reply = Reply::fixed(421, Some((4, 3, 2)), "Too many connections");
/// Said where one client has more connections than it may.
static TOO_MANY_OF_YOURS: Reply = Reply::fixed(
    421,
    Some((4, 7, 0)),
    "Too many connections from your address",
);

/// Said where one client connects more often than it may.
static TOO_OFTEN: Reply = Reply::fixed(
    421,
    Some((4, 7, 0)),
    "Too many connections from your address in a minute, try again later",
);

impl Options {
    /// The bad commands of a session before the next one is answered 421; a message that is accepted forgives those before it. The
    /// default is 20.
    pub fn set_max_bad_commands(&mut self, count: u32) -> Result<(), Error> {
        self.max_bad_commands = within("max_bad_commands", count, 1..=u32::MAX)?;
        Ok(())
    }

    /// The commands of a session that bring no mail, refused recipients among them, before the next one is answered 421; a message that
    /// is accepted begins the count anew. The default is 200.
    pub fn set_max_idle_commands(&mut self, count: u32) -> Result<(), Error> {
        self.max_idle_commands = within("max_idle_commands", count, 1..=u32::MAX)?;
        Ok(())
    }

    /// The octets that a command may have, with its CRLF, from 512 (RFC 5321 section 4.5.3.1.4) to 32,768. A longer one is answered
    /// 500, and nothing of it is kept. Extensions make MAIL and RCPT longer, by 500 octets for AUTH= and ORCPT= alone, so that less than
    /// the default of 4096 may refuse what a client was offered. Lines of AUTH are not meant: see
    /// [`set_auth_line`](Self::set_auth_line).
    pub fn set_command_line(&mut self, octets: usize) -> Result<(), Error> {
        self.command_line = within("command_line", octets, COMMAND_LINES)?;
        Ok(())
    }

    /// The octets that a line of an AUTH exchange may have, with its CRLF, from 512 to the default of 12,290; AUTH itself may have 32
    /// more, for a line may stand in it. A longer one is answered 500 5.5.6, and nothing of it is kept. RFC 4954 section 4 asks for
    /// 12,288 octets and the CRLF, and no mechanism here takes more. Less is enough where users have passwords: three quarters of it
    /// is what name and password may have together. Tokens of OAUTHBEARER and XOAUTH2 are often longer than 2048 octets.
    pub fn set_auth_line(&mut self, octets: usize) -> Result<(), Error> {
        self.auth_line = within("auth_line", octets, AUTH_LINES)?;
        Ok(())
    }

    /// The failed logins of a session before the next AUTH is answered 421, with those that the application could not judge. The
    /// default is 3.
    pub fn set_max_auth_failures(&mut self, count: u32) -> Result<(), Error> {
        self.max_auth_failures = within("max_auth_failures", count, 1..=u32::MAX)?;
        Ok(())
    }
}

/// Which limit has no room for one more connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Of all connections.
    InAll,
    /// Of those of an address.
    OfAddress,
    /// Of those of an address within a minute.
    TooOften,
}

impl Full {
    /// What turns the client away.
    pub(super) fn reply(self) -> &'static Reply {
        match self {
            Self::InAll => &TOO_MANY,
            Self::OfAddress => &TOO_MANY_OF_YOURS,
            Self::TooOften => &TOO_OFTEN,
        }
    }
}

/// Counts connections, in all and by address.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    most_by_address: usize,
    rate: Rate,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    sockets: HashSet<RawFd>,
}

impl Open {
    fn claim(&mut self, address: IpAddr, limits: &Connections) -> Result<(), Full> {
        if limits.rate.is_exceeded_by(address) {
            return Err(Full::TooOften);
        }
        let count = self.by_address.entry(address).or_default();
        if *count >= limits.most_by_address {
            return Err(Full::OfAddress);
        }
        *count += 1;
        Ok(())
    }

    fn release(&mut self, address: IpAddr) {
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
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
            rate: Rate::new(0),
            open: Mutex::new(Open {
                all: 0,
                by_address: HashMap::new(),
                sockets: HashSet::new(),
            }),
        }
    }

    /// The same with a limit to how many may come from one address within a minute; 0 is none.
    pub(super) fn with_rate(mut self, most_in_a_minute: u32) -> Self {
        self.rate = Rate::new(most_in_a_minute);
        self
    }

    /// Lets a connection in, or tells why there is no place for it. One without an address counts in all only: it is from a Unix
    /// socket, or a proxy's that has told nobody yet.
    pub(super) fn admit(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        socket: RawFd,
    ) -> Result<Admission, Full> {
        let address = address.map(network);
        let mut open = self.open();
        if open.all >= self.most {
            return Err(Full::InAll);
        }
        if let Some(address) = address {
            open.claim(address, self)?;
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

/// What counts as one client: an IPv4 address, and of IPv6 the first 64 bits, for a host chooses the others as it likes (RFC 4291
/// section 2.5.1).
pub(super) fn network(address: IpAddr) -> IpAddr {
    // An IPv4 peer of an IPv6 socket is the same peer.
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl Admission {
    /// Counts the connection among those of this address from now on, or of none, or tells why there is no place for it. The same
    /// client as before counts no second time.
    pub(super) fn claim(&mut self, address: Option<IpAddr>) -> Result<(), Full> {
        let address = address.map(network);
        if address == self.address {
            return Ok(());
        }
        let mut open = self.connections.open();
        if let Some(address) = address {
            open.claim(address, &self.connections)?;
        }
        if let Some(former) = std::mem::replace(&mut self.address, address) {
            open.release(former);
        }
        Ok(())
    }

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
        if let Some(address) = self.address {
            open.release(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proto::ReplyGatherer;

    #[test]
    fn connections_are_limited_in_all_and_by_address() {
        let connections = Arc::new(Connections::new(3, 2));
        let address = |text: &str| Some(text.parse().unwrap());
        let one = connections.admit(address("192.0.2.1"), 1).unwrap();
        let _two = connections.admit(address("::ffff:192.0.2.1"), 2).unwrap();
        assert_eq!(
            connections.admit(address("192.0.2.1"), 1).unwrap_err(),
            Full::OfAddress
        );
        let _unix = connections.admit(None, 3).unwrap();
        assert_eq!(
            connections.admit(address("192.0.2.2"), 4).unwrap_err(),
            Full::InAll
        );
        drop(one);
        let mut open = connections.sockets();
        open.sort_unstable();
        assert_eq!(open, [2, 3]);
        assert_eq!(connections.count(), 2);
        assert!(connections.admit(address("192.0.2.1"), 1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_connects_too_often_is_turned_away_for_a_minute() {
        let connections = Arc::new(Connections::new(9, 9).with_rate(2));
        let admit = |text: &str| connections.admit(Some(text.parse().unwrap()), 1).map(drop);
        assert_eq!(admit("2001:db8::1"), Ok(()));
        assert_eq!(admit("2001:db8::2"), Ok(()));
        assert_eq!(admit("2001:db8::3"), Err(Full::TooOften));
        // Others never notice.
        assert_eq!(admit("192.0.2.1"), Ok(()));
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(admit("2001:db8::1"), Err(Full::TooOften));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(admit("2001:db8::1"), Ok(()));
    }

    #[test]
    fn an_ipv6_client_has_the_limit_of_its_network() {
        let connections = Arc::new(Connections::new(9, 2));
        let admit = |text: &str| connections.admit(Some(text.parse().unwrap()), 1);
        let one = admit("2001:db8:0:1::1").unwrap();
        let _two = admit("2001:db8:0:1:ffff:ffff:ffff:ffff").unwrap();
        assert_eq!(admit("2001:db8:0:1::2").unwrap_err(), Full::OfAddress);
        let _other = admit("2001:db8:0:2::1").unwrap();
        drop(one);
        assert!(admit("2001:db8:0:1::3").is_ok());
    }

    #[test]
    fn what_is_said_to_those_turned_away_is_well_formed() {
        for refusal in [Full::InAll, Full::OfAddress, Full::TooOften].map(Full::reply) {
            let mut line = Vec::new();
            refusal.write_to(&mut line, true);
            let line = line.strip_suffix(b"\r\n").unwrap();
            let reply = ReplyGatherer::default().line(line);
            assert_eq!(&reply.unwrap().unwrap(), refusal);
            assert!(refusal.code() == 421 && refusal.enhanced().is_some());
        }
    }
}
