//! Failed logins: they slow down, and then lock out, an address and an account.

mod open;

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use self::open::{OpenLogins, Turn};
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

/// How often a login that waits is looked at again: another may have waited for its client for so long by then that its place is
/// to be had.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long the attempt behind the first failure of an address or account is held back; behind each further one it is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// How long a client may take for all the rest of an exchange that counts already. A client has its user's password before it begins, so
/// that this is time for the network; and while it lasts, others may have to wait for their turn.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(30);

impl Options {
    /// The failed logins from one address, or of IPv6 from one /64 network, before AUTH is answered 454 there, also with the right
    /// password. They count within [`set_auth_lockout`](Self::set_auth_lockout), a login that succeeds takes none back: else one
    /// with an account of its own could go on for ever. 0 turns it off. The default is 30.
    ///
    /// An exchange, as of SCRAM, that its client gives up once its user was looked up counts as one of them, however it is given up:
    /// by `*`, by what is no response, by hanging up or by waiting. The server has had its work with it by then. A client without an
    /// address, as over a Unix socket, is not counted here.
    ///
    /// One that was to be judged and that nobody could, since the application answered 4yz or failed, counts too, and for its session
    /// and in [`failed_logins`](super::Statistics::failed_logins) like a wrong password; for the account it does not.
    pub fn set_auth_failures_per_address(&mut self, failures: u32) {
        self.auth_failures_per_address = failures;
    }

    /// The failed logins to one account, from wherever, before AUTH is answered 454 for it, also with the right password. They count
    /// within [`set_auth_lockout`](Self::set_auth_lockout); a login that succeeds takes those of its own address back, or none where
    /// the client has no address, as over a Unix socket. Names that nobody has count alike, so that nothing is told of who is there.
    /// Those that differ by upper and lower case, by spaces in front or behind, or by the marks of letters, as `tím` and `tim`, count
    /// together, for an application may overlook that; what a login takes back is of the very name. 0 turns it off. The default is 10.
    ///
    /// Logins that are being judged count too, so that another one may have to wait, for 10 seconds at most. One that lets the server
    /// wait for its client for 2 seconds makes place for one from another address: its session is ended with 421.
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
    accounts: Kind<u64>,
    /// Of what has failed at an account, that from one address.
    shares: Tally<Place>,
    /// What is being judged, and may fail.
    pending: Pending<IpAddr>,
    open: OpenLogins,
    /// Where the last login to an account has succeeded.
    homes: Homes,
}

/// What has failed.
#[derive(Debug)]
struct Kind<K> {
    most: u32,
    failed: Tally<K>,
}

/// How one key stands.
#[derive(Debug, Clone, Copy)]
struct Standing {
    failed: u32,
    pending: u32,
}

/// One login: whose it is, as far as that is known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attempt {
    address: Option<IpAddr>,
    account: Option<Account>,
}

/// Names as hashes that nobody can foretell, so that those of any length cost the same.
#[derive(Debug, Clone, Copy)]
struct Account {
    /// Of all spellings that an application might overlook the difference of: failures count for them together.
    folded: u64,
    /// Of the very name: what one user has proven is for no other whose name is but similar.
    exact: u64,
}

