//! What `tracing` is told of messages, and of connections that the pool replaces. Without the feature nothing is.

use crate::error::Error;
use crate::outcome::Outcome;
use crate::proto::client::TransactionId;

/// The spans of messages that are under way. They are never entered, as several messages are on their way at a time: what is told of
/// one names its span.
#[derive(Debug, Default)]
pub(super) struct Messages {
    #[cfg(feature = "tracing")]
    open: Vec<(TransactionId, tracing::Span)>,
}

#[cfg(not(feature = "tracing"))]
#[allow(clippy::unused_self, reason = "with the feature it is used")]
impl Messages {
    pub(super) fn begin(&mut self, _id: TransactionId, _session: Option<u64>, _recipients: usize) {}

    pub(super) fn end(&mut self, _id: TransactionId, _result: &Result<Outcome, Error>) {}
}

/// A kept connection was dead, or full, and another takes its place.
#[cfg(not(feature = "tracing"))]
pub(super) fn replaced(_error: &Error) {}

#[cfg(feature = "tracing")]
mod told {
    use tracing::field::Empty;
    use tracing::{debug, info, info_span};

    use super::{Error, Messages, Outcome, TransactionId};
    use crate::error::visible;
    use crate::outcome::Delivery;

    impl Messages {
        /// A message was begun, on a connection with this number.
        pub(in crate::client) fn begin(
            &mut self,
            id: TransactionId,
            session: Option<u64>,
            recipients: usize,
        ) {
            let span = info_span!(
                target: "mailwire",
                "message",
                session,
                recipients,
                delivery = Empty,
                queue_id = Empty,
            );
            if !span.is_disabled() {
                self.open.push((id, span));
            }
        }

        /// It has its result.
        pub(in crate::client) fn end(
            &mut self,
            id: TransactionId,
            result: &Result<Outcome, Error>,
        ) {
            let Some(at) = self.open.iter().position(|(other, _)| *other == id) else {
                return;
            };
            let (_, span) = self.open.swap_remove(at);
            let outcome = result.as_ref().map_or_else(Error::outcome, Some);
            for recipient in outcome.iter().flat_map(|outcome| outcome.recipients()) {
                if recipient.delivery() != Delivery::Accepted {
                    let (to, word) = (recipient.recipient(), recipient.delivery().name());
                    let reply = recipient.reply().map(|reply| visible(reply.to_string()));
                    let reply = reply.unwrap_or_default();
                    debug!(target: "mailwire", parent: &span, %to, delivery = word, reply, "a recipient");
                }
            }
            let delivery = outcome.map_or(Delivery::NotTried, Outcome::delivery);
            span.record("delivery", delivery.name());
            if let Some(queue_id) = outcome.and_then(Outcome::queue_id) {
                span.record("queue_id", queue_id);
            }
            match result {
                Ok(_) => info!(target: "mailwire", parent: &span, "sent"),
                Err(error) => {
                    let (status, text) = (error.status().number(), error.message());
                    info!(target: "mailwire", parent: &span, status, "not sent: {text}");
                }
            }
        }
    }

    pub(in crate::client) fn replaced(error: &Error) {
        let (peer, text) = (error.peer(), error.message());
        debug!(target: "mailwire", peer, "a kept connection is replaced: {text}");
    }
}

#[cfg(feature = "tracing")]
pub(super) use told::replaced;
