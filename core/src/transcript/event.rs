//! What happens in a session, and how a person would note it down.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Phase, Status, visible};
use crate::proto::{DateTime, TlsInfo, TlsVersion};

/// Something that happened in a session.
///
/// `Display` gives it as a note, with the seconds since the session began to the microsecond: `0.034567 S: 250-PIPELINING`. The
/// alternate form, `{:#}`, has the number of the session in front: `[3] 0.034567 S: 250-PIPELINING`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub(super) session: u64,
    pub(super) elapsed: Duration,
    pub(super) kind: Kind,
}

/// What happened. Every text is one line without control characters and without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The session begins.
    Begun {
        /// The server as `host:port`, or the path of a socket.
        peer: String,
        /// The time of day.
        at: SystemTime,
    },
    /// An address is tried. Several may be, one beside the other (RFC 8305).
    Connecting {
        /// An IP address and port, or the path of a socket.
        address: String,
    },
    /// An address did not answer, or refused.
    NotConnected {
        /// The address, as it was tried.
        address: String,
        /// What became of it.
        reason: String,
    },
    /// The connection is open.
    Connected {
        /// The address, as it was tried.
        address: String,
    },
    /// A proxy, to which a connection is open, is asked for one to the server.
    ProxyAsked {
        /// The proxy as `host:port`.
        proxy: String,
        /// The server as the proxy is told it.
        server: String,
    },
    /// The proxy has opened that connection.
    ProxyConnected {
        /// The proxy as `host:port`.
        proxy: String,
    },
    /// A header of the PROXY protocol was sent.
    ProxyHeader {
        /// Its octets.
        octets: usize,
    },
    /// A TLS handshake begins.
    TlsBegun {
        /// The name that the certificate must be for.
        name: String,
    },
    /// The TLS handshake is over.
    TlsEstablished {
        /// The version.
        version: TlsVersion,
        /// The IANA name of the cipher suite.
        cipher: String,
        /// Whether the server's certificate was verified: now, or when the session began that is resumed.
        verified: bool,
        /// Whether an earlier TLS session goes on.
        resumed: bool,
    },
    /// The server has accepted a login.
    LoggedIn {
        /// The mechanism's name.
        mechanism: String,
    },
    /// A command or a line of a reply.
    Line {
        /// Who said it.
        from: Side,
        /// The line without its CRLF and without what is hidden. `***` stands for a secret that was said back.
        text: String,
        /// Octets that stood behind the text and are not shown, as they authenticate.
        hidden: usize,
    },
    /// Octets of a message, as they were on the wire: in DATA, with the dots that were added. They are counted, and never shown.
    Message {
        /// Who sent them.
        from: Side,
        /// How many.
        octets: u64,
    },
    /// A call has an error to tell about this session.
    Failed {
        /// The error's status.
        status: Status,
        /// Where in the session it happened, if there.
        phase: Option<Phase>,
        /// The error's text.
        text: String,
    },
    /// The session is over. It is the last event of each, also of one whose connection never opened.
    Closed {
        /// Who closed it. After QUIT both do, and the client says so.
        by: Side,
    },
}

/// A side of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

impl Event {
    /// The number of the session. No other session of this process has it.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// The time since the session began. It never goes back.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// What happened.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Who has sent something, if that is what happened.
    pub fn from(&self) -> Option<Side> {
        match self.kind {
            Kind::Line { from, .. } | Kind::Message { from, .. } => Some(from),
            _ => None,
        }
    }
}

impl Kind {
    pub(crate) fn line(from: Side, text: String, hidden: usize) -> Self {
        let text = visible(text);
        Self::Line { from, text, hidden }
    }

    pub(crate) fn tls(info: &TlsInfo, verified: bool) -> Self {
        Self::TlsEstablished {
            version: info.version(),
            cipher: info.cipher().to_owned(),
            verified,
            resumed: info.resumed(),
        }
    }

    pub(crate) fn failed(error: &Error) -> Self {
        Self::Failed {
            status: error.status(),
            phase: error.phase(),
            text: error.message().to_owned(),
        }
    }
}

impl Side {
    /// `client` or `server`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The date and time in UTC, without a fraction.
pub(super) fn time_of_day(at: SystemTime) -> Option<DateTime> {
    let seconds = at.duration_since(UNIX_EPOCH).ok()?.as_secs();
    DateTime::from_unix(seconds.try_into().ok()?)
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            write!(f, "[{}] ", self.session)?;
        }
        let (seconds, micros) = (self.elapsed.as_secs(), self.elapsed.subsec_micros());
        write!(f, "{seconds}.{micros:06} ")?;
        match self.from() {
            Some(Side::Client) => f.write_str("C: ")?,
            Some(Side::Server) => f.write_str("S: ")?,
            None => f.write_str("* ")?,
        }
        if let Kind::Begun { peer, at } = &self.kind {
            write!(f, "session {} with {peer}", self.session)?;
            return match time_of_day(*at) {
                Some(at) => write!(f, ", at {at}"),
                None => Ok(()),
            };
        }
        self.kind.fmt(f)
    }
}

