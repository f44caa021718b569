//! What nobody is to see, should the server say it back: in replies, in violations, or in any other words of its.

use super::Connection;
use crate::proto::Violation;
use crate::proto::reply::push_readable;
use crate::sasl::{Secret, base64};

impl Connection {
    /// From now on `***` stands in place of this secret wherever the server says it back, in one piece, in clear or in base64: in
    /// the text of replies, and with it in outcomes, violations and failures of AUTH. A secret of less than 4 octets is in any
    /// text by chance, and is not looked for. What the machine itself reads, as capabilities and challenges, is not changed.
    ///
    /// A driver tells passwords and tokens before the greeting, because a server may know them from a session before. What is said
    /// in an AUTH exchange the machine adds itself. The secret is kept with the machine, and overwritten with it.
    pub fn conceal(&mut self, secret: &Secret) {
        self.mask.add(secret.expose());
        // As LOGIN says it, should the server encode the line as it has heard it.
        self.mask.add(base64::encode(secret.expose()).expose());
    }

    /// A line from the wire, as people may see it: with `\xNN` for control characters and for what is not UTF-8, and without
    /// what is [concealed](Self::conceal).
    pub fn readable(&self, line: &[u8]) -> String {
        let mut text = String::with_capacity(line.len());
        push_readable(&mut text, line);
        self.hide(text)
    }

    /// The text without what is concealed.
    pub(crate) fn hide(&self, text: String) -> String {
        match self.mask.hide(&text) {
            std::borrow::Cow::Borrowed(_) => text,
            std::borrow::Cow::Owned(hidden) => hidden,
        }
    }

    /// The same for a line that is no reply.
    pub(super) fn hide_in(&self, violation: Violation) -> Violation {
        match violation {
            Violation::NotAReply(text) => Violation::NotAReply(self.hide(text)),
            other => other,
        }
    }
}
