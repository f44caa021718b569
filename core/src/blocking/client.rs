//! The blocking client: a pool of connections that any number of threads send through.

use std::collections::VecDeque;
use std::fmt;

use super::call::Call;
use super::pool::{Borrowed, Pool};
use crate::client::{Connection, Content, ContentSlot, Options, Request};
use crate::error::{Error, Phase, Status};
use crate::net::Deadline;
use crate::outcome::{Delivery, Outcome};
use crate::proto::client::NotNow;
use crate::proto::{Envelope, Reply};

/// A client that keeps its connections. Share it between threads; each call borrows a connection and drives it on its own
/// thread. No thread runs behind it, but for a short one while a host name is looked up.
///
/// ```no_run
/// use mailwire::blocking::{Call, Client};
/// use mailwire::client::{Content, Options};
/// use mailwire::proto::Envelope;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Options::from_url("smtp://user:secret@mail.example.org")?)?;
/// let envelope = Envelope::parse("me@example.org", ["you@example.net"])?;
/// let outcome = client.send(&envelope, Content::bytes(b"Subject: hello\n\nHello.\n"), Call::default())?;
/// println!("{:?}", outcome.delivery());
/// # Ok(())
/// # }
/// ```
pub struct Client {
    pool: Pool,
}

impl Client {
    /// A client with these options, which are checked as a whole. Nothing is connected before the first call that needs it.
    pub fn new(options: Options) -> Result<Self, Error> {
        options.check()?;
        Ok(Self {
            pool: Pool::new(options),
        })
    }

    /// Sends one message. What became of it is in the outcome, and on failure in [`Error::outcome`].
    ///
    /// A kept connection that turns out to be dead at the first command is replaced by another without the caller seeing it.
    /// Nothing that may have been accepted is sent again.
    pub fn send(
        &self,
        envelope: &Envelope,
        mut content: Content<'_>,
        call: Call<'_>,
    ) -> Result<Outcome, Error> {
        let ends = self.begin(&call)?;
        loop {
            let mut borrowed = self.pool.borrow(&call, ends)?;
            let reused = borrowed.is_reused();
            borrowed.count(1);
            let sending = async |connection: &mut Connection| {
                connection.send_one(envelope.clone(), &mut content).await
            };
            let result = match borrowed.run(&call, ends, sending) {
                Ok(result) => result,
                Err(cut_short) => {
                    let mut result = None;
                    let rest = report_cut_short(&mut borrowed, cut_short, &mut |_, one| {
                        result = Some(one);
                    });
                    return result.unwrap_or_else(|| Err(rest.unwrap_or_else(no_connection)));
                }
            };
            match result {
                Err(error) if reused && content.is_untouched() && was_stale(&error) => {}
                Err(error) if reused && is_full(&error) => borrowed.retire(),
                result => return result,
            }
        }
    }

