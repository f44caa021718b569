//! What a message is answered at its end, and the fault that whoever runs the server is told of once it was.

use std::pin::pin;

use super::{Conversation, fitting, is_positive};
use crate::error::{Error, Phase, Status};
use crate::proto::server::OF_MOST;
use crate::server::channel::Ended;
use crate::server::guarded::{begun, guarded};
use crate::server::statistics::Counters;
use crate::server::{Answers, Hooks, LOCAL_ERROR, Session, SessionInfo};

/// What a message is answered at its end.
pub(super) struct Verdict {
    pub(super) answers: Answers,
    /// Whose refusal it is, if it refuses.
    pub(super) by: By,
    /// Told once that was said.
    pub(super) fault: Option<Error>,
}

/// Who or what refuses a message.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    Application,
    /// Something on this side that has failed.
    Fault,
    Memory,
    /// It went in circles.
    Loop,
}

impl By {
    /// What is to be counted.
    pub(super) fn count(self, counters: &Counters) {
        let counter = match self {
            Self::Application => &counters.messages_refused_by_application,
            Self::Fault => &counters.messages_failed,
            Self::Memory => &counters.messages_without_memory,
            Self::Loop => &counters.mail_loops,
        };
        counter.add(1);
    }
}

impl Verdict {
    pub(super) fn of_application(answers: Answers, fault: Option<Error>) -> Self {
        Self {
            answers,
            by: if fault.is_some() {
                By::Fault
            } else {
                By::Application
            },
            fault,
        }
    }
}

impl<S: Session> Conversation<S> {
    /// The end of a message that came whole: in LMTP it is answered once for each recipient. Gives the fault that is to be told.
    pub(super) fn end_of_data(&mut self, size: u64, verdict: Option<Verdict>) -> Option<Error> {
        let Verdict { answers, by, fault } = verdict
            .or_else(|| self.verdict.take().map(|verdict| *verdict))
            .unwrap_or_else(|| Verdict::of_application(LOCAL_ERROR.into(), None));
        let mut taken = false;
        for index in 0..self.channel.machine.owed() {
            let answer = fitting(answers.at(index), OF_MOST);
            taken |= is_positive(&answer);
            self.answer(answer);
            // Behind a 421 nothing is said any more.
            if self.channel.machine.is_closing() {
                break;
            }
        }
        self.recipients = None;
        let counters = &self.channel.shared.counters;
        if taken {
            counters.messages.add(1);
            counters.octets.add(size);
        } else {
            by.count(counters);
        }
        fault
    }

    /// Tells of a fault while the answer that comes of it leaves: the client does not wait for those who are told.
    pub(super) async fn answer_and_tell(&mut self, fault: Error) -> Result<(), Ended> {
        let info = self.begin_telling(&fault);
        let session = self.hooks.has(Hooks::FAULT).then_some(&mut self.session);
        // Once it is sent nobody can tell what it was.
        let closing = self.channel.machine.is_closing();
        let ended = closing.then(|| self.channel.last_word(Status::Closed, Phase::Idle));
        let (sent, ()) = tokio::join!(biased; self.channel.flush(), told(session, &info, fault));
        ended.map_or(sent, Err)
    }

    /// Tells of a fault where nothing is to be sent any more.
    pub(super) async fn tell(&mut self, fault: Error) {
        let info = self.begin_telling(&fault);
        let session = self.hooks.has(Hooks::FAULT).then_some(&mut self.session);
        told(session, &info, fault).await;
    }

    /// The fault of a message whose end was not answered by it, as the rest of the message was bad or did not come.
    pub(super) fn unsaid(&mut self) -> Option<Error> {
        self.verdict.take().and_then(|verdict| verdict.fault)
    }

    /// Counts and traces a fault. Gives what the hook is told of the session.
    fn begin_telling(&mut self, fault: &Error) -> SessionInfo {
        self.learn();
        self.channel.shared.counters.faults.add(1);
        trace(&self.channel.info, fault);
        self.channel.info.clone()
    }
}

/// Calls the hook, if it is asked.
async fn told<S: Session>(session: Option<&mut S>, info: &SessionInfo, fault: Error) {
    if let Some(session) = session {
        guarded(pin!(begun(|| session.fault(info, fault)))).await;
    }
}

#[cfg(feature = "tracing")]
fn trace(info: &SessionInfo, fault: &Error) {
    let (session, peer) = (info.id(), info.peer());
    let status = fault.status().number();
    tracing::warn!(target: "mailwire", session, peer, status, "a message was not taken: {fault}");
}

/// Without the feature nobody is told.
#[cfg(not(feature = "tracing"))]
fn trace(_: &SessionInfo, _: &Error) {}
