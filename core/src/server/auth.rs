//! Who may log in to a server, by which mechanisms, and which of them are offered.

use zeroize::Zeroizing;

use super::{Hooks, Options};
use crate::error::Error;
use crate::proto::server::OwnMechanism;
use crate::sasl::{
    Mechanism, ScramHash, ScramKeys, Secret, ServerContext, ServerMechanism, Wanted,
};

/// What is offered where nothing was named: CRAM-MD5 is too weak for that, and the others need an application that knows of them.
const USUAL: [Mechanism; 6] = [
    Mechanism::ScramSha256Plus,
    Mechanism::ScramSha1Plus,
    Mechanism::ScramSha256,
    Mechanism::ScramSha1,
    Mechanism::Plain,
    Mechanism::Login,
];

/// What a server should keep of a password instead of the password: keys for SCRAM, with a random salt of 16 octets. Takes as long as
/// the iterations do; RFC 7677 asks for 4096 at least, and each login costs the client as many. [`ScramKeys::to_text`] prints them for
/// a table or a file, [`Options::add_user_keys`] takes them.
///
/// Fails with [`Status::InvalidArgument`](crate::Status::InvalidArgument) if SASLprep (RFC 4013) forbids the password, or if no client
/// would do so many iterations.
///
/// ```
/// use mailwire::sasl::{ScramHash, Secret};
///
/// let keys = mailwire::server::scram_keys(ScramHash::Sha256, &Secret::new("hunter2"), 4096)?;
/// let mut options = mailwire::server::Options::new();
/// options.add_user_keys("tim", keys)?;
/// # Ok::<(), mailwire::Error>(())
/// ```
pub fn scram_keys(hash: ScramHash, password: &Secret, iterations: u32) -> Result<ScramKeys, Error> {
    let salt: [u8; 16] = crate::tls::random()?;
    ScramKeys::from_password(hash, password, salt, iterations)
        .map_err(|error| Error::invalid(format!("scram_keys: {error}")))
}

impl Options {
    /// Adds a user who may authenticate. AUTH is offered as soon as there is one. The answer is given without asking a hook. Name and
    /// password are compared as SASLprep has them (RFC 4013), and refused if it forbids them.
    pub fn add_user(&mut self, name: &str, password: Secret) -> Result<(), Error> {
        self.users.add(name, password)
    }

    /// The same for a user whose password is not known here, but what was derived of it for SCRAM. May be called once for each hash.
    /// Such a user can log in by SCRAM with these hashes, and by PLAIN and LOGIN at the price of deriving once more.
    pub fn add_user_keys(&mut self, name: &str, keys: ScramKeys) -> Result<(), Error> {
        self.users.add_keys(name, keys)
    }

    /// The only mechanisms that are offered, the preferred one first. Of these, those are that the users given here or the hooks
    /// can serve, and that the connection allows: [`Mechanism::needs_tls`] and [`Mechanism::is_bound_to_tls`] say what that takes.
    ///
    /// By default SCRAM, PLAIN and LOGIN are offered, each only if all users can use it. CRAM-MD5, OAUTHBEARER, XOAUTH2, EXTERNAL
    /// and ANONYMOUS have to be named; the last four are judged by the AUTH hook alone.
    pub fn set_mechanisms(&mut self, mechanisms: &[Mechanism]) -> Result<(), Error> {
        if mechanisms.is_empty() {
            return Err(Error::invalid("mechanisms: at least one is needed"));
        }
        self.mechanisms = Some(mechanisms.to_vec());
        Ok(())
    }

    /// Adds a mechanism of the application's own, offered under TLS; `begin` is called for each exchange. Failures of it lock out the
    /// client's address; to an account they count where the mechanism asks for its user, gives credentials to be judged, or has
    /// [`username`](ServerMechanism::username) tell whom it has judged.
    pub fn add_mechanism(
        &mut self,
        name: &str,
        begin: impl Fn(&ServerContext) -> Box<dyn ServerMechanism> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let own = OwnMechanism::new(name, begin).ok_or_else(|| {
            Error::invalid(format!(
                "mechanism {name:?}: a name has 1 to 20 capital letters, digits, - and _"
            ))
        })?;
        self.own_mechanisms.push(own);
        Ok(())
    }

    /// Whether AUTH is offered without TLS, so that passwords travel in clear, or can be tried against what was said.
    pub fn set_allow_plaintext_auth(&mut self, allow: bool) {
        self.allow_plaintext_auth = allow;
    }

    /// A secret of 32 random octets from which the salts of SCRAM are made for users who are not there, so that they look like those
    /// who are, whose salts never change. By default it is made of the private key of [`set_tls`](Self::set_tls), the first one where
    /// there are several, as it is when the server begins: servers with the same key make up the same salts, also after a stop and
    /// whoever their users are, and a new key changes them. Without a key it is random and lasts as long as the server.
    ///
    /// Salts that change tell who is not there. So set it where a certificate is renewed with another key, where servers with several
    /// keys stand for one another, or share a port, and where there is SCRAM without TLS. Keep it as you keep the users' keys.
    pub fn set_decoy_secret(&mut self, secret: [u8; 32]) {
        self.decoy_secret = Some(Secret::new(secret));
    }

    /// The same from 64 hexadecimal digits, of which no error repeats any.
    pub(super) fn set_decoy_secret_from_text(&mut self, digits: &str) -> Result<(), Error> {
        let octets = digits.as_bytes().chunks_exact(2);
        let secret: Zeroizing<Vec<u8>> = Zeroizing::new(octets.map_while(octet).collect());
        match <[u8; 32]>::try_from(&secret[..]) {
            Ok(secret) if digits.len() == 64 => self.set_decoy_secret(secret),
            _ => {
                return Err(Error::invalid(
                    "decoy_secret: 64 hexadecimal digits are wanted, which are 32 random octets",
                ));
            }
        }
        Ok(())
    }

