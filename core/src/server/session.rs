//! The life of one session: what the machine asks is put to the application, and its answers go back.

mod login;
mod recipients;
mod verdict;

use std::pin::pin;
use std::sync::Arc;

use bytes::Buf;

use self::login::Logins;
use self::verdict::{By, Verdict};
use super::body::{Body, Stage};
use super::buffer::overwrite;
use super::channel::{Channel, Ended};
use super::guarded::{begun, guarded};
use super::limits::Admission;
use super::memory::Held;
use super::rate::TOO_MANY_MESSAGES;
use super::relay::NOT_YOURS;
use super::serve::Shared;
use super::trace::{MAIL_LOOP, Trace, queued_as};
use super::{Answer, Answers, Hooks, LOCAL_ERROR, Session, SessionInfo};
use crate::error::{Phase, Status};
use crate::net::Stream;
use crate::proto::server::{Closing, Event, OF_MOST, is_strange};
use crate::proto::{Need, Progress, Recipient, Reply, ReversePath};
use crate::sasl::{Credentials, Lookup};

/// RFC 5321 section 4.3.2 has no 451 for a connection; one that cannot be judged now is ended (section 3.8).
pub(super) const CONNECT_FAULT: Reply =
    Reply::fixed(421, Some((4, 3, 0)), "Local error in processing");

/// A session and the application's part of it.
pub(super) struct Conversation<S> {
    channel: Channel,
    session: S,
    hooks: Hooks,
    /// Recipients that the client sent in one go and that are not answered yet.
    batch: Vec<Recipient>,
    /// Memory for those of the transaction, where they are many.
    recipients: Option<Held>,
    /// What was said to a message that is still being drained.
    verdict: Option<Box<Verdict>>,
    logins: Logins,
    quit: bool,
}

