//! Sending to a client within the limits of time, and the last words to it.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::{Channel, Ended, gone, poll_alarm};
use crate::error::Status;
use crate::server::buffer::{READ_BUFFER, give_back, make_room, overwrite};

/// How long the other side is given to take our last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
        let phase = self.phase();
        if self.stream.is_none() {
            return Err(gone(phase));
        }
        let mut sending = Sending {
            channel: self,
            since: None,
        };
        let sent = poll_fn(move |cx| sending.channel.poll_flush(cx, &mut sending.since)).await;
        self.unsent = Duration::ZERO;
        sent.map_err(|error| match error.kind() {
            // Our own alarm.
            std::io::ErrorKind::TimedOut => {
                let text = "the client does not read what is sent to it";
                Ended::new(Status::Timeout, phase, text)
            }
            _ => Ended::io(error, phase),
        })
    }

    /// Writes what there is to send. `since` is set once there is something to wait for.
    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        since: &mut Option<Instant>,
    ) -> Poll<std::io::Result<()>> {
        let Some(stream) = self.stream.as_mut() else {
            return Poll::Ready(Err(std::io::ErrorKind::NotConnected.into()));
        };
        while self.machine.has_output() {
            let mut slices = [IoSlice::new(&[]); 4];
            let mut count = 0;
            for (place, slice) in slices.iter_mut().zip(self.machine.transmit()) {
                *place = slice;
                count += 1;
            }
            match Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(octets)) => {
                    self.sent += octets as u64;
                    self.machine.sent(octets);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.or_alarm(cx, since),
            }
        }
        match Pin::new(stream).poll_flush(cx) {
            Poll::Pending => self.or_alarm(cx, since),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn or_alarm(
        &mut self,
        cx: &mut Context<'_>,
        since: &mut Option<Instant>,
    ) -> Poll<std::io::Result<()>> {
        self.waker = None;
        let since = *since.get_or_insert_with(Instant::now);
        let limit = self.shared.options.idle_timeout;
        let idle = since + limit.saturating_sub(self.unsent);
        let until = self.login_until.map_or(idle, |login| login.min(idle));
        poll_alarm(&mut self.alarm, cx, until).map(|()| Err(std::io::ErrorKind::TimedOut.into()))
    }

    /// Says the last words and closes. After `quit` nobody talks any more, nor do idle clients that a shutdown ends; else what the
    /// client still sends is read for a moment, for a connection that is closed over unread bytes is reset, and the last words
    /// are lost with it.
    pub(in crate::server) async fn close(&mut self, quit: bool) {
        // Seldom is anything left, and then it may be half of a login.
        overwrite(&mut self.input);
        let closing = async {
            if self.machine.has_output() && self.flush().await.is_err() {
                return;
            }
            let Some(stream) = self.stream.as_mut() else {
                return;
            };
            if stream.shutdown().await.is_err() || quit || self.shared.stop.begun() {
                return;
            }
            let mut read = 0;
            while read < LINGER {
                self.input.clear();
                make_room(&mut self.input, READ_BUFFER);
                match stream.read_unheard(&mut self.input).await {
                    Ok(0) | Err(_) => break,
                    Ok(octets) => read += octets,
                }
            }
        };
        let _ = timeout(LAST_WORDS, closing).await;
        self.count_octets();
        self.input.clear();
        give_back(&mut self.input);
    }
}
