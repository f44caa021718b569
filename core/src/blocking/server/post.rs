//! What an I/O thread and the application send to each other, in batches: a wake-up costs more than what it tells of.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::event::Event;
use super::queue::Queue;
use crate::server::Answers;

/// So much room is kept between deliveries, for events and for answers.
const KEPT: usize = 64;

/// The letter box of one I/O thread.
#[derive(Debug)]
pub(super) struct Post {
    /// Events that its sessions have made since it last delivered.
    events: Mutex<Vec<Event>>,
    /// Answers that came from other threads; `None` once nobody waits for any.
    answers: Mutex<Option<Vec<Letter>>>,
    something: Notify,
}

type Letter = (oneshot::Sender<Answers>, Answers);

impl Post {
    pub(super) fn new() -> Self {
        Self {
            events: Mutex::default(),
            answers: Mutex::new(Some(Vec::new())),
            something: Notify::new(),
        }
    }

    /// Takes an event along. Only for tasks of the thread whose post this is.
    pub(super) fn send(&self, event: Event) {
        let mut events = lock(&self.events);
        events.push(event);
        if events.len() == 1 {
            // The deliverer is a task like the others and comes behind all that are ready now, so that what they send goes
            // along.
            self.something.notify_one();
        }
    }

    /// Events that are not delivered yet.
    pub(super) fn waiting(&self) -> usize {
        lock(&self.events).len()
    }

    /// Takes an answer along, from any thread.
    pub(super) fn answer(&self, to: oneshot::Sender<Answers>, answers: Answers) {
        let first = match &mut *lock(&self.answers) {
            Some(letters) => {
                letters.push((to, answers));
                letters.len() == 1
            }
            None => false,
        };
        if first {
            self.something.notify_one();
        }
    }

    /// Delivers whatever comes, for as long as the thread runs.
    pub(super) async fn deliver(&self, queue: &Arc<Queue>) {
        let (mut events, mut letters) = (Vec::new(), Vec::new());
        loop {
            self.something.notified().await;
            self.deliver_now(queue, &mut events, &mut letters);
            events.shrink_to(KEPT);
            letters.shrink_to(KEPT);
        }
    }

    /// The thread's sessions are over: what they sent last is delivered, and answers have nowhere to go.
    pub(super) fn close(&self, queue: &Arc<Queue>) {
        self.deliver_now(queue, &mut Vec::new(), &mut Vec::new());
        lock(&self.answers).take();
    }

    /// `events` and `letters` are empty, and stay so: their room is what those that come next are put into.
    fn deliver_now(&self, queue: &Arc<Queue>, events: &mut Vec<Event>, letters: &mut Vec<Letter>) {
        if let Some(waiting) = &mut *lock(&self.answers) {
            std::mem::swap(waiting, letters);
        }
        for (to, answers) in letters.drain(..) {
            // A session that does not wait any more was told 451.
            let _ = to.send(answers);
        }
        std::mem::swap(&mut *lock(&self.events), events);
        if !events.is_empty() {
            queue.put(events);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
