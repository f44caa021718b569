//! Ready-made ends for a message that arrived: what a server does with it before it says 250.
//!
//! A [`Disposition`] takes one message and answers its end. [`Deliver`] makes a whole server of one; a [`Session`] of one's own
//! hands its messages to one in [`Session::message`].
//!
//! - [`Maildir`] and [`Folder`] write files, and answer once these are on the disk.
//! - [`Relay`] hands on to another server, whose answer is passed back.
//! - [`Collect`] keeps in memory until the program takes.
//! - [`Discard`] reads and forgets.
//! - [`Destination`] is one of them that a text names.
//!
//! # When a message cannot be taken
//!
//! The client is told no more than it needs to know: 451 or 452, and to come again. Why is for whoever runs the server, as an
//! [`Error`](crate::Error): what was attempted, on which path or at which server, in which phase, what the system or the other server
//! said, escaped, and what to try. It goes to [`Session::fault`], behind [`Deliver`] to what [`Deliver::with_on_fault`] was given,
//! behind the event queue to [`EventKind::Fault`](crate::blocking::EventKind::Fault), and with the feature `tracing` to subscribers, at
//! the level WARN. [`Statistics::faults`](crate::server::Statistics::faults) counts. A session of one's own that hands messages to a
//! disposition finds it in [`Answers::fault`], and hands it on with the answers.
//!
//! There is one for each message while the fault lasts: what makes noise of them has to limit it itself. The answer waits for nobody
//! who is told.
//!
//! [`Relay`] tells where the next server cannot be reached, fails at TLS, refuses our login, sender or connection, or leaves unknown
//! what became of the message; not where it refuses a recipient or the message itself, for that is passed back to those whom it
//! concerns.
//!
//! ```
//! use mailwire::disposition::{Deliver, Maildir};
//! use mailwire::server::{Options, Server};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("mail");
//! # let shutdown = async {};
//! let mut options = Options::new();
//! options.set_domains(Some(vec!["example.org".parse()?]));
//! let server = Server::bind(options)?;
//! server.serve_until(Deliver::new(Maildir::create(path)?), shutdown).await?;
//! # Ok(())
//! # }
//! ```

mod collect;
mod deliver;
mod destination;
mod discard;
mod draft;
mod fault;
mod folder;
mod folders;
mod leftovers;
mod maildir;
mod names;
mod passed_on;
mod relay;

use std::future::Future;
use std::sync::Arc;

pub use collect::{Collect, Collected, Collection};
pub use deliver::{Deliver, Delivering};
pub use destination::Destination;
pub use discard::Discard;
pub use folder::Folder;
pub use maildir::Maildir;
pub use relay::Relay;

use crate::proto::Envelope;
use crate::server::{Answers, Body, SessionInfo};
#[cfg(doc)]
use crate::server::{Handler, Session};

/// What becomes of a message: it is taken, and the answer to its end says whether.
pub trait Disposition: Send + Sync + 'static {
    /// Takes one message. An answer that accepts means that this has become responsible for it (RFC 5321 section 4.2.5); with
    /// LMTP there is one for each recipient of the envelope.
    ///
    /// Where [`Body::chunk`] fails the message does not come whole: what was kept of it is to be dropped, and the answer is not
    /// sent. Dropping the future is the same, as a shutdown does whose grace is over.
    fn take(
        &self,
        info: &SessionInfo,
        envelope: &Envelope,
        body: &mut Body<'_>,
    ) -> impl Future<Output = Answers> + Send;

    /// Whether it hands messages on to another server, so that a server which anybody may send through must not start with it:
    /// see [`Handler::relays`].
    fn relays(&self) -> bool {
        false
    }
}

impl<D: Disposition> Disposition for Arc<D> {
    fn take(
        &self,
        info: &SessionInfo,
        envelope: &Envelope,
        body: &mut Body<'_>,
    ) -> impl Future<Output = Answers> + Send {
        D::take(self, info, envelope, body)
    }

    fn relays(&self) -> bool {
        D::relays(self)
    }
}
