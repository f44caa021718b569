//! How a session judges a login: by the table of users or the application, held back where others have failed, and counted.

use std::pin::pin;
use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::{Conversation, or_fault};
use crate::error::{Phase, Status};
use crate::proto::Reply;
use crate::proto::server::Closing;
use crate::sasl::{Credentials, Lookup, Nonce, Proof, saslprep};
use crate::server::aside::aside;
use crate::server::attempts::Admitted;
use crate::server::channel::{Ended, SHUTTING_DOWN};
use crate::server::guarded::{begun, guarded};
use crate::server::{AUTH_FAULT, Answer, BAD_CREDENTIALS, Hooks, LOCAL_ERROR, Session};

/// Said where another login has the place of one whose client let it wait.
const TAKEN: Reply = Reply::fixed(
    421,
    Some((4, 4, 2)),
    "Others wait to log in, closing the connection",
);

/// The logins of a session.
#[derive(Debug, Default)]
pub(super) struct Logins {
    /// The one that is being judged, and the number of its exchange.
    attempt: Option<Box<Admitted>>,
    exchange: Option<u32>,
    /// Those that were counted.
    failed: u32,
    succeeded: u32,
}

impl Logins {
    /// The client is waited for. Until when, if it is in a login that counts.
    pub(super) fn wait_until(&mut self) -> Option<Instant> {
        self.attempt.as_mut().map(|admitted| admitted.wait_until())
    }

    /// The session is over.
    pub(super) fn give_up(&mut self) {
        self.attempt = None;
    }
}

