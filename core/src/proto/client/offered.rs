//! Whether a server can take an envelope: every parameter and address is held against what it offers, before anything is sent.
//!
//! What the server does not offer is an error that names the extension. Three things are left out instead, as the RFCs have
//! it: SIZE, which is advice (RFC 1870 section 6); BODY=7BIT, which says what is so without it (RFC 6152 section 2); and
//! AUTH=, which goes only to servers with AUTH (RFC 4954 section 5).

use super::transaction::Verdict;
use super::{Connection, NotNow, TransactionOptions, Transfer};
use crate::error::Phase;
use crate::outcome::Delivery;
use crate::proto::address::Domains;
use crate::proto::{
    BodyType, ByMode, Capabilities, Envelope, Extension, Hold, MailParameters, Recipient,
    ReversePath,
};

/// An envelope that the server can take, but perhaps for some of its recipients.
pub(super) struct Fitted {
    pub(super) envelope: Envelope,
    /// The reverse-path in the form in which it is sent.
    pub(super) reverse_path: ReversePath,
    /// Whether addresses are sent as they are. Else their domains are in A-labels (RFC 6531 section 3.2).
    pub(super) utf8: bool,
    /// What is known of each recipient: those that cannot be named to this server are decided.
    pub(super) verdicts: Vec<Verdict>,
}

impl Connection {
    /// How many transactions were begun in this session.
    pub fn transactions(&self) -> u64 {
        self.next_transaction
    }

    /// How many transactions can still be begun in this session (RFC 9422 section 4.1). `None` if the server told no limit.
    pub fn transactions_left(&self) -> Option<u64> {
        let limit = self.capabilities.session_limits().mail?;
        Some(u64::from(limit).saturating_sub(self.next_transaction))
    }

    /// Holds an envelope against what the server offers.
    pub(super) fn fit(
        &mut self,
        envelope: Envelope,
        options: TransactionOptions,
    ) -> Result<Fitted, NotNow> {
        if self.transactions_left() == Some(0) {
            return Err(NotNow::Limit("MAILMAX"));
        }
        let offers = |extension| self.capabilities.offers(extension);
        let mut parameters = envelope.parameters().clone();
        let utf8 = offers(Extension::SmtpUtf8);
        let reverse_path = if utf8 || envelope.reverse_path().is_ascii() {
            envelope.reverse_path().clone()
        } else {
            let ascii = envelope.reverse_path().to_ascii();
            ascii.ok_or(NotNow::NotOffered("SMTPUTF8"))?
        };
        // RFC 6531 section 3.4: the parameter goes with an envelope that needs it, and with a message of which the caller says so.
        parameters.smtputf8 |= utf8 && !envelope.is_ascii();
        fit_parameters(
            &mut parameters,
            &self.capabilities,
            options.transfer,
            self.tls.is_some(),
        )?;
        if !offers(Extension::Dsn) && envelope.recipients().iter().any(wants_notices) {
            return Err(NotNow::NotOffered("DSN"));
        }
        let verdicts = self.bar(&envelope, utf8, options.all_or_nothing)?;
        Ok(Fitted {
            envelope: envelope.with_parameters(parameters),
            reverse_path,
            utf8,
            verdicts,
        })
    }

    /// The recipients that cannot be named to this server: they have no form in ASCII and SMTPUTF8 is not offered, or they are
    /// more than it takes (RFC 9422). It is an error if none is left, or all or none are to have the message.
    fn bar(
        &mut self,
        envelope: &Envelope,
        utf8: bool,
        all_or_nothing: bool,
    ) -> Result<Vec<Verdict>, NotNow> {
        let limits = self.capabilities.session_limits();
        let mut domains = limits.recipient_domains.map(|most| Room {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            before: &self.domains,
            new: Domains::default(),
        });
        let most = limits.recipients.unwrap_or(u32::MAX);
        let (mut named, mut reason) = (0, None);
        let verdicts = envelope.recipients().iter().map(|recipient| {
            let (why, delivery) =
                if !utf8 && !recipient.is_ascii() && recipient.to_ascii().is_none() {
                    (NotNow::NotOffered("SMTPUTF8"), Delivery::Refused)
                } else if named >= most {
                    (NotNow::Limit("RCPTMAX"), Delivery::NotTried)
                } else if domains.as_mut().is_some_and(|all| !all.take(recipient)) {
                    (NotNow::Limit("RCPTDOMAINMAX"), Delivery::NotTried)
                } else {
                    named += 1;
                    return Verdict::Open;
                };
            reason = reason.or(Some(why));
            Verdict::Decided(delivery, None, Some(Phase::Rcpt))
        });
        let verdicts = verdicts.collect();
        if let Some(reason) = reason
            && (named == 0 || all_or_nothing)
        {
            return Err(reason);
        }
        let new = domains.map(|domains| domains.new).unwrap_or_default();
        self.domains.append(new);
        Ok(verdicts)
    }
}

