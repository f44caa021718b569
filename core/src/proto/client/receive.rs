//! Bytes in and out: lines are found in what the driver lends, replies are gathered, and what TLS changes is forgotten.

use std::io::IoSlice;

use super::{Answers, Connection, Event, Outgoing, Stage, TransactionId};
use crate::outcome::Outcome;
use crate::proto::{
    Capabilities, Found, LineFinder, Need, Progress, ReplyGatherer, TlsInfo, Violation, limits,
};

/// Where replies are put together. It holds no bytes but those of the reply it is at.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    lines: LineFinder,
    pub(super) gatherer: ReplyGatherer,
    /// Whether the gatherer holds the first lines of a reply.
    in_reply: bool,
    /// Whether bytes were seen that came while no reply was owed: the next reply cannot answer a command queued since.
    pub(super) surplus: bool,
}

impl Connection {
    /// Takes bytes from the server. The first `used` of them are done with; the rest is to be lent again, with what comes
    /// next behind it.
    ///
    /// Lend what is left before any new command is queued. A violation ends the connection: close it, and ask
    /// [`lost`](Self::lost) what became of the transactions.
    pub fn receive(&mut self, input: &[u8]) -> Result<Progress<Event>, Violation> {
        let progress = self.take_lines(input);
        match &progress {
            Err(_) => self.close(),
            Ok(Progress::Event { used, .. } | Progress::Need { used, .. }) => {
                // Conformance C053: what comes while nothing is owed must not pass for the answer to the next command, which may be
                // queued already by the reply in front of it.
                let sent = self.outbox.sent_in_all();
                let nothing_owed = self.awaited.front().is_none_or(|oldest| oldest.end > sent);
                self.inbox.surplus |= nothing_owed && (*used < input.len() || self.inbox.in_reply);
            }
        }
        progress
    }

    fn take_lines(&mut self, input: &[u8]) -> Result<Progress<Event>, Violation> {
        let mut used = 0;
        loop {
            match self.stage {
                Stage::Closed => {
                    let used = input.len();
                    return Ok(Progress::Need {
                        used,
                        need: Need::Close,
                    });
                }
                // RFC 3207 section 4.2: what was in clear behind the 220 is neither kept nor passed over.
                Stage::Handshake if used < input.len() => {
                    return Err(Violation::BytesBehindStartTls);
                }
                Stage::Handshake => {
                    return Ok(Progress::Need {
                        used,
                        need: Need::Tls,
                    });
                }
                Stage::Greeting | Stage::Unwelcome | Stage::Greeted | Stage::Ready => {}
            }
            let rest = &input[used..];
            let limit = self.longest_line();
            match self.inbox.lines.find(rest, limit, limit) {
                Found::Line { len, used: line } => {
                    used += line;
                    let last = self.inbox.gatherer.add(&rest[..len]);
                    let last = last.map_err(|violation| self.hide_in(violation))?;
                    self.inbox.in_reply = last.is_none();
                    if let Some(code) = last
                        && let Some(event) = self.take_reply(code)?
                    {
                        return Ok(Progress::Event { used, event });
                    }
                }
                Found::More { used: skipped } => {
                    used += skipped;
                    return Ok(Progress::Need {
                        used,
                        need: Need::More,
                    });
                }
                Found::TooLong { .. } | Found::Endless => return Err(Violation::ReplyLineTooLong),
            }
        }
    }

    /// The octets that the next line may have: a challenge is longer than other replies (RFC 4954 section 4).
    fn longest_line(&self) -> usize {
        match self.awaited.front().map(|oldest| oldest.what) {
            Some(Answers::Auth) => "334 ".len() + limits::AUTH_LINE,
            _ => limits::REPLY_LINE,
        }
    }

    /// What is to be sent now, as slices for a vectored write, up to the first octet of a chunk. Tell [`sent`](Self::sent)
    /// how much of it went out.
    pub fn transmit(&mut self) -> impl Iterator<Item = IoSlice<'_>> {
        Some(self.outbox.pending())
            .filter(|pending| !pending.is_empty())
            .map(IoSlice::new)
            .into_iter()
    }

    /// All that is to be sent now, with the places where octets of messages go: for a driver that uses BDAT. What it gives can
    /// be written at once, from the front. Tell [`sent`](Self::sent) how much of it went out.
    pub fn outgoing(&self) -> impl Iterator<Item = Outgoing<'_>> {
        self.outbox.outgoing()
    }

    /// Takes note that the first `n` octets of what [`transmit`](Self::transmit) or [`outgoing`](Self::outgoing) gave were
    /// handed to the transport.
    pub fn sent(&mut self, n: usize) {
        self.outbox.sent(n);
    }

    /// Whether there is something to send.
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The TLS handshake that [`Need::Tls`] asked for is done. Forgets all that was learnt in clear (RFC 3207 section 4.2):
    /// a new hello is needed. `leftover` is what was read in clear and not used; there must be none.
    pub fn secured(&mut self, leftover: &[u8], tls: TlsInfo) -> Result<(), Violation> {
        if !leftover.is_empty() {
            self.close();
            return Err(Violation::BytesBehindStartTls);
        }
        self.capabilities = Capabilities::default();
        self.pipelining = false;
        self.authenticated = false;
        self.open = false;
        self.inbox.surplus = false;
        self.tls = Some(tls);
        if matches!(self.stage, Stage::Handshake | Stage::Ready) {
            self.stage = Stage::Greeted;
        }
        Ok(())
    }

    /// The connection is gone, or is given up: what became of every transaction that was not finished.
    ///
    /// Recipients that a reply had decided keep that. Of a transaction whose [`end_of_data`](Self::end_of_data) was called, or
    /// whose last chunk was sent to its last octet, the others are [`Unknown`](crate::Delivery::Unknown); of any other,
    /// [`NotTried`](crate::Delivery::NotTried).
    pub fn lost(&mut self) -> Vec<(TransactionId, Outcome)> {
        self.close();
        let sent = self.outbox.sent_in_all();
        self.transactions
            .drain(..)
            .map(|mut transaction| {
                transaction.lose(sent);
                (transaction.id(), transaction.into_outcome())
            })
            .collect()
    }
}
