//! What became of a message, recipient by recipient. The words and numbers are the same in every language.

mod queue_id;

use std::fmt;
use std::sync::Arc;

use crate::error::Phase;
use crate::proto::{ForwardPath, Reply, TlsInfo};

/// What became of a message, or of it for one recipient. The numbers are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Delivery {
    /// It was not tried, or ended before a reply decided it. Sending again is safe.
    NotTried = 0,
    /// The server has taken responsibility for it (RFC 5321 section 4.2.5).
    Accepted = 1,
    /// The server said 5yz, or cannot be told of the recipient at all, and then there is no reply: sending the same again will
    /// fail again.
    Refused = 2,
    /// The server said 4yz: sending again later is safe.
    Deferred = 3,
    /// The end mark left us and no reply came: it may or may not have been accepted. Sending again may duplicate it.
    Unknown = 4,
    /// Of a message: its recipients have different results, and none is unknown.
    Partial = 5,
}

impl Delivery {
    /// The stable number.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// What a person would call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotTried => "not tried",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
            Self::Unknown => "unknown",
            Self::Partial => "partial",
        }
    }

    /// The result that a final reply to a command or to the end of data stands for.
    pub fn from_reply(reply: &Reply) -> Self {
        match reply.code() / 100 {
            2 => Self::Accepted,
            4 => Self::Deferred,
            _ => Self::Refused,
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What became of a message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientOutcome {
    recipient: ForwardPath,
    delivery: Delivery,
    reply: Option<Reply>,
    phase: Option<Phase>,
}

impl RecipientOutcome {
    /// A result for `recipient`; `reply` is what decided it, in `phase`.
    pub fn new(
        recipient: ForwardPath,
        delivery: Delivery,
        reply: Option<Reply>,
        phase: Option<Phase>,
    ) -> Self {
        Self {
            recipient,
            delivery,
            reply,
            phase,
        }
    }

    /// The recipient, as it was given.
    pub fn recipient(&self) -> &ForwardPath {
        &self.recipient
    }

    /// The result. Never [`Delivery::Partial`].
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// The reply that decided the result.
    pub fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    /// The phase in which the result was decided.
    pub fn phase(&self) -> Option<Phase> {
        self.phase
    }
}

/// What became of one message: kept on success and on failure alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    recipients: Vec<RecipientOutcome>,
    reply: Option<Reply>,
    tls: Option<Arc<TlsInfo>>,
}

impl Outcome {
    /// The results in the order of the envelope, and the last reply that was about the message as a whole.
    pub fn new(recipients: Vec<RecipientOutcome>, reply: Option<Reply>) -> Self {
        Self {
            recipients,
            reply,
            tls: None,
        }
    }

    /// The same, with the state of TLS on the connection that it happened on.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<Arc<TlsInfo>>) -> Self {
        self.tls = tls;
        self
    }

    /// The result of each recipient, in the order of the envelope.
    pub fn recipients(&self) -> &[RecipientOutcome] {
        &self.recipients
    }

    /// The reply to the end of data, or else the one that ended the transaction. With LMTP, the last of them.
    pub fn reply(&self) -> Option<&Reply> {
        self.reply.as_ref()
    }

    /// What is known about TLS on the connection: `None` in clear, and where a machine alone made the outcome.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// The result of the message: what all recipients have in common; unknown wins over partial.
    pub fn delivery(&self) -> Delivery {
        let mut all = self.recipients.iter().map(RecipientOutcome::delivery);
        let Some(first) = all.next() else {
            return Delivery::NotTried;
        };
        all.fold(first, |so_far, next| {
            if so_far == next {
                so_far
            } else if so_far == Delivery::Unknown || next == Delivery::Unknown {
                Delivery::Unknown
            } else {
                Delivery::Partial
            }
        })
    }

    /// The recipients to whom sending again cannot make a second copy and may succeed: deferred and not tried.
    pub fn safe_to_retry(&self) -> impl Iterator<Item = &RecipientOutcome> {
        self.recipients
            .iter()
            .filter(|r| matches!(r.delivery, Delivery::Deferred | Delivery::NotTried))
    }

    /// The queue id in the final reply of the servers that tell it in a form that is known: Postfix, Exim, sendmail, OpenSMTPD, qmail,
    /// Exchange, Haraka, Dovecot's LMTP, Google, Amazon SES, and all that say `queued as X` as Postfix does. qmail's is the number
    /// behind `qp`, Exchange's its `InternalId`.
    pub fn queue_id(&self) -> Option<&str> {
        queue_id::queue_id(self.reply.as_ref().filter(|r| r.is_positive())?.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(deliveries: &[Delivery]) -> Outcome {
        let recipients = deliveries
            .iter()
            .map(|&d| RecipientOutcome::new("a@example.org".parse().unwrap(), d, None, None))
            .collect();
        Outcome::new(recipients, None)
    }

    #[test]
    fn a_message_is_what_its_recipients_share_and_unknown_wins_over_partial() {
        use Delivery::{Accepted, Deferred, NotTried, Partial, Refused, Unknown};
        assert_eq!(outcome(&[]).delivery(), NotTried);
        assert_eq!(outcome(&[Refused, Refused]).delivery(), Refused);
        assert_eq!(outcome(&[Accepted, Refused]).delivery(), Partial);
        assert_eq!(outcome(&[Accepted, Refused, Unknown]).delivery(), Unknown);
        assert_eq!(outcome(&[Unknown, Deferred, Accepted]).delivery(), Unknown);
    }

    #[test]
    fn only_what_cannot_duplicate_is_safe_to_retry() {
        use Delivery::{Accepted, Deferred, NotTried, Refused, Unknown};
        let outcome = outcome(&[Accepted, Refused, Deferred, Unknown, NotTried]);
        let again: Vec<_> = outcome
            .safe_to_retry()
            .map(RecipientOutcome::delivery)
            .collect();
        assert_eq!(again, [Deferred, NotTried]);
    }

    #[test]
    fn the_queue_id_is_in_what_was_accepted() {
        for (code, id) in [(250, Some("4ABCD12")), (451, None)] {
            let reply = Reply::new(code, "Ok: queued as 4ABCD12").unwrap();
            assert_eq!(Outcome::new(Vec::new(), Some(reply)).queue_id(), id);
        }
    }
}
