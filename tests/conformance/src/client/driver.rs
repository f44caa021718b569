//! Runs a case against a client, step by step, and says what became of it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::expectation::{Expectation, Met};
use super::peer::Peer;
use super::{Call, Composition, Setting, Target, Wire};
use crate::case::{Case, Script, Step};
use crate::pattern::{Match, Pattern};
use crate::reply::Heard;
use crate::server::{Finish, Said, Unable};
use crate::template::{Names, expand};
use crate::verdict::{Next, Stop, Verdict, broken, unknown};

/// A call that needs nobody else is over by then, however busy the machine is: work that grows with the square of what was given
/// would take minutes.
const AT_ONCE: Duration = Duration::from_secs(2);

/// What became of a case.
#[derive(Debug, Clone)]
pub struct Played {
    /// The verdict on it.
    pub verdict: Verdict,
    /// Octets that the server has sent in the longest conversation.
    pub sent: usize,
}

/// Runs all conversations of a case.
pub fn play(case: &Case, target: &dyn Target) -> Played {
    let mut played = Played {
        verdict: Verdict::Conformant,
        sent: 0,
    };
    for script in &case.scripts {
        for each in script.texts() {
            let one = play_script(script, each, target);
            played.sent = played.sent.max(one.sent);
            if one.verdict > played.verdict {
                played.verdict = one.verdict.with_text(each);
            }
        }
    }
    played
}

fn play_script(script: &Script, each: Option<(&str, &str)>, target: &dyn Target) -> Played {
    let mut play = match Play::begin(script, each, target) {
        Ok(play) => play,
        Err(verdict) => return Played { verdict, sent: 0 },
    };
    let end = script.steps.iter().try_for_each(|step| play.step(step));
    let verdict = match end {
        Err(Stop::With(verdict)) => verdict,
        Ok(()) | Err(Stop::Over) => match play.unseen {
            Some(what) => Verdict::Inconclusive(what),
            None => Verdict::Conformant,
        },
    };
    Played {
        verdict,
        sent: play.sent,
    }
}

struct Play<'a> {
    target: &'a dyn Target,
    setting: Setting,
    names: Names,
    wire: Box<dyn Wire>,
    received: Vec<u8>,
    /// The last line of the client's.
    line: Vec<u8>,
    /// The last message, as it came.
    data: Vec<u8>,
    composition: Composition,
    called: Instant,
    /// What could not be looked at.
    unseen: Option<String>,
    sent: usize,
}

impl<'a> Play<'a> {
    fn begin(
        script: &Script,
        each: Option<(&str, &str)>,
        target: &'a dyn Target,
    ) -> Result<Self, Verdict> {
        let mut names = Names::default()
            .with("sender", "sender@client.example")
            .with("rcpt", "joe@inbox.example");
        if let Some((name, text)) = each {
            let octets = expand(text, &names).map_err(|failure| unknown(&failure))?;
            names.set(name, octets);
        }
        let setting = Setting::read(&script.with, &names).map_err(|failure| unknown(&failure))?;
        let wire = target
            .open(script, &setting)
            .map_err(|unable| match unable {
                Unable::Inconclusive(why) => Verdict::Inconclusive(why),
                Unable::Broken(why) => Verdict::Not(why),
            })?;
        Ok(Self {
            target,
            setting,
            composition: Composition::new("sender@client.example"),
            names,
            wire,
            received: Vec::new(),
            line: Vec::new(),
            data: Vec::new(),
            called: Instant::now(),
            unseen: None,
            sent: 0,
        })
    }

    fn step(&mut self, step: &Step) -> Next {
        let (word, text) = (step.word.as_str(), step.text.as_str());
        let at = |stop| match stop {
            Stop::With(Verdict::Not(what)) => broken(format!("line {}: {what}", step.line)),
            other => other,
        };
        match word {
            "from" | "mail" | "envid" | "submitter" | "rcpt" | "param" | "message" | "subject"
            | "header" | "text" => self.compose(word, text),
            "open" => self.call(Call::Open),
            "send" => {
                let next = Composition::new("sender@client.example");
                let mut given = std::mem::replace(&mut self.composition, next);
                if given.recipients.is_empty() {
                    given.recipients = vec![("joe@inbox.example".to_owned(), Vec::new())];
                }
                self.call(Call::Send(Box::new(given)))
            }
            "ask" => {
                let text = self.text(text)?;
                let (what, argument) = text.split_once(' ').unwrap_or((&text, ""));
                self.call(Call::Ask(what.to_owned(), argument.to_owned()))
            }
            "quit" => self.call(Call::Quit),
            "cancel" => {
                self.wire.cancel();
                Ok(())
            }
            "result" => self.result(text),
            "at-once" if self.called.elapsed() < AT_ONCE => Ok(()),
            "at-once" => Err(broken(format!("it took {:?}", self.called.elapsed()))),
            "to" => self.lead(text),
            _ => self.serve(word, text),
        }
        .map_err(at)
    }

