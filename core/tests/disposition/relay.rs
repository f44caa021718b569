//! Messages that are handed on: what the next server says comes back, in its words or in harmless ones.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mailwire::Status;
use mailwire::client::Options;
use mailwire::disposition::{Collect, Collected, Deliver, Destination, Relay};
use mailwire::proto::Protocol;
use mailwire::server::{Extensions, Options as ServerOptions, Server};

use crate::running::{Running, Talk};

/// A server that answers each line by what it begins with, the end of a message by `end`, and tells every line that it heard.
pub(crate) fn next_server(
    replies: &'static [(&'static str, &'static str)],
) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, lines) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let heard = heard.clone();
            thread::spawn(move || converse(stream.unwrap(), replies, &heard));
        }
    });
    (address, lines)
}

fn converse(
    mut stream: std::net::TcpStream,
    replies: &[(&str, &str)],
    heard: &Sender<String>,
) -> Option<()> {
    let commands = BufReader::new(stream.try_clone().ok()?).lines();
    stream.write_all(b"220 next.example\r\n").ok()?;
    let mut in_message = false;
    for line in commands {
        let line = line.ok()?;
        heard.send(line.clone()).ok()?;
        if in_message && line != "." {
            continue;
        }
        let usual = match line.as_str() {
            "DATA" => "354 go on",
            line if line.starts_with("EHLO") || line.starts_with("LHLO") => "250 next.example",
            _ => "250 2.0.0 fine",
        };
        let said = replies.iter().find(|(start, _)| line.starts_with(start));
        let said = said.map_or(usual, |(_, said)| said);
        in_message = said.starts_with("354");
        if said.is_empty() {
            return None;
        }
        stream.write_all(format!("{said}\r\n").as_bytes()).ok()?;
    }
    Some(())
}

fn relay_to(address: SocketAddr, protocol: Protocol) -> Relay {
    let mut options = Options::new();
    options
        .set_server(&address.ip().to_string(), Some(address.port()))
        .unwrap();
    options.set_protocol(protocol);
    Relay::new(options).unwrap()
}

fn running(address: SocketAddr) -> Running {
    Running::with(relay_to(address, Protocol::Smtp), restricted)
}

pub(crate) fn restricted(options: &mut ServerOptions) {
    options.set("domains", "d.example,f.example").unwrap();
}

/// How many `Received` fields a message begins with.
fn hops(message: &Collected) -> usize {
    let text = String::from_utf8(message.octets()).unwrap();
    let lines = text.lines();
    let header = lines.take_while(|line| line.starts_with(['\t', ' ']) || line.contains(": "));
    header.filter(|line| line.starts_with("Received: ")).count()
}

/// The octets of the message among the lines that a server has heard.
fn size_of_message(heard: &[String]) -> usize {
    let mut lines = heard.iter().skip_while(|line| *line != "DATA").skip(1);
    let message = lines.by_ref().take_while(|line| *line != ".");
    message.map(|line| line.len() + 2).sum()
}

/// What comes of one message to two recipients.
fn answer(replies: &'static [(&'static str, &'static str)]) -> String {
    let (address, _lines) = next_server(replies);
    let running = running(address);
    let mut talk = running.client();
    talk.begin(&["c@d.example", "e@f.example"]);
    talk.send("Hello.\r\n");
    talk.ask(".")
}

#[test]
fn the_answer_of_the_next_server_comes_back() {
    for (replies, expected) in [
        (
            &[(".", "250 2.6.0 queued as 7")][..],
            "250 2.6.0 queued as 7",
        ),
        (&[(".", "554 5.7.1 spam")], "554 5.7.1 spam"),
        (&[(".", "452 4.2.2 full")], "452 4.2.2 full"),
        (
            &[(".", "550-5.7.1 one\r\n550 5.7.1 two")],
            "550-5.7.1 one\n550 5.7.1 two",
        ),
        (&[(".", "550 without")], "550 5.0.0 without"),
        // One of two recipients: nobody gets it, and the refusal is told.
        (&[("RCPT TO:<e@", "550 5.1.1 nobody")], "550 5.1.1 nobody"),
        (&[("RCPT TO:<e@", "450 4.2.0 later")], "450 4.2.0 later"),
        (&[("MAIL", "553 5.1.8 not you")], "553 5.1.8 not you"),
        // What is about the session is not about ours.
        (&[("MAIL", "421 4.3.2 going")], "451 4.3.2 going"),
        (&[("MAIL", "530 5.7.0 log in")], "451 4.0.0 log in"),
        (&[(".", "571 5.7.1 no")], "554 5.7.1 no"),
        // Nothing raw.
        (
            &[(".", "550 5.0.0 caf\u{e9}\u{1b}[31m")],
            "550 5.0.0 caf?\\x1b[31m",
        ),
    ] {
        assert_eq!(answer(replies), expected, "{replies:?}");
    }
}

