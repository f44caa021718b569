//! Transactions on an open connection: one message, or many with the next one's envelope riding behind the last one's body.

use std::collections::VecDeque;
use std::time::Duration;

use super::advice::is_too_much;
use super::chunk::ChunkError;
use super::connection::{Step, UnderWay, Window};
use super::provider::Provider;
use super::{Connection, Content, verdict};
use crate::error::{Error, Phase, Status};
use crate::net::Deadline;
use crate::outcome::{Delivery, Outcome};
use crate::proto::Envelope;
use crate::proto::client::{Event, NotNow, TransactionId, TransactionOptions, Transfer};
use crate::proto::data::{BareLineEnd, Encoder};

/// Transactions begun at a time with DATA: the one whose body is sent, and the one whose envelope rides behind it.
const CHAIN: usize = 2;

/// Slices of a body that go out in one write.
const SLICES: usize = 64;

/// Octets of a message in memory that go out in one write inside DATA. The end mark leaves with the last of them, so this is also
/// how much of a message can be lost with the result unknown although its end mark was never sent. (With BDAT it is known.)
const PORTION: usize = 256 * 1024;

impl Connection {
    /// Sends one message. What became of it is in the outcome, and on failure in [`Error::outcome`].
    ///
    /// Dropping the future leaves the connection unusable, and unknown what became of the message.
    pub async fn send(
        &mut self,
        envelope: Envelope,
        mut content: Content<'_>,
    ) -> Result<Outcome, Error> {
        self.set_deadline(Deadline::after(self.options.deadline));
        self.heed_unasked().await?;
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
    ///
    /// Dropping the future leaves the connection unusable, and unknown what became of the messages that were taken and not reported.
    pub async fn send_many(
        &mut self,
        messages: &mut (dyn Iterator<Item = (Envelope, Content<'_>)> + Send),
        each: &mut Report<'_>,
    ) {
        self.set_deadline(Deadline::after(self.options.deadline));
        match self.heed_unasked().await {
            Ok(()) => {
                self.drive(messages, each).await;
            }
            Err(error) if messages.next().is_some() => each(0, Err(error)),
            Err(_) => {}
        }
    }

    /// Takes what the server has said since the last message, without waiting: it must not pass for the reply to the next
    /// command. That the server has closed is left for that command to find.
    pub(super) async fn heed_unasked(&mut self) -> Result<(), Error> {
        if !self.is_usable() {
            return Ok(());
        }
        let _ = self.listen().await;
        if !self.leftover().is_empty() {
            // Only a call that ended well leaves the connection usable.
            self.busy = true;
            if let Some(step) = self.take_step()? {
                return Err(self.out_of_order(self.phase(), &step));
            }
            self.busy = false;
        }
        Ok(())
    }

    /// Runs transactions until `messages` ends, the session is full or the connection fails.
    pub(crate) async fn drive<'a, C: ContentSlot<'a>>(
        &mut self,
        messages: &mut (dyn Iterator<Item = (Envelope, C)> + Send),
        each: &mut Report<'_>,
    ) -> Left<C> {
        let mut left = Left::default();
        if let Err(error) = self.check_usable() {
            if messages.next().is_some() {
                each(0, Err(error));
            }
            return left;
        }
        self.busy = true;
        match self.transact(messages, &mut left, each).await {
            Ok(()) => self.busy = false,
            Err(error) => {
                self.report_lost(error, each);
            }
        }
        left
    }

    async fn transact<'a, C: ContentSlot<'a>>(
        &mut self,
        messages: &mut (dyn Iterator<Item = (Envelope, C)> + Send),
        left: &mut Left<C>,
        each: &mut Report<'_>,
    ) -> Result<(), Error> {
        let mut messages = messages.enumerate().fuse();
        // The message of which another chunk may be sent.
        let mut in_chunks: Option<TransactionId> = None;
        // Why nothing can be written any more, while what the server said before is still read.
        let mut broken: Option<Error> = None;
        loop {
            if broken.is_none() {
                self.begin_ahead(&mut messages, left, each);
            }
            let contents = &mut left.lost;
            if self.under_way.is_empty() {
                return broken.map_or(Ok(()), Err);
            }
            match self.take_step()? {
                Some(Step::Event(Event::SendBody(id))) if broken.is_none() => {
                    let Some(at) = self.place(id) else { continue };
                    if self.under_way[at].transfer == Transfer::Chunks {
                        in_chunks = Some(id);
                    } else if let Some(content) = contents.get_mut(at) {
                        self.send_body(id, content.get()).await?;
                    }
                }
                Some(Step::Event(Event::Finished { id, outcome })) => {
                    if let Some(at) = self.place(id)
                        && let Some(UnderWay { index, .. }) = self.under_way.remove(at)
                    {
                        contents.remove(at);
                        let outcome = outcome.with_tls(self.tls.clone());
                        let result = verdict::judge(outcome, self.options.on_refused);
                        let result = result.map_err(|e| self.fail(self.with_limits(e)));
                        self.record.messages.end(id, &result);
                        each(index, result);
                    }
                }
                Some(step) => {
                    let out_of_order = self.out_of_order(self.phase(), &step);
                    return Err(broken
                        .filter(|_| !step.is_closing())
                        .unwrap_or(out_of_order));
                }
                None => {
                    if let Some(error) = broken {
                        return Err(error);
                    }
                    if let Some(id) = in_chunks {
                        // A chunk may have been refused while the last one was written.
                        if self.listen().await? {
                            continue;
                        }
                        let content = self.place(id).and_then(|at| contents.get_mut(at));
                        if !self.queue_chunk(id, content.map(C::get))? {
                            in_chunks = None;
                        }
                    }
                    if !self.machine.has_output() {
                        self.read().await?;
                        continue;
                    }
                    if contents.iter().any(|slot| slot.view().is_read()) {
                        self.heed_call().await?;
                    }
                    // Contents cannot be seen from two threads, as their octets can, and the task may move to another.
                    let windows = self.windows(contents);
                    if let Err(error) = self.write(&[], &windows).await {
                        if error.status() != Status::ConnectionLost {
                            return Err(error);
                        }
                        // The server may have said why it closed, or have answered what came before.
                        while self.listen().await.unwrap_or(false) {}
                        broken = Some(error);
                    }
                }
            }
        }
    }

    /// The error, with the limits of a provider that says of it that it was asked for too much.
    pub(super) fn with_limits(&self, error: Error) -> Error {
        if !error.reply().is_some_and(is_too_much) {
            return error;
        }
        match self.options.provider().and_then(Provider::limit_advice) {
            Some(limits) => error.with_more(&format!(" ({limits})")),
            None => error,
        }
    }

    fn place(&self, id: TransactionId) -> Option<usize> {
        self.under_way.iter().position(|other| other.id == id)
    }

    /// Begins as many transactions as may be on their way.
    fn begin_ahead<'a, C: ContentSlot<'a>>(
        &mut self,
        messages: &mut dyn Iterator<Item = (usize, (Envelope, C))>,
        left: &mut Left<C>,
        each: &mut Report<'_>,
    ) {
        let ahead = match (self.machine.pipelining(), self.uses_chunks()) {
            (false, _) => 1,
            (true, false) => CHAIN.min(self.options.max_in_flight),
            (true, true) => self.options.max_in_flight,
        };
        while left.back.is_none()
            && self.under_way.len() < ahead
            && self.machine.unanswered_octets() < self.options.max_octets_in_flight
            && let Some((index, (envelope, mut content))) = messages.next()
        {
            let recipients = envelope.recipients().len();
            let begun = self
                .prepare(envelope, content.get())
                .and_then(|(envelope, transfer)| {
                    let options = TransactionOptions {
                        all_or_nothing: self.options.all_or_nothing,
                        transfer,
                    };
                    let begun = self.machine.begin(envelope, options);
                    begun
                        .map(|id| UnderWay {
                            id,
                            index,
                            transfer,
                        })
                        .map_err(|e| self.fail(not_now(e)))
                });
            match begun {
                Ok(begun) => {
                    let session = self.record.session.number();
                    let messages = &mut self.record.messages;
                    messages.begin(begun.id, session, recipients);
                    self.under_way.push_back(begun);
                    left.lost.push_back(content);
                }
                Err(error)
                    if content.may_come_back()
                        && self.machine.transactions() > 0
                        && is_full(&error) =>
                {
                    left.back = Some(content);
                }
                Err(error) => each(index, Err(error)),
            }
        }
    }

    /// The octets of messages that may have to be sent among what the machine has to send.
    fn windows<'w, 'a, C: ContentSlot<'a>>(&self, contents: &'w VecDeque<C>) -> Vec<Window<'w>>
    where
        'a: 'w,
    {
        self.under_way
            .iter()
            .zip(contents)
            .filter(|(message, _)| message.transfer != Transfer::Data)
            .map(|(message, content)| {
                let (offset, parts) = content.view().chunk();
                Window {
                    id: message.id,
                    offset,
                    parts,
                }
            })
            .collect()
    }

    /// Queues the next chunk of a message. Gives whether another may follow it at once.
    fn queue_chunk(
        &mut self,
        id: TransactionId,
        content: Option<&mut Content<'_>>,
    ) -> Result<bool, Error> {
        let Some(content) = content.filter(|_| self.machine.takes_chunk(id)) else {
            return Ok(false);
        };
        let (octets, last) = content
            .next_chunk(false)
            .map_err(|e| self.fail(chunk_error(e)))?;
        let ascii_only = !self.capabilities().has("8BITMIME");
        if ascii_only && !content.chunk().1.iter().all(|part| part.is_ascii()) {
            return Err(self.fail(needs_eight_bit().at(Phase::Body)));
        }
        self.machine
            .chunk(id, octets, last)
            .map_err(|e| self.misuse(e))?;
        Ok(!last)
    }

    /// Streams a message behind its 354. The end mark leaves together with the last bytes, and with whatever the machine has
    /// to send next.
    async fn send_body(
        &mut self,
        id: TransactionId,
        content: &mut Content<'_>,
    ) -> Result<(), Error> {
        let mut encoder = Encoder::new(self.options.line_ends);
        let (is_plain, is_read) = (content.is_plain, content.is_read());
        let ascii_only = !self.capabilities().has("8BITMIME");
        loop {
            let (piece, last) = match content.next_piece() {
                Ok(next) => next,
                Err(error) => return Err(self.fail(chunk_error(ChunkError::Read(error)))),
            };
            if is_read {
                self.heed_call().await?;
            }
            // RFC 6152 section 3. A message in memory was looked at before its MAIL.
            if ascii_only && !piece.is_ascii() {
                return Err(self.fail(needs_eight_bit().at(Phase::Body)));
            }
            // Of a plain message there is one slice in each write.
            let most = if is_plain { 2 } else { SLICES };
            let mut slices: Vec<&[u8]> = Vec::with_capacity(most);
            for portion in piece.chunks(PORTION) {
                if !slices.is_empty() {
                    self.write_body(&slices).await?;
                    slices.clear();
                }
                if is_plain {
                    slices.push(portion);
                    continue;
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
                return self.write(&slices, &[]).await;
            }
            if !slices.is_empty() {
                self.write_body(&slices).await?;
            }
        }
    }

    /// Lets the call be cut short, or fails it at its deadline. To be called before anything leaves behind a read from the caller's
    /// source, which may have taken its time.
    async fn heed_call(&mut self) -> Result<(), Error> {
        // The first time the runtime looks at what has happened, and the second time whoever waits beside this call hears of it.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        match self.deadline.remaining() {
            Some(Duration::ZERO) => Err(self.fail(self.deadline.passed(Phase::Body))),
            _ => Ok(()),
        }
    }

    /// Writes a part of a message that is not its end. If the server has closed it may have said why: that is the error then.
    async fn write_body(&mut self, slices: &[&[u8]]) -> Result<(), Error> {
        self.interruption().await?;
        match self.write(slices, &[]).await {
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
        for UnderWay { id, index, .. } in std::mem::take(&mut self.under_way) {
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
            let result = Err(match outcome {
                Some(outcome) => error
                    .with_more(what_is_lost(status, &outcome))
                    .with_outcome(outcome),
                None => error,
            });
            self.record.messages.end(id, &result);
            each(index, result);
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

/// Messages of a call that it did not end for.
pub(crate) struct Left<C> {
    /// Under way when the connection failed, oldest first; their failures were reported in that order.
    pub(crate) lost: VecDeque<C>,
    /// Not begun and not reported, as the session has no room for it: another one may.
    pub(crate) back: Option<C>,
}

impl<C> Default for Left<C> {
    fn default() -> Self {
        Self {
            lost: VecDeque::new(),
            back: None,
        }
    }
}

/// Takes the index and the result of a message.
pub(super) type Report<'r> = dyn FnMut(usize, Result<Outcome, Error>) + Send + 'r;

/// A message's content, owned by the call or lent to it.
pub(crate) trait ContentSlot<'a>: Send {
    fn get(&mut self) -> &mut Content<'a>;
    fn view(&self) -> &Content<'a>;

    /// Whether the caller can send the message over another connection, if this session has no room for it.
    fn may_come_back(&self) -> bool {
        false
    }
}

impl<'a> ContentSlot<'a> for Content<'a> {
    fn get(&mut self) -> &mut Content<'a> {
        self
    }

    fn view(&self) -> &Content<'a> {
        self
    }
}

impl<'a> ContentSlot<'a> for &mut Content<'a> {
    fn get(&mut self) -> &mut Content<'a> {
        self
    }

