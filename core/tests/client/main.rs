//! The client against a server that follows a script, through the blocking facade.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(feature = "aws-lc-rs")]
mod advice;
mod auth;
mod calls;
mod connecting;
mod faults;
mod flights;
mod hostile;
mod kept;
mod limits;
mod link;
mod outcomes;
mod parameters;
mod proxy;
mod queue;
mod rate;
mod requests;
mod script;
mod sources;
mod tasks;
mod tls;
mod utf8;

use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::proto::Envelope;
use mailwire::{Delivery, Error, Outcome};
use script::Server;

pub(crate) const MESSAGE: &[u8] = b"Subject: test\r\n\r\n.dots\r\nbody\r\n";

pub(crate) fn options(server: &Server) -> Options {
    let mut options = Options::new();
    options
        .set_server("127.0.0.1", Some(server.port()))
        .unwrap();
    options.set_timeout(Some(Duration::from_secs(60))).unwrap();
    options
}

pub(crate) fn envelope(recipients: &[&str]) -> Envelope {
    Envelope::parse("me@example.org", recipients).unwrap()
}

pub(crate) fn send(options: Options, recipients: &[&str]) -> Result<Outcome, Error> {
    Client::new(options).unwrap().send(
        &envelope(recipients),
        Content::bytes(MESSAGE),
        Call::default(),
    )
}

pub(crate) fn deliveries(outcome: &Outcome) -> Vec<Delivery> {
    outcome
        .recipients()
        .iter()
        .map(mailwire::RecipientOutcome::delivery)
        .collect()
}
