//! The server says what does not fit: wrong codes, no replies at all, replies that nobody asked for, and replies without end.

use mailwire::client::{Connection, Content};
use mailwire::{Error, Outcome, Phase, Status};
use tokio::io::AsyncWriteExt as _;

use crate::server::{Local, follow, hear, see_the_end};
use crate::session::{MESSAGE, Place, SESSIONS, Session, deliveries, options};

/// Every reply of a session, with the place in front of it.
fn fronts(session: &Session) -> Vec<(Phase, Place)> {
    let mut front = Place { turn: 0, octets: 0 };
    let mut fronts = Vec::new();
    for (phase, end) in session.replies() {
        if end.turn != front.turn {
            (front.turn, front.octets) = (end.turn, 0);
        }
        fronts.push((phase, front));
        front = end;
    }
    fronts
}

/// What the client comes to if the server says this in place of one reply, and no more.
async fn told(
    local: &Local,
    session: &Session,
    front: Place,
    lie: &[u8],
) -> Result<Outcome, Error> {
    let (result, _) = local
        .meet(session, async |mut stream| {
            follow(&mut stream, session, front).await;
            // The client may have heard enough before all of it is said.
            let _ = stream.write_all(lie).await;
            let heard = see_the_end(&mut stream).await;
            assert!(
                ["", "QUIT\r\n", "*\r\n"].contains(&heard.as_str()),
                "{heard:?} after {:?} in place of a reply at {front:?}",
                String::from_utf8_lossy(lie)
            );
        })
        .await;
    result
}

