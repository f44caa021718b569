//! Which events come, and what their answers do.

use std::time::Duration;

use super::{ALL_ASKED, EventKind, Hooks, Talk, content, greeted, next, reply, send, start};
use crate::error::Status;
use crate::proto::Protocol;
use crate::sasl::Secret;

/// After this an answer comes too late. A busy machine may keep a thread waiting for two seconds, and an event that is in time is to be so.
const LATE: Duration = Duration::from_secs(3);

#[test]
fn only_messages_are_asked_about_unless_more_is_wanted() {
    let server = start(|_| {});
    let client = send(&server, "a@b.example", b"Hello\r\n..dot\r\n");
    let mut event = next(&server);
    assert_eq!(event.owed(), 1);
    assert_eq!(content(&event), b"Hello\r\n.dot\r\n");
    let EventKind::Message { envelope, .. } = event.kind() else {
        panic!("{event:?}")
    };
    assert_eq!(envelope.reverse_path().to_string(), "a@b.example");
    assert_eq!(envelope.recipients()[0].path().to_string(), "c@d.example");
    let session = event.session();
    assert!(session.peer().starts_with("127.0.0.1:") && session.tls().is_none());
    assert_eq!(session.hello_name(), Some("client.example"));
    event.reply(reply(250, "queued as 1")).unwrap();
    assert_eq!(event.owed(), 0);
    assert_eq!(event.accept().unwrap_err().status(), Status::Misuse);
    assert_eq!(client.join().unwrap(), "250 2.0.0 queued as 1");
    let statistics = server.statistics();
    assert_eq!((statistics.sessions, statistics.messages), (1, 1));
}

#[test]
fn every_hook_becomes_an_event_in_order() {
    let server = start(|options| {
        options.set_hooks(ALL_ASKED);
        options.set_allow_plaintext_auth(true);
    });
    let address = server.addresses()[0];
    let client = std::thread::spawn(move || {
        let mut talk = Talk::connect(address);
        let mut replies = vec![talk.reply()];
        for command in [
            "EHLO client.example",
            "AUTH PLAIN AHRpbQBwdw==",
            "VRFY ann",
            "EXPN list",
            "HELP me",
            "XFOO bar",
            "MAIL FROM:<a@b.example> SIZE=7",
            "RSET",
        ] {
            replies.push(talk.ask(command));
        }
        talk.send(
            "MAIL FROM:<a@b.example>\r\nRCPT TO:<1@d.example>\r\nRCPT TO:<2@d.example>\r\nDATA\r\n",
        );
        replies.extend((0..4).map(|_| talk.reply()));
        replies.push(talk.ask("x\r\n."));
        replies.push(talk.ask("QUIT"));
        replies
    });
    let mut names = Vec::new();
    loop {
        let mut event = next(&server);
        let name = match event.kind() {
            EventKind::Connect => "connect".to_owned(),
            EventKind::Hello { name } => format!("hello {name}"),
            EventKind::Auth(credentials) => format!("auth {}", credentials.username()),
            EventKind::Verify(name) => format!("verify {name}"),
            EventKind::Expand(name) => format!("expand {name}"),
            EventKind::Help(topic) => format!("help {topic}"),
            EventKind::Unknown { verb, argument } => format!("unknown {verb} {argument}"),
            EventKind::Mail { parameters, .. } => {
                format!(
                    "mail {:?} {}",
                    parameters.size,
                    event.session().user().unwrap_or("-")
                )
            }
            EventKind::Recipients(all) => format!("rcpt {}", all.len()),
            EventKind::Message { content, .. } => format!("message {}", content.len()),
            EventKind::Reset => "reset".to_owned(),
            EventKind::Quit => "quit".to_owned(),
            EventKind::Disconnect => "disconnect".to_owned(),
            other => panic!("{other:?}"),
        };
        let last = name == "disconnect";
        names.push(name);
        if event.owed() == 2 {
            event.reply_at(1, Some(reply(550, "no"))).unwrap();
            let again = event.reply_at(1, None).unwrap_err();
            assert_eq!(again.status(), Status::Misuse);
            let beyond = event.reply_at(2, None).unwrap_err();
            assert_eq!(beyond.status(), Status::InvalidArgument);
            assert_eq!(event.owed(), 1);
        }
        // The session waits until these two were heard.
        if event.owed() > 0 || matches!(event.kind(), EventKind::Reset | EventKind::Quit) {
            event.accept().unwrap();
        } else {
            assert_eq!(event.accept().unwrap_err().status(), Status::Misuse);
        }
        if last {
            break;
        }
    }
    assert_eq!(
        names,
        [
            "connect",
            "hello client.example",
            "auth tim",
            "verify ann",
            "expand list",
            "help me",
            "unknown XFOO bar",
            "mail Some(7) tim",
            "reset",
            "mail None tim",
            "rcpt 2",
            "message 3",
            "quit",
            "disconnect",
        ]
    );
    let replies = client.join().unwrap();
    let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(
        codes,
        [
            "220", "250", "235", "252", "252", "214", "250", "250", "250", "250", "250", "550",
            "354", "250", "221",
        ]
    );
}

