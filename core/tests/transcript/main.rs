//! Whole sessions as their transcripts show them, and that no secret is in any of it: through both clients, against a server that
//! does as it is told.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod forms;
mod logins;
mod secrets;
mod server;
mod sessions;
#[cfg(feature = "tracing")]
mod spans;

use std::sync::Arc;
use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::proto::Envelope;
use mailwire::tls::{ClientTls, Roots, TlsPolicy};
use mailwire::transcript::{Buffer, Event, Kind};
use mailwire::{Error, Outcome};

use server::Server;

pub(crate) const MESSAGE: &[u8] = b"Subject: test\r\n\r\n.dots\r\nbody\r\n";

/// Options for a server, and where its sessions are recorded.
pub(crate) fn recorded(server: &Server) -> (Options, Buffer) {
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(server.port)).unwrap();
    options.set_local_hostname("client.example").unwrap();
    options.set_timeout(Some(Duration::from_secs(20))).unwrap();
    options.set_tls_name("localhost").unwrap();
    options.set_tls(TlsPolicy::None);
    let roots = Roots::Only(vec![server.root.clone()]);
    options.set_client_tls(ClientTls::new().with_roots(&roots).unwrap());
    let buffer = Buffer::new(1000);
    options.set_transcript(Some(Arc::new(buffer.clone())));
    (options, buffer)
}

pub(crate) fn envelope(recipients: &[&str]) -> Envelope {
    Envelope::parse("me@example.org", recipients).unwrap()
}

/// Sends one message and says goodbye.
pub(crate) fn send(options: &Options, recipients: &[&str]) -> Result<Outcome, Error> {
    let client = Client::new(options.clone()).unwrap();
    client.send(
        &envelope(recipients),
        Content::bytes(MESSAGE),
        Call::default(),
    )
}

/// An event as a note, without what differs from run to run: time, number, port and cipher.
pub(crate) fn note(event: &Event) -> String {
    let who = match event.from() {
        Some(from) => from.name()[..1].to_uppercase(),
        None => "*".to_owned(),
    };
    let what = match event.kind() {
        Kind::TlsEstablished {
            cipher, version, ..
        } => event
            .kind()
            .to_string()
            .replace(cipher, "CIPHER")
            .replace(version.name(), "TLS"),
        kind => kind.to_string(),
    };
    let mut note = format!("{who} {what}");
    while let Some(at) = note.find("127.0.0.1:") {
        let digits = note[at + 10..].bytes().take_while(u8::is_ascii_digit);
        let end = at + 10 + digits.count();
        note.replace_range(at..end, "ADDRESS");
    }
    note
}

/// The notes of all that was recorded, a line for each.
pub(crate) fn notes(buffer: &Buffer) -> String {
    let notes: Vec<String> = buffer.events().iter().map(note).collect();
    notes.join("\n")
}

/// Compares notes with lines that are indented.
#[track_caller]
pub(crate) fn assert_notes(buffer: &Buffer, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    let expected = expected.join("\n");
    assert_eq!(notes(buffer), expected.trim(), "\n{}", notes(buffer));
}
