//! The life of one session: what the machine asks is put to the application, and its answers go back.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Buf;
use tokio::time::{Instant, timeout};

use super::aside::aside;
use super::attempts::Admitted;
use super::body::{Body, Stage};
use super::buffer::overwrite;
use super::channel::{Channel, Ended, SHUTTING_DOWN};
use super::limits::Admission;
use super::relay::{NOT_OURS, NOT_YOURS};
use super::serve::Shared;
use super::trace::{MAIL_LOOP, Trace, queued_as};
use super::{Answer, Answers, Hooks, LOCAL_ERROR, Session, SessionInfo};
use crate::error::{Phase, Status};
use crate::net::Stream;
use crate::proto::server::Event;
use crate::proto::{MailParameters, Need, Progress, Recipient, Reply, ReversePath};
use crate::sasl::{Lookup, Nonce, Proof};

const BAD_CREDENTIALS: Reply =
    Reply::fixed(535, Some((5, 7, 8)), "Authentication credentials invalid");
/// Nobody could judge the credentials (RFC 4954 section 6).
const AUTH_FAULT: Reply = Reply::fixed(454, Some((4, 7, 0)), "Temporary authentication failure");
/// RFC 5321 section 4.3.2 has no 451 for a connection; one that cannot be judged now is ended (section 3.8).
const CONNECT_FAULT: Reply = Reply::fixed(421, Some((4, 3, 0)), "Local error in processing");

