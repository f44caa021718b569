//! Message text on its way out, in the form that DATA and BDAT share: in lines, without a bare CR or LF.

use super::{CR, LF, first_bare_line_end, first_notable};

pub(super) const CRLF: &[u8] = b"\r\n";

/// What to do with a CR or LF on its own, which no message may hold on the wire (RFC 5321 section 2.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnds {
    /// Send a CRLF for it. Right for text, whatever system it was written on.
    Normalise,
    /// Refuse it. Right for messages that must arrive as they are, such as signed ones.
    Refuse,
}

/// A CR without LF or an LF without CR, in a message that was to be sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bare CR or LF at octet {offset} of the message")]
pub struct BareLineEnd {
    /// Where it stands, in octets from the start of the message as it was given.
    pub offset: u64,
}

/// What the encoders of DATA and BDAT have in common. `STUFFED` tells whether a dot at the start of a line is doubled, as DATA
/// needs it and BDAT must not have it.
#[derive(Debug, Clone)]
pub(in crate::proto) struct Canonical<const STUFFED: bool> {
    line_ends: LineEnds,
    state: State,
    /// Octets of the message taken so far.
    taken: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of the message or behind a CRLF.
    LineStart,
    /// Inside a line.
    Text,
    /// A piece ended with a CR, which was taken and not sent: the next octet says what it is.
    HeldCr,
}

impl<const STUFFED: bool> Canonical<STUFFED> {
    /// At the start of a message.
    pub(in crate::proto) fn new(line_ends: LineEnds) -> Self {
        Self {
            line_ends,
            state: State::LineStart,
            taken: 0,
        }
    }

    /// The next slice to send for `rest`, which is moved on behind what was taken. `None` once all of it was. A CR at its end is
    /// held back until its successor is known.
    pub(in crate::proto) fn encode<'a>(
        &mut self,
        rest: &mut &'a [u8],
    ) -> Result<Option<&'a [u8]>, BareLineEnd> {
        let text = *rest;
        let Some(&first) = text.first() else {
            return Ok(None);
        };
        let slice = match (self.state, first) {
            (State::HeldCr, LF) => {
                self.take(rest, 1, State::LineStart);
                CRLF
            }
            (State::HeldCr, _) => self.line_end_for_bare(rest, 0)?,
            // RFC 5321 section 4.5.2. Both dots go out at once, so that no way of stopping in between can leave one alone.
            (State::LineStart, b'.') if STUFFED => {
                self.take(rest, 1, State::Text);
                b".."
            }
            // The CR of a CRLF would have been taken with it.
            (_, LF) => self.line_end_for_bare(rest, 1)?,
            (_, CR) if text.len() == 1 => {
                self.take(rest, 1, State::HeldCr);
                return Ok(None);
            }
            (_, CR) if text[1] != LF => self.line_end_for_bare(rest, 1)?,
            _ => {
                let run = Self::clean_run(text);
                let state = if run.ends_with(CRLF) {
                    State::LineStart
                } else {
                    State::Text
                };
                self.take(rest, run.len(), state);
                run
            }
        };
        Ok(Some(slice))
    }

    /// The end of the message: whether a CRLF is still to be sent, as the last line has none. After this a message can begin.
    pub(in crate::proto) fn finish(&mut self) -> Result<bool, BareLineEnd> {
        let unfinished = match self.state {
            State::LineStart => false,
            State::HeldCr if self.line_ends == LineEnds::Refuse => return Err(self.bare(0)),
            // A held CR becomes the CRLF.
            State::Text | State::HeldCr => true,
        };
        *self = Self::new(self.line_ends);
        Ok(unfinished)
    }

    /// CRLF, or the error, for a bare CR or LF. It is the first octet of `rest`, or the held one if `width` is 0.
    fn line_end_for_bare(
        &mut self,
        rest: &mut &[u8],
        width: usize,
    ) -> Result<&'static [u8], BareLineEnd> {
        match self.line_ends {
            LineEnds::Refuse => Err(self.bare(width)),
            LineEnds::Normalise => {
                self.take(rest, width, State::LineStart);
                Ok(CRLF)
            }
        }
    }

    fn bare(&self, width: usize) -> BareLineEnd {
        BareLineEnd {
            offset: self.taken + width as u64 - 1,
        }
    }

    fn take(&mut self, rest: &mut &[u8], count: usize, state: State) {
        *rest = &rest[count..];
        self.taken += count as u64;
        self.state = state;
    }

    /// What can be sent as it is, of a text that does not begin with a bare CR or LF, a CR at its end, or a dot to be doubled:
    /// up to the next of these.
    fn clean_run(text: &[u8]) -> &[u8] {
        let next = if STUFFED {
            first_notable(text)
        } else {
            first_bare_line_end(text)
        };
        match next {
            Some(at) if text[at] == CR => &text[..at],
            Some(at) => &text[..=at],
            None => text.strip_suffix(b"\r").unwrap_or(text),
        }
    }
}
