//! One exchange, whatever its mechanism: the client's side and the server's, and how an application brings a mechanism of its own.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::mechanism::is_mechanism_name;
use super::{
    ClientContext, Credentials, Decoy, Identity, MAX_RESPONSE, Mechanism, SaslError, ScramHash,
    ScramKeys, Secret, ServerContext, anonymous, cram_md5, external, login, oauth, plain, scram,
};

/// The client's side of a mechanism.
///
/// An application's own is used by [`client::Options::add_mechanism`](crate::client::Options::add_mechanism).
pub trait ClientMechanism: Send + Sync {
    /// The name as it is written after AUTH.
    fn name(&self) -> &str;

    /// What may be sent along with the AUTH command. `None` if the server speaks first, or if the exchange has begun.
    fn initial_response(&mut self) -> Option<Secret> {
        None
    }

    /// The response to a challenge. An error cancels the exchange.
    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, SaslError>;

    /// Whether a success is to be believed: all was said, and all that the server had to prove was verified.
    fn is_complete(&self) -> bool;

    /// What the server has said about a failure, if the mechanism has a place for that.
    fn failure(&self) -> Option<&SaslError> {
        None
    }
}

/// The server's side of a mechanism.
///
/// An application's own is used by [`server::Options::add_mechanism`](crate::server::Options::add_mechanism). One that panics has
/// failed as if by [`SaslError::Unavailable`], and is dropped.
pub trait ServerMechanism: Send + Sync {
    /// What to send if the AUTH command came without an initial response. `None` if the client speaks first: then it is asked by
    /// an empty challenge.
    fn first_challenge(&mut self) -> Option<Secret> {
        None
    }

    /// Whether the AUTH command may have an initial response.
    fn takes_initial_response(&self) -> bool {
        true
    }

    /// Takes a response or the initial response. An error ends the exchange.
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError>;

    /// Takes what was found of the user that [`Step::Lookup`] has asked for. `decoy` makes up what was not.
    fn found(&mut self, found: Found, decoy: &Decoy) -> Result<Step, SaslError> {
        let _ = (found, decoy);
        Err(SaslError::UnexpectedResponse)
    }

    /// Whom the exchange is about, once the client has said so. `None`, as it is by default, if the mechanism does not tell.
    ///
    /// It is asked where the exchange ends with [`Step::Proven`], [`SaslError::Rejected`] or [`SaslError::Credentials`]. A server
    /// counts that end to the account of this user then, and tells the client nothing of it while the account is locked. So it is to
    /// be the same name whether the proof was right or wrong, and whether there is such a user or not.
    fn username(&self) -> Option<&str> {
        None
    }

    /// The credentials of [`Step::Credentials`] were refused for good: a last challenge to say so, if the mechanism has one. The
    /// client answers it, and then it is told.
    fn refused(&mut self) -> Option<Secret> {
        None
    }
}

/// What a server's side does after a response.
#[derive(Debug)]
pub enum Step {
    /// Send this challenge, and give the response to [`ServerExchange::step`].
    Challenge(Secret),
    /// Look up what is kept of a user, and give it to [`ServerExchange::found`].
    Lookup(Lookup),
    /// The exchange is over and this is what the client said. It was not verified.
    Credentials(Credentials),
    /// The exchange is over and the client has proven to be this user. What it may do was not looked at.
    Proven(Identity),
}

/// What a mechanism has to know about a user in the middle of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    wanted: Wanted,
    identity: Identity,
}

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wanted {
    /// The keys for SCRAM with this hash, or the password, from which they can be derived.
    Keys(ScramHash),
    /// The password, for CRAM-MD5.
    Password,
}

/// What was found of a user.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Found {
    /// The password.
    Password(Secret),
    /// The keys for SCRAM.
    Keys(ScramKeys),
    /// There is no such user, or nothing of the wanted kind. The exchange goes on as if there were, and fails at its end.
    Nobody,
}

impl Lookup {
    /// Asks for something of a user.
    pub fn new(
        wanted: Wanted,
        username: impl Into<String>,
        authorization_identity: Option<String>,
    ) -> Self {
        Self {
            wanted,
            identity: Identity::new(username, authorization_identity),
        }
    }

