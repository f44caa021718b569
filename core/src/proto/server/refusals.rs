//! What the machine refuses of mail by itself, counted for whoever wants to tell.

use super::chunks::Chunks;
use super::{Connection, replies};
use crate::proto::command::split_verb;

/// How much of mail a machine has refused without asking its application.
///
/// What is refused is told by the reply alone. A reply of 421 that ends the session is not counted here. Of a message that is refused
/// while it comes there is an event too, [`Event::Discarded`](super::Event::Discarded); it counts once it is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// MAIL commands whose SIZE is over the limit (552).
    pub declared_sizes_too_big: u32,
    /// Other MAIL commands: with a bad address or parameter, in the wrong place, or without the TLS or login that is asked for. One that
    /// is longer than a line may be is taken for no command, here and below.
    pub senders: u32,
    /// Recipients beyond those of a transaction, or with one domain too many for the session (452).
    pub recipients_too_many: u32,
    /// Other RCPT commands: with a bad address or parameter, in the wrong place, or without the TLS that is asked for.
    pub recipients: u32,
    /// DATA or a chunk that could not be carried out where there were recipients: DATA with an argument or for a message that is binary,
    /// or either in the wrong place. Each counts, and the message may come yet. A chunk does not whose size is none, or where none are
    /// offered: it ends the session.
    pub messages: u32,
    /// Messages that are over the limit as they come, or in their first chunk (552).
    pub messages_too_big: u32,
    /// Messages within the limit with a CR or LF alone (554).
    pub messages_with_bare_line_ends: u32,
}

impl Connection {
    /// What it has refused by itself since this was asked last. `None` if there is nothing.
    pub fn take_refusals(&mut self) -> Option<Refusals> {
        self.refusals.take().map(|refusals| *refusals)
    }

    /// Counts that the command of a line was refused, if it is one of mail.
    pub(super) fn count_refused_line(&mut self, line: &[u8]) {
        let (verb, _) = split_verb(line);
        if verb.eq_ignore_ascii_case(b"MAIL") {
            self.count_refusal(|refusals| &mut refusals.senders);
        } else if verb.eq_ignore_ascii_case(b"RCPT") {
            self.count_refusal(|refusals| &mut refusals.recipients);
        } else if verb.eq_ignore_ascii_case(b"DATA") {
            self.count_bad_message();
        }
    }

    /// Counts that a message is refused by this reply.
    pub(super) fn count_refused_message(&mut self, reply: &str) {
        match reply {
            replies::TOO_BIG => self.count_message(|refusals| &mut refusals.messages_too_big),
            replies::BARE_LINE_END => {
                self.count_message(|refusals| &mut refusals.messages_with_bare_line_ends);
            }
            _ => self.count_bad_message(),
        }
    }

    /// Counts that a command could not be carried out by which a message would come.
    fn count_bad_message(&mut self) {
        self.count_message(|refusals| &mut refusals.messages);
    }

    /// Counts one more, if there are recipients for whom a message could come, and no chunk of it was refused before.
    fn count_message(&mut self, of: impl FnOnce(&mut Refusals) -> &mut u32) {
        let could_come = self.transaction.as_ref().is_some_and(|transaction| {
            transaction.accepted > 0 && !matches!(transaction.chunks, Chunks::Failed)
        });
        if could_come {
            self.count_refusal(of);
        }
    }

    /// Counts one more, unless the session was ended instead.
    pub(super) fn count_refusal(&mut self, of: impl FnOnce(&mut Refusals) -> &mut u32) {
        if self.is_closing() {
            return;
        }
        let count = of(self.refusals.get_or_insert_default());
        *count = count.saturating_add(1);
    }
}
