//! A timer for waits that are most often over long before their time: it stays set between them.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// Waits until `until`. The one timer of a session is moved only where it goes off too early or would go off too late: most waits
/// are over long before, and cost it nothing.
pub(crate) fn poll_alarm(
    alarm: &mut Option<Pin<Box<Sleep>>>,
    cx: &mut Context<'_>,
    until: Instant,
) -> Poll<()> {
    let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(until)));
    if alarm.deadline() > until {
        alarm.as_mut().reset(until);
    }
    while alarm.as_mut().poll(cx).is_ready() {
        if alarm.deadline() >= until {
            return Poll::Ready(());
        }
        alarm.as_mut().reset(until);
    }
    Poll::Pending
}

/// Whether the alarm is still to go off, at `until` or before.
pub(super) fn will_ring(alarm: &Sleep, until: Instant) -> bool {
    !alarm.is_elapsed() && alarm.deadline() <= until
}
