//! The threads that do a blocking server's I/O.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Runtime};

use super::post::Post;
use super::queue::Queue;
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
    failure: Mutex<Option<String>>,
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
                    run(&runtime, listeners, handler, &ending);
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

fn run(runtime: &Runtime, listeners: Vec<Listener>, handler: QueueHandler, ending: &Ending) {
    let (shared, post) = (Arc::clone(&handler.shared), Arc::clone(&handler.post));
    let queue = Arc::clone(&handler.queue);
    let result = runtime.block_on(async {
        let (post, queue) = (Arc::clone(&post), Arc::clone(&queue));
        tokio::spawn(async move { post.deliver(&queue).await });
        serve(shared, listeners, Arc::new(handler)).await
    });
    post.close(&queue);
    let mut failure = ending
        .failure
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = result {
        *failure = Some(error.to_string());
    }
    if ending.running.fetch_sub(1, Ordering::SeqCst) == 1 {
        queue.end(failure.take());
    }
}

fn cannot_start(error: std::io::Error) -> Error {
    let text = format!("an I/O thread cannot be started: {error}");
    Error::new(Status::Io, text).with_source(error)
}
