//! A session whose hooks become events, and whose answers come back from the application.

use std::future::ready;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::event::{Event, EventKind, FoundSlot, Refusal};
use super::post::Post;
use super::queue::Queue;
use super::received::Received;
use super::wait::Wait;
use crate::disposition::{Destination, Disposition};
use crate::error::Error;
use crate::net::ForkGuard;
use crate::proto::{Envelope, MailParameters, Protocol, Recipient, Reply, ReversePath};
use crate::sasl::{Credentials, Found, Lookup};
use crate::server::{
    Answer, Answers, Body, Handler, Hooks, LOCAL_ERROR, PIECE, Room, Session, SessionInfo, Shared,
};

/// What one session's pieces of a streamed message may take, in octets.
const CREDIT: u64 = 256 * 1024;

// An event and the allocations for what is in it, at the most: 128 octets.
const _: () = assert!(size_of::<Event>() as u64 + 128 <= PIECE);

/// Makes the sessions of one I/O thread.
#[derive(Debug)]
pub(super) struct QueueHandler {
    pub(super) shared: Arc<Shared>,
    pub(super) post: Arc<Post>,
    pub(super) queue: Arc<Queue>,
    pub(super) guard: ForkGuard,
    /// Where messages go, if not into the queue.
    pub(super) destination: Option<Arc<Destination>>,
}

/// One session.
#[derive(Debug)]
pub(super) struct QueueSession {
    post: Arc<Post>,
    queue: Arc<Queue>,
    guard: ForkGuard,
    answer_timeout: Duration,
    protocol: Protocol,
    stream: bool,
    destination: Option<Arc<Destination>>,
    /// Once the application was asked something.
    wait: Option<Box<Wait>>,
    /// What was known at the last event, until the application has heard that the connection is gone. `None` if it does not ask.
    untold: Option<SessionInfo>,
}

impl Handler for QueueHandler {
    type Session = QueueSession;

    fn session(&self, info: &SessionInfo) -> QueueSession {
        let options = &self.shared.options;
        let is_asked = self.shared.hooks.has(Hooks::DISCONNECT);
        QueueSession {
            post: Arc::clone(&self.post),
            queue: Arc::clone(&self.queue),
            guard: self.guard,
            answer_timeout: options.answer_timeout(),
            protocol: options.protocol(),
            stream: options.stream(),
            destination: self.destination.clone(),
            wait: None,
            untold: is_asked.then(|| info.clone()),
        }
    }

    fn relays(&self) -> bool {
        self.destination.as_ref().is_some_and(Disposition::relays)
    }
}

impl QueueSession {
    fn tell(&self, info: &SessionInfo, kind: EventKind) {
        self.post
            .send(Event::informing(kind, info.clone(), self.guard));
    }

    /// The same where the client decides how often, and no answer holds it back.
    async fn tell_in_time(&self, info: &SessionInfo, kind: EventKind) {
        self.queue.room(&self.post).await;
        self.tell(info, kind);
    }

