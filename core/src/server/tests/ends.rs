//! How sessions come to their end when the server stops: whoever has no transaction holds nothing up, whatever its client does or leaves.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::tls::with_tls;
use super::{Running, Seen, Talk};
use crate::error::{Error, Status};
use crate::proto::{Envelope, Reply};
use crate::sasl::Secret;
use crate::server::{
    Answer, Answers, Body, Control, Handler, Options, Session, SessionInfo, Statistics,
};
use crate::tls::test_pki::Authority;

/// Transactions may take so long. Nothing else may.
const GRACE: Duration = Duration::from_secs(60);

/// What nobody may take from whom there is nothing to wait for: a moment for the last words, twice, and air for a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// Stops the server, and tells how long that took and what was counted.
fn stopped(server: Running) -> (Duration, Seen, Control) {
    let control = server.control.clone();
    let begun = Instant::now();
    let seen = server.stop();
    (begun.elapsed(), seen, control)
}

fn is_soon(server: Running) {
    let (took, _, control) = stopped(server);
    assert!(took < SOON, "{took:?}");
    let told = control.statistics();
    let ended = (
        told.sessions_shut_down,
        told.sessions_timed_out,
        told.failed_tls_handshakes,
    );
    assert_eq!((told.sessions, ended), (1, (1, 0, 0)), "{told:?}");
}

#[test]
fn a_client_that_begins_no_handshake_does_not_hold_up_a_shutdown() {
    let (server, _) = with_tls(|options| {
        options.set_implicit_tls(true);
        options.set_grace(GRACE);
    });
    let _silent = TcpStream::connect(server.address).unwrap();
    while server.statistics().sessions == 0 {
        std::thread::yield_now();
    }
    is_soon(server);
}

#[test]
fn a_client_that_is_silent_behind_starttls_does_not_hold_up_a_shutdown() {
    let (server, _) = with_tls(|options| options.set_grace(GRACE));
    let mut silent = server.greeted();
    assert!(silent.ask("STARTTLS").starts_with("220 "));
    is_soon(server);
}

#[test]
fn a_client_in_the_middle_of_a_login_does_not_hold_up_a_shutdown() {
    let server = Running::with(|options| {
        options.add_user("tim", Secret::new("secret")).unwrap();
        options.set_allow_plaintext_auth(true);
        options.set_grace(GRACE);
    });
    let mut talk = server.greeted();
    assert!(talk.ask("AUTH LOGIN").starts_with("334 "));
    is_soon(server);
    assert_eq!(talk.reply(), "421 4.3.2 Shutting down");
}

/// Sends commands whose replies are never read, until nothing moves any more.
fn stuff(mut stream: &TcpStream) {
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let commands = "HELP\r\n".repeat(10_000);
    // Until it takes no more, or the session is over.
    while stream.write(commands.as_bytes()).is_ok() {}
}

#[test]
fn a_client_that_does_not_read_does_not_hold_up_a_shutdown() {
    let server = Running::with(|options| {
        options.set_grace(GRACE);
        options.set_max_idle_commands(u32::MAX).unwrap();
    });
    let mut talk = server.greeted();
    stuff(talk.stream());
    is_soon(server);
}

/// Stops servers whose client has done this, until one ends with its grace of a second: a machine that is busy may make it later, but not
/// each time. Never is it earlier.
fn has_the_grace_and_no_more(does: impl Fn(&Running, &mut Talk)) {
    let took = |_| {
        let server = Running::with(|options| {
            options.set_grace(Duration::from_secs(1));
            options.set_max_idle_commands(u32::MAX).unwrap();
        });
        let mut talk = server.greeted();
        does(&server, &mut talk);
        let (took, _, _) = stopped(server);
        assert!(took >= Duration::from_secs(1), "{took:?}");
        took
    };
    assert!(
        (0..10)
            .map(took)
            .any(|took| took < Duration::from_millis(1900))
    );
}

#[test]
fn a_client_that_does_not_read_within_a_transaction_has_the_grace_and_no_more() {
    has_the_grace_and_no_more(|_, talk| {
        assert!(talk.ask("MAIL FROM:<a@b.example>").starts_with("250"));
        stuff(talk.stream());
    });
}

