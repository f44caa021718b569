//! What can go wrong, in words and in numbers that every language shares.
//!
//! An [`Error`] says which host, in which phase, under which TLS state, what the peer said, and what to try. When a
//! transaction had begun it also carries the [`Outcome`], so that nothing about single recipients is lost.

use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::outcome::{Delivery, Outcome, RecipientOutcome};
use crate::proto::{Reply, TlsInfo};

/// Why a call failed. The numbers are stable: they are the status numbers of the C API too.
///
/// 1 to 99 wrong use, 100 to 199 local, 200 to 299 TLS, 300 to 399 AUTH, 400 to 499 the server said 4yz, 500 to 599 the
/// server said 5yz, 600 to 699 the peer broke the protocol, 700 to 799 mixed results, 900 a defect of this library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Status {
    /// An argument is not acceptable; the text names it. Nothing was sent.
    InvalidArgument = 1,
    /// The call does not fit the state of the object it was made on.
    Misuse = 2,
    /// A callback called back into the object that was calling it.
    Reentrant = 3,
    /// The object was made before a `fork` and is used in the child.
    Forked = 4,
    /// The object was closed or shut down.
    Closed = 5,
    /// The queue of events has ended.
    End = 6,
    /// Reading or writing failed below SMTP.
    Io = 100,
    /// The host name could not be resolved.
    Dns = 101,
    /// A time limit passed; the phase says which.
    Timeout = 102,
    /// The caller cancelled the call.
    Cancelled = 103,
    /// Memory ran out.
    NoMemory = 104,
    /// No program listens at that address and port.
    ConnectionRefused = 105,
    /// The peer closed or reset the connection.
    ConnectionLost = 106,
    /// The TLS handshake failed, or TLS broke afterwards.
    Tls = 200,
    /// TLS is required and the server does not offer STARTTLS.
    TlsNotOffered = 201,
    /// The server offered STARTTLS and then refused it.
    TlsRefused = 202,
    /// The server's certificate has expired.
    CertificateExpired = 203,
    /// The server's certificate is not valid yet.
    CertificateNotYetValid = 204,
    /// The server's certificate does not lead to a trusted root, or its key is none of the pinned ones.
    CertificateUntrusted = 205,
    /// The server's certificate is for another name.
    CertificateName = 206,
    /// The server's certificate is wrong in another way: its purpose, signature or form.
    CertificateInvalid = 207,
    /// A certificate, key or root given by the caller cannot be used.
    TlsConfiguration = 208,
    /// The server did not accept the credentials.
    AuthRejected = 300,
    /// The server offers no mechanism that these credentials and this connection allow.
    AuthMechanism = 301,
    /// Credentials were given and the server does not offer AUTH.
    AuthNotOffered = 302,
    /// Credentials would travel in clear, which is not allowed unless the caller says so.
    AuthInsecure = 303,
    /// The server wants authentication and no credentials were given.
    AuthRequired = 304,
    /// The server answered 4yz: the same may work later.
    Transient = 400,
    /// The server answered 5yz: the same will fail again.
    Permanent = 500,
    /// The message is larger than the server's declared SIZE limit. Nothing was sent.
    TooLarge = 501,
    /// The message needs an extension that the server does not offer. Nothing was sent.
    NotSupported = 502,
    /// The peer broke the protocol.
    Protocol = 600,
    /// Some recipients were accepted and others were not.
    Partial = 700,
    /// A defect of this library. Please report it.
    Internal = 900,
}

impl Status {
    /// The stable number.
    pub fn number(self) -> i32 {
        self as i32
    }
}

/// Where in a session something happened, or which limit of time is running (RFC 5321 section 4.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(i32)]
pub enum Phase {
    /// Waiting for a free connection of the pool.
    Pool = 1,
    /// Looking up the host name.
    Resolve = 2,
    /// Opening the connection.
    Connect = 3,
    /// The TLS handshake, implicit or after STARTTLS.
    Tls = 4,
    /// Waiting for the server's greeting.
    Greeting = 5,
    /// EHLO, HELO or LHLO.
    Hello = 6,
    /// The STARTTLS command.
    StartTls = 7,
    /// The AUTH exchange.
    Auth = 8,
    /// The MAIL command.
    Mail = 9,
    /// An RCPT command.
    Rcpt = 10,
    /// The DATA command, up to its 354.
    Data = 11,
    /// The message's bytes.
    Body = 12,
    /// From the end mark of the message to the reply.
    EndOfData = 13,
    /// RSET, NOOP, VRFY, EXPN or HELP.
    Command = 14,
    /// QUIT.
    Quit = 15,
    /// A server waits for its client's next command.
    Idle = 16,
    /// A server waits for its application's answer.
    Answer = 17,
}

