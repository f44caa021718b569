//! Limits of time: the longest single wait on a peer, and the total of a call.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Phase, Status};

/// When a whole call must be done, if it must.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<(Instant, Duration)>);

impl Deadline {
    /// No limit in all.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self(None);

    /// `total` from now on. A time that no clock can tell is no limit.
    pub(crate) fn after(total: Option<Duration>) -> Self {
        Self(total.and_then(|total| Some((Instant::now().checked_add(total)?, total))))
    }

    /// What is left: zero once it has passed, `None` without a limit.
    pub(crate) fn remaining(self) -> Option<Duration> {
        self.0
            .map(|(at, _)| at.saturating_duration_since(Instant::now()))
    }

    /// When it passes, if it does.
    pub(crate) fn at(self) -> Option<Instant> {
        self.0.map(|(at, _)| at)
    }

    /// The error of a call that was still in `phase` when its total had passed.
    pub(crate) fn passed(self, phase: Phase) -> Error {
        let total = self.0.map_or(Duration::ZERO, |(_, total)| total);
        Error::new(
            Status::Timeout,
            format!("not done within the deadline of {}", shown(total)),
        )
        .at(phase)
    }
}

/// Waits for `future`, at most for `timeout` and not past `deadline`. Where a limit passes, the future is dropped and the error is
/// [`Status::Timeout`] in `phase`; its text says which limit it was.
pub(crate) async fn limit<T>(
    phase: Phase,
    timeout: Duration,
    deadline: Deadline,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    limit_since(Instant::now(), phase, timeout, deadline, future).await
}

/// The same where the wait began at `since`, and this is not the first part of it.
pub(crate) async fn limit_since<T>(
    since: Instant,
    phase: Phase,
    timeout: Duration,
    deadline: Deadline,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let single = since.checked_add(timeout);
    let total = deadline.at();
    let total_is_first = total.is_some_and(|total| single.is_none_or(|single| total <= single));
    let Some(at) = (if total_is_first { total } else { single }) else {
        return future.await;
    };
    match timeout_at(at, future).await {
        Ok(result) => result,
        Err(_) if total_is_first => Err(deadline.passed(phase)),
        Err(_) => Err(Error::new(
            Status::Timeout,
            format!("no answer within {} (timeout)", shown(timeout)),
        )
        .at(phase)),
    }
}

/// A time for people: `300 ms`, `10 s`, `2.5 s`.
pub(super) fn shown(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        let whole_millis = Duration::new(time.as_secs(), time.subsec_millis() * 1_000_000);
        format!("{} s", whole_millis.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_limit_that_passes_first_is_named() {
        let deadline = Deadline::after(Some(5 * SECOND));
        let error = limit::<()>(Phase::Mail, 2 * SECOND, deadline, pending())
            .await
            .unwrap_err();
        assert_eq!(error.status(), Status::Timeout);
        assert_eq!(error.phase(), Some(Phase::Mail));
        assert_eq!(error.message(), "no answer within 2 s (timeout)");
        assert_eq!(deadline.remaining(), Some(3 * SECOND));

        let error = limit::<()>(Phase::Data, 10 * SECOND, deadline, pending())
            .await
            .unwrap_err();
        assert_eq!(error.status(), Status::Timeout);
        assert_eq!(error.phase(), Some(Phase::Data));
        assert_eq!(error.message(), "not done within the deadline of 5 s");
        assert_eq!(deadline.remaining(), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_done_in_time_is_not_touched() {
        let done = limit(Phase::Mail, SECOND, Deadline::NONE, ready(Ok(7))).await;
        assert_eq!(done.unwrap(), 7);
        assert_eq!(Deadline::NONE.remaining(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_all_clocks_is_no_limit() {
        let done = limit(
            Phase::Mail,
            Duration::MAX,
            Deadline::after(Some(Duration::MAX)),
            ready(Ok(7)),
        )
        .await;
        assert_eq!(done.unwrap(), 7);
    }

    #[test]
    fn times_are_shown_for_people() {
        assert_eq!(shown(Duration::from_millis(300)), "300 ms");
        assert_eq!(shown(10 * SECOND), "10 s");
        assert_eq!(shown(Duration::from_micros(2_500_003)), "2.5 s");
    }
}
