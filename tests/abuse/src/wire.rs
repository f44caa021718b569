//! A client that can do what no client should: bare sockets from any address of the machine's own network, and replies read by hand.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Outcome, PATIENCE};

/// A connection whose replies are read one by one.
#[derive(Debug)]
pub struct Wire<S> {
    /// What is below.
    pub stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Over an open connection.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// Writes `octets` and waits for replies with these codes.
    pub async fn say(&mut self, octets: &[u8], codes: &[u16]) -> Outcome<()> {
        self.stream.write_all(octets).await?;
        self.stream.flush().await?;
        self.hear(codes).await
    }

    /// Waits for replies with these codes.
    pub async fn hear(&mut self, codes: &[u16]) -> Outcome<()> {
        for code in codes {
            let reply = self.reply().await?;
            if !reply.starts_with(&code.to_string()) {
                return Err(format!("{reply:?} where {code} was awaited").into());
            }
        }
        Ok(())
    }

    /// The last line of the next reply.
    pub async fn reply(&mut self) -> Outcome<String> {
        loop {
            let Some(end) = self.read.iter().position(|octet| *octet == b'\n') else {
                let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
                if read.map_err(|_| "no reply came")?? == 0 {
                    return Err("the connection was closed where a reply was awaited".into());
                }
                continue;
            };
            let line: Vec<u8> = self.read.drain(..=end).collect();
            if line.get(3) != Some(&b'-') {
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
        }
    }

    /// All that still comes until the other side closes.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.read);
        match timeout(PATIENCE, self.stream.read_to_end(&mut rest)).await {
            Ok(read) => read.map(|_| rest),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Greeted and introduced.
pub async fn introduced(to: SocketAddr, from: Ipv4Addr) -> Outcome<Wire<TcpStream>> {
    let mut wire = Wire::new(connect(to, from).await?);
    wire.hear(&[220]).await?;
    wire.say(b"EHLO client.example\r\n", &[250]).await?;
    Ok(wire)
}

/// The same over TLS, which begins with the connection.
pub async fn introduced_by_tls(
    to: SocketAddr,
    from: Ipv4Addr,
    connector: &TlsConnector,
) -> Outcome<Wire<TlsStream<TcpStream>>> {
    let mut wire = Wire::new(secure(connect(to, from).await?, connector).await?);
    wire.hear(&[220]).await?;
    wire.say(b"EHLO client.example\r\n", &[250]).await?;
    Ok(wire)
}

/// Connects from one of the machine's own addresses.
pub async fn connect(to: SocketAddr, from: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.into(), 0))?;
    let connecting = timeout(PATIENCE, socket.connect(to));
    let stream = connecting
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Begins TLS.
pub async fn secure(
    stream: TcpStream,
    connector: &TlsConnector,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("mx.example.org").map_err(io::Error::other)?;
    connector.connect(name, stream).await
}

/// Closes by a reset, which leaves no port behind.
pub fn reset(stream: TcpStream) {
    // A connection that is gone needs no reset.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

/// TLS towards a listener with this certificate.
pub fn connector(certificate: &CertificateDer<'static>) -> Outcome<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone())?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

/// The address of the client with this number, where `each` share one.
pub fn source(number: usize, each: usize) -> Ipv4Addr {
    let place = number / each;
    let octet = |part: usize| u8::try_from(part % 250 + 1).unwrap_or(1);
    Ipv4Addr::new(127, 1, octet(place / 250), octet(place))
}

/// Does `count` things, at most `at_once` at a time. The first that fails is what all come to.
pub async fn many<T, F>(
    count: usize,
    at_once: usize,
    mut make: impl FnMut(usize) -> F,
) -> Outcome<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Outcome<T>> + Send + 'static,
{
    let (mut tasks, mut done) = (JoinSet::new(), Vec::with_capacity(count));
    for number in 0..count {
        if tasks.len() == at_once
            && let Some(ended) = tasks.join_next().await
        {
            done.push(ended??);
        }
        tasks.spawn(make(number));
    }
    while let Some(ended) = tasks.join_next().await {
        done.push(ended??);
    }
    Ok(done)
}
