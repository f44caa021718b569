//! A message on its way through the client's machine: inside DATA, or by BDAT, whole or in chunks.

use mailwire::Outcome;
use mailwire::Status;
use mailwire::proto::client::{Event, TransactionId, TransactionOptions, Transfer};
use mailwire::proto::data::{BareLineEnd, Encoder, LineEnds};
use mailwire::proto::{BodyType, Envelope, chunk};

use super::{Failure, Session};
use crate::client::expectation::{Ending, Report};
use crate::server::Pieces;

/// Octets of a message that leave with its envelope, as in the async client.
const WHOLE: usize = 64 * 1024;

/// Octets of a chunk, at most.
const CHUNK: usize = 256 * 1024;

impl Session {
    pub(super) async fn transact(&mut self, envelope: Envelope, message: &[u8]) -> Report {
        match self.send(envelope, message).await {
            Ok(outcome) => Report {
                ending: Ending::Outcome,
                text: format!("{outcome:?}"),
                phase: None,
                again: None,
                outcome: Some(outcome),
            },
            Err(failure) => {
                // A request that was not taken leaves the connection as it was.
                if self.machine.is_idle() {
                    return self.report(failure, None);
                }
                self.over = true;
                let mut report = self.report(failure, None);
                let lost = self.machine.lost().into_iter().next();
                report.outcome = lost.map(|(_, outcome)| outcome);
                self.pipe.leave();
                report
            }
        }
    }

    async fn send(&mut self, envelope: Envelope, message: &[u8]) -> Result<Outcome, Failure> {
        let refuses = self.setting.option("line_ends") == Some("refuse");
        let line_ends = if refuses {
            LineEnds::Refuse
        } else {
            LineEnds::Normalise
        };
        let lines = self.lines(message, line_ends)?;
        let mut parameters = envelope.parameters().clone();
        parameters.size = parameters.size.or(u64::try_from(lines.len()).ok());
        if !message.is_ascii() {
            parameters.body = parameters.body.or(Some(BodyType::EightBitMime));
        }
        let is_binary = parameters.body == Some(BodyType::BinaryMime);
        self.message = if is_binary { message.to_vec() } else { lines };
        let transfer = self.transfer(is_binary);
        let options = TransactionOptions {
            all_or_nothing: self.setting.is_on("all_or_nothing"),
            transfer,
        };
        // What came unasked must not pass for the reply to what is sent now.
        self.input.extend(self.pipe.take());
        if !self.input.is_empty() {
            self.event().await?;
        }
        self.machine
            .begin(envelope.with_parameters(parameters), options)
            .map_err(|error| Failure::not_now(&error))?;
        let mut chunked = 0;
        loop {
            match self.event().await? {
                Event::SendBody(id) if transfer == Transfer::Data => {
                    self.send_data(id, message, line_ends)?;
                }
                Event::SendBody(id) => self.queue_chunks(id, &mut chunked)?,
                Event::Finished { outcome, .. } => return Ok(outcome),
                _ => return Err(Failure::new(Status::Internal, "no end of a transaction")),
            }
        }
    }

    /// The message as BDAT carries it.
    fn lines(&self, message: &[u8], line_ends: LineEnds) -> Result<Vec<u8>, Failure> {
        let refused = |error: BareLineEnd| Failure::new(Status::InvalidArgument, error.to_string());
        let mut encoder = chunk::Encoder::new(line_ends);
        let mut lines = Vec::new();
        for mut piece in self.cut(message) {
            while let Some(slice) = encoder.encode(&mut piece).map_err(refused)? {
                lines.extend_from_slice(slice);
            }
        }
        lines.extend_from_slice(encoder.finish().map_err(refused)?);
        Ok(lines)
    }

    fn transfer(&self, is_binary: bool) -> Transfer {
        let offered = self.machine.capabilities().has("CHUNKING");
        let octets = self.message.len();
        let whole = u64::try_from(octets).unwrap_or(u64::MAX);
        match self.setting.option("transfer") {
            Some("bdat") if octets <= WHOLE => Transfer::Whole(whole),
            Some("bdat") => Transfer::Chunks,
            Some("data") => Transfer::Data,
            _ if offered && octets <= WHOLE => Transfer::Whole(whole),
            _ if offered && (is_binary || self.machine.pipelining()) => Transfer::Chunks,
            _ => Transfer::Data,
        }
    }

    /// The message in the pieces in which the client has it.
    fn cut<'m>(&self, message: &'m [u8]) -> Vec<&'m [u8]> {
        match self.pieces {
            Pieces::Whole => vec![message],
            Pieces::Octets => message.chunks(1).collect(),
            Pieces::CutAt(place) => {
                let (first, rest) = message.split_at(place % (message.len() + 1));
                vec![first, rest]
            }
        }
    }

    fn send_data(
        &mut self,
        id: TransactionId,
        message: &[u8],
        line_ends: LineEnds,
    ) -> Result<(), Failure> {
        let refused = |error: BareLineEnd| Failure::new(Status::InvalidArgument, error.to_string());
        self.flush();
        let mut encoder = Encoder::new(line_ends);
        for mut piece in self.cut(message) {
            while let Some(slice) = encoder.encode(&mut piece).map_err(refused)? {
                self.pipe.write(slice);
            }
        }
        let end = encoder.finish().map_err(refused)?;
        self.machine
            .end_of_data(id)
            .map_err(|error| Failure::not_now(&error))?;
        self.pipe.write(end);
        Ok(())
    }

    fn queue_chunks(&mut self, id: TransactionId, chunked: &mut usize) -> Result<(), Failure> {
        while self.machine.takes_chunk(id) {
            let left = self.message.len() - *chunked;
            let octets = left.min(CHUNK);
            *chunked += octets;
            let last = octets == left;
            self.machine
                .chunk(id, octets as u64, last)
                .map_err(|error| Failure::not_now(&error))?;
            if last {
                break;
            }
        }
        Ok(())
    }
}