/// A session and the application's part of it.
pub(super) struct Conversation<S> {
    channel: Channel,
    session: S,
    hooks: Hooks,
    /// Recipients that the client sent in one go and that are not answered yet.
    batch: Vec<Recipient>,
    /// What was said to a message that is still being drained.
    verdict: Option<Box<Answers>>,
    /// The login that is being judged, and how many have failed in this session.
    attempt: Option<Box<Admitted>>,
    auth_failures: u32,
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
            verdict: None,
            attempt: None,
            auth_failures: 0,
            quit: false,
            channel: Channel::new(stream, info, admission, shared),
        }
    }

    /// From the greeting to the end.
    pub(super) async fn run(&mut self) {
        let result = self.converse().await;
        self.count_end(&result);
        self.channel.close(self.quit).await;
        if self.hooks.has(Hooks::DISCONNECT) {
            self.learn();
            let info = &self.channel.info;
            let reason = match result {
                Err(ended) if !self.quit => Some(ended.error(info)),
                _ => None,
            };
            let told = async { self.session.disconnect(info, reason.as_ref()).await };
            guarded(pin!(told)).await;
        }
    }

    fn count_end(&self, result: &Result<(), Ended>) {
        let counters = &self.channel.shared.counters;
        let end = match result {
            _ if self.quit => &counters.sessions_quit,
            Ok(()) => &counters.sessions_closed,
            Err(ended) => match ended.status() {
                Status::Timeout => &counters.sessions_timed_out,
                Status::Protocol => &counters.sessions_violated,
                _ => &counters.sessions_lost,
            },
        };
        end.add(1);
    }

    async fn converse(&mut self) -> Result<(), Ended> {
        if self.channel.shared.options.implicit_tls {
            self.channel.begin_tls(true).await?;
        }
        loop {
            // An event borrows the input, so that is not lent to the rest of the channel meanwhile.
            let mut input = std::mem::take(&mut self.channel.input);
            // Lent to what hears of it, as it is large: what is handed on stands in each function's state.
            let heard = {
                let mut progress = self.channel.machine.receive(&input);
                match &mut progress {
                    Ok(Progress::Event { used, event }) => Ok((*used, self.hear(event).await)),
                    Ok(Progress::Need { used, need }) => Ok((*used, Next::Need(*need))),
                    Err(violation) => Err(Ended::violation(violation, self.channel.phase())),
                }
            };
            let (used, next) = match heard {
                Ok(heard) => heard,
                Err(ended) => {
                    self.channel.input = input;
                    return Err(ended);
                }
            };
            if self.channel.machine.heard_secret() {
                overwrite(&mut input[..used]);
            }
            input.advance(used);
            self.channel.input = input;
            self.note_attempt();
            match next {
                Next::Go => {}
                // Boxed, as it is large and short: a session that waits is not to hold room for it.
                Next::Message => Box::pin(self.message()).await?,
                Next::EndOfData(size) => self.end_of_data(size, None),
                Next::Need(Need::Answer) if !self.batch.is_empty() => self.ask_recipients().await,
                Next::Need(Need::Answer) => {
                    let text = "an answer is owed by nobody";
                    return Err(Ended::new(Status::Internal, Phase::Answer, text));
                }
                Next::Need(Need::More) => self.channel.fill().await?,
                Next::Need(Need::Tls) => self.channel.begin_tls(false).await?,
                Next::Need(Need::Close) => return Ok(()),
            }
        }
    }

    /// Puts an event to the application. Of a login, which is seldom, nothing is to stand in a session's state all the time.
    async fn hear(&mut self, event: &mut Event<'_>) -> Next {
        // What came in front of it in the same packet.
        self.note_attempt();
        self.learn();
        let (session, info) = (&mut self.session, &self.channel.info);
        let answer = match event {
            Event::Connect => {
                let answer = ask(pin!(async { session.connect(info).await })).await;
                or_fault(answer, CONNECT_FAULT)
            }
            Event::Hello { name, .. } => ask(pin!(async { session.hello(info, name).await })).await,
            Event::Auth { .. } => Box::pin(self.judge(event)).await,
            // Whom it is about is not known before its end.
            Event::OwnMechanism => match Box::pin(self.hold_back(None)).await {
                None => Answer::Accept,
                Some(locked) => Answer::Reply(locked),
            },
            Event::Nonce => return self.lend_nonce(),
            Event::Lookup(lookup) => return Box::pin(self.look_up(lookup)).await,
            Event::Mail {
                reverse_path,
                parameters,
            } => self.judge_sender(reverse_path, parameters).await,
            Event::Rcpt { .. } => {
                if let Event::Rcpt { path, parameters } = taken(event) {
                    self.batch
                        .push(Recipient::new(path).with_parameters(parameters));
                }
                return Next::Go;
            }
            Event::Data => return Next::Message,
            Event::EndOfData { size } => return Next::EndOfData(*size),
            Event::Verify(name) => ask(pin!(async { session.verify(info, name).await })).await,
            Event::Expand(name) => ask(pin!(async { session.expand(info, name).await })).await,
            Event::Help(topic) => ask(pin!(async { session.help(info, topic).await })).await,
            Event::Etrn(node) => ask(pin!(async { session.etrn(info, node).await })).await,
            Event::Client(attributes) => {
                let user = self.channel.machine.user();
                self.channel.info.set_client(attributes, user);
                self.channel.begin_client();
                (self.attempt, self.auth_failures) = (None, 0);
                return Next::Go;
            }
            Event::Unknown { verb, argument } => {
                ask(pin!(async { session.unknown(info, verb, argument).await })).await
            }
            Event::Reset => {
                guarded(pin!(async { session.reset(info).await })).await;
                return Next::Go;
            }
            Event::Quit => {
                self.quit = true;
                if self.hooks.has(Hooks::QUIT) {
                    guarded(pin!(async { session.quit(info).await })).await;
                }
                return Next::Go;
            }
            // The rest of a message that nobody wants any more; where that is bad, the machine answers its end by itself.
            Event::Discarded => {
                let counters = &self.channel.shared.counters;
                counters.refused_messages.add(1);
                counters.bad_messages.add(1);
                return Next::Go;
            }
            Event::StartTls | Event::Body(_) | Event::Abandoned => return Next::Go,
        };
        self.answer(answer);
        Next::Go
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

    /// Holds a login back if others of its address or account have failed. Gives what it is answered if it is not to be judged.
    async fn hold_back(&mut self, account: Option<&str>) -> Option<Reply> {
        // One login at a time.
        self.attempt = None;
        let shared = &self.channel.shared;
        let attempt = shared
            .attempts
            .attempt(self.channel.info.address(), account);
        // A shutdown has nobody wait.
        let stopped = shared.stop.notified();
        let stopping = async {
            if !shared.stop.begun() {
                stopped.await;
            }
        };
        let admitted = tokio::select! {
            biased;
            admitted = shared.attempts.admit(attempt) => admitted,
            () = stopping => return Some(SHUTTING_DOWN.clone()),
        };
        match admitted {
            Ok((admitted, delay)) => {
                self.attempt = Some(Box::new(admitted));
                if !delay.is_zero() && !shared.stop.begun() {
                    let _ = timeout(delay, shared.stop.notified()).await;
                }
                None
            }
            Err(reply) => {
                shared.counters.locked_logins.add(1);
                Some(reply)
            }
        }
    }

    /// Counts what came of a login, before its client is told. Nothing is left of one that is over.
    fn note_attempt(&mut self) {
        let shared = &self.channel.shared;
        let machine = &self.channel.machine;
        // Of several that have failed in one go, the last were over before there was anything to judge.
        while self.auth_failures < machine.auth_failures() {
            self.auth_failures += 1;
            shared.counters.failed_logins.add(1);
            if let Some(admitted) = self.attempt.take() {
                admitted.failed(Instant::now());
            } else {
                let address = self.channel.info.address();
                let attempt = shared.attempts.attempt(address, None);
                shared.attempts.failed(attempt, Instant::now());
            }
        }
        if machine.is_authenticating() {
            return;
        }
        if let Some(admitted) = self.attempt.take()
            && machine.user().is_some()
        {
            admitted.succeeded();
            shared.counters.logins.add(1);
        }
    }

    /// AUTH: the table of users decides about those in it, the application about all others.
    async fn judge(&mut self, event: &mut Event<'_>) -> Answer {
        let Event::Auth { credentials } = taken(event) else {
            return Answer::Reply(AUTH_FAULT);
        };
        let name = credentials.username();
        let account = (credentials.proof() != Proof::Nothing).then_some(name);
        if let Some(locked) = self.hold_back(account).await {
            return Answer::Reply(locked);
        }
        let shared = Arc::clone(&self.channel.shared);
        let users = &shared.options.users;
        let is_known =
            credentials.proof() == Proof::Password && users.knows(credentials.username());
        if self.hooks.has(Hooks::AUTH) && !is_known {
            let (session, info) = (&mut self.session, &self.channel.info);
            let answer = ask(pin!(async { session.auth(info, credentials).await })).await;
            or_fault(answer, AUTH_FAULT)
        } else {
            let accepted = if users.derive() {
                aside(&shared, move |shared| {
                    shared.options.users.accept(&credentials, &shared.decoy)
                })
                .await
            } else {
                Some(users.accept(&credentials, &shared.decoy))
            };
            match accepted {
                Some(true) => Answer::Accept,
                Some(false) => Answer::Reply(BAD_CREDENTIALS),
                None => Answer::Reply(AUTH_FAULT),
            }
        }
    }

    /// A mechanism needs a nonce.
    fn lend_nonce(&mut self) -> Next {
        // Of an exchange that was given up before.
        self.attempt = None;
        match crate::tls::random() {
            // It was just asked for.
            Ok(random) => drop(self.channel.machine.lend_nonce(Nonce::new(random))),
            Err(_) => self.answer(Answer::Reply(AUTH_FAULT)),
        }
        Next::Go
    }

    /// A mechanism asks about a user: the table knows, or else the application.
    async fn look_up(&mut self, lookup: &Lookup) -> Next {
        if let Some(locked) = self.hold_back(Some(lookup.username())).await {
            self.answer(Answer::Reply(locked));
            return Next::Go;
        }
        let shared = Arc::clone(&self.channel.shared);
        let users = &shared.options.users;
        let found = if self.hooks.has(Hooks::LOOKUP) && !users.knows(lookup.username()) {
            let (session, info) = (&mut self.session, &self.channel.info);
            guarded(pin!(async { session.look_up(info, lookup).await }))
                .await
                .unwrap_or(Err(AUTH_FAULT))
        } else {
            Ok(users.find(lookup))
        };
        let settled = match found {
            Ok(found) => {
                let lookup = lookup.clone();
                let settling = aside(&shared, move |shared| shared.decoy.settle(found, &lookup));
                settling.await.ok_or(AUTH_FAULT)
            }
            // What is said where there is no answer.
            Err(reply) if reply == LOCAL_ERROR => Err(AUTH_FAULT),
            Err(reply) => Err(reply),
        };
        match settled {
            // It was just asked for.
            Ok(found) => drop(self.channel.machine.supply(found, &shared.decoy.settled())),
            Err(reply) => self.answer(Answer::Reply(reply)),
        }
        Next::Go
    }

    /// MAIL: who has authenticated sends in no other name, if so wanted.
    async fn judge_sender(
        &mut self,
        reverse_path: &ReversePath,
        parameters: &MailParameters,
    ) -> Answer {
        let (machine, shared) = (&self.channel.machine, &self.channel.shared);
        if shared.options.bind_sender
            && let Some(user) = machine.user()
            && let Some(sender) = reverse_path.mailbox()
            && !(machine.has_identity() && shared.is_senders(user, sender))
        {
            shared.counters.foreign_senders.add(1);
            return Answer::Reply(NOT_YOURS);
        }
        if !self.hooks.has(Hooks::MAIL) {
            return Answer::Accept;
        }
        let (session, info) = (&mut self.session, &self.channel.info);
        ask(pin!(async {
            session.mail(info, reverse_path, parameters).await
        }))
        .await
    }

    /// RCPT: all that the client sent in one go.
    async fn ask_recipients(&mut self) {
        let shared = Arc::clone(&self.channel.shared);
        let mut own = std::mem::take(&mut self.batch);
        let options = &shared.options;
        let may_relay = !options.restricts_recipients()
            || self.channel.machine.has_identity()
            || options.trusts(self.channel.info.address());
        // The application is not asked about those that are refused anyway.
        let takes: Vec<bool> = own
            .iter()
            .map(|recipient| may_relay || options.is_own(recipient.path()))
            .collect();
        let mut place = takes.iter();
        own.retain(|_| place.next() == Some(&true));
        let answers = if self.hooks.has(Hooks::RCPT) && !own.is_empty() {
            let (session, info) = (&mut self.session, &self.channel.info);
            ask_all(pin!(async { session.recipients(info, &own).await })).await
        } else {
            Answers::accept()
        };
        let mut own = 0;
        for takes in takes {
            let answer = if takes {
                own += 1;
                answers.at(own - 1)
            } else {
                shared.counters.denied_relays.add(1);
                Answer::Reply(NOT_OURS)
            };
            if !is_positive(&answer) {
                shared.counters.refused_recipients.add(1);
            }
            self.answer(answer);
        }
    }

    /// DATA: the application gets the envelope and the message.
    async fn message(&mut self) -> Result<(), Ended> {
        let shared = Arc::clone(&self.channel.shared);
        let memory = self.channel.memory();
        if let Some(refusal) = memory.refusal() {
            shared.counters.refused_messages.add(1);
            shared.counters.messages_without_memory.add(1);
            self.answer(Answer::Reply(refusal));
            return Ok(());
        }
        self.verdict = None;
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
        let answers = ask_all(pin!(async {
            session.message(&info, envelope, &mut body).await
        }))
        .await;
        let accepted = body.id().and_then(queued_as);
        let worded = |answers: Answers| match &accepted {
            Some(reply) => answers.worded(reply),
            None => answers,
        };
        match body.stage {
            Stage::Offered => {
                if let Some(reply) = answers.refusal_of_all().cloned() {
                    shared.counters.refused_messages.add(1);
                    self.answer(Answer::Reply(reply));
                } else {
                    // Taken unread: it is still to come, and its end is what is accepted.
                    self.answer(Answer::Accept);
                    self.channel.begin_body();
                    self.verdict = Some(Box::new(answers));
                }
            }
            Stage::Open => self.verdict = Some(Box::new(worded(answers))),
            Stage::Whole(size) => self.end_of_data(size, Some(worded(answers))),
            Stage::Refused(reply) => {
                let counters = &shared.counters;
                let reason = match &reply {
                    Some(reply) if *reply != MAIL_LOOP => &counters.messages_without_memory,
                    _ => &counters.bad_messages,
                };
                reason.add(1);
                let refusal = reply.map(Answers::from);
                if self.channel.machine.owed() > 0 {
                    self.end_of_data(0, refusal);
                } else if refusal.is_some() {
                    self.verdict = refusal.map(Box::new);
                } else {
                    // The machine answers its end by itself.
                    shared.counters.refused_messages.add(1);
                }
            }
            // Nobody waits for an answer.
            Stage::Abandoned => {}
            Stage::Lost(ended) => return Err(ended),
        }
        Ok(())
    }

    /// The end of a message that came whole: in LMTP it is answered once for each recipient.
    fn end_of_data(&mut self, size: u64, answers: Option<Answers>) {
        let answers = answers
            .or_else(|| self.verdict.take().map(|answers| *answers))
            .unwrap_or_else(|| LOCAL_ERROR.into());
        let mut taken = false;
        for index in 0..self.channel.machine.owed() {
            let answer = answers.at(index);
            taken |= is_positive(&answer);
            self.answer(answer);
        }
        let counters = &self.channel.shared.counters;
        if taken {
            counters.messages.add(1);
            counters.octets.add(size);
        } else {
            counters.refused_messages.add(1);
        }
    }
}