/// A login that is being judged. It counts like a failure until it was; dropped, nobody has judged it: its client gave it up.
#[derive(Debug)]
pub(super) struct Admitted {
    all: Arc<Attempts>,
    attempt: Attempt,
    turn: Option<Turn>,
    /// Whether the user was looked up for it.
    has_cost: bool,
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
                open: OpenLogins::default(),
                homes: Homes::new(REMEMBERED),
            }),
            settled: Notify::new(),
            hashing: RandomState::new(),
        }
    }

    /// A login from this address to this account, where they are known.
    pub(super) fn attempt(&self, address: Option<SocketAddr>, account: Option<&str>) -> Attempt {
        let account = account.filter(|name| !name.is_empty());
        Attempt {
            address: address.map(|address| network(address.ip())),
            account: account.map(|name| Account {
                folded: self.hashing.hash_one(folded(name)),
                exact: self.hashing.hash_one(name),
            }),
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
                Gate::Full if Instant::now() >= until => return Err(TOO_MANY_AT_ONCE),
                Gate::Full => {
                    let again = until.min(Instant::now() + LOOK_AGAIN);
                    let _ = timeout_at(again, settled).await;
                }
            }
        }
    }

    /// Looks at the locks and counts the login, at once.
    fn enter(self: &Arc<Self>, attempt: Attempt, now: Instant) -> Gate {
        let mut failures = self.failures();
        let address = failures.at_address(attempt, now);
        let account = failures.at_account(attempt, now);
        if failures.addresses.is_reached(address.failed) {
            return Gate::Locked(ADDRESS_LOCKED);
        }
        let place = attempt.place();
        let at_home = place.is_some_and(|place| failures.homes.has(place, now));
        if !at_home && failures.accounts.is_reached(account.failed) {
            return Gate::Locked(ACCOUNT_LOCKED);
        }
        if failures.addresses.is_reached(address.all())
            || !failures.has_room(attempt, account, at_home, now)
        {
            return Gate::Full;
        }
        failures.pending.begin(attempt.address);
        let turn = failures
            .open
            .begin(attempt.folded(), attempt.address, at_home);
        drop(failures);
        let times = address.times().max(account.times());
        let admitted = Admitted {
            all: Arc::clone(self),
            attempt,
            turn,
            has_cost: false,
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
        failures.accounts.fail(attempt.folded(), now);
        if let Some(place) = attempt.place() {
            failures.shares.count(place, now);
            failures.homes.forget(place);
        }
    }

    /// It was judged, and is who it says.
    fn succeeded(&self, attempt: Attempt, now: Instant) {
        let mut failures = self.failures();
        if let Some(place) = attempt.place() {
            // Its own may have begun before the account's, and then some of them count there no more: others' would be taken back.
            if let Some(account) = attempt.folded()
                && let Some(first) = failures.accounts.failed.first(account, now)
                && failures.shares.first(place, now) >= Some(first)
            {
                let own = failures.shares.times(place, now);
                failures.accounts.failed.take_back(account, own, now);
            }
            failures.shares.forget(place);
            failures.homes.add(place, now);
        }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    fn at_address(&self, attempt: Attempt, now: Instant) -> Standing {
        Standing {
            failed: self.addresses.times(attempt.address, now),
            pending: self.pending.times(attempt.address),
        }
    }

    fn at_account(&self, attempt: Attempt, now: Instant) -> Standing {
        Standing {
            failed: self.accounts.times(attempt.folded(), now),
            pending: self.open.times(attempt.folded()),
        }
    }

    /// Whether one more to its account may be judged, since all of them may fail.
    fn has_room(
        &mut self,
        attempt: Attempt,
        account: Standing,
        at_home: bool,
        now: Instant,
    ) -> bool {
        let folded = attempt.folded();
        if at_home {
            // An exchange that somebody leaves open elsewhere does not count there.
            let there = self.open.times_at(folded, attempt.address);
            return !self.accounts.is_reached(there);
        }
        if !self.accounts.is_reached(account.all()) {
            return true;
        }
        // Elsewhere it has to make room.
        let without_one = account.all().saturating_sub(1);
        !self.accounts.is_reached(without_one)
            && folded.is_some_and(|folded| self.open.take_place(folded, attempt.address, now))
    }
}

impl Attempt {
    fn folded(self) -> Option<u64> {
        self.account.map(|account| account.folded)
    }

    /// None without an address: what all have in common who have none, as over a Unix socket, is nobody's own.
    fn place(self) -> Option<Place> {
        self.account.map(|account| account.exact).zip(self.address)
    }
}

impl Admitted {
    /// Its client is waited for. Until when, in all.
    pub(super) fn wait_until(&mut self) -> Instant {
        let now = Instant::now();
        self.all.failures().open.wait(self.turn, now);
        *self.until.get_or_insert_with(|| now + LONGEST_EXCHANGE)
    }

    /// Its client has said something. False if another has its place by now: it is not to be judged any more.
    pub(super) fn resume(&self) -> bool {
        self.all.failures().open.resume(self.turn)
    }

    /// Whether it counts to an account.
    pub(super) fn has_account(&self) -> bool {
        self.attempt.account.is_some()
    }

    /// The user was looked up for it, and perhaps keys were derived: whoever gives it up has had that for nothing, and it counts as a
    /// failure of the address. Not of the account, which nobody has guessed at.
    pub(super) fn has_cost(&mut self) {
        self.has_cost = true;
    }

    /// It was to be judged, and nobody could: it counts as a failure of the address, which could go on with it for ever. Not of the
    /// account: what is at fault is not to lock out who has the right password once it is mended.
    pub(super) fn could_not_be_judged(mut self) {
        self.has_cost = true;
    }

    /// Its exchange goes on with another.
    pub(super) fn let_go(mut self) {
        self.has_cost = false;
    }

    /// It was judged, and failed.
    pub(super) fn failed(mut self, now: Instant) {
        self.has_cost = false;
        // It is let go only then: in between it counts twice rather than not at all.
        self.all.failed(self.attempt, now);
    }

    /// It was judged, and is who it says.
    pub(super) fn succeeded(mut self, now: Instant) {
        self.has_cost = false;
        self.all.succeeded(self.attempt, now);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut failures = self.all.failures();
        if self.has_cost {
            failures
                .addresses
                .fail(self.attempt.address, Instant::now());
        }
        failures.pending.end(self.attempt.address);
        failures.open.end(self.turn);
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
        }
    }

    fn is_reached(&self, times: u32) -> bool {
        self.most > 0 && times >= self.most
    }

    fn times(&self, key: Option<K>, now: Instant) -> u32 {
        key.map_or(0, |key| self.failed.times(key, now))
    }

    fn fail(&mut self, key: Option<K>, now: Instant) {
        if let Some(key) = key
            && self.failed.count(key, now) == self.most
        {
            self.failed.begin_anew(key, now);
        }
    }
}

/// What an application may take for the same name: many databases overlook case, and spaces at the end.
/// Nor do they tell marks and strokes of letters, ligatures, and letters of another width or font.
fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.trim().to_ascii_uppercase();
    }
    let plain: String = name.nfkd().filter(|&c| !is_combining_mark(c)).collect();
    // Both ways, for some letters have the other case one way only.
    let folded = plain.trim().to_lowercase().to_uppercase();
    let mut whole = String::with_capacity(folded.len());
    for c in folded.chars() {
        // Unicode does not take these apart; its order of letters does.
        match c {
            '\u{c6}' => whole.push_str("AE"),
            '\u{152}' => whole.push_str("OE"),
            '\u{d8}' => whole.push('O'),
            '\u{110}' => whole.push('D'),
            '\u{126}' => whole.push('H'),
            '\u{141}' => whole.push('L'),
            other => whole.push(other),
        }
    }
    whole
}

#[cfg(test)]
mod tests;
