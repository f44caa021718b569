//! Any server, over a socket: what is known of it was said on the command line, or is in its reply to EHLO.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::socket::SocketWire;
use super::{Said, Setting, Target, TlsSetting, Unable, Wire};
use crate::case::Script;
use crate::reply::{Reply, Taken};
use crate::template::Names;

/// The greatest limit of a server whose limit is tried: three times as much is sent.
const FILLED: u64 = 4 << 20;

/// A server that is not ours.
pub struct Foreign {
    /// Where it listens.
    pub address: SocketAddr,
    /// What names in cases stand for.
    pub names: Names,
    /// Words of `with:` that it was set by.
    pub with: Vec<String>,
    /// What it offers.
    pub offer: Offer,
    /// How to do TLS with it. Without, what takes TLS is inconclusive.
    pub tls: Option<TlsSetting>,
    /// How long to wait for a reply.
    pub patience: Duration,
    /// How long silence counts.
    pub silence: Duration,
    /// When to begin no more conversation.
    pub end: Instant,
}

/// The keywords of a server's reply to EHLO, in clear and with TLS.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// Upper-case keywords, each once.
    pub keywords: Vec<String>,
    /// The limit behind SIZE.
    pub size: Option<u64>,
}

impl Foreign {
    /// Asks the server what it offers.
    pub fn look(&mut self) -> Result<(), String> {
        let setting = Setting::read(&self.with)?;
        let mut wire = SocketWire::connect(self.address, self.tls.clone(), self.patience)?;
        if setting.implicit_tls {
            wire.start_tls()?;
        }
        let hello = if setting.lmtp {
            "LHLO client.example\r\n"
        } else {
            "EHLO client.example\r\n"
        };
        self.ask(&mut wire, "")?;
        let reply = self.ask(&mut wire, hello)?;
        self.offer.add(&reply);
        if self.offer.keywords.iter().any(|word| word == "STARTTLS")
            && self.ask(&mut wire, "STARTTLS\r\n")?.code() == "220"
            && wire.start_tls().is_ok()
        {
            let reply = self.ask(&mut wire, hello)?;
            self.offer.add(&reply);
        }
        wire.send(b"QUIT\r\n");
        if let Some(size) = self.offer.size.filter(|&size| size > 0) {
            self.names.set("size", size.to_string());
            if size <= FILLED {
                self.names.set("fill", size.to_string());
            }
        }
        Ok(())
    }

    fn ask(&self, wire: &mut SocketWire, command: &str) -> Result<Reply, String> {
        wire.send(command.as_bytes());
        let mut received = Vec::new();
        loop {
            match wire.receive(self.patience) {
                Said::Octets(octets) => received.extend(octets),
                Said::Nothing => return Err(format!("no reply to {command:?}")),
                Said::End => return Err(format!("closed at {command:?}")),
            }
            match Reply::take(&mut received) {
                Taken::Reply(reply) => return Ok(reply),
                Taken::More => {}
                Taken::Garbled(what) => return Err(format!("{command:?}: {what}")),
            }
        }
    }
}

impl Offer {
    fn add(&mut self, reply: &Reply) {
        for text in reply.texts().skip(1) {
            let text = String::from_utf8_lossy(text).to_ascii_uppercase();
            let mut words = text.split_whitespace();
            let Some(keyword) = words.next() else {
                continue;
            };
            if keyword == "SIZE" {
                self.size = words.next().and_then(|number| number.parse().ok());
            }
            if !self.keywords.iter().any(|word| word == keyword) {
                self.keywords.push(keyword.to_owned());
            }
        }
    }
}

impl Target for Foreign {
    fn open(&self, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Unable> {
        let inconclusive = |why: String| Err(Unable::Inconclusive(why));
        if script
            .only
            .iter()
            .any(|word| word == "memory" || word == "own")
        {
            return inconclusive("it depends on the application behind the server".to_owned());
        }
        let missing = |word: &&String| !self.with.contains(word);
        if let Some(word) = script.with.iter().find(missing) {
            return inconclusive(format!("it needs a server that is set so: {word}"));
        }
        let other_mode =
            |word: &&String| Setting::MODES.contains(&word.as_str()) && !script.with.contains(word);
        if let Some(word) = self.with.iter().find(other_mode) {
            return inconclusive(format!("the server is set so: {word}"));
        }
        let offered = |word: &str| self.offer.keywords.iter().any(|keyword| keyword == word);
        if let Some(word) = script.needs.iter().find(|word| !offered(word)) {
            return inconclusive(format!("{word} is not offered"));
        }
        let takes_tls = setting.implicit_tls
            || script.steps.iter().any(|step| match step.word.as_str() {
                "tls" => true,
                "to" => step.text.split_whitespace().any(|word| word == "tls"),
                _ => false,
            });
        if takes_tls && self.tls.is_none() {
            return inconclusive("TLS was not set up".to_owned());
        }
        if let Some(word) = script.without.iter().find(|word| offered(word)) {
            return inconclusive(format!("{word} is offered"));
        }
        if Instant::now() >= self.end {
            return inconclusive("the time was up".to_owned());
        }
        let mut wire = SocketWire::connect(self.address, self.tls.clone(), self.patience)
            .map_err(Unable::Broken)?;
        if setting.implicit_tls {
            wire.start_tls().map_err(Unable::Broken)?;
        }
        Ok(Box::new(wire))
    }

    fn names(&self, _: &Setting) -> Names {
        self.names.clone()
    }

    fn is_ours(&self) -> bool {
        false
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn silence(&self) -> Duration {
        self.silence
    }
}
