//! What is known about TLS on a connection.

use std::fmt;
use std::sync::Arc;

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl TlsVersion {
    /// As registered: `TLSv1.3`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is known about TLS on a connection after the handshake. Clones share their memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo(Arc<Known>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    version: TlsVersion,
    cipher: String,
    server_name: Option<String>,
    peer_certificate: Option<Vec<u8>>,
    exporter: Option<Exporter>,
    resumed: bool,
}

/// The value of tls-exporter. Who has it could bind an exchange of its own to the connection, so it is not printed.
#[derive(Clone, PartialEq, Eq)]
struct Exporter([u8; 32]);

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl TlsInfo {
    /// After a handshake that chose `version` and `cipher` (its IANA name).
    pub fn new(version: TlsVersion, cipher: impl Into<String>) -> Self {
        Self(Arc::new(Known {
            version,
            cipher: cipher.into(),
            server_name: None,
            peer_certificate: None,
            exporter: None,
            resumed: false,
        }))
    }

    /// The same, with the server name that the client asked for (SNI, RFC 6066 section 3).
    #[must_use]
    pub fn with_server_name(mut self, name: Option<String>) -> Self {
        self.known().server_name = name;
        self
    }

    /// The same, with the peer's certificate in DER.
    #[must_use]
    pub fn with_peer_certificate(mut self, der: Option<Vec<u8>>) -> Self {
        self.known().peer_certificate = der;
        self
    }

    /// The same, with the value of tls-exporter (RFC 9266), by which SASL mechanisms are bound to this connection.
    #[must_use]
    pub fn with_exporter(mut self, value: Option<[u8; 32]>) -> Self {
        self.known().exporter = value.map(Exporter);
        self
    }

    /// The same, saying whether the session was resumed.
    #[must_use]
    pub fn with_resumed(mut self, resumed: bool) -> Self {
        self.known().resumed = resumed;
        self
    }

    /// The version of TLS.
    pub fn version(&self) -> TlsVersion {
        self.0.version
    }

    /// The IANA name of the cipher suite, as `TLS13_AES_256_GCM_SHA384`.
    pub fn cipher(&self) -> &str {
        &self.0.cipher
    }

    /// The server name that the client asked for.
    pub fn server_name(&self) -> Option<&str> {
        self.0.server_name.as_deref()
    }

    /// The same without what belongs to the peer alone: its certificate, and what binds to its connection.
    pub(crate) fn without_peer(self) -> Self {
        self.with_peer_certificate(None).with_exporter(None)
    }

    /// The peer's certificate in DER: the server's as a client sees it, or a client certificate.
    pub fn peer_certificate(&self) -> Option<&[u8]> {
        self.0.peer_certificate.as_deref()
    }

    /// The value of tls-exporter (RFC 9266). `None` where the connection has none that is unique to it: before TLS 1.3.
    pub fn exporter(&self) -> Option<&[u8; 32]> {
        self.0.exporter.as_ref().map(|exporter| &exporter.0)
    }

    /// Whether the session goes on from an earlier connection (RFC 8446 section 2.2), whose certificate was verified there.
    pub fn resumed(&self) -> bool {
        self.0.resumed
    }

    fn known(&mut self) -> &mut Known {
        Arc::make_mut(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_given_back_and_the_exporter_is_not_shown() {
        let bare = TlsInfo::new(TlsVersion::Tls12, "TLS_ECDHE");
        assert_eq!(bare.version().name(), "TLSv1.2");
        assert_eq!((bare.server_name(), bare.peer_certificate()), (None, None));
        assert_eq!((bare.exporter(), bare.resumed()), (None, false));
        let info = TlsInfo::new(TlsVersion::Tls13, "TLS13_AES")
            .with_server_name(Some("mx.example.org".to_owned()))
            .with_peer_certificate(Some(vec![1, 2]))
            .with_exporter(Some([7; 32]))
            .with_resumed(true);
        assert_eq!(
            (info.version().to_string(), info.cipher()),
            ("TLSv1.3".to_owned(), "TLS13_AES")
        );
        assert_eq!(info.server_name(), Some("mx.example.org"));
        assert_eq!(info.peer_certificate(), Some(&[1, 2][..]));
        assert_eq!(info.exporter(), Some(&[7; 32]));
        assert!(info.resumed());
        assert!(
            format!("{info:?}").contains("exporter: Some(…)"),
            "{info:?}"
        );
    }
}
