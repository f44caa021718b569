//! Failed logins: they slow down, and then lock out, an address and an account.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Options;
use super::limits::network;
use super::options::not_zero;
use super::tally::Tally;
use crate::error::Error;
use crate::proto::Reply;

/// RFC 4954 section 6: the right password may be taken later.
const ADDRESS_LOCKED: Reply = Reply::fixed(
    454,
    Some((4, 7, 0)),
    "Too many failed logins from your address, try again later",
);
const ACCOUNT_LOCKED: Reply = Reply::fixed(
    454,
    Some((4, 7, 0)),
    "Too many failed logins to this account, try again later",
);

/// How long the attempt behind the first failure of an address is held back; behind each further one it is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// Addresses and accounts of which failures are remembered, each twice at most.
const REMEMBERED: usize = 32 * 1024;

impl Options {
    /// The failed logins from one address, or of IPv6 from one /64 network, before AUTH is answered 454 there, also with the right
    /// password. They count within [`set_auth_lockout`](Self::set_auth_lockout), a login that succeeds takes none back: else one
    /// with an account of its own could go on for ever. 0 turns it off. The default is 30.
    pub fn set_auth_failures_per_address(&mut self, failures: u32) {
        self.auth_failures_per_address = failures;
    }

    /// The failed logins to one account, from wherever, before AUTH is answered 454 for it, also with the right password. They count
    /// within [`set_auth_lockout`](Self::set_auth_lockout), until a login succeeds. Names that nobody has count alike, so that
    /// nothing is told of who is there. 0 turns it off, for anybody can lock out a user whose name is known. The default is 10.
    pub fn set_auth_failures_per_account(&mut self, failures: u32) {
        self.auth_failures_per_account = failures;
    }

    /// How long failed logins count, from the first, and how long one is locked out, from the last. The default is 300 seconds.
    pub fn set_auth_lockout(&mut self, time: Duration) -> Result<(), Error> {
        self.auth_lockout = not_zero("auth_lockout", time)?;
        Ok(())
    }

    /// How long at most a login is held back before it is judged: a quarter of a second behind the first failure of its address,
    /// and twice as long behind each further one. Nobody else waits. Zero turns it off. The default is 4 seconds.
    pub fn set_auth_delay(&mut self, most: Duration) {
        self.auth_delay = most;
    }
}

/// The failed logins of a server.
#[derive(Debug)]
pub(super) struct Attempts {
    per_address: u32,
    per_account: u32,
    delay: Duration,
    failures: Mutex<Failures>,
    hashing: RandomState,
}

#[derive(Debug)]
struct Failures {
    addresses: Tally<IpAddr>,
    /// By a hash of the name that nobody can foretell, so that names of any length cost the same.
    accounts: Tally<u64>,
}

/// One login.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempt {
    address: Option<IpAddr>,
    account: Option<u64>,
}

