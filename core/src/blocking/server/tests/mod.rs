//! The queue of events as an application sees it, with scripted clients on real sockets.

mod answers;
mod ends;
mod extensions;
mod full;
mod missing;
mod streams;
mod trace;
mod waiting;

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Event, EventKind, Server};
use crate::blocking::Call;
use crate::proto::Reply;
use crate::server::tests::talk::Talk;
use crate::server::{Hooks, Options};

fn start(change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    change(&mut options);
    Server::start(options).unwrap()
}

/// A client that has said EHLO, where no hook asks about that.
fn greeted(server: &Server) -> Talk {
    let mut talk = Talk::connect(server.addresses()[0]);
    assert!(talk.reply().starts_with("220 mx.example.org"));
    assert!(talk.ask("EHLO client.example").starts_with("250-"));
    talk
}

/// The next event, which must come soon.
fn next(server: &Server) -> Event {
    server
        .next_event(Some(Duration::from_secs(60)), Call::default())
        .unwrap()
        .expect("no event came")
}

/// A client that sends one message on a thread of its own; gives the reply to it.
fn send(server: &Server, sender: &'static str, text: &[u8]) -> thread::JoinHandle<String> {
    let (mut talk, text) = (greeted(server), text.to_vec());
    thread::spawn(move || {
        let reply = talk.message(sender, &["c@d.example"], &text);
        talk.send("QUIT\r\n");
        reply
    })
}

fn reply(code: u16, text: &'static str) -> Reply {
    Reply::new(code, text).unwrap()
}

fn is_readable(fd: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
}

fn content(event: &Event) -> &[u8] {
    match event.kind() {
        EventKind::Message { content, .. } => content,
        EventKind::Chunk(octets) => octets,
        other => panic!("{other:?} has no content"),
    }
}

const ALL_ASKED: Hooks = Hooks::ALL;
