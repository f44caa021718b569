//! A server that authenticates its client, with our own server's side of each mechanism.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailwire::sasl::{
    Decoy, Found, Mechanism, Nonce, SaslError, Secret, ServerContext, ServerExchange, Step,
};

/// One exchange.
pub(crate) struct Peer {
    exchange: ServerExchange,
    /// Whether the AUTH command was taken.
    begun: bool,
}

impl Peer {
    /// The exchange that an AUTH command begins. The error says what is amiss.
    pub(crate) fn begin(command: &[u8], exporter: Option<[u8; 32]>) -> Result<Self, String> {
        let text = String::from_utf8_lossy(command);
        let name = text.split(' ').nth(1).unwrap_or_default();
        let mechanism = Mechanism::from_name(name)
            .ok_or_else(|| format!("there is no mechanism in {text:?}"))?;
        let context = ServerContext::default()
            .with_nonce(Nonce::new([24; 18]))
            .with_channel_binding(exporter, true)
            .with_host("mx.inbox.example");
        let exchange =
            ServerExchange::new(mechanism, &context).map_err(|error| error.to_string())?;
        Ok(Self {
            exchange,
            begun: false,
        })
    }

    /// The reply to a line of the client's.
    pub(crate) fn reply(&mut self, line: &[u8], user: &str, password: &str) -> String {
        match self.step(line, user, password) {
            Ok(Some(challenge)) => format!("334 {}\r\n", STANDARD.encode(challenge.expose())),
            Ok(None) => "235 2.7.0 welcome\r\n".to_owned(),
            Err(_) => "535 5.7.8 no\r\n".to_owned(),
        }
    }

    /// The next challenge; `None` if the client has proven who it is.
    fn step(
        &mut self,
        line: &[u8],
        user: &str,
        password: &str,
    ) -> Result<Option<Secret>, SaslError> {
        let word = line.rsplit(|&b| b == b' ').next().unwrap_or_default();
        let decoded = || STANDARD.decode(word).map_err(|_| SaslError::NotBase64);
        let is_command = !std::mem::replace(&mut self.begun, true);
        let mut step = if is_command && line.split(|&b| b == b' ').count() < 3 {
            return self.exchange.first_challenge().map(Some);
        } else if is_command {
            self.exchange.initial_response(&decoded()?)?
        } else {
            self.exchange.step(&decoded()?)?
        };
        loop {
            step = match step {
                Step::Challenge(challenge) => return Ok(Some(challenge)),
                Step::Lookup(lookup) => {
                    let found = if lookup.username() == user {
                        Found::Password(Secret::new(password))
                    } else {
                        Found::Nobody
                    };
                    self.exchange.found(found, &Decoy::new([0; 32]))?
                }
                Step::Credentials(credentials)
                    if credentials.username() == user
                        && credentials.password().same_as(password.as_bytes()) =>
                {
                    return Ok(None);
                }
                Step::Credentials(_) => {
                    return Err(SaslError::Rejected("other credentials were wanted"));
                }
                Step::Proven(_) => return Ok(None),
            };
        }
    }
}
