//! A driver in memory that follows a script, which reads like the conversation.
//!
//! - `C: line` the client sends a line; lines in a row are sent together; `c: octets` without CRLF
//! - `E: event` what the application is told (all pieces of a body in a row are one)
//! - `A: accept` or `A: 550 5.1.1 No` what the application answers
//! - `S: line` the next line of the server's replies
//! - `L: nonce`, `L: password pw` or `L: nobody` what is lent to a mechanism
//! - `N: need` what the machine needs now; `V: text` the violation it met
//! - `T:` the TLS handshake succeeds

use std::collections::VecDeque;
use std::sync::Arc;

use mailwire::proto::server::{Answer, Config, Connection, Event, Hooks};
use mailwire::proto::{
    EnhancedStatus, Need, Progress, Protocol, Reply, TlsInfo, TlsVersion, Violation,
};
use mailwire::sasl::{Decoy, Found, Mechanism, Nonce, Secret};

pub(crate) const MORE: Option<Need> = Some(Need::More);

pub(crate) fn config() -> Config {
    Config::new("mx.example.org".parse().unwrap(), Protocol::Smtp)
}

/// A listener with all that this version offers, which asks everything.
pub(crate) fn asking() -> Config {
    config()
        .with_starttls(true)
        .with_mechanisms([Mechanism::Plain, Mechanism::Login])
        .with_hooks(Hooks::ALL)
}

pub(crate) fn tls() -> TlsInfo {
    TlsInfo::new(TlsVersion::Tls13, "TLS13_AES_256_GCM_SHA384")
}

/// `550 5.1.1 text`, the enhanced code left out or not.
pub(crate) fn reply(text: &str) -> Reply {
    let (code, text) = text.split_once(' ').unwrap();
    let code = code.parse().unwrap();
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match EnhancedStatus::parse(word) {
        Some(enhanced) => Reply::new(code, rest.to_owned())
            .unwrap()
            .with_enhanced(enhanced)
            .unwrap(),
        None => Reply::multiline(code, text.split('|')).unwrap(),
    }
}

pub(crate) fn show(event: &Event<'_>) -> String {
    match event {
        Event::Connect => "Connect".to_owned(),
        Event::Hello { extended, name } => {
            format!("Hello {name}{}", if *extended { " extended" } else { "" })
        }
        Event::StartTls => "StartTls".to_owned(),
        Event::Auth { credentials } => format!(
            "Auth {:?} {} {}",
            credentials.authorization_identity().unwrap_or_default(),
            credentials.username(),
            credentials.password().expose().escape_ascii()
        ),
        Event::Nonce => "Nonce".to_owned(),
        Event::OwnMechanism => "OwnMechanism".to_owned(),
        Event::OwnVerdict { username } => format!("OwnVerdict {username}"),
        Event::Lookup(lookup) => format!("Lookup {:?} {}", lookup.wanted(), lookup.username()),
        Event::Mail {
            reverse_path,
            parameters,
        } => format!("Mail <{reverse_path}>{parameters}"),
        Event::Rcpt { path, parameters } => format!("Rcpt <{path}>{parameters}"),
        Event::Data => "Data".to_owned(),
        Event::Body(piece) => format!("Body {}", piece.escape_ascii()),
        Event::Discarded => "Discarded".to_owned(),
        Event::Abandoned => "Abandoned".to_owned(),
        Event::EndOfData { size } => format!("EndOfData {size}"),
        Event::Reset => "Reset".to_owned(),
        Event::Verify(text) => format!("Verify {text}"),
        Event::Expand(text) => format!("Expand {text}"),
        Event::Help(text) => format!("Help {text}"),
        Event::Etrn(node) => format!("Etrn {node}"),
        Event::Client(attributes) => format!("Client{attributes}"),
        Event::Unknown { verb, argument } => format!("Unknown {verb} {argument}"),
        Event::Quit => "Quit".to_owned(),
        other => panic!("unknown event {other:?}"),
    }
}

/// A connection, and what has come out of it.
pub(crate) struct Talk {
    pub(crate) connection: Connection,
    input: Vec<u8>,
    pub(crate) events: VecDeque<String>,
    pub(crate) output: Vec<u8>,
    pub(crate) need: Option<Need>,
    pub(crate) violation: Option<Violation>,
}

impl Talk {
    pub(crate) fn new(config: Config) -> Self {
        Self::on(Connection::new(Arc::new(config), None))
    }

    pub(crate) fn over_tls(config: Config) -> Self {
        Self::on(Connection::new(Arc::new(config), Some(tls())))
    }

    pub(crate) fn over(config: Config, tls: TlsInfo) -> Self {
        Self::on(Connection::new(Arc::new(config), Some(tls)))
    }

    fn on(connection: Connection) -> Self {
        let mut talk = Self {
            connection,
            input: Vec::new(),
            events: VecDeque::new(),
            output: Vec::new(),
            need: None,
            violation: None,
        };
        talk.pump();
        talk
    }

    /// Lends more input, and goes on until the machine needs something that is not here.
    pub(crate) fn lend(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        self.pump();
    }

