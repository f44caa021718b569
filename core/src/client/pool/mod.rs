//! The pool under both clients: who may have a connection, which one, and what becomes of it. [`client`] is the async client;
//! `blocking` has the other one, which drives the same flows on the threads that call.

mod client;
mod driver;
mod flow;
mod limits;
mod pooled;
mod rate;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

pub use self::client::Client;
pub(crate) use self::driver::{Driver, Runtime, poll_once};
pub(crate) use self::flow::Flow;
pub(super) use self::limits::PoolLimits;
use self::pooled::Pooled;
use self::rate::RateLimit;
use super::Options;
use crate::error::{Error, Phase, Status};
use crate::net::{Deadline, ForkGuard};

/// How long a goodbye may take, or all the goodbyes of a closing pool together.
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);

pub(crate) struct Pool<R: Runtime> {
    options: Options,
    /// One for each connection that may be open at a time. First come, first served; who gives up passes the turn on.
    turns: Semaphore,
    /// There are never more of them than turns that nobody has. The one that was used last is the last.
    idle: Mutex<Vec<Pooled<R>>>,
    /// Told when a turn of a closed pool is over.
    over: Notify,
    rate: RateLimit,
    guard: ForkGuard,
}

/// The right to one connection of the pool. It is over when dropped.
pub(super) struct Turn<'p, R: Runtime> {
    pool: &'p Pool<R>,
}

impl<R: Runtime> Pool<R> {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            turns: Semaphore::new(most(&options)),
            idle: Mutex::new(Vec::new()),
            over: Notify::new(),
            rate: RateLimit::new(&options.pool),
            guard: ForkGuard::new(),
            options,
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Whether this is a child of the process that made the pool.
    pub(crate) fn is_of_parent(&self) -> bool {
        self.guard.is_child()
    }

    /// What every call begins with: may it be made?
    pub(super) fn check<D: Driver<Runtime = R>>(&self, driver: &D) -> Result<(), Error> {
        self.guard.check()?;
        driver.check()?;
        if self.turns.is_closed() {
            return Err(was_closed());
        }
        Ok(())
    }

    /// Waits for a turn, at most until the deadline.
    pub(super) async fn turn<D: Driver<Runtime = R>>(
        &self,
        driver: &D,
        ends: Deadline,
    ) -> Result<Turn<'_, R>, Error> {
        let permit = match self.turns.try_acquire() {
            Ok(permit) => permit,
            Err(_) => driver
                .wait(ends.at(), pin!(self.turns.acquire()))
                .await?
                .ok_or_else(all_busy)?
                .map_err(|_| was_closed())?,
        };
        permit.forget();
        Ok(Turn { pool: self })
    }

    /// Refuses calls from now on, says goodbye on idle connections within a time, and waits for the calls under way, at most until the
    /// deadline and for no time without one. Each of these says goodbye itself when it is done. Gives whether all of them are.
    pub(crate) async fn close<D: Driver<Runtime = R>>(
        &self,
        driver: &D,
        goodbye: Duration,
        ends: Option<Deadline>,
    ) -> Result<bool, Error> {
        self.guard.check()?;
        self.turns.close();
        self.rate.close();
        let idle = std::mem::take(&mut *self.lock());
        let end = ends.and_then(Deadline::at);
        let until = Instant::now() + goodbye;
        let until = end.map_or(until, |end| end.min(until));
        for pooled in idle {
            let left = until.saturating_duration_since(Instant::now());
            pooled.quit(driver, left).await;
        }
        loop {
            let mut over = pin!(self.over.notified());
            over.as_mut().enable();
            let busy = most(&self.options) - self.turns.available_permits();
            if busy == 0 || ends.is_none() {
                return Ok(busy == 0);
            }
            if driver.wait(end, over).await?.is_none() {
                return Ok(false);
            }
        }
    }

    /// Closes what was idle for too long or has become too old. Says so to the server, and does not wait for what it says.
    async fn sweep<D: Driver<Runtime = R>>(&self, driver: &D) {
        let old: Vec<Pooled<R>> = {
            let limits = &self.options.pool;
            let mut idle = self.lock();
            idle.extract_if(.., |pooled| pooled.is_old(limits))
                .collect()
        };
        for pooled in old {
            pooled.quit(driver, Duration::ZERO).await;
        }
    }

    /// Keeps a connection for the next call, unless the pool was closed meanwhile.
    fn keep(&self, mut pooled: Pooled<R>) -> Option<Pooled<R>> {
        let mut idle = self.lock();
        if self.turns.is_closed() {
            return Some(pooled);
        }
        pooled.comes_back();
        idle.push(pooled);
        None
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Pooled<R>>> {
        // Nothing that can panic runs under the lock, so the list is whole even if a thread died elsewhere.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime> Turn<'_, R> {
    /// A connection: an idle one that is still good, or a new one.
    pub(super) async fn connection<D: Driver<Runtime = R>>(
        &self,
        driver: &D,
        ends: Deadline,
    ) -> Result<Pooled<R>, Error> {
        self.pool.sweep(driver).await;
        loop {
            let kept = self.pool.lock().pop();
            let Some(mut pooled) = kept else {
                return Pooled::open(driver, &self.pool.options, ends).await;
            };
            if !pooled.is_stale(driver).await {
                return Ok(pooled);
            }
        }
    }

    /// The call is done with its connection, which is kept if it is good for another message. Ends the turn.
    pub(super) async fn end<D: Driver<Runtime = R>>(
        self,
        driver: &D,
        ends: Deadline,
        pooled: Pooled<R>,
    ) {
        // Forked within a callback: another thread of the parent may have held the lock, and would never let go of it here.
        if self.pool.is_of_parent() {
            return;
        }
        let leaves = if pooled.is_good(&self.pool.options.pool) {
            self.pool.keep(pooled)
        } else {
            Some(pooled)
        };
        if let Some(pooled) = leaves {
            self.retire(driver, ends, pooled).await;
        }
        self.pool.sweep(driver).await;
        self.is_over();
        std::mem::forget(self);
    }

    fn is_over(&self) {
        self.pool.turns.add_permits(1);
        if self.pool.turns.is_closed() {
            self.pool.over.notify_waiters();
        }
    }

    /// Says goodbye on a connection that has no room for another message.
    pub(super) async fn retire<D: Driver<Runtime = R>>(
        &self,
        driver: &D,
        ends: Deadline,
        pooled: Pooled<R>,
    ) {
        let left = ends.remaining().map_or(GOODBYE, |left| left.min(GOODBYE));
        pooled.quit(driver, left).await;
    }
}

impl<R: Runtime> Drop for Turn<'_, R> {
    fn drop(&mut self) {
        if !self.pool.is_of_parent() {
            self.is_over();
        }
    }
}

/// The turns that there are in all.
fn most(options: &Options) -> usize {
    options.pool.max_connections.min(Semaphore::MAX_PERMITS)
}

pub(super) fn was_closed() -> Error {
    Error::new(Status::Closed, "the client was closed")
}

fn all_busy() -> Error {
    let text = "all connections of the pool were busy until the deadline: raise max_connections or the deadline";
    Error::new(Status::Timeout, text).at(Phase::Pool)
}
