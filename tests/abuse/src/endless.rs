//! Clients that never stop talking: what the server holds of it stays the same.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::listener::{Figures, KEPT, Listener};
use crate::mail::rate;
use crate::wire::{Wire, connect, connector, introduced, introduced_by_tls, many, source};
use crate::{Outcome, PATIENCE, Row, ensure};

/// How long nothing may be taken until this is the end of it.
const STUCK: Duration = Duration::from_secs(1);

/// Who says nothing more, or reads nothing, is ended behind that.
const IDLE: &str = "idle_timeout=3";

/// So much of what is heard last is kept.
const LAST: usize = 512;

/// What one client may cost the listener while it talks, in octets: a read buffer of 64 KiB, as much of replies or of TLS records, and
/// the pieces of a message on their way.
const EACH: u64 = 256 << 10;

/// What is said without end.
#[derive(Debug, Clone, Copy)]
pub struct Endless {
    /// What it is called.
    name: &'static str,
    /// What is said first, and the codes of the replies to that.
    prelude: (&'static [u8], &'static [u16]),
    /// What is said again and again.
    phrase: &'static [u8],
    /// Whether the replies are read.
    reads: bool,
    /// Whether the server ends it while it is said. Else it does once no more is said.
    ended: bool,
    /// Whether it is said to the port of TLS, without a handshake.
    to_tls: bool,
}

const ENVELOPE: &[u8] = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n";
const TRANSACTION: (&[u8], &[u16]) = (ENVELOPE, &[250, 250]);
const DATA: (&[u8], &[u16]) = (
    b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n",
    &[250, 250, 354],
);
const LARGEST: (&[u8], &[u16]) = (
    b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nBDAT 9223372036854775807\r\n",
    &[250, 250],
);
const TOO_LARGE: (&[u8], &[u16]) = (
    b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nBDAT 9223372036854775808\r\n",
    &[250, 250],
);
const NOTHING: (&[u8], &[u16]) = (b"", &[]);

const fn says(
    name: &'static str,
    prelude: (&'static [u8], &'static [u16]),
    phrase: &'static [u8],
) -> Endless {
    Endless {
        name,
        prelude,
        phrase,
        reads: true,
        ended: false,
        to_tls: false,
    }
}

impl Endless {
    /// Every one.
    pub const ALL: &[Self] = &[
        says("a line", NOTHING, b"abcdefghijklmnopqrstuvwxyz").is_ended(),
        says("RCPT", TRANSACTION, b"RCPT TO:<b@example.net>\r\n").is_ended(),
        says(
            "RCPT, replies unread",
            TRANSACTION,
            b"RCPT TO:<b@example.net>\r\n",
        )
        .unread(),
        says("NOOP", NOTHING, b"NOOP\r\n").is_ended(),
        says("NOOP, replies unread", NOTHING, b"NOOP\r\n").unread(),
        says("EHLO, replies unread", NOTHING, b"EHLO c.example\r\n").unread(),
        says(
            "MAIL and RSET",
            NOTHING,
            b"MAIL FROM:<a@example.org>\r\nRSET\r\n",
        )
        .is_ended(),
        says("what is no command", NOTHING, b"FOO bar\r\n").is_ended(),
        says(
            "a header",
            DATA,
            b"X-Endless: and so on and so on and so on\r\n",
        ),
        says("a line of a message", DATA, b"abcdefghijklmnopqrstuvwxyz"),
        says("line ends of a message", DATA, b"\r\n"),
        says("dots of a message", DATA, b"..\r\n"),
        says("BDAT of 2^63-1", LARGEST, b"abcdefghijklmnopqrstuvwxyz\r\n").is_ended(),
        says("BDAT of 2^63", TOO_LARGE, b"abcdefghijklmnopqrstuvwxyz\r\n").is_ended(),
        says("chunks of no octet", TRANSACTION, b"BDAT 0\r\n").is_ended(),
        says(
            "chunks of no octet, replies unread",
            TRANSACTION,
            b"BDAT 0\r\n",
        )
        .unread(),
        says("AUTH", NOTHING, b"AUTH PLAIN AHRpbQBwdw==\r\n").is_ended(),
        says(
            "a response of AUTH",
            (b"AUTH PLAIN\r\n", &[334]),
            b"AHRpbQBw",
        )
        .is_ended(),
        says(
            "records of no TLS",
            NOTHING,
            b"\x16\x03\x01\x40\x00no hello",
        )
        .to_tls(),
        says("a TLS message that goes on", NOTHING, LONG_HELLO).to_tls(),
        says("TLS records of no octet", NOTHING, b"\x16\x03\x03\x00\x00").to_tls(),
        says("TLS alerts", NOTHING, b"\x15\x03\x03\x00\x02\x01\x5a").to_tls(),
        says(
            "changes of the TLS cipher",
            NOTHING,
            b"\x14\x03\x03\x00\x01\x01",
        )
        .to_tls(),
    ];