#[test]
fn what_leaves_the_message_unknown_or_unsent_is_451() {
    let unreachable = "451 4.4.1 The next server does not answer now, try again later";
    for replies in [
        // It hangs up before its reply to the end of data, at DATA, at its first command.
        &[(".", "")][..],
        &[("DATA", "")],
        &[("EHLO", ""), ("HELO", "")],
        &[("EHLO", "554 no"), ("HELO", "554 no")],
    ] {
        assert_eq!(answer(replies), unreachable, "{replies:?}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let running = running(address);
    let mut talk = running.client();
    assert_eq!(talk.message("x\r\n"), unreachable);
    assert_eq!(talk.message("x\r\n"), unreachable);
}

#[test]
fn nothing_is_sent_where_one_of_two_recipients_is_refused() {
    let (address, lines) = next_server(&[("RCPT TO:<e@", "550 5.1.1 nobody")]);
    let running = running(address);
    let mut talk = running.client();
    talk.begin(&["c@d.example", "e@f.example"]);
    assert!(talk.ask("x\r\n.").starts_with("550 "));
    assert!(talk.ask("QUIT").starts_with("221 "));
    drop(running);
    assert!(lines.try_iter().all(|line| line != "x"));
}

#[test]
fn by_lmtp_each_recipient_gets_its_own_answer() {
    let (address, _lines) =
        next_server(&[("RCPT TO:<e@", "550 5.1.1 nobody"), (".", "250 2.0.0 kept")]);
    let running = Running::with(relay_to(address, Protocol::Lmtp), |options| {
        restricted(options);
        options.set_protocol(Protocol::Lmtp);
    });
    let mut talk = Talk::connect(running.address);
    assert!(talk.reply().starts_with("220 "));
    assert!(talk.ask("LHLO client.example").starts_with("250-"));
    talk.begin(&["c@d.example", "e@f.example"]);
    talk.send("x\r\n.\r\n");
    assert_eq!(talk.reply(), "250 2.0.0 kept");
    assert_eq!(talk.reply(), "550 5.1.1 nobody");
}

#[test]
fn parameters_go_along_where_they_are_offered_and_notices_are_left_out_elsewhere() {
    let offers = "250-next.example\r\n250-DSN\r\n250-SIZE 1000\r\n250 8BITMIME";
    let with_dsn: &'static [_] = vec![("EHLO", offers)].leak();
    for (replies, mail, rcpt) in [
        (
            with_dsn,
            "MAIL FROM:<a@b.example> SIZE=? BODY=8BITMIME RET=HDRS ENVID=7",
            "RCPT TO:<c@d.example> NOTIFY=NEVER",
        ),
        (&[], "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"),
    ] {
        let (address, lines) = next_server(replies);
        let running = Running::with(relay_to(address, Protocol::Smtp), |options| {
            restricted(options);
            options.set_extensions(Extensions::USUAL.with(Extensions::DSN));
        });
        let mut talk = running.client();
        let said = "MAIL FROM:<a@b.example> SIZE=99 RET=HDRS ENVID=7";
        assert!(talk.ask(said).starts_with("250 "));
        let said = "RCPT TO:<c@d.example> NOTIFY=NEVER";
        assert!(talk.ask(said).starts_with("250 "));
        assert!(talk.ask("DATA").starts_with("354 "));
        let text = if replies.is_empty() {
            "xy\r\n"
        } else {
            "\u{e9}\r\n"
        };
        talk.send(text);
        assert!(talk.ask(".").starts_with("250 "));
        let heard: Vec<String> = lines.try_iter().collect();
        // With the field that this server writes, the size is another one than the client's.
        let size = size_of_message(&heard);
        let mail = mail.replace('?', &size.to_string());
        assert!(heard.contains(&mail), "{heard:?}");
        assert!(heard.iter().any(|line| line == rcpt), "{heard:?}");
    }
}

#[test]
fn two_hundred_at_once_go_through_and_large_ones_are_whole() {
    let (collect, mut collection) = Collect::new();
    let next = Running::start(collect);
    let running = Running::with(relay_to(next.address, Protocol::Smtp), restricted);
    let large = "0123456789 lines of some length\r\n".repeat(100_000);
    assert!(running.client().message(&large).starts_with("250 "));
    let arrived = collection.next_now().unwrap();
    assert!(arrived.octets().ends_with(large.as_bytes()));
    assert!(hops(&arrived) == 1);
    thread::scope(|scope| {
        for number in 0..200 {
            let running = &running;
            scope.spawn(move || {
                let reply = running.client().message(&format!("{number}\r\n"));
                assert!(reply.starts_with("250 "), "{reply}");
            });
        }
    });
    assert_eq!(collection.len(), 200);
    let mut talk = running.client();
    talk.begin(&["c@d.example"]);
    talk.send("half");
    talk.cut();
    assert!(running.client().message("whole\r\n").starts_with("250 "));
    assert_eq!(collection.len(), 201);
}

#[test]
fn it_does_not_serve_strangers_who_name_anybody() {
    let (address, _lines) = next_server(&[]);
    let server = Server::bind(ServerOptions::new()).unwrap();
    let relay = Deliver::new(relay_to(address, Protocol::Smtp));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(server.serve_until(relay, std::future::pending()));
    let error = result.unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    assert!(error.message().starts_with("domains: "), "{error}");
}

#[test]
fn each_relay_of_a_chain_adds_a_field_and_a_loop_ends() {
    let (collect, mut collection) = Collect::new();
    let last = Running::start(collect);
    let second = running(last.address);
    let first = Running::with(relay_to(second.address, Protocol::Smtp), |options| {
        restricted(options);
        options.set_max_hops(3);
    });
    let mut talk = first.client();
    let text = "Subject: one\r\n\r\nHello.\r\n";
    assert!(talk.message(text).starts_with("250 "));
    let arrived = collection.next_now().unwrap();
    assert_eq!(hops(&arrived), 2);
    assert!(arrived.octets().ends_with(text.as_bytes()));
    for (before, reply) in [(3, "250 "), (4, "554 5.4.6 ")] {
        let trace = "Received: by mx.d.example; Thu, 1 Jan 1970 00:00:00 +0000\r\n";
        let said = talk.message(&format!("{}{text}", trace.repeat(before)));
        assert!(said.starts_with(reply), "{before}: {said}");
    }
    assert_eq!(hops(&collection.next_now().unwrap()), 5);
    assert!(collection.is_empty());
}

#[test]
fn behind_the_event_queue_it_adds_a_field_too() {
    let (collect, mut collection) = Collect::new();
    let next = Running::start(collect);
    let relay = Destination::open(&format!("relay:smtp://{}?tls=none", next.address)).unwrap();
    let mut options = ServerOptions::new();
    restricted(&mut options);
    let server = mailwire::blocking::Server::start_with(options, &relay).unwrap();
    let mut talk = Talk::connect(server.addresses()[0]);
    assert!(talk.reply().starts_with("220 "));
    assert!(talk.ask("EHLO client.example").starts_with("250-"));
    assert!(talk.message("Subject: one\r\n\r\n").starts_with("250 "));
    assert_eq!(hops(&collection.next_now().unwrap()), 1);
}

const TOO_MANY: &str =
    "452 4.5.3 More recipients than the next server takes at once, send to fewer at a time";

#[test]
fn more_recipients_than_the_next_server_takes_are_no_final_refusal() {
    for limit in ["RCPTMAX=1", "RCPTDOMAINMAX=1"] {
        let (address, lines) = limited(limit);
        let running = running(address);
        let mut talk = running.client();
        talk.begin(&["c@d.example", "e@f.example"]);
        assert_eq!(talk.ask("x\r\n."), TOO_MANY);
        assert!(lines.try_iter().all(|line| !line.starts_with("MAIL")));
        assert!(talk.message("x\r\n").starts_with("250 "));
    }
}

#[test]
fn by_lmtp_those_that_are_too_many_are_told_so_and_no_others() {
    for limit in ["RCPTMAX=1", "RCPTDOMAINMAX=1"] {
        let (address, lines) = limited(limit);
        let running = Running::with(relay_to(address, Protocol::Smtp), |options| {
            restricted(options);
            options.set_protocol(Protocol::Lmtp);
        });
        let mut talk = Talk::connect(running.address);
        assert!(talk.reply().starts_with("220 "));
        assert!(talk.ask("LHLO client.example").starts_with("250-"));
        talk.begin(&["c@d.example", "e@f.example"]);
        talk.send("x\r\n.\r\n");
        assert_eq!(talk.reply(), "250 2.0.0 fine");
        assert_eq!(talk.reply(), TOO_MANY);
        let named = |line: &String| line.starts_with("RCPT");
        assert_eq!(lines.try_iter().filter(named).count(), 1);
        // Sent again, as the client was told.
        talk.begin(&["e@f.example"]);
        talk.send("x\r\n.\r\n");
        assert_eq!(talk.reply(), "250 2.0.0 fine");
    }
}

/// A server that tells a limit.
fn limited(limit: &str) -> (SocketAddr, Receiver<String>) {
    let told = format!("250-next.example\r\n250 LIMITS {limit}").leak();
    next_server(vec![("EHLO", &*told)].leak())
}
