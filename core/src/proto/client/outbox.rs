//! Commands on their way out: one buffer, which forgets what was sent, and overwrites it if it was secret.

use std::fmt;
use std::io::{IoSlice, Write};

use zeroize::{Zeroize, Zeroizing};

/// What a buffer that has run empty may keep for the commands to come, in octets.
const KEPT: usize = 4096;

/// What is to be sent, in one piece, so that a group of commands goes out in one write.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Zeroizing<Vec<u8>>,
    /// Octets at the start of `bytes` that were sent.
    sent: usize,
    /// Octets sent before those in `bytes`.
    before: u64,
    /// Whether `bytes` holds a line of AUTH.
    secret: bool,
}

impl Outbox {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Queues what is formatted, without a copy in between.
    pub(super) fn print(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a vector cannot fail, and the types that are printed here do not fail of themselves.
        let _ = self.bytes.write_fmt(text);
    }

    /// Queues a line that nobody else may read. Nothing else is in the buffer then, as AUTH is never part of a group; the
    /// room is taken first because a vector that grows leaves a copy behind.
    pub(super) fn push_secret(&mut self, parts: &[&[u8]]) {
        self.secret = true;
        self.bytes
            .reserve_exact(parts.iter().map(|part| part.len()).sum());
        for part in parts {
            self.push(part);
        }
    }

    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    pub(super) fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        Some(self.pending())
            .filter(|pending| !pending.is_empty())
            .map(IoSlice::new)
            .into_iter()
    }

    /// Takes note that the first `n` pending octets were sent.
    pub(super) fn sent(&mut self, n: usize) {
        self.sent = self.bytes.len().min(self.sent.saturating_add(n));
        if self.sent == self.bytes.len() {
            self.wipe();
        }
    }

    /// Forgets everything, sent or not.
    pub(super) fn wipe(&mut self) {
        self.before += self.sent as u64;
        self.sent = 0;
        if std::mem::take(&mut self.secret) {
            self.bytes.zeroize();
        } else {
            self.bytes.clear();
        }
        if self.bytes.capacity() > KEPT {
            self.bytes.shrink_to(KEPT);
        }
    }

    /// All octets that were ever sent.
    pub(super) fn sent_in_all(&self) -> u64 {
        self.before + self.sent as u64
    }

    /// All octets that were ever queued.
    pub(super) fn end(&self) -> u64 {
        self.before + self.bytes.len() as u64
    }
}

impl fmt::Debug for Outbox {
    /// Says how much there is and not what, for it may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({} octets)", self.pending().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_writes_are_counted_and_the_rest_is_kept() {
        let mut outbox = Outbox::default();
        outbox.push(b"NOOP\r\n");
        outbox.sent(2);
        outbox.push(b"QUIT\r\n");
        assert_eq!(outbox.pending(), b"OP\r\nQUIT\r\n");
        assert_eq!((outbox.sent_in_all(), outbox.end()), (2, 12));
        outbox.sent(usize::MAX);
        assert_eq!(outbox.slices().count(), 0);
        assert_eq!((outbox.sent_in_all(), outbox.end()), (12, 12));
    }

    #[test]
    fn a_secret_is_forgotten_once_all_of_it_was_sent() {
        let mut outbox = Outbox::default();
        outbox.push_secret(&[b"AUTH PLAIN ", b"aHVudGVyMg==", b"\r\n"]);
        let len = outbox.pending().len();
        outbox.sent(len - 1);
        assert!(outbox.secret && !outbox.pending().is_empty());
        assert!(!format!("{outbox:?}").contains("aHVu"));
        outbox.sent(1);
        assert!(!outbox.secret && outbox.bytes.is_empty());
        assert_eq!(outbox.sent_in_all(), len as u64);
    }

    #[test]
    fn a_large_group_does_not_stay_in_memory() {
        let mut outbox = Outbox::default();
        outbox.push(&vec![b'x'; 100 * KEPT]);
        outbox.sent(100 * KEPT);
        assert!(outbox.bytes.capacity() <= KEPT);
    }
}
