//! The limit of a client over STARTTLS: tokio and rustls alone. It writes bytes that lie ready and of a reply it looks for the end of
//! its last line. Every connection does a full handshake.
//!
//! It has the contract of `bench_programs.py`, and `--tls FILE` (the certificate to trust), `--connections C`, and `--fresh` for a
//! connection a message. MAIL, RCPT and DATA leave in one write, with `--mode 0` each in its own, behind the reply to the one before.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mailwire_bench::{Arguments, cpu_seconds, message, report, shares};
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const ENVELOPE: &[u8] = b"MAIL FROM:<from@example.org>\r\nRCPT TO:<to@example.net>\r\nDATA\r\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let messages = arguments.number("messages", 10_000)?;
    let workers = arguments.number("connections", 1)?;
    let limit = Duration::from_secs(arguments.number("seconds", 60)?);
    let mut body = message(usize::try_from(arguments.number("size", 1024)?)?);
    body.extend_from_slice(b".\r\n");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(arguments.text("tls", ""))?)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.resumption = Resumption::disabled();
    let work = Arc::new(Work {
        port: u16::try_from(arguments.number("port", 25)?)?,
        connector: TlsConnector::from(Arc::new(config)),
        one_by_one: arguments.number("mode", 1)? == 0,
        body,
    });

    let (start, before) = (Instant::now(), cpu_seconds());
    let fresh = arguments.flag("fresh");
    let mut tasks = JoinSet::new();
    for share in shares(messages, workers) {
        let work = Arc::clone(&work);
        tasks.spawn(async move {
            let (sessions, each) = if fresh { (share, 1) } else { (1, share) };
            for _ in 0..sessions {
                work.session(each).await?;
            }
            Ok::<(), io::Error>(())
        });
    }
    timeout(limit, async {
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok::<(), io::Error>(())
    })
    .await??;
    let connections = if fresh { messages } else { workers };
    let cpu = cpu_seconds() - before;
    report(messages, connections, start, Instant::now(), cpu);
    Ok(())
}

struct Work {
    port: u16,
    connector: TlsConnector,
    one_by_one: bool,
    body: Vec<u8>,
}

impl Work {
    async fn session(&self, messages: u64) -> io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        replies(&mut stream, 1).await?;
        say(&mut stream, b"EHLO client.example\r\n", 1).await?;
        say(&mut stream, b"STARTTLS\r\n", 1).await?;
        let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
        let mut stream = self.connector.connect(name, stream).await?;
        say(&mut stream, b"EHLO client.example\r\n", 1).await?;
        for _ in 0..messages {
            if self.one_by_one {
                for command in ENVELOPE.split_inclusive(|octet| *octet == b'\n') {
                    say(&mut stream, command, 1).await?;
                }
            } else {
                say(&mut stream, ENVELOPE, 3).await?;
            }
            say(&mut stream, &self.body, 1).await?;
        }
        say(&mut stream, b"QUIT\r\n", 1).await?;
        stream.shutdown().await
    }
}

/// Writes, and waits for so many replies.
async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    what: &[u8],
    count: usize,
) -> io::Result<()> {
    stream.write_all(what).await?;
    stream.flush().await?;
    replies(stream, count).await
}

/// Waits for so many replies, of one line or more. None of them may refuse.
async fn replies<S: AsyncRead + Unpin>(stream: &mut S, mut count: usize) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut kept = 0;
    while count > 0 {
        let length = stream.read(&mut buffer[kept..]).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let filled = kept + length;
        let mut at = 0;
        while let Some(end) = memchr::memchr(b'\n', &buffer[at..filled]) {
            let line = &buffer[at..=at + end];
            if !matches!(line[0], b'2' | b'3') {
                return Err(io::Error::other("a message was refused"));
            }
            count -= usize::from(line.get(3) == Some(&b' '));
            at += end + 1;
        }
        buffer.copy_within(at..filled, 0);
        kept = filled - at;
    }
    Ok(())
}
