//! Sending to a client within the limits of time, and the last words to it.

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Channel, Ended, LAST_WORDS, gone, poll_alarm};
use crate::error::Status;
use crate::server::buffer::{READ_BUFFER, give_back, make_room, overwrite};

/// What is read of a client that goes on talking behind our last words.
const LINGER: usize = 256 * 1024;

/// Sending to the client. What was waited for counts as with [`Waiting`](super::Waiting).
struct Sending<'a> {
    channel: &'a mut Channel,
    /// Most writes need not wait, and no clock.
    since: Option<Instant>,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if let Some(since) = self.since {
            self.channel.unsent += since.elapsed();
        }
    }
}

impl Channel {
    /// Sends what there is to send.
    pub(in crate::server) async fn flush(&mut self) -> Result<(), Ended> {
        if self.stream.is_none() {
            return Err(gone(self.phase()));
        }
        let mut sending = Sending {
            channel: self,
            since: None,
        };
        let sent = poll_fn(move |cx| sending.channel.poll_flush(cx, &mut sending.since)).await;
        self.unsent = Duration::ZERO;
        sent
    }

    /// Writes what there is to send. `since` is set once there is something to wait for.
    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        since: &mut Option<Instant>,
    ) -> Poll<Result<(), Ended>> {
        let Some(stream) = self.stream.as_mut() else {
            return Poll::Ready(Err(gone(self.phase())));
        };
        while self.machine.has_output() {
            let mut slices = [IoSlice::new(&[]); 4];
            let mut count = 0;
            for (place, slice) in slices.iter_mut().zip(self.machine.transmit()) {
                *place = slice;
                count += 1;
            }
            let error = match Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]) {
                Poll::Ready(Ok(0)) => ErrorKind::WriteZero.into(),
                Poll::Ready(Ok(octets)) => {
                    self.sent += octets as u64;
                    self.machine.sent(octets);
                    continue;
                }
                Poll::Ready(Err(error)) => error,
                Poll::Pending => return self.or_alarm(cx, since),
            };
            return Poll::Ready(Err(Ended::io(error, self.phase())));
        }
        match Pin::new(stream).poll_flush(cx) {
            Poll::Pending => self.or_alarm(cx, since),
            Poll::Ready(flushed) => {
                Poll::Ready(flushed.map_err(|error| Ended::io(error, self.phase())))
            }
        }
    }

    /// Waits until the client has to have taken what is sent to it, as told when that is over.
    fn or_alarm(
        &mut self,
        cx: &mut Context<'_>,
        since: &mut Option<Instant>,
    ) -> Poll<Result<(), Ended>> {
        self.waker = None;
        let since = *since.get_or_insert_with(Instant::now);
        if !self.shared.stop.begun() {
            // Or else this is woken when it does. It may have done so now: then that counts below.
            let _ = self.shutdown.as_mut().poll(cx);
        }
        let limit = self.shared.options.idle_timeout;
        let idle = since + limit.saturating_sub(self.unsent);
        let login = self.login_until.unwrap_or(idle);
        let own = idle.min(login).min(self.end);
        let stop = self.stop_limit(Some(since)).filter(|stop| *stop < own);
        poll_alarm(&mut self.alarm, cx, stop.unwrap_or(own)).map(|()| {
            let (status, text) = if stop.is_some() {
                let text =
                    "the server was shut down, and the client did not read what was sent to it";
                (Status::Closed, text)
            } else {
                (
                    Status::Timeout,
                    "the client does not read what is sent to it",
                )
            };
            Err(Ended::new(status, self.phase(), text))
        })
    }

    /// Says the last words and closes. After `quit` nobody talks any more; else what the client still sends is read for a moment, for a
    /// connection that is closed over unread bytes is reset, and the last words are lost with it. When the server stops, only who
    /// has sent something by now is so read, and nothing is waited for once its time is over.
    pub(in crate::server) async fn close(&mut self, quit: bool) {
        // Seldom is anything left, and then it may be half of a login.
        overwrite(&mut self.input);
        let over = Instant::now() + LAST_WORDS;
        let deadline = self.shared.stop.deadline().unwrap_or(over);
        let closing = async {
            if self.machine.has_output() && self.flush().await.is_err() {
                return;
            }
            let Some(stream) = self.stream.as_mut() else {
                return;
            };
            if stream.shutdown().await.is_err() || quit {
                return;
            }
            let mut read = 0;
            let mut patience = if self.shared.stop.begun() {
                Duration::ZERO
            } else {
                LAST_WORDS
            };
            while read < LINGER {
                self.input.clear();
                make_room(&mut self.input, READ_BUFFER);
                match timeout(patience, stream.read_unheard(&mut self.input)).await {
                    Ok(Ok(octets)) if octets > 0 => read += octets,
                    _ => break,
                }
                patience = LAST_WORDS;
            }
        };
        // Where nothing can be waited for, what need not wait is done.
        let _ = timeout_at(over.min(deadline), closing).await;
        self.count_octets();
        self.input.clear();
        give_back(&mut self.input);
    }
}