    /// Sends many messages over one connection at a time, and calls `each` with index and result of every one. Where
    /// the server allows it, the envelope of a message leaves with the last bytes of the one before it. Fails as a whole only
    /// if there is no connection to be had; the messages behind that point were not tried and are not reported. A message that
    /// cannot be sent at all, as it is too large, may be reported before those that are on their way. A kept connection that
    /// turns out to be dead is replaced as by [`Client::send`].
    pub fn send_many<'a>(
        &self,
        messages: impl IntoIterator<Item = (Envelope, Content<'a>), IntoIter: Send>,
        call: Call<'_>,
        mut each: impl FnMut(usize, Result<Outcome, Error>) + Send,
    ) -> Result<(), Error> {
        let ends = self.begin(&call)?;
        let mut messages = messages.into_iter().enumerate().fuse().peekable();
        // Taken from `messages`, and to go out over another connection.
        let mut again: VecDeque<(usize, (Envelope, Content<'a>))> = VecDeque::new();
        while !again.is_empty() || messages.peek().is_some() {
            let mut borrowed: Borrowed<'_> = self.pool.borrow(&call, ends)?;
            let reused = borrowed.is_reused();
            let limit = usize::try_from(borrowed.room()).unwrap_or(usize::MAX);
            let first: Vec<usize> = again.iter().map(|(number, _)| *number).collect();
            let behind = messages.peek().map_or(0, |(number, _)| *number);
            let number = |index: usize| match first.get(index) {
                Some(number) => *number,
                None => behind + index - first.len(),
            };
            let (mut tried, mut alive, mut stale) = (0, false, false);
            let mut told = Vec::new();
            let mut report = |index: usize, result: Result<Outcome, Error>| {
                tried = tried.max(index + 1);
                match result {
                    // It goes out again, and so do those that were begun behind it and have not left whole.
                    Err(error)
                        if (stale && !may_be_out(&error))
                            || (reused && !alive && was_stale(&error)) =>
                    {
                        stale = true;
                    }
                    result => {
                        alive |= result
                            .as_ref()
                            .map_or_else(|e| e.outcome().is_some(), |_| true);
                        if stale {
                            told.push(number(index));
                        }
                        each(number(index), result);
                    }
                }
            };
            let waiting = std::iter::from_fn(|| again.pop_front());
            let mut batch = waiting.chain(messages.by_ref()).take(limit).map(
                |(number, (envelope, content))| {
                    let kept = reused.then(|| envelope.clone());
                    (
                        envelope,
                        Kept {
                            number,
                            envelope: kept,
                            content,
                        },
                    )
                },
            );
            let sending =
                async |connection: &mut Connection| connection.drive(&mut batch, &mut report).await;
            let lost = match borrowed.run(&call, ends, sending) {
                Ok(lost) => lost,
                Err(cut_short) => {
                    return report_cut_short(&mut borrowed, cut_short, &mut report)
                        .map_or(Ok(()), Err);
                }
            };
            borrowed.count(u32::try_from(tried).unwrap_or(u32::MAX));
            if stale {
                let untold = lost.into_iter().filter(|kept| !told.contains(&kept.number));
                for message in untold.rev().filter_map(Kept::again) {
                    again.push_front(message);
                }
            }
        }
        Ok(())
    }

    /// Sends a command over a connection and gives the reply to it, whatever that says: see [`Request`] and [`Connection::ask`]. A
    /// kept connection that turns out to be dead is replaced by another, but for a command of the caller's own, which the server may
    /// have heard.
    pub fn ask(&self, request: Request<'_>, call: Call<'_>) -> Result<Reply, Error> {
        let ends = self.begin(&call)?;
        loop {
            let mut borrowed = self.pool.borrow(&call, ends)?;
            let repeatable = borrowed.is_reused() && request.may_be_repeated();
            let asking = async |connection: &mut Connection| connection.ask_now(request).await;
            match borrowed.run(&call, ends, asking) {
                Ok(Err(error)) if repeatable && was_stale(&error) => {}
                Ok(result) => return result,
                Err(cut_short) => {
                    return Err(match borrowed.connection() {
                        Some(connection) => connection.fail(cut_short.at(Phase::Command)),
                        None => cut_short,
                    });
                }
            }
        }
    }

    /// Says goodbye on idle connections. Calls under way end as they would; later ones fail with [`Status::Closed`].
    pub fn close(&self) {
        self.close_by(Call::default());
    }

    /// The same, for as long as `call` lets it; what could not say goodbye by then is closed without.
    pub fn close_by(&self, call: Call<'_>) {
        self.pool.close(&call);
    }

    /// What every call begins with: may it run here, and when must it end?
    fn begin(&self, call: &Call<'_>) -> Result<Deadline, Error> {
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(Error::new(
                Status::Misuse,
                "the blocking client was called inside an async runtime, which it would block: use mailwire::client there",
            ));
        }
        Ok(call.ends(self.pool.options().deadline()))
    }
}

/// Whether the message may have been accepted, so that it must not go out again by itself.
fn may_be_out(error: &Error) -> bool {
    error
        .outcome()
        .is_some_and(|outcome| outcome.delivery() == Delivery::Unknown)
}

/// A message of many, and what is needed to send it over another connection. One that is lost at the first command of a kept
/// connection has not been read from.
struct Kept<'a> {
    number: usize,
    /// There if the connection was a kept one.
    envelope: Option<Envelope>,
    content: Content<'a>,
}

impl<'a> Kept<'a> {
    fn again(self) -> Option<(usize, (Envelope, Content<'a>))> {
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
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("options", self.pool.options())
            .finish_non_exhaustive()
    }
}

/// A call was cut short: every message that was under way gets its result. Gives the error back if there was none.
fn report_cut_short(
    borrowed: &mut Borrowed<'_>,
    error: Error,
    each: &mut (dyn FnMut(usize, Result<Outcome, Error>) + Send),
) -> Option<Error> {
    match borrowed.connection() {
        Some(connection) => {
            let phase = connection.phase();
            connection.report_lost(error.at(phase), each)
        }
        None => Some(error),
    }
}

fn no_connection() -> Error {
    Error::new(Status::Internal, "a message was neither sent nor refused")
}

/// Whether the session on a kept connection has come to a limit that the server set (RFC 9422). A new one has not.
fn is_full(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let reason = source.and_then(|source| source.downcast_ref());
    matches!(reason, Some(NotNow::Limit("MAILMAX" | "RCPTDOMAINMAX")))
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
