//! The server cuts the connection, resets it, says nothing more, or speaks by drops, at every octet of a session.

use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::Content;
use mailwire::{Delivery, Error, Outcome, Phase, Status};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Local, follow, hear, see_the_end};
use crate::session::{MESSAGE, Place, SESSIONS, Session, deliveries, options, send};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Says that it says no more, and still hears.
    HalfClose,
    Close,
    Reset,
    Stall,
    /// It says nothing more, and the caller cancels.
    Cancel,
}

/// What the session runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Clear,
    Tls,
}

/// Compares what the client came to with what it could know.
pub(crate) fn judge(
    session: &Session,
    place: Place,
    manner: Manner,
    link: Link,
    result: &Result<Outcome, Error>,
) {
    let case = format!("{}, {manner:?} at {place:?}: {result:?}", session.name);
    let phase = match session.waits_in(place) {
        None | Some(Phase::Quit) => {
            let outcome = result.as_ref().expect(&case);
            assert_eq!(deliveries(outcome), session.result(), "{case}");
            assert_eq!(outcome.queue_id(), Some("GOOD1"), "{case}");
            return;
        }
        Some(phase) => phase,
    };
    let error = result.as_ref().expect_err(&case);
    if (manner, error.phase()) == (Manner::Reset, Some(Phase::Connect)) {
        // It came before the client saw that it was connected.
        assert_eq!(
            (error.status(), place.turn),
            (Status::ConnectionRefused, 0),
            "{case}"
        );
        return;
    }
    let status = match manner {
        Manner::Stall => Status::Timeout,
        Manner::Cancel => Status::Cancelled,
        _ => Status::ConnectionLost,
    };
    // Whoever cancels does not want it to be tried again.
    let may_again = manner != Manner::Cancel;
    assert_eq!(error.status(), status, "{case}");
    if phase.number() < Phase::Mail.number() {
        assert_eq!(error.phase(), Some(phase), "{case}");
        assert!(error.outcome().is_none(), "{case}");
        assert_eq!(error.is_transient(), may_again, "{case}");
        return;
    }
    // The end came before the client had said what it says next.
    let early = session.is_between_turns(place) && place.turn + 1 == session.handed_over;
    let in_chunks = phase != Phase::EndOfData;
    let found = deliveries(error.outcome().expect(&case));
    let has_left = match manner {
        _ if !early => place.turn >= session.handed_over,
        Manner::Stall | Manner::Cancel => true,
        // It says the rest to a server that may hear it, unless it looked before: so it does before an end mark.
        Manner::HalfClose => in_chunks,
        // TLS may have sent a part of what it failed with, so nobody knows.
        Manner::Close => in_chunks && link == Link::Tls,
        // The reset may come sooner or later.
        Manner::Reset => found[0] == Delivery::Unknown,
    };
    let phase = match phase {
        Phase::EndOfData if early && !has_left => Phase::Body,
        phase => phase,
    };
    if !(early && manner == Manner::Reset && error.phase() == Some(Phase::Body)) {
        assert_eq!(error.phase(), Some(phase), "{case}");
    }
    assert_eq!(found, session.deliveries(place, has_left), "{case}");
    let outcome = error.outcome().unwrap();
    let safe = [Delivery::NotTried, Delivery::Deferred];
    let again = found.iter().filter(|one| safe.contains(one)).count();
    assert_eq!(outcome.safe_to_retry().count(), again, "{case}");
    assert_eq!(error.is_transient(), !has_left && may_again, "{case}");
}

/// How long the client waits in this phase (RFC 5321 section 4.5.3.2).
pub(crate) fn limit(phase: Option<Phase>) -> Duration {
    Duration::from_secs(match phase {
        Some(Phase::EndOfData) => 600,
        Some(Phase::Data) => 120,
        Some(Phase::Tls) => 60,
        Some(Phase::Quit) => 5,
        Some(_) => 300,
        None => 0,
    })
}

