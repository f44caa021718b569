//! Who is told what happens in a session: a recorder of the application's own, or one of those that are here.

use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Event, Kind};

/// Is told what happens in sessions, event by event. A closure is one: `|event: &Event| println!("{event:#}")`.
///
/// It is called on the thread that drives the connection, which in the blocking client is the one that made the call, and no lock of
/// the library is held meanwhile. What it does holds up the session, so it had better be short; in an async program it must not
/// block. From within it the blocking client cannot be called: that call fails with
/// [`Status::Misuse`](crate::Status::Misuse).
///
/// If it panics, the session goes on as if nothing had happened, and the recorder is not called for it again. The hook for panics
/// tells of it, as always.
pub trait Recorder: Send + Sync {
    /// Something has happened. Events of one session come in their order; sessions may run at the same time.
    fn record(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Recorder for F {
    fn record(&self, event: &Event) {
        self(event);
    }
}

/// Writes events to a file, the terminal or anything else: each in one piece, with a line end.
///
/// What cannot be written is lost, and nobody is told. The writer is flushed when a session fails or ends.
#[derive(Debug)]
pub struct Writer<W> {
    writer: Mutex<W>,
    json: bool,
}

impl<W: Write + Send> Writer<W> {
    /// Writes notes for people, each with the number of its session.
    pub fn notes(writer: W) -> Self {
        let writer = Mutex::new(writer);
        let json = false;
        Self { writer, json }
    }

    /// Writes lines of JSON, as [`Event::to_json`] makes them.
    pub fn json(writer: W) -> Self {
        let writer = Mutex::new(writer);
        let json = true;
        Self { writer, json }
    }

    /// The writer.
    pub fn into_inner(self) -> W {
        self.writer
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> Recorder for Writer<W> {
    fn record(&self, event: &Event) {
        let line = if self.json {
            format!("{}\n", event.to_json())
        } else {
            format!("{event:#}\n")
        };
        let mut writer = lock(&self.writer);
        let _ = writer.write_all(line.as_bytes());
        if matches!(event.kind(), Kind::Failed { .. } | Kind::Closed { .. }) {
            let _ = writer.flush();
        }
    }
}

/// Keeps the last events, to be looked at later. Clones are the same buffer. `Display` gives all of them as notes, a line for each.
#[derive(Clone)]
pub struct Buffer(Arc<Shared>);

struct Shared {
    most: usize,
    kept: Mutex<VecDeque<Event>>,
}

impl Buffer {
    /// Keeps so many events, and forgets the oldest for those that come then. An event is some 100 octets and its text, which is
    /// seldom longer than that and never longer than 64 KiB.
    pub fn new(most: usize) -> Self {
        let kept = Mutex::new(VecDeque::new());
        Self(Arc::new(Shared { most, kept }))
    }

    /// The events that are kept, the oldest first.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.0.kept).iter().cloned().collect()
    }

    /// Takes the events out.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *lock(&self.0.kept)).into()
    }
}

impl Recorder for Buffer {
    fn record(&self, event: &Event) {
        let event = event.clone();
        let mut kept = lock(&self.0.kept);
        while kept.len() >= self.0.most.max(1) {
            kept.pop_front();
        }
        if self.0.most > 0 {
            kept.push_back(event);
        }
    }
}

impl fmt::Display for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events()
            .iter()
            .try_for_each(|event| writeln!(f, "{event:#}"))
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = lock(&self.0.kept).len();
        write!(f, "Buffer({kept} of at most {} events)", self.0.most)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A writer that panicked is used no more in that session, and as it is in others.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::super::Side;
    use super::*;

    fn event(session: u64, kind: Kind) -> Event {
        Event {
            session,
            elapsed: Duration::from_micros(5),
            kind,
        }
    }

    fn line(text: &str) -> Event {
        event(1, Kind::line(Side::Client, text.to_owned(), 0))
    }

    #[test]
    fn a_buffer_keeps_the_last_events() {
        let buffer = Buffer::new(2);
        let same = buffer.clone();
        for text in ["a", "b", "c"] {
            buffer.record(&line(text));
        }
        assert_eq!(same.to_string(), "[1] 0.000005 C: b\n[1] 0.000005 C: c\n");
        assert_eq!(format!("{same:?}"), "Buffer(2 of at most 2 events)");
        assert_eq!(same.events(), [line("b"), line("c")]);
        assert_eq!(same.take().len(), 2);
        assert_eq!(buffer.events(), []);
        let none = Buffer::new(0);
        none.record(&line("a"));
        assert_eq!(none.events(), []);
    }

    #[test]
    fn a_writer_writes_notes_or_json_and_flushes_at_an_end() {
        let closed = event(2, Kind::Closed { by: Side::Client });
        let record = |writer: Writer<io::BufWriter<Vec<u8>>>| {
            writer.record(&line("NOOP"));
            assert!(writer.writer.lock().unwrap().get_ref().is_empty());
            writer.record(&closed);
            String::from_utf8(writer.into_inner().get_ref().clone()).unwrap()
        };
        assert_eq!(
            record(Writer::notes(io::BufWriter::new(Vec::new()))),
            "[1] 0.000005 C: NOOP\n[2] 0.000005 * closed by the client\n"
        );
        assert_eq!(
            record(Writer::json(io::BufWriter::new(Vec::new()))),
            format!("{}\n{}\n", line("NOOP").to_json(), closed.to_json())
        );
    }
}
