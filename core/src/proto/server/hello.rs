//! The greeting, the replies to HELO, EHLO and LHLO, and what they offer (RFC 5321 sections 3.1 and 4.1.1.1).

use std::fmt;

use super::connection::Owed;
use super::{Config, Connection, Event, Extensions, Hooks, replies};
use crate::proto::{ClientAttributes, DateTime, Extension, Reply, TlsInfo};

impl Connection {
    pub(super) fn hello<'a>(&mut self, extended: bool, name: &'a str) -> Option<Event<'a>> {
        if self.config.hooks.has(Hooks::HELLO) {
            if self.has_open_message() {
                // RFC 5321 section 4.1.4: what is not accepted leaves all as it was, and nobody can say now whether it would be.
                self.outbox.reply(&replies::HELLO_WITHIN_MESSAGE, false);
                return None;
            }
            self.owed = Owed::Hello {
                extended,
                name: name.into(),
            };
            return Some(Event::Hello { extended, name });
        }
        self.welcome(extended, name.into(), None);
        None
    }

    /// `220 host text` (RFC 5321 section 4.2: the greeting names the host).
    pub(super) fn greet(&mut self, reply: Option<&Reply>) {
        let protocol = if self.is_lmtp() { "LMTP" } else { "ESMTP" };
        let mut text = reply.map_or(protocol, Reply::text).split('\n');
        let mut lines = self.outbox.lines(220);
        let hostname = self.config.hostname.as_ascii();
        let first = text.next().unwrap_or_default();
        lines.line(format_args!("{hostname} {first}"));
        text.for_each(|line| lines.line(format_args!("{line}")));
        lines.end();
    }

    /// The positive reply to a hello, which begins anew (RFC 5321 section 4.1.4).
    pub(super) fn welcome(&mut self, extended: bool, name: Box<str>, greeting: Option<&Reply>) {
        let had_transaction = self.transaction.take().is_some();
        self.reset_untold = had_transaction && self.config.hooks.has(Hooks::RESET);
        self.hello = Some(name);
        self.extended = extended;
        let offered = Extension::ALL.map(|extension| (extension, self.offers(extension)));
        let (config, tls) = (&self.config, self.tls.as_ref());
        let mut lines = self.outbox.lines(250);
        let hostname = config.hostname.as_ascii();
        match greeting
            .and_then(|reply| reply.lines().next())
            .filter(|text| !text.is_empty())
        {
            Some(text) => lines.line(format_args!("{hostname} {text}")),
            None => lines.line(format_args!("{hostname}")),
        }
        for (extension, _) in offered.into_iter().filter(|(_, offered)| *offered) {
            match extension {
                // RFC 1870 section 4: zero says that there is no fixed limit.
                Extension::Size => {
                    lines.line(format_args!("SIZE {}", config.size_limit.unwrap_or(0)));
                }
                Extension::Auth => lines.line(format_args!("AUTH{}", Usable { config, tls })),
                Extension::Limits => lines.line(format_args!("LIMITS{}", SessionLimits(config))),
                Extension::DeliverBy if config.deliver_by_minimum > 0 => {
                    lines.line(format_args!("DELIVERBY {}", config.deliver_by_minimum));
                }
                Extension::FutureRelease => {
                    let longest = config.longest_hold;
                    let latest = self.now.and_then(|now| {
                        DateTime::from_unix(now.saturating_add(longest.seconds().into()))
                    });
                    if let Some(latest) = latest {
                        lines.line(format_args!("FUTURERELEASE {longest} {latest}"));
                    }
                }
                Extension::Xclient => {
                    lines.line(format_args!("XCLIENT {}", ClientAttributes::NAMES));
                }
                other => lines.line(format_args!("{other}")),
            }
        }
        if extended {
            for line in config.additions.keywords() {
                lines.line(format_args!("{line}"));
            }
        }
        lines.end();
    }

    /// Whether the client may use an extension now, which is what the reply to EHLO says.
    pub(super) fn offers(&self, extension: Extension) -> bool {
        let chosen = |one| self.config.extensions.has(one);
        let (hooks, tls) = (self.config.hooks, self.tls.is_some());
        // RFC 5321 section 2.2.1: HELO begins a session without extensions.
        self.extended
            && match extension {
                Extension::Pipelining => chosen(Extensions::PIPELINING),
                Extension::Size => chosen(Extensions::SIZE),
                Extension::EightBitMime => chosen(Extensions::EIGHT_BIT_MIME),
                Extension::SmtpUtf8 => chosen(Extensions::SMTPUTF8),
                Extension::Chunking => chosen(Extensions::CHUNKING),
                Extension::BinaryMime => chosen(Extensions::BINARYMIME),
                Extension::Dsn => chosen(Extensions::DSN),
                Extension::EnhancedStatusCodes | Extension::Help => true,
                Extension::StartTls => self.config.starttls && !tls,
                Extension::Auth => self.offers_auth(),
                // RFC 8689 section 2.
                Extension::RequireTls => chosen(Extensions::REQUIRETLS) && tls,
                Extension::Limits => chosen(Extensions::LIMITS),
                Extension::DeliverBy => chosen(Extensions::DELIVERBY),
                Extension::MtPriority => chosen(Extensions::MT_PRIORITY),
                Extension::FutureRelease => {
                    chosen(Extensions::FUTURERELEASE)
                        && self.now.is_some()
                        && (self.user.is_some() || self.offers_auth())
                }
                Extension::Etrn => hooks.has(Hooks::ETRN),
                Extension::Xclient => self.trusted,
                Extension::Expn => hooks.has(Hooks::EXPAND),
            }
    }

    fn offers_auth(&self) -> bool {
        self.config.usable(self.tls.as_ref()).next().is_some()
    }

    /// RFC 4954 section 5: a server with AUTH takes AUTH= on MAIL.
    pub(super) fn knows_auth(&self) -> bool {
        self.extended && self.config.has_auth()
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

/// The limits that can be told (RFC 9422 section 4: six digits at most), each with a space in front.
struct SessionLimits<'a>(&'a Config);

impl fmt::Display for SessionLimits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = self.0;
        let transactions = config.max_transactions.map(|most| most as usize);
        for (name, most) in [
            ("MAILMAX", transactions),
            ("RCPTMAX", Some(config.max_recipients)),
            ("RCPTDOMAINMAX", config.max_recipient_domains),
        ] {
            if let Some(most) = most.filter(|&most| most <= 999_999) {
                write!(f, " {name}={most}")?;
            }
        }
        Ok(())
    }
}
