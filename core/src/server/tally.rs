//! How often something has happened lately, by key, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
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
/// many there are.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    most: usize,
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    times: u32,
    since: Instant,
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
        let times = self.times(key, now);
        let since = match self.get(key) {
            Some(count) if times > 0 => count.since,
            _ => now,
        };
        let times = times.saturating_add(1);
        self.put(key, Count { times, since });
        times
    }

    /// How often it was within the window.
    pub(super) fn times(&self, key: K, now: Instant) -> u32 {
        self.get(key)
            .filter(|count| now.saturating_duration_since(count.since) < self.window)
            .map_or(0, |count| count.times)
    }

    /// The window of this key begins now, with what was counted.
    pub(super) fn begin_anew(&mut self, key: K, now: Instant) {
        let times = self.times(key, now);
        self.put(key, Count { times, since: now });
    }

    /// So many of those that were counted count no more.
    pub(super) fn take_back(&mut self, key: K, times: u32, now: Instant) {
        let left = self.times(key, now).saturating_sub(times);
        match self.get(key) {
            Some(count) if left > 0 => self.put(
                key,
                Count {
                    times: left,
                    ..count
                },
            ),
            _ => self.forget(key),
        }
    }

    /// Nothing was counted for this key.
    pub(super) fn forget(&mut self, key: K) {
        self.counts.take(key);
    }

    fn get(&self, key: K) -> Option<Count> {
        self.counts.get(key).copied()
    }

    fn put(&mut self, key: K, count: Count) {
        self.counts.put(key, count);
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

    pub(super) fn put(&mut self, key: K, value: V) {
        self.older.remove(&key);
        if self.newer.len() >= self.most && !self.newer.contains_key(&key) {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, value);
    }

    /// The key is not held any more.
    pub(super) fn take(&mut self, key: K) -> Option<V> {
        // It is in one of them at most.
        self.newer.remove(&key).or_else(|| self.older.remove(&key))
    }
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
}
