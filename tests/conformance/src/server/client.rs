//! A client that authenticates, with our own client's side of each mechanism.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mailwire::sasl::{
    ChannelBinding, ClientContext, ClientExchange, Credentials, Mechanism, Nonce,
};

use crate::reply::Reply;

/// One exchange.
pub(crate) struct Client(ClientExchange);

impl Client {
    /// `MECHANISM user password`, where the password may have spaces. The error says what is amiss.
    pub(crate) fn begin(text: &str, exporter: Option<[u8; 32]>) -> Result<Self, String> {
        let mut words = text.splitn(3, ' ');
        let mut word = || words.next().ok_or("three words were wanted");
        let (mechanism, user, secret) = (word()?, word()?, word()?);
        let mechanism = Mechanism::from_name(mechanism).ok_or("there is no such mechanism")?;
        let credentials = match mechanism {
            Mechanism::OauthBearer | Mechanism::Xoauth2 => Credentials::with_token(user, secret),
            Mechanism::Anonymous => Credentials::anonymous(user),
            _ => Credentials::new(user, secret),
        };
        let binding = match exporter {
            Some(value) if mechanism.is_bound_to_tls() => ChannelBinding::Exporter(value),
            _ => ChannelBinding::Impossible,
        };
        let context = ClientContext::default()
            .with_nonce(Nonce::new([42; 18]))
            .with_channel_binding(binding);
        let credentials = credentials.map_err(|error| error.to_string())?;
        ClientExchange::new(mechanism, &credentials, &context)
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// The AUTH command.
    pub(crate) fn command(&mut self) -> Vec<u8> {
        let initial = self
            .0
            .initial_response()
            .map(|octets| match octets.expose() {
                b"" => " =".to_owned(),
                octets => format!(" {}", STANDARD.encode(octets)),
            });
        let name = self.0.name();
        format!("AUTH {name}{}\r\n", initial.unwrap_or_default()).into_bytes()
    }

    /// The line that answers a challenge; a star where there is none.
    pub(crate) fn respond(&mut self, reply: &Reply) -> Vec<u8> {
        let text = reply.texts().next().unwrap_or_default();
        let response = STANDARD
            .decode(text)
            .ok()
            .and_then(|challenge| self.0.respond(&challenge).ok());
        match response {
            Some(response) => format!("{}\r\n", STANDARD.encode(response.expose())).into_bytes(),
            None => b"*\r\n".to_vec(),
        }
    }

    /// Whether the server's success may be believed.
    pub(crate) fn believes(&self) -> bool {
        self.0.is_complete()
    }
}
