//! What `tracing` is told of a session: a span for its connection, and in it an event for each thing that happens. Without the
//! feature, and where no subscriber wants it, nothing is made.

use super::Kind;

/// The span of one connection.
#[derive(Debug)]
pub(super) struct Span {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

#[cfg(not(feature = "tracing"))]
#[allow(clippy::unused_self, reason = "with the feature it is used")]
impl Span {
    pub(super) fn begin(_number: u64, _peer: &str) -> Self {
        Self {}
    }

    pub(super) fn is_wanted(&self) -> bool {
        false
    }

    pub(super) fn wants_lines(&self) -> bool {
        false
    }

    pub(super) fn tell(&self, _kind: &Kind) {}
}

#[cfg(feature = "tracing")]
impl Span {
    pub(super) fn begin(number: u64, peer: &str) -> Self {
        let span = tracing::info_span!(
            target: "mailwire",
            "connection",
            session = number,
            peer,
            tls = tracing::field::Empty,
        );
        Self { span }
    }

    /// Whether anybody listens.
    pub(super) fn is_wanted(&self) -> bool {
        !self.span.is_disabled()
    }

    pub(super) fn wants_lines(&self) -> bool {
        self.is_wanted() && tracing::enabled!(target: "mailwire", tracing::Level::TRACE)
    }

    pub(super) fn tell(&self, kind: &Kind) {
        // The span is named, and not entered: other work may be done on this thread before the session ends.
        let span = &self.span;
        match kind {
            Kind::Line { from, text, hidden } => {
                let from = from.name();
                tracing::trace!(target: "mailwire", parent: span, from, hidden, "{text}");
            }
            Kind::Message { from, octets } => {
                let from = from.name();
                tracing::trace!(target: "mailwire", parent: span, from, octets, "{kind}");
            }
            Kind::TlsEstablished {
                version, verified, ..
            } => {
                span.record("tls", version.name());
                tracing::debug!(target: "mailwire", parent: span, verified, "{kind}");
            }
            Kind::Failed { status, .. } => {
                let status = status.number();
                tracing::info!(target: "mailwire", parent: span, status, "{kind}");
            }
            _ => tracing::debug!(target: "mailwire", parent: span, "{kind}"),
        }
    }
}