    /// The same, and the session goes on once the event is gone: what it tells of next is not to be heard before, by whichever thread.
    fn tell_and_wait<'a>(
        &'a mut self,
        info: &SessionInfo,
        kind: EventKind,
    ) -> impl Future<Output = ()> + use<'a> {
        let told = self.ask_all(info, kind, 0);
        async move {
            told.await;
        }
    }

    fn ask<'a>(
        &'a mut self,
        info: &SessionInfo,
        kind: EventKind,
    ) -> impl Future<Output = Answer> + use<'a> {
        let answers = self.ask_all(info, kind, 1);
        async move { answers.await.at(0) }
    }

    /// The event is on its way when this returns; what is left to the future is to wait, so that a session which waits is small.
    fn ask_all<'a>(
        &'a mut self,
        info: &SessionInfo,
        kind: EventKind,
        owed: usize,
    ) -> impl Future<Output = Answers> + use<'a> {
        self.ask_into(info, kind, owed, None, None)
    }

    /// The same of a message with this id.
    fn ask_of<'a>(
        &'a mut self,
        id: Option<Arc<str>>,
        info: &SessionInfo,
        kind: EventKind,
        owed: usize,
    ) -> impl Future<Output = Answers> + use<'a> {
        self.ask_into(info, kind, owed, None, id)
    }

    fn ask_into<'a>(
        &'a mut self,
        info: &SessionInfo,
        kind: EventKind,
        owed: usize,
        found: Option<FoundSlot>,
        id: Option<Arc<str>>,
    ) -> impl Future<Output = Answers> + use<'a> {
        if let Some(known) = &mut self.untold {
            known.clone_from(info);
        }
        let post = Arc::clone(&self.post);
        let (event, answers) = Event::owing(kind, info.clone(), self.guard, owed, post, found);
        self.post.send(event.of(id));
        let until = Instant::now() + self.answer_timeout;
        let wait = self.wait.get_or_insert_with(|| Box::new(Wait::new()));
        wait.until(until, answers)
    }

    /// RFC 2033 section 4.2: the end of data is answered once for each recipient.
    fn owed_to(&self, envelope: &Envelope) -> usize {
        match self.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => envelope.recipients().len(),
        }
    }

    /// The next piece of a message, once there is room for it. None: it will not come whole. Dropping the future loses nothing.
    async fn piece(&self, credit: &Room, body: &mut Body<'_>) -> Option<Option<Bytes>> {
        timeout(self.answer_timeout, credit.room()).await.ok()?;
        body.chunk().await.ok()
    }

    async fn streamed(
        &mut self,
        info: &SessionInfo,
        envelope: Envelope,
        body: &mut Body<'_>,
    ) -> Answers {
        let begin = EventKind::Body {
            envelope: envelope.clone(),
        };
        let begin = self.ask_of(body.shared_id(), info, begin, 1).await;
        let begin = Answers::from(begin.at(0));
        if begin.refusal_of_all().is_some() {
            return begin;
        }
        let id = body.shared_id();
        let mut coming = Coming {
            post: Arc::clone(&self.post),
            info,
            guard: self.guard,
            id: id.clone(),
            is_whole: false,
        };
        let credit = Arc::new(Room::new(CREDIT));
        let refusal = Arc::new(Refusal::default());
        let mut size = 0;
        loop {
            let piece = self.piece(&credit, body);
            let chunk = tokio::select! {
                biased;
                () = refusal.given() => None,
                chunk = piece => chunk,
            };
            match chunk {
                Some(Some(chunk)) if refusal.reply().is_none() => {
                    size += chunk.len() as u64;
                    let chunk = credit.charge(chunk);
                    let refusal = Arc::clone(&refusal);
                    let piece = Event::piece(chunk, info.clone(), self.guard, refusal);
                    self.post.send(piece.of(id.clone()));
                }
                Some(None) if refusal.reply().is_none() => break,
                _ => return refusal.reply().cloned().unwrap_or(LOCAL_ERROR).into(),
            }
        }
        coming.is_whole = true;
        let owed = self.owed_to(&envelope);
        let end = EventKind::EndOfData { envelope, size };
        let answers = self.ask_of(id, info, end, owed).await;
        match refusal.end() {
            Some(reply) => reply.clone().into(),
            None => answers,
        }
    }
}

/// A message that the application takes in pieces. However it is left before all of it has come, the application is told.
struct Coming<'a> {
    post: Arc<Post>,
    info: &'a SessionInfo,
    guard: ForkGuard,
    id: Option<Arc<str>>,
    is_whole: bool,
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            let event = Event::informing(EventKind::Discarded, self.info.clone(), self.guard);
            self.post.send(event.of(self.id.take()));
        }
    }
}

// Not `async`: an event is then made and sent before there is a future that would have to hold it.
impl Session for QueueSession {
    fn connect(&mut self, info: &SessionInfo) -> impl Future<Output = Answer> + Send {
        self.ask(info, EventKind::Connect)
    }

    fn hello(&mut self, info: &SessionInfo, name: &str) -> impl Future<Output = Answer> + Send {
        let name = name.to_owned();
        self.ask(info, EventKind::Hello { name })
    }

    fn auth(
        &mut self,
        info: &SessionInfo,
        credentials: Credentials,
    ) -> impl Future<Output = Answer> + Send {
        self.ask(info, EventKind::Auth(credentials))
    }

