//! What happens in a server's sessions, and how the application answers it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::post::Post;
use super::queue::Queue;
use super::received::Received;
use crate::error::{Error, Status};
use crate::net::ForkGuard;
use crate::proto::server::{OF_MOST, OF_RCPT, is_strange};
use crate::proto::{Envelope, MailParameters, Recipient, Reply, ReversePath};
use crate::sasl::{Credentials, Found, Lookup};
use crate::server::{
    AUTH_FAULT, Answer, Answers, BAD_CREDENTIALS, LOCAL_ERROR, NODE_NOT_ALLOWED, NOT_IMPLEMENTED,
    SessionInfo, UNKNOWN,
};

/// Something that happened in a session.
///
/// One that owes answers is to be answered, by [`accept`](Self::accept), [`reply`](Self::reply) or
/// [`reply_at`](Self::reply_at), in any thread. Dropped before that, what is open is answered 451 4.3.0, AUTH 454 4.7.0,
/// and a connection 421.
pub struct Event {
    kind: EventKind,
    session: SessionInfo,
    /// `None` for an event that only informs.
    ticket: Option<Ticket>,
    /// Of a piece of a message: how to refuse that message.
    refusal: Option<Arc<Refusal>>,
    /// That of the message.
    id: Option<Arc<str>>,
    guard: ForkGuard,
}

/// What an [`Event`] is about.
#[derive(Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A client has connected. Accepting greets it; a 421 or 554 turns it away.
    Connect,
    /// EHLO, HELO or LHLO.
    Hello {
        /// What the client calls itself. Nobody has verified it.
        name: String,
    },
    /// AUTH, of a user who is not in the server's own table. A refusal should be 535 5.7.8, or 454 4.7.0 if it cannot be judged now.
    Auth(Credentials),
    /// What is kept of a user who is not in the server's own table, for SCRAM or CRAM-MD5. [`supply`](Event::supply) answers it;
    /// accepting it without that says that there is no such user. A refusal should be 454 4.7.0.
    Lookup(Lookup),
    /// MAIL.
    Mail {
        /// Where notices of failure go.
        reverse_path: ReversePath,
        /// The parameters.
        parameters: MailParameters,
    },
    /// RCPT: one recipient, or several that came in one go. Owes an answer for each, in this order.
    Recipients(Vec<Recipient>),
    /// A whole message. Accepting it means to be responsible for it. With LMTP it owes an answer for each recipient of the
    /// envelope, else one.
    Message {
        /// Sender and accepted recipients.
        envelope: Envelope,
        /// The octets.
        content: Received,
    },
    /// A message begins, with [`Options::set_stream`](crate::server::Options::set_stream). Accepting has the client send it.
    Body {
        /// Sender and accepted recipients.
        envelope: Envelope,
    },
    /// A piece of that message; informs. Once 256 KiB of a session are held, with 768 octets more for each piece, no more is read until
    /// pieces were dropped.
    ///
    /// [`reply`](Event::reply) with a 4yz or 5yz refuses the message in the middle: of what the client still sends nothing is kept,
    /// [`Discarded`](Self::Discarded) comes behind the last piece at once, also while the client sends nothing, and the reply is given
    /// at the end of data. Where the whole message has come already, [`EndOfData`](Self::EndOfData) comes all the same, and the refusal
    /// counts whatever that is answered.
    Chunk(Bytes),
    /// The end of that message. Owes what [`Message`](Self::Message) does.
    EndOfData {
        /// Sender and accepted recipients.
        envelope: Envelope,
        /// The octets of all pieces.
        size: u64,
    },
    /// That message will not come whole: it was refused at one of its pieces, the connection is gone, it is too big or has a bare CR
    /// or LF, the client gave it up between two chunks of BDAT, or the end of the server cuts it off. What came of it is to be dropped;
    /// informs.
    Discarded,
    /// The transaction was given up, by RSET or another EHLO; informs. RSET where there is none, as behind a message that was
    /// answered, is not told. The session goes on once this was dropped.
    Reset,
    /// VRFY. Accepting is 252.
    Verify(String),
    /// EXPN. Accepting is 252.
    Expand(String),
    /// HELP with its argument, perhaps empty. Accepting is 214.
    Help(String),
    /// ETRN with the node whose queue is to be started, `@` or `#` in front where it was so given. Accepting is 250.
    Etrn(String),
    /// A command that this library does not know, or a verb that was added. Accepting is 250.
    Unknown {
        /// The first word.
        verb: String,
        /// What follows it.
        argument: String,
    },
    /// QUIT; informs. The session goes on once this was dropped.
    Quit,
    /// A message was not taken for a fault that is not the client's, as where the server's destination cannot write its file or reach
    /// the next server; informs. It says what was attempted, where, and what to try; the client was told nothing of it. It comes once for
    /// each message while the fault lasts, but not while 4,096 events wait: nobody waits for those who are told, nor is it kept for
    /// them. The session goes on meanwhile. The numbers of
    /// [`Server::statistics`](super::Server::statistics) count every one.
    Fault(Error),
    /// The connection is gone; informs. It comes too where the end of the server cuts off a session that waits for an answer.
    Disconnect,
}

