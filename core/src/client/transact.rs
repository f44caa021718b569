//! Transactions on an open connection: one message, or many with the next one's envelope riding behind the last one's body.

use std::collections::VecDeque;

use super::connection::Step;
use super::{Connection, Content, verdict};
use crate::error::{Error, Phase, Status};
use crate::net::Deadline;
use crate::outcome::{Delivery, Outcome};
use crate::proto::client::{Event, TransactionId, TransactionOptions};
use crate::proto::data::{Encoder, LineEnds};
use crate::proto::{BodyType, Envelope};

/// Transactions begun at a time: the one whose body is sent, and the one whose envelope rides behind it.
const CHAIN: usize = 2;

/// Slices of a body that go out in one write.
const SLICES: usize = 64;

/// Octets of a message in memory that go out in one write. The end mark leaves with the last of them, so this is also how
/// much of a message can be lost with the result unknown although its end mark was never sent.
const PORTION: usize = 256 * 1024;

impl Connection {
    /// Sends one message. What became of it is in the outcome, and on failure in [`Error::outcome`].
    pub async fn send(
        &mut self,
        envelope: Envelope,
        mut content: Content<'_>,
    ) -> Result<Outcome, Error> {
        self.set_deadline(Deadline::after(self.options.deadline));
        self.send_one(envelope, &mut content).await
    }

    pub(crate) async fn send_one(
        &mut self,
        envelope: Envelope,
        content: &mut Content<'_>,
    ) -> Result<Outcome, Error> {
        let mut result = None;
        self.drive(&mut std::iter::once((envelope, content)), &mut |_, one| {
            result = Some(one);
        })
        .await;
        result.unwrap_or_else(|| {
            Err(Error::new(
                Status::Internal,
                "a message was neither sent nor refused",
            ))
        })
    }

