//! How fast a pool sends: a bucket of messages and one of recipients, and the calls that wait until there is enough in them.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::driver::Driver;
use super::limits::PoolLimits;
use super::was_closed;
use crate::error::{Error, Phase, Status};
use crate::net::Deadline;

/// What a pool may send, and when. First come, first served.
pub(super) struct RateLimit {
    state: Mutex<State>,
    /// One permit, of the call that is next.
    next: Semaphore,
    limited: bool,
}

struct State {
    buckets: Vec<Bucket>,
    /// How many calls wait.
    waiting: usize,
}

/// What may leave, of messages or of recipients. It fills by so many a second, up to what one second brings.
struct Bucket {
    counts: Count,
    per_second: f64,
    /// Less than nothing after a message with more recipients than the bucket holds.
    level: f64,
    /// What the calls that wait will take.
    promised: f64,
    /// When it was filled last.
    filled: Instant,
}

/// What a message to so many recipients takes.
type Count = fn(usize) -> f64;

/// A call's place among those that wait. Those behind it move up when it is given up.
struct Place<'r> {
    limit: &'r RateLimit,
    recipients: usize,
    waits: bool,
}

impl RateLimit {
    pub(super) fn new(limits: &PoolLimits) -> Self {
        let counts: [(Option<f64>, Count); 2] = [
            (limits.messages_per_second, |_| 1.0),
            (limits.recipients_per_second, as_amount),
        ];
        let buckets = counts.into_iter().filter_map(|(per_second, counts)| {
            Some(Bucket {
                counts,
                per_second: per_second?,
                level: per_second?.max(1.0),
                promised: 0.0,
                filled: Instant::now(),
            })
        });
        let buckets: Vec<Bucket> = buckets.collect();
        Self {
            limited: !buckets.is_empty(),
            state: Mutex::new(State {
                buckets,
                waiting: 0,
            }),
            next: Semaphore::new(1),
        }
    }

    /// Waits until a message to so many recipients may leave. Fails at once if that will not be before the deadline.
    pub(super) async fn acquire<D: Driver>(
        &self,
        driver: &D,
        ends: Deadline,
        recipients: usize,
    ) -> Result<(), Error> {
        if self.try_acquire(recipients) {
            return Ok(());
        }
        let mut place = self.wait(ends, recipients)?;
        let next = driver
            .wait(ends.at(), pin!(self.next.acquire()))
            .await?
            .ok_or_else(too_late)?;
        let _next = next.map_err(|_| was_closed())?;
        while let Err(ready) = place.take() {
            if is_behind(ready, ends) {
                return Err(too_late());
            }
            // There is no second permit, so this ends early only if the pool is closed.
            let closed = pin!(self.next.acquire());
            if driver.wait(ready, closed).await?.is_some() {
                return Err(was_closed());
            }
        }
        Ok(())
    }

    /// Whether a message to so many recipients may leave now. If so it is counted.
    pub(super) fn try_acquire(&self, recipients: usize) -> bool {
        if !self.limited {
            return true;
        }
        let mut state = self.lock();
        state.waiting == 0 && state.take(recipients).is_ok()
    }

    /// No call waits any longer, and none may wait.
    pub(super) fn close(&self) {
        self.next.close();
    }

    fn wait(&self, ends: Deadline, recipients: usize) -> Result<Place<'_>, Error> {
        let mut state = self.lock();
        let ready = state.ready(recipients, |bucket| bucket.promised);
        if is_behind(ready, ends) {
            return Err(too_late());
        }
        state.waiting += 1;
        state.promise(recipients, 1.0);
        Ok(Place {
            limit: self,
            recipients,
            waits: true,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes what a message to so many recipients needs, or says when there will be enough: `None` is never.
    fn take(&mut self, recipients: usize) -> Result<(), Option<Instant>> {
        match self.ready(recipients, |_| 0.0) {
            Some(ready) if ready <= Instant::now() => {
                for bucket in &mut self.buckets {
                    bucket.level -= (bucket.counts)(recipients);
                }
                Ok(())
            }
            ready => Err(ready),
        }
    }

    /// When there is enough in every bucket, behind those that take so much before. `None` is never.
    fn ready(&mut self, recipients: usize, before: fn(&Bucket) -> f64) -> Option<Instant> {
        let now = Instant::now();
        let mut latest = now;
        for bucket in &mut self.buckets {
            bucket.fill(now);
            let most = bucket.most();
            let missing = before(bucket) + (bucket.counts)(recipients).min(most) - bucket.level;
            if missing > 0.0 {
                let wait = Duration::try_from_secs_f64(missing / bucket.per_second).ok()?;
                latest = latest.max(now.checked_add(wait)?);
            }
        }
        Some(latest)
    }

    fn promise(&mut self, recipients: usize, times: f64) {
        for bucket in &mut self.buckets {
            bucket.promised += (bucket.counts)(recipients) * times;
        }
    }
}

impl Bucket {
    /// What it holds: enough for one message at least.
    fn most(&self) -> f64 {
        self.per_second.max(1.0)
    }

    fn fill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.filled).as_secs_f64();
        self.level = (self.level + seconds * self.per_second).min(self.most());
        self.filled = now;
    }
}

