//! Runs a case against a server, step by step, and says what became of it.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::client::Client;
use super::proof::proof;
use super::{Finish, Journal, Note, Said, Setting, Target, Unable, Wire};
use crate::case::{Case, Script, Step};
use crate::pattern::{Match, Pattern};
use crate::reply::{Heard, Reply, Taken};
use crate::template::{Names, expand};
use crate::verdict::{Next, Stop, Verdict, broken, inconclusive, unknown};

/// How an alert of TLS begins (RFC 8446 section 5.1).
const ALERT: [u8; 2] = [0x15, 0x03];

/// What became of a case.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The verdict on the case itself.
    pub verdict: Verdict,
    /// Replies of a form that RFC 5321 does not allow, met on the way: the row's number, and what came.
    pub breaches: Vec<(&'static str, String)>,
    /// Octets that the client has sent in the longest conversation.
    pub sent: usize,
}

/// Runs all conversations of a case.
pub fn play(case: &Case, target: &dyn Target) -> Outcome {
    let mut outcome = Outcome {
        verdict: Verdict::Conformant,
        breaches: Vec::new(),
        sent: 0,
    };
    for script in &case.scripts {
        if !target.is_ours() && is_about_a_switch(script) {
            continue;
        }
        for each in script.texts() {
            let one = play_script(script, each, target);
            let worse = one.verdict > outcome.verdict;
            outcome.sent = outcome.sent.max(one.sent);
            outcome.breaches.extend(one.breaches);
            if worse {
                outcome.verdict = one.verdict.with_text(each);
            }
        }
    }
    if target.is_ours()
        && outcome.verdict == Verdict::Conformant
        && let Some((row, what)) = outcome.breaches.first()
    {
        outcome.verdict = Verdict::Not(format!("a reply against {row}: {what}"));
    }
    outcome
}

fn is_about_a_switch(script: &Script) -> bool {
    let mut words = script.with.iter();
    words.any(|word| Setting::SWITCHES.contains(&word.as_str()))
}

fn play_script(script: &Script, each: Option<(&str, &str)>, target: &dyn Target) -> Outcome {
    let mut play = match Play::begin(script, each, target) {
        Ok(play) => play,
        Err(verdict) => {
            return Outcome {
                verdict,
                breaches: Vec::new(),
                sent: 0,
            };
        }
    };
    let mut end = Ok(());
    for step in &script.steps {
        end = play.step(step);
        if end.is_err() {
            break;
        }
    }
    if end.is_ok() {
        play.flush();
    }
    let verdict = match end {
        Err(Stop::With(verdict)) => verdict,
        Ok(()) | Err(Stop::Over) => play.found(),
    };
    Outcome {
        verdict,
        breaches: play.breaches,
        sent: play.sent,
    }
}

/// How far `to:` has led.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Connected,
    Greeted,
    Hello,
    Mail,
    Rcpt,
    Data,
}

struct Play<'a> {
    target: &'a dyn Target,
    script: &'a Script,
    setting: Setting,
    names: Names,
    wire: Box<dyn Wire>,
    /// Connections that stay open behind it.
    held: Vec<Box<dyn Wire>>,
    /// Reads that brought something.
    reads: usize,
    /// The last reply, and one that is still to be looked at.
    last: Option<Reply>,
    waiting: Option<Reply>,
    /// What the client is about to send.
    pending: Vec<u8>,
    received: Vec<u8>,
    /// Journals of this conversation's connections, and how many of all their messages were looked at.
    journals: Vec<Journal>,
    messages_seen: usize,
    stage: Stage,
    latitude: Option<String>,
    unseen: Option<String>,
    breaches: Vec<(&'static str, String)>,
    sent: usize,
}

impl<'a> Play<'a> {
    fn begin(
        script: &'a Script,
        each: Option<(&str, &str)>,
        target: &'a dyn Target,
    ) -> Result<Self, Verdict> {
        let setting = Setting::of(script).map_err(Verdict::Not)?;
        let mut names = target.names(&setting);
        if let Some((name, text)) = each {
            let octets = expand(text, &names).map_err(|failure| unknown(&failure))?;
            names.set(name, octets);
        }
        let wire = open(target, script, &setting)?;
        let journals = wire.journal().into_iter().collect();
        Ok(Self {
            target,
            script,
            setting,
            names,
            wire,
            held: Vec::new(),
            reads: 0,
            last: None,
            waiting: None,
            pending: Vec::new(),
            received: Vec::new(),
            journals,
            messages_seen: 0,
            stage: Stage::Connected,
            latitude: None,
            unseen: None,
            breaches: Vec::new(),
            sent: 0,
        })
    }

