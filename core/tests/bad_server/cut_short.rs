//! A call that is cut short while the server says nothing more, in every phase: by a cancel token, by a question, by its deadline.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mailwire::blocking::{Call, Cancel, Client};
use mailwire::client::{Content, Options};
use mailwire::proto::Envelope;
use mailwire::tls::TlsPolicy;
use mailwire::transcript::{Buffer, Kind};
use mailwire::{Error, Outcome, Phase, Status};
use socket2::Socket;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::cuts::{Link, Manner, assert_took, judge};
use crate::server::{Local, follow, hear, see_the_end};
use crate::session::{MESSAGE, Place, SESSIONS, Session, options};

const SECOND: Duration = Duration::from_secs(1);

/// How a call is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Token,
    Question,
    Deadline,
}

const ALL: [By; 3] = [By::Token, By::Question, By::Deadline];

#[tokio::test(start_paused = true)]
async fn the_deadline_passes_at_every_octet() {
    let local = Local::new();
    for session in &SESSIONS {
        let mut options = options(session);
        options.set_deadline(Some(SECOND)).unwrap();
        for place in session.places() {
            let (result, took) = local
                .meet_with(options.clone(), session, async |mut stream| {
                    follow(&mut stream, session, place).await;
                    see_the_end(&mut stream).await;
                })
                .await;
            judge(session, place, Manner::Stall, Link::Clear, &result);
            let waits = session.waits_in(place).is_some();
            let expected = if waits { SECOND } else { Duration::ZERO };
            assert_took(took, expected, &format!("{place:?} {result:?}"));
        }
    }
}

/// The places in the middle of each reply and behind it, before the end of the message's own result.
fn places(session: &Session) -> Vec<Place> {
    let mut places = Vec::new();
    let mut begin = Place { turn: 0, octets: 0 };
    for (phase, end) in session.replies() {
        if phase == Phase::Quit {
            break;
        }
        if end.turn != begin.turn {
            let (turn, octets) = (end.turn, 0);
            begin = Place { turn, octets };
        }
        for octets in [begin.octets, begin.octets.midpoint(end.octets)] {
            places.push(Place { octets, ..begin });
        }
        begin = end;
    }
    places
}

#[test]
fn a_call_is_cancelled_in_every_phase() {
    std::thread::scope(|scope| {
        for session in &SESSIONS {
            for by in [By::Token, By::Question] {
                scope.spawn(move || {
                    for place in places(session) {
                        let result = cancelled(session, place, by);
                        judge(session, place, Manner::Cancel, Link::Clear, &result);
                    }
                });
            }
        }
    });
}

/// What comes of a call that is cancelled when the server has got so far.
fn cancelled(session: &Session, place: Place, by: By) -> Result<Outcome, Error> {
    let (listener, address) = listener();
    let mut options = options(session);
    options
        .set_server("127.0.0.1", Some(address.port()))
        .unwrap();
    let stalls = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            serve(listener, async |mut stream| {
                follow(&mut stream, session, place).await;
                stalls.store(true, Ordering::SeqCst);
                see_the_end(&mut stream).await;
            });
        });
        send_until(options, &session.envelope(), by, &stalls)
    })
}

/// Sends, and cuts the call short while the server stalls, when all that it had said before was read.
fn send_until(
    options: Options,
    envelope: &Envelope,
    by: By,
    stalls: &AtomicBool,
) -> Result<Outcome, Error> {
    let client = Client::new(options).unwrap();
    let cancel = Cancel::new().unwrap();
    let asked = Cell::new(0);
    let question = || {
        if stalls.load(Ordering::SeqCst) {
            asked.set(asked.get() + 1);
        }
        // Between two questions the call looks at its connection.
        let due = asked.get() > 1;
        if due && by == By::Token {
            cancel.signal();
        }
        due && by == By::Question
    };
    let call = Call {
        cancel: Some(&cancel),
        interrupted: Some(&question),
        deadline: (by == By::Deadline).then_some(5 * SECOND),
    };
    let begun = Instant::now();
    let result = client.send(envelope, Content::bytes(MESSAGE), call);
    // The limits of the phases are of minutes.
    assert!(begun.elapsed() < 30 * SECOND, "{result:?}");
    result
}

fn listener() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves one connection on the thread that calls.
fn serve(listener: std::net::TcpListener, server: impl AsyncFnOnce(TcpStream)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        server(listener.accept().await.unwrap().0).await;
    });
}