    /// Steps of the server.
    fn serve(&mut self, word: &str, text: &str) -> Next {
        match word {
            "S" | "s" => {
                let mut octets = self.octets(text)?;
                if word == "S" {
                    octets.extend(b"\r\n");
                }
                self.send(&octets);
                Ok(())
            }
            "drip" => {
                for octet in self.octets(text)? {
                    self.send(&[octet]);
                }
                Ok(())
            }
            "C" => self.expect(text),
            "c" => self.expect_octets(text),
            "D" => self.expect_message(text),
            "harmless" => self.is_harmless(),
            "longest" => {
                let longest = self.data.split(|&b| b == b'\n').map(<[u8]>::len).max();
                let most: usize = text.parse().map_err(|_| broken("no number"))?;
                // The CR is one of them.
                match longest {
                    Some(octets) if octets <= most + 1 => Ok(()),
                    other => Err(broken(format!("the longest line has {other:?} octets"))),
                }
            }
            "decoded" => {
                let decoded = self.decoded()?;
                let pattern = Pattern::read_line(text, &self.names).map_err(broken)?;
                let line = Heard::Line(decoded);
                match pattern.meets(&line).0 {
                    Match::Exactly => Ok(()),
                    _ => Err(broken(format!("wanted {text}, got {line}"))),
                }
            }
            "take" => self.take(text),
            "auth" => self.authenticate(text),
            "tls" => self.handshake(text),
            "goodbye" => {
                self.expect("QUIT")?;
                self.send(b"221 2.0.0 bye\r\n");
                Ok(())
            }
            "sni" => {
                let name = self.wire.server_name();
                if name.as_deref().unwrap_or("none") == text {
                    Ok(())
                } else {
                    Err(broken(format!("it has asked for {name:?}")))
                }
            }
            "close" => {
                self.wire.close(match text {
                    "tcp" => Finish::Tcp,
                    _ => Finish::Both,
                });
                Ok(())
            }
            "accept" => {
                let wanted = text != "none";
                let patience = if wanted {
                    self.target.patience()
                } else {
                    self.target.silence()
                };
                if self.wire.accept(patience) == wanted {
                    self.received.clear();
                    Ok(())
                } else {
                    Err(broken("accept: it did not"))
                }
            }
            "wait" => {
                let milliseconds = text.parse().map_err(|_| broken("wait: no number"))?;
                if self.target.patience() > Duration::ZERO {
                    std::thread::sleep(Duration::from_millis(milliseconds));
                }
                Ok(())
            }
            _ => Err(broken(format!("{word:?} is no step"))),
        }
    }

    fn octets(&self, text: &str) -> Result<Vec<u8>, Stop> {
        expand(text, &self.names).map_err(|failure| Stop::With(unknown(&failure)))
    }

    fn text(&self, text: &str) -> Result<String, Stop> {
        String::from_utf8(self.octets(text)?).map_err(|_| broken("that is no text"))
    }

