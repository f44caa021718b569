//! Plays one session over a socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::plan::{End, Plan, Step};
use crate::wire::{Wire, connect, secure};
use crate::{Outcome, ensure};

/// In so much time every session is over: the server's limits are far below.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long a reply is waited for that may never come.
const GLANCE: Duration = Duration::from_millis(20);

/// The same before a handshake, which is pointless without it.
const LOOK: Duration = Duration::from_millis(500);

/// A connection, in clear or not.
enum Link {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Link {
    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
        }
    }

    fn set_to_reset(&self) {
        let socket = match self {
            Self::Clear(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        // A connection that is gone needs no reset.
        let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    }
}

/// Plays it. Fails where the listener does what it must not: it takes no connections, does not come to the end of a session, or
/// answers one as it should be in another way.
pub(super) async fn play(
    plan: &Plan,
    to: SocketAddr,
    from: Ipv4Addr,
    connector: &TlsConnector,
) -> Outcome<()> {
    let playing = async {
        let stream = connect(to, from).await?;
        if let Some(codes) = plan.codes {
            return control(plan, stream, codes, connector).await;
        }
        // What a session that is not as it should be comes to is no matter, as long as it ends.
        let _ = steps(plan, stream, connector).await;
        Ok(())
    };
    timeout(DEADLINE, playing)
        .await
        .map_err(|_| "the session does not end")?
}

async fn steps(plan: &Plan, stream: TcpStream, connector: &TlsConnector) -> io::Result<()> {
    let mut link = Link::Clear(stream);
    let mut buffer = [0; 2048];
    for (place, step) in plan.steps.iter().enumerate() {
        match (step, link) {
            (Step::Write(octets), mut open) => {
                open.write(octets).await?;
                link = open;
            }
            (Step::Read, mut open) => {
                if let Ok(read) = timeout(GLANCE, open.read(&mut buffer)).await
                    && read? == 0
                {
                    return Ok(());
                }
                link = open;
            }
            (Step::Tls, Link::Clear(mut stream)) => {
                // STARTTLS was taken where a 220 comes that is no greeting.
                if place > 0 && !is_invited(&mut stream).await? {
                    return Ok(());
                }
                link = Link::Tls(Box::new(secure(stream, connector).await?));
            }
            (Step::Tls, tls @ Link::Tls(_)) => link = tls,
        }
    }
    match plan.end {
        End::Close => return Ok(()),
        End::Reset => {
            link.set_to_reset();
            return Ok(());
        }
        End::HalfClose => link.shutdown().await?,
        End::Wait => {}
    }
    while link.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Reads until a reply of 220 behind the greeting.
async fn is_invited(stream: &mut TcpStream) -> io::Result<bool> {
    let mut heard = Vec::new();
    loop {
        if heard.windows(10).any(|words| words == b"\n220 2.0.0 ") {
            return Ok(true);
        }
        match timeout(LOOK, stream.read_buf(&mut heard)).await {
            Ok(Ok(octets)) if octets > 0 => {}
            _ => return Ok(false),
        }
    }
}

/// A session as it should be, with every reply looked at. All is said in one go, but for what waits for TLS.
async fn control(
    plan: &Plan,
    stream: TcpStream,
    codes: &[u16],
    connector: &TlsConnector,
) -> Outcome<()> {
    let mut wire = Wire::new(stream);
    let mut steps = plan.steps.split(|step| matches!(step, Step::Tls));
    let in_clear = octets(steps.next());
    let Some(sealed) = steps.next() else {
        return finish(wire, &in_clear, codes).await;
    };
    let mut left = codes;
    if !in_clear.is_empty() {
        // The second 220 is that of STARTTLS.
        let invited = codes.iter().skip(1).position(|code| *code == 220);
        let (first, rest) = codes.split_at(invited.map_or(0, |place| place + 2));
        wire.say(&in_clear, first).await?;
        left = rest;
    }
    let wire = Wire::new(secure(wire.stream, connector).await?);
    finish(wire, &octets(Some(sealed)), left).await
}

fn octets(steps: Option<&[Step]>) -> Vec<u8> {
    let mut all = Vec::new();
    for step in steps.unwrap_or_default() {
        if let Step::Write(octets) = step {
            all.extend_from_slice(octets);
        }
    }
    all
}

async fn finish<S: AsyncRead + AsyncWrite + Unpin>(
    mut wire: Wire<S>,
    octets: &[u8],
    codes: &[u16],
) -> Outcome<()> {
    wire.say(octets, codes).await?;
    let rest = wire.rest().await?;
    ensure(rest.is_empty(), || {
        format!("behind the end comes {:?}", String::from_utf8_lossy(&rest))
    })
}
