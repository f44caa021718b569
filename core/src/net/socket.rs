//! A plain socket, TCP or Unix, on which a write never raises SIGPIPE. The one place in the crate with `unsafe`.
//!
//! Rust programs ignore SIGPIPE; the C and Python programs that this library lives in may not, and tokio's own vectored write
//! (`writev`) would then kill them when a peer has hung up. Every write here is a `send` or `sendmsg` with `MSG_NOSIGNAL`, and where a
//! system has no such flag the socket itself is told (`SO_NOSIGPIPE`).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::RecvFlags;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// As many slices as one `sendmsg` takes (`IOV_MAX` of Linux and macOS); what is beyond them goes with the next.
const MOST_SLICES: usize = 1024;

#[cfg(not(target_vendor = "apple"))]
const FLAGS: i32 = rustix::net::SendFlags::NOSIGNAL.bits().cast_signed();
#[cfg(target_vendor = "apple")]
const FLAGS: i32 = 0;

/// A connected socket without TLS.
#[derive(Debug)]
pub(crate) enum Socket {
    /// TCP, with TCP_NODELAY.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Socket {
    /// Takes over a connected TCP socket and sends what is written to it at once: replies and commands are small, and each waits
    /// for the last one.
    pub(super) fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Self::accepted_tcp(stream)
    }

    /// The same for a socket that has TCP_NODELAY already, from its listener.
    pub(super) fn accepted_tcp(stream: TcpStream) -> io::Result<Self> {
        without_signal(&stream)?;
        Ok(Self::Tcp(stream))
    }

    /// Takes over a connected Unix socket.
    pub(super) fn unix(stream: UnixStream) -> io::Result<Self> {
        without_signal(&stream)?;
        Ok(Self::Unix(stream))
    }

    /// Looks at what has come without taking it. 0 is the end.
    pub(super) async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(buffer).await,
            Self::Unix(stream) => {
                let look = || {
                    let (seen, _) = rustix::net::recv(stream, &mut *buffer, RecvFlags::PEEK)?;
                    Ok(seen)
                };
                stream.async_io(Interest::READABLE, look).await
            }
        }
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_write_ready(cx),
            Self::Unix(stream) => stream.poll_write_ready(cx),
        }
    }

    fn try_send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let socket = SockRef::from(self);
        let send = || match slices {
            // The usual case, and cheaper: the kernel has no list of slices to fetch and look at.
            [slice] => socket.send_with_flags(slice, FLAGS),
            _ => socket.send_vectored_with_flags(slices, FLAGS),
        };
        match self {
            Self::Tcp(stream) => stream.try_io(Interest::WRITABLE, send),
            Self::Unix(stream) => stream.try_io(Interest::WRITABLE, send),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let slices = &slices[..slices.len().min(MOST_SLICES)];
        loop {
            ready!(self.poll_write_ready(cx))?;
            match self.try_send(slices) {
                // Not ready after all: try_io has forgotten the readiness, so the next round waits.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Closes a descriptor whose tokio object was leaked, in the child of a `fork`. Dropping that object instead would take the parent's
/// socket out of the epoll instance that parent and child share.
///
/// `descriptor` must come from an object that was leaked (`mem::forget`) in this process and that nothing will use again; then
/// the number belongs to nobody else.
#[allow(unsafe_code)]
pub(crate) fn close_raw(descriptor: RawFd) {
    // SAFETY: the owner of the descriptor was leaked, as required above, so nothing else closes or uses this number.
    unsafe { rustix::io::close(descriptor) }
}

/// The first number that is none of standard input, output and error.
const BEHIND_STANDARD: i32 = 3;

/// A descriptor of our own for what is open under this number, if anything is. It is closed where this process runs another program,
/// and never takes the place of a standard stream that is closed.
#[allow(unsafe_code)]
pub(super) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl takes any number, and fails for one under which nothing is open. What it gives is new, and nobody else's.
    unsafe {
        match libc::fcntl(number, libc::F_DUPFD_CLOEXEC, BEHIND_STANDARD) {
            -1 => Err(io::Error::last_os_error()),
            own => Ok(OwnedFd::from_raw_fd(own)),
        }
    }
}

/// Has the descriptor of this number closed where this process runs another program.
#[allow(unsafe_code)]
pub(super) fn close_at_exec(number: RawFd) -> io::Result<()> {
    // SAFETY: fcntl takes any number, and fails for one under which nothing is open.
    match unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Does `work` with all signals blocked on this thread. A thread that is made in it has them blocked for good.
#[allow(unsafe_code)]
pub(crate) fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: sigfillset writes the whole set, pthread_sigmask reads it and writes the other; neither keeps a pointer.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = work();
    if blocked {
        // SAFETY: the call that succeeded has written `before`.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        }
    }
    result
}

#[cfg(target_vendor = "apple")]
fn without_signal(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).set_nosigpipe(true)
}

#[cfg(not(target_vendor = "apple"))]
#[allow(clippy::unnecessary_wraps)] // it can fail on the other system
fn without_signal(_: &impl AsFd) -> io::Result<()> {
    Ok(())
}

/// Lets SIGPIPE kill this process again, as in a C program: Rust's start-up code had it ignored.
#[cfg(test)]
#[allow(unsafe_code)]
pub(super) fn restore_sigpipe() {
    // SAFETY: SIG_DFL is no function; nothing of ours runs in a handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