    /// The verdict of a conversation that went to its end.
    fn found(&self) -> Verdict {
        match (&self.latitude, &self.unseen) {
            (Some(how), _) => Verdict::Latitude(how.clone()),
            (None, Some(what)) => Verdict::Inconclusive(what.clone()),
            (None, None) => Verdict::Conformant,
        }
    }

    fn step(&mut self, step: &Step) -> Next {
        let (word, text) = (step.word.as_str(), step.text.as_str());
        match word {
            "C" | "c" => {
                let octets = self.octets(text)?;
                self.pending.extend(octets);
                if word == "C" {
                    self.pending.extend(b"\r\n");
                }
                return Ok(());
            }
            _ => self.flush(),
        }
        match word {
            "S" => self.expect(text, step.line),
            "whole" => {
                self.reads = 0;
                self.expect(text, step.line)?;
                match self.reads {
                    1 => Ok(()),
                    reads => Err(broken(format!(
                        "line {}: it came in {reads} pieces",
                        step.line
                    ))),
                }
            }
            "take" => self.take(text, step.line),
            "prove" => self.prove(text, step.line),
            "same" | "differ" | "least" => self.compare(word, text, step.line),
            "auth" => self.authenticate(text, step.line),
            "to" => self.lead(text),
            "tls" => self.handshake(text, step.line),
            "cut" => {
                self.rest(Duration::from_millis(20));
                Ok(())
            }
            "clear" => {
                let octets = self.octets(text)?;
                self.wire.send_in_clear(&octets);
                Ok(())
            }
            "finish" => {
                self.wire.finish(match text {
                    "tls" => Finish::Tls,
                    "tcp" => Finish::Tcp,
                    _ => Finish::Both,
                });
                Ok(())
            }
            "cut-off" | "another" => {
                let wire = open(self.target, self.script, &self.setting).map_err(Stop::With)?;
                let old = std::mem::replace(&mut self.wire, wire);
                if word == "another" {
                    self.held.push(old);
                }
                self.journals.extend(self.wire.journal());
                self.received.clear();
                self.stage = Stage::Connected;
                Ok(())
            }
            "wait" => {
                let milliseconds = text.parse().map_err(|_| broken("wait: no number"))?;
                self.rest(Duration::from_millis(milliseconds));
                Ok(())
            }
            "D" | "D?" => self.delivered(text, word == "D", step.line),
            "seen" | "seen?" => self.seen(text, word == "seen", true, step.line),
            "seen-not" | "seen-not?" => self.seen(text, word == "seen-not", false, step.line),
            _ => Err(broken(format!("line {}: {word:?} is no step", step.line))),
        }
    }

    /// Waits, where the wire has a clock.
    fn rest(&self, time: Duration) {
        if self.target.patience() > Duration::ZERO {
            std::thread::sleep(time);
        }
    }

