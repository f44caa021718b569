//! A server whose messages all go to one disposition.

use std::sync::Arc;

use super::Disposition;
use crate::proto::Envelope;
use crate::server::{Answers, Body, Handler, Session, SessionInfo};

/// A [`Handler`] whose sessions give every question the usual answer and every message to one [`Disposition`].
#[derive(Debug)]
pub struct Deliver<D>(Arc<D>);

/// A session of [`Deliver`].
#[derive(Debug)]
pub struct Delivering<D>(Arc<D>);

impl<D: Disposition> Deliver<D> {
    /// All messages go to `disposition`.
    pub fn new(disposition: D) -> Self {
        Self(Arc::new(disposition))
    }
}

impl<D: Disposition> Handler for Deliver<D> {
    type Session = Delivering<D>;

    fn session(&self, _: &SessionInfo) -> Delivering<D> {
        Delivering(Arc::clone(&self.0))
    }

    fn relays(&self) -> bool {
        self.0.relays()
    }
}

impl<D: Disposition> Session for Delivering<D> {
    async fn message(
        &mut self,
        info: &SessionInfo,
        envelope: Envelope,
        body: &mut Body<'_>,
    ) -> Answers {
        self.0.take(info, &envelope, body).await
    }
}
