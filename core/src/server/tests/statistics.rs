//! Each number of the statistics: what moves it, and that nothing else does.

mod commands;
mod messages;
mod sessions;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use self::commands::COMMANDS;
use self::messages::MESSAGES;
use self::sessions::{ENDS, SESSIONS};
use super::super::{Options, Statistics};
use super::talk::Talk;
use super::{Running, tls};
use crate::sasl::Secret;
use crate::tls::ClientTls;
use crate::tls::test_pki::Authority;

const ENVELOPE: [(&str, &str); 2] = [
    ("MAIL FROM:<a@b.example>", "250"),
    ("RCPT TO:<c@d.example>", "250"),
];

/// What a client does at a server with these settings, and which numbers that moves besides those of a session: they are in front.
struct Case {
    what: &'static str,
    settings: &'static [(&'static str, &'static str)],
    act: fn(&Running, &ClientTls),
    moves: &'static [(&'static str, u64)],
}

/// A client that says each of these, is answered so, and says QUIT.
fn says(server: &Running, script: &[(&str, &str)]) {
    let mut talk = server.greeted();
    follow(&mut talk, script);
    assert!(talk.ask("QUIT").starts_with("221 "));
}

fn follow(talk: &mut Talk, script: &[(&str, &str)]) {
    for (command, expected) in script {
        let reply = talk.ask(command);
        assert!(reply.starts_with(expected), "{command}: {reply}");
    }
}

/// A client that comes while another one is there, and is one too many.
fn comes_beside_another(server: &Running, _: &ClientTls) {
    let mut talk = server.greeted();
    assert!(Talk::connect(server.address).reply().starts_with("421 "));
    talk.ask("QUIT");
}

/// The same in a transaction with a recipient.
fn says_in_transaction(server: &Running, script: &[(&str, &str)]) {
    says(server, &[&ENVELOPE, script].concat());
}

const PLAIN_RIGHT: &str = "AUTH PLAIN AHRpbQBzZWNyZXQ=";
const PLAIN_WRONG: &str = "AUTH PLAIN AHRpbQB3cm9uZw==";

/// What moved at a server with these options once its sessions were over.
fn moved(case: &Case, mut options: Options, tls: &ClientTls) -> Vec<(&'static str, u64)> {
    for (name, value) in case.settings {
        options.set(name, value).unwrap();
    }
    let server = Running::start(options);
    (case.act)(&server, tls);
    let begun = Instant::now();
    while server.statistics().open_sessions > 0 || server.statistics() == Statistics::default() {
        let waited = begun.elapsed();
        assert!(
            waited < Duration::from_secs(20),
            "{}: it goes on",
            case.what
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = server.statistics();
    let ends = told.sessions_quit
        + told.sessions_lost
        + told.sessions_timed_out
        + told.sessions_over_limit
        + told.sessions_ended_by_application
        + told.sessions_shut_down
        + told.sessions_violated;
    assert_eq!(ends, told.sessions, "{}", case.what);
    // Whoever has talked has heard and been heard.
    assert_eq!(told.octets_received > 0, told.sessions > 0, "{}", case.what);
    assert_eq!(told.octets_sent > 0, told.sessions > 0, "{}", case.what);
    let values = told.values();
    values
        .filter(|(name, value)| *value > 0 && !name.starts_with("octets_"))
        .collect()
}

#[test]
fn each_number_is_moved_by_what_it_counts_and_by_nothing_else() {
    let authority = Authority::new("test");
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    options.set_tls(authority.issue(&["mx.example.org"]).server());
    options.set_allow_plaintext_auth(true);
    options.add_user("tim", Secret::new("secret")).unwrap();
    let tls = authority.client();
    let mut provoked: HashSet<&str> = ["octets_received", "octets_sent", "open_sessions"].into();
    let quits = [("sessions", 1), ("sessions_quit", 1)];
    let sessions = SESSIONS.iter().chain(ENDS).map(|case| (case, &[][..]));
    let others = COMMANDS
        .iter()
        .chain(MESSAGES)
        .map(|case| (case, &quits[..]));
    for (case, usual) in sessions.chain(others) {
        let mut expected: Vec<(&str, u64)> = Vec::new();
        for (name, count) in case.moves.iter().chain(usual) {
            match expected.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += count,
                None => expected.push((name, *count)),
            }
        }
        let mut moves = moved(case, options.clone(), &tls);
        expected.sort_unstable();
        moves.sort_unstable();
        assert_eq!(moves, expected, "{}", case.what);
        provoked.extend(expected.iter().map(|(name, _)| *name));
    }
    // Of other tests: memory is held while it is used (memory.rs), long lists (memory.rs), the queue (blocking/server/tests/full.rs), a
    // handler that panics (sessions.rs), the end of a server (ends.rs), want of descriptors (core/tests/listening.rs).
    provoked.extend([
        "body_memory",
        "recipients_without_memory",
        "queued_events",
        "unanswered_events",
        "connections_refused_by_application",
        "sessions_shut_down",
        "failed_accepts",
    ]);
    let all = Statistics::default();
    for (name, _) in all.values() {
        assert!(provoked.contains(name), "nothing has moved {name}");
    }
}

#[test]
fn a_chunk_that_is_no_number_ends_the_session_and_refuses_no_message() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    follow(&mut talk, &ENVELOPE);
    follow(&mut talk, &[("BDAT 3\r\nx", "250"), ("BDAT x", "501")]);
    assert!(talk.is_closed());
    assert_eq!(server.seen.wait_for("lost"), "lost 600");
    server.seen.wait_for("disconnect");
    let told = server.statistics();
    assert_eq!((told.messages, told.refused_messages), (0, 0));
}
