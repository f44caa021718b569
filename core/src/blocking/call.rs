//! How one blocking call may be cut short: a cancel token, a deadline, or a question asked now and then.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::error::{Error, Status};
use crate::net::{Cancel, Deadline};

/// How often [`Call::interrupted`] is asked.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// How one blocking call may be cut short. The default lets it take what the options allow.
#[derive(Clone, Copy, Default)]
pub struct Call<'a> {
    /// Cancels the call from another thread or from a signal handler.
    pub cancel: Option<&'a Cancel>,
    /// The most that the call may take, instead of the options' own deadline.
    pub deadline: Option<Duration>,
    /// Asked every 50 ms on the calling thread, outside of any work; `true` cancels the call.
    pub interrupted: Option<&'a dyn Fn() -> bool>,
}

impl Call<'_> {
    /// Runs `work` until it is done or the call is cancelled.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        tokio::select! {
            biased;
            result = work => Ok(result),
            error = self.cancelled() => Err(error),
        }
    }

    /// Fails if the call was cancelled already.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let cancelled = self.cancel.is_some_and(Cancel::is_signalled)
            || self.interrupted.is_some_and(|ask| ask());
        if cancelled {
            Err(cancelled_by_caller())
        } else {
            Ok(())
        }
    }

    /// When the call must be over.
    pub(crate) fn ends(&self, otherwise: Option<Duration>) -> Deadline {
        Deadline::after(self.deadline.or(otherwise))
    }

    async fn cancelled(&self) -> Error {
        let by_token = async {
            match self.cancel {
                Some(cancel) => cancel.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let by_question = async {
            match self.interrupted {
                Some(ask) => {
                    while !ask() {
                        tokio::time::sleep(TICK).await;
                    }
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = by_token => {}
            () = by_question => {}
        }
        cancelled_by_caller()
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("cancel", &self.cancel.map(Cancel::is_signalled))
            .field("deadline", &self.deadline)
            .field("interrupted", &self.interrupted.is_some())
            .finish()
    }
}

fn cancelled_by_caller() -> Error {
    Error::new(Status::Cancelled, "the caller cancelled the call")
}
