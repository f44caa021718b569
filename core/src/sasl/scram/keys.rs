//! What a server keeps of a password for SCRAM (RFC 5802 section 3), so that it need not keep the password.

use std::fmt;

use super::{MOST_ITERATIONS, ScramHash};
use crate::sasl::credentials::prepared_password;
use crate::sasl::prepare::Use;
use crate::sasl::{InvalidCredentials, Secret};

/// StoredKey and ServerKey of a password, with the salt and the iterations that they were derived with.
///
/// Who has them can pass for the server, and can try passwords at leisure, but does not have the password. They are overwritten when
/// dropped and never printed.
///
/// ```
/// use mailwire::sasl::{ScramHash, ScramKeys, Secret};
///
/// // The salt is to be random, and another for each user.
/// let keys = ScramKeys::from_password(ScramHash::Sha256, &Secret::new("hunter2"), b"0123456789abcdef", 4096)?;
/// let again = ScramKeys::new(
///     keys.hash(),
///     keys.salt(),
///     keys.iterations(),
///     keys.stored_key().clone(),
///     keys.server_key().clone(),
/// )?;
/// assert!(again.fits(&Secret::new("hunter2")) && !again.fits(&Secret::new("hunter3")));
/// # Ok::<(), mailwire::sasl::InvalidScramKeys>(())
/// ```
#[derive(Clone)]
pub struct ScramKeys {
    hash: ScramHash,
    salt: Vec<u8>,
    iterations: u32,
    stored_key: Secret,
    server_key: Secret,
}

/// Why something cannot be the keys of a SCRAM user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScramKeys {
    /// The salt is empty, or longer than 1024 octets.
    #[error("the salt is empty or too long")]
    Salt,
    /// There are no iterations, or more than a client would do.
    #[error("the iterations are not between 1 and {MOST_ITERATIONS}")]
    Iterations,
    /// A key is not as long as the hash makes it.
    #[error("a key has not the length of the hash")]
    KeyLength,
    /// A text is not of the form that [`ScramKeys::to_text`] gives.
    #[error(
        "the form is SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, with salt and keys in base64"
    )]
    Text,
    /// The password cannot be one.
    #[error(transparent)]
    Password(#[from] InvalidCredentials),
}

/// The longest salt, in octets: it has to go on a line.
const LONGEST_SALT: usize = 1024;

impl ScramKeys {
    /// Keys that were derived before.
    pub fn new(
        hash: ScramHash,
        salt: impl Into<Vec<u8>>,
        iterations: u32,
        stored_key: Secret,
        server_key: Secret,
    ) -> Result<Self, InvalidScramKeys> {
        let salt = salt.into();
        check(&salt, iterations)?;
        if [&stored_key, &server_key]
            .iter()
            .any(|key| key.expose().len() != hash.octets())
        {
            return Err(InvalidScramKeys::KeyLength);
        }
        Ok(Self {
            hash,
            salt,
            iterations,
            stored_key,
            server_key,
        })
    }

    /// The keys of a password. `salt` is to be random, and another for each user, of 16 octets if there is no reason for others;
    /// this library knows no randomness here. Most clients refuse fewer iterations than 4096. Fails if SASLprep does not take the password for one that
    /// can be stored (RFC 4013).
    pub fn from_password(
        hash: ScramHash,
        password: &Secret,
        salt: impl Into<Vec<u8>>,
        iterations: u32,
    ) -> Result<Self, InvalidScramKeys> {
        let salt = salt.into();
        check(&salt, iterations)?;
        let password = prepared_password(password, Use::Stored)
            .ok_or(InvalidCredentials::UnpreparedPassword)?;
        Ok(Self::of(hash, &password, salt, iterations))
    }

    /// Keys of nobody, each as long as the hash.
    pub(super) fn made_up(
        hash: ScramHash,
        salt: Vec<u8>,
        iterations: u32,
        stored_key: Secret,
        server_key: Secret,
    ) -> Self {
        Self {
            hash,
            salt,
            iterations,
            stored_key,
            server_key,
        }
    }

