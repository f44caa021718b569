//! Calls the hooks of an application: one that panics is over, and nothing else is.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// Calls a hook. `None` if it panics.
pub(super) fn begun<F>(hook: impl FnOnce() -> F) -> Option<F> {
    catch_unwind(AssertUnwindSafe(hook)).ok()
}

/// Runs a hook to its end. `None` if it panics: then it is over, and nothing else is. It is lent, since a future that were handed from
/// one function to the next would have its room in each of them.
pub(super) fn guarded<F: Future>(
    mut hook: Pin<&mut Option<F>>,
) -> impl Future<Output = Option<F::Output>> {
    poll_fn(move |cx| {
        let Some(hook) = hook.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        match catch_unwind(AssertUnwindSafe(|| hook.poll(cx))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
}
