//! Read buffers that went out as pieces of messages and come back, from any thread, to be read into again.
//!
//! Else the allocator would give their pages back to the kernel and have them made anew for each message, which costs more than
//! reading it. A buffer that comes back is empty: what a client has sent is behind its end, where nobody can read it.
//!
//! The child of a fork begins with nothing, for its parent's buffers and keepers are not its own. It may have got the lock as a thread
//! held it that is not there: nobody waits for the lock who has not had it in the same process.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::buffer::READ_BUFFER;
use crate::net::ForkGuard;

/// Buffers that are kept at the most, 4 MiB, over all servers of the process.
const MOST: usize = 64;

/// What nobody has needed for so long is given up.
const UNNEEDED: Duration = Duration::from_secs(1);

/// So often a server tries to be counted. The lock is never held for long, but by a thread that is not there.
const ATTEMPTS: usize = 100;

static SHELF: Shelf = Shelf::new();

/// An empty buffer, if one is there.
pub(super) fn take() -> Option<BytesMut> {
    SHELF.take()
}

/// Keeps the memory of a piece, if it is most of a read buffer, nobody else holds a part of that, and a server runs.
pub(super) fn give(piece: Bytes) {
    SHELF.give(piece);
}

/// Has buffers kept for as long as the future lives, and gives up what is not needed.
pub(super) async fn keep() -> Infallible {
    let Some(keeper) = Keeper::of(&SHELF) else {
        // A server serves without too.
        return pending().await;
    };
    keeper.keep().await
}

/// Where buffers wait.
#[derive(Debug)]
struct Shelf(Mutex<Content>);

#[derive(Debug)]
struct Content {
    /// Whose all this is; `None` before there was anything.
    guard: Option<ForkGuard>,
    buffers: Vec<BytesMut>,
    /// So many have lain there since a keeper looked last.
    unneeded: usize,
    keepers: usize,
    /// A keeper looks after them.
    attended: bool,
    /// Told to one keeper when there is something to look after. Not the parent's, whose keepers wait there.
    first: Option<Arc<Notify>>,
}

impl Shelf {
    const fn new() -> Self {
        Self(Mutex::new(Content::of(None, None)))
    }

    /// What is there, unless a thread is at it: to allocate costs less than to wait.
    fn content(&self) -> Option<MutexGuard<'_, Content>> {
        let mut content = self.0.try_lock().ok()?;
        if content.guard.is_none_or(ForkGuard::is_child) {
            *content = Content::of(Some(ForkGuard::new()), Some(Arc::default()));
        }
        Some(content)
    }

    fn take(&self) -> Option<BytesMut> {
        // In a child the parent's buffers are memory like any other, until something is given or kept there.
        let mut content = self.0.try_lock().ok()?;
        let buffer = content.buffers.pop();
        content.unneeded = content.unneeded.min(content.buffers.len());
        buffer
    }

    fn give(&self, piece: Bytes) {
        if piece.len() < READ_BUFFER / 2 {
            return;
        }
        let Ok(mut buffer) = piece.try_into_mut() else {
            return;
        };
        buffer.clear();
        if !buffer.try_reclaim(READ_BUFFER) || buffer.capacity() > 2 * READ_BUFFER {
            return;
        }
        let Some(mut content) = self.content() else {
            return;
        };
        if content.keepers == 0 || content.buffers.len() >= MOST {
            return;
        }
        content.buffers.push(buffer);
        if content.attended {
            return;
        }
        content.attended = true;
        let first = content.first.clone();
        drop(content);
        if let Some(first) = first {
            first.notify_one();
        }
    }
}

impl Content {
    const fn of(guard: Option<ForkGuard>, first: Option<Arc<Notify>>) -> Self {
        Self {
            guard,
            buffers: Vec::new(),
            unneeded: 0,
            keepers: 0,
            attended: false,
            first,
        }
    }
}

/// One of those who look after a shelf. With the last of them all is given up.
struct Keeper<'a> {
    shelf: &'a Shelf,
    /// Where it was counted.
    guard: ForkGuard,
    first: Arc<Notify>,
    attends: bool,
}

impl<'a> Keeper<'a> {
    /// `None` where the lock is never to be had.
    fn of(shelf: &'a Shelf) -> Option<Self> {
        let mut content = (0..ATTEMPTS).find_map(|_| {
            let content = shelf.content();
            if content.is_none() {
                thread::yield_now();
            }
            content
        })?;
        let (guard, first) = content.guard.zip(content.first.clone())?;
        content.keepers += 1;
        Some(Self {
            shelf,
            guard,
            first,
            attends: false,
        })
    }

    async fn keep(mut self) -> Infallible {
        loop {
            self.first.notified().await;
            self.attends = true;
            while self.attends {
                sleep(UNNEEDED).await;
                self.attends = self.tidy();
            }
        }
    }

