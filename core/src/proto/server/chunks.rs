//! BDAT (RFC 3030): a message in chunks.
//!
//! A chunk's octets are consumed whatever becomes of it, so that the next command is found behind them. A refused chunk is
//! answered once they have passed, with one reply, and the transaction stays open and takes no more of the message until RSET. The
//! last chunk of a message that was not refused before ends the transaction, whatever its reply; with LMTP that is one for each
//! accepted recipient (RFC 2033 section 4.2), as it is for the end of data.

use super::connection::{Owed, State, Step};
use super::{Closing, Connection, Event, Extensions, Hooks, replies};
use crate::proto::chunk::{Chunk, Decoder};
use crate::proto::data::Decoded;
use crate::proto::{Extension, Need, Reply};

/// What came of a message by BDAT.
#[derive(Debug)]
pub(super) enum Chunks {
    /// Nothing.
    None,
    /// Some of it, which was accepted.
    Open(Message),
    /// A chunk was refused.
    Failed,
}

/// A message that comes in chunks.
#[derive(Debug)]
pub(super) struct Message {
    decoder: Decoder,
    /// The application was told that the message is refused.
    discarded: bool,
}

/// The octets of a chunk that is refused.
#[derive(Debug)]
pub(super) struct Skip {
    left: u64,
    reply: Refusal,
    then: Then,
}

#[derive(Debug)]
enum Refusal {
    Ours(&'static str),
    Theirs(Reply),
}

/// What becomes of the transaction behind a refused chunk.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// There is none, or it has failed before.
    Nothing,
    Failed,
    /// The message is over, and refused.
    Over,
}

impl Connection {
    pub(super) fn bdat<'a>(&mut self, chunk: Chunk) -> Option<Event<'a>> {
        if !self.config.extensions.has(Extensions::CHUNKING) {
            // The octets will come all the same, and are no commands.
            self.outbox.text(replies::NOT_IMPLEMENTED);
            self.close(Closing::Violation);
            return None;
        }
        let Some(transaction) = &self.transaction else {
            let reply = if self.tls_missing() {
                replies::TLS_NEEDED
            } else {
                self.mail_first()
            };
            self.skip(chunk, Refusal::Ours(reply), Then::Nothing);
            return None;
        };
        if matches!(transaction.chunks, Chunks::Failed) {
            self.skip(chunk, Refusal::Ours(replies::RESET_FIRST), Then::Nothing);
        } else if !self.offers(Extension::Chunking) {
            self.skip(chunk, Refusal::Ours(self.hello_first()), Then::Failed);
        } else if transaction.accepted == 0 {
            self.skip(chunk, Refusal::Ours(replies::NO_RECIPIENT), Then::Failed);
        } else if matches!(transaction.chunks, Chunks::None) {
            if self.is_too_big(chunk.size()) {
                self.refuse_size(chunk, chunk.size());
            } else if self.config.hooks.has(Hooks::DATA) {
                self.owed = Owed::Data(Some(chunk));
                return Some(Event::Data);
            } else {
                self.begin_chunks(chunk);
            }
        } else {
            return self.next_chunk(chunk);
        }
        None
    }

    /// A client that was turned away sends a chunk.
    pub(super) fn turn_away_chunk(&mut self, chunk: Chunk) {
        self.skip(chunk, Refusal::Ours(replies::TURNED_AWAY), Then::Nothing);
    }

    /// The message is wanted, and its first chunk begins.
    pub(super) fn begin_chunks(&mut self, chunk: Chunk) {
        if let Some(transaction) = &mut self.transaction {
            self.normaliser = self.config.normaliser(transaction.binary);
            let in_lines = !transaction.binary && self.normaliser.is_none();
            transaction.chunks = Chunks::Open(Message {
                decoder: Decoder::new(in_lines),
                discarded: false,
            });
        }
        // The first was measured already, and one alone can be counted.
        let _ = self.next_chunk(chunk);
    }

    /// The application does not want the message.
    pub(super) fn refuse_first_chunk(&mut self, chunk: Chunk, reply: Reply) {
        let then = if chunk.is_last() {
            Then::Over
        } else {
            Then::Failed
        };
        self.skip(chunk, Refusal::Theirs(reply), then);
    }

    /// A chunk of a message that has begun.
    fn next_chunk<'a>(&mut self, chunk: Chunk) -> Option<Event<'a>> {
        let message = self.message()?;
        let Ok(all) = message.decoder.announced(chunk.size()) else {
            self.refuse_chunk_size();
            return None;
        };
        if self.is_too_big(all) {
            self.refuse_size(chunk, all);
            return Some(Event::Discarded);
        }
        if self.message()?.decoder.begin(chunk.size()).is_ok() {
            self.state = State::Chunk(chunk);
        }
        None
    }