impl EventKind {
    /// What an application says that refuses this and gives no reason; the same in every language. `None` for what only informs.
    ///
    /// A connection is refused by 554 5.7.1 (RFC 5321 section 3.1), a login by 535 5.7.8, HELP by 502 5.5.1, ETRN by 459 4.7.1 (RFC 1985
    /// section 5.3), a command that is not known by 500 5.5.1, a message by 554 5.7.1, EHLO and MAIL by 550 5.7.1, and what there is not,
    /// a recipient or a name in VRFY and EXPN, by 550 5.1.1. A look-up is refused for now, by 454 4.7.0: anything else would tell who
    /// there is.
    pub fn refusal(&self) -> Option<Reply> {
        let because = |code, enhanced, text| Some(Reply::fixed(code, Some(enhanced), text));
        match self {
            Self::Connect => because(554, (5, 7, 1), "No service for you here"),
            Self::Hello { .. } => because(550, (5, 7, 1), "Not accepted from you"),
            Self::Auth(_) => Some(BAD_CREDENTIALS),
            Self::Lookup(_) => Some(AUTH_FAULT),
            Self::Mail { .. } => because(550, (5, 7, 1), "Sender refused"),
            Self::Recipients(_) => because(550, (5, 1, 1), "No such recipient here"),
            Self::Message { .. } | Self::Body { .. } | Self::Chunk(_) | Self::EndOfData { .. } => {
                because(554, (5, 7, 1), "Message refused")
            }
            Self::Verify(_) | Self::Expand(_) => because(550, (5, 1, 1), "No such name here"),
            Self::Help(_) => Some(NOT_IMPLEMENTED),
            Self::Etrn(_) => Some(NODE_NOT_ALLOWED),
            Self::Unknown { .. } => Some(UNKNOWN),
            Self::Discarded | Self::Reset | Self::Quit | Self::Fault(_) | Self::Disconnect => None,
        }
    }
}

/// Whether a message that still comes was refused, and how.
#[derive(Default)]
pub(super) struct Refusal {
    /// `None` once it is too late to refuse.
    reply: OnceLock<Option<Reply>>,
    given: Notify,
}

impl Refusal {
    pub(super) fn reply(&self) -> Option<&Reply> {
        self.reply.get()?.as_ref()
    }

    /// The message is over: from now on nothing refuses it. Gives the reply if something did.
    pub(super) fn end(&self) -> Option<&Reply> {
        self.reply.get_or_init(|| None).as_ref()
    }

    /// Is done when the message was refused.
    pub(super) async fn given(&self) {
        self.given.notified().await;
    }

    fn refuse(&self, reply: Reply) -> Result<(), Error> {
        if reply.is_positive() || reply.is_intermediate() {
            let text = format!("{} cannot refuse a message", reply.code());
            return Err(Error::new(Status::Misuse, text));
        }
        self.reply.set(Some(reply)).map_err(|_| nothing_owed())?;
        self.given.notify_one();
        Ok(())
    }
}

/// Holds what was found of a user until the session takes it.
pub(super) type FoundSlot = Arc<Mutex<Option<Found>>>;

/// What an event owes, and to whom.
struct Ticket {
    /// How many answers it owes in all.
    owed: usize,
    /// Those that were given one by one; empty as long as none was.
    answers: Vec<Option<Answer>>,
    open: usize,
    sender: oneshot::Sender<Answers>,
    post: Arc<Post>,
    /// Where what was found of a user goes.
    found: Option<FoundSlot>,
    /// Set once the application has it: the queue does not end before it is answered.
    queue: Option<Arc<Queue>>,
}

