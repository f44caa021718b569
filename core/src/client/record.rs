//! What a connection tells its transcript: the lines that left and came, and how much of a message went between them.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::spans::Messages;
use super::{Connection, Options};
use crate::error::{Error, Phase};
use crate::proto::client::Outgoing;
use crate::proto::limits;
use crate::transcript::{Kind, Recorder, Session, Side};

/// Who is told what happens in sessions, if anybody is.
#[derive(Clone, Default)]
pub(super) struct Transcript(Option<Arc<dyn Recorder>>);

/// The session of one connection, and what is known of a command line that has not left whole.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) session: Session,
    pub(super) messages: Messages,
    /// What anybody may see of it.
    line: Vec<u8>,
    /// Octets of it that nobody may.
    hidden: usize,
}

impl Options {
    /// Tells `recorder` what happens in every session, from the first address that is tried: see [`transcript`](crate::transcript) for
    /// what is told, and what is not. It is called on the thread that drives the connection. `None`: nobody is told, which is the
    /// default and costs nothing.
    pub fn set_transcript(&mut self, recorder: Option<Arc<dyn Recorder>>) {
        self.transcript = Transcript(recorder);
    }

    pub(super) fn begin_session(&self, peer: &str) -> Session {
        Session::begin(self.transcript.0.as_ref(), Side::Client, peer)
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript(recorded: {})", self.0.is_some())
    }
}

impl From<Session> for Record {
    fn from(session: Session) -> Self {
        Self {
            session,
            ..Self::default()
        }
    }
}

impl Connection {
    /// So many octets were handed to the transport: of a message inside DATA, which has `ended` with them or not, and then of what the
    /// machine has to send. It has not been told yet.
    #[inline]
    pub(super) fn note_written(&mut self, body: usize, ended: bool, commands: usize) {
        if self.record.session.wants_lines() {
            self.write_down(body, ended, commands);
        }
    }

    #[cold]
    fn write_down(&mut self, body: usize, ended: bool, mut left: usize) {
        let session = &self.record.session;
        if body > 0 {
            session.message(body as u64);
            // With other octets of a message nothing has ended yet.
            if ended && self.machine.waiting_for() == Some(Phase::EndOfData) {
                session.not_of_message(".\r\n".len() as u64);
                session.note(|| Kind::line(Side::Client, ".".to_owned(), 0));
            }
        }
        let mut lines = Vec::new();
        for outgoing in self.machine.outgoing() {
            let octets = match outgoing {
                Outgoing::Commands(octets) | Outgoing::Secret { line: octets, .. } => octets.len(),
                Outgoing::Body { octets, .. } => usize::try_from(octets).unwrap_or(usize::MAX),
            };
            let sent = octets.min(left);
            match outgoing {
                Outgoing::Commands(octets) => {
                    self.record.line.extend_from_slice(&octets[..sent]);
                    while let Some(end) = self.record.line.iter().position(|&o| o == b'\n') {
                        let rest = self.record.line.split_off(end + 1);
                        let line = std::mem::replace(&mut self.record.line, rest);
                        lines.push((line, 0));
                    }
                }
                Outgoing::Secret { line, shown } => {
                    let shown = shown.min(sent);
                    self.record.line.extend_from_slice(&line[..shown]);
                    self.record.hidden += sent - shown;
                    if sent == line.len() {
                        let hidden = std::mem::take(&mut self.record.hidden);
                        let line = std::mem::take(&mut self.record.line);
                        lines.push((line, hidden.saturating_sub("\r\n".len())));
                    }
                }
                Outgoing::Body { .. } => {
                    self.note_sent(&mut lines);
                    self.record.session.message(sent as u64);
                }
            }
            left -= sent;
            if left == 0 {
                break;
            }
        }
        self.note_sent(&mut lines);
    }

    fn note_sent(&self, lines: &mut Vec<(Vec<u8>, usize)>) {
        for (line, hidden) in lines.drain(..) {
            let line = line.strip_suffix(b"\r\n").unwrap_or(&line);
            // Between the mechanism's name and what is hidden.
            let line = line
                .strip_suffix(b" ")
                .filter(|_| hidden > 0)
                .unwrap_or(line);
            let text = self.machine.readable(line);
            let note = || Kind::line(Side::Client, text, hidden);
            self.record.session.note(note);
        }
    }

    /// Reading or writing has failed.
    pub(super) fn note_fault(&self, error: &io::Error) {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        if let UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe = error.kind() {
            self.record.session.closed_by_peer();
        }
    }

    /// So many octets of what was received were taken.
    #[inline]
    pub(super) fn note_received(&self, used: usize) {
        if self.record.session.wants_lines() && used > 0 {
            self.read_down(used);
        }
    }

    #[cold]
    fn read_down(&self, used: usize) {
        let octets = self.leftover().get(..used).unwrap_or_default();
        for line in octets.split_inclusive(|&octet| octet == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            // A challenge of AUTH, which has no other code: passwords can be tried against it.
            let shown = if line.starts_with(b"334") {
                "334".len()
            } else {
                // No reply has such a line: it is what has ended the session.
                line.len().min(limits::REPLY_LINE)
            };
            let (shown, hidden) = line.split_at(shown);
            let hidden = hidden.strip_prefix(b" ").unwrap_or(hidden).len();
            let text = self.machine.readable(shown);
            let note = || Kind::line(Side::Server, text, hidden);
            self.record.session.note(note);
        }
    }
}

/// The error of a session that has no connection, with its peer. It is told to the session.
pub(super) fn not_opened(session: &Session, peer: &str) -> impl FnOnce(Error) -> Error {
    move |error| {
        let error = error.with_peer(peer);
        session.note(|| Kind::failed(&error));
        error
    }
}
