//! Runs a case against a client, step by step, and says what became of it.

mod serve;

use std::time::{Duration, Instant};

use super::expectation::{Expectation, Met};
use super::{Call, Composition, Setting, Target, Wire};
use crate::case::{Case, Script, Step};
use crate::server::Unable;
use crate::template::{Names, expand};
use crate::verdict::{Next, Stop, Verdict, broken, unknown};

/// A call that needs nobody else is over by then, however busy the machine is: work that grows with the square of what was given
/// would take minutes.
const AT_ONCE: Duration = Duration::from_secs(9);

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
