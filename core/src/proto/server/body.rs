//! The message behind DATA: handed on as it comes, measured, and refused at its end where it must be.

use super::connection::{Owed, State, Step};
use super::{Closing, Connection, Event, replies};
use crate::proto::Need;
use crate::proto::data::{Decoded, Decoder};

/// A message of this many times the limit is not read to its end.
const FAR_TOO_BIG: u64 = 16;

/// Up to here any message is read to its end, however small the limit.
const ALWAYS_READ: u64 = 1024 * 1024;

/// A message that is being received.
#[derive(Debug)]
pub(super) struct Body {
    decoder: Decoder,
    /// The application was told that the message is refused.
    discarded: bool,
}

impl Connection {
    /// Behind a 354.
    pub(super) fn begin_body(&mut self) {
        self.normaliser = self.config.normaliser(false);
        self.state = State::Body(Body {
            decoder: Decoder::new(),
            discarded: false,
        });
    }

    pub(super) fn body<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let State::Body(body) = &mut self.state else {
            return Step::Continue(0);
        };
        let decoded = body.decoder.decode(input);
        let (size, bare) = (body.decoder.len(), body.decoder.bare_line_end());
        let bare = bare && self.normaliser.is_none();
        let told = body.discarded;
        let limit = self.config.size_limit;
        let too_big = limit.is_some_and(|limit| size > limit);
        body.discarded |= too_big || bare;
        let refused = body.discarded;
        let far_too_big = self.is_far_too_big(size);
        match decoded {
            Decoded::More { used } => Step::Need(used, Need::More),
            Decoded::Piece { used, data } if !refused => Step::Event(used, Event::Body(data)),
            Decoded::Piece { used, .. } if !told => Step::Event(used, Event::Discarded),
            Decoded::Piece { used, .. } => {
                if far_too_big {
                    // Reading on would only cost time: the reply says why, and the connection ends.
                    self.refuse_message(replies::TOO_BIG);
                    self.close(Closing::Limit);
                }
                Step::Continue(used)
            }
            Decoded::End { used } if !refused => {
                self.state = State::Command;
                self.owed = Owed::EndOfData {
                    answers: self.answers(),
                };
                Step::Event(used, Event::EndOfData { size })
            }
            Decoded::End { used } => {
                self.state = State::Command;
                // By what is known at the end, so that the verdict does not depend on how the bytes were cut.
                self.refuse_message(if too_big {
                    replies::TOO_BIG
                } else {
                    replies::BARE_LINE_END
                });
                self.transaction = None;
                if far_too_big {
                    self.close(Closing::Limit);
                }
                self.say_farewell();
                if told {
                    Step::Continue(used)
                } else {
                    Step::Event(used, Event::Discarded)
                }
            }
        }
    }

    /// Replies that the end of data gets: one, or with LMTP one for each accepted recipient (RFC 2033 section 4.2).
    pub(super) fn answers(&self) -> usize {
        match &self.transaction {
            Some(transaction) if self.is_lmtp() => transaction.accepted,
            _ => 1,
        }
    }

    /// Says and counts that the message is refused.
    pub(super) fn refuse_message(&mut self, reply: &str) {
        self.count_refused_message(reply);
        for _ in 0..self.answers() {
            self.outbox.text(reply);
        }
    }

    /// Whether a message of `size` octets is over the limit.
    pub(super) fn is_too_big(&self, size: u64) -> bool {
        self.config.size_limit.is_some_and(|limit| size > limit)
    }

    /// Whether it is so much over the limit that the rest of it is not worth reading.
    pub(super) fn is_far_too_big(&self, size: u64) -> bool {
        let far = |limit: u64| limit.saturating_mul(FAR_TOO_BIG).max(ALWAYS_READ);
        self.config
            .size_limit
            .is_some_and(|limit| size > far(limit))
    }
}
