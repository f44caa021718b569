//! Messages that are kept in memory until the program takes them.

use std::fmt;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::Disposition;
use crate::error::{Error, Status};
use crate::proto::Envelope;
use crate::server::{Answers, Body, Held, LOCAL_ERROR, NO_ROOM, SessionInfo};

/// So many messages wait at the most, however small they are.
const MOST: usize = 16 * 1024;

/// Keeps messages in memory until the program takes them from the [`Collection`] that was made with it. The 250 is said when the
/// message stands there: it is lost with the process.
///
/// Octets and envelopes count towards [`Options::set_body_memory`](crate::server::Options::set_body_memory) until a message that was
/// taken is dropped. Over it, and while 16,384 messages wait, the next ones are answered 452 4.3.1, and 552 5.3.4 where one
/// is more by itself than may ever be held; once the collection was dropped, 451 4.3.0.
#[derive(Debug, Clone)]
pub struct Collect(mpsc::Sender<Collected>);

/// Where the messages of a [`Collect`] wait.
#[derive(Debug)]
pub struct Collection(mpsc::Receiver<Collected>);

/// A message that was collected.
pub struct Collected {
    session: SessionInfo,
    envelope: Envelope,
    pieces: Vec<Bytes>,
    _held: Held,
}

impl Collect {
    /// A disposition, and where its messages are taken from.
    ///
    /// ```
    /// use mailwire::disposition::{Collect, Deliver};
    /// # use mailwire::server::{Options, Server};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), mailwire::Error> {
    /// let (collect, mut collection) = Collect::new();
    /// let server = Server::bind(Options::new())?;
    /// # let client = server.addresses()[0];
    /// # let client = async move {
    /// #     let mut options = mailwire::client::Options::new();
    /// #     options.set_server(&client.ip().to_string(), Some(client.port())).unwrap();
    /// #     let client = mailwire::client::Client::new(options).unwrap();
    /// #     let envelope = mailwire::proto::Envelope::parse("a@b.example", ["c@d.example"]).unwrap();
    /// #     client.send(&envelope, mailwire::client::Content::bytes(b"Hello.\r\n")).await.unwrap();
    /// # };
    /// let serving = server.serve_until(Deliver::new(collect), std::future::pending());
    /// tokio::select! {
    ///     result = serving => result?,
    ///     Some(message) = async { client.await; collection.next().await } => {
    ///         assert_eq!(message.octets(), b"Hello.\r\n");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn new() -> (Self, Collection) {
        let (sender, receiver) = mpsc::channel(MOST);
        (Self(sender), Collection(receiver))
    }
}

impl Disposition for Collect {
    async fn take(
        &self,
        session: &SessionInfo,
        envelope: &Envelope,
        body: &mut Body<'_>,
    ) -> Answers {
        // Before the message is read, which ends where there is no memory.
        let held = body.hold(envelope);
        let Ok(pieces) = body.collect().await else {
            // Why is said to the client by the server itself.
            return LOCAL_ERROR.into();
        };
        let collected = Collected {
            session: session.clone(),
            envelope: envelope.clone(),
            pieces,
            _held: held,
        };
        match self.0.try_send(collected) {
            Ok(()) => Answers::accept(),
            Err(TrySendError::Full(_)) => {
                let text = format!("collect: {MOST} messages wait: take them from the collection");
                Answers::from(NO_ROOM).with_fault(Error::new(Status::NoMemory, text))
            }
            Err(TrySendError::Closed(_)) => {
                let text =
                    "collect: the collection was dropped: keep it as long as the server runs";
                Answers::from(LOCAL_ERROR).with_fault(Error::new(Status::Closed, text))
            }
        }
    }
}

impl Collection {
    /// Waits for the next message, in the order in which they were accepted. `None` once the server is gone and all were taken.
    ///
    /// Dropping the future loses no message.
    pub async fn next(&mut self) -> Option<Collected> {
        self.0.recv().await
    }

    /// The next message if one is there.
    pub fn next_now(&mut self) -> Option<Collected> {
        self.0.try_recv().ok()
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Collected {
    /// The session that it came in, as it was then.
    pub fn session(&self) -> &SessionInfo {
        &self.session
    }

    /// Sender and recipients.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The octets in pieces, in order; nothing is copied.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// All octets, copied together.
    pub fn octets(&self) -> Vec<u8> {
        self.pieces.concat()
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets: usize = self.pieces.iter().map(Bytes::len).sum();
        f.debug_struct("Collected")
            .field("session", &self.session)
            .field("envelope", &self.envelope)
            .field("octets", &octets)
            .finish_non_exhaustive()
    }
}
