//! The options of a pool: how many connections it keeps, for how long, and how fast it sends.

use std::time::Duration;

use crate::client::Options;
use crate::error::Error;

/// How many connections a pool keeps, for how long, and how fast it sends.
#[derive(Debug, Clone)]
pub(crate) struct PoolLimits {
    pub(super) max_connections: usize,
    pub(super) idle_timeout: Duration,
    pub(super) max_age: Duration,
    pub(super) max_messages: u32,
    pub(super) messages_per_second: Option<f64>,
    pub(super) recipients_per_second: Option<f64>,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            max_connections: 8,
            idle_timeout: Duration::from_secs(60),
            max_age: Duration::from_secs(3600),
            max_messages: 1000,
            messages_per_second: None,
            recipients_per_second: None,
        }
    }
}

impl Options {
    /// The most connections that a pooled client has open at a time. 8 by default.
    pub fn set_max_connections(&mut self, connections: usize) -> Result<(), Error> {
        if connections == 0 {
            return Err(Error::invalid("max_connections: at least one is needed"));
        }
        self.pool.max_connections = connections;
        Ok(())
    }

    /// How long a pooled connection may be idle. 60 s by default. Idle connections are looked at when one is borrowed or comes back:
    /// those that were idle for too long are closed then, and a client that nobody uses keeps them open until it is closed itself.
    pub fn set_idle_timeout(&mut self, timeout: Duration) {
        self.pool.idle_timeout = timeout;
    }

    /// How old a pooled connection may get. An hour by default. What is under way when it comes to that age is not cut short.
    pub fn set_max_age(&mut self, age: Duration) {
        self.pool.max_age = age;
    }

    /// How many messages a pooled connection carries before it is replaced. 1000 by default.
    pub fn set_max_messages(&mut self, messages: u32) -> Result<(), Error> {
        if messages == 0 {
            return Err(Error::invalid("max_messages: at least one is needed"));
        }
        self.pool.max_messages = messages;
        Ok(())
    }

    /// How many messages a second a pooled client sends, over all of its connections: a number above zero, and 0.5 is one in two
    /// seconds. No limit by default.
    ///
    /// After a pause what one second allows, and at least one message, may leave at once. Calls wait for their turn, first come, first
    /// served. One whose turn would come behind its deadline fails at once with [`Status::Timeout`](crate::Status::Timeout) in
    /// [`Phase::Pool`](crate::Phase::Pool): nothing of it was sent.
    pub fn set_max_messages_per_second(&mut self, messages: Option<f64>) -> Result<(), Error> {
        self.pool.messages_per_second = rate("max_messages_per_second", messages)?;
        Ok(())
    }

    /// How many recipients a second the messages of a pooled client may have, over all of its connections: like
    /// [`set_max_messages_per_second`](Self::set_max_messages_per_second). A message with more of them than that leaves whole, and
    /// those behind it wait the longer. No limit by default.
    pub fn set_max_recipients_per_second(&mut self, recipients: Option<f64>) -> Result<(), Error> {
        self.pool.recipients_per_second = rate("max_recipients_per_second", recipients)?;
        Ok(())
    }
}

fn rate(name: &str, rate: Option<f64>) -> Result<Option<f64>, Error> {
    match rate {
        Some(rate) if !(rate.is_finite() && rate > 0.0) => Err(Error::invalid(format!(
            "{name}: it must be a number above zero"
        ))),
        rate => Ok(rate),
    }
}
