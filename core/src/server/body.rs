//! The message behind DATA or BDAT, as a stream: nothing is read from the client before the application asks for it.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::timeout;

use super::buffer::{READ_BUFFER, append, overwrite};
use super::channel::{Channel, Ended};
use super::memory::{Held, PIECE, Room};
use super::trace::{MAIL_LOOP, Trace};
use crate::error::{Error, Phase, Status};
use crate::proto::server::{Answer, Event};
use crate::proto::{Envelope, Need, Progress, Protocol, Reply};

const CRLF: &[u8] = b"\r\n";

/// What is smaller is copied, so that what is held of a message keeps no more than twice its size: a part of a read buffer keeps
/// all of it. A TLS record, 16 KiB at the most, is smaller.
const COPIED: usize = READ_BUFFER / 2;

/// A message that a client sends: dots and end mark are removed, line ends are CRLF.
///
/// Dropping the future of [`chunk`](Self::chunk) loses nothing; that of [`collect`](Self::collect) loses what it has gathered.
pub struct Body<'a> {
    pub(super) channel: &'a mut Channel,
    /// Where its octets are counted.
    pub(super) memory: Arc<Room>,
    pub(super) stage: Stage,
    /// A CRLF that did not come as one belongs behind what was given last.
    pub(super) line_end: bool,
    pub(super) trace: Trace,
}

/// How far a message has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// DATA was not answered yet.
    Offered,
    /// Its 354 was given.
    Open,
    /// All of it was read: so many octets.
    Whole(u64),
    /// The client has given it up, as it can between two chunks.
    Abandoned,
    /// The session is over by a reply of ours to what came between two chunks.
    Closed,
    /// It is refused: by the machine, which answers its end by itself, or with this reply.
    Refused(Option<Reply>),
    /// The connection is gone.
    Lost(Ended),
}

/// What comes next of a message.
enum Piece {
    Read(Part),
    LineEnd,
    /// What the server adds, and what it had to look at for that.
    Made(Bytes),
}

/// A part of the message inside the read buffer: from `start` to `end`; up to `used` the buffer is done with.
struct Part {
    start: usize,
    end: usize,
    used: usize,
}

