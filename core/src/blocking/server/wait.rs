//! How a session waits for its application's answers.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::sync::oneshot::Receiver;
use tokio::time::{Instant, Sleep};

use crate::server::{Answers, LOCAL_ERROR, poll_alarm};

/// Waits for one answer after the other, with one timer, which costs nothing where answers come long before their time.
#[derive(Debug)]
pub(super) struct Wait {
    until: Instant,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    pub(super) fn new() -> Self {
        Self {
            until: Instant::now(),
            alarm: None,
        }
    }

    /// The answers, or 451 if none came until then or none will come. There is room for this future in every session, also in
    /// those that wait for their client: what it needs is kept in here.
    pub(super) fn until(
        &mut self,
        until: Instant,
        mut answers: Receiver<Answers>,
    ) -> impl Future<Output = Answers> {
        self.until = until;
        poll_fn(move |cx| {
            if let Poll::Ready(answers) = Pin::new(&mut answers).poll(cx) {
                return Poll::Ready(answers.unwrap_or_else(|_| LOCAL_ERROR.into()));
            }
            poll_alarm(&mut self.alarm, cx, self.until).map(|()| LOCAL_ERROR.into())
        })
    }
}