    /// Sends many messages, calling `each` with the index and the result of every one that was tried. Where the server
    /// allows it (RFC 2920), the envelope of a message leaves with the last bytes of the one before it. If the
    /// connection fails, the messages that were not tried yet are still in `messages`.
    pub async fn send_many(
        &mut self,
        messages: &mut (dyn Iterator<Item = (Envelope, Content<'_>)> + Send),
        each: &mut Report<'_>,
    ) {
        self.set_deadline(Deadline::after(self.options.deadline));
        self.drive(messages, each).await;
    }

    /// Runs transactions until `messages` ends or the connection fails. Gives back the messages that were under way when it
    /// failed, oldest first; their failures were reported in that order.
    pub(crate) async fn drive<'a, C: ContentSlot<'a>>(
        &mut self,
        messages: &mut (dyn Iterator<Item = (Envelope, C)> + Send),
        each: &mut Report<'_>,
    ) -> VecDeque<C> {
        if !self.is_usable() {
            if messages.next().is_some() {
                each(
                    0,
                    Err(self.fail(Error::new(
                        Status::Closed,
                        "the connection is not usable any more",
                    ))),
                );
            }
            return VecDeque::new();
        }
        self.busy = true;
        // Beside `under_way`, which outlives this future.
        let mut contents = VecDeque::new();
        match self.transact(messages, &mut contents, each).await {
            Ok(()) => self.busy = false,
            Err(error) => {
                self.report_lost(error, each);
            }
        }
        contents
    }

    async fn transact<'a, C: ContentSlot<'a>>(
        &mut self,
        messages: &mut (dyn Iterator<Item = (Envelope, C)> + Send),
        contents: &mut VecDeque<C>,
        each: &mut Report<'_>,
    ) -> Result<(), Error> {
        let ahead = if self.machine.pipelining() { CHAIN } else { 1 };
        let options = TransactionOptions {
            all_or_nothing: self.options.all_or_nothing,
        };
        let mut messages = messages.enumerate().fuse();
        loop {
            while self.under_way.len() < ahead
                && let Some((index, (envelope, mut content))) = messages.next()
            {
                let prepared = self.prepare(envelope, content.get()).and_then(|envelope| {
                    self.machine
                        .begin(envelope, options)
                        .map_err(|e| self.fail(Error::invalid(e.to_string())))
                });
                match prepared {
                    Ok(id) => {
                        self.under_way.push_back((id, index));
                        contents.push_back(content);
                    }
                    Err(error) => each(index, Err(error)),
                }
            }
            if self.under_way.is_empty() {
                return Ok(());
            }
            let step = self.step().await?;
            let place =
                |id: TransactionId| self.under_way.iter().position(|(other, _)| *other == id);
            match step {
                Step::Event(Event::SendBody(id)) => {
                    if let Some(content) = place(id).and_then(|at| contents.get_mut(at)) {
                        self.send_body(id, content.get()).await?;
                    }
                }
                Step::Event(Event::Finished { id, outcome }) => {
                    if let Some(at) = place(id)
                        && let Some((_, index)) = self.under_way.remove(at)
                    {
                        contents.remove(at);
                        let outcome = outcome.with_tls(self.tls.clone());
                        each(
                            index,
                            verdict::judge(outcome, self.options.on_refused)
                                .map_err(|e| self.fail(e)),
                        );
                    }
                }
                step => return Err(self.out_of_order(self.phase(), &step)),
            }
        }
    }

    /// Checks a message against what the server offers, and declares its size and kind (RFC 1870, RFC 6152).
    fn prepare(&self, envelope: Envelope, content: &Content<'_>) -> Result<Envelope, Error> {
        let mut parameters = envelope.parameters().clone();
        let eight_bit_offered = self.capabilities().has("8BITMIME");
        let length = if let Some(message) = content.as_bytes() {
            if self.options.line_ends == LineEnds::Refuse {
                check_line_ends(message)?;
            }
            if !message.is_ascii() {
                parameters.body = Some(BodyType::EightBitMime);
            }
            Some(length_on_the_wire(message))
        } else {
            if eight_bit_offered && parameters.body.is_none() {
                parameters.body = Some(BodyType::EightBitMime);
            }
            content.length()
        };
        if parameters.body == Some(BodyType::EightBitMime) && !eight_bit_offered {
            return Err(self.fail(needs_eight_bit().at(Phase::Mail)));
        }
        if let (Some(length), Some(limit)) = (length, self.capabilities().size_limit())
            && length > limit
        {
            let text =
                format!("the message has {length} octets and the server takes at most {limit}");
            return Err(self.fail(Error::new(Status::TooLarge, text).at(Phase::Mail)));
        }
        parameters.size = parameters.size.or(length);
        Ok(envelope.with_parameters(parameters))
    }

    /// Streams a message behind its 354. The end mark leaves together with the last bytes, and with whatever the machine has
    /// to send next.
    async fn send_body(
        &mut self,
        id: TransactionId,
        content: &mut Content<'_>,
    ) -> Result<(), Error> {
        let mut encoder = Encoder::new(self.options.line_ends);
        let ascii_only = !self.capabilities().has("8BITMIME");
        loop {
            let (piece, last) = match content.next_piece() {
                Ok(next) => next,
                Err(error) => {
                    let text = format!("reading the message failed, so it was broken off: {error}");
                    return Err(self.fail(
                        Error::new(Status::Io, text)
                            .at(Phase::Body)
                            .with_source(error),
                    ));
                }
            };
            // RFC 6152 section 3. A message in memory was looked at before its MAIL.
            if ascii_only && !piece.is_ascii() {
                return Err(self.fail(needs_eight_bit().at(Phase::Body)));
            }
            let mut slices: Vec<&[u8]> = Vec::with_capacity(SLICES);
            for portion in piece.chunks(PORTION) {
                if !slices.is_empty() {
                    self.write_body(&slices).await?;
                    slices.clear();
                }
                let mut rest = portion;
                while let Some(slice) = encoder
                    .encode(&mut rest)
                    .map_err(|e| self.fail(bare_line_end(e)))?
                {
                    if slices.len() == SLICES {
                        self.write_body(&slices).await?;
                        slices.clear();
                    }
                    slices.push(slice);
                }
            }
            if last {
                slices.push(encoder.finish().map_err(|e| self.fail(bare_line_end(e)))?);
                self.interruption().await?;
                self.machine.end_of_data(id).map_err(|e| self.misuse(e))?;
                return self.write(&slices).await;
            }
            if !slices.is_empty() {
                self.write_body(&slices).await?;
            }
        }
    }

    /// Writes a part of a message that is not its end. If the server has closed it may have said why: that is the error then.
    async fn write_body(&mut self, slices: &[&[u8]]) -> Result<(), Error> {
        self.interruption().await?;
        match self.write(slices).await {
            Err(error) if error.status() == Status::ConnectionLost => {
                self.interruption().await.and(Err(error))
            }
            written => written,
        }
    }

    /// The session failed, or the call was cut short: every message that was begun gets its own result, the first of them the
    /// cause. Gives the cause back if no message had been begun.
    pub(crate) fn report_lost(&mut self, error: Error, each: &mut Report<'_>) -> Option<Error> {
        self.busy = true;
        let error = if error.peer().is_some() {
            error
        } else {
            self.fail(error)
        };
        let mut cause = Some(error);
        let outcomes = self.machine.lost();
        for (id, index) in std::mem::take(&mut self.under_way) {
            let outcome = outcomes
                .iter()
                .find(|(other, _)| *other == id)
                .map(|(_, outcome)| outcome.clone().with_tls(self.tls.clone()));
            let error = cause.take().unwrap_or_else(|| {
                self.fail(Error::new(
                    Status::ConnectionLost,
                    "the session ended before this message's turn",
                ))
            });
            let status = error.status();
            each(
                index,
                Err(match outcome {
                    Some(outcome) => error
                        .with_more(what_is_lost(status, &outcome))
                        .with_outcome(outcome),
                    None => error,
                }),
            );
        }
        cause
    }

    /// The phase of what is under way, or in which the session ended.
    pub(crate) fn phase(&self) -> Phase {
        self.machine
            .waiting_for()
            .or_else(|| self.machine.ended_in())
            .unwrap_or(Phase::Command)
    }
}

/// What the loss of a session means for a message that was under way, and what to do.
fn what_is_lost(status: Status, outcome: &Outcome) -> &'static str {
    let has = |delivery| {
        let mut all = outcome.recipients().iter();
        all.any(|r| r.delivery() == delivery)
    };
    if has(Delivery::Unknown) {
        "; the message may or may not have been accepted, and sending it again may make a second copy"
    } else if status == Status::ConnectionLost && !has(Delivery::Accepted) {
        "; the message was not sent, try again later"
    } else {
        ""
    }
}

/// Takes the index and the result of a message.
type Report<'r> = dyn FnMut(usize, Result<Outcome, Error>) + Send + 'r;

/// A message's content, owned by the call or lent to it.
pub(crate) trait ContentSlot<'a>: Send {
    fn get(&mut self) -> &mut Content<'a>;
}