    fn compose(&mut self, word: &str, text: &str) -> Next {
        if word == "message" {
            self.composition.message = self.octets(text)?;
            return Ok(());
        }
        let text = self.text(text)?;
        let composition = &mut self.composition;
        match word {
            "from" => composition.from = text,
            "mail" => composition.mail.push(text),
            "envid" => composition.envid = Some(text),
            "submitter" => composition.submitter = Some(text),
            "rcpt" => composition.recipients.push((text, Vec::new())),
            "param" => {
                let last = composition.recipients.last_mut();
                let (_, parameters) = last.ok_or_else(|| broken("no recipient before it"))?;
                parameters.push(text);
            }
            _ => composition.parts.push((word.to_owned(), text)),
        }
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "each step says whether to go on")]
    fn call(&mut self, call: Call) -> Next {
        self.called = Instant::now();
        self.wire.call(call);
        Ok(())
    }

    fn result(&mut self, text: &str) -> Next {
        let Some(report) = self.wire.result(self.target.patience()) else {
            return Err(broken(format!("wanted {text}, and there is no result")));
        };
        let mut best = Met::No;
        for one in text.split(" | ") {
            let wanted = Expectation::read(one, &self.names).map_err(broken)?;
            best = best.min(wanted.meets(&report));
        }
        match best {
            Met::Yes => {}
            Met::AsFarAsKnown => {
                self.unseen
                    .get_or_insert_with(|| "the machine alone has no status".to_owned());
            }
            Met::No => {
                let outcome = report.outcome.as_ref().map(|outcome| {
                    let all = outcome.recipients().iter();
                    all.map(|one| (one.delivery(), one.reply().map(ToString::to_string)))
                        .collect::<Vec<_>>()
                });
                let (ending, phase) = (report.ending, report.phase);
                let what = format!("{ending:?} at {phase:?}, {outcome:?}, {:.300}", report.text);
                return Err(broken(format!("wanted {text}, got {what}")));
            }
        }
        Ok(())
    }

    fn send(&mut self, octets: &[u8]) {
        self.sent += octets.len();
        self.wire.send(octets);
    }

    /// Waits until what came has `enough`, and gives how much of it that is. `None`: no more comes.
    fn fill(
        &mut self,
        patience: Duration,
        enough: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<usize, Said> {
        let end = Instant::now() + patience;
        loop {
            if let Some(octets) = enough(&self.received) {
                return Ok(octets);
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.wire.receive(left) {
                Said::Octets(octets) => self.received.extend(octets),
                Said::Nothing if Instant::now() < end => {}
                other => return Err(other),
            }
        }
    }

    fn hear(&mut self, patience: Duration) -> Heard {
        let line = self.fill(patience, |received| {
            received.windows(2).position(|pair| pair == b"\r\n")
        });
        match line {
            Ok(len) => {
                self.line = self.received.drain(..len + 2).take(len).collect();
                Heard::Line(self.line.clone())
            }
            Err(_) if !self.received.is_empty() => {
                let part = std::mem::take(&mut self.received);
                Heard::Garbled(format!("{:.200}", part.escape_ascii().to_string()))
            }
            Err(Said::End) => Heard::Close,
            Err(_) => Heard::Nothing,
        }
    }

    fn expect(&mut self, text: &str) -> Next {
        let pattern = Pattern::read_line(text, &self.names).map_err(broken)?;
        let patience = if pattern.takes_silence() {
            self.target.silence()
        } else {
            self.target.patience()
        };
        for _ in 0..pattern.count {
            let heard = self.hear(patience);
            match pattern.meets(&heard) {
                (Match::Exactly, false) => {}
                (Match::Exactly, true) if text == "close" => {}
                (Match::Exactly, true) => return Err(Stop::Over),
                _ => return Err(broken(format!("wanted {text}, got {heard}"))),
            }
        }
        Ok(())
    }

    fn expect_octets(&mut self, text: &str) -> Next {
        let wanted = self.octets(text)?;
        let len = wanted.len();
        let enough = |received: &[u8]| (received.len() >= len).then_some(len);
        let _ = self.fill(self.target.patience(), enough);
        let came = self.received.get(..len).unwrap_or(&self.received);
        if came == wanted {
            self.received.drain(..len);
            Ok(())
        } else {
            let same = came.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
            let rest = came.get(same..).unwrap_or_default();
            let rest = rest.escape_ascii().to_string();
            Err(broken(format!(
                "wanted {text:.200}, and from octet {same} on got {rest:.200}"
            )))
        }
    }

    fn expect_message(&mut self, text: &str) -> Next {
        let any = text == "{*}";
        let wanted = if any { Vec::new() } else { self.octets(text)? };
        let end = self.fill(self.target.patience(), |received| {
            if received.starts_with(b".\r\n") {
                return Some(3);
            }
            let place = received.windows(5).position(|five| five == b"\r\n.\r\n");
            place.map(|place| place + 5)
        });
        let len = end.map_err(|_| broken("there is no end of the message"))?;
        self.data = self.received.drain(..len).take(len - 3).collect();
        let lines = self.data.split_inclusive(|&b| b == b'\n');
        let lines = lines.map(|line| line.strip_prefix(b".").unwrap_or(line));
        let message: Vec<u8> = lines.flatten().copied().collect();
        if any || message == wanted {
            Ok(())
        } else {
            let message = message.escape_ascii().to_string();
            Err(broken(format!(
                "wanted the message {text}, got {message:.300}"
            )))
        }
    }

    /// Whether a server that takes a bare CR or LF for the end of a line sees the same message.
    fn is_harmless(&self) -> Next {
        let mut rest = self.data.as_slice();
        while let Some(place) = rest.iter().position(|b| matches!(b, b'\r' | b'\n')) {
            let (line, end) = rest.split_at(place);
            let Some(next) = end.strip_prefix(b"\r\n") else {
                return Err(broken("a line ends in a bare CR or LF"));
            };
            if line == b"." {
                return Err(broken("a line is a lone dot"));
            }
            rest = next;
        }
        Ok(())
    }

    fn decoded(&self) -> Result<Vec<u8>, Stop> {
        let word = self.line.rsplit(|&b| b == b' ').next().unwrap_or_default();
        STANDARD
            .decode(word)
            .map_err(|_| broken("the line ends in no base64"))
    }

    fn take(&mut self, text: &str) -> Next {
        let (name, prefix) = text.split_once(' ').ok_or_else(|| broken("no prefix"))?;
        let decoded = self.decoded()?;
        let decoded = String::from_utf8_lossy(&decoded).into_owned();
        let mut parts = decoded.split(',');
        let value = parts
            .find_map(|part| part.strip_prefix(prefix))
            .ok_or_else(|| broken(format!("there is no {prefix} in it")))?;
        self.names.set(name, value);
        Ok(())
    }

    /// Goes through a mechanism with our own server's side of it, up to the reply to what the client has proven or not.
    fn authenticate(&mut self, text: &str) -> Next {
        let text = self.text(text)?;
        let (user, password) = text.split_once(' ').ok_or_else(|| broken("no password"))?;
        let mut peer = None;
        for _ in 0..8 {
            let Heard::Line(line) = self.hear(self.target.patience()) else {
                return Err(broken("the client does not go on"));
            };
            let peer = match &mut peer {
                Some(peer) => peer,
                None => peer.insert(Peer::begin(&line, self.wire.exporter()).map_err(broken)?),
            };
            let reply = peer.reply(&line, user, password);
            self.send(reply.as_bytes());
            if !reply.starts_with("334") {
                return Ok(());
            }
        }
        Err(broken("there is no end to it"))
    }

    fn handshake(&mut self, text: &str) -> Next {
        let text = self.text(text)?;
        let (how, certificate) = text.split_once(' ').unwrap_or((&text, "good"));
        match (self.wire.start_tls(certificate), how) {
            (Ok(()), "up") | (Err(_), "fails") => Ok(()),
            (Ok(()), _) => Err(broken("the handshake succeeded")),
            (Err(why), _) => Err(broken(format!("no handshake: {why}"))),
        }
    }

    /// Brings the client where the case begins.
    fn lead(&mut self, words: &str) -> Next {
        let words = self.octets(words)?;
        let words = String::from_utf8_lossy(&words).into_owned();
        let (place, keywords) = words.split_once(' ').unwrap_or((&words, ""));
        let lines: Vec<String> = keywords
            .split_whitespace()
            .map(|word| word.replace('=', " "))
            .collect();
        if !self.setting.kept {
            self.call(Call::Open)?;
        }
        self.send(b"220 mx.inbox.example ESMTP\r\n");
        if place == "tls" {
            self.hello(&["STARTTLS".to_owned()])?;
            self.expect("STARTTLS")?;
            self.send(b"220 2.0.0 go ahead\r\n");
            self.handshake("up")?;
        }
        self.hello(&lines)?;
        match place {
            "hello" | "tls" => Ok(()),
            "ready" if self.setting.kept => Ok(()),
            "ready" => self.result("ok"),
            _ => Err(broken(format!("{place:?} is no place"))),
        }
    }

    /// EHLO, and the reply that offers these.
    fn hello(&mut self, keywords: &[String]) -> Next {
        let verb = if self.setting.lmtp { "LHLO" } else { "EHLO" };
        self.expect(&format!("{verb} client.example"))?;
        let mut lines = vec!["mx.inbox.example".to_owned()];
        lines.extend_from_slice(keywords);
        let last = lines.len() - 1;
        let mut reply = lines.join("\r\n250-");
        if let Some(place) = reply.rfind("250-") {
            reply.replace_range(place..place + 4, "250 ");
        }
        let first = if last > 0 { '-' } else { ' ' };
        let reply = format!("250{first}{reply}\r\n");
        self.send(reply.as_bytes());
        Ok(())
    }
}
