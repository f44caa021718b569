//! RCPT: who is refused without asking, what the application says of the others, and the memory that long lists take.

use std::pin::pin;

use super::{Conversation, fitting, is_positive};
use crate::proto::limits::FEW_RECIPIENTS;
use crate::proto::server::OF_RCPT;
use crate::proto::{Recipient, Reply};
use crate::server::guarded::{begun, guarded};
use crate::server::memory::{Held, cost_of_recipient};
use crate::server::rate::TOO_MANY_RECIPIENTS;
use crate::server::relay::NOT_OURS;
use crate::server::statistics::Counters;
use crate::server::{Answer, Answers, Hooks, LOCAL_ERROR, Session};

impl<S: Session> Conversation<S> {
    /// RCPT: all that the client sent in one go.
    pub(super) async fn ask_recipients(&mut self) {
        let refused = self.refuse_unasked();
        let answers = if self.hooks.has(Hooks::RCPT) && !self.batch.is_empty() {
            let (session, info) = (&mut self.session, &self.channel.info);
            guarded(pin!(begun(|| session.recipients(info, &self.batch))))
                .await
                .unwrap_or_else(|| LOCAL_ERROR.into())
        } else {
            Answers::accept()
        };
        self.answer_recipients(&answers, refused);
    }

    /// Takes those out of the batch that are refused anyway, for the application is not asked about them. Their places are counted
    /// in all that the client sent.
    fn refuse_unasked(&mut self) -> Vec<(usize, Refused)> {
        let no_room = self.recipients.as_ref().and_then(Held::refusal);
        let (shared, address) = (&self.channel.shared, self.channel.info.address());
        let options = &shared.options;
        let may_relay = !options.restricts_recipients()
            || self.channel.machine.has_identity()
            || options.trusts(address);
        let mut refused = Vec::new();
        let mut place = 0;
        self.batch.retain(|recipient| {
            let why = if shared.recipients.is_exceeded(address) {
                Some(Refused::TooOften)
            } else if let Some(reply) = &no_room {
                Some(Refused::NoRoom(reply.clone()))
            } else if may_relay || options.is_own(recipient.path()) {
                None
            } else {
                Some(Refused::NotOurs)
            };
            let is_asked = why.is_none();
            refused.extend(why.map(|why| (place, why)));
            place += 1;
            is_asked
        });
        refused
    }

    fn answer_recipients(&mut self, answers: &Answers, refused: Vec<(usize, Refused)>) {
        let batch = std::mem::take(&mut self.batch);
        let mut asked = batch.iter().enumerate();
        let mut refused = refused.into_iter().peekable();
        for place in 0.. {
            let answer = if let Some((_, why)) = refused.next_if(|(at, _)| *at == place) {
                why.answer(&self.channel.shared.counters)
            } else if let Some((own, recipient)) = asked.next() {
                let answer = fitting(answers.at(own), OF_RCPT);
                if is_positive(&answer) {
                    self.hold(recipient);
                } else {
                    let counters = &self.channel.shared.counters;
                    counters.recipients_refused_by_application.add(1);
                }
                answer
            } else {
                break;
            };
            self.answer(answer);
        }
    }

    /// What those of a transaction before have taken is given back. The machine does not tell of each that ends: several may have
    /// come in one go.
    pub(super) fn forget_former_recipients(&mut self) {
        let envelope = self.channel.machine.envelope();
        // Nothing is taken for so few.
        if envelope.is_none_or(|envelope| envelope.recipients().len() <= FEW_RECIPIENTS) {
            self.recipients = None;
        }
    }

    /// Counts the memory for a recipient that is accepted, where there were many before it.
    fn hold(&mut self, recipient: &Recipient) {
        let envelope = self.channel.machine.envelope();
        if envelope.is_none_or(|envelope| envelope.recipients().len() < FEW_RECIPIENTS) {
            return;
        }
        let memory = self.channel.memory();
        let held = self.recipients.get_or_insert_with(|| memory.hold(0));
        held.grow(cost_of_recipient(recipient));
    }
}

/// Why a recipient is refused without asking.
enum Refused {
    TooOften,
    NotOurs,
    NoRoom(Reply),
}

impl Refused {
    /// What it is answered, and the count of its reason.
    fn answer(self, counters: &Counters) -> Answer {
        let (reason, reply) = match self {
            Self::TooOften => (&counters.recipients_too_often, TOO_MANY_RECIPIENTS),
            Self::NotOurs => (&counters.denied_relays, NOT_OURS),
            Self::NoRoom(reply) => (&counters.recipients_without_memory, reply),
        };
        reason.add(1);
        Answer::Reply(reply)
    }
}