#[test]
fn a_hook_that_is_stuck_has_the_grace_and_no_more() {
    has_the_grace_and_no_more(|server, talk| {
        talk.send("MAIL FROM:<wait@b.example>\r\n");
        server.seen.wait_for("mail wait");
    });
}

#[test]
fn a_session_lasts_no_longer_than_it_may_though_its_client_does_not_read() {
    let server = Running::with(|options| {
        options.set_max_idle_commands(u32::MAX).unwrap();
        options.set_session_timeout(Duration::from_secs(4)).unwrap();
    });
    let mut talk = server.greeted();
    stuff(talk.stream());
    server.seen.wait_for("disconnect 102");
}

#[test]
fn no_transaction_begins_once_the_server_stops() {
    let server = Running::with(|options| options.set_grace(GRACE));
    let mut talk = server.greeted();
    let begin = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n";
    talk.send(begin);
    for code in ["250", "250", "354"] {
        assert!(talk.reply().starts_with(code));
    }
    let address = server.address;
    let stopping = std::thread::spawn(move || stopped(server));
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    // The next one is there before the end of this one is answered.
    talk.send(format!("first\r\n.\r\n{begin}"));
    assert_eq!(talk.reply(), "250 2.0.0 queued");
    assert_eq!(talk.reply(), "421 4.3.2 Shutting down");
    assert!(talk.is_closed());
    let (took, seen, control) = stopping.join().unwrap();
    assert!(took < SOON, "{took:?}");
    assert_eq!(control.statistics().messages, 1);
    assert_eq!(
        seen.all()
            .iter()
            .filter(|what| what.starts_with("mail "))
            .count(),
        1
    );
}

/// Notes why a session is over, and turns away whom it is to.
#[derive(Clone)]
struct Reasons {
    seen: Seen,
    turns_away: bool,
}

impl Handler for Reasons {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        self.clone()
    }
}

impl Session for Reasons {
    async fn connect(&mut self, _: &SessionInfo) -> Answer {
        if self.turns_away {
            Answer::Reply(Reply::new(421, "not you").unwrap())
        } else {
            Answer::Accept
        }
    }

    async fn message(&mut self, _: &SessionInfo, _: Envelope, _: &mut Body<'_>) -> Answers {
        let fault = Error::new(Status::Io, "the disk is gone");
        Answers::from(Reply::new(421, "not now").unwrap()).with_fault(fault)
    }

    async fn disconnect(&mut self, _: &SessionInfo, reason: Option<&Error>) {
        let reason = reason.map_or_else(
            || "none".to_owned(),
            |error| format!("{:?}: {}", error.status(), error.message()),
        );
        self.seen.note(reason);
    }
}

/// What is told of a session in which a client does this, and what is counted: by QUIT, over a limit, by the
/// application, shut down, timed out, violated, lost.
fn told_of(
    change: impl FnOnce(&mut Options),
    does: impl FnOnce(Talk, &mut Running),
) -> (String, [u64; 7]) {
    told_of_one(false, change, does)
}

fn told_of_one(
    turns_away: bool,
    change: impl FnOnce(&mut Options),
    does: impl FnOnce(Talk, &mut Running),
) -> (String, [u64; 7]) {
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    change(&mut options);
    let seen = Seen::default();
    let handler = Reasons {
        seen: seen.clone(),
        turns_away,
    };
    let mut server = Running::serve(options, handler, seen.clone());
    does(Talk::connect(server.address), &mut server);
    let reason = seen.wait_for("");
    let Statistics {
        sessions_quit,
        sessions_over_limit,
        sessions_ended_by_application,
        sessions_shut_down,
        sessions_timed_out,
        sessions_violated,
        sessions_lost,
        ..
    } = server.statistics();
    let counted = [
        sessions_quit,
        sessions_over_limit,
        sessions_ended_by_application,
        sessions_shut_down,
        sessions_timed_out,
        sessions_violated,
        sessions_lost,
    ];
    (reason, counted)
}

