//! The blocking client: a pool of connections that any number of threads send through.

use std::fmt;

use tokio::runtime::Runtime;

use super::call::Call;
use super::driver::{here, refuse_to_block};
use crate::client::{Content, Flow, GOODBYE, Options, Pool, Request};
use crate::error::Error;
use crate::net::Deadline;
use crate::outcome::Outcome;
use crate::proto::{Envelope, Reply};

/// A client that keeps its connections. Share it between threads; each call borrows a connection and drives it on its own
/// thread. No thread runs behind it, but for a short one while a host name is looked up.
///
/// At most [`max_connections`](Options::set_max_connections) are open at a time. Calls that find all of them busy wait, first come,
/// first served. Dropping a client says goodbye on the connections that it keeps.
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
    pool: Pool<Runtime>,
}

impl Client {
    /// A client with these options, which are checked as a whole. Nothing is connected before the first call that needs it.
    pub fn new(mut options: Options) -> Result<Self, Error> {
        options.check()?;
        options.one_thread = true;
        Ok(Self {
            pool: Pool::new(options),
        })
    }

    /// Sends one message. What became of it is in the outcome, and on failure in [`Error::outcome`].
    ///
    /// A kept connection that turns out to be dead at the first command is replaced by another without the caller seeing it.
    /// Nothing that may have been accepted is sent again. Waiting for a connection ends at the deadline with
    /// [`Status::Timeout`](crate::Status::Timeout) in [`Phase::Pool`](crate::Phase::Pool), and nothing was sent then.
    pub fn send(
        &self,
        envelope: &Envelope,
        mut content: Content<'_>,
        call: Call<'_>,
    ) -> Result<Outcome, Error> {
        let flow = self.begin(&call)?;
        here(flow.send(envelope, &mut content))
    }

    /// Sends many messages over one connection at a time, and calls `each` with index and result of every one. Where
    /// the server allows it, the envelope of a message leaves with the last bytes of the one before it. Fails as a whole only
    /// if there is no connection to be had, or no room in the rate limit before the deadline; the messages behind that point were not
    /// tried and are not reported. A message that cannot be sent at all, as it is too large, may be reported before those that are
    /// on their way. A kept connection that turns out to be dead is replaced as by [`Client::send`].
    pub fn send_many<'a>(
        &self,
        messages: impl IntoIterator<Item = (Envelope, Content<'a>), IntoIter: Send>,
        call: Call<'_>,
        each: impl FnMut(usize, Result<Outcome, Error>) + Send,
    ) -> Result<(), Error> {
        let flow = self.begin(&call)?;
        here(flow.send_many(messages, each))
    }

    /// Sends a command over a connection and gives the reply to it, whatever that says: see [`Request`] and
    /// [`Connection::ask`](crate::client::Connection::ask). A kept connection that turns out to be dead is replaced by another, but for
    /// a command of the caller's own, which the server may have heard.
    pub fn ask(&self, request: Request<'_>, call: Call<'_>) -> Result<Reply, Error> {
        let flow = self.begin(&call)?;
        here(flow.ask(request))
    }

    /// Refuses calls from now on, those that wait for a connection too: they fail with [`Status::Closed`](crate::Status::Closed). Says
    /// goodbye on the kept connections, for which the server has 2 s in all; a goodbye that fails is not reported. Calls under way
    /// are not waited for: they end as they would, and each says goodbye itself.
    pub fn close(&self) {
        self.close_by(Call::default());
    }

    /// The same, for as long as `call` lets it; what could not say goodbye by then is closed without. If `call` has a deadline, the calls
    /// under way are waited for until then. Gives whether all of them have ended.
    pub fn close_by(&self, call: Call<'_>) -> bool {
        let ends = call.deadline.map(|limit| Deadline::after(Some(limit)));
        here(self.pool.close(&call, GOODBYE, ends)).unwrap_or(false)
    }

    /// What every call begins with: may it run here, and when must it end?
    fn begin<'f>(&'f self, call: &'f Call<'_>) -> Result<Flow<'f, Call<'f>>, Error> {
        refuse_to_block()?;
        Ok(Flow {
            pool: &self.pool,
            driver: call,
            ends: call.ends(self.pool.options().deadline()),
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("options", self.pool.options())
            .finish_non_exhaustive()
    }
}
