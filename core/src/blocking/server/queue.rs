//! The events that wait for the application, and how its threads are told of them.

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::Notify;

use super::event::Event;
use super::post::Post;
use crate::blocking::call::{Call, TICK};
use crate::error::{Error, Status};
use crate::net::Cancel;

/// So many events wait before sessions that only inform are held back, and before those that nobody waits for are looked for.
pub(super) const MOST: usize = 4096;

/// The queue between the I/O threads and the application.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Wakes threads that wait for nothing but this.
    something: Condvar,
    /// For those that wait for something else too: one octet is in the pipe, or soon will be, while [`Waiting::told`].
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
    waiting: Waiting,
    /// Nobody takes events any more.
    closed: bool,
    /// With so many events it is time to look for those that nobody waits for any more.
    crowded: usize,
    /// When the last event that was taken will be too late to answer.
    last_answer: Instant,
    failure: Option<Failure>,
}

/// Why a server has ended that nobody told to.
pub(super) type Failure = (Status, String);

/// Who waits, and who of them was told.
#[derive(Debug, Default)]
struct Waiting {
    /// The descriptor is readable, or soon will be.
    told: bool,
    /// The application waits for the descriptor itself, at times that we do not know.
    watched: bool,
    /// Threads of ours that wait for the descriptor.
    polling: usize,
    /// Threads that wait for [`Queue::something`].
    parked: usize,
    /// One of those was woken and has not come yet. It wakes the next one if it leaves something.
    woken: bool,
}

/// What came of looking for events.
pub(super) enum Taken {
    /// At least one.
    Events(Vec<Event>),
    /// None now. `ending`: only answers are still to come.
    None { ending: bool },
    /// None ever again.
    End(Option<Failure>),
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
                waiting: Waiting::default(),
                closed: false,
                crowded: MOST,
                last_answer: Instant::now(),
                failure: None,
            }),
            something: Condvar::new(),
            reader,
            writer,
            open: AtomicUsize::new(0),
            ending: AtomicBool::new(false),
            room: Notify::new(),
            answer_timeout,
        })
    }

    /// Adds events, and leaves the room that they were in.
    pub(super) fn put(&self, events: &mut Vec<Event>) {
        let mut state = self.state();
        if state.closed {
            drop(state);
            // Dropping answers them.
            events.clear();
            return;
        }
        state.events.extend(events.drain(..));
        let late = state.too_late();
        self.tell(state);
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
            if self.has_room(post) {
                return;
            }
            room.await;
        }
    }

    /// Whether fewer than [`MOST`] events wait, with those in `post`.
    pub(super) fn has_room(&self, post: &Post) -> bool {
        self.len() + post.waiting() < MOST
    }

    /// Takes up to `max` events. Those that nobody waits for any more are left out.
    pub(super) fn take(self: &Arc<Self>, max: usize) -> Taken {
        let mut late = Vec::new();
        let mut state = self.state();
        let mut taken = Vec::with_capacity(max.min(state.events.len()));
        let mut owing = 0;
        while taken.len() < max
            && let Some(mut event) = state.events.pop_front()
        {
            if event.is_too_late() {
                late.push(event);
                continue;
            }
            owing += usize::from(event.taken_from(self));
            taken.push(event);
        }
        if owing > 0 {
            self.open.fetch_add(owing, Ordering::SeqCst);
            state.last_answer = Instant::now() + self.answer_timeout;
        }
        let empty = state.events.is_empty();
        let ended = empty && self.has_ended(&state);
        if empty && !ended {
            self.take_back(&mut state);
        }
        if state.events.len() < MOST {
            self.room.notify_waiters();
        }
        let failure = if ended { state.failure.clone() } else { None };
        if ended {
            // Others wait who saw nothing of it.
            self.tell_all(state);
        } else if empty {
            drop(state);
        } else {
            self.tell(state);
        }
        drop(late);
        if !taken.is_empty() {
            Taken::Events(taken)
        } else if ended {
            Taken::End(failure)
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
        let mut state = self.state();
        // What came since this thread looked was told to those who waited then.
        let changed = !state.events.is_empty()
            || self.ending.load(Ordering::SeqCst) != ending
            || self.has_ended(&state);
        if changed {
            return Ok(call.cancel.is_some());
        }
        let Some(cancel) = call.cancel else {
            state.waiting.parked += 1;
            let waited = self.something.wait_timeout(state, limit);
            let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state.waiting.parked -= 1;
            state.waiting.woken = false;
            return Ok(waited.timed_out());
        };
        state.waiting.polling += 1;
        drop(state);
        let waited = self.poll(cancel, limit);
        self.state().waiting.polling -= 1;
        waited.map_err(|error| {
            let error = io::Error::from(error);
            Error::new(Status::Io, format!("cannot wait for events: {error}")).with_source(error)
        })?;
        Ok(true)
    }

    fn poll(&self, cancel: &Cancel, limit: Duration) -> Result<(), Errno> {
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(limit.subsec_nanos()),
        };
        let queue = PollFd::new(&self.reader, PollFlags::IN);
        let cancel = PollFd::new(cancel, PollFlags::IN);
        match poll(&mut [queue, cancel], Some(&limit)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An event that had been taken was answered.
    pub(super) fn answered(&self) {
        if self.open.fetch_sub(1, Ordering::SeqCst) == 1 && self.ending.load(Ordering::SeqCst) {
            self.tell_all(self.state());
        }
    }

    /// No I/O thread runs any more: what is left of the queue is all that comes.
    pub(super) fn end(&self, failure: Option<Failure>) {
        let mut state = self.state();
        state.failure = failure;
        self.ending.store(true, Ordering::SeqCst);
        // Also where answers are still to come: who waits without looking at the clock must begin to.
        self.tell_all(state);
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

    /// How many threads wait for nothing but an event.
    #[cfg(test)]
    pub(super) fn parked(&self) -> usize {
        self.state().waiting.parked
    }

    /// How many events were taken and are not answered.
    pub(super) fn unanswered(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// From now on the descriptor tells of events at any time.
    pub(super) fn watch(&self) {
        let mut state = self.state();
        state.waiting.watched = true;
        if !state.events.is_empty() || self.has_ended(&state) {
            self.write(state);
        }
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

    /// Tells one thread, or whoever waits for the descriptor. The lock is given back first: who is woken would have to wait for it.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let parked = state.waiting.parked > 0 && !state.waiting.woken;
        state.waiting.woken |= parked;
        self.write(state);
        if parked {
            self.something.notify_one();
        }
    }

    /// Tells all threads.
    fn tell_all(&self, state: MutexGuard<'_, State>) {
        self.write(state);
        self.something.notify_all();
    }

    /// Makes the descriptor readable if anybody looks at it.
    fn write(&self, mut state: MutexGuard<'_, State>) {
        let looked_at = state.waiting.watched || state.waiting.polling > 0;
        if looked_at && !std::mem::replace(&mut state.waiting.told, true) {
            drop(state);
            // At most one octet is ever in the pipe: there is room.
            let _ = rustix::io::write(&self.writer, &[1]);
        }
    }

    /// Makes it not readable. An octet that is only about to be written stays, and has somebody look once in vain.
    fn take_back(&self, state: &mut State) {
        if state.waiting.told {
            state.waiting.told = rustix::io::read(&self.reader, &mut [0_u8; 1]).is_err();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
