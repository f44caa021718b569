//! Where the last logins to each account have succeeded, in bounded memory.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::tally::Recent;

/// How long it is remembered where an account was logged in to.
const AT_HOME: Duration = Duration::from_secs(7 * 24 * 3600);

/// At how many addresses of one account that is remembered: enough for a desk, a home and a telephone on its way. Whoever has an
/// account and many addresses is not to make the server forget where all others were.
const PLACES: usize = 4;

/// The last places of each account, the oldest first.
#[derive(Debug)]
pub(super) struct Homes(Recent<u64, Vec<Home>>);

#[derive(Debug, Clone, Copy)]
struct Home {
    address: IpAddr,
    since: Instant,
}

/// An account at an address.
pub(super) type Place = (u64, IpAddr);

impl Homes {
    /// Remembers the places of so many accounts, and of as many again.
    pub(super) fn new(most: usize) -> Self {
        Self(Recent::new(most))
    }

    /// Whether a login has succeeded there lately.
    pub(super) fn has(&self, (account, address): Place, now: Instant) -> bool {
        let homes = self.0.get(account).map_or(&[][..], Vec::as_slice);
        homes
            .iter()
            .any(|home| home.address == address && home.is_recent(now))
    }

    /// A login has succeeded there.
    pub(super) fn add(&mut self, place: Place, now: Instant) {
        let (account, address) = place;
        let mut homes = self.others(place);
        homes.retain(|home| home.is_recent(now));
        if homes.len() == PLACES {
            homes.remove(0);
        }
        homes.push(Home {
            address,
            since: now,
        });
        self.put(account, homes);
    }

    /// A login has failed there.
    pub(super) fn forget(&mut self, place: Place) {
        let others = self.others(place);
        if !others.is_empty() {
            self.put(place.0, others);
        }
    }

    fn put(&mut self, account: u64, homes: Vec<Home>) {
        // Whoever logs in has an account: nobody has plenty.
        self.0.put(account, homes, |_| 0);
    }

    /// Takes the account out, and gives its other places.
    fn others(&mut self, (account, address): Place) -> Vec<Home> {
        let mut homes = self.0.take(account).unwrap_or_default();
        homes.retain(|home| home.address != address);
        homes
    }
}

impl Home {
    fn is_recent(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < AT_HOME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u8) -> Place {
        (1, IpAddr::from([192, 0, 2, number]))
    }

    #[test]
    fn the_last_places_of_an_account_are_kept_for_their_time() {
        let mut homes = Homes::new(8);
        let now = Instant::now();
        for number in 0..4 {
            homes.add(at(number), now);
        }
        // Seen again, it is no longer the oldest.
        homes.add(at(0), now);
        homes.add(at(4), now);
        let kept: Vec<u8> = (0..5).filter(|one| homes.has(at(*one), now)).collect();
        assert_eq!(kept, [0, 2, 3, 4]);
        homes.forget(at(2));
        homes.forget(at(9));
        let kept: Vec<u8> = (0..5).filter(|one| homes.has(at(*one), now)).collect();
        assert_eq!(kept, [0, 3, 4]);
        assert!(!homes.has((2, at(0).1), now));
        let (before, after) = (now + AT_HOME - Duration::from_secs(1), now + AT_HOME);
        assert!(homes.has(at(0), before) && !homes.has(at(0), after));
        // It begins anew with each login.
        homes.add(at(3), before);
        assert!(homes.has(at(3), after));
        homes.forget(at(3));
        for number in [0, 4] {
            homes.forget(at(number));
        }
        assert!(homes.0.get(1).is_none());
    }
}
