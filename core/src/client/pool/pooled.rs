//! A connection of a pool, and what drives it.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::driver::{Driver, Runtime};
use super::limits::PoolLimits;
use crate::client::{Connection, Options};
use crate::error::{Error, Status};
use crate::net::{Deadline, ForkGuard, close_raw};

pub(crate) struct Pooled<R: Runtime> {
    /// There until it is taken for a goodbye, or dropped.
    link: Option<(Box<Connection>, R)>,
    pub(super) guard: ForkGuard,
    opened: Instant,
    /// When it came back to the pool. `None` if it never did.
    kept: Option<Instant>,
    messages: u32,
}

impl<R: Runtime> Pooled<R> {
    pub(super) async fn open<D: Driver<Runtime = R>>(
        driver: &D,
        options: &Options,
        ends: Deadline,
    ) -> Result<Self, Error> {
        let link = driver.open(options, ends).await?;
        Ok(Self {
            link: Some(link),
            guard: ForkGuard::new(),
            opened: Instant::now(),
            kept: None,
            messages: 0,
        })
    }

    /// The connection, and what drives it.
    pub(super) fn link(&mut self) -> Result<(&mut Connection, &R), Error> {
        match &mut self.link {
            Some((connection, runtime)) => Ok((connection, runtime)),
            None => Err(Error::new(
                Status::Internal,
                "a borrowed connection is missing",
            )),
        }
    }

    /// Whether it was in use before.
    pub(super) fn is_reused(&self) -> bool {
        self.kept.is_some()
    }

    /// Counts messages that went over it.
    pub(super) fn count(&mut self, messages: u32) {
        self.messages = self.messages.saturating_add(messages);
    }

    /// How many more messages it may carry.
    pub(super) fn room(&self, limits: &PoolLimits) -> u32 {
        let connection = self.link.as_ref().map(|(connection, _)| connection);
        let of_server = connection.and_then(|connection| connection.messages_left());
        let of_options = limits.max_messages.saturating_sub(self.messages);
        of_server.map_or(of_options, |left| {
            of_options.min(u32::try_from(left).unwrap_or(u32::MAX))
        })
    }

    /// Whether it may be kept for another message.
    pub(super) fn is_good(&self, limits: &PoolLimits) -> bool {
        let usable = self.link.as_ref().is_some_and(|(c, _)| c.is_usable());
        usable && self.room(limits) > 0
    }

    pub(super) fn comes_back(&mut self) {
        self.kept = Some(Instant::now());
    }

    /// Whether it was idle for too long, or has become too old.
    pub(super) fn is_old(&self, limits: &PoolLimits) -> bool {
        self.opened.elapsed() >= limits.max_age
            || self
                .kept
                .is_some_and(|k| k.elapsed() >= limits.idle_timeout)
    }

    /// Whether the server has closed it, or said something that nobody asked for.
    pub(super) async fn is_stale<D: Driver<Runtime = R>>(&mut self, driver: &D) -> bool {
        let Ok((connection, runtime)) = self.link() else {
            return true;
        };
        !matches!(
            driver.drive(runtime, pin!(connection.is_stale())).await,
            Ok(false)
        )
    }

    /// Says goodbye, and waits so long for the server to say so too. A failure is of no consequence.
    pub(super) async fn quit<D: Driver<Runtime = R>>(mut self, driver: &D, limit: Duration) {
        if self.guard.is_child() {
            return;
        }
        if let Some((mut connection, runtime)) = self.link.take() {
            if connection.is_usable() {
                connection.set_deadline(Deadline::after(None));
                let quitting = Box::pin(async { timeout(limit, connection.quit()).await });
                let _ = driver.drive(&runtime, quitting).await;
            } else {
                drop(connection);
            }
            runtime.shut_down();
        }
    }
}

impl<R: Runtime> Drop for Pooled<R> {
    fn drop(&mut self) {
        let Some((connection, runtime)) = self.link.take() else {
            return;
        };
        if self.guard.is_child() {
            // The runtime's event queue is shared with the parent: dropping the socket properly would take it out of there.
            let descriptor = connection.raw_fd();
            std::mem::forget((connection, runtime));
            close_raw(descriptor);
            return;
        }
        drop(connection);
        runtime.shut_down();
    }
}
