//! The way to the server: where the connection goes, through which proxy, and what the server's certificate must say.

use rustls::pki_types::ServerName;

use super::Options;
use super::options::ServerAddress;
use crate::error::{Error, Phase};
use crate::net::{self, Deadline, Proxy, Stream};
use crate::tls;

/// What is set about the way to the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    tls_name: Option<ServerName<'static>>,
    proxy: Option<Proxy>,
}

impl Options {
    /// The name that the server's certificate must be for and that it is asked for by SNI (RFC 6066 section 3): a host name, or an
    /// IP address, which is not asked for. By default the host of the server, and `localhost` on a Unix socket. Where the
    /// connection goes is another matter, which this does not change.
    pub fn set_tls_name(&mut self, name: &str) -> Result<(), Error> {
        let name = tls::server_name(name)
            .map_err(|error| Error::invalid(format!("tls_name: {}", error.message())))?;
        self.way.tls_name = Some(name);
        Ok(())
    }

    /// A proxy to connect through, by its URL: `socks5://user:password@host:port` (RFC 1928), `socks5h://`, where the proxy looks up
    /// the server's name, or `http://` (CONNECT, RFC 9110 section 9.3.6). User and password may be missing and are percent-encoded; the
    /// port is 1080, or 80 with `http`. The connection to the proxy is in clear, a password for it too; TLS is between this program
    /// and the server. `None`: no proxy, which is the default. No variable of the environment is heeded.
    pub fn set_proxy(&mut self, url: Option<&str>) -> Result<(), Error> {
        self.way.proxy = url.map(Proxy::from_url).transpose()?;
        Ok(())
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

    /// Opens a connection, and gives it with the name of the host.
    pub(super) async fn open_stream(&self, deadline: Deadline) -> Result<(Stream, &str), Error> {
        // One time for the look-up, and one for what comes then.
        let limit = self.connect_timeout.saturating_mul(2);
        let opening = async {
            match self.server()? {
                ServerAddress::Host { host, port } => {
                    let port = port.unwrap_or_else(|| self.default_port());
                    let (source, timeout) = (self.source_address, self.connect_timeout);
                    let stream = match &self.way.proxy {
                        None => net::connect(host, port, source, timeout).await?.0,
                        Some(proxy) => {
                            net::connect_through(proxy, host, port, source, timeout).await?
                        }
                    };
                    Ok((stream, host.as_str()))
                }
                ServerAddress::Unix(path) => {
                    let stream = net::connect_unix(path, self.connect_timeout).await?;
                    Ok((stream, "localhost"))
                }
            }
        };
        net::limit(Phase::Connect, limit, deadline, opening).await
    }

    /// The name that the certificate must be for, where the connection goes to `host`.
    pub(super) fn tls_name(&self, host: &str) -> Result<ServerName<'static>, Error> {
        match &self.way.tls_name {
            Some(name) => Ok(name.clone()),
            None => tls::server_name(host),
        }
    }
}