impl fmt::Display for Kind {
    /// Without its time and without who sent it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun { peer, .. } => write!(f, "session with {peer}"),
            Self::Connecting { address } => write!(f, "connecting to {address}"),
            Self::NotConnected { address, reason } => {
                write!(f, "not connected to {address}: {reason}")
            }
            Self::Connected { address } => write!(f, "connected to {address}"),
            Self::ProxyAsked { proxy, server } => {
                write!(f, "asking the proxy {proxy} for {server}")
            }
            Self::ProxyConnected { proxy } => write!(f, "the proxy {proxy} has connected"),
            Self::ProxyHeader { octets } => write!(f, "PROXY header of {octets} octets"),
            Self::TlsBegun { name } => write!(f, "TLS begins, with {name}"),
            Self::TlsEstablished {
                version,
                cipher,
                verified,
                resumed,
            } => {
                let verified = if *verified {
                    "verified"
                } else {
                    "NOT VERIFIED"
                };
                let resumed = if *resumed { ", resumed" } else { "" };
                write!(f, "{version} {cipher}, {verified}{resumed}")
            }
            Self::LoggedIn { mechanism } => write!(f, "logged in by {mechanism}"),
            Self::Line {
                text, hidden: 0, ..
            } => f.write_str(text),
            Self::Line { text, hidden, .. } => {
                let space = if text.is_empty() { "" } else { " " };
                write!(f, "{text}{space}[{hidden} octets hidden]")
            }
            Self::Message { octets, .. } => write!(f, "[{octets} octets of the message]"),
            Self::Failed { phase, text, .. } => {
                let place = phase.map_or(Cow::Borrowed(""), |phase| format!("{phase}: ").into());
                write!(f, "error: {place}{text}")
            }
            Self::Closed { by } => write!(f, "closed by the {by}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64, kind: Kind) -> Event {
        Event {
            session: 3,
            elapsed: Duration::from_micros(micros),
            kind,
        }
    }

    #[test]
    fn notes_have_microseconds_and_in_their_long_form_the_session() {
        let line = |from, text: &str, hidden| Kind::line(from, text.to_owned(), hidden);
        for (micros, kind, note) in [
            (
                12345,
                line(Side::Client, "EHLO client.example", 0),
                "0.012345 C: EHLO client.example",
            ),
            (
                34567,
                line(Side::Server, "250-PIPELINING", 0),
                "0.034567 S: 250-PIPELINING",
            ),
            (
                9,
                line(Side::Client, "AUTH PLAIN", 28),
                "0.000009 C: AUTH PLAIN [28 octets hidden]",
            ),
            (
                10,
                line(Side::Client, "", 28),
                "0.000010 C: [28 octets hidden]",
            ),
            (
                11,
                line(Side::Server, "334", 4),
                "0.000011 S: 334 [4 octets hidden]",
            ),
            (
                61_000_001,
                Kind::Message {
                    from: Side::Client,
                    octets: 7,
                },
                "61.000001 C: [7 octets of the message]",
            ),
            (
                40000,
                Kind::tls(
                    &TlsInfo::new(TlsVersion::Tls13, "TLS_AES_128_GCM_SHA256").with_resumed(true),
                    false,
                ),
                "0.040000 * TLSv1.3 TLS_AES_128_GCM_SHA256, NOT VERIFIED, resumed",
            ),
            (
                1,
                Kind::Closed { by: Side::Server },
                "0.000001 * closed by the server",
            ),
        ] {
            let event = at(micros, kind);
            assert_eq!(event.to_string(), note);
            assert_eq!(format!("{event:#}"), format!("[3] {note}"));
        }
    }

    #[test]
    fn the_time_of_day_is_told_once() {
        let begun = Kind::Begun {
            peer: "mx.example:25".into(),
            at: UNIX_EPOCH + Duration::from_millis(1_801_439_999_900),
        };
        assert_eq!(
            at(0, begun).to_string(),
            "0.000000 * session 3 with mx.example:25, at 2027-01-31T23:59:59Z"
        );
        let before = UNIX_EPOCH - Duration::from_secs(1);
        let begun = Kind::Begun {
            peer: "a".into(),
            at: before,
        };
        assert_eq!(at(0, begun).to_string(), "0.000000 * session 3 with a");
    }
}