impl<'a> ContentSlot<'a> for Content<'a> {
    fn get(&mut self) -> &mut Content<'a> {
        self
    }
}

impl<'a> ContentSlot<'a> for &mut Content<'a> {
    fn get(&mut self) -> &mut Content<'a> {
        self
    }
}

/// The octets of a message with every line end a CRLF, one at its end too, without the dots that transparency adds (RFC 1870
/// section 2).
fn length_on_the_wire(message: &[u8]) -> u64 {
    let bare_lf = memchr::memchr_iter(b'\n', message)
        .filter(|&at| at == 0 || message[at - 1] != b'\r')
        .count();
    let bare_cr = memchr::memchr_iter(b'\r', message)
        .filter(|&at| message.get(at + 1) != Some(&b'\n'))
        .count();
    let last = match message.last() {
        None | Some(b'\r' | b'\n') => 0,
        Some(_) => 2,
    };
    u64::try_from(message.len() + bare_lf + bare_cr + last).unwrap_or(u64::MAX)
}

fn needs_eight_bit() -> Error {
    Error::new(
        Status::NotSupported,
        "the message has bytes outside ASCII and the server does not offer 8BITMIME: encode it as quoted-printable or base64",
    )
}

fn check_line_ends(message: &[u8]) -> Result<(), Error> {
    let mut encoder = Encoder::new(LineEnds::Refuse);
    let mut rest = message;
    while encoder.encode(&mut rest).map_err(bare_line_end)?.is_some() {}
    encoder.finish().map(|_| ()).map_err(bare_line_end)
}

fn bare_line_end(error: crate::proto::data::BareLineEnd) -> Error {
    Error::invalid(format!("{error}, and line_ends is set to refuse it")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_size_counts_every_line_end_as_crlf() {
        assert_eq!(length_on_the_wire(b"a\r\nb\nc\n\n"), 11);
        assert_eq!(length_on_the_wire(b"\n"), 2);
        assert_eq!(length_on_the_wire(b"a\rb\r\r\n"), 8);
        assert_eq!(length_on_the_wire(b"a\r\nb"), 6);
        assert_eq!(length_on_the_wire(b""), 0);
    }

    #[test]
    fn bare_line_ends_are_found_before_anything_is_sent() {
        assert!(check_line_ends(b"a\r\nb\r\n").is_ok());
        for message in [b"a\nb".as_slice(), b"a\rb", b"a\r"] {
            assert_eq!(
                check_line_ends(message).unwrap_err().status(),
                Status::InvalidArgument
            );
        }
    }
}