#[test]
fn an_event_that_is_dropped_is_451_for_what_is_open() {
    let server = start(|options| options.set_hooks(Hooks::RCPT));
    let mut talk = greeted(&server);
    talk.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<1@d.example>\r\nRCPT TO:<2@d.example>\r\n");
    let mut event = next(&server);
    event.reply_at(0, None).unwrap();
    drop(event);
    assert_eq!(talk.reply(), "250 2.1.0 OK");
    assert_eq!(talk.reply(), "250 2.1.5 OK");
    assert_eq!(talk.reply(), "451 4.3.0 Local error in processing");
}

#[test]
fn unanswered_is_451_and_an_answer_after_that_comes_too_late() {
    let server = start(|options| {
        options.set_hooks(Hooks::MAIL);
        options.set_answer_timeout(LATE).unwrap();
    });
    let mut talk = greeted(&server);
    talk.send("MAIL FROM:<a@b.example>\r\n");
    let mut taken = next(&server);
    assert_eq!(talk.reply(), "451 4.3.0 Local error in processing");
    assert_eq!(taken.accept().unwrap_err().status(), Status::Closed);
    // One that was never taken is not given out any more.
    assert!(talk.ask("MAIL FROM:<a@b.example>").starts_with("451"));
    let none = server.next_event(Some(Duration::from_millis(50)), super::Call::default());
    assert!(none.unwrap().is_none());
}

#[test]
fn s211_auth_that_nobody_answers_is_454() {
    let server = start(|options| {
        options.set_hooks(Hooks::AUTH);
        options.set_allow_plaintext_auth(true);
        options.set_answer_timeout(LATE).unwrap();
    });
    let mut talk = greeted(&server);
    assert_eq!(
        talk.ask("AUTH PLAIN AHRpbQBwdw=="),
        "454 4.7.0 Temporary authentication failure"
    );
    // It does not count as a wrong password.
    talk.send("AUTH PLAIN AHRpbQBwdw==\r\n");
    drop(next(&server));
    assert!(talk.reply().starts_with("454 4.7.0"));
}

#[test]
fn s211_a_look_up_that_nobody_answers_is_454() {
    let server = start(|options| {
        options.set_hooks(Hooks::LOOKUP);
        options.set_allow_plaintext_auth(true);
        options.set_answer_timeout(LATE).unwrap();
    });
    let mut talk = greeted(&server);
    // n,,n=tim,r=abc
    let scram = "AUTH SCRAM-SHA-256 biwsbj10aW0scj1hYmM=";
    let fault = "454 4.7.0 Temporary authentication failure";
    assert_eq!(talk.ask(scram), fault);
    // One that is taken, and dropped.
    talk.send(format!("{scram}\r\n"));
    drop(next(&server));
    assert_eq!(talk.reply(), fault);
}

#[test]
fn a_connection_that_nobody_answers_is_told_421_and_closed() {
    let server = start(|options| {
        options.set_hooks(Hooks::CONNECT);
        options.set_answer_timeout(LATE).unwrap();
    });
    let mut talk = Talk::connect(server.addresses()[0]);
    // RFC 5321 section 4.3.2 knows 220 and 554 here, and 421 everywhere.
    assert_eq!(talk.reply(), "421 Local error in processing");
    assert!(talk.is_closed());
}

#[test]
fn a_reply_that_would_put_the_client_out_of_step_is_refused() {
    let server = start(|_| {});
    let client = send(&server, "a@b.example", b"x\r\n");
    let mut event = next(&server);
    for code in [354, 200, 220, 251] {
        let error = event.reply(reply(code, "go on")).unwrap_err();
        assert_eq!((error.status(), event.owed()), (Status::Misuse, 1));
    }
    event.reply(reply(250, "mine")).unwrap();
    assert_eq!(client.join().unwrap(), "250 2.0.0 mine");
}

#[test]
fn a_recipient_is_not_accepted_by_any_positive_code() {
    let server = start(|options| options.set_hooks(Hooks::RCPT));
    let client = send(&server, "a@b.example", b"x\r\n");
    let mut event = next(&server);
    for code in [252, 220] {
        let error = event.reply(reply(code, "strange")).unwrap_err();
        assert_eq!((error.status(), event.owed()), (Status::Misuse, 1));
    }
    event.accept().unwrap();
    next(&server).accept().unwrap();
    assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
}

#[test]
fn lmtp_owes_an_answer_for_each_recipient() {
    let server = start(|options| options.set_protocol(Protocol::Lmtp));
    let mut talk = Talk::connect(server.addresses()[0]);
    talk.reply();
    talk.ask("LHLO client.example");
    talk.send(
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<1@d.example>\r\nRCPT TO:<2@d.example>\r\nDATA\r\n",
    );
    (0..4).for_each(|_| drop(talk.reply()));
    talk.send("x\r\n.\r\n");
    let mut event = next(&server);
    assert_eq!(event.owed(), 2);
    event.reply_at(1, Some(reply(450, "later"))).unwrap();
    event.reply_at(0, None).unwrap();
    assert_eq!(talk.reply(), "250 2.0.0 OK");
    assert_eq!(talk.reply(), "450 4.0.0 later");
}

