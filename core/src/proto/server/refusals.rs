//! What the machine refuses of mail by itself, counted for whoever wants to tell.

use super::Connection;

/// How much of mail a machine has refused without asking its application.
///
/// What is refused is told by the reply alone. A reply of 421 that ends the session is not counted here. Of a message that is refused
/// while it comes there is an event too, [`Event::Discarded`](super::Event::Discarded); it counts once it is answered, or
/// where a chunk that is too big is announced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusals {
    /// MAIL commands whose SIZE is over the limit (552).
    pub declared_sizes_too_big: u32,
    /// Other MAIL commands: with a bad address or parameter, in the wrong place, or without the TLS or login that is asked for.
    pub senders: u32,
    /// Recipients beyond those of a transaction, or with one domain too many for the session (452).
    pub recipients_too_many: u32,
    /// Other RCPT commands: with a bad address or parameter, in the wrong place, or without the TLS that is asked for.
    pub recipients: u32,
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

    /// Counts one more, unless the session was ended instead.
    pub(super) fn count_refusal(&mut self, of: impl FnOnce(&mut Refusals) -> &mut u32) {
        if self.is_closing() {
            return;
        }
        let count = of(self.refusals.get_or_insert_default());
        *count = count.saturating_add(1);
    }
}