    /// What is not read is not sent for ever.
    const fn unread(self) -> Self {
        Self {
            reads: false,
            ended: true,
            ..self
        }
    }

    const fn is_ended(self) -> Self {
        Self {
            ended: true,
            ..self
        }
    }

    /// Nobody says without end what is no TLS to who expects TLS.
    const fn to_tls(self) -> Self {
        Self {
            to_tls: true,
            ended: true,
            ..self
        }
    }

    /// Says it until `octets` are said, or the server has ended it, or takes no more for a while, and then hears what the server
    /// says until it ends the session by itself.
    async fn say(self, to: SocketAddr, number: usize, octets: u64) -> Outcome<Said> {
        let from = source(number, 10);
        let mut stream = if self.to_tls {
            connect(to, from).await?
        } else {
            let mut wire = introduced(to, from).await?;
            wire.say(self.prelude.0, self.prelude.1).await?;
            wire.stream
        };
        let phrases = self.phrase.repeat(1 + 16_384 / self.phrase.len());
        let (mut reader, mut writer) = stream.split();
        let mut heard = Vec::new();
        let reading = async {
            while self.reads && !matches!(reader.read_buf(&mut heard).await, Ok(0) | Err(_)) {
                heard.drain(..heard.len().saturating_sub(LAST));
            }
        };
        let writing = async {
            let mut said = 0;
            while said < octets {
                // What is not read stops it too.
                match timeout(STUCK, writer.write(&phrases)).await {
                    Ok(Ok(written)) => said += written as u64,
                    Ok(Err(_)) | Err(_) => break,
                }
            }
            said
        };
        let both = timeout(PATIENCE, async { tokio::join!(reading, writing) }).await;
        let ((), said) = both.map_err(|_| format!("{} is never ended", self.name))?;
        ensure(!self.ended || said < octets, || {
            format!("{} goes on and on: {said} octets are taken", self.name)
        })?;
        // Who goes on talking behind the last words may lose them, for then the connection is reset.
        let heard = String::from_utf8_lossy(&heard);
        ensure(self.ended || heard.contains("421 4.4.2 "), || {
            format!("{} is ended with {heard:?}", self.name)
        })?;
        Ok(Said::new(said, stream))
    }
}

/// What was said, and the connection, which the client does not close.
struct Said {
    octets: u64,
    _connection: Box<dyn Send>,
}

impl Said {
    fn new(octets: u64, connection: impl Send + 'static) -> Self {
        Self {
            octets,
            _connection: Box::new(connection),
        }
    }
}

/// A record of a ClientHello of 16 MiB, of which there is never all.
const LONG_HELLO: &[u8] = b"\x16\x03\x01\x00\x08\x01\xff\xff\xff\x03\x03ab";