impl<S: Session> Conversation<S> {
    /// Holds a login back if others of its address or account have failed. Gives what it is answered if it is not to be judged.
    async fn hold_back(&mut self, account: Option<&str>) -> Option<Reply> {
        // One login at a time. Another one is of the same exchange, for the machine has told of the end of any other.
        if let Some(admitted) = self.logins.attempt.take() {
            admitted.let_go();
        }
        self.logins.exchange = self.channel.machine.exchange();
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
            () = stopping => {
                // What is answered then is heard by nobody.
                self.channel
                    .machine
                    .abort(&SHUTTING_DOWN, Closing::ShutDown);
                return Some(SHUTTING_DOWN.clone());
            }
        };
        match admitted {
            Ok((admitted, delay)) => {
                self.logins.attempt = Some(Box::new(admitted));
                let stopped = shared.stop.notified();
                if !delay.is_zero() && !shared.stop.begun() {
                    let _ = timeout(delay, stopped).await;
                }
                None
            }
            Err(reply) => {
                shared.counters.locked_logins.add(1);
                Some(reply)
            }
        }
    }

    /// Whether an exchange of an application's own mechanism may begin. Whom it is about is not known before its end.
    pub(super) async fn admit_own_mechanism(&mut self) {
        let answer = match self.hold_back(None).await {
            None => Answer::Accept,
            Some(locked) => Answer::Reply(locked),
        };
        self.answer(answer);
    }

    /// Whether the client may hear how an exchange of an application's own mechanism has ended, which is about this user.
    pub(super) async fn admit_own_verdict(&mut self, username: &str) {
        let attempt = self.logins.attempt.as_ref();
        let answer = if attempt.is_some_and(|admitted| admitted.has_account()) {
            // The mechanism had asked about the user.
            Answer::Accept
        } else {
            let prepared = saslprep(username);
            let account = prepared.as_deref().unwrap_or(username);
            match self.hold_back(Some(account)).await {
                None => Answer::Accept,
                Some(locked) => Answer::Reply(locked),
            }
        };
        self.answer(answer);
    }

    /// Goes on with a login whose client was waited for. Fails if another has its place by now.
    pub(super) fn resume_login(&mut self) -> Result<(), Ended> {
        let attempt = self.logins.attempt.as_ref();
        if attempt.is_none_or(|admitted| admitted.resume()) {
            return Ok(());
        }
        self.channel.machine.abort(&TAKEN, Closing::Limit);
        let text = format!("the session was ended: {}", TAKEN.text());
        Err(Ended::new(Status::Timeout, Phase::Auth, text))
    }

    /// Counts what came of a login, before its client is told, and before anything is done about what the client has said behind it.
    /// Nothing is left of one that is over.
    pub(super) fn note_attempt(&mut self) {
        // One that nobody could judge is the only one, for there was a question about it.
        let is_judged = !self.channel.machine.take_unjudged();
        let shared = &self.channel.shared;
        let machine = &self.channel.machine;
        let logins = &mut self.logins;
        // Of several that have failed in one go, the last were over before there was anything to judge.
        while logins.failed < machine.auth_failures() {
            logins.failed += 1;
            shared.counters.failed_logins.add(1);
            if let Some(admitted) = logins.attempt.take() {
                if is_judged {
                    admitted.failed(Instant::now());
                } else {
                    admitted.could_not_be_judged();
                }
            } else {
                let address = self.channel.info.address();
                let attempt = shared.attempts.attempt(address, None);
                shared.attempts.failed(attempt, Instant::now());
            }
        }
        if logins.attempt.is_some() && machine.exchange() == logins.exchange {
            return;
        }
        let has_succeeded = logins.succeeded < machine.auth_successes();
        logins.succeeded = machine.auth_successes();
        // One that is dropped was given up.
        if let Some(admitted) = logins.attempt.take()
            && has_succeeded
        {
            admitted.succeeded(Instant::now());
            shared.counters.logins.add(1);
        }
    }

    /// AUTH: the table of users decides about those in it, the application about all others.
    pub(super) async fn judge(&mut self, credentials: Credentials) -> Answer {
        let name = credentials.username();
        let account = (credentials.proof() != Proof::Nothing).then_some(name);
        if let Some(locked) = self.hold_back(account).await {
            return Answer::Reply(locked);
        }
        let answer = self.verdict_on(credentials).await;
        if let Answer::Reply(reply) = &answer {
            self.note_fault(reply);
        }
        answer
    }

    /// What whoever knows the user says.
    async fn verdict_on(&mut self, credentials: Credentials) -> Answer {
        let shared = Arc::clone(&self.channel.shared);
        let users = &shared.options.users;
        let is_known =
            credentials.proof() == Proof::Password && users.knows(credentials.username());
        if self.hooks.has(Hooks::AUTH) && !is_known {
            let (session, info) = (&mut self.session, &self.channel.info);
            or_fault(
                guarded(pin!(begun(|| session.auth(info, credentials)))).await,
                AUTH_FAULT,
            )
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

    /// Counts a login that was asked about if the reply is neither yes nor no.
    fn note_fault(&mut self, reply: &Reply) {
        if !reply.is_positive() && !reply.is_permanent() {
            self.channel.machine.count_unjudged_login();
        }
    }

    /// A mechanism needs a nonce.
    pub(super) fn lend_nonce(&mut self) {
        match crate::tls::random() {
            // It was just asked for.
            Ok(random) => drop(self.channel.machine.lend_nonce(Nonce::new(random))),
            Err(_) => self.answer(Answer::Reply(AUTH_FAULT)),
        }
    }

    /// A mechanism asks about a user: the table knows, or else the application.
    pub(super) async fn look_up(&mut self, lookup: Lookup) {
        if let Some(locked) = self.hold_back(Some(lookup.username())).await {
            self.answer(Answer::Reply(locked));
            return;
        }
        let shared = Arc::clone(&self.channel.shared);
        let users = &shared.options.users;
        let found = if self.hooks.has(Hooks::LOOKUP) && !users.knows(lookup.username()) {
            let (session, info) = (&mut self.session, &self.channel.info);
            guarded(pin!(begun(|| session.look_up(info, &lookup))))
                .await
                .unwrap_or(Err(AUTH_FAULT))
        } else {
            Ok(users.find(&lookup))
        };
        let settled = match found {
            Ok(found) => {
                let settling = aside(&shared, move |shared| shared.decoy.settle(found, &lookup));
                settling.await.ok_or(AUTH_FAULT)
            }
            // What is said where there is no answer.
            Err(reply) if reply == LOCAL_ERROR => Err(AUTH_FAULT),
            Err(reply) => Err(reply),
        };
        match settled {
            Ok(found) => {
                if let Some(admitted) = &mut self.logins.attempt {
                    admitted.has_cost();
                }
                // It was just asked for.
                let _ = self.channel.machine.supply(found, &shared.decoy.settled());
            }
            Err(reply) => {
                self.note_fault(&reply);
                self.answer(Answer::Reply(reply));
            }
        }
    }
}