    /// What is there, if it is still the same process's.
    fn content(&self) -> Option<MutexGuard<'a, Content>> {
        let is_own = !self.guard.is_child();
        is_own.then(|| self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives up what was not needed since the last time. Tells whether something is left to look after.
    fn tidy(&self) -> bool {
        let Some(mut content) = self.content() else {
            return false;
        };
        let left = content.buffers.len() - content.unneeded;
        let given_up = content.buffers.split_off(left);
        content.unneeded = left;
        content.attended = left > 0;
        drop(content);
        drop(given_up);
        left > 0
    }
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        let Some(mut content) = self.content() else {
            return;
        };
        content.keepers -= 1;
        if content.keepers > 0 {
            drop(content);
            if self.attends {
                // Another one goes on.
                self.first.notify_one();
            }
            return;
        }
        content.attended = false;
        content.unneeded = 0;
        let buffers = std::mem::take(&mut content.buffers);
        drop(content);
        drop(buffers);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};

    use tokio::time::advance;

    use super::*;

    /// A piece of a read buffer, of this length.
    fn piece(len: usize) -> Bytes {
        let mut buffer = BytesMut::with_capacity(READ_BUFFER);
        buffer.resize(len + 5, b'x');
        let piece = buffer.split_to(len);
        piece.freeze()
    }

    fn keeper(shelf: &Shelf) -> Keeper<'_> {
        Keeper::of(shelf).unwrap()
    }

    #[test]
    fn a_buffer_comes_back_empty_and_whole_from_another_thread() {
        let shelf = Shelf::new();
        let _keeper = keeper(&shelf);
        let piece = piece(READ_BUFFER - 5);
        let address = piece.as_ptr().addr();
        thread::scope(|scope| {
            scope.spawn(|| shelf.give(piece));
        });
        let buffer = shelf.take().unwrap();
        assert_eq!(buffer.as_ptr().addr(), address);
        assert!(buffer.is_empty() && buffer.capacity() == READ_BUFFER);
        assert!(shelf.take().is_none());
    }

    #[test]
    fn what_is_small_or_still_held_or_too_much_is_not_kept() {
        let shelf = Shelf::new();
        shelf.give(piece(READ_BUFFER / 2));
        assert!(shelf.take().is_none(), "no server runs");
        let keeper = keeper(&shelf);
        shelf.give(piece(READ_BUFFER / 2 - 1));
        let whole = piece(READ_BUFFER - 5);
        let part = whole.slice(1..2);
        shelf.give(whole);
        assert!(shelf.take().is_none());
        assert_eq!(part, "x");
        for _ in 0..=MOST {
            shelf.give(piece(READ_BUFFER / 2));
        }
        assert_eq!(shelf.0.lock().unwrap().buffers.len(), MOST);
        drop(keeper);
        assert!(shelf.take().is_none(), "no server runs any more");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_needs_is_given_up() {
        let shelf = Shelf::new();
        let kept = || shelf.0.lock().unwrap().buffers.len();
        let (first, second) = (keeper(&shelf), keeper(&shelf));
        let (mut first, mut second) = (Box::pin(first.keep()), Box::pin(second.keep()));
        poll(first.as_mut());
        for _ in 0..3 {
            shelf.give(piece(READ_BUFFER / 2));
        }
        poll(first.as_mut());
        advance(UNNEEDED).await;
        poll(first.as_mut());
        assert_eq!(kept(), 3, "all may have been needed");
        let mut needed = shelf.take().unwrap();
        needed.resize(READ_BUFFER / 2, 0);
        shelf.give(needed.freeze());
        // The server that looked after them ends, and the other goes on.
        drop(first);
        poll(second.as_mut());
        advance(UNNEEDED).await;
        poll(second.as_mut());
        assert_eq!(kept(), 1);
        advance(UNNEEDED).await;
        poll(second.as_mut());
        assert_eq!(kept(), 0);
    }

    #[test]
    fn the_child_of_a_fork_begins_with_nothing() {
        let shelf = Shelf::new();
        let mut parents = keeper(&shelf);
        shelf.give(piece(READ_BUFFER / 2));
        // As if it had been before the fork.
        let parent = ForkGuard::of_another_process();
        parents.guard = parent;
        shelf.0.lock().unwrap().guard = Some(parent);
        shelf.give(piece(READ_BUFFER / 2));
        assert!(shelf.take().is_none(), "no server runs here");
        let own = keeper(&shelf);
        assert!(!Arc::ptr_eq(&own.first, &parents.first));
        shelf.give(piece(READ_BUFFER / 2));
        drop(parents);
        let content = shelf.0.lock().unwrap();
        assert_eq!((content.keepers, content.buffers.len()), (1, 1));
        assert!(content.attended);
    }

    #[test]
    fn a_lock_that_nobody_will_open_holds_up_nobody() {
        let shelf = Shelf::new();
        let mut parents = keeper(&shelf);
        parents.guard = ForkGuard::of_another_process();
        let _locked = shelf.0.lock().unwrap();
        assert!(Keeper::of(&shelf).is_none());
        shelf.give(piece(READ_BUFFER / 2));
        assert!(shelf.take().is_none() && !parents.tidy());
        drop(parents);
    }

    fn poll(keeping: Pin<&mut impl Future<Output = Infallible>>) {
        let polled = keeping.poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
}