    /// A message of `all` octets with this chunk is too big.
    fn refuse_size(&mut self, chunk: Chunk, all: u64) {
        if self.is_far_too_big(all) {
            // Reading all that would only cost time: the reply says why, and the connection ends.
            self.refuse_message(replies::TOO_BIG);
            self.close(Closing::Limit);
            return;
        }
        let then = if chunk.is_last() {
            Then::Over
        } else {
            Then::Failed
        };
        self.skip(chunk, Refusal::Ours(replies::TOO_BIG), then);
    }

    /// Nobody knows where the chunk ends and the next command begins.
    pub(super) fn refuse_chunk_size(&mut self) {
        self.outbox.text(replies::BAD_CHUNK);
        self.close(Closing::Violation);
    }

    fn skip(&mut self, chunk: Chunk, reply: Refusal, then: Then) {
        // Without a transaction, or empty, it was known beforehand to bring no mail.
        if self.transaction.is_some() && chunk.size() > 0 {
            self.count_refused();
        }
        self.state = State::Skip(Box::new(Skip {
            left: chunk.size(),
            reply,
            then,
        }));
    }

    /// Octets of a chunk that is refused.
    pub(super) fn skip_chunk<'a>(&mut self, input: &[u8]) -> Step<'a> {
        let State::Skip(skip) = &mut self.state else {
            return Step::Continue(0);
        };
        let used = usize::try_from(skip.left).map_or(input.len(), |left| left.min(input.len()));
        skip.left -= used as u64;
        if skip.left > 0 {
            return Step::Need(used, Need::More);
        }
        let State::Skip(skip) = std::mem::replace(&mut self.state, State::Command) else {
            return Step::Continue(used);
        };
        let replies = match skip.then {
            Then::Over => self.answers(),
            Then::Nothing | Then::Failed => 1,
        };
        if let Refusal::Ours(reply) = skip.reply {
            self.count_refused_message(reply);
        }
        for _ in 0..replies {
            match &skip.reply {
                Refusal::Ours(reply) => self.outbox.text(reply),
                Refusal::Theirs(reply) => self.say(reply),
            }
        }
        match skip.then {
            Then::Nothing => {}
            Then::Failed => self.fail(),
            Then::Over => self.transaction = None,
        }
        self.say_farewell();
        Step::Continue(used)
    }

    /// Octets of a chunk.
    pub(super) fn chunk<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let State::Chunk(chunk) = self.state else {
            return Step::Continue(0);
        };
        let Some(message) = self.message() else {
            self.state = State::Command;
            return Step::Continue(0);
        };
        match message.decoder.decode(input) {
            Decoded::More { used } => Step::Need(used, Need::More),
            Decoded::Piece { used, .. } if message.discarded => Step::Continue(used),
            Decoded::Piece { used, .. } if message.decoder.bare_line_end() => {
                message.discarded = true;
                Step::Event(used, Event::Discarded)
            }
            Decoded::Piece { used, data } => Step::Event(used, Event::Body(data)),
            Decoded::End { used } => {
                self.state = State::Command;
                let event = self.end_of_chunk(chunk.is_last());
                event.map_or(Step::Continue(used), |event| Step::Event(used, event))
            }
        }
    }

    fn end_of_chunk<'a>(&mut self, last: bool) -> Option<Event<'a>> {
        let message = self.message()?;
        if !last {
            if message.discarded {
                self.count_refused_message(replies::BARE_LINE_END);
                self.outbox.text(replies::BARE_LINE_END);
                self.fail();
                self.say_farewell();
            } else {
                self.outbox.text(replies::OK);
            }
            return None;
        }
        message.decoder.finish();
        let told = message.discarded;
        if message.decoder.bare_line_end() {
            self.refuse_message(replies::BARE_LINE_END);
            self.transaction = None;
            self.say_farewell();
            return (!told).then_some(Event::Discarded);
        }
        let size = message.decoder.len();
        self.owed = Owed::EndOfData {
            answers: self.answers(),
        };
        Some(Event::EndOfData { size })
    }

    /// Whether a message has begun to come in chunks of which the last is still to come.
    pub(super) fn has_open_message(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|transaction| matches!(transaction.chunks, Chunks::Open(_)))
    }

    /// Gives up a message of which chunks have come, if there is one. Tells whether there was.
    pub(super) fn abandon_message(&mut self) -> bool {
        let open = self.has_open_message();
        if open {
            self.fail();
        }
        open
    }

    fn fail(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.chunks = Chunks::Failed;
        }
    }

    fn message(&mut self) -> Option<&mut Message> {
        match &mut self.transaction.as_mut()?.chunks {
            Chunks::Open(message) => Some(message),
            Chunks::None | Chunks::Failed => None,
        }
    }
}
