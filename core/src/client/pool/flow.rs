//! What a call of a pooled client does, written once for both of them: send, send many, ask.

use std::collections::VecDeque;
use std::iter::{Enumerate, Fuse, Peekable, from_fn};
use std::pin::pin;

use super::Pool;
use super::driver::Driver;
use super::pooled::Pooled;
use crate::client::spans::replaced;
use crate::client::transact::{ContentSlot, Left, Report, is_full};
use crate::client::{Connection, Content, Request};
use crate::error::{Error, Phase, Status};
use crate::net::Deadline;
use crate::outcome::{Delivery, Outcome};
use crate::proto::{Envelope, Reply};

/// One call.
pub(crate) struct Flow<'f, D: Driver> {
    pub(crate) pool: &'f Pool<D::Runtime>,
    pub(crate) driver: &'f D,
    pub(crate) ends: Deadline,
}

impl<D: Driver> Flow<'_, D> {
    /// Sends one message. A connection that is kept and turns out to be dead at the first command is replaced; the turn stays.
    pub(crate) async fn send(
        &self,
        envelope: &Envelope,
        content: &mut Content<'_>,
    ) -> Result<Outcome, Error> {
        self.pool.check(self.driver)?;
        let rate = &self.pool.rate;
        rate.acquire(self.driver, self.ends, envelope.recipients().len())
            .await?;
        let turn = self.pool.turn(self.driver, self.ends).await?;
        loop {
            let mut pooled = turn.connection(self.driver, self.ends).await?;
            let reused = pooled.is_reused();
            pooled.count(1);
            let (connection, runtime) = pooled.link()?;
            connection.set_deadline(self.ends);
            let sent = {
                let sending = pin!(connection.send_one(envelope.clone(), content));
                self.driver.drive(runtime, sending).await
            };
            let result = match sent {
                Ok(result) => result,
                Err(cut_short) => {
                    let mut result = None;
                    let rest = report_cut_short(pooled.link()?.0, cut_short, &mut |_, one| {
                        result = Some(one);
                    });
                    return result.unwrap_or_else(|| Err(rest.unwrap_or_else(no_connection)));
                }
            };
            match result {
                Err(error) if reused && content.is_untouched() && was_stale(&error) => {
                    replaced(&error);
                }
                Err(error) if reused && is_full(&error) => {
                    replaced(&error);
                    turn.retire(self.driver, self.ends, pooled).await;
                }
                result => {
                    turn.end(self.driver, self.ends, pooled).await;
                    return result;
                }
            }
        }
    }

    /// Sends many messages, over one connection at a time: as many over each as its limits and the rate allow at once.
    pub(crate) async fn send_many<'a>(
        &self,
        messages: impl IntoIterator<Item = (Envelope, Content<'a>), IntoIter: Send>,
        mut each: impl FnMut(usize, Result<Outcome, Error>) + Send,
    ) -> Result<(), Error> {
        self.pool.check(self.driver)?;
        let mut messages = messages.into_iter().enumerate().fuse().peekable();
        // Taken from `messages`, and to go out over another connection. The rate counts them once.
        let mut again: VecDeque<Numbered<'a>> = VecDeque::new();
        loop {
            let Some((_, (envelope, _))) = messages.peek() else {
                return Ok(());
            };
            let recipients = envelope.recipients().len();
            let rate = &self.pool.rate;
            rate.acquire(self.driver, self.ends, recipients).await?;
            again.extend(messages.next());
            let turn = self.pool.turn(self.driver, self.ends).await?;
            while !again.is_empty() {
                let mut pooled = turn.connection(self.driver, self.ends).await?;
                let batch = self.batch(&mut pooled, &mut again, &mut messages, &mut each);
                match batch.await {
                    Batch::Over if again.is_empty() => {
                        turn.end(self.driver, self.ends, pooled).await;
                        break;
                    }
                    // It has no room for those that are left, or it is dead.
                    Batch::Over => turn.retire(self.driver, self.ends, pooled).await,
                    Batch::CutShort(error) => return error.map_or(Ok(()), Err),
                }
            }
        }
    }

    /// Sends over one connection what is to go out again, and what may leave behind it. What turns out to be lost with a connection
    /// that was dead is to go out again afterwards.
    async fn batch<'a, I: Iterator<Item = (Envelope, Content<'a>)> + Send>(
        &self,
        pooled: &mut Pooled<D::Runtime>,
        again: &mut VecDeque<Numbered<'a>>,
        messages: &mut Peekable<Fuse<Enumerate<I>>>,
        each: &mut (impl FnMut(usize, Result<Outcome, Error>) + Send),
    ) -> Batch {
        let reused = pooled.is_reused();
        let room = pooled.room(&self.pool.options.pool);
        let first: Vec<usize> = again.iter().map(|(number, _)| *number).collect();
        let behind = messages.peek().map_or(0, |(number, _)| *number);
        let number = |index: usize| match first.get(index) {
            Some(number) => *number,
            None => behind + index - first.len(),
        };
        let (mut tried, mut alive, mut stale) = (0, false, false);
        // Failures that are not told, as the message goes out again.
        let mut untold = Vec::new();
        let mut report = |index: usize, result: Result<Outcome, Error>| {
            tried = tried.max(index + 1);
            match result {
                // It goes out again, and so do those that were begun behind it and have not left whole.
                Err(error)
                    if (stale && !may_be_out(&error))
                        || (reused && !alive && was_stale(&error)) =>
                {
                    stale = true;
                    replaced(&error);
                    untold.push((number(index), error));
                }
                result => {
                    alive |= result
                        .as_ref()
                        .map_or_else(|e| e.outcome().is_some(), |_| true);
                    each(number(index), result);
                }
            }
        };
        let rate = &self.pool.rate;
        let allowed = from_fn(|| {
            messages.next_if(|(_, (envelope, _))| rate.try_acquire(envelope.recipients().len()))
        });
        // A server that has room for none at all is told of the first message, which fails.
        let room = usize::try_from(room.max(1)).unwrap_or(usize::MAX);
        let (connection, runtime) = match pooled.link() {
            Ok(link) => link,
            Err(error) => return Batch::CutShort(Some(error)),
        };
        let limits = connection.capabilities().session_limits();
        let may_come_back = reused || limits.recipient_domains.is_some();
        let mut batch = from_fn(|| again.pop_front())
            .chain(allowed)
            .take(room)
            .map(|message| Kept::new(message, may_come_back));
        connection.set_deadline(self.ends);
        let left = {
            let driving = pin!(connection.drive(&mut batch, &mut report));
            self.driver.drive(runtime, driving).await
        };
        let Left { lost, back } = match left {
            Ok(left) => left,
            Err(cut_short) => {
                return Batch::CutShort(report_cut_short(connection, cut_short, &mut report));
            }
        };
        pooled.count(u32::try_from(tried).unwrap_or(u32::MAX));
        again.extend(back.and_then(Kept::again));
        for kept in lost.into_iter().rev() {
            if let Some(at) = untold.iter().position(|(number, _)| *number == kept.number)
                && let Some(message) = kept.again()
            {
                untold.swap_remove(at);
                again.push_front(message);
            }
        }
        for (number, error) in untold {
            each(number, Err(error));
        }
        Batch::Over
    }

    /// Sends a command and gives the reply. A connection that is kept and turns out to be dead is replaced, but for a command that the
    /// server may have heard and that is not the same when it hears it twice.
    pub(crate) async fn ask(&self, request: Request<'_>) -> Result<Reply, Error> {
        self.pool.check(self.driver)?;
        let turn = self.pool.turn(self.driver, self.ends).await?;
        loop {
            let mut pooled = turn.connection(self.driver, self.ends).await?;
            let repeatable = pooled.is_reused() && request.may_be_repeated();
            let (connection, runtime) = pooled.link()?;
            connection.set_deadline(self.ends);
            let asked = {
                let asking = pin!(connection.ask_now(request));
                self.driver.drive(runtime, asking).await
            };
            match asked {
                Ok(Err(error)) if repeatable && was_stale(&error) => replaced(&error),
                Ok(result) => {
                    turn.end(self.driver, self.ends, pooled).await;
                    return result;
                }
                Err(cut_short) => return Err(connection.fail(cut_short.at(Phase::Command))),
            }
        }
    }
}