impl Phase {
    /// The stable number.
    pub fn number(self) -> i32 {
        self as i32
    }

    /// What a person would call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pool => "waiting for a free connection",
            Self::Resolve => "looking up the host name",
            Self::Connect => "connecting",
            Self::Tls => "TLS handshake",
            Self::Greeting => "greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::Body => "sending the message",
            Self::EndOfData => "end of data",
            Self::Command => "command",
            Self::Quit => "QUIT",
            Self::Idle => "waiting for a command",
            Self::Answer => "waiting for the application's answer",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A failure, with all that is known about it. One line when displayed.
pub struct Error(Box<Inner>);

struct Inner {
    status: Status,
    message: String,
    phase: Option<Phase>,
    peer: Option<String>,
    address: Option<IpAddr>,
    tls: Tls,
    reply: Option<Reply>,
    recipient: Option<usize>,
    outcome: Option<Outcome>,
    /// The cause stays where it is, whatever the status may mean elsewhere.
    is_lasting: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What is known about TLS on the connection.
#[cfg_attr(
    not(feature = "io"),
    expect(dead_code, reason = "only what drives the machines makes errors")
)]
enum Tls {
    /// There was no session yet.
    Undecided,
    InClear,
    Established(TlsInfo),
}

impl Error {
    /// The stable status.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// What happened and what to try, without the place where it happened.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The phase of the session, if there was a session.
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }

    /// The peer, as `host:port` or the path of a socket.
    pub fn peer(&self) -> Option<&str> {
        self.0.peer.as_deref()
    }

    /// The address that the connection to the peer had reached, where one was open. `None` through a proxy, which alone knows it.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// The state of TLS on that connection: `None` in clear, and where there was no session yet.
    pub fn tls(&self) -> Option<&TlsInfo> {
        match &self.0.tls {
            Tls::Established(tls) => Some(tls),
            Tls::Undecided | Tls::InClear => None,
        }
    }

    /// What the peer said, if that is why.
    pub fn reply(&self) -> Option<&Reply> {
        self.0.reply.as_ref()
    }

    /// The index of the recipient that it is about, in the order of the envelope.
    pub fn recipient_index(&self) -> Option<usize> {
        self.0.recipient
    }

    /// What became of the message, once a transaction had begun.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.0.outcome.as_ref()
    }

    /// The operating system's number of an I/O error.
    pub fn os_errno(&self) -> Option<i32> {
        let mut cause: Option<&(dyn StdError + 'static)> = self.source();
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<std::io::Error>()
                && io.raw_os_error().is_some()
            {
                return io.raw_os_error();
            }
            cause = error.source();
        }
        None
    }

    /// Whether the same call may succeed later without a change, and cannot make a second copy: `false` where the message was
    /// accepted for a recipient, or may have been. Those who may get it then are told by [`Outcome::safe_to_retry`]. `false` also
    /// for a host name that does not exist, and for a file or reader that cannot be read.
    pub fn is_transient(&self) -> bool {
        let recipients = self.0.outcome.iter().flat_map(Outcome::recipients);
        let mut deliveries = recipients.map(RecipientOutcome::delivery);
        if deliveries.any(|d| matches!(d, Delivery::Accepted | Delivery::Unknown)) {
            return false;
        }
        match self.0.status {
            _ if self.0.is_lasting => false,
            Status::Io
            | Status::Dns
            | Status::Timeout
            | Status::ConnectionRefused
            | Status::ConnectionLost
            | Status::Transient => true,
            Status::AuthRejected | Status::TlsRefused => {
                self.0.reply.as_ref().is_some_and(Reply::is_transient)
            }
            _ => false,
        }
    }
}

