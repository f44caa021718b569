//! What a server shows of users that it does not have, so that nobody can find out who they are.

use std::hint::black_box;

use super::{LEAST_ITERATIONS, MOST_ITERATIONS, ScramHash, ScramKeys};
use crate::sasl::credentials::prepared_password;
use crate::sasl::prepare::Use;
use crate::sasl::{Found, InvalidScramKeys, Lookup, Secret, Wanted};

/// Makes the keys of users that are not there, and the salts of those whose password alone is kept.
///
/// The same name always gets the same salt as long as the secret is the same, so that asking twice tells nothing. And whatever was
/// found, the same number of passwords is salted, so that the time tells nothing either.
#[derive(Debug, Clone)]
pub struct Decoy {
    secret: Secret,
    /// In the order of [`ScramHash::ALL`].
    iterations: [u32; 2],
    derives: bool,
    /// The hash by which the passwords of nobody are derived.
    hash: ScramHash,
}

/// The octets of a salt that is made here. Stored ones should have as many.
const SALT: usize = 16;

impl Decoy {
    /// From a random secret, kept for as long as the server runs or longer. The iterations are 4096.
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret: Secret::new(secret),
            iterations: [LEAST_ITERATIONS; 2],
            derives: false,
            hash: ScramHash::Sha256,
        }
    }

    /// The same with other iterations for this hash: those that the keys of most users have.
    pub fn with_iterations(
        mut self,
        hash: ScramHash,
        iterations: u32,
    ) -> Result<Self, InvalidScramKeys> {
        if !(1..=MOST_ITERATIONS).contains(&iterations) {
            return Err(InvalidScramKeys::Iterations);
        }
        for (kind, kept) in ScramHash::ALL.into_iter().zip(&mut self.iterations) {
            if kind == hash {
                *kept = iterations;
            }
        }
        self.hash = hash;
        Ok(self)
    }

    fn iterations(&self, hash: ScramHash) -> u32 {
        let [sha256, sha1] = self.iterations;
        match hash {
            ScramHash::Sha256 => sha256,
            ScramHash::Sha1 => sha1,
        }
    }

    /// Does for nobody what [`ScramKeys::fits`] does for a user with keys. It never fits.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn fits_nobody(&self, username: &str, password: &Secret) -> bool {
        let salt = self.salt(self.hash, username);
        let keys = self.keys_of_nobody(self.hash, username, salt);
        black_box(keys.fits(password)) & false
    }

    /// The same, for a server that keeps passwords of some users, whose keys have to be derived each time: then as much is done
    /// for all others.
    #[must_use]
    pub fn with_derivation(mut self, derives: bool) -> Self {
        self.derives = derives;
        self
    }

    /// Does what takes long, for a driver that does it on a thread of its own: gives what was found with a password made to keys.
    /// To be supplied together with [`settled`](Self::settled), by which nothing is derived once more.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn settle(&self, found: Found, lookup: &Lookup) -> Found {
        let Wanted::Keys(hash) = lookup.wanted() else {
            return found;
        };
        match self.keys(found, hash, lookup.username()) {
            (keys, true) => Found::Keys(keys),
            (_, false) => Found::Nobody,
        }
    }

    /// The decoy for what was settled.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn settled(&self) -> Self {
        self.clone().with_derivation(false)
    }

    /// The salt of a user.
    fn salt(&self, hash: ScramHash, username: &str) -> Vec<u8> {
        let mut salt = self.value(hash, b"salt", username).expose().to_vec();
        salt.truncate(SALT);
        salt
    }

    /// The keys for what was found of `username`, and whether they are a user's.
    pub(in crate::sasl) fn keys(
        &self,
        found: Found,
        hash: ScramHash,
        username: &str,
    ) -> (ScramKeys, bool) {
        let found = match found {
            Found::Password(password) => match prepared_password(&password, Use::Stored) {
                Some(password) => {
                    let salt = self.salt(hash, username);
                    return (
                        ScramKeys::of(hash, &password, salt, self.iterations(hash)),
                        true,
                    );
                }
                None => None,
            },
            Found::Keys(keys) => Some(keys).filter(|keys| keys.hash() == hash),
            Found::Nobody => None,
        };
        let salt = self.salt(hash, username);
        if self.derives {
            black_box(hash.salted_password(b"", &salt, self.iterations(hash)));
        }
        match found {
            Some(keys) => (keys, true),
            None => (self.keys_of_nobody(hash, username, salt), false),
        }
    }

    fn keys_of_nobody(&self, hash: ScramHash, username: &str, salt: Vec<u8>) -> ScramKeys {
        ScramKeys::made_up(
            hash,
            salt,
            self.iterations(hash),
            self.value(hash, b"stored", username),
            self.value(hash, b"server", username),
        )
    }

    /// A value that nobody can foretell who does not have the secret.
    fn value(&self, hash: ScramHash, purpose: &[u8], username: &str) -> Secret {
        let kind = [hash.octets().to_le_bytes()[0]];
        hash.hmac(
            self.secret.expose(),
            &[purpose, b"\0", &kind, username.as_bytes()],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::scram::derivations;

    const HASH: ScramHash = ScramHash::Sha256;

    fn keys(password: &str) -> ScramKeys {
        ScramKeys::from_password(HASH, &Secret::new(password), [7; 16], 4096).unwrap()
    }

    #[test]
    fn iterations_are_those_of_one_hash_within_limits() {
        let decoy = Decoy::new([7; 32]);
        for iterations in [0, MOST_ITERATIONS + 1] {
            let refused = decoy.clone().with_iterations(ScramHash::Sha1, iterations);
            assert_eq!(refused.err(), Some(InvalidScramKeys::Iterations));
        }
        for iterations in [1, MOST_ITERATIONS] {
            let decoy = decoy.clone();
            let decoy = decoy.with_iterations(ScramHash::Sha1, iterations).unwrap();
            assert_eq!(decoy.iterations(ScramHash::Sha1), iterations);
            assert_eq!(decoy.iterations(ScramHash::Sha256), LEAST_ITERATIONS);
        }
    }

    #[test]
    fn for_nobody_as_much_is_done_as_for_a_user_with_keys() {
        let before = derivations();
        assert!(!Decoy::new([7; 32]).fits_nobody("tim", &Secret::new("pw")));
        assert_eq!(derivations(), before + 1);
    }

    #[test]
    fn s221_a_user_that_is_not_there_has_a_stable_salt_of_its_own() {
        let decoy = Decoy::new([1; 32]);
        let salt = |decoy: &Decoy, name| {
            let (keys, genuine) = decoy.keys(Found::Nobody, HASH, name);
            assert!(!genuine && keys.iterations() == 4096);
            keys.salt().to_vec()
        };
        assert_eq!(salt(&decoy, "tim"), salt(&decoy, "tim"));
        assert_ne!(salt(&decoy, "tim"), salt(&decoy, "kurt"));
        assert_ne!(salt(&decoy, "tim"), salt(&Decoy::new([2; 32]), "tim"));
        assert_eq!(salt(&decoy, "tim").len(), 16);
        // One whose password is kept has the salt that it would have if it were not there.
        let (known, genuine) = decoy.keys(Found::Password(Secret::new("pw")), HASH, "tim");
        assert!(genuine && known.fits(&Secret::new("pw")));
        assert_eq!(known.salt(), salt(&decoy, "tim"));
    }

    #[test]
    fn s221_nobody_costs_as_many_derivations_as_somebody() {
        let cost = |decoy: &Decoy, found| {
            let before = derivations();
            decoy.keys(found, HASH, "tim");
            derivations() - before
        };
        let decoy = Decoy::new([1; 32]);
        let stored = keys("pw");
        assert_eq!(cost(&decoy, Found::Keys(stored.clone())), 0);
        assert_eq!(cost(&decoy, Found::Nobody), 0);
        let decoy = decoy.with_derivation(true);
        assert_eq!(cost(&decoy, Found::Keys(stored)), 1);
        assert_eq!(cost(&decoy, Found::Password(Secret::new("pw"))), 1);
        assert_eq!(cost(&decoy, Found::Password(Secret::new("\t"))), 1);
        assert_eq!(cost(&decoy, Found::Nobody), 1);
    }

    #[test]
    fn keys_of_another_hash_are_nobodys() {
        let decoy = Decoy::new([1; 32]);
        let (made_up, genuine) = decoy.keys(Found::Keys(keys("pw")), ScramHash::Sha1, "tim");
        assert!(!genuine && made_up.hash() == ScramHash::Sha1);
    }
}
