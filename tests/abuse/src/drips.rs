//! Clients that hold a session by doing next to nothing, in every phase of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::listener::Listener;
use crate::mail::{self, Mail, median};
use crate::wire::{Wire, connect, many, source};
use crate::{Outcome, PATIENCE, Row, ensure};

/// What a TLS client says first, as it was recorded once.
const CLIENT_HELLO: &[u8] = include_bytes!("../corpus/client-hello");

const ENVELOPE: &[u8] = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n";

/// How long a dripper waits before its next octet.
const INTERVAL: Duration = Duration::from_secs(1);

/// The share of its speed that normal mail is to keep at least.
const LEAST: f64 = 0.9;

/// Many share an address.
const BY_ADDRESS: usize = 500;

/// Where in a session a client drips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the greeting and then does nothing.
    Silent,
    /// A command, octet by octet.
    Command,
    /// The response of a login.
    Auth,
    /// The first record of a TLS handshake.
    Handshake,
    /// A message behind DATA.
    Data,
    /// A chunk behind BDAT.
    Chunk,
    /// It says much and reads no reply.
    Unread,
}

impl Phase {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Silent,
        Self::Command,
        Self::Auth,
        Self::Handshake,
        Self::Data,
        Self::Chunk,
        Self::Unread,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Command => "a command",
            Self::Auth => "AUTH",
            Self::Handshake => "a TLS handshake",
            Self::Data => "DATA",
            Self::Chunk => "BDAT",
            Self::Unread => "replies unread",
        }
    }

    /// Comes to where it drips.
    async fn begin(self, to: Targets, from: Ipv4Addr) -> Outcome<TcpStream> {
        if self == Self::Handshake {
            return Ok(connect(to.tls, from).await?);
        }
        if self == Self::Unread {
            return unread(to.clear, from).await;
        }
        let mut wire = Wire::new(connect(to.clear, from).await?);
        wire.hear(&[220]).await?;
        if self != Self::Silent {
            wire.say(b"EHLO client.example\r\n", &[250]).await?;
        }
        match self {
            Self::Auth => wire.say(b"AUTH PLAIN\r\n", &[334]).await?,
            Self::Data => {
                wire.say(ENVELOPE, &[250, 250]).await?;
                wire.say(b"DATA\r\n", &[354]).await?;
            }
            Self::Chunk => {
                wire.say(ENVELOPE, &[250, 250]).await?;
                wire.stream.write_all(b"BDAT 1000000 LAST\r\n").await?;
            }
            _ => {}
        }
        Ok(wire.stream)
    }

    /// The octet with this number.
    fn octet(self, number: usize) -> Option<u8> {
        let of = |text: &[u8]| text.get(number % text.len()).copied();
        match self {
            Self::Silent | Self::Unread => None,
            Self::Command => of(b"VRFY somebody "),
            Self::Auth => of(b"AHRpbQBw"),
            Self::Handshake => CLIENT_HELLO.get(number).copied(),
            Self::Data | Self::Chunk => of(b"Subject: drip\r\n"),
        }
    }

    /// Drips until the server ends it. Gives what it said last.
    async fn drip(self, mut stream: TcpStream) -> Outcome<Vec<u8>> {
        let mut said = Vec::new();
        if self == Self::Unread {
            // That it is ended is seen at the server: a client that reads would not be this one.
            sleep(PATIENCE * 3).await;
            return Ok(said);
        }
        for number in 0.. {
            match timeout(INTERVAL, stream.read_buf(&mut said)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => continue,
                Err(_) => {}
            }
            if let Some(octet) = self.octet(number)
                && stream.write_all(&[octet]).await.is_err()
            {
                break;
            }
        }
        Ok(said)
    }
}

/// The addresses of the two servers.
#[derive(Debug, Clone, Copy)]
struct Targets {
    clear: SocketAddr,
    tls: SocketAddr,
}

