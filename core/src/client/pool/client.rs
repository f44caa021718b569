//! The async client: a pool of connections that any number of tasks send through.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::driver::{Callers, Tasks, poll_once};
use super::{Flow, GOODBYE, Pool};
use crate::client::{Content, Options, Request};
use crate::error::Error;
use crate::net::Deadline;
use crate::outcome::Outcome;
use crate::proto::{Envelope, Reply};

/// A client that keeps its connections. Clones are the same client: share them between tasks. Each call borrows a connection, a kept
/// one or a new one, and drives it itself; nothing runs behind it. It is for one tokio runtime, that of its first call: connections
/// live on the runtime that opened them.
///
/// At most [`max_connections`](Options::set_max_connections) are open at a time. Calls that find all of them busy wait, first come,
/// first served. A connection that the server closed while it was kept, or that is dead at the first command, is replaced without
/// the caller seeing it. Nothing that may have been accepted is sent again.
///
/// **Dropping a future** of a call that waits gives its place to the next one, and nothing was sent. Dropping one that is sending
/// closes its connection, and what became of the message is then not known: it may have been accepted. To learn it, let the call end
/// by a [`deadline`](Options::set_deadline) instead, whose error says it for each recipient.
///
/// Dropping the last clone closes the kept connections, with a QUIT for which no reply is waited. [`close`](Self::close) waits.
///
/// ```no_run
/// use mailwire::client::{Client, Content, Options};
/// use mailwire::proto::Envelope;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(Options::from_url("smtp://user:secret@mail.example.org")?)?;
/// let envelope = Envelope::parse("me@example.org", ["you@example.net"])?;
/// let outcome = client.send(&envelope, Content::bytes(b"Subject: hello\n\nHello.\n")).await?;
/// println!("{:?}", outcome.delivery());
/// client.close(None).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    pool: Pool<Callers>,
}

impl Client {
    /// A client with these options, which are checked as a whole. Nothing is connected before the first call that needs it.
    pub fn new(options: Options) -> Result<Self, Error> {
        options.check()?;
        Ok(Self {
            shared: Arc::new(Shared {
                pool: Pool::new(options),
            }),
        })
    }

    /// Sends one message. What became of it is in the outcome, and on failure in [`Error::outcome`].
    ///
    /// A kept connection that turns out to be dead at the first command is replaced by another without the caller seeing it.
    /// Nothing that may have been accepted is sent again. Waiting for a connection ends at the deadline with
    /// [`Status::Timeout`](crate::Status::Timeout) in [`Phase::Pool`](crate::Phase::Pool), and nothing was sent then.
    ///
    /// Dropping the future while it waits for a connection sends nothing; later, what became of the message is not known.
    pub async fn send(
        &self,
        envelope: &Envelope,
        mut content: Content<'_>,
    ) -> Result<Outcome, Error> {
        self.flow().send(envelope, &mut content).await
    }

    /// Sends many messages over one connection at a time, and calls `each` with index and result of every one. Where
    /// the server allows it, the envelope of a message leaves with the last bytes of the one before it. Fails as a whole only
    /// if there is no connection to be had, or no room in the rate limit before the deadline; the messages behind that point were not
    /// tried and are not reported. A message that cannot be sent at all, as it is too large, may be reported before those that are
    /// on their way. A kept connection that turns out to be dead is replaced as by [`send`](Self::send).
    ///
    /// Dropping the future leaves unknown what became of the messages that were taken from `messages` and not reported.
    pub async fn send_many<'a>(
        &self,
        messages: impl IntoIterator<Item = (Envelope, Content<'a>), IntoIter: Send>,
        each: impl FnMut(usize, Result<Outcome, Error>) + Send,
    ) -> Result<(), Error> {
        self.flow().send_many(messages, each).await
    }

    /// Sends a command over a connection and gives the reply to it, whatever that says: see [`Request`] and
    /// [`Connection::ask`](super::super::Connection::ask). A kept connection that turns out to be dead is replaced by another, but for
    /// a command of the caller's own, which the server may have heard.
    ///
    /// Dropping the future closes the connection; whether the server has heard the command is then not known.
    pub async fn ask(&self, request: Request<'_>) -> Result<Reply, Error> {
        self.flow().ask(request).await
    }

    /// Refuses calls from now on, those that wait for a connection too: they fail with [`Status::Closed`](crate::Status::Closed). Says
    /// goodbye on the kept connections, for which the server has 2 s in all, and waits for the calls under way: for so long at most,
    /// and not at all with `None`. Each of them says goodbye itself when it ends. A goodbye that fails is not reported. Gives whether
    /// all calls have ended.
    ///
    /// Dropping the future leaves the client closed; connections that had not said goodbye are closed without.
    pub async fn close(&self, limit: Option<Duration>) -> bool {
        let ends = limit.map(|limit| Deadline::after(Some(limit)));
        let closing = self.shared.pool.close(&Tasks, GOODBYE, ends);
        closing.await.unwrap_or(false)
    }

    fn flow(&self) -> Flow<'_, Tasks> {
        let pool = &self.shared.pool;
        Flow {
            pool,
            driver: &Tasks,
            ends: Deadline::after(pool.options().deadline()),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A clock is needed even to wait for nothing.
        if tokio::runtime::Handle::try_current().is_ok() {
            let closing = self.pool.close(&Tasks, Duration::ZERO, None);
            let _ = poll_once(pin!(tokio::task::unconstrained(closing)));
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("options", self.shared.pool.options())
            .finish_non_exhaustive()
    }
}
