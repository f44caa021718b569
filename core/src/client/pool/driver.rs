//! What differs between the two clients: on what a connection lives, and how a call waits.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use crate::client::{Connection, Options};
use crate::error::Error;
use crate::net::{self, Deadline};

/// How one call of a pooled client is driven, and how it may be cut short. An error of its methods is of a call that was cut short,
/// or that could not be driven at all.
pub(crate) trait Driver {
    /// What a connection is driven by.
    type Runtime: Runtime;

    /// Fails if the call was cut short already.
    fn check(&self) -> Result<(), Error>;

    /// Opens a connection.
    async fn open(
        &self,
        options: &Options,
        ends: Deadline,
    ) -> Result<(Box<Connection>, Self::Runtime), Error>;

    /// Runs work on a connection to its end.
    async fn drive<F: Future>(&self, runtime: &Self::Runtime, work: F) -> Result<F::Output, Error>;

    /// Waits for what needs no connection. `None` if `until` comes first.
    async fn wait<F: Future>(
        &self,
        until: Option<Instant>,
        what: F,
    ) -> Result<Option<F::Output>, Error>;
}

/// What drives connections, and may belong to one of them alone.
pub(crate) trait Runtime {
    /// The connection is gone. Waits for nothing.
    fn shut_down(self);
}

/// The driver of the async client: tasks of the caller's runtime, which are cut short by dropping them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tasks;

/// The caller's runtime.
#[derive(Debug)]
pub(super) struct Callers;

impl Runtime for Callers {
    fn shut_down(self) {}
}

impl Driver for Tasks {
    type Runtime = Callers;

    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn open(
        &self,
        options: &Options,
        ends: Deadline,
    ) -> Result<(Box<Connection>, Callers), Error> {
        Ok((Connection::open_by(options, ends).await?, Callers))
    }

    async fn drive<F: Future>(&self, _runtime: &Callers, work: F) -> Result<F::Output, Error> {
        Ok(work.await)
    }

    async fn wait<F: Future>(
        &self,
        until: Option<Instant>,
        what: F,
    ) -> Result<Option<F::Output>, Error> {
        Ok(net::until(until, what).await)
    }
}

/// Polls a future once.
pub(crate) fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
