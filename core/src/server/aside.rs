//! Work that takes long, done where it holds up no thread that serves sessions: deriving keys of passwords.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::serve::Shared;

/// Turns at such work: as many at once as there are processors, however many clients log in.
#[derive(Debug)]
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(super) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        Self(Arc::new(Semaphore::new(processors)))
    }
}

/// Does the work on a thread for such. `None` if it panics or the runtime ends.
pub(super) async fn aside<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> T + Send + 'static,
) -> Option<T> {
    let turn = Arc::clone(&shared.turns.0).acquire_owned().await.ok()?;
    let shared = Arc::clone(shared);
    let working = spawn_blocking(move || {
        // Given back when the work is done, even if its session is gone by then.
        let _turn = turn;
        work(&shared)
    });
    working.await.ok()
}