/// What became of a batch.
enum Batch {
    /// Every message of it has its result, or goes out again.
    Over,
    /// The call was cut short: the error if no message has it.
    CutShort(Option<Error>),
}

/// A message of many and its number in the caller's order.
type Numbered<'a> = (usize, (Envelope, Content<'a>));

/// A message of many, and what is needed to send it over another connection. One that is lost at the first command of a kept
/// connection has not been read from.
struct Kept<'a> {
    number: usize,
    /// There if the message may have to go out over another connection.
    envelope: Option<Envelope>,
    content: Content<'a>,
}

impl<'a> Kept<'a> {
    fn new((number, (envelope, content)): Numbered<'a>, again: bool) -> (Envelope, Self) {
        let kept = again.then(|| envelope.clone());
        (
            envelope,
            Self {
                number,
                envelope: kept,
                content,
            },
        )
    }

    fn again(self) -> Option<Numbered<'a>> {
        Some((self.number, (self.envelope?, self.content)))
    }
}

impl<'a> ContentSlot<'a> for Kept<'a> {
    fn get(&mut self) -> &mut Content<'a> {
        &mut self.content
    }

    fn view(&self) -> &Content<'a> {
        &self.content
    }

    fn may_come_back(&self) -> bool {
        self.envelope.is_some()
    }
}

/// A call was cut short: every message that was under way gets its result. Gives the error back if there was none.
fn report_cut_short(
    connection: &mut Connection,
    error: Error,
    each: &mut Report<'_>,
) -> Option<Error> {
    let phase = connection.phase();
    connection.report_lost(error.at(phase), each)
}

fn no_connection() -> Error {
    Error::new(Status::Internal, "a message was neither sent nor refused")
}

/// Whether the message may have been accepted, so that it must not go out again by itself.
fn may_be_out(error: &Error) -> bool {
    error
        .outcome()
        .is_some_and(|outcome| outcome.delivery() == Delivery::Unknown)
}

/// Whether a kept connection failed at the first command that was sent over it: MAIL, or the RSET before it. What is lost
/// or told by 421 later is no longer about an idle connection, and is the caller's to know.
fn was_stale(error: &Error) -> bool {
    let broke = matches!(error.status(), Status::ConnectionLost | Status::Io);
    let closing = error.reply().is_some_and(|reply| reply.code() == 421);
    let at_once = matches!(error.phase(), Some(Phase::Mail | Phase::Command));
    let undecided = error.outcome().is_none_or(|outcome| {
        outcome
            .recipients()
            .iter()
            .all(|r| matches!(r.delivery(), Delivery::NotTried | Delivery::Deferred))
    });
    (broke || closing) && at_once && undecided
}