    /// The keys of a password that was prepared.
    pub(super) fn of(hash: ScramHash, password: &Secret, salt: Vec<u8>, iterations: u32) -> Self {
        let salted = hash.salted_password(password.expose(), &salt, iterations);
        Self {
            hash,
            salt,
            iterations,
            stored_key: hash.hash(hash.client_key(&salted).expose()),
            server_key: hash.server_key(&salted),
        }
    }

    /// Whether they are of this password. Costs as much as deriving them.
    pub fn fits(&self, password: &Secret) -> bool {
        let Some(password) = prepared_password(password, Use::Query) else {
            return false;
        };
        let derived = Self::of(self.hash, &password, self.salt.clone(), self.iterations);
        derived.stored_key.same_as(self.stored_key.expose())
    }

    /// The hash function.
    pub fn hash(&self) -> ScramHash {
        self.hash
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// How many rounds the password was salted.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// StoredKey := H(ClientKey): against it the client's proof is checked.
    pub fn stored_key(&self) -> &Secret {
        &self.stored_key
    }

    /// ServerKey := HMAC(SaltedPassword, "Server Key"): with it the server proves that it knows the user.
    pub fn server_key(&self) -> &Secret {
        &self.server_key
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

fn check(salt: &[u8], iterations: u32) -> Result<(), InvalidScramKeys> {
    if !(1..=LONGEST_SALT).contains(&salt.len()) {
        Err(InvalidScramKeys::Salt)
    } else if !(1..=MOST_ITERATIONS).contains(&iterations) {
        Err(InvalidScramKeys::Iterations)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_be_ones_are_refused() {
        let make = |salt: &[u8], iterations, stored: usize, server: usize| {
            let key = |len| Secret::new(vec![1; len]);
            ScramKeys::new(
                ScramHash::Sha256,
                salt,
                iterations,
                key(stored),
                key(server),
            )
            .err()
        };
        assert_eq!(make(b"salt", 4096, 32, 32), None);
        assert_eq!(make(b"", 4096, 32, 32), Some(InvalidScramKeys::Salt));
        assert_eq!(make(&[0; 1025], 4096, 32, 32), Some(InvalidScramKeys::Salt));
        assert_eq!(make(b"salt", 0, 32, 32), Some(InvalidScramKeys::Iterations));
        assert_eq!(
            make(b"salt", MOST_ITERATIONS + 1, 32, 32),
            Some(InvalidScramKeys::Iterations)
        );
        assert_eq!(
            make(b"salt", 4096, 20, 32),
            Some(InvalidScramKeys::KeyLength)
        );
        assert_eq!(
            make(b"salt", 4096, 32, 33),
            Some(InvalidScramKeys::KeyLength)
        );
    }

    #[test]
    fn passwords_are_prepared_before_they_are_salted() {
        let of = |password: &str| {
            ScramKeys::from_password(ScramHash::Sha1, &Secret::new(password), *b"salt", 1)
        };
        // A Roman numeral, and the letters that it stands for.
        assert!(of("\u{2168}").unwrap().fits(&Secret::new("IX")));
        let refused = InvalidScramKeys::Password(InvalidCredentials::UnpreparedPassword);
        for password in ["", "a\tb", "\u{1F511}", "\u{AD}"] {
            assert_eq!(of(password).err(), Some(refused), "{password:?}");
        }
        assert!(!of("IX").unwrap().fits(&Secret::new("\t")));
        assert!(!of("IX").unwrap().fits(&Secret::new(vec![0xff])));
    }

    #[test]
    fn debug_shows_no_key() {
        let keys =
            ScramKeys::from_password(ScramHash::Sha1, &Secret::new("pw"), *b"salt", 1).unwrap();
        assert_eq!(
            format!("{keys:?}"),
            "ScramKeys { hash: Sha1, iterations: 1, .. }"
        );
    }
}
