//! What a driver sees of a server: a wire, and perhaps what its application has seen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Setting;
use crate::case::Script;
use crate::template::Names;

/// A server that cases can be run against.
pub trait Target {
    /// A new connection to a server that is set as the conversation wants it.
    fn open(&self, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Unable>;

    /// What the names in cases stand for: `rcpt`, `sender`, `domain`, `unknown`, `elsewhere`, `user`, `password`, `size`.
    fn names(&self, setting: &Setting) -> Names;

    /// Whether the server and its application are ours: then everything has to be just as written.
    fn is_ours(&self) -> bool;

    /// How long to wait for a reply.
    fn patience(&self) -> Duration;

    /// How long silence has to last to count as such.
    fn silence(&self) -> Duration;
}

/// Why a conversation cannot be begun.
#[derive(Debug)]
pub enum Unable {
    /// It makes no sense with this server.
    Inconclusive(String),
    /// It should have been possible.
    Broken(String),
}

/// One connection.
pub trait Wire {
    /// Sends these octets in one write.
    fn send(&mut self, octets: &[u8]);

    /// Sends octets below TLS.
    fn send_in_clear(&mut self, octets: &[u8]);

    /// What comes, waiting no longer than this.
    fn receive(&mut self, patience: Duration) -> Said;

    /// Does the client's TLS handshake.
    fn start_tls(&mut self) -> Result<(), String>;

    /// Sends no more. What comes can still be read.
    fn finish(&mut self, how: Finish);

    /// The value of tls-exporter on this connection (RFC 9266), where it has TLS.
    fn exporter(&self) -> Option<[u8; 32]>;

    /// What the application has seen of this connection, where it can be known.
    fn journal(&self) -> Option<Journal>;
}

/// How a client says that it sends no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// As it should be: TLS, if it is up, and TCP.
    Both,
    /// TLS alone; octets below it could still be sent.
    Tls,
    /// TCP alone, so that what was sent over TLS is cut off.
    Tcp,
}

/// What came over a wire.
#[derive(Debug)]
pub enum Said {
    /// Octets.
    Octets(Vec<u8>),
    /// Nothing in the time.
    Nothing,
    /// The end of the connection.
    End,
}

/// What an application has seen of one connection. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Note>>>);

/// Something that an application has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A message that it took.
    Message(Vec<u8>),
    /// Something that it was told.
    Told(String),
}

impl Journal {
    /// Writes down what was seen.
    pub fn write(&self, note: Note) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(note);
    }

    /// Writes down what was told.
    pub fn told(&self, what: impl Into<String>) {
        self.write(Note::Told(what.into()));
    }

    /// All that was seen.
    pub fn notes(&self) -> Vec<Note> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
