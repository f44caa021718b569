//! Limits of time: the longest single wait on a peer, and the total of a call.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

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
    Alarm::default()
        .limit_since(&mut None, phase, timeout, deadline, future)
        .await
}

/// Waits for `future` until `at`, if there is an end. `None`: that came first, and the future is dropped.
pub(crate) async fn until<T>(at: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match at {
        Some(at) => timeout_at(at, future).await.ok(),
        None => Some(future.await),
    }
}

/// The timer of waits that follow one another. Setting a timer wakes the runtime, by a system call, whenever it rings before all
/// others; so this one is left as it is where the next wait ends later, and is set anew when it has rung too early. Behind the last wait
/// it stays set, and may wake once more whoever waited then.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// The same as [`limit`] for a wait that began at `since`: at the first time that it really had to wait, if that is `None`, and
    /// then it is told. Where `future` is done at once no clock is read.
    pub(crate) async fn limit_since<T>(
        &mut self,
        since: &mut Option<Instant>,
        phase: Phase,
        timeout: Duration,
        deadline: Deadline,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(result) = future.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            let single = since.get_or_insert_with(Instant::now).checked_add(timeout);
            let total = deadline.at();
            let total_is_first =
                total.is_some_and(|total| single.is_none_or(|single| total <= single));
            let Some(at) = (if total_is_first { total } else { single }) else {
                return Poll::Pending;
            };
            ready!(self.poll_at(at, cx));
            Poll::Ready(Err(if total_is_first {
                deadline.passed(phase)
            } else {
                let text = format!("no answer within {} (timeout)", shown(timeout));
                Error::new(Status::Timeout, text).at(phase)
            }))
        })
        .await
    }

    /// Ready from `at` on.
    fn poll_at(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if at < sleep.deadline() {
            sleep.as_mut().reset(at);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
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
    async fn a_wait_ends_where_it_has_an_end() {
        let soon = Some(Instant::now() + SECOND);
        assert_eq!(until(soon, pending::<()>()).await, None);
        assert_eq!(soon, Some(Instant::now()));
        for at in [soon, None] {
            assert_eq!(until(at, async { 7 }).await, Some(7));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_when_each_of_its_waits_ends() {
        let mut alarm = Alarm::default();
        let begun = Instant::now();
        for (seconds, end) in [(9, 9), (2, 11), (5, 16), (1, 17), (30, 47)] {
            let timeout = seconds * SECOND;
            let mut since = None;
            let waiting =
                alarm.limit_since(&mut since, Phase::Mail, timeout, Deadline::NONE, pending());
            let error: Result<(), _> = waiting.await;
            assert_eq!(error.unwrap_err().status(), Status::Timeout);
            assert_eq!(begun.elapsed(), end * SECOND);
            assert_eq!(since, Some(begun + (end - seconds) * SECOND));
        }
        // One that is done in time leaves it set, for an earlier time than the next wait has or for a later one.
        for seconds in [20, 3, 40] {
            let done = async {
                tokio::time::sleep(SECOND).await;
                Ok(())
            };
            let timeout = seconds * SECOND;
            alarm
                .limit_since(&mut None, Phase::Mail, timeout, Deadline::NONE, done)
                .await
                .unwrap();
        }
        let begun = Instant::now();
        let timeout = 30 * SECOND;
        let late: Result<(), _> = alarm
            .limit_since(&mut None, Phase::Mail, timeout, Deadline::NONE, pending())
            .await;
        assert!(late.is_err());
        assert_eq!(begun.elapsed(), 30 * SECOND);
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