impl Event {
    /// One that only informs.
    pub(super) fn informing(kind: EventKind, session: SessionInfo, guard: ForkGuard) -> Self {
        Self {
            kind,
            session,
            ticket: None,
            refusal: None,
            id: None,
            guard,
        }
    }

    /// A piece of a message, at which it can be refused.
    pub(super) fn piece(
        octets: Bytes,
        session: SessionInfo,
        guard: ForkGuard,
        refusal: Arc<Refusal>,
    ) -> Self {
        let mut piece = Self::informing(EventKind::Chunk(octets), session, guard);
        piece.refusal = Some(refusal);
        piece
    }

    /// One that owes `owed` answers; the other end gets them.
    pub(super) fn owing(
        kind: EventKind,
        session: SessionInfo,
        guard: ForkGuard,
        owed: usize,
        post: Arc<Post>,
        found: Option<FoundSlot>,
    ) -> (Self, oneshot::Receiver<Answers>) {
        let (sender, receiver) = oneshot::channel();
        let ticket = Ticket {
            owed,
            answers: Vec::new(),
            open: owed,
            sender,
            post,
            found,
            queue: None,
        };
        let event = Self {
            kind,
            session,
            ticket: Some(ticket),
            refusal: None,
            id: None,
            guard,
        };
        (event, receiver)
    }

    /// The same, of a message that has this id.
    pub(super) fn of(mut self, id: Option<Arc<str>>) -> Self {
        self.id = id;
        self
    }

    /// What happened.
    pub fn kind(&self) -> &EventKind {
        &self.kind
    }

    /// The session that it happened in, as it was then.
    pub fn session(&self) -> &SessionInfo {
        &self.session
    }

    /// The id of the message that this is about, from its beginning to its end, as it stands in its `Received` field and in the usual
    /// reply, `queued as`: 32 hexadecimal digits. `None` where no field is written (see
    /// [`Options::set_received`](crate::server::Options::set_received)), and for what is about no message.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Answers that are still owed: 0 for an event that only informs.
    pub fn owed(&self) -> usize {
        self.ticket.as_ref().map_or(0, |ticket| ticket.open)
    }

    /// Accepts all that is still owed, by the usual positive reply. After a [`Reset`](EventKind::Reset) or
    /// [`Quit`](EventKind::Quit), which owe nothing, the session goes on, as it does where they are dropped.
    ///
    /// This and the other answers fail with [`Status::Misuse`] if nothing is owed any more or the reply cannot stand here (a positive
    /// one is 250, and to RCPT 251 too), [`Status::Closed`] if the answer comes too late, as the session has ended or the client was
    /// told 451 already, and [`Status::Forked`] in the child of a fork. Where it is given in time, that does not say that the client
    /// gets it: one that has hung up meanwhile is noticed when the reply is sent, and will send its message again.
    pub fn accept(&mut self) -> Result<(), Error> {
        self.answer_all(Answer::Accept)
    }

    /// Refuses all that is still owed, or the message of a [`Chunk`](EventKind::Chunk), by the usual reply:
    /// [`EventKind::refusal`]. Fails as [`accept`](Self::accept) does.
    pub fn reject(&mut self) -> Result<(), Error> {
        let refusal = self.kind.refusal().ok_or_else(nothing_owed)?;
        self.reply(refusal)
    }

    /// Answers all that is still owed with this reply, positive or not. A [`Chunk`](EventKind::Chunk) owes nothing, but one that is 4yz
    /// or 5yz refuses its message; the first such reply counts.
    pub fn reply(&mut self, reply: Reply) -> Result<(), Error> {
        if let Some(refusal) = &self.refusal {
            self.guard.check()?;
            return refusal.refuse(reply);
        }
        let answer = checked(reply, &self.kind)?;
        self.answer_all(answer)
    }

    /// Whether [`reply`](Self::reply) can refuse here although nothing is owed: a piece of a message.
    pub fn can_refuse(&self) -> bool {
        self.refusal.is_some()
    }

