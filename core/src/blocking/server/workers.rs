//! The threads that do a blocking server's I/O.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Runtime};

use super::post::Post;
use super::queue::{Failure, Queue};
use super::session::QueueHandler;
use crate::disposition::Destination;
use crate::error::{Error, Status};
use crate::net::ForkGuard;
use crate::net::{Bound, Listener, with_signals_blocked};
use crate::server::{Shared, serve};

/// The I/O threads of one server, each with a runtime and listeners of its own.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    sockets: Vec<RawFd>,
}

/// What the threads tell each other at their end.
struct Ending {
    running: AtomicUsize,
    failure: Mutex<Option<Failure>>,
}

impl Workers {
    /// Starts them. Where one cannot be started, those before it end again.
    pub(super) fn start(
        shared: &Arc<Shared>,
        bound: &[Bound],
        queue: &Arc<Queue>,
        guard: ForkGuard,
        destination: Option<&Destination>,
    ) -> Result<Self, Error> {
        let count = shared.options.workers();
        let ending = Arc::new(Ending {
            running: AtomicUsize::new(count),
            failure: Mutex::default(),
        });
        let mut workers = Self {
            threads: Vec::new(),
            sockets: Vec::new(),
        };
        for number in 0..count {
            let destination = destination.map(Destination::anew).transpose();
            let prepared = destination.and_then(|own| Ok((own, prepare(bound)?)));
            let started = prepared.and_then(|(destination, (runtime, listeners))| {
                workers
                    .sockets
                    .extend(listeners.iter().map(Listener::raw_fd));
                let (shared, queue) = (Arc::clone(shared), Arc::clone(queue));
                let ending = Arc::clone(&ending);
                let name = format!("mailwire-io-{number}");
                let work = move || {
                    let post = Arc::new(Post::new());
                    let handler = QueueHandler {
                        shared,
                        post,
                        queue,
                        guard,
                        destination: destination.map(Arc::new),
                    };
                    run(&runtime, listeners, handler, ending);
                };
                // A new thread has its maker's mask: a signal of the program's is never handled on ours.
                with_signals_blocked(|| thread::Builder::new().name(name).spawn(work))
                    .map_err(cannot_start)
            });
            match started {
                Ok(thread) => workers.threads.push(thread),
                Err(error) => {
                    shared.stop.begin(std::time::Duration::ZERO);
                    workers.join();
                    return Err(error);
                }
            }
        }
        Ok(workers)
    }

    /// Waits until they have ended, which they do when the server is stopped.
    pub(super) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // One that panicked has ended too.
            let _ = thread.join();
        }
        self.sockets.clear();
    }

    /// The descriptors that they listen on.
    pub(super) fn sockets(&self) -> impl Iterator<Item = RawFd> {
        self.sockets.iter().copied()
    }
}

/// A runtime, and listeners on it.
fn prepare(bound: &[Bound]) -> Result<(Runtime, Vec<Listener>), Error> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        // For keys of passwords and for files, which take long and are not waited for by sockets.
        .thread_name("mailwire-aside")
        .build()
        .map_err(cannot_start)?;
    let entered = runtime.enter();
    let listeners = bound
        .iter()
        .map(Bound::listener)
        .collect::<Result<_, _>>()?;
    drop(entered);
    Ok((runtime, listeners))
}

fn run(runtime: &Runtime, listeners: Vec<Listener>, handler: QueueHandler, ending: Arc<Ending>) {
    let mut running = Running {
        shared: Arc::clone(&handler.shared),
        post: Arc::clone(&handler.post),
        queue: Arc::clone(&handler.queue),
        ending,
        failure: Some((Status::Internal, "an I/O thread has panicked".to_owned())),
    };
    let shared = Arc::clone(&handler.shared);
    let result = runtime.block_on(async {
        let (post, queue) = (Arc::clone(&handler.post), Arc::clone(&handler.queue));
        let delivering = tokio::spawn(async move { post.deliver(&queue).await });
        tokio::select! {
            biased;
            result = serve(shared, listeners, Arc::new(handler)) => result,
            _ = delivering => {
                let text = "nothing delivers the events of an I/O thread any more";
                Err(Error::new(Status::Internal, text))
            }
        }
    });
    running.failure = result
        .err()
        .map(|error| (error.status(), error.message().to_owned()));
}

/// An I/O thread that runs. However it ends, whoever waits for events learns of the last one's end, and the others end with one that
/// fails.
struct Running {
    shared: Arc<Shared>,
    post: Arc<Post>,
    queue: Arc<Queue>,
    ending: Arc<Ending>,
    /// What is told if the thread were to end now.
    failure: Option<Failure>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.post.close(&self.queue);
        let failure = &self.ending.failure;
        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = self.failure.take() {
            self.shared.stop.begin(self.shared.options.grace());
            *failure = Some(own);
        }
        if self.ending.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.queue.end(failure.take());
        }
    }
}

fn cannot_start(error: std::io::Error) -> Error {
    let text = format!("an I/O thread cannot be started: {error}");
    Error::new(Status::Io, text).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::super::queue::Taken;
    use super::*;
    use crate::server::{Hooks, Options, Server};

    #[test]
    fn threads_that_panic_end_the_server_and_its_queue() {
        let server = Server::with_hooks(Options::new(), Hooks::NONE).unwrap();
        let (shared, _bound) = server.parts();
        let queue = Arc::new(Queue::new(shared.options.answer_timeout()).unwrap());
        let ending = Arc::new(Ending {
            running: AtomicUsize::new(2),
            failure: Mutex::default(),
        });
        let running = |failure: Option<&str>| Running {
            shared: Arc::clone(&shared),
            post: Arc::new(Post::new()),
            queue: Arc::clone(&queue),
            ending: Arc::clone(&ending),
            failure: failure.map(|text| (Status::Internal, text.to_owned())),
        };
        let bad = running(Some("it has panicked"));
        let thread = thread::spawn(move || {
            let _bad = bad;
            // A panic that prints nothing.
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(thread.join().is_err());
        assert!(shared.stop.begun());
        assert!(matches!(queue.take(1), Taken::None { ending: false }));
        drop(running(None));
        assert!(matches!(queue.take(1), Taken::End(Some((_, why))) if why == "it has panicked"));
    }
}
