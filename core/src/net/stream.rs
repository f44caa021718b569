//! A connection: plain or TLS, over TCP or a Unix socket, as one type.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::socket::Socket;
use crate::error::{Error, Phase, Status};
use crate::proto::TlsInfo;
use crate::tls::{ClientTls, ServerTls, Start, client_fault, server_fault, tls_info};

/// A connection to a peer. Reads and writes are those of tokio; writes are vectored, and never raise SIGPIPE.
///
/// After a write over TLS, `flush` sends what is still held back. `shutdown` says goodbye (a close_notify, where there is TLS)
/// and closes our direction. From then on TLS is at its end for reads too, and [`read_unheard`](Self::read_unheard) alone takes
/// what still comes.
#[derive(Debug)]
pub(crate) struct Stream {
    kind: Kind,
    peer: Peer,
    /// Our close_notify is said. The TLS library must not be asked to decode any more: it asserts that no alert is sent after
    /// that one, and what cannot be decoded is answered by an alert.
    closed: bool,
}

/// TLS is boxed: a connection in clear, of which there may be thousands, is not to be as large as one with TLS.
enum Kind {
    Plain(Socket),
    Client(Box<client::TlsStream<Socket>>),
    Server(Box<server::TlsStream<Socket>>),
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Peer {
    /// An address that connected to us.
    Address(SocketAddr),
    /// `host:port` or the path of a socket, as we connected to it.
    Named(Box<str>),
    /// A program on this machine, through a Unix socket.
    Local,
}

impl Stream {
    pub(super) fn new(socket: Socket, peer: Peer) -> Self {
        Self {
            kind: Kind::Plain(socket),
            peer,
            closed: false,
        }
    }

    /// Begins TLS as a client, towards a server that must be `name`. On any failure the connection is gone; the error has the
    /// peer, the phase and the reason.
    ///
    /// Nothing that was read in clear may be left over: the caller looks, because only it knows what it has read. Dropping the
    /// future closes the connection.
    pub(crate) async fn into_tls_client(
        self,
        tls: &ClientTls,
        name: &ServerName<'static>,
        start: Start,
    ) -> Result<(Self, TlsInfo), Error> {
        let Self { kind, peer, .. } = self;
        let begun = async {
            let socket = kind.into_plain()?;
            let stream = TlsConnector::from(tls.config()?)
                .connect(name.clone(), socket)
                .await
                .map_err(|error| client_fault(error, name, start))?;
            let info = tls_info(stream.get_ref().1, None).ok_or_else(unfinished)?;
            Ok((Kind::Client(Box::new(stream)), info))
        };
        match begun.await {
            Ok((kind, info)) => Ok((Self::secured(kind, peer), info)),
            Err(error) => Err(at_peer(error, &peer)),
        }
    }

    /// Begins TLS as a server. The same holds as for a client.
    pub(crate) async fn into_tls_server(self, tls: &ServerTls) -> Result<(Self, TlsInfo), Error> {
        let Self { kind, peer, .. } = self;
        let begun = async {
            let socket = kind.into_plain()?;
            let stream = TlsAcceptor::from(tls.config())
                .accept(socket)
                .await
                .map_err(server_fault)?;
            let session = stream.get_ref().1;
            let info = tls_info(session, session.server_name()).ok_or_else(unfinished)?;
            Ok((Kind::Server(Box::new(stream)), info))
        };
        match begun.await {
            Ok((kind, info)) => Ok((Self::secured(kind, peer), info)),
            Err(error) => Err(at_peer(error, &peer)),
        }
    }

    fn secured(kind: Kind, peer: Peer) -> Self {
        Self {
            kind,
            peer,
            closed: false,
        }
    }

    /// Reads once, below TLS: what a peer still sends after our goodbye is taken from the socket and means nothing.
    pub(crate) async fn read_unheard(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        let socket = match &mut self.kind {
            Kind::Plain(socket) => socket,
            Kind::Client(stream) => stream.get_mut().0,
            Kind::Server(stream) => stream.get_mut().0,
        };
        socket.read_buf(buffer).await
    }

    /// The peer, for people: `host:port`, an address with its port, or the path of a socket.
    pub(crate) fn peer_label(&self) -> String {
        self.peer.to_string()
    }

    /// The peer.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The peer is another one than it seemed, as a proxy has told.
    pub(super) fn set_peer(&mut self, peer: Peer) {
        self.peer = peer;
    }

    /// The socket of a connection in clear. With TLS there is none to read from.
    pub(super) fn plain(&mut self) -> io::Result<&mut Socket> {
        match &mut self.kind {
            Kind::Plain(socket) => Ok(socket),
            Kind::Client(_) | Kind::Server(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether this is a TLS connection.
    pub(crate) fn is_tls(&self) -> bool {
        !matches!(self.kind, Kind::Plain(_))
    }

    /// The IP address of our end; `None` on a Unix socket.
    pub(crate) fn local_ip(&self) -> Option<IpAddr> {
        Some(self.local_address()?.ip())
    }

    /// The address of our end; `None` on a Unix socket.
    pub(crate) fn local_address(&self) -> Option<SocketAddr> {
        SockRef::from(self).local_addr().ok()?.as_socket()
    }

    /// The address of the other end of the socket; `None` on a Unix socket.
    pub(crate) fn remote_address(&self) -> Option<SocketAddr> {
        SockRef::from(self).peer_addr().ok()?.as_socket()
    }

    /// The descriptor of the socket below, for `poll` and for [`close_raw`](super::close_raw).
    pub(crate) fn raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Plain(socket) => socket.as_fd(),
            Kind::Client(stream) => stream.get_ref().0.as_fd(),
            Kind::Server(stream) => stream.get_ref().0.as_fd(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Named(name) => f.write_str(name),
            Self::Local => f.write_str("local socket"),
        }
    }
}

impl Kind {
    fn into_plain(self) -> Result<Socket, Error> {
        match self {
            Self::Plain(socket) => Ok(socket),
            Self::Client(_) | Self::Server(_) => {
                Err(Error::new(Status::Misuse, "the connection has TLS already").at(Phase::Tls))
            }
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Client(_) => "TlsClient",
            Self::Server(_) => "TlsServer",
        })
    }
}

fn at_peer(error: Error, peer: &Peer) -> Error {
    error.at(Phase::Tls).with_peer(peer.to_string())
}

fn unfinished() -> Error {
    Error::new(
        Status::Internal,
        "the TLS library ended a handshake without a result",
    )
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let closed = self.closed;
        match &mut self.get_mut().kind {
            Kind::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            _ if closed => Poll::Ready(Ok(())),
            Kind::Client(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
            Kind::Server(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().kind {
            Kind::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Kind::Client(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Kind::Server(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().kind {
            Kind::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Kind::Client(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
            Kind::Server(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Kind::Client(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Kind::Server(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        match &mut self.get_mut().kind {
            Kind::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Kind::Client(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Kind::Server(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