const OVER_LIMIT: [u64; 7] = [0, 1, 0, 0, 0, 0, 0];
const BY_APPLICATION: [u64; 7] = [0, 0, 1, 0, 0, 0, 0];
const SHUT_DOWN: [u64; 7] = [0, 0, 0, 1, 0, 0, 0];

fn ended_by(reply: &str, counted: [u64; 7]) -> (String, [u64; 7]) {
    (format!("Closed: the session was ended: {reply}"), counted)
}

#[test]
fn a_session_that_its_client_ends_has_no_reason_or_the_failure() {
    let quit = told_of(
        |_| {},
        |mut talk, _| {
            talk.reply();
            assert!(talk.ask("QUIT").starts_with("221"));
        },
    );
    assert_eq!(quit, ("none".to_owned(), [1, 0, 0, 0, 0, 0, 0]));
    let (reason, counted) = told_of(|_| {}, |mut talk, _| drop(talk.reply()));
    assert!(reason.starts_with("ConnectionLost: "), "{reason}");
    assert_eq!(counted, [0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn a_session_that_we_end_is_told_by_the_reply_that_ended_it() {
    let bad = |options: &mut Options| options.set_max_bad_commands(1).unwrap();
    let closed = told_of(bad, |mut talk, _| {
        talk.send("FOO\r\nFOO\r\n");
        while !talk.reply().is_empty() {}
    });
    assert_eq!(
        closed,
        ended_by("421 4.7.0 Too many bad commands", OVER_LIMIT)
    );
    let turned_away = told_of_one(true, |_| {}, |mut talk, _| drop(talk.reply()));
    assert_eq!(turned_away, ended_by("421 not you", BY_APPLICATION));
    let faulty = told_of(
        |_| {},
        |mut talk, _| {
            talk.reply();
            talk.ask("EHLO c.example");
            talk.ask("MAIL FROM:<a@b.example>");
            talk.ask("RCPT TO:<c@d.example>");
            assert_eq!(talk.ask("DATA"), "421 4.0.0 not now");
        },
    );
    assert_eq!(faulty, ended_by("421 4.0.0 not now", BY_APPLICATION));
}

#[test]
fn a_session_that_a_shutdown_ends_is_told_so_within_a_transaction_too() {
    let told = "421 4.3.2 Shutting down";
    for command in ["NOOP", "MAIL FROM:<a@b.example>"] {
        let is_told = || {
            let grace = |options: &mut Options| options.set_grace(Duration::from_millis(200));
            let mut said = String::new();
            let ended = told_of(grace, |mut talk, server| {
                talk.reply();
                talk.ask("EHLO client.example");
                assert!(talk.ask(command).starts_with("250"));
                drop(server.stop.take());
                said = talk.reply();
            });
            said == told && ended == ended_by(told, SHUT_DOWN)
        };
        // A machine that is busy may have no time left for the last words, but not each time.
        assert!((0..5).any(|_| is_told()), "{command}");
    }
}

#[test]
fn a_session_that_takes_too_long_or_is_no_smtp_is_told_so() {
    let short = |options: &mut Options| {
        options
            .set_idle_timeout(Duration::from_millis(200))
            .unwrap();
    };
    let late = told_of(short, |mut talk, _| {
        talk.reply();
        assert!(talk.reply().starts_with("421 4.4.2"));
    });
    let text = "Timeout: the session was ended: 421 4.4.2 Timeout, closing the connection";
    assert_eq!(late, (text.to_owned(), [0, 0, 0, 0, 1, 0, 0]));
    let tls = |options: &mut Options| {
        let issued = Authority::new("test").issue(&["mx.example.org"]);
        options.set_tls(issued.server());
    };
    let (reason, counted) = told_of(tls, |mut talk, _| {
        talk.reply();
        talk.ask("EHLO client.example");
        talk.send("STARTTLS\r\nNOOP\r\n");
        while !talk.reply().is_empty() {}
    });
    assert!(reason.starts_with("Protocol: "), "{reason}");
    assert_eq!(counted, [0, 0, 0, 0, 0, 1, 0]);
}