impl Body<'_> {
    /// The next octets of the message, or `None` once all of it was given.
    ///
    /// They are a part of the buffer that they were read into, and count towards
    /// [`Options::set_body_memory`](super::Options::set_body_memory) until the last clone of them is dropped, with 768 octets more for
    /// what it takes to keep them. While there is no memory this waits behind those who came before, and so does the client. A
    /// future that was polled and is then kept without being polled holds up all who wait for memory behind it: poll it on, or drop it.
    ///
    /// Fails where the message cannot come whole: it is too big, has a bare CR or LF, was given up by the client between two
    /// chunks of BDAT, or the session was ended there ([`Status::Protocol`]), the connection is gone or the client too slow, or no
    /// memory came back for the idle timeout ([`Status::NoMemory`]). What was given of the message is then to be dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if self.reads() && !self.memory.is_free() {
            let idle = self.channel.shared.options.idle_timeout;
            // Boxed, as it is large and seldom waited for.
            if Box::pin(timeout(idle, self.memory.room())).await.is_err() {
                return Err(self.no_memory(self.memory.refusal_after_waiting()));
            }
        }
        Ok(match self.next_piece().await? {
            None => None,
            Some(Piece::Made(octets)) => Some(self.charge(octets)),
            Some(Piece::Read(part)) if part.end - part.start >= COPIED => {
                let octets = self.take(&part);
                Some(self.charge(octets))
            }
            Some(piece) => {
                let octets = self.gather(piece);
                Some(self.charge(octets.freeze()))
            }
        })
    }

    /// A small piece and what the buffer holds behind it: line ends that are normalised stand between pieces of a line.
    fn gather(&mut self, first: Piece) -> BytesMut {
        let mut octets = BytesMut::new();
        let mut next = Some(first);
        while let Some(piece) = next {
            octets = match piece {
                Piece::Read(part) => self.copy(&part, octets),
                Piece::LineEnd => {
                    octets.extend_from_slice(CRLF);
                    octets
                }
                Piece::Made(made) => {
                    octets.extend_from_slice(&made);
                    octets
                }
            };
            if octets.len() >= COPIED || self.channel.input.is_empty() && !self.line_end {
                break;
            }
            next = self.buffered_part();
        }
        octets
    }

    /// All that is left of the message, in pieces. Fails as [`chunk`](Self::chunk) does, and at once where there is no memory: two
    /// sessions that wait for each other's memory would wait for ever.
    pub async fn collect(&mut self) -> Result<Vec<Bytes>, Error> {
        // What is kept beside the message may have taken all of it.
        if self.reads()
            && let Some(refusal) = self.memory.refusal()
        {
            return Err(self.no_memory(refusal));
        }
        let mut pieces = Vec::new();
        let mut held = 0;
        // Small parts are gathered in here.
        let mut tail = BytesMut::new();
        while let Some(piece) = self.next_piece().await? {
            let len = match &piece {
                Piece::LineEnd => CRLF.len(),
                Piece::Read(part) => part.end - part.start,
                Piece::Made(octets) => octets.len(),
            };
            let fits = len < COPIED && tail.len() + len <= READ_BUFFER;
            if !fits && !tail.is_empty() {
                pieces.push(self.charge(std::mem::take(&mut tail).freeze()));
            }
            held += len as u64;
            match piece {
                Piece::LineEnd => tail.extend_from_slice(CRLF),
                Piece::Read(part) if len < COPIED => tail = self.copy(&part, tail),
                Piece::Made(octets) if len < COPIED => append(&mut tail, &octets),
                Piece::Read(part) => {
                    let octets = self.take(&part);
                    pieces.push(self.charge(octets));
                }
                Piece::Made(octets) => pieces.push(self.charge(octets)),
            }
            if fits {
                continue;
            }
            let held = held + PIECE * pieces.len() as u64;
            if let Some(refusal) = self.memory.refusal_beside(held) {
                return Err(self.no_memory(refusal));
            }
        }
        if !tail.is_empty() {
            pieces.push(self.charge(tail.freeze()));
        }
        Ok(pieces)
    }

    /// Whether there is memory for more, and nobody else waits for it. Who holds octets of a message should first put them elsewhere
    /// where there is none.
    pub(crate) fn has_memory(&self) -> bool {
        self.memory.is_free()
    }

    /// Counts an envelope that is kept with the octets of its message, where those are counted, until the result is dropped.
    pub(crate) fn hold(&self, envelope: &Envelope) -> Held {
        self.memory.hold_envelope(envelope)
    }

    /// What the server speaks: by LMTP each recipient gets an answer of its own.
    pub(crate) fn protocol(&self) -> Protocol {
        self.channel.shared.options.protocol()
    }

    /// Whether more is to be read. What is known already needs no memory: the end, or why there is none.
    fn reads(&self) -> bool {
        matches!(self.stage, Stage::Offered | Stage::Open)
    }

    fn begin(&mut self) {
        if matches!(self.stage, Stage::Offered) {
            // An answer is owed as long as the message is only offered.
            let _ = self.channel.machine.answer(Answer::Accept);
            self.channel.begin_body();
            self.stage = Stage::Open;
        }
    }

    /// What comes next of the message as it is given.
    async fn next_piece(&mut self) -> Result<Option<Piece>, Error> {
        loop {
            let comes = matches!(self.stage, Stage::Offered | Stage::Open | Stage::Whole(_));
            if comes && let Some(octets) = self.trace.take_ready() {
                self.begin();
                return Ok(Some(Piece::Made(octets)));
            }
            let piece = self.next_part().await?;
            let first = match &piece {
                None => None,
                Some(Piece::Read(part)) => Some(&self.channel.input[part.start..part.end]),
                Some(_) => Some(CRLF),
            };
            if !self.trace.takes(first) {
                return Ok(piece);
            }
            let octets = match piece {
                None => None,
                Some(Piece::LineEnd) => Some(Bytes::from_static(CRLF)),
                Some(Piece::Made(octets)) => Some(octets),
                Some(Piece::Read(part)) => Some(self.take(&part)),
            };
            self.trace.pass(octets);
        }
    }

    /// What was read, as it came.
    async fn next_part(&mut self) -> Result<Option<Piece>, Error> {
        self.begin();
        loop {
            if let Some(piece) = self.buffered_part() {
                return Ok(Some(piece));
            }
            match &self.stage {
                Stage::Whole(_) => return Ok(None),
                Stage::Offered | Stage::Open => {}
                Stage::Refused(_) | Stage::Abandoned | Stage::Closed => return Err(self.refused()),
                Stage::Lost(ended) => return Err(ended.error(&self.channel.info)),
            }
            if let Err(ended) = self.channel.fill().await {
                self.stage = Stage::Lost(ended);
            }
        }
    }

    /// What comes next of what was read already.
    fn buffered_part(&mut self) -> Option<Piece> {
        loop {
            if std::mem::take(&mut self.line_end) {
                if !self.trace.is_loop(CRLF) {
                    return Some(Piece::LineEnd);
                }
                self.stage = Stage::Refused(Some(MAIL_LOOP));
            }
            if !matches!(self.stage, Stage::Offered | Stage::Open) {
                return None;
            }
            match self.parse() {
                Ok(Some(part)) => {
                    if !self
                        .trace
                        .is_loop(&self.channel.input[part.start..part.end])
                    {
                        return Some(Piece::Read(part));
                    }
                    self.channel.input.advance(part.used);
                    self.line_end = false;
                    self.stage = Stage::Refused(Some(MAIL_LOOP));
                }
                Ok(None) if self.line_end => {}
                Ok(None) => return None,
                Err(ended) => self.stage = Stage::Lost(ended),
            }
        }
    }

    /// Gathers what the buffer holds of the message, moving it together where dots were removed.
    fn parse(&mut self) -> Result<Option<Part>, Ended> {
        let Channel { machine, input, .. } = &mut *self.channel;
        let mut part: Option<Part> = None;
        let mut at = 0;
        let stage = loop {
            let progress = machine
                .receive(&input[at..])
                .map_err(|violation| Ended::violation(&violation, Phase::Body))?;
            let (used, piece) = match progress {
                Progress::Event { used, event } => match event {
                    Event::Body(piece) if !input.as_ptr_range().contains(&piece.as_ptr()) => {
                        self.line_end = true;
                        (used, Err(None))
                    }
                    Event::Body(piece) => (used, Ok(piece.len())),
                    Event::EndOfData { size } => (used, Err(Some(Stage::Whole(size)))),
                    Event::Discarded => (used, Err(Some(Stage::Refused(None)))),
                    Event::Abandoned => (used, Err(Some(Stage::Abandoned))),
                    // No other event comes while a message does.
                    _ => (used, Err(None)),
                },
                Progress::Need { used, need } => match need {
                    Need::Close => (used, Err(Some(Stage::Closed))),
                    _ => (used, Err(None)),
                },
            };
            at += used;
            // A login between two chunks is refused; what it said is a secret all the same.
            if machine.heard_secret() {
                let message = piece.as_ref().map_or(0, |len| *len);
                overwrite(&mut input[at - used..at - message]);
            }
            match piece {
                Ok(len) => {
                    // A piece is the end of what is used for it.
                    let place = at - len;
                    let part = part.get_or_insert(Part {
                        start: place,
                        end: place,
                        used: 0,
                    });
                    if part.end != place {
                        input.copy_within(place..at, part.end);
                    }
                    part.end += len;
                }
                Err(stage) => break stage,
            }
        };
        if let Some(stage) = stage {
            self.stage = stage;
        }
        match part {
            Some(part)
                if !matches!(
                    self.stage,
                    Stage::Refused(_) | Stage::Abandoned | Stage::Closed
                ) =>
            {
                Ok(Some(Part { used: at, ..part }))
            }
            _ => {
                input.advance(at);
                Ok(None)
            }
        }
    }

    fn copy(&mut self, part: &Part, mut to: BytesMut) -> BytesMut {
        append(&mut to, &self.channel.input[part.start..part.end]);
        self.channel.input.advance(part.used);
        to
    }

    /// A part for itself: copied if it is small, else without a copy.
    fn take(&mut self, part: &Part) -> Bytes {
        if part.end - part.start < COPIED {
            return self.copy(part, BytesMut::new()).freeze();
        }
        let input = &mut self.channel.input;
        input.advance(part.start);
        let octets = input.split_to(part.end - part.start);
        input.advance(part.used - part.end);
        octets.freeze()
    }

    fn charge(&self, octets: Bytes) -> Bytes {
        self.memory.charge(octets)
    }

    fn no_memory(&mut self, reply: Reply) -> Error {
        if matches!(self.stage, Stage::Offered | Stage::Open | Stage::Whole(_)) {
            self.stage = Stage::Refused(Some(reply));
        }
        self.refused()
    }

    fn refused(&self) -> Error {
        let (status, text) = match &self.stage {
            Stage::Refused(Some(reply)) if *reply == MAIL_LOOP => (
                Status::Protocol,
                "the message was passed on too often: it goes in circles",
            ),
            Stage::Refused(Some(_)) => (Status::NoMemory, "there is no memory for the message"),
            Stage::Abandoned => (Status::Protocol, "the client has given the message up"),
            Stage::Closed => (
                Status::Protocol,
                "the client was told to go between two chunks of the message",
            ),
            _ => (
                Status::Protocol,
                "the message is refused: it is too big, or has a CR or LF alone",
            ),
        };
        Error::new(status, text)
            .at(Phase::Body)
            .with_peer(self.channel.info.peer())
    }
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
