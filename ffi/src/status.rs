//! Statuses and phases: numbers that are the same in every language, with their names and texts.

use std::ffi::{CStr, c_char};

/// How a call went: MAILWIRE_OK, MAILWIRE_END or one of MAILWIRE_ERR_... Expect values that you do not know; their range tells
/// what they are about.
///
/// 1 to 99 wrong use, 100 to 199 this machine and the network, 200 to 299 TLS, 300 to 399 AUTH, 400 to 499 the server said 4yz,
/// 500 to 599 the server said 5yz, 600 to 699 the peer broke the protocol, 700 to 799 mixed results, 900 a defect.
pub type mailwire_status = i32;

/// The call did what it was asked to.
pub const MAILWIRE_OK: mailwire_status = 0;
/// An argument is not acceptable; the message names it. Nothing was sent.
pub const MAILWIRE_ERR_INVALID_ARGUMENT: mailwire_status = 1;
/// The call does not fit the state of the object, or another call is using it.
pub const MAILWIRE_ERR_MISUSE: mailwire_status = 2;
/// A callback called back into the object that was calling it.
pub const MAILWIRE_ERR_REENTRANT: mailwire_status = 3;
/// The object was made before a fork and is used in the child.
pub const MAILWIRE_ERR_FORKED: mailwire_status = 4;
/// The object was closed or shut down.
pub const MAILWIRE_ERR_CLOSED: mailwire_status = 5;
/// The queue of events has ended, because the server was shut down.
pub const MAILWIRE_END: mailwire_status = 6;
/// Reading or writing failed below SMTP.
pub const MAILWIRE_ERR_IO: mailwire_status = 100;
/// The host name could not be resolved.
pub const MAILWIRE_ERR_DNS: mailwire_status = 101;
/// A time limit passed; the phase says which.
pub const MAILWIRE_ERR_TIMEOUT: mailwire_status = 102;
/// The call was cancelled.
pub const MAILWIRE_ERR_CANCELLED: mailwire_status = 103;
/// Memory ran out.
pub const MAILWIRE_ERR_NOMEM: mailwire_status = 104;
/// No program listens at that address and port.
pub const MAILWIRE_ERR_CONNECTION_REFUSED: mailwire_status = 105;
/// The peer closed or reset the connection.
pub const MAILWIRE_ERR_CONNECTION_LOST: mailwire_status = 106;
/// The TLS handshake failed, or TLS broke afterwards.
pub const MAILWIRE_ERR_TLS: mailwire_status = 200;
/// TLS is required and the server does not offer STARTTLS.
pub const MAILWIRE_ERR_TLS_NOT_OFFERED: mailwire_status = 201;
/// The server offered STARTTLS and then refused it.
pub const MAILWIRE_ERR_TLS_REFUSED: mailwire_status = 202;
/// The server's certificate has expired.
pub const MAILWIRE_ERR_CERTIFICATE_EXPIRED: mailwire_status = 203;
/// The server's certificate is not valid yet.
pub const MAILWIRE_ERR_CERTIFICATE_NOT_YET_VALID: mailwire_status = 204;
/// The server's certificate does not lead to a trusted root.
pub const MAILWIRE_ERR_CERTIFICATE_UNTRUSTED: mailwire_status = 205;
/// The server's certificate is for another name.
pub const MAILWIRE_ERR_CERTIFICATE_NAME: mailwire_status = 206;
/// The server's certificate is wrong in another way: its purpose, signature or form.
pub const MAILWIRE_ERR_CERTIFICATE_INVALID: mailwire_status = 207;
/// A certificate, key or root given by the caller cannot be used.
pub const MAILWIRE_ERR_TLS_CONFIGURATION: mailwire_status = 208;
/// The server did not accept the credentials.
pub const MAILWIRE_ERR_AUTH_REJECTED: mailwire_status = 300;
/// The server offers no mechanism that these credentials and this connection allow.
pub const MAILWIRE_ERR_AUTH_MECHANISM: mailwire_status = 301;
/// Credentials were given and the server does not offer AUTH.
pub const MAILWIRE_ERR_AUTH_NOT_OFFERED: mailwire_status = 302;
/// Credentials would travel in clear, which is not allowed unless the caller says so.
pub const MAILWIRE_ERR_AUTH_INSECURE: mailwire_status = 303;
/// The server wants authentication and no credentials were given.
pub const MAILWIRE_ERR_AUTH_REQUIRED: mailwire_status = 304;
/// The server answered 4yz: the same may work later.
pub const MAILWIRE_ERR_TRANSIENT: mailwire_status = 400;
/// The server answered 5yz: the same will fail again.
pub const MAILWIRE_ERR_PERMANENT: mailwire_status = 500;
/// The message is larger than the size that the server allows. Nothing was sent.
pub const MAILWIRE_ERR_TOO_LARGE: mailwire_status = 501;
/// The message needs an extension that the server does not offer. Nothing was sent.
pub const MAILWIRE_ERR_NOT_SUPPORTED: mailwire_status = 502;
/// The peer broke the protocol.
pub const MAILWIRE_ERR_PROTOCOL: mailwire_status = 600;
/// Some recipients were accepted and others were not: see the report.
pub const MAILWIRE_ERR_PARTIAL: mailwire_status = 700;
/// A defect of this library. Please report it.
pub const MAILWIRE_ERR_INTERNAL: mailwire_status = 900;