/// Asks much until the server takes no more, for it cannot get rid of its replies. Segments are small, so that this is soon.
async fn unread(to: SocketAddr, from: Ipv4Addr) -> Outcome<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let below = SockRef::from(&socket);
    below.set_recv_buffer_size(4096)?;
    below.set_send_buffer_size(16_384)?;
    below.set_tcp_mss(536)?;
    socket.bind(SocketAddr::new(from.into(), 0))?;
    let mut stream = timeout(PATIENCE, socket.connect(to)).await??;
    // A message makes up for commands that bring none.
    let mut asked = b"EHLO client.example\r\n".repeat(150);
    asked.extend_from_slice(ENVELOPE);
    asked.extend_from_slice(b"BDAT 1 LAST\r\nx");
    while let Ok(written) = timeout(Duration::from_secs(1), stream.write_all(&asked)).await {
        written?;
    }
    Ok(stream)
}

/// A server and one for TLS from the start, with these limits of time, which logins can be tried at in clear.
fn start(
    program: &Path,
    kind: &str,
    limits: &[&str],
    count: usize,
) -> Outcome<(Listener, Targets)> {
    let connections = format!("max_connections={}", 8 * count + 100);
    let by_address = format!("connections_per_address={BY_ADDRESS}");
    let mut clear = vec![kind, &connections, &by_address, "user=tim:pw"];
    clear.extend_from_slice(&["allow_plaintext_auth=true"]);
    clear.extend_from_slice(limits);
    let mut tls = vec![kind, &connections, &by_address, "tls=own", "implicit_tls=1"];
    tls.extend_from_slice(limits);
    let listener = Listener::start(program, &[&clear, &tls])?;
    let targets = Targets {
        clear: listener.addresses[0],
        tls: listener.addresses[1],
    };
    Ok((listener, targets))
}

async fn begin_all(phase: Phase, to: Targets, count: usize) -> Outcome<Vec<TcpStream>> {
    let at_once = if phase == Phase::Unread { count } else { 100 };
    // Those of another phase are at other addresses.
    let first = phase as usize * count.next_multiple_of(BY_ADDRESS);
    many(count, at_once, |number| {
        phase.begin(to, source(first + number, BY_ADDRESS))
    })
    .await
}

/// How fast normal mail is with `count` drippers of a phase at work, beside how fast it is without them, in turns. It is to keep
/// nine tenths of its speed, and what drippers cost is to be given back.
pub async fn rates(
    program: &Path,
    kind: &str,
    phase: Phase,
    count: usize,
    rounds: usize,
) -> Outcome<Row> {
    let (mut listener, to) = start(program, kind, &[], count)?;
    let mut measured = turns(&mut listener, to, phase, count, rounds).await?;
    if median(&measured.ratios) < LEAST {
        // Other work on the machine may have met one half of the turns.
        let more = turns(&mut listener, to, phase, count, 2 * rounds).await?;
        measured.ratios.extend(more.ratios);
        measured.costs.extend(more.costs);
    }
    listener.end()?;
    let (ratio, times) = (median(&measured.ratios), measured.ratios.len());
    let (speed, cost) = (100.0 * ratio, 100.0 * median(&measured.costs));
    let attack = format!("{count} drippers, {}, {kind}", phase.name());
    let mail = format!(
        "mail at {speed:.0} % of its speed ({:.0}/s, {times} turns), the server's time for a message at {cost:.0} %",
        measured.alone
    );
    ensure(ratio >= LEAST, || {
        format!(
            "{attack}: {mail}, where {:.0} % are the least",
            100.0 * LEAST
        )
    })?;
    Ok(Row::new(
        attack,
        format!(
            "{mail}; {} octets allocated for each dripper, {} KiB more behind all of them",
            measured.each,
            measured.left >> 10
        ),
    ))
}

/// What turns with and without drippers come to.
#[derive(Debug)]
struct Turns {
    /// The rate of mail beside drippers as a share of that without them, of each turn.
    ratios: Vec<f64>,
    /// The same of the server's time for a message.
    costs: Vec<f64>,
    /// Mail of a second without drippers.
    alone: f64,
    /// Octets that a dripper has of the allocator.
    each: u64,
    /// Octets that are allocated behind the last, and were not before the first.
    left: u64,
}

