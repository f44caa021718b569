//! Over TLS: the server closes, resets or says nothing more at every octet that leaves it, those of the handshake and of the records
//! behind it, and says goodbye (close_notify) at every octet of its replies.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mailwire::client::Options;
use mailwire::tls::{ClientTls, Pem, Roots, TlsPolicy};
use mailwire::{Error, Outcome, Phase, Status};
use rustls::server::StoresServerSessions;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::cuts::{Link, Manner, assert_took, judge, limit, reset};
use crate::server::{Local, follow_from};
use crate::session::{Place, SESSIONS, Session, Turn, options, send};

/// What comes in clear before such a session by STARTTLS.
fn clear(session: &Session) -> [Turn; 3] {
    [
        session.turns[0],
        Turn {
            hears: session.turns[1].hears,
            says: &[(Phase::Hello, "250-bad.example\r\n250 STARTTLS\r\n")],
        },
        Turn {
            hears: "STARTTLS\r\n",
            says: &[(Phase::StartTls, "220 2.0.0 go\r\n")],
        },
    ]
}

/// How TLS comes about. Whoever begins in clear hears no greeting under TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Implicit,
    StartTls,
    /// From the start, by TLS 1.2: the last word of the handshake is the server's.
    Older,
}

/// What a client that has got so many octets is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// It waits in this phase, before there are messages.
    Opening(Phase),
    /// It is about to say the last word of the handshake, and to wait in this phase then.
    LastWord(Phase),
    /// It has just heard the last word of the handshake, and waits in this phase.
    Secured(Phase),
    Session(Place),
}

/// Where the octets of a session over TLS lie: what the client is at, from how many octets of the server on.
type Steps = Vec<(usize, At)>;

/// The server's end of a connection, from which only so many octets leave. Then it is over.
struct Cut<S> {
    stream: S,
    left: usize,
    said: usize,
    /// How many octets had been said when something was heard last.
    said_before: usize,
}

impl<S> Cut<S> {
    fn new(stream: S, left: usize) -> Self {
        Self {
            stream,
            left,
            said: 0,
            said_before: 0,
        }
    }
}

fn over() -> io::Error {
    io::Error::other("all octets were said")
}