impl Attempts {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            per_address: options.auth_failures_per_address,
            per_account: options.auth_failures_per_account,
            delay: options.auth_delay,
            failures: Mutex::new(Failures {
                addresses: Tally::new(options.auth_lockout, REMEMBERED),
                accounts: Tally::new(options.auth_lockout, REMEMBERED),
            }),
            hashing: RandomState::new(),
        }
    }

    /// A login from this address to this account, where they are known. Case does not count: an application may overlook it.
    pub(super) fn attempt(&self, address: Option<SocketAddr>, account: Option<&str>) -> Attempt {
        let account = account.filter(|name| !name.is_empty());
        Attempt {
            address: address.map(|address| network(address.ip())),
            account: account.map(|name| self.hashing.hash_one(name.to_lowercase())),
        }
    }

    /// How long it is to be held back.
    pub(super) fn delay(&self, attempt: Attempt, now: Instant) -> Duration {
        let failures = self.failures();
        let times = attempt
            .address
            .map_or(0, |ip| failures.addresses.times(ip, now));
        match times.checked_sub(1) {
            None => Duration::ZERO,
            Some(doubled) => FIRST_DELAY
                .saturating_mul(1 << doubled.min(16))
                .min(self.delay),
        }
    }

    /// What it is answered instead of being judged, if it is locked out.
    pub(super) fn locked(&self, attempt: Attempt, now: Instant) -> Option<Reply> {
        let failures = self.failures();
        let reached = |times: u32, most: u32| most > 0 && times >= most;
        let times = attempt
            .address
            .map_or(0, |ip| failures.addresses.times(ip, now));
        if reached(times, self.per_address) {
            return Some(ADDRESS_LOCKED);
        }
        let times = attempt
            .account
            .map_or(0, |name| failures.accounts.times(name, now));
        reached(times, self.per_account).then_some(ACCOUNT_LOCKED)
    }

    /// It was judged, and failed.
    pub(super) fn failed(&self, attempt: Attempt, now: Instant) {
        let mut failures = self.failures();
        if let Some(ip) = attempt.address
            && failures.addresses.count(ip, now) == self.per_address
        {
            failures.addresses.begin_anew(ip, now);
        }
        if let Some(name) = attempt.account
            && failures.accounts.count(name, now) == self.per_account
        {
            failures.accounts.begin_anew(name, now);
        }
    }

    /// It was judged, and is who it says.
    pub(super) fn succeeded(&self, attempt: Attempt) {
        if let Some(name) = attempt.account {
            self.failures().accounts.forget(name);
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(change: impl FnOnce(&mut Options)) -> Attempts {
        let mut options = Options::new();
        options.set_auth_failures_per_address(5);
        options.set_auth_failures_per_account(3);
        change(&mut options);
        Attempts::new(&options)
    }

    fn from(attempts: &Attempts, address: &str, account: &str) -> Attempt {
        attempts.attempt(
            Some(SocketAddr::new(address.parse().unwrap(), 1)),
            Some(account),
        )
    }

    #[test]
    fn an_account_is_locked_from_its_edge_on_wherever_one_comes_from() {
        let all = attempts(|_| {});
        let start = Instant::now();
        for number in 0..3 {
            let one = from(&all, &format!("192.0.2.{number}"), "tim");
            assert_eq!(all.locked(one, start), None, "{number}");
            all.failed(one, start);
        }
        let far = from(&all, "2001:db8::1", "TIM");
        assert_eq!(all.locked(far, start), Some(ACCOUNT_LOCKED));
        assert_eq!(all.locked(from(&all, "2001:db8::1", "kurt"), start), None);
        let (before, after) = (Duration::from_secs(299), Duration::from_secs(300));
        assert_eq!(all.locked(far, start + before), Some(ACCOUNT_LOCKED));
        assert_eq!(all.locked(far, start + after), None);
    }

    #[test]
    fn an_address_is_locked_though_one_of_its_accounts_succeeds() {
        let all = attempts(|_| {});
        let now = Instant::now();
        for number in 0..5 {
            let one = from(&all, "2001:db8::7", &format!("user{number}"));
            assert_eq!(all.locked(one, now), None);
            all.failed(one, now);
            all.succeeded(from(&all, "2001:db8::7", "own"));
        }
        // Of IPv6 the network counts.
        assert_eq!(
            all.locked(from(&all, "2001:db8::8", "own"), now),
            Some(ADDRESS_LOCKED)
        );
        assert_eq!(all.locked(from(&all, "2001:db8:0:1::7", "own"), now), None);
    }

    #[test]
    fn a_login_that_succeeds_clears_its_account() {
        let all = attempts(|_| {});
        let now = Instant::now();
        let one = from(&all, "192.0.2.1", "tim");
        for _ in 0..2 {
            all.failed(one, now);
            all.failed(one, now);
            all.succeeded(one);
        }
        assert_eq!(all.locked(one, now), None);
    }

    #[test]
    fn each_failure_of_an_address_holds_the_next_login_back_for_longer() {
        let all = attempts(|_| {});
        let now = Instant::now();
        let one = from(&all, "192.0.2.1", "tim");
        let mut seen = Vec::new();
        for _ in 0..7 {
            seen.push(all.delay(one, now).as_millis());
            all.failed(one, now);
        }
        assert_eq!(seen, [0, 250, 500, 1000, 2000, 4000, 4000]);
        assert_eq!(
            all.delay(from(&all, "192.0.2.2", "tim"), now),
            Duration::ZERO
        );
        // A client of a Unix socket has no address.
        assert_eq!(
            all.delay(all.attempt(None, Some("tim")), now),
            Duration::ZERO
        );
    }

    #[test]
    fn what_is_turned_off_locks_nobody_out() {
        let all = attempts(|options| {
            options.set_auth_failures_per_address(0);
            options.set_auth_failures_per_account(0);
            options.set_auth_delay(Duration::ZERO);
        });
        let now = Instant::now();
        let one = from(&all, "192.0.2.1", "tim");
        (0..1000).for_each(|_| all.failed(one, now));
        assert_eq!(
            (all.locked(one, now), all.delay(one, now)),
            (None, Duration::ZERO)
        );
    }
}
