//! In memory: the client's machine, lent just what a case sends, in one piece or cut anywhere.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::expectation::Report;
use super::session::{self, Session};
use super::{Call, Setting, Target, Wire};
use crate::case::Script;
use crate::server::{Finish, Pieces, Said, Unable};

/// The machine of the client's side, without I/O.
#[derive(Debug)]
pub struct Memory {
    /// How what the server sends arrives, and how the client reads its messages.
    pub pieces: Pieces,
}

impl Target for Memory {
    fn open(&self, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Unable> {
        if script.only.iter().any(|word| word == "socket") || setting.kept {
            return Err(Unable::Inconclusive(
                "it takes a socket, a clock, or what the client decides by itself".to_owned(),
            ));
        }
        Ok(Box::new(MemoryWire {
            pipe: Pipe::default(),
            pieces: self.pieces,
            sent: 0,
            setting: setting.clone(),
            session: None,
            task: None,
            report: None,
        }))
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn silence(&self) -> Duration {
        Duration::ZERO
    }
}

/// What both sides of a connection would have from tls-exporter (RFC 9266).
pub(super) const EXPORTER: [u8; 32] = *b"both sides of one connection ...";

/// Both directions between a client and the case that is its server.
#[derive(Debug, Clone, Default)]
pub(super) struct Pipe(Rc<RefCell<Ends>>);

#[derive(Debug, Default)]
struct Ends {
    to_client: Vec<u8>,
    from_client: Vec<u8>,
    /// The server has closed.
    closed: bool,
    /// The client has.
    left: bool,
    secured: bool,
}

impl Pipe {
    /// What has come, waiting until something has. Nothing: the server has closed.
    pub(super) async fn read(&self) -> Vec<u8> {
        std::future::poll_fn(|_| {
            let mut ends = self.0.borrow_mut();
            if ends.to_client.is_empty() && !ends.closed {
                return Poll::Pending;
            }
            Poll::Ready(std::mem::take(&mut ends.to_client))
        })
        .await
    }

    pub(super) fn write(&self, octets: &[u8]) {
        self.0.borrow_mut().from_client.extend_from_slice(octets);
    }

    /// What has come up to now.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().to_client)
    }

    /// Waits for the server's handshake, or for octets in clear.
    pub(super) async fn secured(&self) {
        std::future::poll_fn(|_| {
            let ends = self.0.borrow();
            if ends.secured || !ends.to_client.is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    /// The client closes.
    pub(super) fn leave(&self) {
        self.0.borrow_mut().left = true;
    }
}

type Task = Pin<Box<dyn Future<Output = (Option<Session>, Report)>>>;

struct MemoryWire {
    pipe: Pipe,
    pieces: Pieces,
    sent: usize,
    setting: Setting,
    session: Option<Session>,
    task: Option<Task>,
    report: Option<Report>,
}

impl MemoryWire {
    /// Lets the client do what it can.
    fn run(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        if let Some(task) = &mut self.task
            && let Poll::Ready((session, report)) = task.as_mut().poll(&mut context)
        {
            self.task = None;
            self.session = session;
            self.report = Some(report);
        }
    }

    fn give(&mut self, octets: &[u8]) {
        self.pipe.0.borrow_mut().to_client.extend_from_slice(octets);
        self.run();
    }
}

impl Wire for MemoryWire {
    fn call(&mut self, call: Call) {
        let (pipe, setting, pieces) = (self.pipe.clone(), self.setting.clone(), self.pieces);
        let session = self.session.take();
        self.report = None;
        self.task = Some(match call {
            Call::Open => Box::pin(session::open(pipe, setting, pieces)),
            other => Box::pin(session::go_on(session, other)),
        });
        self.run();
    }

    fn cancel(&mut self) {
        self.task = None;
        self.pipe.leave();
        self.report = Some(Report::of(Err("it was cut short".to_owned())));
    }

    fn result(&mut self, _: Duration) -> Option<Report> {
        self.report.take()
    }

    fn send(&mut self, octets: &[u8]) {
        let cut = match self.pieces {
            Pieces::Octets => {
                octets.chunks(1).for_each(|octet| self.give(octet));
                octets.len()
            }
            Pieces::CutAt(place) => place.saturating_sub(self.sent).min(octets.len()),
            Pieces::Whole => 0,
        };
        self.sent += octets.len();
        if self.pieces == Pieces::Octets {
            return;
        }
        let (first, rest) = octets.split_at(cut);
        for part in [first, rest] {
            if !part.is_empty() {
                self.give(part);
            }
        }
    }

    fn receive(&mut self, _: Duration) -> Said {
        let mut ends = self.pipe.0.borrow_mut();
        if !ends.from_client.is_empty() {
            Said::Octets(std::mem::take(&mut ends.from_client))
        } else if ends.left {
            Said::End
        } else {
            Said::Nothing
        }
    }

    fn start_tls(&mut self, _: &str) -> Result<(), String> {
        if !self.pipe.0.borrow().from_client.is_empty() {
            return Err("the client said something in clear".to_owned());
        }
        self.pipe.0.borrow_mut().secured = true;
        self.run();
        Ok(())
    }

    fn close(&mut self, _: Finish) {
        self.pipe.0.borrow_mut().closed = true;
        self.run();
    }

    fn accept(&mut self, _: Duration) -> bool {
        false
    }

    fn server_name(&self) -> Option<String> {
        None
    }

    fn exporter(&self) -> Option<[u8; 32]> {
        self.pipe.0.borrow().secured.then_some(EXPORTER)
    }
}