    /// What is wanted.
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// The user, prepared by SASLprep.
    pub fn username(&self) -> &str {
        self.identity.username()
    }

    /// Whom the user asks to act as, if it said so.
    pub fn authorization_identity(&self) -> Option<&str> {
        self.identity.authorization_identity()
    }

    /// Both names.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// The client's side of one exchange.
///
/// It says what the mechanism has to say and no more: a server that goes on asking gets an error, so an exchange ends after a
/// handful of steps.
pub struct ClientExchange(Box<dyn ClientMechanism>);

impl ClientExchange {
    /// An exchange that has not begun. The password is copied, and overwritten with the exchange. Fails if the credentials or the
    /// context lack what the mechanism needs.
    pub fn new(
        mechanism: Mechanism,
        credentials: &Credentials,
        context: &ClientContext,
    ) -> Result<Self, SaslError> {
        mechanism.check(credentials)?;
        Ok(Self(match (mechanism, mechanism.scram_hash()) {
            (_, Some(hash)) => Box::new(scram::Client::new(mechanism, hash, credentials, context)?),
            (Mechanism::CramMd5, _) => Box::new(cram_md5::Client::new(credentials)),
            (Mechanism::OauthBearer | Mechanism::Xoauth2, _) => {
                Box::new(oauth::Client::new(mechanism, credentials, context))
            }
            (Mechanism::External, _) => Box::new(external::Client::new(credentials)),
            (Mechanism::Anonymous, _) => Box::new(anonymous::Client::new(credentials)),
            (Mechanism::Login, _) => Box::new(login::Client::new(credentials)),
            _ => Box::new(plain::Client::new(credentials)),
        }))
    }

    /// An exchange of an application's own mechanism. `None` if its name cannot be one: 1 to 20 capital letters, digits, hyphens
    /// and underscores (RFC 4422 section 3.1).
    pub fn own(mechanism: Box<dyn ClientMechanism>) -> Option<Self> {
        is_mechanism_name(mechanism.name()).then_some(Self(mechanism))
    }

    /// The name of the mechanism this exchange follows.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// What may be sent along with the AUTH command, before it is base64. `None` if the server speaks first in this mechanism,
    /// or if the exchange has begun.
    ///
    /// Taking it is optional: where it would make the command too long (RFC 4954 section 4), it is given instead to the empty
    /// challenge by which the server asks for it.
    pub fn initial_response(&mut self) -> Option<Secret> {
        self.0.initial_response()
    }

    /// The response to a challenge, both without their base64. After an error the exchange is to be cancelled with `*`.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        self.0.respond(challenge)
    }

    /// Whether a success is to be believed: the client has said all, and the server has proven what it has to.
    pub fn is_complete(&self) -> bool {
        self.0.is_complete()
    }

    /// What the server has said about a failure inside of the exchange, as OAUTHBEARER has it.
    pub fn failure(&self) -> Option<&SaslError> {
        self.0.failure()
    }
}

impl fmt::Debug for ClientExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientExchange({})", self.name())
    }
}

/// The server's side of one exchange.
pub struct ServerExchange(Box<Inner>);

/// In a box, for a session that waits is to have little room for it.
struct Inner {
    /// `None` once it has panicked.
    mechanism: Option<Box<dyn ServerMechanism>>,
    /// Whether it is an application's own, which may panic.
    own: bool,
}

impl ServerExchange {
    /// An exchange that has not begun. Fails if the context lacks what the mechanism needs.
    pub fn new(mechanism: Mechanism, context: &ServerContext) -> Result<Self, SaslError> {
        let mechanism: Box<dyn ServerMechanism> = match (mechanism, mechanism.scram_hash()) {
            (_, Some(hash)) => Box::new(scram::Server::new(mechanism, hash, context)?),
            (Mechanism::CramMd5, _) => Box::new(cram_md5::Server::new(context)?),
            (Mechanism::OauthBearer | Mechanism::Xoauth2, _) => {
                Box::new(oauth::Server::new(mechanism))
            }
            (Mechanism::External, _) => Box::new(external::Server::new(context)?),
            (Mechanism::Anonymous, _) => Box::new(anonymous::Server::default()),
            (Mechanism::Login, _) => Box::new(login::Server::default()),
            _ => Box::new(plain::Server::default()),
        };
        Ok(Self(Box::new(Inner {
            mechanism: Some(mechanism),
            own: false,
        })))
    }

