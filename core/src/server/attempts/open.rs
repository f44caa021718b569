//! The logins to each account that are being judged, and which of them only wait for their client.

use std::collections::btree_map::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// How long an exchange has its place for sure while its client is waited for: a client needs no more than the network takes.
const SURE: Duration = Duration::from_secs(2);

/// What is being judged, by account. It holds no other accounts.
#[derive(Debug, Default)]
pub(super) struct OpenLogins {
    by_account: HashMap<u64, BTreeMap<u64, Open>>,
    last: u64,
}

/// One login.
#[derive(Debug)]
struct Open {
    address: Option<IpAddr>,
    /// Whether an earlier login to the account has succeeded there.
    at_home: bool,
    /// When its client was waited for first.
    since: Option<Instant>,
    is_waiting: bool,
}

/// Where a login stands among those to its account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    account: u64,
    number: u64,
}

impl OpenLogins {
    pub(super) fn begin(
        &mut self,
        account: Option<u64>,
        address: Option<IpAddr>,
        at_home: bool,
    ) -> Option<Turn> {
        let account = account?;
        self.last += 1;
        let open = Open {
            address,
            at_home,
            since: None,
            is_waiting: false,
        };
        let number = self.last;
        let of_account = self.by_account.entry(account).or_default();
        of_account.insert(number, open);
        Some(Turn { account, number })
    }

    /// It is over. Nothing happens if its place was taken before.
    pub(super) fn end(&mut self, turn: Option<Turn>) {
        if let Some(turn) = turn
            && let Entry::Occupied(mut open) = self.by_account.entry(turn.account)
        {
            open.get_mut().remove(&turn.number);
            if open.get().is_empty() {
                open.remove();
            }
        }
    }

    /// Its client is waited for.
    pub(super) fn wait(&mut self, turn: Option<Turn>, now: Instant) {
        if let Some(open) = self.of(turn) {
            open.since.get_or_insert(now);
            open.is_waiting = true;
        }
    }

    /// Its client has said something. False if its place was taken meanwhile.
    pub(super) fn resume(&mut self, turn: Option<Turn>) -> bool {
        match self.of(turn) {
            Some(open) => open.is_waiting = false,
            None => return turn.is_none(),
        }
        true
    }

    /// Takes the place of the oldest login to this account that only waits for its client, somewhere else than at `address`, and not
    /// where its user is at home. False if there is none.
    pub(super) fn take_place(
        &mut self,
        account: u64,
        address: Option<IpAddr>,
        now: Instant,
    ) -> bool {
        let open = self.by_account.get(&account);
        let oldest = open.into_iter().flatten().find(|(_, open)| {
            let waited = open.since.map(|since| now.saturating_duration_since(since));
            open.is_waiting && waited >= Some(SURE) && !open.at_home && open.address != address
        });
        let turn = oldest.map(|(&number, _)| Turn { account, number });
        self.end(turn);
        turn.is_some()
    }

    pub(super) fn times(&self, account: Option<u64>) -> u32 {
        let open = account.and_then(|account| self.by_account.get(&account));
        open.map_or(0, |open| u32::try_from(open.len()).unwrap_or(u32::MAX))
    }

    /// Those at one address.
    pub(super) fn times_at(&self, account: Option<u64>, address: Option<IpAddr>) -> u32 {
        let open = account.and_then(|account| self.by_account.get(&account));
        let there = open.into_iter().flatten();
        let there = there.filter(|(_, open)| open.address == address).count();
        u32::try_from(there).unwrap_or(u32::MAX)
    }

    fn of(&mut self, turn: Option<Turn>) -> Option<&mut Open> {
        let turn = turn?;
        self.by_account
            .get_mut(&turn.account)?
            .get_mut(&turn.number)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_account.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_drips_does_not_begin_its_time_anew() {
        let mut open = OpenLogins::default();
        let start = Instant::now();
        let address = |number| Some(IpAddr::from([192, 0, 2, number]));
        let drips = open.begin(Some(1), address(1), false);
        let later = open.begin(Some(1), address(2), false);
        open.wait(drips, start);
        let end = start + SURE;
        open.wait(later, end);
        assert!(open.resume(drips));
        // What it has said is looked at.
        assert!(!open.take_place(1, address(3), end));
        open.wait(drips, start + SURE / 2);
        assert!(!open.take_place(1, address(3), end - Duration::from_millis(1)));
        assert!(!open.take_place(1, address(1), end) && !open.take_place(2, address(3), end));
        assert!(open.take_place(1, address(3), end) && !open.resume(drips));
        assert!(open.resume(later) && open.times(Some(1)) == 1);
        // Whoever is about no account has no place that could be taken.
        let nobody = open.begin(None, address(1), false);
        assert!(nobody.is_none() && open.resume(nobody));
        open.end(drips);
        open.end(later);
        assert!(open.is_empty());
    }
}
