//! Names of files that no other message has. Nothing in them comes from a peer.

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::BuildHasher;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A name after the rules for Maildirs: the time in seconds, what tells apart the deliveries of a host (microseconds, process, the
/// how manieth of the process, random bits), and the host, with dots between.
pub(super) fn unique(host: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    // The standard library takes the keys from the system's randomness: two processes of one number in two containers differ.
    let random = RandomState::new().hash_one((now, count));
    format!(
        "{}.M{}P{}Q{count}R{random:016x}.{host}",
        now.as_secs(),
        now.subsec_micros(),
        process::id(),
    )
}

/// Whether it has the form of a name by [`unique`], of this host or another.
pub(super) fn is_unique(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let parts = || {
        let (seconds, rest) = name.split_once(".M")?;
        let (micros, rest) = rest.split_once('P')?;
        let (process, rest) = rest.split_once('Q')?;
        let (count, rest) = rest.split_once('R')?;
        let (random, host) = rest.split_once('.')?;
        let numbers = [seconds, micros, process, count].into_iter().all(digits);
        let is_random = random.len() == 16 && random.bytes().all(|octet| octet.is_ascii_hexdigit());
        Some(numbers && is_random && !host.is_empty())
    };
    parts().unwrap_or(false)
}

/// The machine's name as it may stand in a file's name: what would be a folder or begin the flags of a Maildir is written by number.
pub(super) fn host() -> String {
    let uname = rustix::system::uname();
    safe(&uname.nodename().to_string_lossy())
}

fn safe(name: &str) -> String {
    let mut host = String::new();
    for letter in name.chars().take(64) {
        if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_') {
            host.push(letter);
        } else if letter.is_ascii() {
            // Writing to a string cannot fail.
            let _ = write!(host, "\\{:03o}", u32::from(letter));
        }
    }
    if host.is_empty() {
        host.push_str("localhost");
    }
    host
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn no_two_are_equal_over_threads() {
        let threads: Vec<_> = (0..4)
            .map(|_| thread::spawn(|| (0..5000).map(|_| unique("h")).collect::<Vec<_>>()))
            .collect();
        let all: HashSet<String> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        assert_eq!(all.len(), 20_000);
        let name = all.iter().next().unwrap();
        assert_eq!(name.split('.').count(), 3, "{name}");
        assert!(all.iter().all(|name| is_unique(name)), "{name}");
    }

    #[test]
    fn the_names_of_others_are_not_taken_for_ours() {
        assert!(is_unique("1.M2P3Q4R0123456789abcdef.h.example"));
        for name in [
            "",
            "1.M2P3Q4R0123456789abcdef",
            "1.M2P3Q4R0123456789abcdef.",
            "1.M2P3Q4R0123456789abcde.h",
            "1.M2P3Q4R0123456789abcdeg.h",
            "1.M2P3Q4.h",
            "1.M2P3QR0123456789abcdef.h",
            ".M2P3Q4R0123456789abcdef.h",
            "x1.M2P3Q4R0123456789abcdef.h",
        ] {
            assert!(!is_unique(name), "{name}");
        }
    }

    #[test]
    fn a_host_leads_to_no_other_folder_and_has_no_flags() {
        assert_eq!(safe("a/b:c"), "a\\057b\\072c");
        assert_eq!(safe(""), "localhost");
        assert_eq!(safe("mx-1.example.org"), "mx-1.example.org");
        assert!(safe(&"x".repeat(300)).len() <= 64);
        assert!(!host().contains(['/', ':', '\0']));
    }
}
