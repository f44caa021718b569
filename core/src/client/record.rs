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
            let (mut text, mut hidden) = (String::new(), line.len());
            // Half a line may end with half a secret, which would not be found.
            if let Some(line) = line.strip_suffix(b"\n") {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                // A challenge of AUTH, which has no other code: passwords can be tried against it.
                let shown = if line.starts_with(b"334") {
                    "334".len()
                } else {
                    line.len()
                };
                let (shown, challenge) = line.split_at(shown);
                text = self.machine.readable(shown);
                // No reply has such a line: it is what has ended the session.
                let mut end = text.len().min(limits::REPLY_LINE);
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                let rest = challenge.strip_prefix(b" ").unwrap_or(challenge);
                hidden = rest.len() + text.split_off(end).len();
            }
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::super::connection::tests::pair;
    use super::*;
    use crate::proto::client::Hello;
    use crate::sasl::{ClientContext, ClientExchange, Credentials, Mechanism, Secret};
    use crate::transcript::Buffer;

    /// A connection that is recorded, and its other end.
    async fn recorded() -> (Connection, tokio::net::UnixStream, Buffer) {
        let buffer = Buffer::new(1000);
        let recorder: Arc<dyn Recorder> = Arc::new(buffer.clone());
        let (mut connection, other) = pair().await;
        connection.record = Session::begin(Some(&recorder), Side::Client, "a:25").into();
        connection.machine.conceal(&Secret::new("correct-horse"));
        (connection, other, buffer)
    }

    fn notes(buffer: &Buffer) -> Vec<String> {
        let events = buffer.take().into_iter();
        let notes = events.map(|event| event.to_string().split_once(' ').unwrap().1.to_owned());
        notes.filter(|note| !note.starts_with('*')).collect()
    }

    /// What the server has said is taken.
    async fn hear(connection: &mut Connection, other: &mut tokio::net::UnixStream, said: &str) {
        other.write_all(said.as_bytes()).await.unwrap();
        connection.read().await.unwrap();
        while connection.take_step().unwrap().is_some() {}
    }

    #[tokio::test]
    async fn octet_by_octet_the_same_is_noted_and_nothing_that_is_hidden() {
        let (mut connection, mut other, buffer) = recorded().await;
        hear(&mut connection, &mut other, "220 a.example\r\n").await;
        let name = "client.example".parse().unwrap();
        connection.machine.hello(Hello::Ehlo, &name).unwrap();
        let sent = |connection: &mut Connection| {
            while connection.machine.has_output() {
                connection.note_written(0, false, 1);
                connection.machine.sent(1);
            }
        };
        sent(&mut connection);
        hear(&mut connection, &mut other, "250-a\r\n250 AUTH PLAIN\r\n").await;
        let credentials = Credentials::new("tim", "correct-horse").unwrap();
        let context = ClientContext::default();
        let login = ClientExchange::new(Mechanism::Plain, &credentials, &context).unwrap();
        connection.machine.auth(login).unwrap();
        sent(&mut connection);
        hear(&mut connection, &mut other, "235 ok\r\n").await;
        connection.machine.noop().unwrap();
        sent(&mut connection);
        assert_eq!(
            notes(&buffer),
            [
                "S: 220 a.example",
                "C: EHLO client.example",
                "S: 250-a",
                "S: 250 AUTH PLAIN",
                "C: AUTH PLAIN [24 octets hidden]",
                "S: 235 ok",
                "C: NOOP",
            ]
        );
    }

    #[tokio::test]
    async fn of_a_line_that_is_not_whole_or_too_long_nothing_is_shown_that_may_be_secret() {
        let (mut connection, mut other, buffer) = recorded().await;
        let long = "x".repeat(limits::REPLY_LINE - 8);
        let longer = "xä".repeat(limits::REPLY_LINE / 2);
        let said = format!("220-{long}correct-horse\r\n{longer}\r\n220 correct-ho");
        other.write_all(said.as_bytes()).await.unwrap();
        while connection.leftover().len() < said.len() {
            connection.read().await.unwrap();
        }
        assert!(connection.take_step().is_err());
        assert_eq!(
            notes(&buffer),
            [
                format!("S: 220-{long}***"),
                // 3 octets for each two letters, and no half of one.
                format!(
                    "S: {} [{} octets hidden]",
                    &longer[..8191],
                    longer.len() - 8191
                ),
                "S: [14 octets hidden]".to_owned()
            ]
        );
    }
}