    fn look_up(
        &mut self,
        info: &SessionInfo,
        lookup: &Lookup,
    ) -> impl Future<Output = Result<Found, Reply>> + Send {
        let slot = FoundSlot::default();
        let kind = EventKind::Lookup(lookup.clone());
        let answers = self.ask_into(info, kind, 1, Some(Arc::clone(&slot)), None);
        async move {
            match answers.await.at(0) {
                Answer::Reply(reply) if !reply.is_positive() => Err(reply),
                _ => {
                    let found = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                    Ok(found.unwrap_or(Found::Nobody))
                }
            }
        }
    }

    fn mail(
        &mut self,
        info: &SessionInfo,
        reverse_path: &ReversePath,
        parameters: &MailParameters,
    ) -> impl Future<Output = Answer> + Send {
        let kind = EventKind::Mail {
            reverse_path: reverse_path.clone(),
            parameters: parameters.clone(),
        };
        self.ask(info, kind)
    }

    fn recipients(
        &mut self,
        info: &SessionInfo,
        recipients: &[Recipient],
    ) -> impl Future<Output = Answers> + Send {
        let kind = EventKind::Recipients(recipients.to_vec());
        self.ask_all(info, kind, recipients.len())
    }

    async fn message(
        &mut self,
        info: &SessionInfo,
        envelope: Envelope,
        body: &mut Body<'_>,
    ) -> Answers {
        if let Some(destination) = &self.destination {
            // Boxed here and below, as they are large: what waits for a whole message needs no room for them.
            return Box::pin(destination.take(info, &envelope, body)).await;
        }
        if self.stream {
            return Box::pin(self.streamed(info, envelope, body)).await;
        }
        match body.collect().await {
            Ok(pieces) => {
                let owed = self.owed_to(&envelope);
                let content = Received::new(pieces);
                let message = EventKind::Message { envelope, content };
                self.ask_of(body.shared_id(), info, message, owed).await
            }
            // Why is said to the client by the server itself.
            Err(_) => LOCAL_ERROR.into(),
        }
    }

    fn fault(&mut self, info: &SessionInfo, fault: Error) -> impl Future<Output = ()> + Send {
        // While nobody takes events this session does not wait for it, and what it would tell is told by those that are there already.
        if self.queue.has_room(&self.post) {
            self.tell(info, EventKind::Fault(fault));
        }
        ready(())
    }

    fn reset(&mut self, info: &SessionInfo) -> impl Future<Output = ()> + Send {
        self.tell_and_wait(info, EventKind::Reset)
    }

    fn verify(&mut self, info: &SessionInfo, name: &str) -> impl Future<Output = Answer> + Send {
        self.ask(info, EventKind::Verify(name.to_owned()))
    }

    fn expand(&mut self, info: &SessionInfo, name: &str) -> impl Future<Output = Answer> + Send {
        self.ask(info, EventKind::Expand(name.to_owned()))
    }

    fn help(&mut self, info: &SessionInfo, topic: &str) -> impl Future<Output = Answer> + Send {
        self.ask(info, EventKind::Help(topic.to_owned()))
    }

    fn etrn(&mut self, info: &SessionInfo, node: &str) -> impl Future<Output = Answer> + Send {
        self.ask(info, EventKind::Etrn(node.to_owned()))
    }

    fn unknown(
        &mut self,
        info: &SessionInfo,
        verb: &str,
        argument: &str,
    ) -> impl Future<Output = Answer> + Send {
        let kind = EventKind::Unknown {
            verb: verb.to_owned(),
            argument: argument.to_owned(),
        };
        self.ask(info, kind)
    }

    fn quit(&mut self, info: &SessionInfo) -> impl Future<Output = ()> + Send {
        self.tell_and_wait(info, EventKind::Quit)
    }

    async fn disconnect(&mut self, info: &SessionInfo, _: Option<&Error>) {
        self.tell_in_time(info, EventKind::Disconnect).await;
        self.untold = None;
    }
}

// A session that waits for its application, or for its client to read, is ended in the middle when the server stops.
impl Drop for QueueSession {
    fn drop(&mut self) {
        if let Some(info) = self.untold.take() {
            self.tell(&info, EventKind::Disconnect);
        }
    }
}