    /// What the salts of users who are not there are made of.
    pub(super) fn secret_of_decoys(&self) -> Result<Zeroizing<[u8; 32]>, Error> {
        let set = self.decoy_secret.as_ref();
        if let Some(secret) = set.and_then(|secret| secret.expose().try_into().ok()) {
            return Ok(Zeroizing::new(secret));
        }
        match &self.tls {
            Some(tls) => Ok(tls.secret_of_key()),
            None => Ok(Zeroizing::new(crate::tls::random()?)),
        }
    }

    /// Whether anybody could log in.
    pub(super) fn has_auth(&self, hooks: Hooks) -> bool {
        !self.users.is_empty()
            || !self.own_mechanisms.is_empty()
            || hooks.has(Hooks::AUTH)
            || hooks.has(Hooks::LOOKUP)
    }

    /// The mechanisms that are offered where the connection allows them.
    pub(super) fn offered_mechanisms(&self, hooks: Hooks) -> Vec<Mechanism> {
        let named = self.mechanisms.as_deref();
        let mechanisms = named.unwrap_or(&USUAL).iter().copied();
        mechanisms
            .filter(|&mechanism| self.can_serve(mechanism, hooks, named.is_some()))
            .collect()
    }

    /// Whether the users of the table and those that the hooks know can use the mechanism: all of them, or for `some` it is enough
    /// that there are any.
    fn can_serve(&self, mechanism: Mechanism, hooks: Hooks, some: bool) -> bool {
        let (asks, looks_up) = (hooks.has(Hooks::AUTH), hooks.has(Hooks::LOOKUP));
        let wanted = match (mechanism, mechanism.scram_hash()) {
            (_, Some(hash)) => Wanted::Keys(hash),
            (Mechanism::CramMd5, _) => Wanted::Password,
            (Mechanism::Plain | Mechanism::Login, _) => {
                return asks || (!self.users.is_empty() && (some || !looks_up));
            }
            _ => return asks,
        };
        let table = !self.users.is_empty();
        let in_table = self.users.have(wanted, some);
        if some {
            in_table || looks_up
        } else {
            (table || looks_up) && (!table || in_table) && (looks_up || !asks)
        }
    }
}

/// An octet from two hexadecimal digits.
fn octet(digits: &[u8]) -> Option<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let [high, low] = *digits else {
        return None;
    };
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(options: &Options, hooks: Hooks) -> Vec<&'static str> {
        let offered = options.offered_mechanisms(hooks);
        offered.into_iter().map(Mechanism::name).collect()
    }

    fn keys() -> ScramKeys {
        ScramKeys::from_password(ScramHash::Sha256, &Secret::new("pw"), [1; 16], 10).unwrap()
    }

    const SCRAM: [&str; 4] = [
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-1-PLUS",
        "SCRAM-SHA-256",
        "SCRAM-SHA-1",
    ];

    #[test]
    fn s200_what_is_offered_by_itself_serves_every_user() {
        let mut options = Options::new();
        assert_eq!(offered(&options, Hooks::NONE), [""; 0]);
        assert_eq!(offered(&options, Hooks::AUTH), ["PLAIN", "LOGIN"]);
        assert_eq!(offered(&options, Hooks::LOOKUP), SCRAM);
        let both = Hooks::AUTH.with(Hooks::LOOKUP);
        let all = [&SCRAM[..], &["PLAIN", "LOGIN"]].concat();
        assert_eq!(offered(&options, both), all);
        options.add_user("tim", Secret::new("pw")).unwrap();
        assert_eq!(offered(&options, Hooks::NONE), all);
        // Somebody whom only the hook knows could not use SCRAM.
        assert_eq!(offered(&options, Hooks::AUTH), ["PLAIN", "LOGIN"]);
        options.add_user_keys("kurt", keys()).unwrap();
        assert_eq!(
            offered(&options, Hooks::NONE),
            ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"]
        );
    }

    #[test]
    fn keys_that_are_made_have_a_salt_of_their_own() {
        let make = |password: &str| scram_keys(ScramHash::Sha1, &Secret::new(password), 10);
        let (one, other) = (make("pw").unwrap(), make("pw").unwrap());
        assert!(one.fits(&Secret::new("pw")) && one.salt().len() == 16);
        assert_ne!(one.salt(), other.salt());
        let refused = make("a\tb").unwrap_err();
        assert!(refused.message().contains("password"), "{refused}");
    }

    #[test]
    fn s219_what_is_named_is_offered_where_it_can_be_served() {
        let mut options = Options::new();
        options.set_mechanisms(&Mechanism::ALL).unwrap();
        options.add_user_keys("kurt", keys()).unwrap();
        let of_keys = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"];
        assert_eq!(offered(&options, Hooks::NONE), of_keys);
        options.add_user("tim", Secret::new("pw")).unwrap();
        assert!(offered(&options, Hooks::NONE).contains(&"CRAM-MD5"));
        let everything = Mechanism::ALL.map(Mechanism::name);
        assert_eq!(offered(&options, Hooks::AUTH), everything);
        // Named, and nobody could use it.
        let mut options = Options::new();
        options.set_allow_plaintext_auth(true);
        options.add_user_keys("kurt", keys()).unwrap();
        options.set_mechanisms(&[Mechanism::CramMd5]).unwrap();
        let refused = options.check(Hooks::NONE).unwrap_err();
        assert!(refused.message().starts_with("mechanisms"), "{refused}");
        assert!(options.check(Hooks::LOOKUP).is_ok());
    }
}
