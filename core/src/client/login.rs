//! How a client logs in: its credentials, where tokens come from, and which mechanisms it may use.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::Options;
use crate::error::Error;
use crate::proto::client::Connection as Machine;
use crate::sasl::{ClientExchange, ClientMechanism, Credentials, Mechanism, Proof, Secret};

/// What a client logs in with, and how.
#[derive(Debug, Clone, Default)]
pub(super) struct Login {
    pub(super) source: Option<Source>,
    /// The only mechanisms to use, if they were named.
    pub(super) mechanisms: Option<Vec<Mechanism>>,
    /// The application's own.
    pub(super) own: Vec<OwnMechanism>,
}

/// Where the credentials come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Known(Credentials),
    Tokens(Tokens),
}

/// Where tokens come from.
#[derive(Clone)]
pub(super) struct Tokens {
    username: String,
    fetch: Arc<Fetch>,
}

type Fetch = dyn Fn(TokenRequest) -> Fetching + Send + Sync;
type Fetching = Pin<Box<dyn Future<Output = Result<Secret, Failure>> + Send>>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// For what a token is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRequest {
    /// Whether the server has just refused the token that was given before, so that a new one is needed. Asked once in each login.
    pub refused: bool,
}

/// A mechanism that the application brings along.
#[derive(Clone)]
pub(super) struct OwnMechanism {
    pub(super) name: String,
    begin: Arc<dyn Fn() -> Box<dyn ClientMechanism> + Send + Sync>,
}

impl Options {
    /// Log in with these. They leave only under TLS unless [`Options::set_allow_plaintext_auth`] says otherwise.
    pub fn set_credentials(&mut self, credentials: Credentials) {
        self.login.source = Some(Source::Known(credentials));
    }

    /// Log in as `username` with tokens of OAuth 2.0 that `fetch` gives, by OAUTHBEARER or XOAUTH2. It is asked at each login, and
    /// once more if the server answers 535: a token that is still good should be given again until then. Waiting for it counts as
    /// a part of the login's time. What blocks a thread has no place in it under the async client.
    ///
    /// ```
    /// use std::future::ready;
    /// use mailwire::client::{Options, TokenRequest};
    /// use mailwire::sasl::Secret;
    ///
    /// let mut options = Options::new();
    /// options.set_token_source("me@example.org", |_: TokenRequest| ready(Ok(Secret::new("ya29.token"))))?;
    /// # Ok::<(), mailwire::Error>(())
    /// ```
    pub fn set_token_source<F, T>(&mut self, username: &str, fetch: F) -> Result<(), Error>
    where
        F: Fn(TokenRequest) -> T + Send + Sync + 'static,
        T: Future<Output = Result<Secret, Box<dyn std::error::Error + Send + Sync>>>
            + Send
            + 'static,
    {
        // What could not stand in the message is refused now, and not at the first login.
        Credentials::with_token(username, "token")
            .map_err(|error| Error::invalid(format!("token user: {error}")))?;
        self.login.source = Some(Source::Tokens(Tokens {
            username: username.to_owned(),
            fetch: Arc::new(move |request| Box::pin(fetch(request))),
        }));
        Ok(())
    }

    /// Use this mechanism and no other. By default the strongest that server, TLS and credentials allow:
    /// [`Mechanism::ALL`] has their order.
    pub fn set_mechanism(&mut self, mechanism: Option<Mechanism>) {
        self.login.mechanisms = mechanism.map(|mechanism| vec![mechanism]);
    }

    /// Use these mechanisms and no others, the strongest of them that can be used. Without a -PLUS one, the exchange is not bound to
    /// TLS.
    pub fn set_mechanisms(&mut self, mechanisms: &[Mechanism]) -> Result<(), Error> {
        if mechanisms.is_empty() {
            return Err(Error::invalid("auth: at least one mechanism is needed"));
        }
        self.login.mechanisms = Some(mechanisms.to_vec());
        Ok(())
    }

    /// Adds a mechanism of the application's own, which is used before all others where the server offers it by this name. `begin`
    /// is called for each login, and must give a mechanism of that name. It needs no credentials, and is used only under TLS unless
    /// [`Options::set_allow_plaintext_auth`] says otherwise.
    pub fn add_mechanism(
        &mut self,
        name: &str,
        begin: impl Fn() -> Box<dyn ClientMechanism> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let own = OwnMechanism {
            name: name.to_owned(),
            begin: Arc::new(begin),
        };
        if !crate::sasl::is_mechanism_name(name) {
            return Err(Error::invalid(format!(
                "mechanism {name:?}: a name has 1 to 20 capital letters, digits, - and _"
            )));
        }
        self.login.own.push(own);
        Ok(())
    }
}

