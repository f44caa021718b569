//! The mail transaction: MAIL, RCPT and DATA, and which of their parameters are taken (RFC 5321 sections 3.3 and 4.1.1.11).

use super::chunks::Chunks;
use super::connection::Owed;
use super::{Closing, Connection, Event, Extensions, Hooks, replies};
use crate::proto::limits::FEW_RECIPIENTS;
use crate::proto::{
    BodyType, ByMode, Envelope, Extension, ForwardPath, Hold, MailParameters, Mailbox,
    RcptParameters, Recipient, ReversePath, Submitter, limits,
};

/// A mail transaction that MAIL has opened.
#[derive(Debug)]
pub(super) struct Transaction {
    /// `None` once it was taken. Boxed, for most connections wait without one.
    pub(super) envelope: Option<Box<Envelope>>,
    /// Accepted recipients.
    pub(super) accepted: usize,
    /// Whether letters outside ASCII are allowed (RFC 6531 section 3.4).
    smtputf8: bool,
    /// Whether the message need not be in lines (RFC 3030 section 3).
    pub(super) binary: bool,
    /// What came of the message by BDAT.
    pub(super) chunks: Chunks,
}

impl Connection {
    pub(super) fn mail<'a>(
        &mut self,
        reverse_path: ReversePath,
        mut parameters: MailParameters,
    ) -> Option<Event<'a>> {
        if self.tls_missing() {
            self.bad(replies::TLS_NEEDED);
        } else if self.hello.is_none() {
            self.bad(self.hello_first());
        } else if self.auth_missing() {
            self.bad(replies::AUTH_NEEDED);
        } else if self.transaction.is_some() {
            // RFC 5321 section 4.1.4: the first sender stays.
            self.bad(replies::NESTED_MAIL);
        } else if self
            .config
            .max_transactions
            .is_some_and(|most| self.transactions >= most)
        {
            self.outbox.text(replies::TOO_MANY_TRANSACTIONS);
            self.close(Closing::Limit);
            return None;
        } else if let Some(reply) = self.unfit_parameter(&parameters) {
            self.bad(reply);
        } else if !reverse_path.is_ascii() && !parameters.smtputf8 {
            // Not bad, for it may be this side that lacks what the address needs; but no mail either.
            self.outbox.text(replies::SENDER_NOT_ASCII);
        } else if self.is_too_big(parameters.size.unwrap_or(0)) {
            // RFC 1870 section 6.1.
            self.outbox.text(replies::TOO_BIG);
            self.count_refusal(|refusals| &mut refusals.declared_sizes_too_big);
            return None;
        } else {
            // RFC 4954 section 5: who has not authenticated is not believed who somebody else is.
            if parameters.auth.is_some() && !self.has_identity() {
                parameters.auth = Some(Submitter::Unknown);
            }
            return self.ask_sender(reverse_path, parameters);
        }
        self.count_refusal(|refusals| &mut refusals.senders);
        None
    }

    fn ask_sender<'a>(
        &mut self,
        reverse_path: ReversePath,
        parameters: MailParameters,
    ) -> Option<Event<'a>> {
        if self.config.hooks.has(Hooks::MAIL) {
            let envelope = Envelope::new(reverse_path.clone()).with_parameters(parameters.clone());
            self.owed = Owed::Mail(Box::new(envelope));
            return Some(Event::Mail {
                reverse_path,
                parameters,
            });
        }
        let envelope = Envelope::new(reverse_path).with_parameters(parameters);
        self.begin(Box::new(envelope));
        self.outbox.text(replies::MAIL_OK);
        None
    }

    /// Opens a transaction.
    pub(super) fn begin(&mut self, envelope: Box<Envelope>) {
        self.transactions = self.transactions.saturating_add(1);
        self.transaction = Some(Transaction {
            smtputf8: envelope.parameters().smtputf8,
            binary: envelope.parameters().body == Some(BodyType::BinaryMime),
            envelope: Some(envelope),
            accepted: 0,
            chunks: Chunks::None,
        });
    }

    /// Why these parameters of MAIL cannot be taken, if they cannot: 555 where the extension was not offered (RFC 5321 section
    /// 4.1.1.11), 501 where the value is outside what was.
    fn unfit_parameter(&self, parameters: &MailParameters) -> Option<&'static str> {
        let offered = |extension| self.offers(extension);
        let strange = |other: &crate::proto::Parameter| {
            !self.extended || !self.config.additions.has_mail_parameter(other.keyword())
        };
        let body = match parameters.body {
            None => true,
            Some(BodyType::SevenBit | BodyType::EightBitMime) => offered(Extension::EightBitMime),
            Some(BodyType::BinaryMime) => offered(Extension::BinaryMime),
        };
        let all_known = body
            && (parameters.size.is_none() || offered(Extension::Size))
            && (!parameters.smtputf8 || offered(Extension::SmtpUtf8))
            && (parameters.ret.is_none() || offered(Extension::Dsn))
            && (parameters.envid.is_none() || offered(Extension::Dsn))
            && (parameters.auth.is_none() || self.knows_auth())
            && (parameters.by.is_none() || offered(Extension::DeliverBy))
            && (parameters.priority.is_none() || offered(Extension::MtPriority))
            && !parameters.others().iter().any(strange);
        if !all_known {
            return Some(replies::UNKNOWN_PARAMETER);
        }
        if parameters.requiretls && !offered(Extension::RequireTls) {
            // RFC 8689 section 2: it is offered under TLS alone, which may be a STARTTLS away.
            let later = self.extended
                && self.config.extensions.has(Extensions::REQUIRETLS)
                && self.config.starttls;
            return Some(if later {
                replies::TLS_NEEDED
            } else {
                replies::UNKNOWN_PARAMETER
            });
        }
        // RFC 2852 section 4: less time than the server needs is refused at once, for then the message would come back.
        let minimum = i64::from(self.config.deliver_by_minimum);
        if parameters
            .by
            .is_some_and(|by| by.mode() == ByMode::Return && i64::from(by.seconds()) < minimum)
        {
            return Some(replies::TOO_SOON);
        }
        self.unfit_hold(parameters.hold.as_ref()?)
    }

    /// RFC 4865 section 4.
    fn unfit_hold(&self, hold: &Hold) -> Option<&'static str> {
        let longest = self.config.longest_hold;
        let now = self.now.filter(|_| self.offers(Extension::FutureRelease));
        let Some(now) = now else {
            return Some(replies::UNKNOWN_PARAMETER);
        };
        if !self.has_identity() {
            // Section 8: held mail is stored for whoever asks, so it is asked who that is.
            return Some(replies::AUTH_NEEDED);
        }
        let within = match hold {
            Hold::For(seconds) => *seconds <= longest,
            Hold::Until(time) => time.unix().saturating_sub(now) <= i64::from(longest.seconds()),
        };
        (!within).then_some(replies::TOO_LATE)
    }

    // A client that pipelines sends RCPT and DATA whatever becomes of MAIL, so that they are not counted as bad when it was
    // refused.
    pub(super) fn rcpt<'a>(
        &mut self,
        path: ForwardPath,
        parameters: RcptParameters,
    ) -> Option<Event<'a>> {
        let chunks = self.transaction.as_ref().map(|begun| &begun.chunks);
        if self.tls_missing() {
            self.outbox.text(replies::TLS_NEEDED);
        } else if chunks.is_none() {
            self.outbox.text(self.mail_first());
        } else if !matches!(chunks, Some(Chunks::None)) {
            self.count_refused();
            self.outbox.text(replies::MESSAGE_BEGUN);
        } else if let Some(reply) = self.unfit_recipient(&path, &parameters) {
            if reply == replies::UNKNOWN_PARAMETER {
                self.bad(reply);
            } else {
                // RFC 5321 section 4.5.3.1.10: the earlier ones stay.
                self.count_refused();
                self.outbox.text(reply);
            }
            if [replies::TOO_MANY_RECIPIENTS, replies::TOO_MANY_DOMAINS].contains(&reply) {
                self.count_refusal(|refusals| &mut refusals.recipients_too_many);
                return None;
            }
        } else if self.asks_recipient() {
            self.owed = Owed::Rcpt;
            self.batch_ended = false;
            return Some(self.ask_recipient(path, parameters));
        } else {
            self.add(Recipient::new(path).with_parameters(parameters));
            self.outbox.text(replies::RCPT_OK);
            return None;
        }
        self.count_refusal(|refusals| &mut refusals.recipients);
        None
    }

    /// Whether the next recipient that can be taken is a question.
    fn asks_recipient(&self) -> bool {
        let hooks = self.config.hooks;
        let accepted = self.transaction.as_ref().map_or(0, |begun| begun.accepted);
        hooks.has(Hooks::RCPT) || accepted >= FEW_RECIPIENTS && hooks.has(Hooks::MANY_RECIPIENTS)
    }

    /// Why a recipient cannot be taken, if it cannot. Those that are owed an answer count as if they were accepted.
    pub(super) fn unfit_recipient(
        &self,
        path: &ForwardPath,
        parameters: &RcptParameters,
    ) -> Option<&'static str> {
        let transaction = self.transaction.as_ref()?;
        let strange = |other: &crate::proto::Parameter| {
            !self.extended || !self.config.additions.has_rcpt_parameter(other.keyword())
        };
        let dsn = parameters.notify.is_none() && parameters.orcpt.is_none();
        if !(dsn || self.offers(Extension::Dsn)) || parameters.others().iter().any(strange) {
            Some(replies::UNKNOWN_PARAMETER)
        } else if !(transaction.smtputf8 || path.is_ascii() && parameters.is_ascii()) {
            Some(replies::RECIPIENT_NOT_ASCII)
        } else if transaction.accepted + self.candidates.len() >= self.config.max_recipients {
            Some(replies::TOO_MANY_RECIPIENTS)
        } else if self.is_one_domain_too_many(path) {
            Some(replies::TOO_MANY_DOMAINS)
        } else {
            None
        }
    }

    /// RCPTDOMAINMAX (RFC 9422 section 4.3) counts the domains of a session, not of a transaction.
    fn is_one_domain_too_many(&self, path: &ForwardPath) -> bool {
        let Some(most) = self.config.max_recipient_domains else {
            return false;
        };
        let taken = &self.recipient_domains;
        if domain_of(path).is_none_or(|domain| taken.has(domain)) {
            return false;
        }
        let all = self.candidates.iter().map(Recipient::path).chain([path]);
        taken.len() + taken.count_new(all.filter_map(domain_of)) > most
    }

    pub(super) fn ask_recipient<'a>(
        &mut self,
        path: ForwardPath,
        parameters: RcptParameters,
    ) -> Event<'a> {
        self.candidates
            .push_back(Recipient::new(path.clone()).with_parameters(parameters.clone()));
        Event::Rcpt { path, parameters }
    }

    /// Whether one more recipient may join those that are owed an answer.
    pub(super) fn batch_has_room(&self) -> bool {
        matches!(self.owed, Owed::Rcpt)
            && self.candidates.len() < limits::PIPELINED_RECIPIENTS
            && self.idle_commands <= self.config.max_idle_commands
    }

    /// Accepts a recipient.
    pub(super) fn add(&mut self, recipient: Recipient) {
        if self.config.max_recipient_domains.is_some()
            && let Some(domain) = domain_of(recipient.path())
        {
            self.recipient_domains.insert(domain);
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.accepted += 1;
            if let Some(envelope) = &mut transaction.envelope {
                envelope.push(recipient);
            }
        }
    }

    pub(super) fn data<'a>(&mut self) -> Option<Event<'a>> {
        if self.tls_missing() {
            self.outbox.text(replies::TLS_NEEDED);
            return None;
        }
        let Some(transaction) = &self.transaction else {
            self.outbox.text(self.mail_first());
            return None;
        };
        let refusal = if !matches!(transaction.chunks, Chunks::None) {
            // RFC 3030 section 2: a message comes one way or the other.
            replies::MESSAGE_BEGUN
        } else if transaction.binary {
            // RFC 3030 section 3.
            replies::BINARY_NEEDS_BDAT
        } else if transaction.accepted == 0 {
            // RFC 5321 section 3.3 allows 503 and 554; RFC 2033 section 4.2 wants 503.
            replies::NO_RECIPIENT
        } else if self.config.hooks.has(Hooks::DATA) {
            self.owed = Owed::Data(None);
            return Some(Event::Data);
        } else {
            self.outbox.text(replies::START_DATA);
            self.begin_body();
            return None;
        };
        self.count_refused_message(refusal);
        self.outbox.text(refusal);
        None
    }
}

/// The domain that a recipient counts under. The postmaster's is this host's own, and nothing bars the way there (RFC 5321 section
/// 4.5.1).
fn domain_of(path: &ForwardPath) -> Option<&str> {
    path.mailbox().map(Mailbox::domain_as_ascii)
}
