//! How often something has happened lately, by key, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::time::Duration;

use tokio::time::Instant;

/// Keys that are remembered of each kind, as addresses or accounts, and as many older ones at most.
pub(super) const REMEMBERED: usize = 32 * 1024;

/// Counts by key, each within a window of time that begins with the first.
#[derive(Debug)]
pub(super) struct Tally<K> {
    window: Duration,
    counts: Recent<K, Count>,
}

/// What belongs to each key.
///
/// It holds as many keys as it is told, and as many again that were not put since: with more, the oldest are forgotten, however
/// many there are. Of these half as many are kept on whose worth is greatest, so that many keys of little worth do not have it forget
/// those of more.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    most: usize,
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    times: u32,
    /// When the window began.
    since: Instant,
    /// When the first of those that are counted was.
    first: Instant,
}

impl<K: Eq + Hash + Copy> Tally<K> {
    pub(super) fn new(window: Duration, most: usize) -> Self {
        Self {
            window,
            counts: Recent::new(most),
        }
    }

    /// Counts once more, and gives how often it was within the window.
    pub(super) fn count(&mut self, key: K, now: Instant) -> u32 {
        let mut count = self.current(key, now).unwrap_or(Count {
            times: 0,
            since: now,
            first: now,
        });
        count.times = count.times.saturating_add(1);
        self.put(key, count, now);
        count.times
    }

    /// How often it was within the window.
    pub(super) fn times(&self, key: K, now: Instant) -> u32 {
        self.current(key, now).map_or(0, |count| count.times)
    }

    /// When the first of those within the window was counted.
    pub(super) fn first(&self, key: K, now: Instant) -> Option<Instant> {
        self.current(key, now).map(|count| count.first)
    }

    /// The window of this key begins now, with what was counted.
    pub(super) fn begin_anew(&mut self, key: K, now: Instant) {
        if let Some(count) = self.current(key, now) {
            self.put(
                key,
                Count {
                    since: now,
                    ..count
                },
                now,
            );
        }
    }

    /// So many of those that were counted count no more.
    pub(super) fn take_back(&mut self, key: K, times: u32, now: Instant) {
        match self.current(key, now) {
            Some(count) if count.times > times => {
                let times = count.times - times;
                self.put(key, Count { times, ..count }, now);
            }
            _ => self.forget(key),
        }
    }

    /// Nothing was counted for this key.
    pub(super) fn forget(&mut self, key: K) {
        self.counts.take(key);
    }

    /// What was counted, if its window goes on.
    fn current(&self, key: K, now: Instant) -> Option<Count> {
        let count = self.counts.get(key).copied();
        count.filter(|count| count.within(self.window, now) > 0)
    }

    fn put(&mut self, key: K, count: Count, now: Instant) {
        let window = self.window;
        self.counts
            .put(key, count, |count| count.within(window, now));
    }
}

impl Count {
    fn within(&self, window: Duration, now: Instant) -> u32 {
        if now.saturating_duration_since(self.since) < window {
            self.times
        } else {
            0
        }
    }
}

impl<K: Eq + Hash + Copy, V> Recent<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            newer: HashMap::new(),
            older: HashMap::new(),
        }
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.newer.get(&key).or_else(|| self.older.get(&key))
    }

    /// Keeps this for the key. `worth` tells what is worth to be kept when it has become old: a value of 0 or 1 never is.
    pub(super) fn put(&mut self, key: K, value: V, worth: impl Fn(&V) -> u32) {
        self.older.remove(&key);
        if self.newer.len() >= self.most && !self.newer.contains_key(&key) {
            let oldest = mem::replace(&mut self.older, mem::take(&mut self.newer));
            // Seldom: half as many keys at least have come since the last time.
            self.newer = worthiest(oldest, self.most / 2, worth);
        }
        self.newer.insert(key, value);
    }

    /// The key is not held any more.
    pub(super) fn take(&mut self, key: K) -> Option<V> {
        // It is in one of them at most.
        self.newer.remove(&key).or_else(|| self.older.remove(&key))
    }
}

