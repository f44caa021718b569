//! The events that wait for the application, and the descriptor that tells of them.

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::Notify;

use super::event::Event;
use super::post::Post;
use crate::blocking::call::{Call, TICK};
use crate::error::{Error, Status};

/// So many events wait before sessions that only inform are held back, and before those that nobody waits for are looked for.
pub(super) const MOST: usize = 4096;

/// The queue between the I/O threads and the application.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// One octet is in the pipe while [`State::told`].
    reader: PipeReader,
    writer: PipeWriter,
    /// Events that the application has taken and not answered.
    open: AtomicUsize,
    /// No I/O thread runs any more.
    ending: AtomicBool,
    /// There may be room for more events now.
    room: Notify,
    answer_timeout: Duration,
}

#[derive(Debug)]
struct State {
    events: VecDeque<Event>,
    told: bool,
    /// Nobody takes events any more.
    closed: bool,
    /// With so many events it is time to look for those that nobody waits for any more.
    crowded: usize,
    /// When the last event that was taken will be too late to answer.
    last_answer: Instant,
    /// Why it ended, if not because it was told to.
    failure: Option<String>,
}

/// What came of looking for events.
pub(super) enum Taken {
    /// At least one.
    Events(Vec<Event>),
    /// None now. `ending`: only answers are still to come.
    None { ending: bool },
    /// None ever again, and why.
    End(String),
}

impl State {
    /// Takes out the events that nobody waits for any more, if there are so many events that it is time to look. They are to be
    /// dropped when the lock was given back.
    fn too_late(&mut self) -> VecDeque<Event> {
        if self.events.len() < self.crowded {
            return VecDeque::new();
        }
        let (late, left) = std::mem::take(&mut self.events)
            .into_iter()
            .partition(Event::is_too_late);
        self.events = left;
        // So each event is looked at a few times at the most, however many wait.
        self.crowded = (2 * self.events.len()).max(MOST);
        late
    }
}

impl Queue {
    pub(super) fn new(answer_timeout: Duration) -> Result<Self, Error> {
        let pipe = || {
            let (reader, writer) = io::pipe()?;
            rustix::io::ioctl_fionbio(&reader, true)?;
            rustix::io::ioctl_fionbio(&writer, true)?;
            Ok((reader, writer))
        };
        let (reader, writer) = pipe().map_err(|error: io::Error| {
            Error::new(
                Status::Io,
                format!("no pipe can be made for the queue: {error}"),
            )
            .with_source(error)
        })?;
        Ok(Self {
            state: Mutex::new(State {
                events: VecDeque::new(),
                told: false,
                closed: false,
                crowded: MOST,
                last_answer: Instant::now(),
                failure: None,
            }),
            reader,
            writer,
            open: AtomicUsize::new(0),
            ending: AtomicBool::new(false),
            room: Notify::new(),
            answer_timeout,
        })
    }

    /// Adds events.
    pub(super) fn put(&self, events: Vec<Event>) {
        let mut state = self.state();
        if state.closed {
            drop(state);
            // Dropping answers them.
            drop(events);
            return;
        }
        state.events.extend(events);
        let late = state.too_late();
        self.tell(&mut state);
        drop(state);
        if !late.is_empty() {
            self.room.notify_waiters();
        }
        drop(late);
    }

