//! Replies that wait to be sent. They are gathered here, so that a batch of pipelined commands is answered with one write
//! (RFC 2920 section 3.2).

use std::fmt;
use std::fmt::Write as _;

use crate::proto::{Reply, limits};

/// How much an outbox that never runs empty may keep of what was sent.
const KEPT: usize = 4096;

/// Memory that an empty outbox keeps: what a batch of usual replies takes. Thousands of them may be empty at a time.
const KEPT_EMPTY: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// Whether it has held a reply of several lines, for which it has grown. These come at the start of a session, and thousands of
    /// sessions may then wait: when all is sent, its memory goes.
    grown: bool,
}

impl Outbox {
    /// What is not sent yet.
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The first `n` octets of what was pending are sent.
    pub(super) fn sent(&mut self, n: usize) {
        self.sent = self.sent.saturating_add(n).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.clear();
        } else if self.sent >= KEPT {
            // Where each write leaves something, the outbox never runs empty.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        let kept = if self.grown { 0 } else { KEPT_EMPTY };
        self.bytes.shrink_to(kept);
        self.grown = false;
        self.sent = 0;
    }

    /// Whole lines of ours.
    pub(super) fn text(&mut self, wire: &str) {
        self.bytes.extend_from_slice(wire.as_bytes());
    }

    /// A reply, with its enhanced status code or without.
    pub(super) fn reply(&mut self, reply: &Reply, enhanced: bool) {
        reply.write_to(&mut self.bytes, enhanced);
    }

    /// `codes` (with the enhanced status code), and why.
    pub(super) fn explained(&mut self, codes: &str, why: impl fmt::Display) {
        self.text(codes);
        self.text(" ");
        self.clean(format_args!("{why}"));
        self.text("\r\n");
    }

    /// A 334 challenge (RFC 4954 section 4); an empty one keeps its space.
    pub(super) fn challenge(&mut self, base64: &[u8]) {
        self.text("334 ");
        self.bytes.extend_from_slice(base64);
        self.text("\r\n");
    }

    /// A reply of several lines.
    pub(super) fn lines(&mut self, code: u16) -> Lines<'_> {
        self.grown = true;
        Lines {
            outbox: self,
            code,
            separator: None,
        }
    }

    /// What is not printable ASCII becomes a question mark, and what is too long is cut (RFC 5321 section 4.5.3.1.5).
    fn clean(&mut self, text: fmt::Arguments<'_>) {
        let mut clean = Clean {
            out: &mut self.bytes,
            room: limits::REPLY_TEXT,
        };
        // Nothing in there fails, and a text that were cut short by an error would still be a text.
        let _ = clean.write_fmt(text);
    }
}

/// The lines of one reply, of which the last is marked when all are there.
pub(super) struct Lines<'a> {
    outbox: &'a mut Outbox,
    code: u16,
    /// Where the last line has its hyphen.
    separator: Option<usize>,
}

impl Lines<'_> {
    pub(super) fn line(&mut self, text: fmt::Arguments<'_>) {
        self.outbox.clean(format_args!("{}-", self.code));
        self.separator = Some(self.outbox.bytes.len() - 1);
        self.outbox.clean(text);
        self.outbox.text("\r\n");
    }

    /// RFC 5321 section 4.2.1: a space instead of the hyphen marks the last line.
    pub(super) fn end(self) {
        if let Some(separator) = self.separator {
            self.outbox.bytes[separator] = b' ';
        }
    }
}

struct Clean<'a> {
    out: &'a mut Vec<u8>,
    room: usize,
}

impl fmt::Write for Clean<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let printable = |b: u8| if (b' '..=b'~').contains(&b) { b } else { b'?' };
        let before = self.out.len();
        self.out.extend(text.bytes().take(self.room).map(printable));
        self.room -= self.out.len() - before;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_line_has_the_space() {
        let mut outbox = Outbox::default();
        let mut lines = outbox.lines(250);
        lines.line(format_args!("a"));
        lines.line(format_args!("SIZE {}", 5));
        lines.end();
        assert_eq!(outbox.pending(), b"250-a\r\n250 SIZE 5\r\n");
    }

    #[test]
    fn s015_s016_explanations_are_printable_and_short() {
        let mut outbox = Outbox::default();
        outbox.explained("501 5.5.4", format!("a\r\nb\x1b\u{e9}{}", "x".repeat(2000)));
        assert!(outbox.pending().starts_with(b"501 5.5.4 a??b???xx"));
        assert!(outbox.pending().len() <= 512);
    }

    #[test]
    fn a_partial_write_leaves_the_rest_and_an_empty_outbox_is_small() {
        let mut outbox = Outbox::default();
        outbox.text(&"x".repeat(10_000));
        outbox.sent(9_999);
        assert_eq!(outbox.pending(), b"x");
        outbox.sent(usize::MAX);
        assert!(outbox.pending().is_empty() && outbox.bytes.capacity() <= KEPT_EMPTY);
        assert!(outbox.bytes.capacity() > 0, "for the next reply");
        let mut lines = outbox.lines(250);
        lines.line(format_args!("a"));
        lines.end();
        outbox.sent(usize::MAX);
        assert_eq!(outbox.bytes.capacity(), 0);
    }

    #[test]
    fn an_outbox_that_never_runs_empty_does_not_grow() {
        let mut outbox = Outbox::default();
        let (mut queued, mut sent) = (0_u64, 0_u64);
        for number in 0..10_000 {
            outbox.text(&format!("{number:06}\n"));
            queued += 7;
            let part = outbox.pending().len() - 1 - number % 3;
            outbox.sent(part);
            sent += part as u64;
            assert_eq!(outbox.pending().len() as u64, queued - sent);
            assert!(outbox.pending().ends_with(b"\n"));
            assert!(outbox.bytes.len() < KEPT + 16, "{}", outbox.bytes.len());
        }
    }

    #[test]
    fn what_is_left_of_a_large_write_is_not_moved_before_a_page_was_sent() {
        let mut outbox = Outbox::default();
        outbox.text(&"x".repeat(2 * KEPT));
        outbox.sent(KEPT - 1);
        assert_eq!((outbox.sent, outbox.bytes.len()), (KEPT - 1, 2 * KEPT));
        outbox.sent(1);
        assert_eq!((outbox.sent, outbox.bytes.len()), (0, KEPT));
        assert_eq!(outbox.pending(), "x".repeat(KEPT).as_bytes());
    }
}