/// How the library itself makes errors: the machines have none, what drives them does.
#[cfg(feature = "io")]
impl Error {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            message: visible(message.into()),
            phase: None,
            peer: None,
            address: None,
            tls: Tls::Undecided,
            reply: None,
            recipient: None,
            outcome: None,
            is_lasting: false,
            source: None,
        }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Status::InvalidArgument, message)
    }

    /// More about what happened, behind what is said already.
    pub(crate) fn with_more(mut self, text: &str) -> Self {
        self.0.message.push_str(&visible(text.to_owned()));
        self
    }

    /// What the failing argument belongs to, in front of what is said already.
    pub(crate) fn with_context(mut self, context: &str) -> Self {
        self.0.message.insert_str(0, ": ");
        self.0.message.insert_str(0, &visible(context.to_owned()));
        self
    }

    pub(crate) fn at(mut self, phase: Phase) -> Self {
        self.0.phase = Some(phase);
        self
    }

    pub(crate) fn with_peer(mut self, peer: impl Into<String>) -> Self {
        self.0.peer = Some(visible(peer.into()));
        self
    }

    pub(crate) fn with_address(mut self, address: Option<IpAddr>) -> Self {
        self.0.address = address;
        self
    }

    /// The state of TLS in a session: `None` in clear.
    pub(crate) fn with_tls(mut self, tls: Option<TlsInfo>) -> Self {
        self.0.tls = tls.map_or(Tls::InClear, Tls::Established);
        self
    }

    /// The same call fails again, although its status may mean elsewhere that it need not.
    pub(crate) fn lasting(mut self) -> Self {
        self.0.is_lasting = true;
        self
    }

    pub(crate) fn with_reply(mut self, reply: Reply) -> Self {
        self.0.reply = Some(reply);
        self
    }

    pub(crate) fn with_recipient(mut self, index: usize) -> Self {
        self.0.recipient = Some(index);
        self
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = Some(outcome);
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }
}

/// The text as one line, with an escape for every character that a terminal would obey instead of showing it: control characters, and
/// those that turn the direction of writing or end a line. The name of a file may well have some.
pub(crate) fn visible(text: String) -> String {
    let obeyed = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(obeyed) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if obeyed(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

impl fmt::Display for Error {
    /// One line: peer, its address where the peer is named otherwise, TLS, phase, what happened, and what the peer said:
    /// `mail.example.org:587 [192.0.2.1] (TLSv1.3): MAIL FROM: the sender was refused …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        if let Some(peer) = &inner.peer {
            write!(f, "{peer}")?;
            if let Some(address) = inner.address
                && peer.parse::<SocketAddr>().is_err()
            {
                write!(f, " [{address}]")?;
            }
            match &inner.tls {
                Tls::Undecided => {}
                Tls::InClear => f.write_str(" (in clear)")?,
                Tls::Established(tls) => write!(f, " ({})", tls.version())?,
            }
            f.write_str(": ")?;
        }
        if let Some(phase) = inner.phase {
            write!(f, "{phase}: ")?;
        }
        f.write_str(&inner.message)?;
        if let Some(reply) = &inner.reply {
            write!(f, "; the server said: {}", visible(reply.to_string()))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("status", &self.0.status)
            .field("text", &self.to_string())
            .field("outcome", &self.0.outcome)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(all(test, feature = "io"))]
mod tests {
    use super::*;
    use crate::proto::TlsVersion;

    #[test]
    fn the_place_is_peer_address_and_tls() {
        let address = Some([192, 0, 2, 1].into());
        let tls = || Some(TlsInfo::new(TlsVersion::Tls13, "TLS_AES_128_GCM_SHA256"));
        let error = |peer: &str| Error::invalid("no").with_peer(peer).at(Phase::Mail);
        for (error, text) in [
            (error("a.example:25"), "a.example:25: MAIL FROM: no"),
            (
                error("a.example:25").with_address(address).with_tls(None),
                "a.example:25 [192.0.2.1] (in clear): MAIL FROM: no",
            ),
            (
                error("a.example:25").with_address(address).with_tls(tls()),
                "a.example:25 [192.0.2.1] (TLSv1.3): MAIL FROM: no",
            ),
            (
                error("192.0.2.1:25").with_address(address).with_tls(None),
                "192.0.2.1:25 (in clear): MAIL FROM: no",
            ),
            (
                error("[2001:db8::1]:25")
                    .with_address(Some("2001:db8::1".parse().unwrap()))
                    .with_tls(None),
                "[2001:db8::1]:25 (in clear): MAIL FROM: no",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
        let error = error("a.example:25").with_address(address);
        assert_eq!(
            (error.peer(), error.address()),
            (Some("a.example:25"), address)
        );
    }

    #[test]
    fn an_error_is_one_line_and_nothing_in_it_is_obeyed() {
        let error = Error::invalid("a\x1b[2J\u{9b}b\u{202e}c\u{2028}d\te\u{7f}\n");
        assert_eq!(
            error.message(),
            "a\\u{1b}[2J\\u{9b}b\\u{202e}c\\u{2028}d\te\\u{7f}\\n"
        );
        assert_eq!(Error::invalid("grüße").message(), "grüße");
    }

    #[test]
    fn what_lasts_is_not_transient_whatever_its_status() {
        for status in [Status::Io, Status::Dns] {
            assert!(Error::new(status, "no").is_transient());
            assert!(!Error::new(status, "no").lasting().is_transient());
        }
    }
}