/// Has `clients` say each of these, `octets` at most, one after the other. Each session is to be ended by the server, and what it has of
/// the allocator is to stay within what its clients may cost, and to be given back.
pub async fn endless(program: &Path, kind: &str, clients: usize, octets: u64) -> Outcome<Vec<Row>> {
    let clear: &[&str] = &[
        kind,
        "user=tim:not",
        "allow_plaintext_auth=true",
        "tls=own",
        "stream=yes",
        IDLE,
    ];
    let tls: &[&str] = &[kind, "tls=own", "implicit_tls=true", "stream=yes", IDLE];
    let mut listener = Listener::start(program, &[clear, tls])?;
    let (to, to_tls) = (listener.addresses[0], listener.addresses[1]);
    let connector = connector(&listener.certificate)?;
    let fresh = listener.figures()?;
    // What the first mails and connections bring to life is not counted.
    rate(to, Duration::from_millis(300)).await?;
    many(clients, clients, |number| {
        let connector = connector.clone();
        async move { introduced_by_tls(to_tls, source(number, 10), &connector).await }
    })
    .await?;
    let before = listener.settled(&fresh).await?;
    let mut watch = Watch { listener, before };
    let mut rows = Vec::new();
    for endless in Endless::ALL {
        let to = if endless.to_tls { to_tls } else { to };
        let saying = many(clients, clients, |number| endless.say(to, number, octets));
        rows.push(watch.over(endless.name, clients, saying).await?);
    }
    let keys = many(clients, clients, |number| {
        new_keys(to_tls, number, connector.clone(), octets)
    });
    rows.push(watch.over("new keys of TLS 1.3", clients, keys).await?);
    let chunks = usize::try_from(octets / 64)?;
    let tiny = many(1, 1, |_| tiny_chunks(to, chunks));
    let name = format!("{chunks} chunks of one octet");
    rows.push(watch.over(&name, 1, tiny).await?);
    watch.listener.end()?;
    Ok(rows)
}

/// A look at the listener behind each attack, beside how it was before the first.
struct Watch {
    listener: Listener,
    before: Figures,
}

impl Watch {
    async fn over(
        &mut self,
        name: &str,
        clients: usize,
        attack: impl Future<Output = Outcome<Vec<Said>>>,
    ) -> Outcome<Row> {
        self.listener.reset_peak()?;
        let begun = Instant::now();
        let said = attack.await?;
        // The connections are still open on the clients' side.
        let after = self.listener.given_back(&self.before).await?;
        let peak = self.listener.peak()?;
        let octets: u64 = said.iter().map(|said| said.octets).sum();
        let grown = after.most_allocated.saturating_sub(self.before.allocated);
        ensure(grown <= EACH * clients as u64 + KEPT, || {
            format!("{name}: memory has grown by {grown} octets for {clients} clients")
        })?;
        Ok(Row::new(
            format!("{clients} clients without end: {name}"),
            format!(
                "{} KiB taken, ended after {:.1} s; allocated {} → {} → {} KiB, resident {} → {} → {} KiB",
                octets >> 10,
                begun.elapsed().as_secs_f64(),
                self.before.allocated >> 10,
                after.most_allocated >> 10,
                after.allocated >> 10,
                self.before.resident >> 10,
                peak >> 10,
                after.resident >> 10,
            ),
        ))
    }
}

/// Changes the keys of a session without end, which costs the server a change of its own each time, and reads none of it.
async fn new_keys(to: SocketAddr, number: usize, tls: TlsConnector, octets: u64) -> Outcome<Said> {
    let mut stream = introduced_by_tls(to, source(number, 10), &tls)
        .await?
        .stream;
    let mut said = 0;
    while said < octets {
        stream.get_mut().1.refresh_traffic_keys()?;
        match timeout(STUCK, stream.flush()).await {
            // Header, key update, type and tag.
            Ok(Ok(())) => said += 5 + 5 + 1 + 16,
            Ok(Err(_)) | Err(_) => break,
        }
    }
    Ok(Said::new(said, stream))
}

/// Sends a message octet by octet, each in a chunk of its own, and has it taken.
async fn tiny_chunks(to: SocketAddr, count: usize) -> Outcome<Said> {
    const AT_ONCE: usize = 500;
    let wire = introduced(to, source(0, 10)).await?;
    let mut wire = Wire::new(wire.stream);
    wire.say(ENVELOPE, &[250, 250]).await?;
    let chunks = b"BDAT 1\r\nx".repeat(AT_ONCE);
    let codes = [250; AT_ONCE];
    let mut said = 0;
    for _ in 0..count / AT_ONCE {
        timeout(PATIENCE, wire.say(&chunks, &codes)).await??;
        said += chunks.len() as u64;
    }
    wire.say(b"BDAT 0 LAST\r\nQUIT\r\n", &[250, 221]).await?;
    Ok(Said::new(said, wire.stream))
}
