//! How a client is set for a conversation, in the words of `with:`.

use std::net::SocketAddr;

use mailwire::client::Options;
use mailwire::proto::Protocol;
use mailwire::sasl::Credentials;
use mailwire::tls::{ClientTls, Pem, Roots};

use crate::template::{Failure, Names, expand};

/// How a client is set. Without words it calls itself `client.example` and speaks in clear, without logging in. A word is the name
/// of an option of mailwire's and its value, as `timeout=0.2`, or one of those below.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of its own, in any combination"
)]
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// Options by their names.
    pub options: Vec<(String, String)>,
    /// `lmtp`: LMTP instead of SMTP.
    pub lmtp: bool,
    /// `kept`: a client that keeps its connections, and opens them by itself.
    pub kept: bool,
    /// `unnamed`: the client is not told its own name.
    pub unnamed: bool,
    /// `user=name` and `password=text`: what it logs in with.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// `token=text`: it logs in with this token instead.
    pub token: Option<String>,
    /// `anonymous`: it logs in as nobody.
    pub anonymous: bool,
    /// `host=name`: what the server is called. By default 127.0.0.1.
    pub host: Option<String>,
}

impl Setting {
    /// Reads the words of `with:`, each of them a template.
    pub fn read(words: &[String], names: &Names) -> Result<Self, Failure> {
        let mut setting = Self::default();
        for word in words {
            let octets = expand(word, names)?;
            let word = String::from_utf8_lossy(&octets).into_owned();
            let (name, value) = word.split_once('=').unwrap_or((&word, ""));
            let value = value.to_owned();
            match name {
                "lmtp" => setting.lmtp = true,
                "kept" => setting.kept = true,
                "unnamed" => setting.unnamed = true,
                "user" => setting.user = Some(value),
                "password" => setting.password = Some(value),
                "token" => setting.token = Some(value),
                "anonymous" => setting.anonymous = true,
                "host" => setting.host = Some(value),
                _ => setting.options.push((name.to_owned(), value)),
            }
        }
        Ok(setting)
    }

    /// The value of an option, if it was given.
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut given = self.options.iter().rev();
        given
            .find(|option| option.0 == name)
            .map(|option| option.1.as_str())
    }

    /// Whether an option was given as `true`.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.option(name) == Some("true")
    }

    /// What the client logs in with, if it does. The error says why it cannot be.
    pub(super) fn credentials(&self) -> Result<Option<Credentials>, String> {
        let user = self.user.clone().unwrap_or_default();
        let made = match (&self.password, &self.token) {
            (Some(password), _) => Credentials::new(user, password.as_str()),
            (None, Some(token)) => Credentials::with_token(user, token.as_str()),
            (None, None) if self.anonymous => Credentials::anonymous(""),
            (None, None) => return Ok(None),
        };
        made.map(Some).map_err(|error| error.to_string())
    }

    /// The options of a client for the server at `address`, whose certificates `authority` has signed. The error is what the client
    /// says about them.
    pub(super) fn options(&self, address: SocketAddr, authority: &str) -> Result<Options, String> {
        let mut options = Options::new();
        let text = |error: mailwire::Error| error.to_string();
        let host = self.host.clone().unwrap_or(address.ip().to_string());
        options
            .set_server(&host, Some(address.port()))
            .map_err(text)?;
        if self.lmtp {
            options.set_protocol(Protocol::Lmtp);
        }
        if !self.unnamed {
            options.set_local_hostname("client.example").map_err(text)?;
        }
        let tls = self.option("tls").unwrap_or("none");
        options.set("tls", tls).map_err(text)?;
        if tls != "none" {
            let roots = Roots::Only(vec![Pem::bytes(authority)]);
            options.set_client_tls(ClientTls::new().with_roots(&roots).map_err(text)?);
        }
        for (name, value) in &self.options {
            options.set(name, value).map_err(text)?;
        }
        if let Some(credentials) = self.credentials()? {
            options.set_credentials(credentials);
        }
        Ok(options)
    }
}
