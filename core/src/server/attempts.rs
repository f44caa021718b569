//! Failed logins: they slow down, and then lock out, an address and an account.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Options;
use super::homes::{Homes, Place};
use super::limits::network;
use super::options::not_zero;
use super::pending::Pending;
use super::tally::{REMEMBERED, Tally};
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

const TOO_MANY_AT_ONCE: Reply = Reply::fixed(
    454,
    Some((4, 7, 0)),
    "Too many logins at once, try again later",
);

/// How long a login waits for others that are being judged, and of which so many might fail that it would be locked out. A shutdown
/// ends it.
const LONGEST_TURN: Duration = Duration::from_secs(10);

/// How long the attempt behind the first failure of an address or account is held back; behind each further one it is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// How long a client may take for all the rest of an exchange that counts already. A client has its user's password before it begins, so
/// that this is time for the network; and while it lasts, others may have to wait for their turn.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(30);

impl Options {
    /// The failed logins from one address, or of IPv6 from one /64 network, before AUTH is answered 454 there, also with the right
    /// password. They count within [`set_auth_lockout`](Self::set_auth_lockout), a login that succeeds takes none back: else one
    /// with an account of its own could go on for ever. 0 turns it off. The default is 30.
    pub fn set_auth_failures_per_address(&mut self, failures: u32) {
        self.auth_failures_per_address = failures;
    }

    /// The failed logins to one account, from wherever, before AUTH is answered 454 for it, also with the right password. They count
    /// within [`set_auth_lockout`](Self::set_auth_lockout); a login that succeeds takes those of its own address back, or none where
    /// the client has no address, as over a Unix socket. Names that nobody has count alike, so that nothing is told of who is there.
    /// 0 turns it off. The default is 10.
    ///
    /// Anybody can lock out a user whose name is known, but not at an address, or of IPv6 a /64 network, from where the last login to
    /// the account succeeded, within seven days: there neither its failures from elsewhere count nor logins from elsewhere that are
    /// being judged. Of each account the last four such addresses are remembered, and of at least the 32,768 accounts that were
    /// last logged in to. The address's own failures count there like anywhere.
    pub fn set_auth_failures_per_account(&mut self, failures: u32) {
        self.auth_failures_per_account = failures;
    }

    /// How long failed logins count, from the first, and how long one is locked out, from the last. The default is 300 seconds.
    pub fn set_auth_lockout(&mut self, time: Duration) -> Result<(), Error> {
        self.auth_lockout = not_zero("auth_lockout", time)?;
        Ok(())
    }

    /// How long at most a login is held back before it is judged: a quarter of a second behind the first failure of its address or
    /// account, whichever has more, and twice as long behind each further one. Once something has failed, logins that are being
    /// judged count as well, so that many at once gain nothing. Nobody else waits. Zero turns it off. The default is 4 seconds.
    pub fn set_auth_delay(&mut self, most: Duration) {
        self.auth_delay = most;
    }
}

/// The failed logins of a server.
#[derive(Debug)]
pub(super) struct Attempts {
    delay: Duration,
    failures: Mutex<Failures>,
    /// Told when a login was judged, or given up.
    settled: Notify,
    hashing: RandomState,
}

#[derive(Debug)]
struct Failures {
    addresses: Kind<IpAddr>,
    /// By a hash of the name that nobody can foretell, so that names of any length cost the same.
    accounts: Kind<u64>,
    /// Of what has failed at an account, that from one address.
    shares: Tally<Place>,
    /// Of what is being judged at an account, that from one address.
    pending: Pending<Place>,
    /// Where the last login to an account has succeeded.
    homes: Homes,
}

/// What has failed, and what is being judged and may fail.
#[derive(Debug)]
struct Kind<K> {
    most: u32,
    failed: Tally<K>,
    pending: Pending<K>,
}

/// How one key stands.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    failed: u32,
    pending: u32,
}

/// One login: whose it is, as far as that is known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempt {
    address: Option<IpAddr>,
    account: Option<u64>,
}