/// What comes after an event.
enum Next {
    Go,
    Message,
    EndOfData(u64),
    Need(Need),
}

/// An event to keep; one that means nothing stays behind.
fn taken<'a>(event: &mut Event<'a>) -> Event<'a> {
    std::mem::replace(event, Event::StartTls)
}

fn is_positive(answer: &Answer) -> bool {
    match answer {
        Answer::Accept => true,
        Answer::Reply(reply) => reply.is_positive(),
    }
}

/// What is said where there is no answer, or else the answer.
fn or_fault(answer: Answer, fault: Reply) -> Answer {
    match answer {
        Answer::Reply(reply) if reply == LOCAL_ERROR => Answer::Reply(fault),
        answer => answer,
    }
}

/// The answer of a hook; 451 from one that panics.
async fn ask(hook: Pin<&mut impl Future<Output = Answer>>) -> Answer {
    guarded(hook).await.unwrap_or(Answer::Reply(LOCAL_ERROR))
}

async fn ask_all(hook: Pin<&mut impl Future<Output = Answers>>) -> Answers {
    guarded(hook).await.unwrap_or_else(|| LOCAL_ERROR.into())
}

/// Runs a hook. One that panics is over, and nothing else is. It is lent, since a future that were handed from one function to the
/// next would have its room in each of them.
fn guarded<T>(mut hook: Pin<&mut impl Future<Output = T>>) -> impl Future<Output = Option<T>> {
    poll_fn(
        move |cx| match catch_unwind(AssertUnwindSafe(|| hook.as_mut().poll(cx))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(_) => Poll::Ready(None),
        },
    )
}
