//! One transaction: how far its commands have gone out, and what each recipient's result is.

use super::offered::Fitted;
use super::{TransactionId, TransactionOptions, Transfer};
use crate::error::Phase;
use crate::outcome::{Delivery, Outcome, RecipientOutcome};
use crate::proto::{Envelope, Recipient, Reply, ReversePath};

#[derive(Debug)]
pub(super) struct Transaction {
    id: TransactionId,
    envelope: Envelope,
    /// In the form in which it is sent.
    reverse_path: ReversePath,
    /// Whether addresses are sent as they are, and not in ASCII.
    utf8: bool,
    all_or_nothing: bool,
    transfer: Transfer,
    /// The command to send next.
    pub(super) next: Next,
    stage: Stage,
    verdicts: Vec<Verdict>,
    /// How many recipients the server has taken, up to now.
    standing: usize,
    /// Where the transaction failed as a whole: at MAIL, or at a chunk before the last.
    failed: Option<Phase>,
    /// Whether the server took a recipient after it had refused MAIL.
    contradicted: bool,
    /// Octets of the message in the chunks queued so far.
    octets: u64,
    /// The last reply about the message as a whole.
    reply: Option<Reply>,
}

/// The next command of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Mail,
    Rcpt(usize),
    Data,
    /// All are queued, or will not be: but for the chunks that [`Connection::chunk`](super::Connection::chunk) is given.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Up to the reply to DATA, or to the last of RCPT where chunks wait for it.
    Commands,
    /// From 354 until the end mark is handed to the transport, or until the last chunk is queued.
    Body,
    /// All was queued. The server can have the whole message once so many octets were sent on the connection.
    EndOfData { complete: u64 },
    /// A chunk was refused before the last was queued: none follows.
    Broken,
    /// The results are known; a RSET or a lone dot gets the server out of the transaction.
    Abandoned,
}

/// What is known about a recipient.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Its RCPT has no reply.
    Open,
    /// Its RCPT was accepted.
    Standing,
    Decided(Delivery, Option<Reply>, Option<Phase>),
}

impl Transaction {
    pub(super) fn new(id: TransactionId, fitted: Fitted, options: TransactionOptions) -> Self {
        Self {
            id,
            envelope: fitted.envelope,
            reverse_path: fitted.reverse_path,
            utf8: fitted.utf8,
            all_or_nothing: options.all_or_nothing,
            transfer: options.transfer,
            next: Next::Mail,
            stage: Stage::Commands,
            verdicts: fitted.verdicts,
            standing: 0,
            failed: None,
            contradicted: false,
            octets: 0,
            reply: None,
        }
    }

    pub(super) fn id(&self) -> TransactionId {
        self.id
    }

    pub(super) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    pub(super) fn reverse_path(&self) -> &ReversePath {
        &self.reverse_path
    }

    /// The form in which a recipient is sent, if it is another than the one given.
    pub(super) fn ascii_recipient(&self, recipient: &Recipient) -> Option<Recipient> {
        if self.utf8 || recipient.is_ascii() {
            None
        } else {
            recipient.to_ascii()
        }
    }

    /// The RCPT that comes next, of the recipients from `index` on, or DATA.
    pub(super) fn rcpt_from(&self, index: usize) -> Next {
        let barred = |verdict: &&Verdict| matches!(verdict, Verdict::Decided(_, None, _));
        let verdicts = self.verdicts.get(index..).unwrap_or_default();
        let next = index + verdicts.iter().take_while(barred).count();
        if next < self.verdicts.len() {
            Next::Rcpt(next)
        } else {
            Next::Data
        }
    }

    pub(super) fn is_all_or_nothing(&self) -> bool {
        self.all_or_nothing
    }

    pub(super) fn transfer(&self) -> Transfer {
        self.transfer
    }