    fn view(&self) -> &Content<'a> {
        self
    }
}

/// Why a transaction was not begun. Nothing of it was sent.
pub(super) fn not_now(error: NotNow) -> Error {
    let status = match error {
        NotNow::NotOffered(_)
        | NotNow::NeedsTls(_)
        | NotNow::NeedsBdat
        | NotNow::OutOfRange(_)
        | NotNow::Limit("RCPTMAX") => Status::NotSupported,
        NotNow::TooLarge(_) => Status::TooLarge,
        // Another session has room for it.
        NotNow::Limit(_) => Status::Transient,
        NotNow::NoRecipients | NotNow::Argument(_) => Status::InvalidArgument,
        _ => Status::Misuse,
    };
    Error::new(status, error.to_string())
        .at(Phase::Mail)
        .with_source(error)
}

/// Whether the session has come to a limit that the server set (RFC 9422).
pub(crate) fn is_full(error: &Error) -> bool {
    matches!(limit(error), Some("MAILMAX" | "RCPTDOMAINMAX"))
}

/// Whether the message has more recipients, or at more domains, than the server takes (RFC 9422).
pub(crate) fn has_too_many_recipients(error: &Error) -> bool {
    matches!(limit(error), Some("RCPTMAX" | "RCPTDOMAINMAX"))
}

/// The limit of the server for which a transaction was not begun.
fn limit(error: &Error) -> Option<&'static str> {
    let source = std::error::Error::source(error)?;
    match source.downcast_ref()? {
        NotNow::Limit(name) => Some(name),
        _ => None,
    }
}

pub(super) fn needs_eight_bit() -> Error {
    Error::new(
        Status::NotSupported,
        "the message has bytes outside ASCII and the server does not offer 8BITMIME: encode it as quoted-printable or base64",
    )
}

pub(super) fn chunk_error(error: ChunkError) -> Error {
    match error {
        ChunkError::BareLineEnd(error) => bare_line_end(error),
        ChunkError::Read(error) => {
            let text = format!("reading the message failed, so it was broken off: {error}");
            Error::new(Status::Io, text)
                .lasting()
                .at(Phase::Body)
                .with_source(error)
        }
    }
}

pub(super) fn bare_line_end(error: BareLineEnd) -> Error {
    Error::invalid(format!("{error}, and line_ends is set to refuse it")).with_source(error)
}
