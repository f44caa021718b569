//! Read buffers that went out as pieces of messages and come back, from any thread, to be read into again.
//!
//! Else the allocator would give their pages back to the kernel and have them made anew for each message, which costs more than
//! reading it. A buffer that comes back is empty: what a client has sent is behind its end, where nobody can read it.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::buffer::READ_BUFFER;

/// Buffers that are kept at the most, 4 MiB, over all servers of the process.
const MOST: usize = 64;

/// What nobody has needed for so long is given up.
const UNNEEDED: Duration = Duration::from_secs(1);

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
    Keeper::of(&SHELF).keep().await
}

/// Where buffers wait.
#[derive(Debug)]
struct Shelf {
    content: Mutex<Content>,
    /// Told to one keeper when there is something to look after.
    first: Notify,
}

#[derive(Debug)]
struct Content {
    buffers: Vec<BytesMut>,
    /// So many have lain there since a keeper looked last.
    unneeded: usize,
    keepers: usize,
    /// A keeper looks after them.
    attended: bool,
}

impl Shelf {
    const fn new() -> Self {
        let content = Content {
            buffers: Vec::new(),
            unneeded: 0,
            keepers: 0,
            attended: false,
        };
        Self {
            content: Mutex::new(content),
            first: Notify::const_new(),
        }
    }

    // Where another thread has the lock it is not waited for: to allocate costs less. In the child of a fork it may be held for ever.

    fn take(&self) -> Option<BytesMut> {
        let mut content = self.content.try_lock().ok()?;
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
        let Ok(mut content) = self.content.try_lock() else {
            return;
        };
        if content.keepers == 0 || content.buffers.len() >= MOST {
            return;
        }
        content.buffers.push(buffer);
        let unattended = !content.attended;
        content.attended = true;
        drop(content);
        if unattended {
            self.first.notify_one();
        }
    }

    /// Gives up what was not needed since the last time. Tells whether something is left to look after.
    fn tidy(&self) -> bool {
        let Ok(mut content) = self.content.lock() else {
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

/// One of those who look after a shelf. With the last of them all is given up.
struct Keeper<'a> {
    shelf: &'a Shelf,
    attends: bool,
}

impl<'a> Keeper<'a> {
    fn of(shelf: &'a Shelf) -> Self {
        if let Ok(mut content) = shelf.content.lock() {
            content.keepers += 1;
        }
        Self {
            shelf,
            attends: false,
        }
    }

    async fn keep(mut self) -> Infallible {
        loop {
            self.shelf.first.notified().await;
            self.attends = true;
            while self.attends {
                sleep(UNNEEDED).await;
                self.attends = self.shelf.tidy();
            }
        }
    }
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        let Ok(mut content) = self.shelf.content.lock() else {
            return;
        };
        content.keepers -= 1;
        if content.keepers > 0 {
            drop(content);
            if self.attends {
                // Another one goes on.
                self.shelf.first.notify_one();
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
    use std::thread;

    use tokio::time::advance;

    use super::*;

    /// A piece of a read buffer, of this length.
    fn piece(len: usize) -> Bytes {
        let mut buffer = BytesMut::with_capacity(READ_BUFFER);
        buffer.resize(len + 5, b'x');
        let piece = buffer.split_to(len);
        piece.freeze()
    }

    #[test]
    fn a_buffer_comes_back_empty_and_whole_from_another_thread() {
        let shelf = Shelf::new();
        let _keeper = Keeper::of(&shelf);
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
        let keeper = Keeper::of(&shelf);
        shelf.give(piece(READ_BUFFER / 2 - 1));
        let whole = piece(READ_BUFFER - 5);
        let part = whole.slice(1..2);
        shelf.give(whole);
        assert!(shelf.take().is_none());
        assert_eq!(part, "x");
        for _ in 0..=MOST {
            shelf.give(piece(READ_BUFFER / 2));
        }
        assert_eq!(shelf.content.lock().unwrap().buffers.len(), MOST);
        drop(keeper);
        assert!(shelf.take().is_none(), "no server runs any more");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_needs_is_given_up() {
        let shelf = Shelf::new();
        let kept = || shelf.content.lock().unwrap().buffers.len();
        let (first, second) = (Keeper::of(&shelf), Keeper::of(&shelf));
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

    fn poll(keeping: Pin<&mut impl Future<Output = Infallible>>) {
        let polled = keeping.poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
}
