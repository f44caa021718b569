//! Events as lines of JSON (RFC 8259): flat objects of texts, whole numbers and switches, for which no library is needed.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use super::event::time_of_day;
use super::{Event, Kind};

impl Event {
    /// The event as one line of JSON, without a line end. Every object has `session`, `microseconds` since the session began, and
    /// `event`, which names its [`Kind`]: `begun`, `connecting`, `not_connected`, `connected`, `proxy_asked`, `proxy_connected`,
    /// `proxy_header`, `tls_begun`, `tls_established`, `logged_in`, `line`, `message`, `failed` or `closed`. The others have the names of its
    /// fields; `status` and `phase` are their stable numbers, `begun` has its time both as a text and in microseconds since 1970.
    ///
    /// ```text
    /// {"session":1,"microseconds":34702,"event":"line","from":"client","text":"EHLO client.example","hidden":0}
    /// ```
    pub fn to_json(&self) -> String {
        let mut json = Object::new();
        json.number("session", self.session);
        let micros = self.elapsed.as_micros();
        json.number("microseconds", micros);
        self.kind.write(&mut json);
        json.end()
    }
}

impl Kind {
    fn write(&self, json: &mut Object) {
        match self {
            Self::Begun { peer, at } => {
                json.event("begun").text("peer", peer);
                if let Some(day) = time_of_day(*at) {
                    json.text("at", day.as_str());
                }
                if let Ok(since) = at.duration_since(UNIX_EPOCH) {
                    json.number("unix_microseconds", since.as_micros());
                }
            }
            Self::Connecting { address } => json.event("connecting").text("address", address),
            Self::NotConnected { address, reason } => {
                json.event("not_connected").text("address", address);
                json.text("reason", reason);
            }
            Self::Connected { address } => json.event("connected").text("address", address),
            Self::ProxyAsked { proxy, server } => {
                json.event("proxy_asked").text("proxy", proxy);
                json.text("server", server);
            }
            Self::ProxyConnected { proxy } => json.event("proxy_connected").text("proxy", proxy),
            Self::ProxyHeader { octets } => json.event("proxy_header").number("octets", octets),
            Self::TlsBegun { name } => json.event("tls_begun").text("name", name),
            Self::TlsEstablished {
                version,
                cipher,
                verified,
                resumed,
            } => {
                json.event("tls_established");
                json.text("version", version.name());
                json.text("cipher", cipher);
                json.number("verified", verified);
                json.number("resumed", resumed);
            }
            Self::LoggedIn { mechanism } => json.event("logged_in").text("mechanism", mechanism),
            Self::Line { from, text, hidden } => {
                json.event("line").text("from", from.name());
                json.text("text", text);
                json.number("hidden", hidden);
            }
            Self::Message { from, octets } => {
                json.event("message").text("from", from.name());
                json.number("octets", octets);
            }
            Self::Failed {
                status,
                phase,
                text,
            } => {
                json.event("failed").number("status", status.number());
                if let Some(phase) = phase {
                    json.number("phase", phase.number());
                }
                json.text("text", text);
            }
            Self::Closed { by } => json.event("closed").text("by", by.name()),
        }
    }
}

/// An object that is being written.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn event(&mut self, name: &str) -> &mut Self {
        self.text("event", name);
        self
    }

    /// A whole number, or a switch.
    fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        // Writing to a string does not fail.
        let _ = write!(self.0, "{value}");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.push('"');
        for c in value.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                c if c.is_control() => {
                    // No control character is beyond four digits.
                    let _ = write!(self.0, "\\u{:04x}", u32::from(c));
                }
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    /// Names are ours, and have nothing to escape.
    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.extend(["\"", name, "\":"]);
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::{Value, json};

    use super::super::Side;
    use super::*;
    use crate::error::{Phase, Status};
    use crate::proto::TlsVersion;

    fn parsed(kind: Kind) -> Value {
        let event = Event {
            session: u64::MAX,
            elapsed: Duration::from_micros(1_000_001),
            kind,
        };
        let line = event.to_json();
        assert!(!line.contains(char::is_control), "{line:?}");
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn every_text_comes_back_as_it_was() {
        let text = "\"quoted\" \\ back\tslash \u{1} \u{7f} \u{2028} grüße 😀 \r\n";
        let line = Kind::Line {
            from: Side::Server,
            text: text.into(),
            hidden: 3,
        };
        assert_eq!(
            parsed(line),
            json!({"session": u64::MAX, "microseconds": 1_000_001, "event": "line", "from": "server", "text": text, "hidden": 3})
        );
    }

    #[test]
    fn every_kind_is_an_object_with_its_fields() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        let text = |text: &str| text.to_owned();
        let (address, proxy) = (text("192.0.2.1:25"), text("p:1080"));
        for (kind, fields) in [
            (
                Kind::Begun {
                    peer: text("mx:25"),
                    at,
                },
                json!({"event": "begun", "peer": "mx:25", "at": "1970-01-01T00:00:01Z", "unix_microseconds": 1_500_000}),
            ),
            (
                Kind::Connecting {
                    address: address.clone(),
                },
                json!({"event": "connecting", "address": "192.0.2.1:25"}),
            ),
            (
                Kind::NotConnected {
                    address: address.clone(),
                    reason: text("refused"),
                },
                json!({"event": "not_connected", "address": "192.0.2.1:25", "reason": "refused"}),
            ),
            (
                Kind::Connected { address },
                json!({"event": "connected", "address": "192.0.2.1:25"}),
            ),
            (
                Kind::ProxyAsked {
                    proxy: proxy.clone(),
                    server: text("mx:25"),
                },
                json!({"event": "proxy_asked", "proxy": "p:1080", "server": "mx:25"}),
            ),
            (
                Kind::ProxyConnected { proxy },
                json!({"event": "proxy_connected", "proxy": "p:1080"}),
            ),
            (
                Kind::ProxyHeader { octets: 16 },
                json!({"event": "proxy_header", "octets": 16}),
            ),
            (
                Kind::TlsBegun { name: text("mx") },
                json!({"event": "tls_begun", "name": "mx"}),
            ),
            (
                Kind::TlsEstablished {
                    version: TlsVersion::Tls12,
                    cipher: text("X"),
                    verified: true,
                    resumed: false,
                },
                json!({"event": "tls_established", "version": "TLSv1.2", "cipher": "X", "verified": true, "resumed": false}),
            ),
            (
                Kind::LoggedIn {
                    mechanism: text("PLAIN"),
                },
                json!({"event": "logged_in", "mechanism": "PLAIN"}),
            ),
            (
                Kind::Message {
                    from: Side::Client,
                    octets: 1 << 40,
                },
                json!({"event": "message", "from": "client", "octets": 1_u64 << 40}),
            ),
            (
                Kind::Failed {
                    status: Status::Timeout,
                    phase: Some(Phase::Mail),
                    text: text("late"),
                },
                json!({"event": "failed", "status": 102, "phase": 9, "text": "late"}),
            ),
            (
                Kind::Failed {
                    status: Status::Io,
                    phase: None,
                    text: text("x"),
                },
                json!({"event": "failed", "status": 100, "text": "x"}),
            ),
            (
                Kind::Closed { by: Side::Client },
                json!({"event": "closed", "by": "client"}),
            ),
        ] {
            let mut expected = fields;
            expected["session"] = u64::MAX.into();
            expected["microseconds"] = 1_000_001.into();
            assert_eq!(parsed(kind), expected);
        }
    }
}
