//! What a driver sees of a client: it gives it something to do, and is the server that it speaks with.

use std::time::Duration;

use super::{Composition, Report, Setting};
use crate::case::Script;
use crate::server::{Finish, Said, Unable};

/// A client that cases can be run against.
pub trait Target {
    /// A client that is set as the conversation wants it, and has done nothing yet.
    fn open(&self, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Unable>;

    /// How long to wait for what the client says.
    fn patience(&self) -> Duration;

    /// How long silence has to last to count as such.
    fn silence(&self) -> Duration;
}

/// What a client is told to do.
#[derive(Debug, Clone)]
pub enum Call {
    /// To connect, and to do all that comes before mail.
    Open,
    /// To send a message.
    Send(Box<Composition>),
    /// To send another command: its name, and what stands behind it.
    Ask(String, String),
    /// To say goodbye.
    Quit,
}

/// A client, and the server's end of its connection.
pub trait Wire {
    /// Tells the client what to do. It does it by itself; one thing at a time.
    fn call(&mut self, call: Call);

    /// Tells the client to leave what it does.
    fn cancel(&mut self);

    /// What came of the last call, waiting no longer than this.
    fn result(&mut self, patience: Duration) -> Option<Report>;

    /// Sends octets to the client.
    fn send(&mut self, octets: &[u8]);

    /// What comes from the client, waiting no longer than this.
    fn receive(&mut self, patience: Duration) -> Said;

    /// Does the server's TLS handshake, with the certificate of this name.
    fn start_tls(&mut self, certificate: &str) -> Result<(), String>;

    /// Closes the connection.
    fn close(&mut self, how: Finish);

    /// Waits for another connection, and serves that one from now on. Gives whether one came.
    fn accept(&mut self, patience: Duration) -> bool;

    /// The name that the client has asked for inside of TLS.
    fn server_name(&self) -> Option<String>;

    /// The value of tls-exporter on this connection (RFC 9266), where it has TLS.
    fn exporter(&self) -> Option<[u8; 32]>;
}