impl Options {
    /// Tells the machine what it must not show, should the server say it back. Tokens are told when there are some.
    pub(super) fn conceal_secrets(&self, machine: &mut Machine) {
        if let Some(Source::Known(credentials)) = &self.login.source {
            machine.conceal(credentials.password());
        }
        if let Some(password) = self.proxy_password() {
            machine.conceal(&Secret::new(password));
        }
    }
}

impl Login {
    /// Whether there is something to log in with.
    pub(super) fn is_wanted(&self) -> bool {
        self.source.is_some() || !self.own.is_empty()
    }

    /// What stands behind the user name; `None` with a mechanism of the application's own alone.
    pub(super) fn proof(&self) -> Option<Proof> {
        match self.source.as_ref()? {
            Source::Known(credentials) => Some(credentials.proof()),
            Source::Tokens(_) => Some(Proof::Token),
        }
    }

    /// Whether it is with a password, by whatever mechanism the server has.
    pub(super) fn is_plain_password(&self) -> bool {
        self.proof() == Some(Proof::Password) && self.mechanisms.is_none() && self.own.is_empty()
    }

    /// Whether logging in shows something that only TLS keeps from others.
    pub(super) fn needs_tls(&self) -> bool {
        let anonymous = self.proof() == Some(Proof::Nothing);
        !self.own.is_empty() || (self.source.is_some() && !anonymous)
    }

    /// Whether a certificate of the client's is what it logs in with.
    pub(super) fn needs_certificate(&self) -> bool {
        self.proof() == Some(Proof::Certificate)
    }

    /// Whether the caller lets this mechanism be used, and there is what it needs.
    pub(super) fn allows(&self, mechanism: Mechanism) -> bool {
        let named = self.mechanisms.as_ref();
        let fits = match &self.source {
            None => false,
            Some(Source::Known(credentials)) => mechanism.takes(credentials),
            Some(Source::Tokens(_)) => {
                matches!(mechanism, Mechanism::OauthBearer | Mechanism::Xoauth2)
            }
        };
        fits && named.is_none_or(|named| named.contains(&mechanism))
    }
}

impl Tokens {
    /// Fetches a token.
    pub(super) async fn fetch(&self, request: TokenRequest) -> Result<Credentials, Failure> {
        let token = (self.fetch)(request).await?;
        Ok(Credentials::with_token(self.username.as_str(), token)?)
    }
}

impl OwnMechanism {
    pub(super) fn begin(&self) -> Option<ClientExchange> {
        let exchange = ClientExchange::own((self.begin)());
        exchange.filter(|exchange| exchange.name() == self.name)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn allowed(options: &Options) -> Vec<Mechanism> {
        Mechanism::ALL
            .into_iter()
            .filter(|&mechanism| options.login.allows(mechanism))
            .collect()
    }

    #[test]
    fn c111_what_may_be_used_follows_from_credentials_and_list() {
        let mut options = Options::new();
        assert_eq!(allowed(&options), []);
        options.set_credentials(Credentials::new("u", "p").unwrap());
        assert_eq!(
            allowed(&options)
                .iter()
                .map(|m| m.name())
                .collect::<Vec<_>>(),
            [
                "SCRAM-SHA-256-PLUS",
                "SCRAM-SHA-1-PLUS",
                "SCRAM-SHA-256",
                "SCRAM-SHA-1",
                "CRAM-MD5",
                "PLAIN",
                "LOGIN"
            ]
        );
        options
            .set_mechanisms(&[Mechanism::Login, Mechanism::ScramSha1])
            .unwrap();
        assert_eq!(allowed(&options), [Mechanism::ScramSha1, Mechanism::Login]);
        options
            .set_token_source("u", |_| ready(Ok(Secret::new("t"))))
            .unwrap();
        assert_eq!(allowed(&options), []);
        options.set_mechanism(None);
        assert_eq!(
            allowed(&options),
            [Mechanism::OauthBearer, Mechanism::Xoauth2]
        );
        options.set_credentials(Credentials::with_certificate());
        assert_eq!(allowed(&options), [Mechanism::External]);
        options.set_credentials(Credentials::anonymous("").unwrap());
        assert_eq!(allowed(&options), [Mechanism::Anonymous]);
        assert!(options.login.is_wanted() && !options.login.needs_tls());
    }

    #[test]
    fn what_cannot_be_used_is_refused_at_once() {
        let mut options = Options::new();
        assert!(options.set_mechanisms(&[]).is_err());
        let refused = options.set_token_source("a\x01b", |_| ready(Ok(Secret::new("t"))));
        assert!(refused.unwrap_err().to_string().contains("user"));
        let never = || -> Box<dyn ClientMechanism> { panic!("never begun") };
        assert!(options.add_mechanism("x y", never).is_err());
        assert!(!options.login.is_wanted());
    }
}
