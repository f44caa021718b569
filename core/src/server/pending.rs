//! How often something is under way, by key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// Counts by key what has begun and not ended. It holds no other keys, so that there are never more than that.
#[derive(Debug)]
pub(super) struct Pending<K>(HashMap<K, u32>);

impl<K: Eq + Hash> Pending<K> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// How often it is under way; of no key, never.
    pub(super) fn times(&self, key: Option<K>) -> u32 {
        key.and_then(|key| self.0.get(&key)).copied().unwrap_or(0)
    }

    pub(super) fn begin(&mut self, key: Option<K>) {
        if let Some(key) = key {
            *self.0.entry(key).or_default() += 1;
        }
    }

    pub(super) fn end(&mut self, key: Option<K>) {
        if let Some(Entry::Occupied(mut pending)) = key.map(|key| self.0.entry(key)) {
            *pending.get_mut() -= 1;
            if *pending.get() == 0 {
                pending.remove();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