impl<S: AsyncRead + Unpin> AsyncRead for Cut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(over()));
        }
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if polled.is_ready() {
            self.said_before = self.said;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let octets = &octets[..octets.len().min(self.left)];
        if octets.is_empty() {
            return Poll::Ready(Err(over()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(cx, octets);
        if let Poll::Ready(Ok(octets)) = polled {
            self.left -= octets;
            self.said += octets;
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Hands out tickets and knows none, so that every handshake is a whole one, as long as any other.
#[derive(Debug)]
struct Forgets;

impl StoresServerSessions for Forgets {
    fn put(&self, _: Vec<u8>, _: Vec<u8>) -> bool {
        true
    }

    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// A server with TLS, and what its clients are told of it.
struct Sealed {
    way: Way,
    acceptor: TlsAcceptor,
    client_tls: ClientTls,
}

impl Sealed {
    fn new(way: Way) -> Self {
        // Its signatures are all of one length.
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let issued = rcgen::CertificateParams::new(["bad.example".to_owned()]);
        let issued = issued.unwrap().self_signed(&key).unwrap();
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
        let versions: &[&SupportedProtocolVersion] = match way {
            Way::Implicit | Way::StartTls => &[&rustls::version::TLS13],
            Way::Older => &[&rustls::version::TLS12],
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![issued.der().clone()],
                key.serialize_der().try_into().unwrap(),
            )
            .unwrap();
        config.session_storage = Arc::new(Forgets);
        config.send_tls13_tickets = 1;
        let roots = Roots::Only(vec![Pem::bytes(issued.pem())]);
        Self {
            way,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            client_tls: ClientTls::new().with_roots(&roots).unwrap(),
        }
    }

    fn options(&self, session: &Session) -> Options {
        let mut options = options(session);
        options.set_allow_plaintext_auth(false);
        options.set_tls(match self.way {
            Way::Implicit | Way::Older => TlsPolicy::Implicit,
            Way::StartTls => TlsPolicy::Required,
        });
        options.set_tls_name("bad.example").unwrap();
        options.set_client_tls(self.client_tls.clone());
        options
    }

    /// The first turn that is under TLS.
    fn first_turn(&self) -> usize {
        usize::from(self.way == Way::StartTls)
    }

    /// Says all that is in clear, and begins TLS.
    async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        session: &Session,
        mut step: impl FnMut(&S, At),
    ) -> io::Result<Box<TlsStream<S>>> {
        if self.way == Way::StartTls {
            for turn in clear(session) {
                hear(&mut stream, turn.hears).await?;
                for (phase, reply) in turn.says {
                    step(&stream, At::Opening(*phase));
                    stream.write_all(reply.as_bytes()).await?;
                }
            }
        }
        step(&stream, At::Opening(Phase::Tls));
        Box::pin(self.acceptor.accept(stream)).await.map(Box::new)
    }

    /// Follows the session to its end, or until the octets are used up. Each reply is a record.
    async fn follow<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut Cut<S>,
        session: &Session,
        steps: &mut Steps,
    ) -> io::Result<()> {
        let step = |stream: &&mut Cut<S>, at| steps.push((stream.said, at));
        let mut stream = self.accept(stream, session, step).await?;
        let turn = self.first_turn();
        let first = At::Session(Place { turn, octets: 0 });
        let (phase, _) = session.turns[turn].says[0];
        let cut = stream.get_ref().0;
        if self.way == Way::Older {
            steps.push((cut.said, At::Secured(phase)));
            steps.push((cut.said + 1, first));
        } else {
            steps.push((cut.said_before, At::LastWord(phase)));
            steps.push((cut.said_before + 1, first));
        }
        for (turn, one) in session.turns.iter().enumerate().skip(turn) {
            hear(&mut stream, one.hears).await?;
            let mut octets = 0;
            for (_, reply) in one.says {
                stream.write_all(reply.as_bytes()).await?;
                stream.flush().await?;
                octets += reply.len();
                let place = Place { turn, octets };
                steps.push((stream.get_ref().0.said, At::Session(place)));
            }
        }
        Ok(())
    }

    /// Where the octets of this session lie, and how many they are.
    async fn measure(&self, local: &Local, session: &Session) -> (Steps, usize) {
        let mut steps = Steps::new();
        let (result, _) = local
            .meet_with(self.options(session), session, async |stream| {
                let mut stream = Cut::new(stream, usize::MAX);
                self.follow(&mut stream, session, &mut steps).await.unwrap();
                drain(&mut stream.stream).await;
            })
            .await;
        result.unwrap();
        let octets = steps.last().unwrap().0;
        (steps, octets)
    }
}

async fn hear(stream: &mut (impl AsyncRead + Unpin), expected: &str) -> io::Result<()> {
    let mut heard = vec![0; expected.len()];
    stream.read_exact(&mut heard).await?;
    assert_eq!(String::from_utf8_lossy(&heard), expected);
    Ok(())
}

/// Reads until the client closes, so that one which keeps its descriptor is seen.
async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

/// What the client is at after so many octets.
fn at(steps: &Steps, session: &Session, octets: usize) -> At {
    let (from, at) = *steps.iter().rfind(|(from, _)| *from <= octets).unwrap();
    match at {
        // Another record has begun, so what it answers was heard.
        At::Session(place) if octets > from && session.is_between_turns(place) => {
            At::Session(Place {
                turn: place.turn + 1,
                octets: 0,
            })
        }
        at => at,
    }
}

/// Compares what the client came to with what it could know after so many octets. Gives how long it waited if the server stalled.
fn judge_sealed(
    session: &Session,
    at: At,
    manner: Manner,
    octets: usize,
    result: &Result<Outcome, Error>,
) -> Duration {
    let case = format!(
        "{}, {manner:?} after {octets} at {at:?}: {result:?}",
        session.name
    );
    let phases: &[Phase] = match (at, manner) {
        (At::Session(place), _) => {
            judge(session, place, manner, Link::Tls, result);
            return limit(session.waits_in(place));
        }
        (At::Opening(phase), _) => &[phase],
        (At::LastWord(_), Manner::Close) => &[Phase::Tls],
        // The reset may come sooner or later, and the TLS library reads on behind the last word.
        (At::LastWord(next) | At::Secured(next), Manner::Reset) => &[Phase::Tls, next],
        (At::LastWord(next) | At::Secured(next), _) => &[next],
    };
    let error = result.as_ref().expect_err(&case);
    let phase = error.phase().expect(&case);
    if (manner, phase) == (Manner::Reset, Phase::Connect) {
        // It came before the client saw that it was connected: the server has said its greeting at the most.
        assert_eq!(error.status(), Status::ConnectionRefused, "{case}");
        assert!(octets <= session.turns[0].words().len(), "{case}");
        return Duration::ZERO;
    }
    assert!(phases.contains(&phase), "{case}");
    let status = match manner {
        Manner::Stall => Status::Timeout,
        _ => Status::ConnectionLost,
    };
    assert_eq!(error.status(), status, "{case}");
    assert!(error.outcome().is_none() && error.is_transient(), "{case}");
    limit(Some(phase))
}

/// Which octets of a session are stepped through: those of the handshake, those behind the first reply under TLS, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Handshake,
    Replies,
    All,
}

/// Every octet of all sessions, with one handshake of each kind.
async fn at_every_octet(of: impl AsyncFn(&Local, &Sealed, &Session, &Steps, usize)) {
    let local = Local::new();
    for (way, number, part) in [
        (Way::Implicit, 1, Part::All),
        (Way::Implicit, 2, Part::Replies),
        (Way::Implicit, 3, Part::Replies),
        (Way::StartTls, 0, Part::All),
        (Way::StartTls, 4, Part::Replies),
        (Way::Older, 0, Part::Handshake),
    ] {
        let sealed = Sealed::new(way);
        let session = &SESSIONS[number];
        let (steps, all) = sealed.measure(&local, session).await;
        let secured = steps
            .iter()
            .position(|(_, at)| matches!(at, At::Session(_)));
        let secured = secured.unwrap();
        let octets = match part {
            Part::Handshake => 0..=steps[secured].0 - 1,
            Part::Replies => steps[secured + 1].0..=all,
            Part::All => 0..=all,
        };
        for octets in octets {
            of(&local, &sealed, session, &steps, octets).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_connection_ends_without_a_goodbye_at_every_octet() {
    for manner in [Manner::HalfClose, Manner::Close] {
        at_every_octet(async |local, sealed, session, steps, octets| {
            let at = at(steps, session, octets);
            if manner == Manner::HalfClose && matches!(at, At::Opening(_)) {
                // Nobody who only waits can tell it from the other.
                return;
            }
            let (result, took) = local
                .meet_with(sealed.options(session), session, async |stream| {
                    let mut stream = Cut::new(stream, octets);
                    let _ = sealed.follow(&mut stream, session, &mut Steps::new()).await;
                    assert_eq!(stream.left, 0);
                    if manner == Manner::HalfClose {
                        stream.stream.shutdown().await.unwrap();
                        drain(&mut stream.stream).await;
                    }
                })
                .await;
            judge_sealed(session, at, manner, octets, &result);
            assert_took(took, Duration::ZERO, &format!("{manner:?} {octets}"));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_falls_silent_under_tls_at_every_octet() {
    at_every_octet(async |local, sealed, session, steps, octets| {
        let (result, took) = local
            .meet_with(sealed.options(session), session, async |stream| {
                let mut stream = Cut::new(stream, octets);
                let _ = sealed.follow(&mut stream, session, &mut Steps::new()).await;
                assert_eq!(stream.left, 0);
                drain(&mut stream.stream).await;
            })
            .await;
        let at = at(steps, session, octets);
        let expected = judge_sealed(session, at, Manner::Stall, octets, &result);
        assert_took(took, expected, &format!("{octets} {result:?}"));
    })
    .await;
}

#[tokio::test]
async fn the_connection_is_reset_under_tls_at_every_octet() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    at_every_octet(async |_, sealed, session, steps, octets| {
        let serving = async {
            let (stream, _) = listener.accept().await.unwrap();
            // What was said has left before the reset.
            stream.set_nodelay(true).unwrap();
            let mut stream = Cut::new(stream, octets);
            let _ = sealed.follow(&mut stream, session, &mut Steps::new()).await;
            reset(stream.stream);
        };
        let mut options = sealed.options(session);
        options.set_server("127.0.0.1", Some(port)).unwrap();
        let both = async { tokio::join!(send(&options, session.envelope()), serving) };
        let (result, ()) = tokio::time::timeout(Duration::from_secs(20), both)
            .await
            .unwrap();
        let at = at(steps, session, octets);
        judge_sealed(session, at, Manner::Reset, octets, &result);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_server_says_goodbye_at_every_octet_of_its_replies() {
    let local = Local::new();
    for (way, sessions) in [
        (Way::Implicit, &SESSIONS[..]),
        (Way::StartTls, &SESSIONS[..1]),
        (Way::Older, &SESSIONS[2..3]),
    ] {
        let sealed = Sealed::new(way);
        for session in sessions {
            let turn = sealed.first_turn();
            for place in session.places().filter(|place| place.turn >= turn) {
                for manner in [Manner::HalfClose, Manner::Close] {
                    let (result, took) = local
                        .meet_with(sealed.options(session), session, async |stream| {
                            let accepted = sealed.accept(stream, session, |_, _| {}).await;
                            let mut stream = accepted.unwrap();
                            follow_from(&mut stream, session, turn, place).await;
                            stream.shutdown().await.unwrap();
                            if manner == Manner::HalfClose {
                                drain(&mut stream).await;
                            }
                        })
                        .await;
                    judge(session, place, manner, Link::Tls, &result);
                    assert_took(took, Duration::ZERO, &format!("{manner:?} {place:?}"));
                }
            }
        }
    }
}
