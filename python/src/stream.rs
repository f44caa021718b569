//! Messages that come in pieces, each to the thread that its hook runs in.
//!
//! All sessions share one queue, and several threads take from it. Here what belongs to a message that a hook is reading is sorted out,
//! in the order of the queue; all else goes to whoever takes it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use mailwire::Error;
use mailwire::blocking::{self, EventKind};
use pyo3::prelude::*;

use crate::error;
use crate::event::Event;

/// The messages of a server that hooks are reading.
#[derive(Default)]
pub(crate) struct Streams {
    /// Held by the thread that takes from the queue: two that each have a piece of one message would mix them up.
    turn: Mutex<()>,
    /// By the number of the session.
    running: Mutex<HashMap<u64, Arc<Stream>>>,
}

/// What a session tells while a hook reads its message.
#[derive(Default)]
struct Stream {
    told: Mutex<Told>,
    more: Condvar,
}

#[derive(Default)]
struct Told {
    events: VecDeque<blocking::Event>,
    /// Nothing more comes.
    is_over: bool,
}

/// A message that comes in pieces, for the hook that reads it.
#[derive(Clone)]
#[pyclass(frozen, module = "mailwire._native")]
pub(crate) struct Reading {
    session: u64,
    stream: Arc<Stream>,
    streams: Arc<Streams>,
    /// In a child of this process nobody fills the stream, and what is locked may stay so.
    process: u32,
}

impl Streams {
    /// The next event that is not of a message which is being read, from `take`. Where another thread is taking, nothing, unless this one
    /// is to wait. With the end of the queue all messages are over.
    pub(crate) fn next(
        self: &Arc<Self>,
        waits: bool,
        take: impl Fn() -> Result<Option<blocking::Event>, Error>,
    ) -> Result<Option<Event>, Error> {
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::WouldBlock) if !waits => return Ok(None),
            Err(_) => lock(&self.turn),
        };
        loop {
            match take() {
                Ok(None) => return Ok(None),
                Ok(Some(event)) => {
                    if let Some(event) = self.sort(event) {
                        return Ok(Some(event));
                    }
                }
                Err(error) => {
                    lock(&self.running).values().for_each(|stream| stream.end());
                    return Err(error);
                }
            }
        }
    }

    /// Gives the event to the message that it is of. One that begins a message is given back with where to read that.
    fn sort(self: &Arc<Self>, event: blocking::Event) -> Option<Event> {
        let session = event.session().id();
        let mut running = lock(&self.running);
        if let Some(stream) = running.get(&session) {
            stream.push(event);
            return None;
        }
        if !matches!(event.kind(), EventKind::Body { .. }) {
            return Some(Event::new(event));
        }
        let stream = Arc::<Stream>::default();
        running.insert(session, Arc::clone(&stream));
        Some(self.beginning(event, stream))
    }

    fn beginning(self: &Arc<Self>, event: blocking::Event, stream: Arc<Stream>) -> Event {
        let reading = Reading {
            session: event.session().id(),
            stream,
            streams: Arc::clone(self),
            process: std::process::id(),
        };
        Event::beginning(event, reading)
    }
}

impl Stream {
    fn push(&self, event: blocking::Event) {
        lock(&self.told).events.push_back(event);
        self.more.notify_one();
    }

    fn end(&self) {
        lock(&self.told).is_over = true;
        self.more.notify_one();
    }
}

impl Told {
    /// The next event, if it is of the message: that it is not whole is known from any other one too.
    fn of_message(&mut self) -> Option<blocking::Event> {
        let (EventKind::Chunk(_) | EventKind::EndOfData { .. } | EventKind::Discarded) =
            self.events.front()?.kind()
        else {
            return None;
        };
        self.events.pop_front()
    }
}

#[pymethods]
impl Reading {
    /// Fails in the child of a fork, as all else here does.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if std::process::id() == self.process {
            Ok(())
        } else {
            Err(error::forked(py))
        }
    }

    /// The next event of the message, which is waited for: a piece or the end. None: the message will not come whole.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        self.check(py)?;
        let mut told = lock(&self.stream.told);
        if told.events.is_empty() && !told.is_over {
            drop(told);
            py.detach(|| {
                let told = lock(&self.stream.told);
                let waited = self
                    .stream
                    .more
                    .wait_while(told, |told| told.events.is_empty() && !told.is_over);
                drop(waited);
            });
            told = lock(&self.stream.told);
        }
        Ok(told.of_message().map(Event::new))
    }

    /// What else the session has told, once the hook is done. None: nothing, and what it tells from now on is for whoever takes it.
    fn later(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        self.check(py)?;
        let mut running = lock(&self.streams.running);
        let mut told = lock(&self.stream.told);
        let Some(event) = told.events.pop_front() else {
            // Of another message that has begun meanwhile this is not the one.
            if running
                .get(&self.session)
                .is_some_and(|stream| Arc::ptr_eq(stream, &self.stream))
            {
                running.remove(&self.session);
            }
            return Ok(None);
        };
        if !matches!(event.kind(), EventKind::Body { .. }) {
            return Ok(Some(Event::new(event)));
        }
        let stream = Arc::<Stream>::default();
        lock(&stream.told).events = std::mem::take(&mut told.events);
        lock(&stream.told).is_over = told.is_over;
        running.insert(self.session, Arc::clone(&stream));
        Ok(Some(self.streams.beginning(event, stream)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