/// Checks that the lie was seen where it was told, and that nobody is said to have got what may not have arrived.
fn judge(session: &Session, front: Place, lie: &[u8], result: &Result<Outcome, Error>) {
    let lie = String::from_utf8_lossy(&lie[..lie.len().min(40)]);
    let case = format!("{}, {lie:?} at {front:?}: {result:?}", session.name);
    let phase = session.waits_in(front).unwrap();
    if phase == Phase::Quit {
        let outcome = result.as_ref().expect(&case);
        assert_eq!(deliveries(outcome), session.result(), "{case}");
        return;
    }
    let error = result.as_ref().expect_err(&case);
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Protocol, Some(phase)),
        "{case}"
    );
    assert!(!error.is_transient(), "{case}");
    let has_left = front.turn >= session.handed_over;
    match error.outcome() {
        None => assert!(phase.number() < Phase::Mail.number(), "{case}"),
        Some(outcome) => assert_eq!(
            deliveries(outcome),
            session.deliveries(front, has_left),
            "{case}"
        ),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_reply_or_two_in_one_is_a_breach_of_the_protocol() {
    let long = [b"250 ".as_slice(), &vec![b'x'; 100_000], b"\r\n"].concat();
    let lies: [&[u8]; 14] = [
        b"hello\r\n",
        b"\r\n",
        b"\0\0\0\0\r\n",
        b"250\0ok\r\n",
        b"25\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"150 soon\r\n",
        b"650 ok\r\n",
        b"000 ok\r\n",
        b" 250 ok\r\n",
        b"250-one\r\n550 two\r\n",
        b"250-one\r\ntwo\r\n",
        &long,
    ];
    let local = Local::new();
    for session in &SESSIONS {
        for (_, front) in fronts(session) {
            for lie in lies {
                let result = told(&local, session, front, lie).await;
                judge(session, front, lie, &result);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_that_does_not_fit_the_command_is_a_breach_of_the_protocol() {
    let local = Local::new();
    for session in &SESSIONS {
        for (phase, front) in fronts(session) {
            let lies: &[&[u8]] = match phase {
                Phase::Greeting => &[b"250 ok\r\n", b"354 go on\r\n", b"334 \r\n", b"299 x\r\n"],
                Phase::Auth => &[b"354 go on\r\n", b"250 ok\r\n", b"220 ok\r\n"],
                Phase::Data => &[b"250 ok\r\n", b"334 \r\n", b"235 ok\r\n", b"355 go\r\n"],
                _ => &[b"354 go on\r\n", b"334 \r\n", b"300 what\r\n"],
            };
            for lie in lies {
                let result = told(&local, session, front, lie).await;
                judge(session, front, lie, &result);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nul_and_control_characters_in_the_text_are_shown_and_not_echoed() {
    let local = Local::new();
    let session = &SESSIONS[0];
    let is_fatal = |(phase, _): &(Phase, Place)| !matches!(phase, Phase::Rcpt | Phase::Quit);
    for (_, front) in fronts(session).into_iter().filter(is_fatal) {
        let result = told(
            &local,
            session,
            front,
            b"554 5.0.0 n\0o\x1b[2J\r\x07\xff\r\n",
        )
        .await;
        let text = result.unwrap_err().to_string();
        assert!(text.contains("n\\x00o\\x1b[2J\\x0d\\x07\\xff"), "{text}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_nobody_asked_for_answers_nothing() {
    let local = Local::new();
    for session in &SESSIONS {
        for (turn, words) in session
            .turns
            .iter()
            .map(crate::session::Turn::words)
            .enumerate()
        {
            let octets = words.len();
            let place = Place { turn, octets };
            for unasked in [
                "250 2.0.0 Ok: queued as LIE\r\n",
                "354 go on\r\n",
                "550 no\r\n",
            ] {
                let (result, _) = local
                    .meet(session, async |mut stream| {
                        for (number, turn) in session.turns[..=turn].iter().enumerate() {
                            hear(&mut stream, turn.hears).await;
                            let mut said = turn.words();
                            if number == place.turn {
                                said.push_str(unasked);
                            }
                            stream.write_all(said.as_bytes()).await.unwrap();
                        }
                        see_the_end(&mut stream).await;
                    })
                    .await;
                let case = format!("{}, {unasked:?} at {place:?}: {result:?}", session.name);
                if session.waits_in(place).is_none_or(|p| p == Phase::Quit) {
                    // It came with the reply that ended the message, which is true.
                    assert_eq!(result.unwrap().queue_id(), Some("GOOD1"), "{case}");
                    continue;
                }
                let error = result.expect_err(&case);
                assert_eq!(error.status(), Status::Protocol, "{case}");
                assert!(
                    error.to_string().contains("belongs to no command"),
                    "{case}"
                );
                if let Some(outcome) = error.outcome() {
                    let found = deliveries(outcome);
                    assert_eq!(found, session.deliveries(place, false), "{case}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_began_unasked_does_not_answer_the_command_in_its_middle() {
    const LIE: &str = "250 2.0.0 Ok: queued as LIE\r\n";
    let local = Local::new();
    for session in &SESSIONS {
        // Up to the turn before the one of QUIT.
        for turn in 0..session.turns.len() - 2 {
            let octets = session.turns[turn].words().len();
            let place = Place { turn, octets };
            for cut in 1..LIE.len() {
                let (result, _) = local
                    .meet(session, async |mut stream| {
                        for (number, turn) in session.turns[..=turn].iter().enumerate() {
                            hear(&mut stream, turn.hears).await;
                            let mut said = turn.words();
                            if number == place.turn {
                                said.push_str(&LIE[..cut]);
                            }
                            stream.write_all(said.as_bytes()).await.unwrap();
                        }
                        hear(&mut stream, session.turns[turn + 1].hears).await;
                        stream.write_all(&LIE.as_bytes()[cut..]).await.unwrap();
                        see_the_end(&mut stream).await;
                    })
                    .await;
                let case = format!("{}, {cut} at {place:?}: {result:?}", session.name);
                let error = result.expect_err(&case);
                assert_eq!(error.status(), Status::Protocol, "{case}");
                assert_eq!(error.phase(), session.waits_in(place), "{case}");
                if let Some(outcome) = error.outcome() {
                    let has_left = turn + 1 == session.handed_over;
                    let expected = session.deliveries(place, has_left);
                    assert_eq!(deliveries(outcome), expected, "{case}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_without_end_takes_no_memory() {
    // The most that a client takes of it: what it keeps of a reply, and what the system holds for it.
    const MOST: usize = 1024 * 1024;
    let local = Local::new();
    for session in &SESSIONS {
        for (phase, front) in fronts(session) {
            let code = &session.turns[front.turn].words()[front.octets..][..3];
            let many = format!("{code}-{}\r\n", "x".repeat(400)).repeat(20);
            let lies = [format!("{code}-\r\n").repeat(1000), many, "x".repeat(8000)];
            for lie in lies {
                let mut taken = 0;
                let (result, _) = local
                    .meet(session, async |mut stream| {
                        follow(&mut stream, session, front).await;
                        while taken < 2 * MOST
                            && let Ok(octets) = stream.write(lie.as_bytes()).await
                        {
                            taken += octets;
                        }
                    })
                    .await;
                assert!(taken < MOST, "{phase:?}: {taken} octets, {result:?}");
                judge(session, front, lie.as_bytes(), &result);
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_was_lied_to_is_not_used_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let session = &SESSIONS[1];
    let mut options = options(session);
    let port = listener.local_addr().unwrap().port();
    options.set_server("127.0.0.1", Some(port)).unwrap();
    for (phase, front) in fronts(session).split_off(3) {
        if phase == Phase::Quit {
            continue;
        }
        let serving = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            follow(&mut stream, session, front).await;
            stream.write_all(b"299-what\r\n199 this\r\n").await.unwrap();
            see_the_end(&mut stream).await
        };
        let sending = async {
            let mut connection = Connection::open(&options).await.unwrap();
            let sent = connection
                .send(session.envelope(), Content::bytes(MESSAGE))
                .await;
            assert_eq!(sent.unwrap_err().status(), Status::Protocol);
            assert!(!connection.is_usable());
            let again = connection
                .send(session.envelope(), Content::bytes(MESSAGE))
                .await;
            assert_eq!(again.unwrap_err().status(), Status::Closed);
        };
        let ((), heard) = tokio::join!(sending, serving);
        assert_eq!(heard, "");
    }
}