    /// Waits until fewer than [`MOST`] events wait, with those in `post` that are still on their way here. For sessions that only
    /// inform: nothing else would hold back a client that has them do so faster than the application takes events.
    pub(super) async fn room(&self, post: &Post) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Listening begins before the look, or room that is made in between would go unheard.
            room.as_mut().enable();
            if self.len() + post.waiting() < MOST {
                return;
            }
            room.await;
        }
    }

    /// Takes up to `max` events. Those that nobody waits for any more are left out.
    pub(super) fn take(self: &Arc<Self>, max: usize) -> Taken {
        let mut late = Vec::new();
        let mut taken = Vec::new();
        let mut state = self.state();
        while taken.len() < max
            && let Some(mut event) = state.events.pop_front()
        {
            if event.is_too_late() {
                late.push(event);
                continue;
            }
            if event.taken_from(self) {
                self.open.fetch_add(1, Ordering::SeqCst);
                state.last_answer = Instant::now() + self.answer_timeout;
            }
            taken.push(event);
        }
        let ended = state.events.is_empty() && self.has_ended(&state);
        if ended {
            // Others wait who saw nothing of it.
            self.tell(&mut state);
        } else if state.events.is_empty() {
            self.take_back(&mut state);
        }
        if state.events.len() < MOST {
            self.room.notify_waiters();
        }
        let failure = if ended { state.failure.clone() } else { None };
        drop(state);
        drop(late);
        if !taken.is_empty() {
            Taken::Events(taken)
        } else if ended {
            Taken::End(failure.unwrap_or_else(|| "the server was shut down".to_owned()))
        } else {
            Taken::None {
                ending: self.ending.load(Ordering::SeqCst),
            }
        }
    }

    /// Waits for an event, at most for `left`. Tells whether it is time to look if the call was cancelled.
    pub(super) fn wait(
        &self,
        left: Option<Duration>,
        ending: bool,
        call: Call<'_>,
    ) -> Result<bool, Error> {
        // At the end the last answer may come too late, which no descriptor tells.
        let look = if ending || call.interrupted.is_some() {
            TICK
        } else {
            self.answer_timeout
        };
        let limit = left.map_or(look, |left| left.min(look));
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let queue = PollFd::new(&self.reader, PollFlags::IN);
        let waited = match call.cancel {
            Some(cancel) => poll(
                &mut [queue, PollFd::new(cancel, PollFlags::IN)],
                Some(&limit),
            ),
            None => poll(&mut [queue], Some(&limit)),
        };
        match waited {
            // A signal may be why the caller wants to stop.
            Ok(0) | Err(Errno::INTR) => Ok(true),
            Ok(_) => Ok(call.cancel.is_some()),
            Err(error) => {
                let error = io::Error::from(error);
                Err(
                    Error::new(Status::Io, format!("cannot wait for events: {error}"))
                        .with_source(error),
                )
            }
        }
    }

    /// An event that had been taken was answered.
    pub(super) fn answered(&self) {
        if self.open.fetch_sub(1, Ordering::SeqCst) == 1 && self.ending.load(Ordering::SeqCst) {
            let mut state = self.state();
            self.tell(&mut state);
        }
    }

    /// No I/O thread runs any more: what is left of the queue is all that comes.
    pub(super) fn end(&self, failure: Option<String>) {
        let mut state = self.state();
        state.failure = failure;
        self.ending.store(true, Ordering::SeqCst);
        // Also where answers are still to come: who waits without looking at the clock must begin to.
        self.tell(&mut state);
    }

    /// Nobody takes events any more: all that wait and all that come are dropped, and so answered.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let events = std::mem::take(&mut state.events);
        drop(state);
        drop(events);
        self.room.notify_waiters();
    }

    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.state().events.len()
    }

    /// How many events were taken and are not answered.
    pub(super) fn unanswered(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    /// Its own descriptors.
    pub(super) fn descriptors(&self) -> [RawFd; 2] {
        [self.reader.as_raw_fd(), self.writer.as_raw_fd()]
    }

    /// Whether nothing but what waits is left: the threads are gone, and what was taken is answered or too late.
    fn has_ended(&self, state: &State) -> bool {
        self.ending.load(Ordering::SeqCst)
            && (self.open.load(Ordering::SeqCst) == 0 || state.last_answer <= Instant::now())
    }

    /// Makes the descriptor readable.
    fn tell(&self, state: &mut State) {
        if !state.told {
            // At most one octet is ever in the pipe: there is room.
            state.told = rustix::io::write(&self.writer, &[1]).is_ok();
        }
    }

    /// Makes it not readable.
    fn take_back(&self, state: &mut State) {
        if state.told {
            state.told = rustix::io::read(&self.reader, &mut [0_u8; 1]).is_err();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
