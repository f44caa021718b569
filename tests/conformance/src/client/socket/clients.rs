//! The two clients of ours, each on a thread of its own: what it is told comes over a channel, and so does what came of it.

use std::sync::mpsc as reports;

use mailwire::blocking;
use mailwire::client::{Connection, Content, Options};
use tokio::sync::mpsc;

use super::CutShort;
use crate::client::Call;
use crate::client::expectation::Report;

/// The async client: does one call after the other, until no more come.
pub(super) fn serve(
    options: &Result<Options, String>,
    mut calls: mpsc::UnboundedReceiver<Call>,
    cut_short: &CutShort,
    reports: &reports::Sender<Report>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else {
        return;
    };
    runtime.block_on(async {
        let mut connection = None;
        while let Some(call) = calls.recv().await {
            let report = tokio::select! {
                report = perform(&mut connection, call, options) => report,
                () = cut_short.0.notified() => Report::of(Err("it was cut short".to_owned())),
            };
            if reports.send(report).is_err() {
                break;
            }
        }
    });
}

async fn perform(
    connection: &mut Option<Connection>,
    call: Call,
    options: &Result<Options, String>,
) -> Report {
    let open = match (call, options) {
        (_, Err(error)) => return Report::of(Err(error.clone())),
        (Call::Open, Ok(options)) => {
            let opened = Connection::open(options).await;
            let report = opened.map(|opened| *connection = Some(opened));
            return Report::of_client(report.map(|()| None));
        }
        (call, Ok(_)) => call,
    };
    match (open, connection) {
        (Call::Send(given), Some(connection)) => match given.compose() {
            Ok((envelope, message)) => {
                let sending = connection.send(envelope, Content::bytes(&message));
                Report::of_client(sending.await.map(Some))
            }
            Err(error) => Report::of(Err(error)),
        },
        (Call::Quit, connection) => {
            if let Some(connection) = connection.take() {
                connection.quit().await;
            }
            Report::of(Ok(()))
        }
        (call, _) => Report::of(Err(format!("{call:?} cannot be done here"))),
    }
}

/// The client that keeps its connections: it opens them when it sends.
pub(super) fn keep(
    options: Result<Options, String>,
    mut calls: mpsc::UnboundedReceiver<Call>,
    cut_short: &CutShort,
    reports: &reports::Sender<Report>,
) {
    let client = options
        .and_then(|options| blocking::Client::new(options).map_err(|error| error.to_string()));
    while let Some(call) = calls.blocking_recv() {
        let report = match (&client, call) {
            (Ok(client), Call::Send(given)) => match given.compose() {
                Ok(composed) => {
                    let how = blocking::Call {
                        cancel: Some(&cut_short.1),
                        ..blocking::Call::default()
                    };
                    let (envelope, message) = composed;
                    let sent = client.send(&envelope, Content::bytes(&message), how);
                    Report::of_client(sent.map(Some))
                }
                Err(error) => Report::of(Err(error)),
            },
            (Ok(_), call) => Report::of(Err(format!("{call:?} cannot be done here"))),
            (Err(error), _) => Report::of(Err(error.clone())),
        };
        if reports.send(report).is_err() {
            break;
        }
    }
}