/// What is left for domains of recipients of which a session may have a number (RFC 9422 section 4.3).
struct Room<'a> {
    most: usize,
    /// Those of the envelopes that were begun.
    before: &'a Domains,
    /// Those that this envelope adds.
    new: Domains,
}

impl Room<'_> {
    /// Counts a recipient's domain. Gives whether there may be one more.
    fn take(&mut self, recipient: &Recipient) -> bool {
        let Some(mailbox) = recipient.path().mailbox() else {
            return true;
        };
        let domain = mailbox.domain_as_ascii();
        if self.before.has(domain) || self.new.has(domain) {
            return true;
        }
        let fits = self.before.len() + self.new.len() < self.most;
        if fits {
            self.new.insert(domain);
        }
        fits
    }
}

fn wants_notices(recipient: &Recipient) -> bool {
    let parameters = recipient.parameters();
    parameters.notify.is_some() || parameters.orcpt.is_some()
}

fn fit_parameters(
    parameters: &mut MailParameters,
    capabilities: &Capabilities,
    transfer: Transfer,
    tls: bool,
) -> Result<(), NotNow> {
    let needs = |wanted: bool, extension: Extension| {
        let fits = !wanted || capabilities.offers(extension);
        fits.then_some(())
            .ok_or(NotNow::NotOffered(extension.keyword()))
    };
    if let (Some(size), Some(limit)) = (parameters.size, capabilities.size_limit())
        && size > limit
    {
        return Err(NotNow::TooLarge(limit));
    }
    parameters.size = parameters
        .size
        .filter(|_| capabilities.offers(Extension::Size));
    match parameters.body {
        Some(BodyType::SevenBit) if !capabilities.offers(Extension::EightBitMime) => {
            parameters.body = None;
        }
        Some(BodyType::EightBitMime) => needs(true, Extension::EightBitMime)?,
        Some(BodyType::BinaryMime) => {
            needs(true, Extension::BinaryMime)?;
            // RFC 3030 section 3: DATA cannot carry it.
            if transfer == Transfer::Data {
                return Err(NotNow::NeedsBdat);
            }
        }
        _ => {}
    }
    parameters.auth = parameters
        .auth
        .take()
        .filter(|_| capabilities.offers(Extension::Auth));
    needs(parameters.smtputf8, Extension::SmtpUtf8)?;
    needs(
        parameters.ret.is_some() || parameters.envid.is_some(),
        Extension::Dsn,
    )?;
    // RFC 8689 section 3: in clear it means nothing, whatever is offered.
    if parameters.requiretls && !tls {
        return Err(NotNow::NeedsTls("REQUIRETLS"));
    }
    needs(parameters.requiretls, Extension::RequireTls)?;
    needs(parameters.priority.is_some(), Extension::MtPriority)?;
    if let Some(by) = parameters.by {
        needs(true, Extension::DeliverBy)?;
        // RFC 2852 section 4: a server that needs longer would have to refuse it.
        let least = capabilities.deliver_by_minimum().unwrap_or(0);
        if by.mode() == ByMode::Return && i64::from(by.seconds()) < i64::from(least) {
            return Err(NotNow::OutOfRange("BY"));
        }
    }
    if let Some(hold) = &parameters.hold {
        let most = capabilities
            .future_release()
            .ok_or(NotNow::NotOffered("FUTURERELEASE"))?;
        // RFC 4865 section 5.
        let fits = match hold {
            Hold::For(seconds) => seconds.seconds() <= most.longest.seconds(),
            Hold::Until(time) => time.unix() <= most.latest.unix(),
        };
        if !fits {
            return Err(NotNow::OutOfRange(hold.keyword()));
        }
    }
    Ok(())
}