impl<S: Session> Conversation<S> {
    pub(super) fn new(
        stream: Stream,
        session: S,
        info: SessionInfo,
        admission: Admission,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            session,
            hooks: shared.hooks,
            batch: Vec::new(),
            recipients: None,
            verdict: None,
            logins: Logins::default(),
            quit: false,
            channel: Channel::new(stream, info, admission, shared),
        }
    }

    /// From the greeting to the end.
    pub(super) async fn run(mut self: Box<Self>) {
        let result = self.converse().await;
        // Boxed, as its state is large, and comes when all else is over.
        Box::pin(self.end(result)).await;
    }

    async fn end(&mut self, result: Result<(), Ended>) {
        // What was said between the chunks of a message that did not come whole.
        self.note_refusals();
        let result = match result {
            Ok(()) if !self.quit => Err(self.channel.last_word(Status::Closed, Phase::Idle)),
            other => other,
        };
        self.count_end(&result);
        // Others may wait for its place.
        self.logins.give_up();
        self.channel.close(self.quit).await;
        if let Some(fault) = self.unsaid() {
            self.tell(fault).await;
        }
        if self.hooks.has(Hooks::DISCONNECT) {
            self.learn();
            let (session, info) = (&mut self.session, &self.channel.info);
            let ended = result.err().filter(|_| !self.quit);
            let reason = ended.map(|ended| ended.error(info));
            guarded(pin!(begun(|| session.disconnect(info, reason.as_ref())))).await;
        }
    }

    fn count_end(&mut self, result: &Result<(), Ended>) {
        let quit = self.quit;
        let status = result.as_ref().err().map(Ended::status);
        let closing = self.channel.machine.closing();
        self.channel.count_end(|counters| match (status, closing) {
            (None, _) => &counters.sessions_quit,
            _ if quit => &counters.sessions_quit,
            (Some(Status::Timeout), _) => &counters.sessions_timed_out,
            (Some(Status::Protocol), _) | (_, Some(Closing::Violation)) => {
                &counters.sessions_violated
            }
            (Some(Status::Closed), Some(Closing::Limit)) => &counters.sessions_over_limit,
            (Some(Status::Closed), Some(Closing::Answer)) => {
                &counters.sessions_ended_by_application
            }
            (Some(Status::Closed), _) => &counters.sessions_shut_down,
            (Some(_), _) => &counters.sessions_lost,
        });
    }

    async fn converse(&mut self) -> Result<(), Ended> {
        if self.channel.shared.options.implicit_tls {
            // Boxed here and below, as they are large and short: a session that waits is not to hold room for them.
            Box::pin(self.channel.begin_tls(true)).await?;
        }
        loop {
            self.channel.heed_stop();
            // A question borrows the input, so that is not lent to the rest of the channel meanwhile.
            let mut input = std::mem::take(&mut self.channel.input);
            let Heard {
                used,
                question,
                next,
            } = match self.receive(&input) {
                Ok(heard) => heard,
                Err(ended) => {
                    self.channel.input = input;
                    return Err(ended);
                }
            };
            if let Some(question) = &question {
                self.ask(question).await;
            }
            if self.channel.machine.heard_secret() {
                overwrite(&mut input[..used]);
            }
            input.advance(used);
            self.channel.input = input;
            match next {
                Next::Go => {}
                Next::Message => Box::pin(self.message()).await?,
                Next::EndOfData(size) => {
                    if let Some(fault) = self.end_of_data(size, None) {
                        Box::pin(self.answer_and_tell(fault)).await?;
                    }
                }
                Next::Auth(credentials) => {
                    let answer = Box::pin(self.judge(*credentials)).await;
                    self.answer(answer);
                    // At once: somebody may wait to hear of it.
                    self.note_attempt();
                }
                Next::Lookup(lookup) => Box::pin(self.look_up(*lookup)).await,
                Next::OwnMechanism => Box::pin(self.admit_own_mechanism()).await,
                Next::OwnVerdict(username) => {
                    Box::pin(self.admit_own_verdict(&username)).await;
                }
                Next::Need(Need::Answer) if !self.batch.is_empty() => self.ask_recipients().await,
                Next::Need(Need::Answer) => {
                    let text = "an answer is owed by nobody";
                    return Err(Ended::new(Status::Internal, Phase::Answer, text));
                }
                Next::Need(Need::More) => {
                    let until = self.logins.wait_until();
                    self.channel.fill_until(until).await?;
                    self.resume_login()?;
                }
                Next::Need(Need::Tls) => Box::pin(self.channel.begin_tls(false)).await?,
                Next::Need(Need::Close) => return Ok(()),
            }
        }
    }

    /// Takes one step, and does what there is to do about it without waiting.
    fn receive<'a>(&mut self, input: &'a [u8]) -> Result<Heard<'a>, Ended> {
        let heard = self.channel.machine.receive(input);
        if self.recipients.is_some() {
            self.forget_former_recipients();
        }
        // What came in front of it, also of a violation: a guess that is judged counts, whatever ends the session then.
        self.note_attempt();
        self.note_refusals();
        let (used, question, next) = match heard {
            Ok(Progress::Event { used, event }) => {
                self.learn();
                let (question, next) = self.hear(event);
                (used, question, next)
            }
            Ok(Progress::Need { used, need }) => (used, None, Next::Need(need)),
            Err(violation) => return Err(Ended::violation(&violation, self.channel.phase())),
        };
        Ok(Heard {
            used,
            question,
            next,
        })
    }

    /// What the application is asked about an event, or else what comes of it.
    fn hear<'a>(&mut self, event: Event<'a>) -> (Option<Question<'a>>, Next) {
        let question = match event {
            Event::Connect => Question::Connect,
            Event::Hello { name, .. } => Question::Hello(name),
            Event::Mail { reverse_path, .. } => {
                if let Some(answer) = self.judge_sender(&reverse_path) {
                    self.answer(answer);
                    return (None, Next::Go);
                }
                Question::Mail
            }
            Event::Verify(name) => Question::Verify(name),
            Event::Expand(name) => Question::Expand(name),
            Event::Help(topic) => Question::Help(topic),
            Event::Etrn(node) => Question::Etrn(node),
            Event::Unknown { verb, argument } => Question::Unknown(verb, argument),
            Event::Reset => Question::Reset,
            Event::Quit => {
                self.quit = true;
                if !self.hooks.has(Hooks::QUIT) {
                    return (None, Next::Go);
                }
                Question::Quit
            }
            other => return (None, self.take(other)),
        };
        (Some(question), Next::Go)
    }

    /// What comes of an event that the application is not asked about at once.
    fn take(&mut self, event: Event<'_>) -> Next {
        match event {
            Event::Auth { credentials } => return Next::Auth(Box::new(credentials)),
            Event::OwnMechanism => return Next::OwnMechanism,
            Event::OwnVerdict { username } => return Next::OwnVerdict(username),
            Event::Lookup(lookup) => return Next::Lookup(Box::new(lookup)),
            Event::Data => return Next::Message,
            Event::EndOfData { size } => return Next::EndOfData(size),
            Event::Nonce => self.lend_nonce(),
            Event::Rcpt { path, parameters } => {
                let recipient = Recipient::new(path).with_parameters(parameters);
                self.batch.push(recipient);
            }
            Event::Client(attributes) => {
                let user = self.channel.machine.user();
                self.channel.info.set_client(&attributes, user);
                self.channel.begin_client(attributes.address.is_some());
            }
            // Also of the rest of a message that nobody wants any more: where that is bad, the machine answers its end by itself.
            _ => {}
        }
        Next::Go
    }

    /// Puts a question to the application.
    async fn ask(&mut self, question: &Question<'_>) {
        let (session, info) = (&mut self.session, &self.channel.info);
        let answer = match *question {
            Question::Connect => {
                let answer = guarded(pin!(begun(|| session.connect(info)))).await;
                Some(or_fault(answer, CONNECT_FAULT))
            }
            Question::Hello(name) => guarded(pin!(begun(|| session.hello(info, name)))).await,
            Question::Mail => {
                let Some(envelope) = self.channel.machine.asked_envelope() else {
                    return;
                };
                let (path, parameters) = (envelope.reverse_path(), envelope.parameters());
                guarded(pin!(begun(|| session.mail(info, path, parameters)))).await
            }
            Question::Verify(name) => guarded(pin!(begun(|| session.verify(info, name)))).await,
            Question::Expand(name) => guarded(pin!(begun(|| session.expand(info, name)))).await,
            Question::Help(topic) => guarded(pin!(begun(|| session.help(info, topic)))).await,
            Question::Etrn(node) => guarded(pin!(begun(|| session.etrn(info, node)))).await,
            Question::Unknown(verb, argument) => {
                guarded(pin!(begun(|| session.unknown(info, verb, argument)))).await
            }
            Question::Reset => {
                guarded(pin!(begun(|| session.reset(info)))).await;
                return;
            }
            Question::Quit => {
                guarded(pin!(begun(|| session.quit(info)))).await;
                return;
            }
        };
        let mut answer = answer.unwrap_or(Answer::Reply(LOCAL_ERROR));
        if matches!(question, Question::Hello(_) | Question::Mail) {
            answer = fitting(answer, OF_MOST);
        }
        if !is_positive(&answer) {
            self.note_refusal(question);
        }
        self.answer(answer);
    }

    /// Counts what the machine has refused by itself.
    fn note_refusals(&mut self) {
        if let Some(refusals) = self.channel.machine.take_refusals() {
            self.channel.shared.counters.note(&refusals);
        }
    }

    /// Counts that the application has refused what it was asked.
    fn note_refusal(&self, question: &Question<'_>) {
        let counters = &self.channel.shared.counters;
        let counter = match question {
            Question::Connect => &counters.connections_refused_by_application,
            Question::Hello(_) => &counters.hellos_refused_by_application,
            Question::Mail => &counters.senders_refused_by_application,
            // No mail depends on the others.
            _ => return,
        };
        counter.add(1);
    }

    /// What the machine has learnt goes into what the application is told.
    fn learn(&mut self) {
        let (machine, info) = (&self.channel.machine, &mut self.channel.info);
        if let Some(name) = machine.hello_name() {
            info.set_hello(name);
        }
        if let Some(user) = machine.user() {
            info.set_user(user);
        }
    }

    /// The machine keeps count of what is owed, and each of these answers a question that it has just asked.
    fn answer(&mut self, answer: Answer) {
        let _ = self.channel.machine.answer(answer);
    }

    /// MAIL: an address does not send too often, and who has authenticated in no other name, if so wanted. `None` if the application is to be asked.
    fn judge_sender(&self, reverse_path: &ReversePath) -> Option<Answer> {
        let (machine, shared) = (&self.channel.machine, &self.channel.shared);
        if shared.messages.is_exceeded(self.channel.info.address()) {
            shared.counters.messages_too_often.add(1);
            return Some(Answer::Reply(TOO_MANY_MESSAGES));
        }
        if shared.options.bind_sender
            && let Some(user) = machine.user()
            && let Some(sender) = reverse_path.mailbox()
            && !(machine.has_identity() && shared.is_senders(user, sender))
        {
            shared.counters.foreign_senders.add(1);
            return Some(Answer::Reply(NOT_YOURS));
        }
        (!self.hooks.has(Hooks::MAIL)).then_some(Answer::Accept)
    }

    /// DATA: the application gets the envelope and the message.
    async fn message(&mut self) -> Result<(), Ended> {
        let shared = Arc::clone(&self.channel.shared);
        let memory = self.channel.memory();
        if let Some(refusal) = memory.refusal() {
            By::Memory.count(&shared.counters);
            self.answer(Answer::Reply(refusal));
            return Ok(());
        }
        if let Some(fault) = self.unsaid() {
            Box::pin(self.tell(fault)).await;
        }
        let Some(envelope) = self.channel.machine.envelope().cloned() else {
            self.answer(Answer::Reply(LOCAL_ERROR));
            return Ok(());
        };
        let info = self.channel.info.clone();
        let mut body = Body {
            trace: Trace::new(&self.channel, &envelope),
            channel: &mut self.channel,
            memory,
            stage: Stage::Offered,
            line_end: false,
        };
        let session = &mut self.session;
        let (answers, fault) = guarded(pin!(begun(|| session.message(&info, envelope, &mut body))))
            .await
            .unwrap_or_else(|| LOCAL_ERROR.into())
            .parted();
        let accepted = body.id().and_then(queued_as);
        let worded = |answers: Answers| match &accepted {
            Some(reply) => answers.worded(reply),
            None => answers,
        };
        let fault = match body.stage {
            Stage::Offered => {
                if let Some(reply) = answers.refusal_of_all().cloned() {
                    let verdict = Verdict::of_application(answers, fault);
                    verdict.by.count(&shared.counters);
                    self.answer(Answer::Reply(reply));
                    verdict.fault
                } else {
                    // Taken unread: it is still to come, and its end is what is accepted.
                    self.answer(Answer::Accept);
                    self.channel.begin_body();
                    let verdict = Verdict::of_application(answers, fault);
                    self.verdict = Some(Box::new(verdict));
                    None
                }
            }
            Stage::Open => {
                let verdict = Verdict::of_application(worded(answers), fault);
                self.verdict = Some(Box::new(verdict));
                None
            }
            Stage::Whole(size) => {
                let verdict = Verdict::of_application(worded(answers), fault);
                self.end_of_data(size, Some(verdict))
            }
            Stage::Refused(Some(reply)) => {
                let refusal = Verdict {
                    by: if reply == MAIL_LOOP {
                        By::Loop
                    } else {
                        By::Memory
                    },
                    answers: reply.into(),
                    fault: None,
                };
                if self.channel.machine.owed() > 0 {
                    self.end_of_data(0, Some(refusal));
                } else {
                    self.verdict = Some(Box::new(refusal));
                }
                fault
            }
            // The machine answers its end by itself, or nobody waits for an answer.
            Stage::Refused(None) | Stage::Abandoned | Stage::Closed => fault,
            Stage::Lost(ended) => {
                if let Some(fault) = fault {
                    Box::pin(self.tell(fault)).await;
                }
                return Err(ended);
            }
        };
        // Boxed: there is to be no room for it where all is well.
        match fault {
            Some(fault) => Box::pin(self.answer_and_tell(fault)).await,
            None => Ok(()),
        }
    }
}

