//! A server whose messages all go to one disposition.

use std::fmt;
use std::sync::Arc;

use super::Disposition;
use crate::error::Error;
use crate::proto::Envelope;
use crate::server::{Answers, Body, Handler, Session, SessionInfo};

/// A [`Handler`] whose sessions give every question the usual answer and every message to one [`Disposition`].
#[derive(Debug)]
pub struct Deliver<D>(Arc<End<D>>);

/// A session of [`Deliver`].
#[derive(Debug)]
pub struct Delivering<D>(Arc<End<D>>);

/// Where messages go, and who is told where one cannot be taken. Behind one pointer, so that a session is no larger than that.
struct End<D> {
    disposition: D,
    on_fault: Option<Box<OnFault>>,
}

type OnFault = dyn Fn(&SessionInfo, &Error) + Send + Sync;

impl<D: Disposition> Deliver<D> {
    /// All messages go to `disposition`.
    pub fn new(disposition: D) -> Self {
        Self(Arc::new(End {
            disposition,
            on_fault: None,
        }))
    }

    /// The same, and `on_fault` is told of each message that could not be taken for a fault that is not its client's: the answer was
    /// 451 or 452, or what the next server said to us, and the error says why, for whoever runs the server. It is called on the
    /// session's task, and so is not to block. One that panics is not missed. It stands behind [`Session::fault`], and is called only
    /// where [`Hooks::FAULT`](crate::server::Hooks::FAULT) is among the hooks, as it is unless others were set.
    ///
    /// ```
    /// use mailwire::disposition::{Deliver, Maildir};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let maildir = Maildir::create(folder.path().join("mail"))?;
    /// let handler = Deliver::with_on_fault(maildir, |session, fault| {
    ///     eprintln!("a message from {} was not taken: {fault}", session.peer());
    /// });
    /// # let _ = handler;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_on_fault(
        disposition: D,
        on_fault: impl Fn(&SessionInfo, &Error) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(End {
            disposition,
            on_fault: Some(Box::new(on_fault)),
        }))
    }
}

impl<D: Disposition> Handler for Deliver<D> {
    type Session = Delivering<D>;

    fn session(&self, _: &SessionInfo) -> Delivering<D> {
        Delivering(Arc::clone(&self.0))
    }

    fn relays(&self) -> bool {
        self.0.disposition.relays()
    }
}

impl<D: Disposition> Session for Delivering<D> {
    async fn message(
        &mut self,
        info: &SessionInfo,
        envelope: Envelope,
        body: &mut Body<'_>,
    ) -> Answers {
        self.0.disposition.take(info, &envelope, body).await
    }

    async fn fault(&mut self, info: &SessionInfo, fault: Error) {
        if let Some(on_fault) = &self.0.on_fault {
            on_fault(info, &fault);
        }
    }
}

impl<D: fmt::Debug> fmt::Debug for End<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disposition.fmt(f)
    }
}
