//! A token that stops calls: from another thread, or from a signal handler.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;

use crate::error::{Error, Status};

/// How often the flag is looked at where no descriptor is left to wait on.
const WITHOUT_DESCRIPTOR: Duration = Duration::from_millis(20);

/// Stops the calls it was given to, once and for good. Clones are the same token.
///
/// ```
/// use mailwire::Cancel;
///
/// let cancel = Cancel::new()?;
/// let other = cancel.clone();
/// std::thread::spawn(move || other.signal()).join().unwrap();
/// assert!(cancel.is_signalled());
/// # Ok::<(), mailwire::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cancel(Arc<Token>);

#[derive(Debug)]
struct Token {
    signalled: AtomicBool,
    /// Readable for ever once one byte is in it: nobody takes it out. That is what lets any number of waiters wake.
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Cancel {
    /// A token that was not signalled yet. Needs two descriptors, and fails with [`Status::Io`] where there are none left.
    pub fn new() -> Result<Self, Error> {
        let (reader, writer) = pipe().map_err(|error| {
            Error::new(
                Status::Io,
                format!("no pipe can be made for a cancel token: {error}"),
            )
            .with_source(error)
        })?;
        Ok(Self(Arc::new(Token {
            signalled: AtomicBool::new(false),
            reader,
            writer,
        })))
    }

    /// Stops every call that has this token, and every later one. May be called from any thread and from a signal handler: it
    /// is one atomic exchange and one write of one byte, without a lock or an allocation.
    pub fn signal(&self) {
        if !self.0.signalled.swap(true, Ordering::SeqCst) {
            // The pipe is empty and its reader lives as long as this token: the byte always has room.
            let _ = rustix::io::write(&self.0.writer, &[1]);
        }
    }

    /// Whether it was signalled.
    pub fn is_signalled(&self) -> bool {
        self.0.signalled.load(Ordering::SeqCst)
    }

    /// A descriptor that turns readable when it is signalled and stays so, for `poll` and the like. Do not read from it. It is
    /// open as long as any clone of the token.
    pub fn fd(&self) -> RawFd {
        self.0.reader.as_raw_fd()
    }

    /// Waits until it is signalled. Any number of tasks on any number of tokio runtimes (with I/O turned on) may wait at once.
    /// Dropping the future takes nothing along.
    pub async fn cancelled(&self) {
        if self.is_signalled() {
            return;
        }
        // A descriptor of its own for each waiter: one runtime cannot have the same one registered twice.
        if let Ok(own) = self.0.reader.as_fd().try_clone_to_owned()
            && let Ok(waiter) = Receiver::from_owned_fd_unchecked(own)
            && waiter.readable().await.is_ok()
            && self.is_signalled()
        {
            return;
        }
        while !self.is_signalled() {
            tokio::time::sleep(WITHOUT_DESCRIPTOR).await;
        }
    }
}

impl AsFd for Cancel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.reader.as_fd()
    }
}

/// A pipe whose ends close on exec, and whose writer never waits.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    rustix::io::ioctl_fionbio(&writer, true)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader, writer))
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_readable(cancel: &Cancel) -> bool {
        let mut fds = [PollFd::new(cancel, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn waiters_on_two_runtimes_wake_and_so_do_later_ones() {
        let cancel = Cancel::new().unwrap();
        let barrier = Arc::new(Barrier::new(3));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (cancel, barrier) = (cancel.clone(), Arc::clone(&barrier));
                thread::spawn(move || {
                    runtime().block_on(async {
                        let first = cancel.cancelled();
                        let second = cancel.cancelled();
                        tokio::pin!(first, second);
                        // Both wait on this one runtime before the signal comes.
                        let early = tokio::time::timeout(Duration::from_millis(20), async {
                            tokio::join!(&mut first, &mut second)
                        });
                        assert!(early.await.is_err(), "woken without a signal");
                        barrier.wait();
                        tokio::time::timeout(Duration::from_secs(5), async {
                            tokio::join!(first, second)
                        })
                        .await
                        .expect("never woken");
                    });
                    Instant::now()
                })
            })
            .collect();
        barrier.wait();
        let begun = Instant::now();
        cancel.signal();
        for waiter in waiters {
            let woken = waiter.join().unwrap();
            assert!(woken.saturating_duration_since(begun) < Duration::from_secs(1));
        }
        runtime().block_on(cancel.cancelled());
        assert!(is_readable(&cancel), "a waiter drained the pipe");
    }

    #[test]
    fn the_descriptor_turns_readable_once_and_stays_so() {
        let cancel = Cancel::new().unwrap();
        assert!(!cancel.is_signalled());
        assert!(!is_readable(&cancel));
        // More signals than a pipe has room for would block if each wrote.
        for _ in 0..100_000 {
            cancel.signal();
        }
        assert!(cancel.is_signalled());
        assert!(is_readable(&cancel));
        assert_eq!(cancel.fd(), cancel.as_fd().as_raw_fd());
    }

    #[test]
    fn its_descriptors_close_on_exec() {
        let cancel = Cancel::new().unwrap();
        for end in [&cancel.0.reader, &cancel.0.writer] {
            let flags = rustix::io::fcntl_getfd(end).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }
}
