//! A message whose bare CRs and LFs become CRLFs, where the server is set to that.
//!
//! It happens behind the decoders, which find the end of the message: by the octets that came, and not by what they become.

use super::connection::{Owed, Step};
use super::{Config, Connection, Event, replies};
use crate::proto::chunk::Encoder;
use crate::proto::data::LineEnds;

/// Makes line ends canonical, a slice at a time.
#[derive(Debug)]
pub(super) struct Normaliser {
    encoder: Encoder,
    /// Octets at the start of the input that a decoder has handed out already.
    pending: usize,
    /// Octets of the message as it becomes.
    len: u64,
    /// The end of the message, held back for its last line end.
    end: Option<(Owed, u64)>,
}

impl Config {
    /// For a message that is in lines, if its line ends are to be changed.
    pub(super) fn normaliser(&self, binary: bool) -> Option<Box<Normaliser>> {
        (self.line_ends == LineEnds::Normalise && !binary).then(|| {
            Box::new(Normaliser {
                encoder: Encoder::new(LineEnds::Normalise),
                pending: 0,
                len: 0,
                end: None,
            })
        })
    }
}

impl Normaliser {
    /// The next slice of `piece`, if there is one, and how much of it was taken.
    fn encode<'a>(&mut self, piece: &'a [u8]) -> (usize, Option<&'a [u8]>) {
        let mut rest = piece;
        // Normalising never fails.
        let slice = self.encoder.encode(&mut rest).unwrap_or_default();
        self.len += slice.map_or(0, <[u8]>::len) as u64;
        (piece.len() - rest.len(), slice)
    }
}

impl Connection {
    /// A step of a message by DATA or BDAT.
    pub(super) fn normalised<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        if let Some(normaliser) = &mut self.normaliser
            && normaliser.pending > 0
        {
            let (used, slice) = normaliser.encode(&input[..normaliser.pending]);
            normaliser.pending -= used;
            return slice.map_or(Step::Continue(used), |slice| {
                Step::Event(used, Event::Body(slice))
            });
        }
        let step = match self.state {
            super::connection::State::Chunk(_) => self.chunk(input),
            _ => self.body(input),
        };
        match (step, &mut self.normaliser) {
            // A CR that the decoder had withheld: it stays withheld until its successor is known.
            (Step::Event(0, Event::Body(piece)), Some(normaliser)) => {
                normaliser.encode(piece);
                Step::Continue(0)
            }
            (Step::Event(used, Event::Body(piece)), Some(normaliser)) => {
                normaliser.pending = piece.len();
                Step::Continue(used - piece.len())
            }
            (Step::Event(used, Event::EndOfData { .. }), Some(_)) => {
                Step::Event(used, self.normalised_end())
            }
            (step, _) => step,
        }
    }

    /// The end of a message, or the line end in front of it.
    fn normalised_end<'a>(&mut self) -> Event<'a> {
        let Some(mut normaliser) = self.normaliser.take() else {
            return Event::Discarded;
        };
        let tail = normaliser.encoder.finish().unwrap_or_default();
        let size = match normaliser.len {
            // A message of no octets has no line either.
            0 => 0,
            len => len + tail.len() as u64,
        };
        if self.is_too_big(size) {
            self.owed = Owed::Nothing;
            self.refuse_message(replies::TOO_BIG);
            self.transaction = None;
            self.say_farewell();
            return Event::Discarded;
        }
        if tail.is_empty() {
            return Event::EndOfData { size };
        }
        normaliser.end = Some((std::mem::take(&mut self.owed), size));
        self.normaliser = Some(normaliser);
        Event::Body(tail)
    }

    /// The end that was held back.
    pub(super) fn held_end<'a>(&mut self) -> Option<Event<'a>> {
        let (owed, size) = self.normaliser.as_mut()?.end.take()?;
        self.normaliser = None;
        self.owed = owed;
        Some(Event::EndOfData { size })
    }
}