    /// Answers one of several: `None` accepts. Fails with [`Status::InvalidArgument`] if there is no such index, and with
    /// [`Status::Misuse`] if that one was answered already.
    pub fn reply_at(&mut self, index: usize, reply: Option<Reply>) -> Result<(), Error> {
        self.guard.check()?;
        let answer = reply.map_or(Ok(Answer::Accept), |reply| checked(reply, &self.kind))?;
        let ticket = self.ticket.as_mut().ok_or_else(nothing_owed)?;
        if ticket.answers.is_empty() {
            ticket.answers.resize(ticket.owed, None);
        }
        match ticket.answers.get_mut(index) {
            None => {
                let count = ticket.owed;
                return Err(Error::invalid(format!(
                    "index: {index} is not below {count}, the number of answers"
                )));
            }
            Some(Some(_)) => return Err(nothing_owed()),
            Some(open) => *open = Some(answer),
        }
        ticket.open -= 1;
        if ticket.open == 0 {
            // All are there.
            return self.send(Answer::Accept);
        }
        Ok(())
    }

    /// Answers [`EventKind::Lookup`] with what is kept of the user. Fails with [`Status::Misuse`] on any other event.
    pub fn supply(&mut self, found: Found) -> Result<(), Error> {
        self.guard.check()?;
        let ticket = self.ticket.as_ref().ok_or_else(nothing_owed)?;
        let Some(slot) = &ticket.found else {
            return Err(Error::new(Status::Misuse, "nobody is looked up here"));
        };
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        self.accept()
    }

    /// Whether nobody waits for the answer any more: the client is gone, or was told 451 when it had waited long enough. False where
    /// nobody has waited.
    pub fn is_too_late(&self) -> bool {
        self.ticket
            .as_ref()
            .is_some_and(|ticket| ticket.sender.is_closed())
    }

    /// The application has it now.
    pub(super) fn taken_from(&mut self, queue: &Arc<Queue>) -> bool {
        let Some(ticket) = &mut self.ticket else {
            return false;
        };
        ticket.queue = Some(Arc::clone(queue));
        true
    }

    fn answer_all(&mut self, answer: Answer) -> Result<(), Error> {
        self.guard.check()?;
        self.send(answer)
    }

    /// Sends what was answered, and this for the rest.
    fn send(&mut self, rest: Answer) -> Result<(), Error> {
        let ticket = self.ticket.take().ok_or_else(nothing_owed)?;
        if ticket.send(rest) {
            Ok(())
        } else {
            Err(Error::new(
                Status::Closed,
                "the answer comes too late: the client is gone, or was told 451 when it had waited long enough",
            ))
        }
    }
}

impl Ticket {
    /// Sends what was answered, and `rest` for the rest. Tells whether somebody waited for it.
    fn send(self, rest: Answer) -> bool {
        let in_time = !self.sender.is_closed();
        if in_time {
            let answers = if self.answers.is_empty() {
                rest.into()
            } else {
                let answers = self.answers.into_iter();
                let answers = answers.map(|answer| answer.unwrap_or_else(|| rest.clone()));
                answers.collect()
            };
            self.post.answer(self.sender, answers);
        }
        if let Some(queue) = self.queue {
            queue.answered();
        }
        in_time
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // What else it holds wakes nobody in a child (see `server/memory.rs`), and most events are answered when they are dropped.
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        if self.guard.is_child() {
            // To answer would wake threads that are the parent's.
            std::mem::forget(ticket);
        } else {
            ticket.send(Answer::Reply(LOCAL_ERROR));
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("kind", &self.kind)
            .field("session", &self.session)
            .field("owed", &self.owed())
            .finish_non_exhaustive()
    }
}

/// A reply of 3yz would put the client out of step, and so may a positive one that is not of what was asked.
fn checked(reply: Reply, kind: &EventKind) -> Result<Answer, Error> {
    let positive = match kind {
        EventKind::Recipients(_) => Some(OF_RCPT),
        EventKind::Hello { .. }
        | EventKind::Mail { .. }
        | EventKind::Message { .. }
        | EventKind::Body { .. }
        | EventKind::EndOfData { .. } => Some(OF_MOST),
        _ => None,
    };
    let code = reply.code();
    let text = if reply.is_intermediate() {
        format!("{code} is no answer that ends a command")
    } else if positive.is_some_and(|positive| is_strange(&reply, positive)) {
        format!("{code} is no positive answer to what is asked here: 250 is")
    } else {
        return Ok(Answer::Reply(reply));
    };
    Err(Error::new(Status::Misuse, text))
}

fn nothing_owed() -> Error {
    Error::new(
        Status::Misuse,
        "no answer is owed here: it was given, or never asked for",
    )
}
