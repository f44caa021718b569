//! The way to the server: what its certificate must say, apart from where the connection goes.

use rustls::pki_types::ServerName;

use super::Options;
use crate::error::Error;
use crate::tls;

/// What is set about the way to the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Way {
    tls_name: Option<ServerName<'static>>,
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

    /// The name that the certificate must be for, where the connection goes to `host`.
    pub(super) fn tls_name(&self, host: &str) -> Result<ServerName<'static>, Error> {
        match &self.way.tls_name {
            Some(name) => Ok(name.clone()),
            None => tls::server_name(host),
        }
    }
}
