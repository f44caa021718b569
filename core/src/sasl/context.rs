//! What a driver lends to an exchange, since mechanisms know neither randomness nor the connection they run on.

use std::fmt;

use super::base64;

/// A number used once: 18 random octets, as 24 characters of base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// From octets that nobody can foretell. They must never be used for another exchange.
    pub fn new(random: [u8; 18]) -> Self {
        let text = base64::encode(&random);
        Self(String::from_utf8_lossy(text.expose()).into_owned())
    }

    /// One of an RFC's example.
    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(…)")
    }
}

/// Whether an exchange can be bound to the TLS connection that it runs in, as a client sees it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum ChannelBinding {
    /// This side cannot: there is no TLS, it has no exporter, or the caller wants no such mechanism.
    #[default]
    Impossible,
    /// This side can, and the server offers no mechanism that does. Told to the server under the client's proof, so that it
    /// notices if somebody took such a mechanism from its list (RFC 5802 section 6).
    NotOffered,
    /// It can: the value of tls-exporter (RFC 9266).
    Exporter([u8; 32]),
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Impossible => "Impossible",
            Self::NotOffered => "NotOffered",
            Self::Exporter(_) => "Exporter(…)",
        })
    }
}

/// What is lent to a client's exchange. By default nothing, which suffices for mechanisms other than SCRAM.
#[derive(Debug, Clone, Default)]
pub struct ClientContext {
    pub(super) nonce: Option<Nonce>,
    pub(super) binding: ChannelBinding,
    pub(super) server: Option<(String, u16)>,
}

impl ClientContext {
    /// The same with a nonce.
    #[must_use]
    pub fn with_nonce(mut self, nonce: Nonce) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// The same with what is known about binding to TLS.
    #[must_use]
    pub fn with_channel_binding(mut self, binding: ChannelBinding) -> Self {
        self.binding = binding;
        self
    }

    /// The same with the host and port that the client has connected to, which OAUTHBEARER tells the server. A host that is not
    /// printable ASCII is left out.
    #[must_use]
    pub fn with_server(mut self, host: &str, port: u16) -> Self {
        let fits = !host.is_empty() && host.bytes().all(|octet| octet.is_ascii_graphic());
        self.server = fits.then(|| (host.to_owned(), port));
        self
    }
}

/// What is lent to a server's exchange. By default nothing, which suffices for PLAIN, LOGIN, OAUTHBEARER, XOAUTH2 and ANONYMOUS.
#[derive(Debug, Clone, Default)]
pub struct ServerContext {
    pub(super) nonce: Option<Nonce>,
    pub(super) binding: Option<Binding>,
    pub(super) offers_binding: bool,
    pub(super) host: String,
    pub(super) certificate: Option<Vec<u8>>,
}

/// The value of tls-exporter.
#[derive(Clone, Copy)]
pub(super) struct Binding(pub(super) [u8; 32]);

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding(…)")
    }
}

impl ServerContext {
    /// The same with a nonce.
    #[must_use]
    pub fn with_nonce(mut self, nonce: Nonce) -> Self {
        self.nonce = Some(nonce);
        self
    }

    /// The same with the value of tls-exporter (RFC 9266), and whether a mechanism with a binding was offered on this connection.
    #[must_use]
    pub fn with_channel_binding(mut self, exporter: Option<[u8; 32]>, offered: bool) -> Self {
        self.binding = exporter.map(Binding);
        self.offers_binding = offered && exporter.is_some();
        self
    }

    /// The same with the server's own name, which stands in the challenge of CRAM-MD5.
    #[must_use]
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// The same with the certificate in DER that the client showed in the handshake, which was verified.
    #[must_use]
    pub fn with_certificate(mut self, der: Option<Vec<u8>>) -> Self {
        self.certificate = der;
        self
    }

    /// The value of tls-exporter, where the connection has one.
    pub fn exporter(&self) -> Option<&[u8; 32]> {
        self.binding.as_ref().map(|binding| &binding.0)
    }

    /// The server's own name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The certificate in DER that the client showed.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_is_given_back_and_secrets_are_not_shown() {
        let lent = ServerContext::default();
        assert_eq!((lent.exporter(), lent.certificate()), (None, None));
        let lent = lent
            .with_nonce(Nonce::new([7; 18]))
            .with_channel_binding(Some([9; 32]), true)
            .with_host("mx.example.org")
            .with_certificate(Some(vec![1, 2]));
        assert_eq!(lent.exporter(), Some(&[9; 32]));
        assert_eq!(lent.certificate(), Some(&[1, 2][..]));
        assert_eq!(lent.host(), "mx.example.org");
        let shown = format!("{lent:?}");
        assert!(
            shown.contains("Nonce(…)") && shown.contains("Binding(…)"),
            "{shown}"
        );
        let bindings = [
            ChannelBinding::Impossible,
            ChannelBinding::NotOffered,
            ChannelBinding::Exporter([9; 32]),
        ];
        assert_eq!(
            bindings.map(|binding| format!("{binding:?}")),
            ["Impossible", "NotOffered", "Exporter(…)"]
        );
    }

    #[test]
    fn a_host_that_cannot_stand_in_a_message_is_left_out() {
        for (host, kept) in [
            ("mx.example.org", true),
            ("", false),
            ("bücher.example", false),
        ] {
            let context = ClientContext::default().with_server(host, 25);
            let expected = kept.then(|| (host.to_owned(), 25));
            assert_eq!(context.server, expected);
        }
    }
}
