//! What becomes of the application's answers, and the greetings that name the host.

use std::fmt;

use super::connection::{Farewell, Owed};
use super::{Answer, Config, Connection, Hooks, NotOwed, replies};
use crate::proto::{EnhancedStatus, Reply, TlsInfo};

impl Connection {
    /// Gives the oldest owed answer. Fails, and does nothing, if none is owed.
    pub fn answer(&mut self, answer: Answer) -> Result<(), NotOwed> {
        let reply = match answer {
            Answer::Accept => None,
            Answer::Reply(reply) => Some(fitting(reply, matches!(self.owed, Owed::Data))),
        };
        if self.owed() > 0 && reply.as_ref().is_some_and(|reply| reply.code() == 421) {
            // RFC 5321 section 3.8: the reply that announces the end is the last.
            self.farewell = Some(Farewell::Said);
        }
        match std::mem::take(&mut self.owed) {
            Owed::Nothing => return Err(NotOwed),
            Owed::Connect => self.connected(reply),
            Owed::Hello { extended, name } => match reply {
                // RFC 5321 section 4.1.4: a hello that is refused changes nothing.
                Some(reply) if !reply.is_positive() => self.outbox.reply(&reply, false),
                greeting => self.welcome(extended, name, greeting.as_ref()),
            },
            Owed::Auth { username, exchange } => self.judged(username, exchange, reply),
            Owed::Nonce { .. } | Owed::Lookup(_) => self.not_supplied(reply),
            Owed::Mail(envelope) => {
                if self.respond(reply, replies::MAIL_OK) {
                    self.begin(envelope);
                }
            }
            Owed::Rcpt => {
                let recipient = self.candidates.pop_front();
                if !self.candidates.is_empty() {
                    self.owed = Owed::Rcpt;
                }
                if !self.respond(reply, replies::RCPT_OK) {
                    self.idle_commands = self.idle_commands.saturating_add(1);
                } else if let Some(recipient) = recipient {
                    self.add(recipient);
                }
            }
            Owed::Data => match reply {
                Some(reply) if reply.is_intermediate() => {
                    self.say(&reply);
                    self.begin_body();
                }
                // RFC 5321 section 4.1.1.4: the message was not begun, and the transaction stays as it was.
                Some(reply) if !reply.is_positive() => self.say(&reply),
                _ => {
                    self.outbox.text(replies::START_DATA);
                    self.begin_body();
                }
            },
            Owed::EndOfData { answers } => {
                if self.respond(reply, replies::OK) {
                    self.bad_commands = 0;
                    self.idle_commands = 0;
                }
                if answers > 1 {
                    self.owed = Owed::EndOfData {
                        answers: answers - 1,
                    };
                } else {
                    self.transaction = None;
                }
            }
            Owed::Other(accepted) => {
                self.respond(reply, accepted);
            }
        }
        self.say_farewell();
        Ok(())
    }

    /// The greeting, unless the answer turns the client away (RFC 5321 section 3.1).
    fn connected(&mut self, reply: Option<Reply>) {
        match reply {
            None => self.greet(None),
            Some(reply) if reply.code() == 220 => self.greet(Some(&reply)),
            Some(reply) if reply.is_positive() => self.greet(None),
            Some(reply) => {
                self.outbox.reply(&reply, false);
                self.turned_away = true;
            }
        }
    }

    /// `220 host text` (RFC 5321 section 4.2: the greeting names the host).
    pub(super) fn greet(&mut self, reply: Option<&Reply>) {
        let protocol = if self.is_lmtp() { "LMTP" } else { "ESMTP" };
        let mut text = reply.map_or(protocol, Reply::text).split('\n');
        let mut lines = self.outbox.lines(220);
        let (hostname, first) = (&self.config.hostname, text.next().unwrap_or_default());
        lines.line(format_args!("{hostname} {first}"));
        text.for_each(|line| lines.line(format_args!("{line}")));
        lines.end();
    }

    /// The positive reply to a hello, which begins anew (RFC 5321 section 4.1.4).
    pub(super) fn welcome(&mut self, extended: bool, name: String, greeting: Option<&Reply>) {
        let had_transaction = self.transaction.take().is_some();
        self.reset_untold = had_transaction && self.config.hooks.has(Hooks::RESET);
        self.hello = Some(name);
        let config = &self.config;
        let mut lines = self.outbox.lines(250);
        match greeting
            .and_then(|reply| reply.lines().next())
            .filter(|text| !text.is_empty())
        {
            Some(text) => lines.line(format_args!("{} {text}", config.hostname)),
            None => lines.line(format_args!("{}", config.hostname)),
        }
        if extended {
            lines.line(format_args!("PIPELINING"));
            // RFC 1870 section 4: zero says that there is no fixed limit.
            lines.line(format_args!("SIZE {}", config.size_limit.unwrap_or(0)));
            let tls = self.tls.as_ref();
            if config.starttls && tls.is_none() {
                lines.line(format_args!("STARTTLS"));
            }
            if config.usable(tls).next().is_some() {
                lines.line(format_args!("AUTH{}", Usable { config, tls }));
            }
            lines.line(format_args!("ENHANCEDSTATUSCODES"));
            if config.hooks.has(Hooks::EXPAND) {
                lines.line(format_args!("EXPN"));
            }
            lines.line(format_args!("HELP"));
            lines.line(format_args!("8BITMIME"));
        }
        lines.end();
    }

    /// Says the application's reply, or else the usual one. Tells whether it was positive.
    fn respond(&mut self, reply: Option<Reply>, accepted: &str) -> bool {
        match reply {
            None => {
                self.outbox.text(accepted);
                true
            }
            Some(reply) => {
                self.say(&reply);
                reply.is_positive()
            }
        }
    }
}

/// The mechanisms that this connection may use, each with a space in front.
struct Usable<'a> {
    config: &'a Config,
    tls: Option<&'a TlsInfo>,
}

impl fmt::Display for Usable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.config.usable(self.tls);
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

/// A reply that can be said: in step, and with an enhanced status code (RFC 2034 section 4).
fn fitting(reply: Reply, to_data: bool) -> Reply {
    if reply.is_intermediate() && !(to_data && reply.code() == 354) {
        return replies::UNFIT_ANSWER;
    }
    let class = u8::try_from(reply.code() / 100).unwrap_or_default();
    match EnhancedStatus::new(class, 0, 0) {
        Some(general) if reply.enhanced().is_none() => reply
            .with_enhanced(general)
            .unwrap_or(replies::UNFIT_ANSWER),
        _ => reply,
    }
}
