//! What is on its way out: one buffer of commands, which forgets what was sent, and overwrites it if it was secret; and where in
//! between octets of messages go.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;

use zeroize::{Zeroize, Zeroizing};

use super::{Outgoing, TransactionId};

/// What a buffer that has run empty may keep for the commands to come, in octets.
const KEPT: usize = 4096;

/// What is to be sent: commands in one piece, so that a group of them goes out in one write, and among them the places of message
/// octets, which the driver has.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Zeroizing<Vec<u8>>,
    /// Octets at the start of `bytes` that were sent.
    sent: usize,
    /// Where octets of messages stand among `bytes`, in order.
    bodies: VecDeque<Body>,
    /// All octets that were ever sent, those of messages counted.
    sent_in_all: u64,
    /// All octets that were ever queued.
    end: u64,
    /// If `bytes` holds a line of AUTH: how many octets at its start anybody may see.
    secret: Option<usize>,
}

/// Octets of a message that are to be sent and were not.
#[derive(Debug, Clone, Copy)]
struct Body {
    /// The index in `bytes` that they stand before.
    at: usize,
    id: TransactionId,
    offset: u64,
    octets: u64,
}

impl Outbox {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.reclaim();
        self.bytes.extend_from_slice(bytes);
        self.end += bytes.len() as u64;
    }

    /// Queues what is formatted, without a copy in between.
    pub(super) fn print(&mut self, text: fmt::Arguments<'_>) {
        self.reclaim();
        let before = self.bytes.len();
        // Writing to a vector cannot fail, and the types that are printed here do not fail of themselves.
        let _ = self.bytes.write_fmt(text);
        self.end += (self.bytes.len() - before) as u64;
    }

    /// Queues a line of AUTH: what anybody may read, then what nobody else may, and CRLF. Nothing else is in the buffer then, as
    /// AUTH is never part of a group; the room is taken first because a vector that grows leaves a copy behind.
    pub(super) fn push_secret(&mut self, shown: &[&[u8]], hidden: &[u8]) {
        let shown_octets: usize = shown.iter().map(|part| part.len()).sum();
        self.secret = Some(shown_octets);
        self.bytes.reserve_exact(shown_octets + hidden.len() + 2);
        for part in shown.iter().chain([&hidden, &&b"\r\n"[..]]) {
            self.push(part);
        }
    }

    /// Queues `octets` octets of the message of `id`, `offset` of which go out before.
    pub(super) fn push_body(&mut self, id: TransactionId, offset: u64, octets: u64) {
        if octets > 0 {
            self.bodies.push_back(Body {
                at: self.bytes.len(),
                id,
                offset,
                octets,
            });
            self.end = self.end.saturating_add(octets);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len() && self.bodies.is_empty()
    }

    /// All that is to be sent, in order.
    pub(super) fn outgoing(&self) -> impl Iterator<Item = Outgoing<'_>> {
        let mut from = self.sent;
        let runs = self.bodies.iter().flat_map(move |body| {
            let commands = &self.bytes[from..body.at];
            from = body.at;
            let body = Outgoing::Body {
                id: body.id,
                offset: body.offset,
                octets: body.octets,
            };
            [Outgoing::Commands(commands), body]
        });
        let last = self.bodies.back().map_or(self.sent, |body| body.at);
        runs.chain([Outgoing::Commands(&self.bytes[last..])])
            .filter(|outgoing| !matches!(outgoing, Outgoing::Commands([])))
            .map(|outgoing| match (outgoing, self.secret) {
                (Outgoing::Commands(line), Some(shown)) => Outgoing::Secret {
                    line,
                    shown: shown.saturating_sub(self.sent),
                },
                (outgoing, _) => outgoing,
            })
    }

    /// The commands up to the first octet of a message.
    pub(super) fn pending(&self) -> &[u8] {
        let end = self.bodies.front().map_or(self.bytes.len(), |body| body.at);
        &self.bytes[self.sent..end]
    }

    /// Takes note that the first `n` octets to be sent were sent.
    pub(super) fn sent(&mut self, n: usize) {
        let mut left = n;
        loop {
            let commands = left.min(self.pending().len());
            self.sent += commands;
            self.sent_in_all += commands as u64;
            left -= commands;
            let Some(body) = self.bodies.front_mut().filter(|_| left > 0) else {
                break;
            };
            let octets = usize::try_from(body.octets).map_or(left, |octets| octets.min(left));
            body.offset += octets as u64;
            body.octets -= octets as u64;
            self.sent_in_all += octets as u64;
            left -= octets;
            if body.octets == 0 {
                self.bodies.pop_front();
            }
        }
        if self.is_empty() {
            self.wipe();
        }
    }

    /// Forgets everything, sent or not.
    pub(super) fn wipe(&mut self) {
        self.end = self.sent_in_all;
        self.sent = 0;
        self.bodies.clear();
        if self.secret.take().is_some() {
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
        self.sent_in_all
    }

    /// All octets that were ever queued.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Makes room where flight follows flight and the buffer never runs empty.
    fn reclaim(&mut self) {
        if self.sent >= KEPT {
            self.bytes.drain(..self.sent);
            for body in &mut self.bodies {
                body.at -= self.sent;
            }
            self.sent = 0;
        }
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
        assert_eq!(outbox.outgoing().count(), 0);
        assert_eq!((outbox.sent_in_all(), outbox.end()), (12, 12));
    }

    #[test]
    fn a_secret_is_forgotten_once_all_of_it_was_sent() {
        let mut outbox = Outbox::default();
        outbox.push_secret(&[b"AUTH ", b"PLAIN "], b"aHVudGVyMg==");
        let len = outbox.pending().len();
        let line = b"AUTH PLAIN aHVudGVyMg==\r\n";
        for sent in 0..len - 1 {
            let (line, shown) = (&line[sent..], 11_usize.saturating_sub(sent));
            let outgoing: Vec<_> = outbox.outgoing().collect();
            assert_eq!(outgoing, [Outgoing::Secret { line, shown }]);
            outbox.sent(1);
        }
        assert!(outbox.secret.is_some() && !outbox.pending().is_empty());
        assert_eq!(format!("{outbox:?}"), "Outbox(1 octets)");
        outbox.sent(1);
        assert!(outbox.secret.is_none() && outbox.bytes.is_empty());
        assert_eq!(outbox.sent_in_all(), len as u64);
    }

    #[test]
    fn a_large_group_does_not_stay_in_memory() {
        let mut outbox = Outbox::default();
        outbox.push(&vec![b'x'; 100 * KEPT]);
        outbox.sent(100 * KEPT);
        assert!(outbox.bytes.capacity() <= KEPT);
    }

    /// What is to be sent, as text: message octets as `<number+octets@offset>`.
    fn shown(outbox: &Outbox) -> String {
        outbox
            .outgoing()
            .map(|outgoing| match outgoing {
                Outgoing::Commands(bytes) | Outgoing::Secret { line: bytes, .. } => {
                    String::from_utf8(bytes.to_vec()).unwrap()
                }
                Outgoing::Body { id, offset, octets } => {
                    format!("<{}+{octets}@{offset}>", id.number())
                }
            })
            .collect()
    }

    fn two_flights() -> Outbox {
        let mut outbox = Outbox::default();
        outbox.push(b"BDAT 5 LAST\r\n");
        outbox.push_body(TransactionId(0), 0, 5);
        outbox.push(b"RSET\r\n");
        outbox.push_body(TransactionId(1), 7, 2);
        outbox.push_body(TransactionId(1), 9, 0);
        outbox
    }

    #[test]
    fn octets_of_messages_stand_in_their_places_among_the_commands() {
        let mut outbox = two_flights();
        assert_eq!(shown(&outbox), "BDAT 5 LAST\r\n<0+5@0>RSET\r\n<1+2@7>");
        assert_eq!(outbox.pending(), b"BDAT 5 LAST\r\n");
        assert_eq!(outbox.end(), 13 + 5 + 6 + 2);
        outbox.sent(15);
        assert_eq!(shown(&outbox), "<0+3@2>RSET\r\n<1+2@7>");
        assert_eq!(outbox.pending(), b"");
        outbox.sent(3 + 6 + 1);
        assert_eq!(shown(&outbox), "<1+1@8>");
        assert!(!outbox.is_empty());
        outbox.push(b"QUIT\r\n");
        outbox.sent(2);
        assert_eq!(shown(&outbox), "UIT\r\n");
        outbox.sent(5);
        assert!(outbox.is_empty());
        assert_eq!((outbox.sent_in_all(), outbox.end()), (32, 32));
    }

    #[test]
    fn octet_by_octet_is_the_same_as_all_at_once() {
        let (mut slow, mut fast) = (two_flights(), two_flights());
        for _ in 0..26 {
            assert!(!slow.is_empty());
            slow.sent(1);
        }
        fast.sent(26);
        assert!(slow.is_empty() && fast.is_empty());
        assert_eq!(slow.sent_in_all(), fast.sent_in_all());
    }

    #[test]
    fn a_large_group_that_was_sent_goes_though_the_buffer_never_runs_empty() {
        let mut outbox = Outbox::default();
        for _ in 0..100 {
            outbox.push(&[b'x'; 2 * KEPT]);
            // Leaves one octet, and takes the one that was left before.
            outbox.sent(outbox.pending().len() - 1);
            assert!(outbox.bytes.len() <= 2 * KEPT + 1, "{}", outbox.bytes.len());
        }
    }

    #[test]
    fn a_buffer_that_never_runs_empty_does_not_grow() {
        let mut outbox = Outbox::default();
        outbox.push(b"x");
        for _ in 0..1000 {
            outbox.push(b"MAIL FROM:<a@example.org>\r\n");
            outbox.push_body(TransactionId(0), 0, 3);
            outbox.push(b"x");
            // What goes away leaves the rest in its place.
            assert_eq!(shown(&outbox), "xMAIL FROM:<a@example.org>\r\n<0+3@0>x");
            outbox.sent(31);
            assert!(outbox.bytes.len() <= 2 * KEPT);
        }
    }
}