    /// An exchange of an application's own mechanism.
    pub fn own(mechanism: Box<dyn ServerMechanism>) -> Self {
        Self::begun_by(|| mechanism)
    }

    /// The same, of a mechanism that is still to be made.
    pub(crate) fn begun_by(begin: impl FnOnce() -> Box<dyn ServerMechanism>) -> Self {
        Self(Box::new(Inner {
            mechanism: catch_unwind(AssertUnwindSafe(begin)).ok(),
            own: true,
        }))
    }

    /// What to send if the AUTH command came without an initial response. An error ends the exchange.
    pub fn first_challenge(&mut self) -> Result<Secret, SaslError> {
        let challenge = self.0.call(|mechanism| mechanism.first_challenge())?;
        Ok(challenge.unwrap_or_else(|| Secret::new([])))
    }

    /// Takes the initial response of the AUTH command, without its base64. An error ends the exchange.
    pub fn initial_response(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if self
            .0
            .call(|mechanism| mechanism.takes_initial_response())?
        {
            self.step(response)
        } else {
            Err(SaslError::NoInitialResponse)
        }
    }

    /// Takes a response, without its base64. An error ends the exchange.
    pub fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if response.len() > MAX_RESPONSE {
            return Err(SaslError::TooLong);
        }
        self.0.call(|mechanism| mechanism.step(response))?
    }

    /// Takes what was found of the user that [`Step::Lookup`] has asked for. `decoy` makes up what was not, so that a user that is
    /// not there looks like one that is.
    pub fn found(&mut self, found: Found, decoy: &Decoy) -> Result<Step, SaslError> {
        self.0.call(|mechanism| mechanism.found(found, decoy))?
    }

    /// Whom the exchange is about, if it is of an application's own mechanism that tells.
    pub fn username(&mut self) -> Result<Option<String>, SaslError> {
        self.0
            .call(|mechanism| mechanism.username().map(ToOwned::to_owned))
    }

    /// The credentials of [`Step::Credentials`] were refused for good: a last challenge to say so, if the mechanism has one. The
    /// response to it means nothing.
    pub fn refused(&mut self) -> Option<Secret> {
        self.0.call(|mechanism| mechanism.refused()).ok().flatten()
    }
}

impl Inner {
    /// Calls the mechanism. One of the application's own that panics is gone, and nothing else is.
    fn call<T>(
        &mut self,
        call: impl FnOnce(&mut dyn ServerMechanism) -> T,
    ) -> Result<T, SaslError> {
        let mechanism = self.mechanism.as_mut().ok_or(SaslError::Unavailable)?;
        if !self.own {
            return Ok(call(mechanism.as_mut()));
        }
        let called = catch_unwind(AssertUnwindSafe(|| call(mechanism.as_mut())));
        called.map_err(|_| {
            self.give_up();
            SaslError::Unavailable
        })
    }

    /// Drops the mechanism, which may panic once more.
    fn give_up(&mut self) {
        let mechanism = self.mechanism.take();
        if self.own {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(mechanism)));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for ServerExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerExchange(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_is_shown_without_what_is_said_in_it() {
        let credentials = Credentials::new("tim", "tanstaaftanstaaf").unwrap();
        let client =
            ClientExchange::new(Mechanism::Plain, &credentials, &ClientContext::default()).unwrap();
        assert_eq!(format!("{client:?}"), "ClientExchange(PLAIN)");
        let server = ServerExchange::new(Mechanism::Plain, &ServerContext::default()).unwrap();
        assert_eq!(format!("{server:?}"), "ServerExchange(…)");
    }

    #[test]
    fn a_lookup_has_both_names() {
        for asked in [None, Some("root")] {
            let lookup = Lookup::new(Wanted::Password, "tim", asked.map(str::to_owned));
            assert_eq!(lookup.username(), "tim");
            assert_eq!(lookup.authorization_identity(), asked);
            assert_eq!(lookup.identity().authorization_identity(), asked);
        }
    }
}
