//! Opens connections that then do nothing: each has greeted the server, over TLS both before and after STARTTLS. For measuring what
//! a listener keeps of them.
//!
//!     bench-idle --port P --connections N --seconds S [--tls FILE]
//!
//! FILE has the certificate to trust. It prints `open N` when all are open, and holds them for S seconds or until it is ended.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mailwire_bench::Arguments;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connections that are being opened at a time, fewer than any server lets wait.
const AT_A_TIME: usize = 64;

/// An open connection.
#[expect(dead_code, reason = "they are only held")]
enum Held {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let port = u16::try_from(arguments.number("port", 25)?)?;
    let wanted = arguments.number("connections", 1)?;
    let tls = match arguments.text("tls", "") {
        "" => None,
        file => Some(connector(file)?),
    };
    let hold = async {
        let mut held = Vec::new();
        let mut opening = JoinSet::new();
        for _ in 0..wanted {
            if opening.len() == AT_A_TIME
                && let Some(opened) = opening.join_next().await
            {
                held.push(opened??);
            }
            opening.spawn(open(port, tls.clone()));
        }
        while let Some(opened) = opening.join_next().await {
            held.push(opened??);
        }
        println!("open {}", held.len());
        std::future::pending::<Result<(), Box<dyn Error>>>().await
    };
    let limit = Duration::from_secs(arguments.number("seconds", 60)?);
    tokio::time::timeout(limit, hold).await.unwrap_or(Ok(()))
}

fn connector(file: &str) -> Result<TlsConnector, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file)?)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

async fn open(port: u16, tls: Option<TlsConnector>) -> io::Result<Held> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    reply(&mut stream).await?;
    say(&mut stream, b"EHLO client.example\r\n").await?;
    let Some(tls) = tls else {
        return Ok(Held::Plain(stream));
    };
    say(&mut stream, b"STARTTLS\r\n").await?;
    let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
    let mut stream = tls.connect(name, stream).await?;
    say(&mut stream, b"EHLO client.example\r\n").await?;
    Ok(Held::Tls(Box::new(stream)))
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, command: &[u8]) -> io::Result<()> {
    stream.write_all(command).await?;
    stream.flush().await?;
    reply(stream).await
}

/// Waits for the last line of a reply, which must be positive.
async fn reply<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' if line.get(3) != Some(&b'-') => break,
            b'\n' => line.clear(),
            octet => line.push(octet),
        }
    }
    match line.first() {
        Some(b'2') => Ok(()),
        _ => Err(io::Error::other("a command was refused")),
    }
}
