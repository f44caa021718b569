//! The application behind a server of ours, the same in memory and over a socket: it answers by what is in an address.
//!
//! Recipients are of `inbox.example`, and all of them exist but for those whose local part begins with one of these words:
//!
//! - `nobody` is refused, as is everybody of another domain; `full` is deferred, however that mailbox is written
//! - `bare` is refused without an enhanced status code, `many` with two lines, `odd` with a reply that fits no RCPT
//! - `late` is refused when the message has come, `later` deferred
//!
//! A reverse-path `impossible@client.example` or `impossible@bücher.example` is answered 455 however it is written, `busy@…` 452.
//! The credentials of a user `broken` cannot be judged now.

use mailwire::proto::server::Answer;
use mailwire::proto::{EnhancedStatus, ForwardPath, Mailbox, Recipient, Reply, ReversePath};

use mailwire::sasl::{Credentials, Found, Lookup, Proof, Secret};

use super::{Journal, Setting};

pub(crate) const DOMAIN: &str = "inbox.example";
pub(crate) const HOST: &str = "mx.inbox.example";
pub(crate) const USER: &str = "user";
pub(crate) const PASSWORD: &str = "a secret";
pub(crate) const TOKEN: &str = "a.token";

/// What answers for one connection.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    pub(crate) journal: Journal,
    greeting: Option<u16>,
}

impl Application {
    pub(crate) fn new(setting: &Setting, journal: Journal) -> Self {
        Self {
            journal,
            greeting: setting.greeting,
        }
    }

    pub(crate) fn connect(&self) -> Answer {
        match self.greeting {
            Some(code) => refusal(code, None, "No mail here"),
            None => Answer::Accept,
        }
    }

    pub(crate) fn hello(&self, name: &str) -> Answer {
        self.journal.told(format!("hello {name}"));
        Answer::Accept
    }

    pub(crate) fn mail(&self, path: &ReversePath, parameters: &str) -> Answer {
        self.journal.told(format!("mail <{path}>{parameters}"));
        let is = |address| {
            path.mailbox()
                .is_some_and(|mailbox| is_same(mailbox, address))
        };
        let local_part = path.mailbox().map_or("", |mailbox| mailbox.local_part());
        if is("impossible@client.example") || is("impossible@b\u{fc}cher.example") {
            refusal(455, Some((4, 5, 4)), "Not now with these parameters")
        } else if local_part.starts_with("busy") {
            refusal(452, Some((4, 3, 1)), "Not now")
        } else {
            Answer::Accept
        }
    }

    pub(crate) fn recipient(&self, recipient: &Recipient) -> Answer {
        let (path, parameters) = (recipient.path(), recipient.parameters());
        self.journal.told(format!("rcpt <{path}>{parameters}"));
        let ForwardPath::Mailbox(mailbox) = path else {
            return Answer::Accept;
        };
        let local_part = mailbox.local_part();
        if !mailbox.domain().eq_ignore_ascii_case(DOMAIN) {
            refusal(550, Some((5, 7, 1)), "Relaying denied")
        } else if local_part.starts_with("nobody") {
            refusal(550, Some((5, 1, 1)), "No such user")
        } else if is_same(mailbox, "full@inbox.example") {
            refusal(452, Some((4, 2, 2)), "Mailbox full")
        } else if local_part == "bare" {
            refusal(550, None, "Just so")
        } else if local_part == "odd" {
            refusal(354, None, "Go on")
        } else if local_part == "many" {
            let lines = Reply::multiline(550, ["First", "Second"]).ok();
            let enhanced = EnhancedStatus::new(5, 7, 1);
            lines
                .zip(enhanced)
                .and_then(|(reply, enhanced)| reply.with_enhanced(enhanced).ok())
                .map_or(Answer::Accept, Answer::Reply)
        } else {
            Answer::Accept
        }
    }

    /// What is kept of a user.
    pub(crate) fn find(&self, lookup: &Lookup) -> Found {
        self.journal.told(format!("lookup {}", lookup.username()));
        if lookup.username() == USER {
            Found::Password(Secret::new(PASSWORD))
        } else {
            Found::Nobody
        }
    }

    /// Starting a queue: there is one for `client.example`.
    pub(crate) fn etrn(&self, node: &str) -> Answer {
        self.journal.told(format!("etrn {node}"));
        if node == "client.example" {
            Answer::Accept
        } else {
            refusal(459, Some((4, 7, 1)), "Node not allowed")
        }
    }

    /// The verdict on credentials.
    pub(crate) fn judge(&self, credentials: &Credentials) -> Answer {
        let user = credentials.username();
        self.journal.told(format!("auth {user}"));
        let secret = match credentials.proof() {
            Proof::Password => PASSWORD,
            Proof::Token => TOKEN,
            Proof::Nothing => return Answer::Accept,
            _ => return refusal(535, Some((5, 7, 8)), "Nobody has a certificate"),
        };
        if user == USER && credentials.password().same_as(secret.as_bytes()) {
            Answer::Accept
        } else if user == "broken" {
            refusal(454, Some((4, 7, 0)), "The users cannot be reached")
        } else {
            refusal(535, Some((5, 7, 8)), "Authentication credentials invalid")
        }
    }

    /// The answer at the end of data for one recipient.
    pub(crate) fn delivery(recipient: &Recipient) -> Answer {
        let path = recipient.path().as_str();
        if path.starts_with("later") {
            refusal(452, Some((4, 2, 2)), "Mailbox full")
        } else if path.starts_with("late") {
            refusal(550, Some((5, 2, 0)), "Mailbox closed")
        } else {
            Answer::Accept
        }
    }
}

/// Whether a mailbox is this one by its meaning, whatever it looks like.
fn is_same(mailbox: &Mailbox, address: &str) -> bool {
    address.parse::<Mailbox>().as_ref() == Ok(mailbox)
}

/// What is said to a command that nobody knows.
pub(crate) fn unknown() -> Answer {
    refusal(500, Some((5, 5, 1)), "Unknown command")
}

pub(crate) fn refusal(code: u16, enhanced: Option<(u8, u16, u16)>, text: &'static str) -> Answer {
    let reply = Reply::new(code, text).and_then(|reply| {
        match enhanced
            .and_then(|(class, subject, detail)| EnhancedStatus::new(class, subject, detail))
        {
            Some(enhanced) => reply.with_enhanced(enhanced),
            None => Ok(reply),
        }
    });
    reply.map_or(Answer::Accept, Answer::Reply)
}