/// Where in a session something happened: one of MAILWIRE_PHASE_... Expect values that you do not know.
pub type mailwire_phase = i32;

/// There was no session.
pub const MAILWIRE_PHASE_NONE: mailwire_phase = 0;
/// Waiting for a free connection of the client.
pub const MAILWIRE_PHASE_POOL: mailwire_phase = 1;
/// Looking up the host name.
pub const MAILWIRE_PHASE_RESOLVE: mailwire_phase = 2;
/// Opening the connection.
pub const MAILWIRE_PHASE_CONNECT: mailwire_phase = 3;
/// The TLS handshake.
pub const MAILWIRE_PHASE_TLS: mailwire_phase = 4;
/// Waiting for the server's greeting.
pub const MAILWIRE_PHASE_GREETING: mailwire_phase = 5;
/// EHLO, HELO or LHLO.
pub const MAILWIRE_PHASE_HELLO: mailwire_phase = 6;
/// The STARTTLS command.
pub const MAILWIRE_PHASE_STARTTLS: mailwire_phase = 7;
/// The AUTH exchange.
pub const MAILWIRE_PHASE_AUTH: mailwire_phase = 8;
/// The MAIL command.
pub const MAILWIRE_PHASE_MAIL: mailwire_phase = 9;
/// An RCPT command.
pub const MAILWIRE_PHASE_RCPT: mailwire_phase = 10;
/// The DATA command, up to its 354.
pub const MAILWIRE_PHASE_DATA: mailwire_phase = 11;
/// The message's octets.
pub const MAILWIRE_PHASE_BODY: mailwire_phase = 12;
/// From the end mark of the message to the reply.
pub const MAILWIRE_PHASE_END_OF_DATA: mailwire_phase = 13;
/// RSET, NOOP, VRFY, EXPN or HELP.
pub const MAILWIRE_PHASE_COMMAND: mailwire_phase = 14;
/// QUIT.
pub const MAILWIRE_PHASE_QUIT: mailwire_phase = 15;
/// A server waits for its client's next command.
pub const MAILWIRE_PHASE_IDLE: mailwire_phase = 16;
/// A server waits for its application's answer.
pub const MAILWIRE_PHASE_ANSWER: mailwire_phase = 17;

/// The name of a status, as "MAILWIRE_ERR_TIMEOUT"; "MAILWIRE_ERR_UNKNOWN" for a number that this version does not know.
///
/// The text is never NULL and is never freed.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_status_name(status: mailwire_status) -> *const c_char {
    known(status)
        .map_or(c"MAILWIRE_ERR_UNKNOWN", |(_, name, _)| *name)
        .as_ptr()
}