    /// Octets of the message in the chunks queued so far.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    pub(super) fn is_sending_body(&self) -> bool {
        self.stage == Stage::Body
    }

    /// Whether all that this transaction sends was sent, so that commands may follow that belong to the next.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::EndOfData { .. } | Stage::Abandoned)
    }

    pub(super) fn has_standing(&self) -> bool {
        self.standing > 0
    }

    /// Whether the server said no and yes about the same transaction.
    pub(super) fn is_contradicted(&self) -> bool {
        self.contradicted || self.failed == Some(Phase::Body)
    }

    /// Whether the recipients are known to whom chunks may be sent, now that no reply is owed.
    pub(super) fn is_ready_for_chunks(&self) -> bool {
        self.transfer == Transfer::Chunks && self.next == Next::Data && self.standing > 0
    }

    /// Whether nothing further need be sent, as no recipient is or will be left.
    pub(super) fn is_hopeless(&self) -> bool {
        self.standing == 0 && (self.failed == Some(Phase::Mail) || self.next == Next::Data)
    }

    /// Whether one recipient failed who must not.
    pub(super) fn is_spoilt(&self) -> bool {
        self.all_or_nothing && self.next == Next::Data && self.standing < self.verdicts.len()
    }

    /// The reply to MAIL.
    pub(super) fn mail(&mut self, reply: Reply) {
        if !reply.is_positive() {
            self.failed = Some(Phase::Mail);
            self.decide_rest(reply, Phase::Mail);
        }
    }

    /// The reply to the RCPT of recipient `index`.
    pub(super) fn rcpt(&mut self, index: usize, reply: Reply) {
        let Some(verdict @ Verdict::Open) = self.verdicts.get_mut(index) else {
            self.contradicted |= reply.is_positive();
            return;
        };
        // RFC 5321 section 3.3: 251 is an acceptance like 250.
        if reply.is_positive() {
            *verdict = Verdict::Standing;
            self.standing += 1;
            return;
        }
        // RFC 5321 section 4.5.3.1.10: 552 to RCPT stands for 452, too many recipients.
        let delivery = if reply.code() == 552 {
            Delivery::Deferred
        } else {
            Delivery::from_reply(&reply)
        };
        *verdict = Verdict::Decided(delivery, Some(reply), Some(Phase::Rcpt));
    }

    /// The body is to be sent: 354 came, or the recipients are known.
    pub(super) fn send_body(&mut self) {
        self.stage = Stage::Body;
        self.next = Next::Nothing;
    }

    /// The end mark is about to be handed to the transport: from now on the result may be unknown.
    pub(super) fn end_of_data(&mut self) {
        self.stage = Stage::EndOfData { complete: 0 };
    }

    /// A chunk of so many octets was queued.
    pub(super) fn chunk(&mut self, octets: u64) {
        self.octets = self.octets.saturating_add(octets);
    }

    /// The last chunk was queued. The result may be unknown as soon as `complete` octets were sent on the connection.
    pub(super) fn last_chunk(&mut self, complete: u64) {
        self.stage = Stage::EndOfData { complete };
    }

    /// A reply to a chunk that is not the last. Gives whether another may follow it.
    pub(super) fn chunk_reply(&mut self, reply: Reply) -> bool {
        if !reply.is_positive() {
            // RFC 3030 section 2: the transaction has failed, and no chunk is sent any more.
            self.failed = self.failed.or(Some(Phase::Body));
            self.decide_rest(reply, Phase::Body);
            if self.stage == Stage::Body {
                self.stage = Stage::Broken;
            }
        }
        self.stage == Stage::Body
    }

    /// The server took the end of a message of which it had refused a part: what it did with it is not known.
    pub(super) fn doubt(&mut self) {
        for verdict in &mut self.verdicts {
            if !matches!(verdict, Verdict::Decided(_, _, Some(Phase::Rcpt))) {
                *verdict = Verdict::Decided(Delivery::Unknown, None, Some(Phase::EndOfData));
            }
        }
        self.standing = 0;
        self.reply = None;
    }

    /// Whether nothing is left to be sent or answered once no reply is owed.
    pub(super) fn is_broken(&self) -> bool {
        self.stage == Stage::Broken
    }

    /// The indices of the recipients whose result is open because the server took them.
    pub(super) fn standing(&self) -> impl Iterator<Item = usize> {
        self.verdicts
            .iter()
            .enumerate()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Standing))
            .map(|(index, _)| index)
    }

    pub(super) fn first_standing(&self) -> Option<usize> {
        self.standing().next()
    }

    /// Decides all recipients that are not by a reply about the message as a whole. Changes nothing if all are.
    pub(super) fn decide_rest(&mut self, reply: Reply, phase: Phase) {
        let mut changed = false;
        for verdict in &mut self.verdicts {
            if !matches!(verdict, Verdict::Decided(..)) {
                let delivery = Delivery::from_reply(&reply);
                *verdict = Verdict::Decided(delivery, Some(reply.clone()), Some(phase));
                changed = true;
            }
        }
        self.standing = 0;
        if changed {
            self.reply = Some(reply);
        }
    }

    /// LMTP: decides one recipient. Gives whether none is left.
    pub(super) fn decide(&mut self, index: usize, reply: Reply) -> bool {
        if let Some(verdict @ Verdict::Standing) = self.verdicts.get_mut(index) {
            let delivery = Delivery::from_reply(&reply);
            *verdict = Verdict::Decided(delivery, Some(reply.clone()), Some(Phase::EndOfData));
            self.standing -= 1;
            self.reply = Some(reply);
        }
        self.standing == 0
    }

    /// The message will not be sent; the server has yet to be got out of the transaction.
    pub(super) fn abandon(&mut self) {
        self.stage = Stage::Abandoned;
        self.next = Next::Nothing;
        self.decide_without_reply(Delivery::NotTried, None);
    }

    /// No further reply will come, and so many octets were sent on the connection.
    pub(super) fn lose(&mut self, sent: u64) {
        if matches!(self.stage, Stage::EndOfData { complete } if complete <= sent) {
            self.decide_without_reply(Delivery::Unknown, Some(Phase::EndOfData));
        } else {
            self.decide_without_reply(Delivery::NotTried, None);
        }
    }

    fn decide_without_reply(&mut self, delivery: Delivery, phase: Option<Phase>) {
        self.standing = 0;
        for verdict in &mut self.verdicts {
            if !matches!(verdict, Verdict::Decided(..)) {
                *verdict = Verdict::Decided(delivery, None, phase);
            }
        }
    }

    pub(super) fn into_outcome(mut self) -> Outcome {
        if self.reply.is_none() {
            self.reply = self.ended_by_recipients();
        }
        let paths = self.envelope.recipients().iter().map(|r| r.path().clone());
        let recipients = paths
            .zip(self.verdicts)
            .map(|(path, verdict)| match verdict {
                Verdict::Decided(delivery, reply, phase) => {
                    RecipientOutcome::new(path, delivery, reply, phase)
                }
                Verdict::Open | Verdict::Standing => {
                    RecipientOutcome::new(path, Delivery::NotTried, None, None)
                }
            })
            .collect();
        Outcome::new(recipients, self.reply)
    }

    /// Where no reply was about the message as a whole, the last that took a recipient away ended the transaction, if such
    /// replies did end it.
    fn ended_by_recipients(&self) -> Option<Reply> {
        let replies = || {
            self.verdicts.iter().map(|verdict| match verdict {
                Verdict::Decided(_, reply, _) => reply.as_ref(),
                Verdict::Open | Verdict::Standing => None,
            })
        };
        let ended = self.stage == Stage::Abandoned || replies().all(|reply| reply.is_some());
        ended
            .then(|| replies().flatten().next_back().cloned())
            .flatten()
    }
}
