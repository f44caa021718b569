//! Texts that no other message has: for Message-ID, for boundaries, for messages that came, and for the names of their files.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// 32 hexadecimal digits.
///
/// Time, a counter and the process's number tell apart what is made on one host, also after a fork. They are hashed by
/// `SipHash` under keys that the standard library takes from the system's randomness, once for each thread, so hosts differ too, and
/// the text tells nobody the time, the process or how many mails were sent. It is no secret and is not used as one.
pub(crate) fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    // The keys of a `RandomState` differ by one from those of the thread's last, so the two hashes do: two halves, 128 bits.
    let half = || RandomState::new().hash_one((time, count, process::id()));
    format!("{:016x}{:016x}", half(), half())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::thread;

    #[test]
    fn no_two_are_equal_over_threads() {
        let threads: Vec<_> = (0..4)
            .map(|_| thread::spawn(|| (0..5000).map(|_| unique()).collect::<Vec<_>>()))
            .collect();
        let all: HashSet<String> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(all.len(), 20_000);
        assert!(all.iter().all(|text| text.len() == 32));
    }
}