#[test]
fn users_of_the_table_are_answered_without_an_event() {
    let server = start(|options| {
        options.add_user("tim", Secret::new("pw")).unwrap();
        options.set_allow_plaintext_auth(true);
    });
    let mut talk = greeted(&server);
    assert!(talk.ask("AUTH PLAIN AHRpbQBubw==").starts_with("535"));
    assert!(talk.ask("AUTH PLAIN AHRpbQBwdw==").starts_with("235"));
}

#[test]
fn answers_come_in_any_order_and_from_any_thread() {
    let server = start(|options| options.set_workers(2).unwrap());
    let clients: Vec<_> = (0..8)
        .map(|_| send(&server, "a@b.example", b"x\r\n"))
        .collect();
    let mut events: Vec<_> = (0..8).map(|_| next(&server)).collect();
    events.reverse();
    let answering: Vec<_> = events
        .into_iter()
        .map(|mut event| std::thread::spawn(move || event.accept().unwrap()))
        .collect();
    for thread in answering {
        thread.join().unwrap();
    }
    for client in clients {
        assert_eq!(client.join().unwrap(), "250 2.0.0 OK");
    }
}

#[test]
fn each_question_has_its_usual_refusal() {
    let server = start(|options| {
        options.set_hooks(ALL_ASKED);
        options.set_allow_plaintext_auth(true);
    });
    let mut talk = Talk::connect(server.addresses()[0]);
    next(&server).reject().unwrap();
    assert_eq!(talk.reply(), "554 No service for you here");
    drop(talk);
    assert!(matches!(next(&server).kind(), EventKind::Disconnect));

    let mut talk = Talk::connect(server.addresses()[0]);
    next(&server).accept().unwrap();
    assert!(talk.reply().starts_with("220 "));
    for (command, refusal) in [
        ("EHLO client.example", "550 Not accepted from you"),
        ("EHLO client.example", ""),
        (
            "AUTH PLAIN AHRpbQBwdw==",
            "535 5.7.8 Authentication credentials invalid",
        ),
        ("VRFY ann", "550 5.1.1 No such name here"),
        ("EXPN list", "550 5.1.1 No such name here"),
        ("HELP", "502 5.5.1 Command not implemented"),
        ("ETRN node.example", "459 4.7.1 Node not allowed"),
        ("XFOO bar", "500 5.5.1 Unknown command"),
        ("MAIL FROM:<a@b.example>", "550 5.7.1 Sender refused"),
        ("MAIL FROM:<a@b.example>", ""),
        ("RCPT TO:<c@d.example>", "550 5.1.1 No such recipient here"),
        ("RCPT TO:<c@d.example>", ""),
    ] {
        talk.send(format!("{command}\r\n"));
        let mut event = next(&server);
        if refusal.is_empty() {
            event.accept().unwrap();
            assert!(talk.reply().starts_with("250"), "{command}");
        } else {
            event.reject().unwrap();
            assert_eq!(talk.reply(), refusal);
        }
    }
    talk.send("DATA\r\nx\r\n.\r\n");
    next(&server).reject().unwrap();
    assert!(talk.reply().starts_with("354 "));
    assert_eq!(talk.reply(), "554 5.7.1 Message refused");
    talk.send("QUIT\r\n");
    let error = next(&server).reject().unwrap_err();
    assert_eq!(error.status(), Status::Misuse);
}

#[test]
fn a_look_up_and_each_part_of_a_message_have_the_same_refusals() {
    let server = start(|options| {
        options.set_hooks(Hooks::LOOKUP);
        options.set_allow_plaintext_auth(true);
        options.set_stream(true);
    });
    let mut talk = greeted(&server);
    // n,,n=tim,r=abc
    talk.send("AUTH SCRAM-SHA-256 biwsbj10aW0scj1hYmM=\r\n");
    let mut event = next(&server);
    assert!(matches!(event.kind(), EventKind::Lookup(_)), "{event:?}");
    event.reject().unwrap();
    assert_eq!(talk.reply(), "454 4.7.0 Temporary authentication failure");
    for refused in ["body", "chunk", "end"] {
        for command in ["RSET", "MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"] {
            assert!(talk.ask(command).starts_with("250 "));
        }
        talk.send("DATA\r\n");
        let mut event = next(&server);
        if refused == "body" {
            event.reject().unwrap();
        } else {
            event.accept().unwrap();
            assert!(talk.reply().starts_with("354 "));
            talk.send("x\r\n.\r\n");
            let mut chunk = next(&server);
            let mut end = next(&server);
            assert!(matches!(chunk.kind(), EventKind::Chunk(_)), "{chunk:?}");
            if refused == "chunk" {
                chunk.reject().unwrap();
                end.accept().unwrap();
            } else {
                end.reject().unwrap();
            }
        }
        assert_eq!(talk.reply(), "554 5.7.1 Message refused");
    }
}
