//! Refusals of a message or of its envelope.

use mailwire::{Error, Phase, Status};

use super::{Table, as_is};
use crate::script::Server;
use crate::{options, send};

/// A session up to a command that is answered so. The reply to the end of data is asked for by a dot.
pub(crate) fn answering(command: &'static str, reply: &'static str) -> Error {
    let server = Server::once(move |s| {
        s.welcome(&[]);
        for (expected, good) in [
            ("MAIL", "250 ok\n"),
            ("RCPT", "250 ok\n"),
            ("DATA", "354 go on\n"),
            (".", "250 ok\n"),
        ] {
            if expected == "." {
                s.body();
            } else {
                s.hear_start(expected);
            }
            if expected == command {
                s.say(reply);
                s.say("\n");
                if !reply.starts_with("421") {
                    s.hear_start("");
                    s.say("250 ok\n");
                }
                return;
            }
            s.say(good);
        }
    });
    let error = send(options(&server), &["a@x.example"]).unwrap_err();
    server.join();
    error
}

/// What it is, the command, the reply to it, the error, and what to try.
type Refusal = (
    &'static str,
    &'static str,
    &'static str,
    (Status, Phase),
    &'static str,
);

const REFUSALS: [Refusal; 13] = [
    (
        "sender refused",
        "MAIL",
        "550 not from you",
        (Status::Permanent, Phase::Mail),
        "log in as its owner",
    ),
    (
        "recipient refused",
        "RCPT",
        "550 not to him",
        (Status::Permanent, Phase::Rcpt),
        "check the address",
    ),
    (
        "no such mailbox",
        "RCPT",
        "550 5.1.1 who?",
        (Status::Permanent, Phase::Rcpt),
        "check the spelling",
    ),
    (
        "relaying",
        "RCPT",
        "554 5.7.1 relaying denied",
        (Status::Permanent, Phase::Rcpt),
        "a login may be needed",
    ),
    (
        "too big",
        ".",
        "552 too big",
        (Status::Permanent, Phase::EndOfData),
        "make it smaller",
    ),
    (
        "over quota",
        "RCPT",
        "552 over quota",
        (Status::Transient, Phase::Rcpt),
        "or these are more recipients than the server takes at a time; try again later",
    ),
    (
        "mailbox full",
        "RCPT",
        "550 5.2.2 over quota",
        (Status::Permanent, Phase::Rcpt),
        "its owner has to make room",
    ),
    (
        "mailbox busy",
        "RCPT",
        "450 4.2.0 mailbox busy",
        (Status::Transient, Phase::Rcpt),
        "try again later",
    ),
    (
        "greylisted",
        "RCPT",
        "450 4.7.1 greylisted",
        (Status::Transient, Phase::Rcpt),
        "as greylisting does",
    ),
    (
        "greylisted at the end of data",
        ".",
        "451 4.7.1 Greylisted, come again",
        (Status::Transient, Phase::EndOfData),
        "as greylisting does",
    ),
    (
        "rate limited",
        "RCPT",
        "450 4.7.1 too much mail from 192.0.2.1",
        (Status::Transient, Phase::Rcpt),
        "send less or more slowly",
    ),
    (
        "spam",
        ".",
        "554 5.7.1 looks like spam",
        (Status::Permanent, Phase::EndOfData),
        "change the message or its sender",
    ),
    (
        "message refused",
        ".",
        "554 no",
        (Status::Permanent, Phase::EndOfData),
        "change the message",
    ),
];

pub(super) fn add(table: &mut Table) {
    for (fault, command, reply, expected, hint) in REFUSALS {
        table.add(fault, &answering(command, reply), expected, hint);
    }
    table.play(
        "too big for the announced SIZE",
        (
            |s| {
                s.welcome(&["SIZE 10"]);
                s.goodbye();
            },
            as_is,
        ),
        (Status::TooLarge, Phase::Mail),
        "make it smaller",
    );
}
