//! How a thread drives the flows of a pool: each connection has a runtime of its own, driven by the thread that borrowed it, and
//! every wait is over when it returns. No flow is ever left in the middle.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::time::Instant;

use super::call::{Call, TICK};
use crate::client::{self, Connection, Driver, Opening, Options, poll_once};
use crate::error::{Error, Status};
use crate::net::Deadline;

impl Driver for Call<'_> {
    type Runtime = Runtime;

    fn check(&self) -> Result<(), Error> {
        self.check()
    }

    async fn open(
        &self,
        options: &Options,
        ends: Deadline,
    ) -> Result<(Box<Connection>, Runtime), Error> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .thread_name("mailwire-resolve")
            .build()
            .map_err(|e| {
                Error::new(Status::Io, format!("the system gave no event queue: {e}"))
                    .with_source(e)
            })?;
        let mut opening = Opening::new(options, ends)?;
        // Large, and there once for each connection: not on the caller's stack.
        let opened = self.drive(&runtime, Box::pin(opening.run())).await;
        let error = match opened {
            Ok(Ok(connection)) => return Ok((connection, runtime)),
            Ok(Err(error)) => error,
            Err(cut_short) => opening.cut_short(cut_short),
        };
        drop(opening);
        // A look-up that cannot be interrupted ends on its own.
        runtime.shutdown_background();
        Err(error)
    }

    async fn drive<F: Future>(&self, runtime: &Runtime, work: F) -> Result<F::Output, Error> {
        refuse_to_block()?;
        runtime.block_on(self.run(work))
    }

    async fn wait<F: Future>(
        &self,
        until: Option<Instant>,
        what: F,
    ) -> Result<Option<F::Output>, Error> {
        let mut what = pin!(what);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            if let Poll::Ready(done) = what.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Ok(Some(done));
            }
            // The tick is there for the caller's wish to stop.
            self.check()?;
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match left {
                Some(left) if left.is_zero() => return Ok(None),
                left => thread::park_timeout(left.map_or(TICK, |left| left.min(TICK))),
            }
        }
    }
}

impl client::Runtime for Runtime {
    fn shut_down(self) {
        self.shutdown_background();
    }
}

/// Runs a flow on this thread. Every wait in it is one of the above, so it ends at its first poll.
pub(super) fn here<T>(flow: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let flow: Pin<&mut _> = pin!(flow);
    match poll_once(flow) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::new(
            Status::Internal,
            "a call of the blocking client waited for something else than its connection",
        )),
    }
}

/// Fails inside an async runtime, where nothing can be waited for.
pub(super) fn refuse_to_block() -> Result<(), Error> {
    if Handle::try_current().is_ok() {
        return Err(Error::new(
            Status::Misuse,
            "the blocking client was called inside an async runtime, which it would block: use mailwire::client there",
        ));
    }
    Ok(())
}

/// Wakes a thread that waits for its turn.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
