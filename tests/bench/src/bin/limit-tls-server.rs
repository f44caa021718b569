//! The limit of a listener over STARTTLS: tokio and rustls alone, canned replies, and a search for the end of data. Commands are told
//! by their first letter. Never a mail server: only a yardstick for one, and the counterpart of clients that are measured.
//!
//! It has the contract of `bench_programs.py`, that of listeners over TLS.

use std::error::Error;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mailwire_bench::{Arguments, Tally, cpu_seconds, ended, listening};
use memchr::{memchr, memmem};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const READ: usize = 64 * 1024;
/// The bytes of a body that may begin its end mark.
const CARRY: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let wanted = arguments.number("messages", 10_000)?;
    let limit = Duration::from_secs(arguments.number("seconds", 60)?);
    let certificate = CertificateDer::from_pem_file(arguments.text("certificate", ""))?;
    let key = PrivateKeyDer::from_pem_file(arguments.text("key", ""))?;
    let config = ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let port = u16::try_from(arguments.number("port", 0)?)?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    listening(listener.local_addr()?.port());

    let before = cpu_seconds();
    let tally = Rc::new(Tally::of(wanted));
    let accept = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tally.connected();
            let (tally, acceptor) = (Rc::clone(&tally), acceptor.clone());
            tokio::task::spawn_local(async move {
                // A client that breaks off is missed by who counts.
                let _ = session(stream, &acceptor, &tally).await;
                tally.gone();
            });
        }
    };
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            tokio::select! {
                failed = accept => failed,
                () = tally.all() => Ok(()),
                ended = ended(limit) => ended,
            }
        })
        .await?;
    tally.report(cpu_seconds() - before);
    Ok(())
}

/// Why a part of a session is over.
#[derive(PartialEq)]
enum End {
    StartTls,
    Quit,
}

async fn session(mut stream: TcpStream, acceptor: &TlsAcceptor, tally: &Tally) -> io::Result<()> {
    let mut buffer = vec![0; CARRY + READ];
    stream.write_all(b"220 limit.example ESMTP\r\n").await?;
    let offers = b"250-limit.example\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n";
    if talk(&mut stream, &mut buffer, offers, tally).await? == End::StartTls {
        let mut stream = acceptor.accept(stream).await?;
        let offers = b"250-limit.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n";
        talk(&mut stream, &mut buffer, offers, tally).await?;
        stream.shutdown().await?;
    }
    Ok(())
}

/// Reads 64 KiB at a time and answers all that came in one write.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut [u8],
    offers: &[u8],
    tally: &Tally,
) -> io::Result<End> {
    let mark = memmem::Finder::new(b"\r\n.\r\n");
    let mut replies = Vec::new();
    // What was read and not used: the end of a body, or the start of a line.
    let mut kept = 0;
    let mut in_body = false;
    let mut end = None;
    while end.is_none() {
        let length = stream.read(&mut buffer[kept..]).await?;
        if length == 0 {
            return Ok(End::Quit);
        }
        let filled = kept + length;
        let mut at = 0;
        while end.is_none() {
            let rest = &buffer[at..filled];
            if in_body {
                let Some(found) = mark.find(rest) else {
                    at = at.max(filled.saturating_sub(CARRY));
                    break;
                };
                at += found + 5;
                in_body = false;
                tally.taken();
                replies.extend_from_slice(b"250 2.0.0 Taken\r\n");
                continue;
            }
            let Some(line) = memchr(b'\n', rest) else {
                break;
            };
            let reply: &[u8] = match rest[0].to_ascii_uppercase() {
                b'E' => offers,
                b'S' => {
                    end = Some(End::StartTls);
                    b"220 2.0.0 Go on\r\n"
                }
                b'Q' => {
                    end = Some(End::Quit);
                    b"221 2.0.0 Bye\r\n"
                }
                b'D' => {
                    in_body = true;
                    b"354 Go on\r\n"
                }
                _ => b"250 2.0.0 Fine\r\n",
            };
            // The end of the DATA line is the first half of the end mark of an empty body.
            at += if in_body { line - 1 } else { line + 1 };
            replies.extend_from_slice(reply);
        }
        buffer.copy_within(at..filled, 0);
        kept = filled - at;
        stream.write_all(&replies).await?;
        stream.flush().await?;
        replies.clear();
    }
    Ok(end.unwrap_or(End::Quit))
}