/// What comes of a call that is cut short while it opens a session: its phase and its peer are told, in the transcript too.
fn cut_short_in(phase: Phase, mut options: Options, by: By, stalls: &AtomicBool) -> Error {
    let buffer = Buffer::new(100);
    options.set_transcript(Some(Arc::new(buffer.clone())));
    let envelope = Envelope::parse("me@example.org", ["you@example.net"]).unwrap();
    let error = send_until(options, &envelope, by, stalls).unwrap_err();
    let status = if by == By::Deadline {
        Status::Timeout
    } else {
        Status::Cancelled
    };
    let case = format!("{by:?}: {error:?}");
    assert_eq!(error.status(), status, "{case}");
    assert_eq!(error.phase(), Some(phase), "{case}");
    assert!(error.outcome().is_none(), "{case}");
    assert!(
        error.peer().is_some_and(|it| it.starts_with("127.0.0.1:")),
        "{case}"
    );
    let told = buffer
        .take()
        .into_iter()
        .filter_map(|event| match event.kind() {
            Kind::Failed { status, phase, .. } => Some((*status, *phase)),
            _ => None,
        });
    assert_eq!(told.collect::<Vec<_>>(), [(status, Some(phase))], "{case}");
    error
}

fn options_for(address: SocketAddr, tls: TlsPolicy) -> Options {
    let mut options = Options::new();
    options
        .set_server("127.0.0.1", Some(address.port()))
        .unwrap();
    options.set_tls(tls);
    options.set_local_hostname("client.example").unwrap();
    // The system's roots are not needed, and may be missing.
    options.set("verify", "false").unwrap();
    options
}

#[test]
fn a_call_is_cut_short_before_it_is_connected() {
    let hole = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    hole.bind(&any.into()).unwrap();
    // With its queue full it lets every connection wait, as a firewall does.
    hole.listen(0).unwrap();
    let address = hole.local_addr().unwrap().as_socket().unwrap();
    let _queue: Vec<_> = (0..4)
        .map(|_| {
            let socket = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    for by in ALL {
        let options = options_for(address, TlsPolicy::None);
        cut_short_in(Phase::Connect, options, by, &AtomicBool::new(true));
    }
}

type Opening = (
    TlsPolicy,
    &'static [(&'static str, &'static str)],
    &'static str,
    Phase,
);

/// What a server says before it falls silent, with what it hears before each, and where the client is then.
const OPENINGS: [Opening; 5] = [
    (TlsPolicy::Implicit, &[], "", Phase::Tls),
    (TlsPolicy::Required, &[], "", Phase::Greeting),
    (
        TlsPolicy::Required,
        &[("", "220 a\r\n")],
        EHLO,
        Phase::Hello,
    ),
    (
        TlsPolicy::Required,
        &[("", "220 a\r\n"), (EHLO, OFFER)],
        "STARTTLS\r\n",
        Phase::StartTls,
    ),
    (
        TlsPolicy::Required,
        &[
            ("", "220 a\r\n"),
            (EHLO, OFFER),
            ("STARTTLS\r\n", "220 go\r\n"),
        ],
        "",
        Phase::Tls,
    ),
];
const EHLO: &str = "EHLO client.example\r\n";
const OFFER: &str = "250-a\r\n250 STARTTLS\r\n";

#[test]
fn a_call_is_cut_short_in_each_phase_up_to_tls() {
    std::thread::scope(|scope| {
        for (tls, says, last, phase) in OPENINGS {
            for by in ALL {
                scope.spawn(move || {
                    let (listener, address) = listener();
                    let stalls = AtomicBool::new(false);
                    std::thread::scope(|scope| {
                        scope.spawn(|| {
                            serve(listener, async |mut stream| {
                                for (heard, said) in says {
                                    hear(&mut stream, heard).await;
                                    stream.write_all(said.as_bytes()).await.unwrap();
                                }
                                hear(&mut stream, last).await;
                                stalls.store(true, Ordering::SeqCst);
                                // What begins TLS is no text.
                                let mut heard = Vec::new();
                                let _ = stream.read_to_end(&mut heard).await;
                            });
                        });
                        let error = cut_short_in(phase, options_for(address, tls), by, &stalls);
                        assert!(error.tls().is_none());
                    });
                });
            }
        }
    });
}

#[test]
#[cfg(feature = "aws-lc-rs")]
fn what_is_known_of_tls_is_told_of_a_call_that_was_cut_short() {
    for by in ALL {
        let (listener, address) = listener();
        let (acceptor, _) = crate::starttls::tls();
        let stalls = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                serve(listener, async |stream| {
                    let mut stream = acceptor.accept(stream).await.unwrap();
                    stalls.store(true, Ordering::SeqCst);
                    see_the_end(&mut stream).await;
                });
            });
            let options = options_for(address, TlsPolicy::Implicit);
            let error = cut_short_in(Phase::Greeting, options, by, &stalls);
            assert!(error.tls().is_some(), "{error:?}");
        });
    }
}