/// What one step came to: so many octets are done with, perhaps the application is to be asked, and then comes what is next.
struct Heard<'a> {
    used: usize,
    question: Option<Question<'a>>,
    next: Next,
}

/// What comes next.
enum Next {
    Go,
    Auth(Box<Credentials>),
    Lookup(Box<Lookup>),
    OwnMechanism,
    OwnVerdict(String),
    Message,
    EndOfData(u64),
    Need(Need),
}

/// What the application is asked or told of what the client says. There is room for it in every session, also in those that wait for
/// their client, so it only borrows; the envelope stays where the machine has it.
#[derive(Clone, Copy)]
enum Question<'a> {
    Connect,
    Hello(&'a str),
    Mail,
    Verify(&'a str),
    Expand(&'a str),
    Help(&'a str),
    Etrn(&'a str),
    Unknown(&'a str, &'a str),
    Reset,
    Quit,
}

fn is_positive(answer: &Answer) -> bool {
    match answer {
        Answer::Accept => true,
        Answer::Reply(reply) => reply.is_positive(),
    }
}

/// An answer that the machine says so: a positive one that is none of those is told as a failure of whoever gave it.
fn fitting(answer: Answer, positive: &[u16]) -> Answer {
    match answer {
        Answer::Reply(reply) if is_strange(&reply, positive) => Answer::Reply(LOCAL_ERROR),
        answer => answer,
    }
}

/// What is said where there is no answer, or else the answer.
fn or_fault(answer: Option<Answer>, fault: Reply) -> Answer {
    match answer {
        Some(Answer::Reply(reply)) if reply == LOCAL_ERROR => Answer::Reply(fault),
        Some(answer) => answer,
        None => Answer::Reply(fault),
    }
}