async fn turns(
    listener: &mut Listener,
    to: Targets,
    phase: Phase,
    count: usize,
    rounds: usize,
) -> Outcome<Turns> {
    let fresh = listener.figures()?;
    // What the first mails bring to life is not counted.
    mail::rate(to.clear, Duration::from_millis(300)).await?;
    let before = listener.settled(&fresh).await?;
    let (mut ratios, mut costs) = (Vec::new(), Vec::new());
    let (mut rate, mut each, mut left) = (0.0, 0, 0);
    for _ in 0..rounds {
        let (alone, alone_costs) = load(listener, to.clear).await?;
        let streams = begin_all(phase, to, count).await?;
        let mut dripping = JoinSet::new();
        for stream in streams {
            dripping.spawn(phase.drip(stream));
        }
        // Until each has its own moment of the second.
        sleep(INTERVAL).await;
        let (beside, beside_costs) = load(listener, to.clear).await?;
        let now = listener.figures()?;
        ensure(now.open >= count as u64, || {
            format!(
                "only {} of {count} that drip in {} are there",
                now.open,
                phase.name()
            )
        })?;
        each = now.allocated.saturating_sub(before.allocated) / count as u64;
        dripping.shutdown().await;
        let after = listener.given_back(&before).await?;
        left = after.allocated.saturating_sub(before.allocated);
        ratios.push(beside / alone);
        costs.push(beside_costs / alone_costs);
        rate = alone;
    }
    Ok(Turns {
        ratios,
        costs,
        alone: rate,
        each,
        left,
    })
}

/// The rate of normal mail, and the server's time for a message.
async fn load(listener: &Listener, to: SocketAddr) -> Outcome<(f64, f64)> {
    let (begun, ticks) = (Instant::now(), listener.ticks()?);
    let mail = Mail::begin(to).await?;
    sleep(Duration::from_secs(2)).await;
    let rate = mail.end().await?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let spent = (listener.ticks()? - ticks) as f64;
    Ok((rate, spent / (rate * begun.elapsed().as_secs_f64())))
}

/// Has `count` clients drip in every phase at once, with mail beside them, until the server has ended them all by these limits.
pub async fn ended(program: &Path, kind: &str, limits: &[&str], count: usize) -> Outcome<Row> {
    let (mut listener, to) = start(program, kind, limits, count)?;
    let fresh = listener.figures()?;
    mail::rate(to.clear, Duration::from_millis(300)).await?;
    let before = listener.settled(&fresh).await?;
    let begun = Instant::now();
    let mut dripping = JoinSet::new();
    for phase in Phase::ALL {
        for stream in begin_all(phase, to, count).await? {
            dripping.spawn(async move { (phase, phase.drip(stream).await) });
        }
    }
    let mail = Mail::begin(to.clear).await?;
    listener.reset_peak()?;
    let unread = count;
    while dripping.len() > unread {
        let next = timeout(PATIENCE * 2, dripping.join_next()).await;
        let Some(ended) = next.map_err(|_| "drippers are not ended")? else {
            break;
        };
        let (phase, said) = ended?;
        told_why(phase, &said?)?;
    }
    let took = begun.elapsed().as_secs_f64();
    let rate = mail.end().await?;
    let peak = listener.peak()?;
    // Those that read nothing are still there, and their sessions are not.
    let after = listener.given_back(&before).await?;
    dripping.shutdown().await;
    listener.end()?;
    Ok(Row::new(
        format!(
            "{count} drippers in each phase at once, {kind}, {}",
            limits.join(" ")
        ),
        format!(
            "all ended after {took:.0} s, mail {rate:.0}/s meanwhile; allocated {} → {} → {} KiB, resident {} → {} → {} MiB",
            before.allocated >> 10,
            after.most_allocated >> 10,
            after.allocated >> 10,
            before.resident >> 20,
            peak >> 20,
            after.resident >> 20
        ),
    ))
}

/// A client that is ended is told so, where anything can be said to it.
fn told_why(phase: Phase, said: &[u8]) -> Outcome<()> {
    let text = String::from_utf8_lossy(said);
    // In a handshake there is nothing but an alert to say it with.
    let told = phase == Phase::Handshake || text.contains("421 4.4.2 ");
    ensure(told, || format!("{} is told {text:?}", phase.name()))
}