/// What a status means, as half a sentence: "a time limit passed".
///
/// The text is never NULL and is never freed.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_status_text(status: mailwire_status) -> *const c_char {
    known(status)
        .map_or(c"a status that this version does not know", |(.., text)| {
            *text
        })
        .as_ptr()
}

fn known(
    status: mailwire_status,
) -> Option<&'static (mailwire_status, &'static CStr, &'static CStr)> {
    STATUSES.iter().find(|(number, ..)| *number == status)
}

/// Every status with its name and text.
const STATUSES: &[(mailwire_status, &CStr, &CStr)] = &[
    (
        MAILWIRE_OK,
        c"MAILWIRE_OK",
        c"the call did what it was asked to",
    ),
    (
        MAILWIRE_ERR_INVALID_ARGUMENT,
        c"MAILWIRE_ERR_INVALID_ARGUMENT",
        c"an argument is not acceptable",
    ),
    (
        MAILWIRE_ERR_MISUSE,
        c"MAILWIRE_ERR_MISUSE",
        c"the call does not fit the state of the object",
    ),
    (
        MAILWIRE_ERR_REENTRANT,
        c"MAILWIRE_ERR_REENTRANT",
        c"a callback called back into the object that was calling it",
    ),
    (
        MAILWIRE_ERR_FORKED,
        c"MAILWIRE_ERR_FORKED",
        c"the object was made before a fork and belongs to the parent process",
    ),
    (
        MAILWIRE_ERR_CLOSED,
        c"MAILWIRE_ERR_CLOSED",
        c"the object was closed or shut down",
    ),
    (
        MAILWIRE_END,
        c"MAILWIRE_END",
        c"the queue of events has ended",
    ),
    (
        MAILWIRE_ERR_IO,
        c"MAILWIRE_ERR_IO",
        c"reading or writing failed",
    ),
    (
        MAILWIRE_ERR_DNS,
        c"MAILWIRE_ERR_DNS",
        c"the host name could not be resolved",
    ),
    (
        MAILWIRE_ERR_TIMEOUT,
        c"MAILWIRE_ERR_TIMEOUT",
        c"a time limit passed",
    ),
    (
        MAILWIRE_ERR_CANCELLED,
        c"MAILWIRE_ERR_CANCELLED",
        c"the call was cancelled",
    ),
    (MAILWIRE_ERR_NOMEM, c"MAILWIRE_ERR_NOMEM", c"memory ran out"),
    (
        MAILWIRE_ERR_CONNECTION_REFUSED,
        c"MAILWIRE_ERR_CONNECTION_REFUSED",
        c"no program listens at that address and port",
    ),
    (
        MAILWIRE_ERR_CONNECTION_LOST,
        c"MAILWIRE_ERR_CONNECTION_LOST",
        c"the peer closed or reset the connection",
    ),
    (
        MAILWIRE_ERR_TLS,
        c"MAILWIRE_ERR_TLS",
        c"the TLS handshake failed, or TLS broke afterwards",
    ),
    (
        MAILWIRE_ERR_TLS_NOT_OFFERED,
        c"MAILWIRE_ERR_TLS_NOT_OFFERED",
        c"TLS is required and the server does not offer STARTTLS",
    ),
    (
        MAILWIRE_ERR_TLS_REFUSED,
        c"MAILWIRE_ERR_TLS_REFUSED",
        c"the server offered STARTTLS and then refused it",
    ),
    (
        MAILWIRE_ERR_CERTIFICATE_EXPIRED,
        c"MAILWIRE_ERR_CERTIFICATE_EXPIRED",
        c"the server's certificate has expired",
    ),
    (
        MAILWIRE_ERR_CERTIFICATE_NOT_YET_VALID,
        c"MAILWIRE_ERR_CERTIFICATE_NOT_YET_VALID",
        c"the server's certificate is not valid yet",
    ),
    (
        MAILWIRE_ERR_CERTIFICATE_UNTRUSTED,
        c"MAILWIRE_ERR_CERTIFICATE_UNTRUSTED",
        c"the server's certificate does not lead to a trusted root",
    ),
    (
        MAILWIRE_ERR_CERTIFICATE_NAME,
        c"MAILWIRE_ERR_CERTIFICATE_NAME",
        c"the server's certificate is for another name",
    ),
    (
        MAILWIRE_ERR_CERTIFICATE_INVALID,
        c"MAILWIRE_ERR_CERTIFICATE_INVALID",
        c"the server's certificate is not valid",
    ),
    (
        MAILWIRE_ERR_TLS_CONFIGURATION,
        c"MAILWIRE_ERR_TLS_CONFIGURATION",
        c"a certificate, key or root that was given cannot be used",
    ),
    (
        MAILWIRE_ERR_AUTH_REJECTED,
        c"MAILWIRE_ERR_AUTH_REJECTED",
        c"the server did not accept the credentials",
    ),
    (
        MAILWIRE_ERR_AUTH_MECHANISM,
        c"MAILWIRE_ERR_AUTH_MECHANISM",
        c"the server offers no mechanism that can be used",
    ),
    (
        MAILWIRE_ERR_AUTH_NOT_OFFERED,
        c"MAILWIRE_ERR_AUTH_NOT_OFFERED",
        c"the server does not offer AUTH",
    ),
    (
        MAILWIRE_ERR_AUTH_INSECURE,
        c"MAILWIRE_ERR_AUTH_INSECURE",
        c"credentials would travel in clear",
    ),
    (
        MAILWIRE_ERR_AUTH_REQUIRED,
        c"MAILWIRE_ERR_AUTH_REQUIRED",
        c"the server wants authentication",
    ),
    (
        MAILWIRE_ERR_TRANSIENT,
        c"MAILWIRE_ERR_TRANSIENT",
        c"the server refused for now",
    ),
    (
        MAILWIRE_ERR_PERMANENT,
        c"MAILWIRE_ERR_PERMANENT",
        c"the server refused",
    ),
    (
        MAILWIRE_ERR_TOO_LARGE,
        c"MAILWIRE_ERR_TOO_LARGE",
        c"the message is larger than the server allows",
    ),
    (
        MAILWIRE_ERR_NOT_SUPPORTED,
        c"MAILWIRE_ERR_NOT_SUPPORTED",
        c"the message needs an extension that the server does not offer",
    ),
    (
        MAILWIRE_ERR_PROTOCOL,
        c"MAILWIRE_ERR_PROTOCOL",
        c"the peer broke the protocol",
    ),
    (
        MAILWIRE_ERR_PARTIAL,
        c"MAILWIRE_ERR_PARTIAL",
        c"some recipients were accepted and others were not",
    ),
    (
        MAILWIRE_ERR_INTERNAL,
        c"MAILWIRE_ERR_INTERNAL",
        c"a defect of the library",
    ),
];

