//! One transaction: how far its commands have gone out, and what each recipient's result is.

use super::{NotNow, TransactionId, TransactionOptions};
use crate::error::Phase;
use crate::outcome::{Delivery, Outcome, RecipientOutcome};
use crate::proto::{Envelope, Reply};

#[derive(Debug)]
pub(super) struct Transaction {
    id: TransactionId,
    envelope: Envelope,
    all_or_nothing: bool,
    /// The command to send next.
    pub(super) next: Next,
    stage: Stage,
    verdicts: Vec<Verdict>,
    /// How many recipients the server has taken, up to now.
    standing: usize,
    mail_refused: bool,
    /// Whether the server took a recipient after it had refused MAIL.
    contradicted: bool,
    /// The last reply about the message as a whole.
    reply: Option<Reply>,
}

/// The next command of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Mail,
    Rcpt(usize),
    Data,
    /// All are queued, or will not be.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Up to the reply to DATA.
    Commands,
    /// From 354 until the end mark is handed to the transport.
    Body,
    EndOfData,
    /// The results are known; a RSET or a lone dot gets the server out of the transaction.
    Abandoned,
}

/// What is known about a recipient.
#[derive(Debug)]
enum Verdict {
    /// Its RCPT has no reply.
    Open,
    /// Its RCPT was accepted.
    Standing,
    Decided(Delivery, Option<Reply>, Option<Phase>),
}

impl Transaction {
    pub(super) fn new(
        id: TransactionId,
        envelope: Envelope,
        options: TransactionOptions,
    ) -> Result<Self, NotNow> {
        let count = envelope.recipients().len();
        if count == 0 {
            return Err(NotNow::NoRecipients);
        }
        Ok(Self {
            id,
            envelope,
            all_or_nothing: options.all_or_nothing,
            next: Next::Mail,
            stage: Stage::Commands,
            verdicts: (0..count).map(|_| Verdict::Open).collect(),
            standing: 0,
            mail_refused: false,
            contradicted: false,
            reply: None,
        })
    }

    pub(super) fn id(&self) -> TransactionId {
        self.id
    }

    pub(super) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    pub(super) fn is_all_or_nothing(&self) -> bool {
        self.all_or_nothing
    }

    pub(super) fn is_sending_body(&self) -> bool {
        self.stage == Stage::Body
    }

    /// Whether all that this transaction sends was sent, so that commands may follow that belong to the next.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::EndOfData | Stage::Abandoned)
    }

    pub(super) fn has_standing(&self) -> bool {
        self.standing > 0
    }

    /// Whether the server said no and yes about the same transaction.
    pub(super) fn is_contradicted(&self) -> bool {
        self.contradicted
    }

    /// Whether nothing further need be sent, as no recipient is or will be left.
    pub(super) fn is_hopeless(&self) -> bool {
        self.standing == 0 && (self.mail_refused || self.next == Next::Data)
    }

    /// Whether one recipient failed who must not.
    pub(super) fn is_spoilt(&self) -> bool {
        self.all_or_nothing && self.next == Next::Data && self.standing < self.verdicts.len()
    }

    /// The reply to MAIL.
    pub(super) fn mail(&mut self, reply: Reply) {
        if !reply.is_positive() {
            self.mail_refused = true;
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

    /// 354 came and the body is to be sent.
    pub(super) fn send_body(&mut self) {
        self.stage = Stage::Body;
    }

    /// The end mark is about to be handed to the transport: from now on the result may be unknown.
    pub(super) fn end_of_data(&mut self) {
        self.stage = Stage::EndOfData;
    }

    /// The indices of the recipients whose result is open because the server took them.
    pub(super) fn standing(&self) -> impl Iterator<Item = usize> {
        self.verdicts
            .iter()
            .enumerate()
            .filter(|(_, verdict)| matches!(verdict, Verdict::Standing))
            .map(|(index, _)| index)
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

    /// No further reply will come.
    pub(super) fn lose(&mut self) {
        if self.stage == Stage::EndOfData {
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
