//! The way to the server: through which proxy the connection goes, what is said on it before all else, and what the server's
//! certificate must say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;

use super::Options;
use super::options::ServerAddress;
use crate::error::{Error, Phase};
use crate::net::{self, Deadline, Proxy, ProxyVersion, Stream};
use crate::tls;
use crate::transcript::{Kind, Session};

/// What is set about the way to the server. Boxed: most clients set none of it, and what is empty is to leave no hole in the options.
/// Whatever was on the stack would be carried along in that, a secret too.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    tls_name: Option<Box<ServerName<'static>>>,
    proxy: Option<Box<Proxy>>,
    header: Option<Box<ProxyHeader>>,
}

/// The header of the PROXY protocol (haproxy's `proxy-protocol.txt`), which tells a server that trusts us for whom a connection was
/// opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyHeader {
    version: ProxyVersion,
    client: Option<SocketAddr>,
}

impl ProxyHeader {
    /// A header that tells the address of this end of the connection. On a Unix socket it tells that there is none.
    pub fn new(version: ProxyVersion) -> Self {
        let client = None;
        Self { version, client }
    }

    /// A header that tells the address of `client`, who is to be the one who connects. The same for every connection.
    pub fn of_client(version: ProxyVersion, client: SocketAddr) -> Self {
        let client = Some(client);
        Self { version, client }
    }

    /// Its octets on this connection.
    fn octets(&self, stream: &Stream) -> Vec<u8> {
        let client = self.client.or_else(|| stream.local_address());
        // The server's address, or a proxy's on the way; where neither has one, it is none.
        let server = stream.remote_address().unwrap_or_else(|| match client {
            Some(SocketAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
            _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
        });
        net::proxy_header(self.version, client, server)
    }
}

impl Options {
    /// The name that the server's certificate must be for and that it is asked for by SNI (RFC 6066 section 3): a host name, or an
    /// IP address, which is not asked for. By default the host of the server, and `localhost` on a Unix socket. Where the
    /// connection goes is another matter, which this does not change.
    pub fn set_tls_name(&mut self, name: &str) -> Result<(), Error> {
        let name = tls::server_name(name)
            .map_err(|error| Error::invalid(format!("tls_name: {}", error.message())))?;
        self.way.tls_name = Some(Box::new(name));
        Ok(())
    }

    /// A proxy to connect through, by its URL: `socks5://user:password@host:port` (RFC 1928), `socks5h://`, where the proxy looks up
    /// the server's name, or `http://` (CONNECT, RFC 9110 section 9.3.6). User and password may be missing and are percent-encoded; the
    /// port is 1080, or 80 with `http`. The connection to the proxy is in clear, a password for it too; TLS is between this program
    /// and the server. `None`: no proxy, which is the default. No variable of the environment is heeded.
    pub fn set_proxy(&mut self, url: Option<&str>) -> Result<(), Error> {
        self.way.proxy = url.map(Proxy::from_url).transpose()?.map(Box::new);
        Ok(())
    }

    /// Begins every connection with a header of the PROXY protocol, in clear and before TLS. A server that does not wait for one takes it
    /// for a command that it does not know, or closes. `None`: nothing is said, which is the default.
    pub fn set_send_proxy_header(&mut self, header: Option<ProxyHeader>) {
        self.way.header = header.map(Box::new);
    }

    /// The password that the proxy is told.
    pub(super) fn proxy_password(&self) -> Option<&str> {
        self.way.proxy.as_ref().and_then(|proxy| proxy.password())
    }

    /// What only makes sense together.
    pub(super) fn check_way(&self) -> Result<(), Error> {
        if self.way.proxy.is_some() && matches!(self.server, Some(ServerAddress::Unix(_))) {
            return Err(Error::invalid(
                "proxy: a Unix socket is not reached through one",
            ));
        }
        Ok(())
    }

    /// Opens a connection, and gives it with the name of the host. What has to be said first is said. Where it is, is told in `phase`.
    pub(super) async fn open_stream(
        &self,
        deadline: Deadline,
        session: &Session,
        phase: &mut Phase,
    ) -> Result<(Stream, &str), Error> {
        // One time for the look-up, and one for what comes then.
        let limit = self.connect_timeout.saturating_mul(2);
        let opening = async {
            let (mut stream, host) = match self.server()? {
                ServerAddress::Host { host, port } => {
                    let port = port.unwrap_or_else(|| self.default_port());
                    let (source, timeout) = (self.source_address, self.connect_timeout);
                    let stream = match &self.way.proxy {
                        None => {
                            net::connect(host, port, source, timeout, session, phase)
                                .await?
                                .0
                        }
                        Some(proxy) => {
                            net::connect_through(proxy, host, port, source, timeout, session, phase)
                                .await?
                        }
                    };
                    (stream, host.as_str())
                }
                ServerAddress::Unix(path) => {
                    *phase = Phase::Connect;
                    let stream = net::connect_unix(path, self.connect_timeout, session).await?;
                    (stream, "localhost")
                }
            };
            if let Some(header) = &self.way.header {
                let octets = header.octets(&stream);
                let said = stream.write_all(&octets).await;
                said.map_err(|error| net::io_fault(error, Phase::Connect, "server"))?;
                session.note(|| Kind::ProxyHeader {
                    octets: octets.len(),
                });
            }
            Ok((stream, host))
        };
        let opened = net::limit(Phase::Connect, limit, deadline, opening).await;
        opened.map_err(|error| match error.peer() {
            Some(_) => error,
            // The limit passed, or what is said first could not be said.
            None => error.at(*phase),
        })
    }

    /// The server's address at the other end of this connection. Behind a proxy it is not known.
    pub(super) fn address_reached(&self, stream: &Stream) -> Option<IpAddr> {
        let address = stream
            .remote_address()
            .filter(|_| self.way.proxy.is_none())?;
        Some(address.ip())
    }

    /// The name that the certificate must be for, where the connection goes to `host`.
    pub(super) fn tls_name(&self, host: &str) -> Result<ServerName<'static>, Error> {
        match &self.way.tls_name {
            Some(name) => Ok((**name).clone()),
            None => tls::server_name(host),
        }
    }
}