#[cfg(test)]
mod tests {
    use mailwire::{Phase, Status};

    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_engine() {
        for (ours, engine) in [
            (MAILWIRE_ERR_INVALID_ARGUMENT, Status::InvalidArgument),
            (MAILWIRE_ERR_MISUSE, Status::Misuse),
            (MAILWIRE_ERR_REENTRANT, Status::Reentrant),
            (MAILWIRE_ERR_FORKED, Status::Forked),
            (MAILWIRE_ERR_CLOSED, Status::Closed),
            (MAILWIRE_END, Status::End),
            (MAILWIRE_ERR_IO, Status::Io),
            (MAILWIRE_ERR_DNS, Status::Dns),
            (MAILWIRE_ERR_TIMEOUT, Status::Timeout),
            (MAILWIRE_ERR_CANCELLED, Status::Cancelled),
            (MAILWIRE_ERR_NOMEM, Status::NoMemory),
            (MAILWIRE_ERR_CONNECTION_REFUSED, Status::ConnectionRefused),
            (MAILWIRE_ERR_CONNECTION_LOST, Status::ConnectionLost),
            (MAILWIRE_ERR_TLS, Status::Tls),
            (MAILWIRE_ERR_TLS_NOT_OFFERED, Status::TlsNotOffered),
            (MAILWIRE_ERR_TLS_REFUSED, Status::TlsRefused),
            (MAILWIRE_ERR_CERTIFICATE_EXPIRED, Status::CertificateExpired),
            (
                MAILWIRE_ERR_CERTIFICATE_NOT_YET_VALID,
                Status::CertificateNotYetValid,
            ),
            (
                MAILWIRE_ERR_CERTIFICATE_UNTRUSTED,
                Status::CertificateUntrusted,
            ),
            (MAILWIRE_ERR_CERTIFICATE_NAME, Status::CertificateName),
            (MAILWIRE_ERR_CERTIFICATE_INVALID, Status::CertificateInvalid),
            (MAILWIRE_ERR_TLS_CONFIGURATION, Status::TlsConfiguration),
            (MAILWIRE_ERR_AUTH_REJECTED, Status::AuthRejected),
            (MAILWIRE_ERR_AUTH_MECHANISM, Status::AuthMechanism),
            (MAILWIRE_ERR_AUTH_NOT_OFFERED, Status::AuthNotOffered),
            (MAILWIRE_ERR_AUTH_INSECURE, Status::AuthInsecure),
            (MAILWIRE_ERR_AUTH_REQUIRED, Status::AuthRequired),
            (MAILWIRE_ERR_TRANSIENT, Status::Transient),
            (MAILWIRE_ERR_PERMANENT, Status::Permanent),
            (MAILWIRE_ERR_TOO_LARGE, Status::TooLarge),
            (MAILWIRE_ERR_NOT_SUPPORTED, Status::NotSupported),
            (MAILWIRE_ERR_PROTOCOL, Status::Protocol),
            (MAILWIRE_ERR_PARTIAL, Status::Partial),
            (MAILWIRE_ERR_INTERNAL, Status::Internal),
        ] {
            assert_eq!(ours, engine.number(), "{engine:?}");
        }
        for (ours, engine) in [
            (MAILWIRE_PHASE_POOL, Phase::Pool),
            (MAILWIRE_PHASE_RESOLVE, Phase::Resolve),
            (MAILWIRE_PHASE_CONNECT, Phase::Connect),
            (MAILWIRE_PHASE_TLS, Phase::Tls),
            (MAILWIRE_PHASE_GREETING, Phase::Greeting),
            (MAILWIRE_PHASE_HELLO, Phase::Hello),
            (MAILWIRE_PHASE_STARTTLS, Phase::StartTls),
            (MAILWIRE_PHASE_AUTH, Phase::Auth),
            (MAILWIRE_PHASE_MAIL, Phase::Mail),
            (MAILWIRE_PHASE_RCPT, Phase::Rcpt),
            (MAILWIRE_PHASE_DATA, Phase::Data),
            (MAILWIRE_PHASE_BODY, Phase::Body),
            (MAILWIRE_PHASE_END_OF_DATA, Phase::EndOfData),
            (MAILWIRE_PHASE_COMMAND, Phase::Command),
            (MAILWIRE_PHASE_QUIT, Phase::Quit),
            (MAILWIRE_PHASE_IDLE, Phase::Idle),
            (MAILWIRE_PHASE_ANSWER, Phase::Answer),
        ] {
            assert_eq!(ours, engine.number(), "{engine:?}");
        }
    }

    #[test]
    fn every_status_of_the_engine_has_a_name_here() {
        let source = include_str!("../../core/src/error.rs");
        let (_, after) = source.split_once("pub enum Status {").unwrap();
        let (body, _) = after.split_once("\n}").unwrap();
        let numbers: Vec<i32> = body
            .lines()
            .filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "))
            .map(|(_, number)| number.parse().unwrap())
            .collect();
        assert!(numbers.len() > 30, "{numbers:?}");
        for number in numbers {
            assert!(known(number).is_some(), "status {number} has no name");
        }
    }
}
