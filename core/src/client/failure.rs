//! What goes wrong on a connection, as errors that say where, and what to try. Each is told to the transcript too.

use std::io;

use super::Connection;
use crate::error::{Error, Phase, Status};
use crate::net;
use crate::proto::Violation;
use crate::transcript::Kind;

/// Why a read or a write did not happen.
pub(super) enum Fault {
    Late(Error),
    Io(io::Error),
}

impl Connection {
    /// Adds where it happened to an error of this connection.
    pub(crate) fn fail(&self, error: Error) -> Error {
        self.record.session.note(|| Kind::failed(&error));
        error
            .with_peer(self.peer.clone())
            .with_address(self.address)
            .with_tls(self.tls().cloned())
    }

    pub(super) fn violation(&self, violation: &Violation) -> Error {
        self.note_received(self.leftover().len());
        let phase = match violation {
            // The handshake is what comes next, and was not begun.
            Violation::BytesBehindStartTls => Phase::StartTls,
            _ => self.phase(),
        };
        let hint = match violation {
            Violation::NotAReply(_) if phase == Phase::Greeting => {
                if self.lacks_tls_of_its_port() {
                    BEGINS_WITH_TLS
                } else {
                    "; is this an SMTP port, and does it speak TLS from the start (smtps://)?"
                }
            }
            Violation::BytesBehindStartTls => {
                ": another port may be safe from that (smtps:// is 465)"
            }
            _ => "",
        };
        self.fail(
            Error::new(Status::Protocol, format!("{violation}{hint}"))
                .at(phase)
                .with_source(violation.clone()),
        )
    }

    /// The connection broke below SMTP, or a limit of time passed.
    pub(super) fn fault(&self, phase: Phase, fault: Fault) -> Error {
        let error = match fault {
            Fault::Late(error) => error,
            Fault::Io(error) => {
                self.note_fault(&error);
                net::io_fault(error, phase, "server")
            }
        };
        let hint = match (error.status(), phase) {
            (Status::ConnectionLost | Status::Timeout, Phase::Greeting)
                if self.lacks_tls_of_its_port() =>
            {
                BEGINS_WITH_TLS
            }
            (Status::ConnectionLost, Phase::Greeting) if self.tls.is_none() => {
                " without a greeting: it may refuse this host, or expect TLS from the start (smtps://)"
            }
            (Status::ConnectionLost, Phase::Greeting) => {
                " without a greeting: it may refuse this host, or be overloaded; try again later"
            }
            (Status::Timeout, Phase::Greeting) if self.tls.is_none() => {
                ": no greeting came, as from a server that is overloaded, or that expects TLS from the start (smtps://)"
            }
            (Status::Timeout, Phase::Greeting) => {
                ": no greeting came; the server may be overloaded, try again later"
            }
            (
                Status::ConnectionLost | Status::Timeout,
                Phase::Hello | Phase::StartTls | Phase::Auth,
            ) => "; try again later",
            // What it means for the message is told with it.
            _ => "",
        };
        self.fail(error.with_more(hint))
    }

    /// Whether nothing is said in TLS on a port where all is. The providers have no other such port.
    fn lacks_tls_of_its_port(&self) -> bool {
        self.tls.is_none() && self.options.port() == Some(SMTPS)
    }
}

/// The port of submission under TLS (RFC 8314 section 3.3).
const SMTPS: u16 = 465;

const BEGINS_WITH_TLS: &str =
    ": this port speaks TLS from the start, use smtps:// (tls=implicit) there";
