//! One session as it is recorded. Where nobody records, nothing is made, counted or measured.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::spans::Span;
use super::{Event, Kind, Recorder, Side};

/// The recording of one session; nothing if nobody records. When it is dropped the session is over: if the other side has not closed the
/// connection, this one does.
#[derive(Default)]
pub(crate) struct Session(Option<Box<Recording>>);

struct Recording {
    number: u64,
    began: Instant,
    recorder: Option<Arc<dyn Recorder>>,
    span: Span,
    /// What this end of the connection is.
    side: Side,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Octets of a message that were not told yet, and when the last of them were sent.
    message: Option<(u64, Duration)>,
    /// The connection is closed and that was told.
    closed: bool,
    /// The recorder has panicked.
    broken: bool,
}

impl Session {
    /// A session with `peer` begins now.
    pub(crate) fn begin(recorder: Option<&Arc<dyn Recorder>>, side: Side, peer: &str) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let span = Span::begin(number, peer);
        if recorder.is_none() && !span.is_wanted() {
            return Self(None);
        }
        let session = Self(Some(Box::new(Recording {
            number,
            began: Instant::now(),
            recorder: recorder.cloned(),
            span,
            side,
            state: Mutex::default(),
        })));
        session.note(|| Kind::Begun {
            peer: peer.to_owned(),
            at: SystemTime::now(),
        });
        session
    }

    /// Whether anybody wants to know what is said.
    #[inline]
    pub(crate) fn wants_lines(&self) -> bool {
        let wants = |it: &Recording| it.recorder.is_some() || it.span.wants_lines();
        self.0.as_deref().is_some_and(wants)
    }

    /// Its number, if it is recorded.
    pub(crate) fn number(&self) -> Option<u64> {
        self.0.as_ref().map(|recording| recording.number)
    }

    /// Something has happened. What it is, is asked only if anybody wants to know.
    #[inline]
    pub(crate) fn note(&self, kind: impl FnOnce() -> Kind) {
        if let Some(recording) = &self.0 {
            recording.note(kind());
        }
    }

    /// So many octets of a message were sent. They are told together, before the next thing that happens.
    pub(crate) fn message(&self, octets: u64) {
        if let Some(recording) = &self.0 {
            let elapsed = recording.began.elapsed();
            let mut state = recording.state();
            let (sent, at) = state.message.get_or_insert((0, elapsed));
            *sent = sent.saturating_add(octets);
            *at = elapsed;
        }
    }

    /// Of the octets that were counted last, so many were none of the message.
    pub(crate) fn not_of_message(&self, octets: u64) {
        if let Some(recording) = &self.0 {
            let mut state = recording.state();
            state.message = state.message.and_then(|(sent, at)| {
                let of_message = sent.saturating_sub(octets);
                (of_message > 0).then_some((of_message, at))
            });
        }
    }

    /// The other side has closed the connection.
    pub(crate) fn closed_by_peer(&self) {
        if let Some(recording) = &self.0 {
            recording.close(match recording.side {
                Side::Client => Side::Server,
                Side::Server => Side::Client,
            });
        }
    }
}

impl Recording {
    fn note(&self, kind: Kind) {
        let elapsed = self.began.elapsed();
        let message = self.state().message.take();
        if let Some((octets, at)) = message {
            let from = self.side;
            self.tell(at, Kind::Message { from, octets });
        }
        self.tell(elapsed, kind);
    }

    /// Tells the recorder, with no lock held: it may well look at this session from elsewhere.
    fn tell(&self, elapsed: Duration, kind: Kind) {
        self.span.tell(&kind);
        let Some(recorder) = self.recorder.as_ref().filter(|_| !self.state().broken) else {
            return;
        };
        let event = Event {
            session: self.number,
            elapsed,
            kind,
        };
        let told = catch_unwind(AssertUnwindSafe(|| recorder.record(&event)));
        if told.is_err() {
            self.state().broken = true;
        }
    }

    fn close(&self, by: Side) {
        let told = std::mem::replace(&mut self.state().closed, true);
        if !told {
            self.note(Kind::Closed { by });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.close(self.side);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(recording) => write!(f, "Session({})", recording.number),
            None => f.write_str("Session(not recorded)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Buffer;
    use super::*;

    /// The notes of a session, without their times.
    fn notes(buffer: &Buffer) -> Vec<String> {
        let notes = buffer.events().into_iter().map(|event| {
            let note = event.to_string();
            note.split_once(' ').unwrap().1.to_owned()
        });
        notes.skip(1).collect()
    }

    fn begun(side: Side) -> (Session, Buffer) {
        let buffer = Buffer::new(100);
        let recorder: Arc<dyn Recorder> = Arc::new(buffer.clone());
        (Session::begin(Some(&recorder), side, "a:25"), buffer)
    }

    fn line(text: &str) -> Kind {
        Kind::line(Side::Server, text.to_owned(), 0)
    }

    #[test]
    fn octets_of_a_message_are_told_together_before_what_comes_next() {
        let (session, buffer) = begun(Side::Client);
        session.message(10);
        session.message(5);
        session.not_of_message(3);
        assert_eq!(notes(&buffer), [""; 0]);
        session.note(|| line("250 ok"));
        session.message(3);
        session.not_of_message(3);
        session.note(|| line("250 ok"));
        let told = ["C: [12 octets of the message]", "S: 250 ok", "S: 250 ok"];
        assert_eq!(notes(&buffer), told);
        let times = buffer.events();
        assert!(
            times
                .windows(2)
                .all(|two| two[0].elapsed() <= two[1].elapsed())
        );
    }

    #[test]
    fn it_is_told_once_who_closes() {
        let (session, buffer) = begun(Side::Client);
        session.message(1);
        session.closed_by_peer();
        session.closed_by_peer();
        drop(session);
        let told = ["C: [1 octets of the message]", "* closed by the server"];
        assert_eq!(notes(&buffer), told);
        let (session, buffer) = begun(Side::Server);
        drop(session);
        assert_eq!(notes(&buffer), ["* closed by the server"]);
    }

    #[test]
    fn each_session_has_a_number_of_its_own() {
        let numbers = [(); 3].map(|()| begun(Side::Client).1.events()[0].session());
        assert!(numbers[0] < numbers[1] && numbers[1] < numbers[2]);
    }

    #[test]
    fn where_nobody_records_nothing_is_made() {
        let session = Session::begin(None, Side::Client, "a:25");
        session.note(|| panic!("it is asked for nothing"));
        session.message(1);
        session.closed_by_peer();
        assert!(!session.wants_lines());
        assert_eq!(session.number(), None);
    }

    #[test]
    fn a_recorder_that_panics_is_not_called_again_for_the_session() {
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        let recorder: Arc<dyn Recorder> = Arc::new(move |_: &Event| {
            counted.fetch_add(1, Ordering::Relaxed);
            panic!("a recorder's own fault");
        });
        let session = Session::begin(Some(&recorder), Side::Client, "a:25");
        session.note(|| line("250 ok"));
        drop(session);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}
