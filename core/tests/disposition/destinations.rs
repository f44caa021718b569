//! Dispositions behind the event queue: messages go there, and the hooks of the program are asked all the same.

use mailwire::Status;
use mailwire::blocking::{Call, EventKind, Server};
use mailwire::disposition::Destination;
use mailwire::proto::Reply;
use mailwire::server::{Hooks, Options};

use crate::running::{Talk, texts};

#[test]
fn messages_are_delivered_while_hooks_are_asked() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("mail");
    let destination = Destination::open(&format!("maildir:{}", path.display())).unwrap();
    let mut options = Options::new();
    options.set_hooks(Hooks::RCPT);
    options.set_workers(2).unwrap();
    let server = Server::start_with(options, &destination).unwrap();
    let address = server.addresses()[0];
    let client = std::thread::spawn(move || {
        let mut talk = Talk::connect(address);
        assert!(talk.reply().starts_with("220 "));
        assert!(talk.ask("HELO client.example").starts_with("250 "));
        assert!(talk.ask("MAIL FROM:<a@b.example>").starts_with("250 "));
        assert!(talk.ask("RCPT TO:<nobody@d.example>").starts_with("550 "));
        assert!(talk.ask("RCPT TO:<c@d.example>").starts_with("250 "));
        assert!(talk.ask("DATA").starts_with("354 "));
        talk.ask("Hello.\r\n.")
    });
    for answer in [Some(Reply::new(550, "nobody").unwrap()), None] {
        let mut event = server.next_event(None, Call::default()).unwrap().unwrap();
        assert!(matches!(event.kind(), EventKind::Recipients(_)));
        match answer {
            Some(reply) => event.reply(reply).unwrap(),
            None => event.accept().unwrap(),
        }
    }
    assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
    assert_eq!(
        texts(&path.join("new")),
        ["Return-Path: <a@b.example>\nHello.\n"]
    );
    assert_eq!(server.statistics().messages, 1);
}

#[test]
fn a_relay_does_not_start_where_strangers_could_use_it() {
    let relay = || Destination::open("relay:smtp://127.0.0.1:1").unwrap();
    let error = Server::start_with(Options::new(), &relay()).unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    assert!(error.message().starts_with("domains: "), "{error}");
    for (name, value) in [("domains", "example.org"), ("trusted_networks", "::1")] {
        let mut options = Options::new();
        options.set(name, value).unwrap();
        Server::start_with(options, &relay()).unwrap();
    }
}
