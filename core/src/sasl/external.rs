//! EXTERNAL (RFC 4422 appendix A): the TLS handshake has shown who the client is; it says whom it wants to act as, or nothing.

use sha2::Sha256;

use super::exchange::{ClientMechanism, ServerMechanism, Step};
use super::names::prepared_identity;
use super::{Credentials, Mechanism, SaslError, Secret, ServerContext, digest};

/// The name that a certificate's owner has with EXTERNAL: `sha256:` and the hash of the certificate in DER, in lower-case digits.
pub fn fingerprint(certificate: &[u8]) -> String {
    let hash = digest::hash::<Sha256>(certificate);
    format!("sha256:{}", digest::hexadecimal(hash.expose()))
}

/// The client's side: one message, once.
pub(super) struct Client(Option<Secret>);

impl Client {
    pub(super) fn new(credentials: &Credentials) -> Self {
        let identity = credentials.authorization_identity().unwrap_or_default();
        Self(Some(Secret::new(identity)))
    }
}

impl ClientMechanism for Client {
    fn name(&self) -> &str {
        Mechanism::External.name()
    }

    fn initial_response(&mut self) -> Option<Secret> {
        self.0.take()
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, SaslError> {
        self.0.take().ok_or(SaslError::UnexpectedChallenge)
    }

    fn is_complete(&self) -> bool {
        self.0.is_none()
    }
}

/// The server's side: one message, once.
pub(super) struct Server(Option<String>);

impl Server {
    pub(super) fn new(context: &ServerContext) -> Result<Self, SaslError> {
        let certificate = context
            .certificate
            .as_ref()
            .ok_or(SaslError::Missing("a client certificate"))?;
        Ok(Self(Some(fingerprint(certificate))))
    }
}

impl ServerMechanism for Server {
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        let fingerprint = self.0.take().ok_or(SaslError::UnexpectedResponse)?;
        let identity = str::from_utf8(response)
            .map_err(|_| SaslError::Malformed("EXTERNAL takes UTF-8 only"))?;
        let mut credentials = Credentials::heard_certificate(fingerprint);
        if let Some(identity) = prepared_identity(Some(identity))? {
            credentials = credentials.with_authorization_identity(identity)?;
        }
        Ok(Step::Credentials(credentials))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Proof;

    fn heard(response: &[u8]) -> Result<Credentials, SaslError> {
        let context = ServerContext::default().with_certificate(Some(b"abc".to_vec()));
        Server::new(&context)?
            .step(response)
            .map(|step| match step {
                Step::Credentials(credentials) => credentials,
                step => panic!("{step:?}"),
            })
    }

    #[test]
    fn rfc_4422_appendix_a_5_examples() {
        let credentials = Credentials::with_certificate();
        let mut client = Client::new(&credentials);
        assert_eq!(client.initial_response().unwrap().expose(), b"");
        assert!(client.is_complete() && client.initial_response().is_none());
        let credentials = credentials
            .with_authorization_identity("fred@example.com")
            .unwrap();
        let mut client = Client::new(&credentials);
        assert_eq!(client.respond(b"").unwrap().expose(), b"fred@example.com");
        let got = heard(b"fred@example.com").unwrap();
        assert_eq!(got.authorization_identity(), Some("fred@example.com"));
        assert_eq!(got.proof(), Proof::Certificate);
        assert_eq!(
            got.username(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(heard(b"").unwrap().authorization_identity(), None);
    }

    #[test]
    fn s233_no_certificate_and_no_name_that_is_none() {
        assert_eq!(
            Server::new(&ServerContext::default()).err(),
            Some(SaslError::Missing("a client certificate"))
        );
        for response in [&b"a\0b"[..], b"\xff", b"a\r\nb", "\u{AD}".as_bytes()] {
            assert!(heard(response).is_err());
        }
    }
}
