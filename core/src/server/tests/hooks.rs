//! Each hook in turn panics, takes its time or refuses: what becomes of its command, of its session, and of other clients.

use std::time::Duration;

use super::super::Hooks;
use super::{
    Answer, Answers, Body, Handler, Options, Running, Seen, Session, SessionInfo, Talk, reply,
};
use crate::error::Error;
use crate::proto::{Envelope, MailParameters, Recipient, Reply, ReversePath};
use crate::sasl::{Credentials, Found, Lookup};

/// What the one hook does that is not as it should be.
#[derive(Clone, Copy)]
enum Mood {
    Panics,
    Waits,
    Refuses,
}

/// A session of which one hook is in a mood. Clients whose name begins with `other` never meet it.
#[derive(Clone)]
struct Moody {
    hook: &'static str,
    mood: Mood,
    seen: Seen,
    other: bool,
}

impl Moody {
    async fn act(&self, hook: &str) -> Answer {
        if self.other || hook != self.hook {
            return Answer::Accept;
        }
        self.seen.note(hook);
        match self.mood {
            Mood::Panics => std::panic::resume_unwind(Box::new("as the test wants")),
            Mood::Waits => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Answer::Accept
            }
            Mood::Refuses => Answer::Reply(reply(554, "not with me")),
        }
    }
}

impl Handler for Moody {
    type Session = Self;

    fn session(&self, info: &SessionInfo) -> Self {
        let other = info.address().is_some_and(|address| address.ip() == OTHER);
        Self {
            other,
            ..self.clone()
        }
    }
}

/// Where clients come from who are to be served whatever becomes of the one in question.
const OTHER: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

impl Session for Moody {
    async fn connect(&mut self, _: &SessionInfo) -> Answer {
        self.act("connect").await
    }

    async fn hello(&mut self, _: &SessionInfo, _: &str) -> Answer {
        self.act("hello").await
    }

    async fn auth(&mut self, _: &SessionInfo, _: Credentials) -> Answer {
        self.act("auth").await
    }

    async fn look_up(&mut self, _: &SessionInfo, _: &Lookup) -> Result<Found, Reply> {
        match self.act("look_up").await {
            Answer::Accept => Ok(Found::Nobody),
            Answer::Reply(reply) => Err(reply),
        }
    }

    async fn mail(&mut self, _: &SessionInfo, _: &ReversePath, _: &MailParameters) -> Answer {
        self.act("mail").await
    }

    async fn recipients(&mut self, _: &SessionInfo, _: &[Recipient]) -> Answers {
        self.act("recipients").await.into()
    }

    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        let begun = self.act("message").await;
        if begun != Answer::Accept {
            return begun.into();
        }
        let mut read = 0;
        while let Ok(Some(octets)) = body.chunk().await {
            read += octets.len();
            if read > 1000 {
                let middle = self.act("middle").await;
                if middle != Answer::Accept {
                    return middle.into();
                }
            }
        }
        self.act("end").await.into()
    }

    async fn reset(&mut self, _: &SessionInfo) {
        self.act("reset").await;
    }

    async fn verify(&mut self, _: &SessionInfo, _: &str) -> Answer {
        self.act("verify").await
    }

    async fn expand(&mut self, _: &SessionInfo, _: &str) -> Answer {
        self.act("expand").await
    }

    async fn help(&mut self, _: &SessionInfo, _: &str) -> Answer {
        self.act("help").await
    }

    async fn etrn(&mut self, _: &SessionInfo, _: &str) -> Answer {
        self.act("etrn").await
    }

    async fn unknown(&mut self, _: &SessionInfo, _: &str, _: &str) -> Answer {
        self.act("unknown").await
    }

    async fn quit(&mut self, _: &SessionInfo) {
        self.act("quit").await;
    }

    async fn disconnect(&mut self, _: &SessionInfo, _: Option<&Error>) {
        self.act("disconnect").await;
    }
}

fn moody(hook: &'static str, mood: Mood) -> Running {
    let seen = Seen::default();
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    options.set_hooks(Hooks::ALL.with(Hooks::LOOKUP));
    options.set_allow_plaintext_auth(true);
    options.set_grace(Duration::ZERO);
    let handler = Moody {
        hook,
        mood,
        seen: seen.clone(),
        other: false,
    };
    Running::serve(options, handler, seen)
}

/// `tim` with the password `pw`.
const AUTH_PLAIN: &str = "AUTH PLAIN AHRpbQBwdw==";
const ENVELOPE: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

/// For each hook: the lines that come before it, the line that it is asked about, what is said where it panics and where it refuses.
const HOOKS: [(&str, &str, &str, &str, &str); 13] = [
    (
        "hello",
        "",
        "EHLO client.example",
        "451 Local error",
        "554 not with me",
    ),
    ("auth", "EHLO x\r\n", AUTH_PLAIN, "454 4.7.0", "554 5.0.0"),
    (
        "look_up",
        "EHLO x\r\nAUTH SCRAM-SHA-1\r\n",
        "biwsbj10aW0scj1hYmNk",
        "454 4.7.0",
        "554 5.0.0",
    ),
    (
        "mail",
        "EHLO x\r\n",
        "MAIL FROM:<a@b.example>",
        "451 4.3.0",
        "554 5.0.0",
    ),
    (
        "recipients",
        "EHLO x\r\nMAIL FROM:<a@b.example>\r\n",
        "RCPT TO:<c@d.example>",
        "451 4.3.0",
        "554 5.0.0",
    ),
    ("message", "ENVELOPE", "DATA", "451 4.3.0", "554 5.0.0"),
    ("middle", "ENVELOPE DATA", "", "451 4.3.0", "554 5.0.0"),
    ("end", "ENVELOPE DATA", "", "451 4.3.0", "554 5.0.0"),
    ("verify", "EHLO x\r\n", "VRFY tim", "451 4.3.0", "554 5.0.0"),
    ("expand", "EHLO x\r\n", "EXPN all", "451 4.3.0", "554 5.0.0"),
    ("help", "EHLO x\r\n", "HELP", "451 4.3.0", "554 5.0.0"),
    (
        "etrn",
        "EHLO x\r\n",
        "ETRN node.example",
        "451 4.3.0",
        "554 5.0.0",
    ),
    ("unknown", "EHLO x\r\n", "XFOO", "451 4.3.0", "554 5.0.0"),
];

