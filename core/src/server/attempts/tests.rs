//! Whom failed logins hold back and lock out, and whom they do not.

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
fn what_failed_before_the_window_of_an_account_takes_nothing_of_others_back() {
    let all = attempts(|_| {});
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let tim = from(&all, "192.0.2.1", "tim");
    let guess = from(&all, "198.51.100.1", "tim");
    all.failed(guess, at(0));
    all.failed(tim, at(200));
    // A new window, in which the user has failed nowhere.
    all.failed(guess, at(310));
    all.failed(guess, at(311));
    admitted(&all, tim, at(320)).0.succeeded(at(320));
    all.failed(guess, at(321));
    assert_eq!(locked(&all, guess, at(322)), Some(ACCOUNT_LOCKED));
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
    assert!(failures.pending.is_empty() && failures.open.is_empty());
}

#[test]
fn an_exchange_that_had_its_cost_and_is_given_up_counts_for_its_address_alone() {
    let all = attempts(|_| {});
    let one = from(&all, "192.0.2.1", "tim");
    let begin = || admitted(&all, one, Instant::now()).0;
    for _ in 0..5 {
        // Nothing was done for it yet, or it goes on.
        drop(begin());
        let mut goes_on = begin();
        goes_on.has_cost();
        goes_on.let_go();
    }
    for _ in 0..5 {
        let mut given_up = begin();
        given_up.has_cost();
    }
    let now = Instant::now();
    assert_eq!(locked(&all, one, now), Some(ADDRESS_LOCKED));
    assert_eq!(locked(&all, from(&all, "192.0.2.2", "tim"), now), None);
    // What was judged counts once.
    let other = from(&all, "192.0.2.3", "kurt");
    for _ in 0..2 {
        let mut failed = admitted(&all, other, now).0;
        failed.has_cost();
        failed.failed(now);
    }
    let mut right = admitted(&all, other, now).0;
    right.has_cost();
    right.succeeded(now);
    assert_eq!(all.failures().addresses.times(other.address, now), 2);
}

#[test]
fn a_login_from_elsewhere_takes_the_place_of_one_that_lets_it_wait() {
    let all = attempts(|options| options.set_auth_failures_per_address(0));
    let far = from(&all, "192.0.2.2", "tim");
    let now = Instant::now();
    let mut open: Vec<_> = (0..3).map(|_| admitted(&all, far, now).0).collect();
    let owner = |number| from(&all, &format!("198.51.100.{number}"), "tim");
    let later = now + Duration::from_secs(60);
    // What the server has not judged yet keeps its place however long that takes.
    assert_eq!(locked(&all, owner(1), later), Some(TOO_MANY_AT_ONCE));
    for one in &mut open {
        one.wait_until();
    }
    assert_eq!(locked(&all, owner(1), now), Some(TOO_MANY_AT_ONCE));
    // Nor has one address more places than all together.
    assert_eq!(locked(&all, far, later), Some(TOO_MANY_AT_ONCE));
    assert!(open[0].resume() && open[2].resume());
    let first = admitted(&all, owner(1), later).0;
    assert!(!open[1].resume() && first.resume());
    assert_eq!(locked(&all, owner(2), later), Some(TOO_MANY_AT_ONCE));
    // A client that drips does not begin anew.
    open[2].wait_until();
    let second = admitted(&all, owner(2), later).0;
    assert!(!open[2].resume() && open[0].resume());
    drop((open, first, second));
    let failures = all.failures();
    assert!(failures.pending.is_empty() && failures.open.is_empty());
}

#[test]
fn nobody_takes_the_place_of_a_user_at_home() {
    let all = attempts(|options| options.set_auth_failures_per_account(1));
    let now = Instant::now();
    let home = from(&all, "192.0.2.1", "tim");
    all.succeeded(home, now);
    let mut open = admitted(&all, home, now).0;
    open.wait_until();
    let later = now + Duration::from_secs(60);
    let far = from(&all, "192.0.2.2", "tim");
    assert_eq!(locked(&all, far, later), Some(TOO_MANY_AT_ONCE));
    assert!(open.resume());
}

#[test]
fn spellings_that_an_application_may_overlook_count_together() {
    let all = attempts(|_| {});
    let now = Instant::now();
    for names in [
        ["tim", "TIM ", " Tim  "],
        ["stra\u{df}e", "STRASSE", "Stra\u{1e9e}e"],
        [
            "\u{3c3}\u{3b1}\u{3c3}",
            "\u{3c3}\u{3b1}\u{3c2}",
            "\u{3a3}\u{391}\u{3a3}",
        ],
        ["tim", "t\u{ed}m", "\u{163}\u{131}M\u{302}"],
        ["\u{ff34}im", "\u{1d4c9}im", "\u{a0}tim\u{2003}"],
        [
            "\u{439}\u{451}",
            "\u{418}\u{415}",
            "\u{438}\u{306}\u{435}\u{308}",
        ],
        ["\u{d8}rsted", "orsted", "O\u{308}rsted"],
        ["\u{142}\u{f3}d\u{17a}", "lo\u{111}z", "LODZ"],
        ["\u{e6}sir", "\u{c6}SIR", "aesir"],
    ] {
        let from = |name| from(&all, "192.0.2.1", name);
        for name in names {
            all.failures().accounts.fail(from(name).folded(), now);
        }
        for name in names {
            assert_eq!(
                locked(&all, from(name), now),
                Some(ACCOUNT_LOCKED),
                "{name}"
            );
        }
    }
}

#[test]
fn who_has_a_name_like_another_takes_back_nothing_of_the_others_failures() {
    let all = attempts(|_| {});
    let now = Instant::now();
    let other = from(&all, "192.0.2.1", "tim");
    let own = from(&all, "192.0.2.1", "TIM");
    for _ in 0..2 {
        admitted(&all, other, now).0.failed(now);
        admitted(&all, own, now).0.succeeded(now);
    }
    admitted(&all, other, now).0.failed(now);
    assert_eq!(locked(&all, other, now), Some(ACCOUNT_LOCKED));
    assert_eq!(locked(&all, own, now), None);
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