/// So many at the most of those whose worth is greatest, by powers of two. Those of the last power that has not room for all are any
/// of them.
fn worthiest<K: Eq + Hash, V>(
    mut all: HashMap<K, V>,
    most: usize,
    worth: impl Fn(&V) -> u32,
) -> HashMap<K, V> {
    let power = |value: &V| worth(value).checked_ilog2().unwrap_or(0) as usize;
    let mut room = [0; u32::BITS as usize];
    for value in all.values() {
        room[power(value)] += 1;
    }
    // What counts once is what everybody has plenty of.
    room[0] = 0;
    let mut left = most;
    for room in room.iter_mut().rev() {
        *room = left.min(*room);
        left -= *room;
    }
    all.retain(|_, value| {
        let room = &mut room[power(value)];
        let has_room = *room > 0;
        *room -= usize::from(has_room);
        has_room
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_window_begins_with_the_first_and_ends() {
        let mut tally = Tally::new(MINUTE, 8);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(tally.count("a", at(0)), 1);
        assert_eq!(tally.count("a", at(59)), 2);
        assert_eq!(tally.count("b", at(59)), 1);
        assert_eq!((tally.times("a", at(59)), tally.times("a", at(60))), (2, 0));
        assert_eq!(tally.count("a", at(60)), 1);
        tally.begin_anew("b", at(100));
        assert_eq!(
            (tally.times("b", at(159)), tally.times("b", at(160))),
            (1, 0)
        );
        tally.begin_anew("a", at(60));
        tally.count("a", at(61));
        tally.take_back("a", 1, at(62));
        assert_eq!(
            (tally.times("a", at(119)), tally.times("a", at(120))),
            (1, 0)
        );
        tally.take_back("a", 5, at(62));
        assert_eq!(tally.times("a", at(62)), 0);
        tally.count("a", at(61));
        tally.forget("a");
        assert_eq!(tally.times("a", at(61)), 0);
    }

    #[test]
    fn millions_of_keys_cost_no_more_than_some() {
        let mut tally = Tally::new(MINUTE, 100);
        let now = Instant::now();
        for key in 0..1_000_000_u32 {
            tally.count(key, now);
            let counts = &tally.counts;
            assert!(counts.newer.len() <= 100 && counts.older.len() <= 100);
        }
        // What is seen again and again is kept.
        for key in 0..1000 {
            tally.count(key, now);
            tally.count(u32::MAX, now);
        }
        assert_eq!(tally.times(u32::MAX, now), 1000);
    }

    #[test]
    fn what_has_counted_more_often_outlives_many_keys_that_have_less() {
        let mut tally = Tally::new(MINUTE, 100);
        let start = Instant::now();
        let locked = 0..10;
        let count = |tally: &mut Tally<u32>, key| {
            tally.count(key, start);
        };
        for key in locked.clone() {
            (0..10).for_each(|_| count(&mut tally, key));
        }
        // Those that came once are forgotten first, then those that came a few times.
        let mut key = 1000;
        for times in [1, 3, 7] {
            for _ in 0..2000 {
                key += 1;
                (0..times).for_each(|_| count(&mut tally, key));
            }
            let kept = |key| tally.times(key, start) == 10;
            assert!(locked.clone().all(kept), "{times}");
            let counts = &tally.counts;
            assert!(counts.newer.len() <= 100 && counts.older.len() <= 100);
        }
        // Where all have come as often there is room for half, whichever.
        for _ in 0..2000 {
            key += 1;
            (0..8).for_each(|_| count(&mut tally, key));
        }
        let counts = &tally.counts;
        assert!(counts.newer.len() <= 100 && counts.older.len() <= 100);
        // What is over is worth nothing.
        let after = start + MINUTE;
        for _ in 0..400 {
            key += 1;
            tally.count(key, after);
        }
        let counts = tally
            .counts
            .newer
            .values()
            .chain(tally.counts.older.values());
        assert!(counts.into_iter().all(|count| count.since == after));
    }
}