    fn octets(&self, text: &str) -> Result<Vec<u8>, Stop> {
        expand(text, &self.names).map_err(|failure| Stop::With(unknown(&failure)))
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let octets = std::mem::take(&mut self.pending);
            self.sent += octets.len();
            self.wire.send(&octets);
        }
    }

    fn hear(&mut self, patience: Duration) -> Heard {
        if let Some(reply) = self.waiting.take() {
            return Heard::Reply(reply);
        }
        let end = Instant::now() + patience;
        loop {
            // A TLS alert in clear says no more than that the connection ends.
            if self.received.starts_with(&ALERT) {
                self.received.drain(..self.received.len().min(7));
                continue;
            }
            match Reply::take(&mut self.received) {
                Taken::Reply(reply) => {
                    self.breaches.extend(reply.breaches());
                    self.last = Some(reply.clone());
                    return Heard::Reply(reply);
                }
                Taken::Garbled(what) => return Heard::Garbled(what),
                Taken::More => {}
            }
            match self
                .wire
                .receive(end.saturating_duration_since(Instant::now()))
            {
                Said::Octets(octets) => {
                    self.reads += 1;
                    self.received.extend(octets);
                }
                Said::End if self.received.is_empty() => return Heard::Close,
                Said::End => {
                    let part = std::mem::take(&mut self.received);
                    return Heard::Garbled(part.escape_ascii().to_string());
                }
                Said::Nothing if Instant::now() >= end => return Heard::Nothing,
                Said::Nothing => {}
            }
        }
    }

    fn expect(&mut self, text: &str, line: usize) -> Next {
        let pattern = Pattern::read(text, &self.names)
            .map_err(|what| broken(format!("line {line}: {what}")))?;
        let patience = if pattern.takes_silence() {
            self.target.silence()
        } else {
            self.target.patience()
        };
        for _ in 0..pattern.count {
            let heard = self.hear(patience);
            let (how, last) = pattern.meets(&heard);
            match how {
                Match::Exactly => {}
                Match::ButEnhanced if !self.target.is_ours() => {}
                Match::Latitude if !self.target.is_ours() => {
                    self.latitude.get_or_insert_with(|| heard.to_string());
                }
                _ => return Err(broken(format!("line {line}: wanted {text}, got {heard}"))),
            }
            if last {
                return Err(Stop::Over);
            }
        }
        Ok(())
    }

    /// A name for a part of the last reply, as `r=` of SCRAM's challenge.
    fn take(&mut self, text: &str, line: usize) -> Next {
        let wrong = || broken(format!("line {line}: the reply has no {text}"));
        let (name, prefix) = text.split_once(' ').ok_or_else(wrong)?;
        let challenge = self.last_challenge().ok_or_else(wrong)?;
        let value = challenge
            .split(',')
            .find_map(|part| part.strip_prefix(prefix))
            .ok_or_else(wrong)?;
        self.names.set(name, value);
        Ok(())
    }

    /// `{proof}` for SCRAM-SHA-256: right for what was said, whatever that is.
    fn prove(&mut self, text: &str, line: usize) -> Next {
        let wrong = || {
            broken(format!(
                "line {line}: there is no challenge to prove {text} for"
            ))
        };
        let said = String::from_utf8_lossy(&self.octets(text)?).into_owned();
        let password = self.octets("{password}")?;
        let challenge = self.last_challenge().ok_or_else(wrong)?;
        let (first, last) = said.split_once(' ').ok_or_else(wrong)?;
        let proof = proof(&password, first, &challenge, last).ok_or_else(wrong)?;
        self.names.set("proof", proof);
        Ok(())
    }

    /// The last reply's text without its base64.
    fn last_challenge(&self) -> Option<String> {
        let decoded = STANDARD.decode(self.last.as_ref()?.texts().next()?).ok()?;
        Some(String::from_utf8_lossy(&decoded).into_owned())
    }

    fn compare(&self, how: &str, text: &str, line: usize) -> Next {
        let wrong = || broken(format!("line {line}: {how}: {text} does not hold"));
        let (name, other) = text.split_once(' ').ok_or_else(wrong)?;
        let value = self.names.get(name).ok_or_else(wrong)?;
        let holds = match how {
            "same" => self.names.get(other) == Some(value),
            "differ" => self.names.get(other).is_some_and(|other| other != value),
            _ => {
                let number = |octets: &[u8]| std::str::from_utf8(octets).ok()?.parse::<u64>().ok();
                number(value) >= Some(number(other.as_bytes()).ok_or_else(wrong)?)
            }
        };
        if holds { Ok(()) } else { Err(wrong()) }
    }

    /// Goes through a mechanism with our own client's side of it. A success has to be one that the client believes.
    fn authenticate(&mut self, text: &str, line: usize) -> Next {
        let wrong = |what: &str| broken(format!("line {line}: {text}: {what}"));
        let octets = self.octets(text)?;
        let text = String::from_utf8_lossy(&octets).into_owned();
        let mut client = Client::begin(&text, self.wire.exporter()).map_err(|what| wrong(&what))?;
        let mut command = client.command();
        for _ in 0..8 {
            self.pending.extend(command);
            self.flush();
            let reply = match self.hear(self.target.patience()) {
                Heard::Reply(reply) => reply,
                other => return Err(wrong(&other.to_string())),
            };
            if reply.code() != "334" {
                if reply.code() == "235" && !client.believes() {
                    return Err(wrong("the server has proven nothing"));
                }
                self.waiting = Some(reply);
                return Ok(());
            }
            command = client.respond(&reply);
        }
        Err(wrong("there is no end to it"))
    }

    fn handshake(&mut self, text: &str, line: usize) -> Next {
        match (self.wire.start_tls(), text) {
            (Ok(()), "up" | "maybe") | (Err(_), "fails") => Ok(()),
            (Err(_), "maybe") => Err(Stop::Over),
            (Ok(()), _) => Err(broken(format!("line {line}: the handshake succeeded"))),
            (Err(why), _) => Err(broken(format!("line {line}: no handshake: {why}"))),
        }
    }

    /// Brings the server where the case begins.
    fn lead(&mut self, words: &str) -> Next {
        for word in words.split_whitespace() {
            match word {
                "greeting" => self.reach(Stage::Greeted)?,
                "hello" => self.reach(Stage::Hello)?,
                "helo" => {
                    self.reach(Stage::Greeted)?;
                    self.ask("HELO client.example", "250")?;
                    self.stage = Stage::Hello;
                }
                "tls" => {
                    self.reach(Stage::Hello)?;
                    self.ask("STARTTLS", "220")?;
                    let done = self.wire.start_tls();
                    done.map_err(|why| self.not_led(&format!("no handshake: {why}")))?;
                    self.stage = Stage::Greeted;
                    self.reach(Stage::Hello)?;
                }
                "auth" => {
                    self.reach(Stage::Hello)?;
                    self.ask("AUTH PLAIN {base64:\\0{user}\\0{password}}", "235")?;
                }
                "mail" => self.reach(Stage::Mail)?,
                "rcpt" => self.reach(Stage::Rcpt)?,
                "data" => self.reach(Stage::Data)?,
                _ => return Err(broken(format!("to: {word:?} is no place"))),
            }
        }
        Ok(())
    }

    fn reach(&mut self, goal: Stage) -> Next {
        while self.stage < goal {
            let (command, reply, next) = match self.stage {
                Stage::Connected => ("", "220", Stage::Greeted),
                Stage::Greeted if self.setting.lmtp => ("LHLO client.example", "250", Stage::Hello),
                Stage::Greeted => ("EHLO client.example", "250", Stage::Hello),
                Stage::Hello => ("MAIL FROM:<{sender}>", "250", Stage::Mail),
                Stage::Mail => ("RCPT TO:<{rcpt}>", "250 | 251", Stage::Rcpt),
                Stage::Rcpt | Stage::Data => ("DATA", "354", Stage::Data),
            };
            self.ask(command, reply)?;
            self.stage = next;
        }
        Ok(())
    }

    fn ask(&mut self, command: &str, reply: &str) -> Next {
        if !command.is_empty() {
            let octets = self.octets(command)?;
            self.pending.extend(octets);
            self.pending.extend(b"\r\n");
            self.flush();
        }
        let pattern = Pattern::read(reply, &self.names).map_err(broken)?;
        let heard = self.hear(self.target.patience());
        match pattern.meets(&heard).0 {
            Match::No => Err(self.not_led(&format!("{command}: {heard}"))),
            _ => Ok(()),
        }
    }

    fn not_led(&self, what: &str) -> Stop {
        if self.target.is_ours() {
            broken(format!("on the way there: {what}"))
        } else {
            inconclusive(format!("on the way there: {what}"))
        }
    }

    /// The next message that the application has taken.
    fn delivered(&mut self, text: &str, essential: bool, line: usize) -> Next {
        if self.journals.is_empty() {
            self.pass_over(essential, "what was delivered cannot be seen");
            return Ok(());
        }
        if text == "none" {
            // What would come late must not be missed.
            self.rest(Duration::from_millis(20));
        }
        let messages: Vec<Vec<u8>> = self
            .notes()
            .into_iter()
            .filter_map(|note| match note {
                Note::Message(message) => Some(message),
                Note::Told(_) => None,
            })
            .collect();
        let next = messages.get(self.messages_seen);
        let wanted = if text == "none" {
            None
        } else {
            Some(self.octets(text)?)
        };
        if next != wanted.as_ref() {
            let got = next.map_or("none".to_owned(), |message| {
                format!("{:.200}", message.escape_ascii().to_string())
            });
            return Err(broken(format!(
                "line {line}: wanted the message {text}, got {got}"
            )));
        }
        self.messages_seen += usize::from(wanted.is_some());
        Ok(())
    }

    fn seen(&mut self, text: &str, essential: bool, wanted: bool, line: usize) -> Next {
        if self.journals.is_empty() {
            self.pass_over(essential, "what the application was told cannot be seen");
            return Ok(());
        }
        let octets = self.octets(text)?;
        let told = String::from_utf8_lossy(&octets).into_owned();
        let notes = self.notes();
        if notes.contains(&Note::Told(told)) == wanted {
            Ok(())
        } else {
            Err(broken(format!(
                "line {line}: {text}, but it was told {notes:?}"
            )))
        }
    }

    fn notes(&self) -> Vec<Note> {
        self.journals.iter().flat_map(Journal::notes).collect()
    }

    fn pass_over(&mut self, essential: bool, why: &str) {
        if essential {
            self.unseen.get_or_insert_with(|| why.to_owned());
        }
    }
}

fn open(target: &dyn Target, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Verdict> {
    target.open(script, setting).map_err(|unable| match unable {
        Unable::Inconclusive(why) => Verdict::Inconclusive(why),
        Unable::Broken(why) => Verdict::Not(why),
    })
}