/// A login that is being judged. It counts like a failure until it was; dropped, nobody has judged it.
#[derive(Debug)]
pub(super) struct Admitted {
    all: Arc<Attempts>,
    attempt: Attempt,
    /// Until when its client has to be through with it, once it is waited for.
    until: Option<Instant>,
}

/// Whether a login may be judged.
#[derive(Debug)]
enum Gate {
    /// It may, after this time.
    Open(Admitted, Duration),
    /// Once others were judged.
    Full,
    Locked(Reply),
}

impl Attempts {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            delay: options.auth_delay,
            failures: Mutex::new(Failures {
                addresses: Kind::new(options.auth_failures_per_address, options.auth_lockout),
                accounts: Kind::new(options.auth_failures_per_account, options.auth_lockout),
                shares: Tally::new(options.auth_lockout, REMEMBERED),
                pending: Pending::new(),
                homes: Homes::new(REMEMBERED),
            }),
            settled: Notify::new(),
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

    /// Admits a login to be judged after the time that is given with it, or says what it is answered instead. Where those that are
    /// being judged could lock it out, it waits for them: never are more judged than may fail.
    pub(super) async fn admit(
        self: &Arc<Self>,
        attempt: Attempt,
    ) -> Result<(Admitted, Duration), Reply> {
        let until = Instant::now() + LONGEST_TURN;
        loop {
            // Made before it is looked, so that nothing that is settled in between is missed.
            let settled = self.settled.notified();
            match self.enter(attempt, Instant::now()) {
                Gate::Open(admitted, delay) => return Ok((admitted, delay)),
                Gate::Locked(reply) => return Err(reply),
                Gate::Full => timeout_at(until, settled)
                    .await
                    .map_err(|_| TOO_MANY_AT_ONCE)?,
            }
        }
    }

    /// Looks at the locks and counts the login, at once.
    fn enter(self: &Arc<Self>, attempt: Attempt, now: Instant) -> Gate {
        let mut failures = self.failures();
        let address = failures.addresses.standing(attempt.address, now);
        let account = failures.accounts.standing(attempt.account, now);
        if failures.addresses.is_reached(address.failed) {
            return Gate::Locked(ADDRESS_LOCKED);
        }
        let place = attempt.place();
        let at_home = place.is_some_and(|place| failures.homes.has(place, now));
        if !at_home && failures.accounts.is_reached(account.failed) {
            return Gate::Locked(ACCOUNT_LOCKED);
        }
        // Nor does an exchange count there that somebody leaves open elsewhere.
        let counted = if at_home {
            failures.pending.times(place)
        } else {
            account.all()
        };
        if failures.addresses.is_reached(address.all()) || failures.accounts.is_reached(counted) {
            return Gate::Full;
        }
        failures.addresses.pending.begin(attempt.address);
        failures.accounts.pending.begin(attempt.account);
        failures.pending.begin(place);
        drop(failures);
        let times = address.times().max(account.times());
        let admitted = Admitted {
            all: Arc::clone(self),
            attempt,
            until: None,
        };
        Gate::Open(admitted, self.delay_behind(times))
    }

    fn delay_behind(&self, times: u32) -> Duration {
        match times.checked_sub(1) {
            None => Duration::ZERO,
            Some(doubled) => FIRST_DELAY
                .saturating_mul(1 << doubled.min(16))
                .min(self.delay),
        }
    }

    /// It was judged, and failed.
    pub(super) fn failed(&self, attempt: Attempt, now: Instant) {
        let mut failures = self.failures();
        failures.addresses.fail(attempt.address, now);
        failures.accounts.fail(attempt.account, now);
        if let Some(place) = attempt.place() {
            failures.shares.count(place, now);
            failures.homes.forget(place);
        }
    }

