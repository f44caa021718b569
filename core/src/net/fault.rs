//! Failures of reading and writing, as errors of ours.

use std::io;

use crate::error::{Error, Phase, Status};
use crate::tls::{rustls_error, session_fault};

/// Reading or writing failed in `phase`, on a connection to a `peer` ("server" or "client").
pub(crate) fn io_fault(error: io::Error, phase: Phase, peer: &str) -> Error {
    let (status, text) = if let Some(tls) = rustls_error(&error) {
        (Status::Tls, session_fault(tls, peer))
    } else {
        match error.kind() {
            // rustls says UnexpectedEof where a peer hung up without a close_notify.
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::WriteZero
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => (
                Status::ConnectionLost,
                format!("the {peer} closed the connection"),
            ),
            io::ErrorKind::ConnectionReset => (
                Status::ConnectionLost,
                format!("the {peer} reset the connection"),
            ),
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => (
                Status::ConnectionLost,
                format!("the network to the {peer} was lost: {error}"),
            ),
            _ => (Status::Io, format!("the connection failed: {error}")),
        }
    };
    Error::new(status, text).at(phase).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_and_broken_tls_are_told_apart() {
        let lost = io_fault(io::Error::from_raw_os_error(104), Phase::Data, "server");
        assert_eq!(lost.status(), Status::ConnectionLost);
        assert_eq!(lost.phase(), Some(Phase::Data));
        assert_eq!(lost.os_errno(), Some(104));
        let tls = io_fault(
            io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError),
            Phase::Data,
            "server",
        );
        assert_eq!(tls.status(), Status::Tls);
        let other = io_fault(io::ErrorKind::OutOfMemory.into(), Phase::Data, "server");
        assert_eq!(other.status(), Status::Io);
    }
}