pub(crate) fn assert_took(took: Duration, expected: Duration, case: &str) {
    let late = took.checked_sub(expected);
    assert!(
        late.is_some_and(|late| late < Duration::from_secs(1)),
        "{took:?} and not {expected:?}: {case}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_connection_ends_at_every_octet() {
    let local = Local::new();
    for session in &SESSIONS {
        for place in session.places() {
            for manner in [Manner::HalfClose, Manner::Close] {
                let (result, took) = local
                    .meet(session, async |mut stream| {
                        follow(&mut stream, session, place).await;
                        if manner == Manner::HalfClose {
                            stream.shutdown().await.unwrap();
                            see_the_end(&mut stream).await;
                        }
                    })
                    .await;
                judge(session, place, manner, Link::Clear, &result);
                assert_took(took, Duration::ZERO, &format!("{manner:?} {place:?}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_falls_silent_at_every_octet() {
    let local = Local::new();
    for session in &SESSIONS {
        for place in session.places() {
            let (result, took) = local
                .meet(session, async |mut stream| {
                    follow(&mut stream, session, place).await;
                    let next = session.turns.get(place.turn + 1);
                    let next = next.filter(|_| session.is_between_turns(place));
                    assert_eq!(
                        see_the_end(&mut stream).await,
                        next.map_or("", |next| next.hears),
                        "{place:?}"
                    );
                })
                .await;
            judge(session, place, Manner::Stall, Link::Clear, &result);
            let expected = limit(session.waits_in(place));
            assert_took(took, expected, &format!("{place:?} {result:?}"));
        }
    }
}

#[tokio::test]
async fn the_connection_is_reset_at_every_octet() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for session in &SESSIONS {
        let mut options = options(session);
        options.set_server("127.0.0.1", Some(port)).unwrap();
        for place in session.places() {
            let serving = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                follow(&mut stream, session, place).await;
                reset(stream);
            };
            let both = async { tokio::join!(send(&options, session.envelope()), serving) };
            let (result, ()) = tokio::time::timeout(Duration::from_secs(20), both)
                .await
                .unwrap();
            judge(session, place, Manner::Reset, Link::Clear, &result);
        }
    }
}

pub(crate) fn reset(stream: TcpStream) {
    let socket = socket2::SockRef::from(&stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_by_drops_is_heard_out() {
    let local = Local::new();
    for session in &SESSIONS {
        let (result, took) = local
            .meet(session, async |mut stream| {
                for turn in session.turns {
                    hear(&mut stream, turn.hears).await;
                    for octet in turn.words().bytes() {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        stream.write_all(&[octet]).await.unwrap();
                    }
                }
                assert_eq!(see_the_end(&mut stream).await, "");
            })
            .await;
        let outcome = result.unwrap();
        assert_eq!(deliveries(&outcome), session.result());
        let octets: usize = session.turns.iter().map(|turn| turn.words().len()).sum();
        let all = Duration::from_millis(100) * u32::try_from(octets).unwrap();
        assert_took(took, all, session.name);
    }
}

#[tokio::test(start_paused = true)]
async fn drops_without_end_do_not_stretch_the_limit_of_any_reply() {
    let local = Local::new();
    for session in &SESSIONS {
        let mut place = Place { turn: 0, octets: 0 };
        for (phase, end) in session.replies() {
            if end.turn != place.turn {
                place = Place {
                    turn: end.turn,
                    octets: 0,
                };
            }
            let code = &session.turns[place.turn].words()[place.octets..][..3];
            let (result, took) = local
                .meet(session, async |mut stream| {
                    follow(&mut stream, session, place).await;
                    for octet in format!("{code}-x\r\n").bytes().cycle() {
                        tokio::time::sleep(Duration::from_secs(4)).await;
                        if stream.write_all(&[octet]).await.is_err() {
                            break;
                        }
                    }
                })
                .await;
            judge(session, place, Manner::Stall, Link::Clear, &result);
            let case = format!("{phase:?} {result:?}");
            assert_took(took, limit(Some(phase)), &case);
            place = end;
        }
    }
}

#[test]
fn the_blocking_client_tells_the_same() {
    for session in &SESSIONS {
        for (turn, words) in session
            .turns
            .iter()
            .map(crate::session::Turn::words)
            .enumerate()
        {
            let octets = words.len() / 2;
            let place = Place { turn, octets };
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let mut options = options(session);
            let port = listener.local_addr().unwrap().port();
            options.set_server("127.0.0.1", Some(port)).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(move || serve_blocking(listener, session, place));
                let client = Client::new(options).unwrap();
                let content = Content::bytes(MESSAGE);
                let result = client.send(&session.envelope(), content, Call::default());
                drop(client);
                judge(session, place, Manner::Close, Link::Clear, &result);
            });
        }
    }
}

/// Follows the session up to that place on the thread that calls, and closes.
fn serve_blocking(listener: std::net::TcpListener, session: &Session, place: Place) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        follow(&mut stream, session, place).await;
    });
}