    pub(crate) fn pump(&mut self) {
        let input = std::mem::take(&mut self.input);
        let mut start = 0;
        self.need = None;
        while self.need.is_none() && self.violation.is_none() {
            match self.connection.receive(&input[start..]) {
                Ok(Progress::Event { used, event }) => {
                    start += used;
                    let shown = show(&event);
                    match (self.events.back_mut(), shown.strip_prefix("Body ")) {
                        (Some(last), Some(piece)) if last.starts_with("Body ") => {
                            last.push_str(piece);
                        }
                        _ => self.events.push_back(shown),
                    }
                }
                Ok(Progress::Need { used, need }) => {
                    start += used;
                    let replies = self.connection.has_output();
                    self.flush();
                    // With replies to send there may be commands left; without any, it is time to read.
                    self.need = (need != Need::More || !replies).then_some(need);
                }
                Err(violation) => self.violation = Some(violation),
            }
            self.flush();
        }
        self.input = input[start..].to_vec();
    }

    fn flush(&mut self) {
        while self.connection.has_output() {
            let octets: Vec<u8> = self
                .connection
                .transmit()
                .flat_map(|slice| slice.to_vec())
                .collect();
            // As a socket may, take a part only.
            let part = octets.len().div_ceil(2);
            self.output.extend_from_slice(&octets[..part]);
            self.connection.sent(part);
        }
    }

    pub(crate) fn answer(&mut self, answer: impl Into<Answer>) {
        self.connection
            .answer(answer.into())
            .expect("an answer is owed");
        self.pump();
    }

    /// Lends a mechanism what it has asked for.
    pub(crate) fn lend_to_mechanism(&mut self, what: &str) {
        let decoy = Decoy::new([7; 32]);
        let lent = match what.split_once(' ') {
            None if what == "nonce" => self.connection.lend_nonce(Nonce::new([0; 18])),
            None => self.connection.supply(Found::Nobody, &decoy),
            Some((_, password)) => {
                let found = Found::Password(Secret::new(password));
                self.connection.supply(found, &decoy)
            }
        };
        lent.expect("something is owed");
        self.pump();
    }

    pub(crate) fn event(&mut self) -> Option<String> {
        self.events.pop_front()
    }

    /// The next line that the server has sent.
    pub(crate) fn line(&mut self) -> Option<String> {
        let end = self.output.windows(2).position(|pair| pair == b"\r\n")?;
        let rest = self.output.split_off(end + 2);
        let line = std::mem::replace(&mut self.output, rest);
        Some(String::from_utf8(line[..end].to_vec()).expect("replies are ASCII"))
    }

    /// Follows a script, at whose end nothing was left unsaid.
    pub(crate) fn follow(&mut self, script: &[&str]) {
        self.begin(script);
        assert_eq!(self.event(), None, "all events were expected");
        assert_eq!(self.line(), None, "all replies were expected");
    }

    /// Follows a script that is not all there is.
    pub(crate) fn begin(&mut self, script: &[&str]) {
        for (index, step) in script.iter().enumerate() {
            let place = format!("step {index}: {}", step.escape_debug());
            let (who, text) = step.split_at_checked(2).expect(&place);
            let text = text.strip_prefix(' ').unwrap_or(text);
            match who {
                "C:" => {
                    self.input.extend_from_slice(text.as_bytes());
                    self.input.extend_from_slice(b"\r\n");
                }
                "c:" => self.input.extend_from_slice(text.as_bytes()),
                "E:" => assert_eq!(self.event().as_deref(), Some(text), "{place}"),
                "S:" => assert_eq!(self.line().as_deref(), Some(text), "{place}"),
                "A:" if text == "accept" => self.answer(Answer::Accept),
                "A:" => self.answer(reply(text)),
                "L:" => self.lend_to_mechanism(text),
                "N:" => assert_eq!(
                    format!("{:?}", self.need),
                    format!("Some({text})"),
                    "{place}"
                ),
                "V:" => {
                    let shown = format!("{:?}", self.violation);
                    assert!(shown.contains(text), "{place}: {shown}");
                }
                "T:" => {
                    assert_eq!(self.need, Some(Need::Tls), "{place}");
                    self.connection.secured(b"", tls()).expect(&place);
                    self.pump();
                }
                _ => panic!("{place}"),
            }
            let more = script
                .get(index + 1)
                .is_some_and(|next| next.to_ascii_uppercase().starts_with("C:"));
            if who.eq_ignore_ascii_case("C:") && !more {
                self.pump();
            }
        }
    }
}

/// Follows a script on a new connection.
pub(crate) fn talk(config: Config, script: &[&str]) -> Talk {
    let mut talk = Talk::new(config);
    talk.follow(script);
    talk
}

/// On a new connection whose client has said EHLO.
pub(crate) fn greeted(config: Config) -> Talk {
    let hooks = config.hooks();
    let mut talk = Talk::new(config);
    if hooks.has(Hooks::CONNECT) {
        talk.follow(&["E: Connect", "A: accept", "S: 220 mx.example.org ESMTP"]);
    }
    talk.lend(b"EHLO a.example\r\n");
    if hooks.has(Hooks::HELLO) {
        talk.begin(&["E: Hello a.example extended"]);
        talk.answer(Answer::Accept);
    }
    assert!(
        String::from_utf8_lossy(&talk.output).contains("\r\n250 "),
        "{}",
        talk.output.escape_ascii()
    );
    talk.output.clear();
    talk
}

/// Follows a script after EHLO.
pub(crate) fn after_hello(config: Config, script: &[&str]) -> Talk {
    let mut talk = greeted(config);
    talk.follow(script);
    talk
}
