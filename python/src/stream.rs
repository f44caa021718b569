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
    /// What is called, without arguments, once something is there: of a hook whose thread does not sleep meanwhile.
    wake: Option<Py<PyAny>>,
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
                    let wakes: Vec<_> = lock(&self.running)
                        .values()
                        .filter_map(|stream| stream.end())
                        .collect();
                    wakes.into_iter().for_each(call);
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
            let wake = stream.push(event);
            // Who has the interpreter may wait for this.
            drop(running);
            wake.into_iter().for_each(call);
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
    /// What this gives back wakes the hook, if that waits. It is called once nothing is locked.
    fn push(&self, event: blocking::Event) -> Option<Py<PyAny>> {
        let mut told = lock(&self.told);
        told.events.push_back(event);
        self.more.notify_one();
        told.wake.take()
    }

    /// The same.
    fn end(&self) -> Option<Py<PyAny>> {
        let mut told = lock(&self.told);
        told.is_over = true;
        self.more.notify_one();
        told.wake.take()
    }
}

impl Told {
    fn has_come(&self) -> bool {
        !self.events.is_empty() || self.is_over
    }

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

    /// Whether `next` does not wait. Where it would, `wake` is called once it does not any more, from any thread.
    fn has_come(&self, py: Python<'_>, wake: Py<PyAny>) -> PyResult<bool> {
        self.check(py)?;
        let mut told = lock(&self.stream.told);
        let has_come = told.has_come();
        // A wait that was given up leaves one behind, of which nobody needs to hear.
        let before = if has_come {
            Some(wake)
        } else {
            told.wake.replace(wake)
        };
        drop(told);
        drop(before);
        Ok(has_come)
    }

    /// The next event of the message, which is waited for: a piece or the end. None: the message will not come whole.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        self.check(py)?;
        let mut told = lock(&self.stream.told);
        if !told.has_come() {
            drop(told);
            py.detach(|| {
                let told = lock(&self.stream.told);
                let waited = self.stream.more.wait_while(told, |told| !told.has_come());
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

/// Calls what wakes a hook.
fn call(wake: Py<PyAny>) {
    // Without an interpreter there is no hook any more, and none either where its loop was closed, which is how this fails.
    let _ = Python::try_attach(|py| wake.call0(py).map(drop));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
