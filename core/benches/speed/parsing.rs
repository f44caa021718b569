//! Commands as a server reads them, and replies as a client does, beside smtp-proto.

use std::hint::black_box;

use mailwire::proto::{Capabilities, Command, ReplyGatherer};
use smtp_proto::request::receiver::RequestReceiver;
use smtp_proto::response::parser::ResponseReceiver;

use crate::race::{Contestant, race};

const COMMANDS: &[(&str, &[&str])] = &[
    ("NOOP", &["NOOP\r\n"]),
    ("EHLO", &["EHLO client.example.org\r\n"]),
    (
        "MAIL with SIZE and BODY",
        &["MAIL FROM:<some.body@client.example.org> SIZE=12345 BODY=8BITMIME\r\n"],
    ),
    ("RCPT", &["RCPT TO:<somebody.else@server.example.net>\r\n"]),
    (
        "a transaction",
        &[
            "MAIL FROM:<some.body@client.example.org>\r\n",
            "RCPT TO:<somebody.else@server.example.net>\r\n",
            "RCPT TO:<nobody@server.example.net>\r\n",
            "DATA\r\n",
        ],
    ),
];

const REPLIES: &[(&str, &[&str])] = &[
    ("250", &["250 2.1.0 Sender is fine\r\n"]),
    ("550", &["550 5.1.1 Nobody of that name lives here\r\n"]),
    (
        "the reply to EHLO",
        &[
            "250-mx.example.org greets client.example.org\r\n",
            "250-PIPELINING\r\n",
            "250-SIZE 36700160\r\n",
            "250-STARTTLS\r\n",
            "250-AUTH PLAIN LOGIN\r\n",
            "250-ENHANCEDSTATUSCODES\r\n",
            "250-8BITMIME\r\n",
            "250 SMTPUTF8\r\n",
        ],
    ),
];

/// Races, of which the table is all that is wanted.
pub(crate) fn races() {
    for &(what, lines) in COMMANDS {
        let together = lines.concat();
        print(
            &format!("command: {what}"),
            &mut [
                Contestant::new("mailwire", || {
                    for line in black_box(lines) {
                        let line = line.strip_suffix("\r\n").unwrap_or(line);
                        black_box(Command::parse(line.as_bytes())).ok();
                    }
                }),
                Contestant::new("smtp-proto", || {
                    let mut receiver = RequestReceiver::default();
                    let mut octets = black_box(&together).as_bytes().iter();
                    for _ in lines {
                        black_box(receiver.ingest(&mut octets)).ok();
                    }
                }),
            ],
        );
    }
    for &(what, lines) in REPLIES {
        let together = lines.concat();
        let is_hello = lines.len() > 1;
        print(
            &format!("reply: {what}"),
            &mut [
                Contestant::new("mailwire", || {
                    let mut gatherer = ReplyGatherer::default();
                    for line in black_box(lines) {
                        let line = line.strip_suffix("\r\n").unwrap_or(line);
                        if let Ok(Some(reply)) = black_box(gatherer.line(line.as_bytes()))
                            && is_hello
                        {
                            black_box(Capabilities::from_reply(&reply));
                        }
                    }
                }),
                Contestant::new("smtp-proto", || {
                    let mut octets = black_box(&together).as_bytes().iter();
                    if is_hello {
                        black_box(smtp_proto::EhloResponse::parse(&mut octets)).ok();
                    } else {
                        black_box(ResponseReceiver::default().parse(&mut octets)).ok();
                    }
                }),
            ],
        );
    }
}

fn print(what: &str, contestants: &mut [Contestant<'_>]) {
    println!("\n{what}");
    let best = race(contestants);
    for (contestant, seconds) in contestants.iter().zip(&best) {
        let name = contestant.name;
        let ratio = seconds / best[1];
        println!(
            "  {name:32} {:7.1} ns {ratio:8.2} of smtp-proto's time",
            seconds * 1e9
        );
    }
}