impl Place<'_> {
    fn take(&mut self) -> Result<(), Option<Instant>> {
        let mut state = self.limit.lock();
        state.take(self.recipients)?;
        self.leave(&mut state);
        Ok(())
    }

    fn leave(&mut self, state: &mut State) {
        if std::mem::take(&mut self.waits) {
            state.waiting -= 1;
            state.promise(self.recipients, -1.0);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let limit = self.limit;
        if self.waits {
            self.leave(&mut limit.lock());
        }
    }
}

/// Whether a wait until `ready` ends too late, or never.
fn is_behind(ready: Option<Instant>, ends: Deadline) -> bool {
    match (ready, ends.at()) {
        (Some(ready), Some(end)) => end < ready,
        (None, Some(_)) => true,
        (_, None) => false,
    }
}

fn as_amount(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn too_late() -> Error {
    let text = "the rate limit of the pool leaves no room for this message before the deadline, and nothing of it was sent: raise \
                max_messages_per_second, max_recipients_per_second or the deadline";
    Error::new(Status::Timeout, text).at(Phase::Pool)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::{sleep, timeout};

    use super::super::driver::Tasks;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limit(messages: Option<f64>, recipients: Option<f64>) -> Arc<RateLimit> {
        Arc::new(RateLimit::new(&PoolLimits {
            messages_per_second: messages,
            recipients_per_second: recipients,
            ..PoolLimits::default()
        }))
    }

    async fn acquire(limit: &RateLimit, recipients: usize) {
        let acquired = limit.acquire(&Tasks, Deadline::NONE, recipients).await;
        acquired.unwrap();
    }

    /// When each of so many messages could leave, in milliseconds.
    async fn times(limit: &RateLimit, messages: usize, recipients: usize) -> Vec<u128> {
        let begun = Instant::now();
        let mut times = Vec::new();
        for _ in 0..messages {
            acquire(limit, recipients).await;
            times.push(begun.elapsed().as_millis());
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_second_allows_leaves_at_once_and_the_rest_by_the_rate() {
        let limit = limit(Some(4.0), None);
        assert_eq!(times(&limit, 6, 100).await, [0, 0, 0, 0, 250, 500]);
        // A long pause earns no more than one second.
        sleep(100 * SECOND).await;
        assert_eq!(times(&limit, 6, 1).await, [0, 0, 0, 0, 250, 500]);
    }

    #[tokio::test(start_paused = true)]
    async fn less_than_one_a_second_is_a_rate_too() {
        let limit = limit(Some(0.5), None);
        assert_eq!(times(&limit, 3, 1).await, [0, 2000, 4000]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_with_more_recipients_than_a_second_allows_leaves_and_is_paid_for_afterwards()
    {
        let limit = limit(Some(1000.0), Some(10.0));
        assert_eq!(times(&limit, 2, 30).await, [0, 3000]);
        assert_eq!(times(&limit, 1, 1).await, [2100]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_cannot_end_in_time_fails_at_once_and_takes_nothing() {
        let limit = limit(Some(1.0), None);
        acquire(&limit, 1).await;
        let begun = Instant::now();
        let soon = Deadline::after(Some(SECOND / 2));
        let error = limit.acquire(&Tasks, soon, 1).await.unwrap_err();
        assert_eq!(
            (error.status(), error.phase()),
            (Status::Timeout, Some(Phase::Pool))
        );
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert_eq!(times(&limit, 1, 1).await, [1000]);
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_wait_are_counted_before_who_comes() {
        let limit = limit(Some(1.0), None);
        acquire(&limit, 1).await;
        let other = Arc::clone(&limit);
        let first = tokio::spawn(async move { times(&other, 1, 1).await });
        tokio::task::yield_now().await;
        assert!(!limit.try_acquire(1));
        let late = Deadline::after(Some(SECOND * 3 / 2));
        assert!(limit.acquire(&Tasks, late, 1).await.is_err());
        assert_eq!(times(&limit, 1, 1).await, [2000]);
        assert_eq!(first.await.unwrap(), [1000]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_lets_the_others_move_up() {
        let limit = limit(Some(1.0), None);
        acquire(&limit, 1).await;
        let mut waiting = Vec::new();
        for gives_up in [true, false, true, false] {
            let limit = Arc::clone(&limit);
            waiting.push(tokio::spawn(async move {
                let most = if gives_up { SECOND / 2 } else { 100 * SECOND };
                timeout(most, times(&limit, 1, 1)).await.ok()
            }));
            tokio::task::yield_now().await;
        }
        let mut ends = Vec::new();
        for one in waiting {
            ends.push(one.await.unwrap());
        }
        assert_eq!(ends, [None, Some(vec![1000]), None, Some(vec![2000])]);
        assert_eq!(limit.lock().waiting, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_ends_every_wait() {
        let limit = limit(Some(0.001), None);
        acquire(&limit, 1).await;
        let waiting = [(); 2].map(|()| {
            let limit = Arc::clone(&limit);
            tokio::spawn(async move { limit.acquire(&Tasks, Deadline::NONE, 1).await })
        });
        tokio::task::yield_now().await;
        limit.close();
        for one in waiting {
            assert_eq!(one.await.unwrap().unwrap_err().status(), Status::Closed);
        }
    }

    #[tokio::test]
    async fn a_rate_too_low_for_any_clock_is_never() {
        let limit = limit(Some(f64::MIN_POSITIVE), None);
        acquire(&limit, 1).await;
        let late = Deadline::after(Some(SECOND * 3600));
        assert!(limit.acquire(&Tasks, late, 1).await.is_err());
    }
}