    /// It was judged, and is who it says.
    fn succeeded(&self, attempt: Attempt, now: Instant) {
        let mut failures = self.failures();
        if let Some(place) = attempt.place() {
            let own = failures.shares.times(place, now);
            failures.accounts.failed.take_back(place.0, own, now);
            failures.shares.forget(place);
            failures.homes.add(place, now);
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt {
    /// None without an address: what all have in common who have none, as over a Unix socket, is nobody's own.
    fn place(self) -> Option<Place> {
        self.account.zip(self.address)
    }
}

impl Admitted {
    /// Its client is waited for. Until when, in all.
    pub(super) fn wait_until(&mut self) -> Instant {
        *self
            .until
            .get_or_insert_with(|| Instant::now() + LONGEST_EXCHANGE)
    }

    /// It was judged, and failed.
    pub(super) fn failed(self, now: Instant) {
        // It is let go only then: in between it counts twice rather than not at all.
        self.all.failed(self.attempt, now);
    }

    /// It was judged, and is who it says.
    pub(super) fn succeeded(self, now: Instant) {
        self.all.succeeded(self.attempt, now);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut failures = self.all.failures();
        failures.addresses.pending.end(self.attempt.address);
        failures.accounts.pending.end(self.attempt.account);
        failures.pending.end(self.attempt.place());
        drop(failures);
        self.all.settled.notify_waiters();
    }
}

impl Standing {
    fn all(self) -> u32 {
        self.failed.saturating_add(self.pending)
    }

    /// How many failures the next login is held back for. Where nothing has failed, a client that opens many connections at once
    /// is not slowed down.
    fn times(self) -> u32 {
        if self.failed == 0 { 0 } else { self.all() }
    }
}

impl<K: Eq + Hash + Copy> Kind<K> {
    fn new(most: u32, lockout: Duration) -> Self {
        Self {
            most,
            failed: Tally::new(lockout, REMEMBERED),
            pending: Pending::new(),
        }
    }

    fn is_reached(&self, times: u32) -> bool {
        self.most > 0 && times >= self.most
    }

    fn standing(&self, key: Option<K>, now: Instant) -> Standing {
        key.map_or_else(Standing::default, |key| Standing {
            failed: self.failed.times(key, now),
            pending: self.pending.times(Some(key)),
        })
    }

    fn fail(&mut self, key: Option<K>, now: Instant) {
        if let Some(key) = key
            && self.failed.count(key, now) == self.most
        {
            self.failed.begin_anew(key, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(change: impl FnOnce(&mut Options)) -> Arc<Attempts> {
        let mut options = Options::new();
        options.set_auth_failures_per_address(5);
        options.set_auth_failures_per_account(3);
        change(&mut options);
        Arc::new(Attempts::new(&options))
    }

    fn from(attempts: &Attempts, address: &str, account: &str) -> Attempt {
        attempts.attempt(
            Some(SocketAddr::new(address.parse().unwrap(), 1)),
            Some(account),
        )
    }

    /// Looks whether a login could be judged.
    fn locked(all: &Arc<Attempts>, attempt: Attempt, now: Instant) -> Option<Reply> {
        match all.enter(attempt, now) {
            Gate::Open(..) => None,
            Gate::Full => Some(TOO_MANY_AT_ONCE),
            Gate::Locked(reply) => Some(reply),
        }
    }

    fn admitted(all: &Arc<Attempts>, attempt: Attempt, now: Instant) -> (Admitted, Duration) {
        match all.enter(attempt, now) {
            Gate::Open(admitted, delay) => (admitted, delay),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_account_is_locked_from_its_edge_on_wherever_one_comes_from() {
        let all = attempts(|_| {});
        let start = Instant::now();
        for number in 0..3 {
            let one = from(&all, &format!("192.0.2.{number}"), "tim");
            admitted(&all, one, start).0.failed(start);
        }
        let far = from(&all, "2001:db8::1", "TIM");
        assert_eq!(locked(&all, far, start), Some(ACCOUNT_LOCKED));
        let other = from(&all, "2001:db8::1", "kurt");
        assert_eq!(locked(&all, other, start), None);
        let (before, after) = (Duration::from_secs(299), Duration::from_secs(300));
        assert_eq!(locked(&all, far, start + before), Some(ACCOUNT_LOCKED));
        assert_eq!(locked(&all, far, start + after), None);
    }

    #[test]
    fn an_address_is_locked_though_one_of_its_accounts_succeeds() {
        let all = attempts(|_| {});
        let now = Instant::now();
        for number in 0..5 {
            let one = from(&all, "2001:db8::7", &format!("user{number}"));
            admitted(&all, one, now).0.failed(now);
            if number < 4 {
                let own = from(&all, "2001:db8::7", "own");
                admitted(&all, own, now).0.succeeded(now);
            }
        }
        // Of IPv6 the network counts.
        let neighbour = from(&all, "2001:db8::8", "own");
        assert_eq!(locked(&all, neighbour, now), Some(ADDRESS_LOCKED));
        let elsewhere = from(&all, "2001:db8:0:1::7", "own");
        assert_eq!(locked(&all, elsewhere, now), None);
    }

    #[test]
    fn a_login_that_succeeds_takes_back_what_failed_at_its_own_address_alone() {
        let all = attempts(|_| {});
        let now = Instant::now();
        let (tim, kurt) = (
            from(&all, "192.0.2.1", "tim"),
            from(&all, "192.0.2.1", "kurt"),
        );
        let guess = |number: u8| from(&all, &format!("198.51.100.{number}"), "tim");
        admitted(&all, guess(1), now).0.failed(now);
        for _ in 0..4 {
            all.failed(tim, now);
            admitted(&all, tim, now).0.succeeded(now);
        }
        admitted(&all, kurt, now).0.succeeded(now);
        admitted(&all, guess(2), now).0.failed(now);
        admitted(&all, guess(3), now).0.failed(now);
        assert_eq!(locked(&all, guess(4), now), Some(ACCOUNT_LOCKED));
        // Where the user was last, nobody is locked out by that, until somebody fails there.
        let after = now + Duration::from_secs(7 * 24 * 3600);
        let before = after - Duration::from_secs(1);
        assert_eq!(locked(&all, tim, now), None);
        (0..3).for_each(|number| all.failed(guess(number), before));
        assert_eq!(locked(&all, tim, before), None);
        assert_eq!(locked(&all, tim, after), Some(ACCOUNT_LOCKED));
        admitted(&all, tim, before).0.failed(before);
        assert_eq!(locked(&all, tim, before), Some(ACCOUNT_LOCKED));
    }

    #[test]
    fn no_more_are_judged_at_once_where_the_user_was_last() {
        let all = attempts(|options| options.set_auth_failures_per_address(0));
        let now = Instant::now();
        let one = from(&all, "192.0.2.1", "tim");
        admitted(&all, one, now).0.succeeded(now);
        let pending: Vec<_> = (0..3).map(|_| admitted(&all, one, now).0).collect();
        assert_eq!(locked(&all, one, now), Some(TOO_MANY_AT_ONCE));
        for one in pending {
            one.failed(now);
        }
        assert_eq!(locked(&all, one, now), Some(ACCOUNT_LOCKED));
    }

    #[test]
    fn what_is_judged_elsewhere_takes_no_place_where_the_user_was_last() {
        let all = attempts(|_| {});
        let now = Instant::now();
        let home = from(&all, "192.0.2.1", "tim");
        admitted(&all, home, now).0.succeeded(now);
        let far = from(&all, "192.0.2.2", "tim");
        let _open: Vec<_> = (0..3).map(|_| admitted(&all, far, now)).collect();
        assert_eq!(locked(&all, far, now), Some(TOO_MANY_AT_ONCE));
        assert_eq!(locked(&all, home, now), None);
    }

    #[test]
    fn clients_without_an_address_have_no_place_in_common() {
        let all = attempts(|_| {});
        let now = Instant::now();
        let local = all.attempt(None, Some("tim"));
        for _ in 0..3 {
            assert_eq!(locked(&all, local, now), None);
            admitted(&all, local, now).0.succeeded(now);
            all.failed(local, now);
        }
        assert_eq!(locked(&all, local, now), Some(ACCOUNT_LOCKED));
    }

    #[test]
    fn one_account_does_not_have_the_places_of_all_others_forgotten() {
        let all = attempts(|_| {});
        let now = Instant::now();
        let home = from(&all, "192.0.2.1", "tim");
        all.succeeded(home, now);
        for number in 0..=2 * REMEMBERED {
            let network = format!("2001:db8:{:x}:{:x}::1", number >> 16, number & 0xffff);
            all.succeeded(from(&all, &network, "kurt"), now);
        }
        (0..3).for_each(|_| all.failed(from(&all, "198.51.100.1", "tim"), now));
        assert_eq!(locked(&all, home, now), None);
    }

    #[test]
    fn a_login_that_succeeds_clears_its_account() {
        let all = attempts(|_| {});
        let now = Instant::now();
        let one = from(&all, "192.0.2.1", "tim");
        for _ in 0..2 {
            all.failed(one, now);
            all.failed(one, now);
            admitted(&all, one, now).0.succeeded(now);
        }
        assert_eq!(locked(&all, one, now), None);
    }

    #[test]
    fn those_that_are_being_judged_count_until_they_were() {
        let all = attempts(|_| {});
        let now = Instant::now();
        let one = from(&all, "192.0.2.1", "tim");
        let mut pending: Vec<_> = (0..3).map(|_| admitted(&all, one, now)).collect();
        // Nothing has failed, so that nobody is held back for long.
        assert!(pending.iter().all(|(_, delay)| delay.is_zero()));
        assert_eq!(locked(&all, one, now), Some(TOO_MANY_AT_ONCE));
        // Given up, one more has its turn.
        drop(pending.pop());
        pending.push(admitted(&all, one, now));
        pending.pop().unwrap().0.failed(now);
        assert_eq!(locked(&all, one, now), Some(TOO_MANY_AT_ONCE));
        pending.pop().unwrap().0.failed(now);
        pending.pop().unwrap().0.failed(now);
        assert_eq!(locked(&all, one, now), Some(ACCOUNT_LOCKED));
        let failures = all.failures();
        assert!(failures.accounts.pending.is_empty());
        assert!(failures.addresses.pending.is_empty());
        assert!(failures.pending.is_empty());
    }

    #[test]
    fn each_failure_of_address_or_account_holds_the_next_login_back_for_longer() {
        let all = attempts(|options| {
            options.set_auth_failures_per_address(0);
            options.set_auth_failures_per_account(0);
        });
        let now = Instant::now();
        let one = from(&all, "192.0.2.1", "tim");
        let mut seen = Vec::new();
        for _ in 0..7 {
            let (admitted, delay) = admitted(&all, one, now);
            seen.push(delay.as_millis());
            admitted.failed(now);
        }
        assert_eq!(seen, [0, 250, 500, 1000, 2000, 4000, 4000]);
        let delay = |attempt| admitted(&all, attempt, now).1;
        let most = Duration::from_secs(4);
        // The greater of both counts; a client of a Unix socket has no address.
        assert_eq!(delay(from(&all, "192.0.2.2", "tim")), most);
        assert_eq!(delay(from(&all, "192.0.2.1", "kurt")), most);
        assert_eq!(delay(all.attempt(None, Some("tim"))), most);
        assert_eq!(delay(from(&all, "192.0.2.2", "kurt")), Duration::ZERO);
        // Those that are being judged count too, once something has failed.
        all.failed(from(&all, "192.0.2.3", "kurt"), now);
        let third = from(&all, "192.0.2.3", "third");
        let (_pending, first) = admitted(&all, third, now);
        let (_also, second) = admitted(&all, third, now);
        assert_eq!((first.as_millis(), second.as_millis()), (250, 500));
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
        assert_eq!(admitted(&all, one, now).1, Duration::ZERO);
    }
}