/// Says what leads to a hook, and then what it is asked about.
fn lead_to(talk: &mut Talk, before: &str, line: &str) {
    let lines = match before {
        "ENVELOPE" | "ENVELOPE DATA" => format!("EHLO x\r\n{ENVELOPE}"),
        lines => lines.to_owned(),
    };
    for line in lines.lines() {
        let reply = talk.ask(line);
        assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
    }
    if before == "ENVELOPE DATA" {
        assert!(talk.ask("DATA").starts_with("354"));
        // More than any buffer holds: a hook that leaves it unread must not leave the client in the middle of it.
        talk.send(b"0123456789 0123456789\r\n".repeat(100_000));
        talk.send(".\r\n");
    } else {
        talk.send(format!("{line}\r\n"));
    }
}

/// A message of another client, which is to be taken.
fn another_is_served(server: &Running) {
    let mut talk = Talk::connect_from(OTHER, server.address);
    assert!(talk.reply().starts_with("220"));
    assert!(talk.ask("EHLO other.example").starts_with("250-"));
    let said = talk.message("a@b.example", &["c@d.example"], b"x\r\n");
    assert_eq!(said, "250 2.0.0 OK");
    assert_eq!(talk.ask("QUIT"), "221 2.0.0 Bye");
}

#[test]
fn each_hook_that_panics_or_refuses_costs_its_own_command_alone() {
    for (hook, before, line, panicked, refused) in HOOKS {
        for (mood, expected) in [(Mood::Panics, panicked), (Mood::Refuses, refused)] {
            let server = moody(hook, mood);
            let mut talk = server.client();
            lead_to(&mut talk, before, line);
            let said = talk.reply();
            assert!(said.starts_with(expected), "{hook}: {said}");
            assert!(talk.ask("NOOP").starts_with("250"), "{hook}");
            another_is_served(&server);
            // Once more in the same session.
            talk.ask("RSET");
            if !["auth", "look_up"].contains(&hook) {
                lead_to(&mut talk, before, line);
                assert!(talk.reply().starts_with(expected), "{hook}");
            }
            assert_eq!(talk.ask("QUIT"), "221 2.0.0 Bye");
            server.stop();
        }
    }
}

#[test]
fn a_hook_that_only_hears_may_panic_and_nobody_notices() {
    for hook in ["reset", "quit", "disconnect"] {
        let server = moody(hook, Mood::Panics);
        let mut talk = server.greeted();
        assert_eq!(talk.ask("MAIL FROM:<a@b.example>"), "250 2.1.0 OK");
        assert_eq!(talk.ask("RSET"), "250 2.0.0 OK");
        let said = talk.message("a@b.example", &["c@d.example"], b"x\r\n");
        assert_eq!(said, "250 2.0.0 OK");
        assert_eq!(talk.ask("QUIT"), "221 2.0.0 Bye");
        assert!(talk.is_closed());
        another_is_served(&server);
        assert_eq!(server.stop().all(), [hook]);
    }
}

#[test]
fn a_client_is_turned_away_by_the_first_hook() {
    for (mood, expected) in [
        (Mood::Panics, "421 Local error in processing"),
        (Mood::Refuses, "554 not with me"),
    ] {
        let server = moody("connect", mood);
        let mut talk = Talk::connect(server.address);
        assert_eq!(talk.reply(), expected);
        another_is_served(&server);
        server.stop();
    }
}

#[test]
fn a_hook_that_takes_its_time_holds_up_nobody_else() {
    let waits = |hook: &'static str, talk: &dyn Fn(&Running) -> Talk| {
        let server = moody(hook, Mood::Waits);
        let talk = talk(&server);
        server.seen.wait_for(hook);
        another_is_served(&server);
        server.stop();
        // It waited to the end, and nothing was said for it.
        talk
    };
    // All at once, since each server waits for its hook for a moment when it ends.
    std::thread::scope(|scope| {
        for (hook, before, line, ..) in HOOKS {
            scope.spawn(move || {
                let mut talk = waits(hook, &|server| {
                    let mut talk = server.client();
                    lead_to(&mut talk, before, line);
                    talk
                });
                assert!(!talk.reply().starts_with('2'), "{hook}");
            });
        }
        for hook in ["connect", "reset", "quit", "disconnect"] {
            scope.spawn(move || {
                waits(hook, &|server| {
                    let mut talk = Talk::connect(server.address);
                    talk.send("EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRSET\r\nQUIT\r\n");
                    talk
                });
            });
        }
    });
}
