//! What a server shows of users that it does not have, so that nobody can find out who they are.

use std::collections::BTreeMap;
use std::hint::black_box;

use super::{LEAST_ITERATIONS, ScramHash, ScramKeys};
use crate::sasl::credentials::prepared_password;
use crate::sasl::prepare::Use;
use crate::sasl::{Found, Lookup, Secret, Wanted};

/// Makes the keys of users that are not there, and the salts of those whose password alone is kept.
///
/// The same name always gets the same salt as long as the secret is the same, so that asking twice tells nothing. And whatever was
/// found, the same number of passwords is salted, so that the time tells nothing either.
#[derive(Debug, Clone)]
pub struct Decoy {
    secret: Secret,
    /// What the keys of users look like, in the order of [`ScramHash::ALL`].
    looks: [Vec<Look>; 2],
    derives: bool,
    /// The hash by which the passwords of nobody are derived.
    hash: ScramHash,
}

/// What everybody sees of a user's keys, and how many users have keys that look so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    iterations: u32,
    /// The octets of the salt.
    salt: usize,
    users: u32,
}

/// How keys look that are made here, as long as there are none to look at.
const USUAL: Look = Look {
    iterations: LEAST_ITERATIONS,
    salt: 16,
    users: 1,
};

impl Decoy {
    /// From a random secret, kept for as long as the server runs or longer. The iterations are 4096, and a salt has 16 octets.
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret: Secret::new(secret),
            looks: [vec![USUAL], vec![USUAL]],
            derives: false,
            hash: ScramHash::Sha256,
        }
    }

    /// The same with keys that look like these, which are all that there are of this hash: of a hundred names as many have so many
    /// iterations and so long a salt as of a hundred users, each name always the same. Else whoever looks different would be a user. With
    /// none of this hash all stays as it is.
    #[must_use]
    pub fn with_looks_of<'a>(
        mut self,
        hash: ScramHash,
        keys: impl IntoIterator<Item = &'a ScramKeys>,
    ) -> Self {
        let mut users: BTreeMap<(u32, usize), u32> = BTreeMap::new();
        for keys in keys.into_iter().filter(|keys| keys.hash() == hash) {
            let look = (keys.iterations(), keys.salt().len());
            *users.entry(look).or_default() += 1;
        }
        if users.is_empty() {
            return self;
        }
        let looks = users.into_iter().map(|((iterations, salt), users)| Look {
            iterations,
            salt,
            users,
        });
        self.looks[place(hash)] = looks.collect();
        self.hash = hash;
        self
    }

    /// What the keys of this name look like.
    fn look(&self, hash: ScramHash, username: &str) -> Look {
        let looks = &self.looks[place(hash)];
        let drawn = self.value(hash, b"look", username);
        let drawn = drawn.expose().iter().take(4);
        let drawn = drawn.fold(0, |drawn: u64, octet| drawn << 8 | u64::from(*octet));
        // A part of all users, so that few names look different when there is one more of them.
        let all: u32 = looks.iter().map(|look| look.users).sum();
        let mut left = (drawn * u64::from(all)) >> 32;
        for look in looks {
            match left.checked_sub(look.users.into()) {
                Some(behind) => left = behind,
                None => return *look,
            }
        }
        // Never: what is left is below the sum of all.
        USUAL
    }

    /// Does for nobody what [`ScramKeys::fits`] does for a user with keys. It never fits.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn fits_nobody(&self, username: &str, password: &Secret) -> bool {
        let keys = self.keys_of_nobody(self.hash, username);
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

    /// The salt of a user, of so many octets.
    fn salt(&self, hash: ScramHash, username: &str, octets: usize) -> Vec<u8> {
        let mut salt = self.value(hash, b"salt", username).expose().to_vec();
        let mut more = 0_u64;
        while salt.len() < octets {
            more += 1;
            let purpose = [&b"salt"[..], &more.to_le_bytes()].concat();
            salt.extend(self.value(hash, &purpose, username).expose());
        }
        salt.truncate(octets);
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
                    let look = self.look(hash, username);
                    let salt = self.salt(hash, username, look.salt);
                    return (ScramKeys::of(hash, &password, salt, look.iterations), true);
                }
                None => None,
            },
            Found::Keys(keys) => Some(keys).filter(|keys| keys.hash() == hash),
            Found::Nobody => None,
        };
        let nobodys = self.keys_of_nobody(hash, username);
        if self.derives {
            black_box(hash.salted_password(b"", nobodys.salt(), nobodys.iterations()));
        }
        match found {
            Some(keys) => (keys, true),
            None => (nobodys, false),
        }
    }

    fn keys_of_nobody(&self, hash: ScramHash, username: &str) -> ScramKeys {
        let look = self.look(hash, username);
        ScramKeys::made_up(
            hash,
            self.salt(hash, username, look.salt),
            look.iterations,
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

/// Where a hash stands in [`ScramHash::ALL`].
fn place(hash: ScramHash) -> usize {
    match hash {
        ScramHash::Sha256 => 0,
        ScramHash::Sha1 => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::sasl::scram::derivations;

    const HASH: ScramHash = ScramHash::Sha256;

    fn keys(password: &str) -> ScramKeys {
        ScramKeys::from_password(HASH, &Secret::new(password), [7; 16], 4096).unwrap()
    }

    /// How the keys of nobody look: their iterations, and the octets of their salt.
    fn looks(decoy: &Decoy, hash: ScramHash, username: &str) -> (u32, usize) {
        let (keys, _) = decoy.keys(Found::Nobody, hash, username);
        (keys.iterations(), keys.salt().len())
    }

    #[test]
    fn s221_nobody_looks_like_users_do_and_as_often() {
        let keys = |iterations, salt: usize| {
            let salt = vec![7; salt];
            ScramKeys::from_password(HASH, &Secret::new("pw"), salt, iterations).unwrap()
        };
        let mut users = vec![keys(10, 16); 3];
        users.push(keys(20, 70));
        let decoy = Decoy::new([1; 32]).with_looks_of(HASH, &users);
        let names: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let drawn: Vec<_> = names.iter().map(|name| looks(&decoy, HASH, name)).collect();
        let rare = drawn.iter().filter(|look| **look == (20, 70)).count();
        assert!((200..300).contains(&rare), "{rare}");
        assert!(drawn.iter().all(|look| [(10, 16), (20, 70)].contains(look)));
        // Each name always the same, and few another one when there is one more user.
        users.push(keys(10, 16));
        let more = Decoy::new([1; 32]).with_looks_of(HASH, &users);
        let changed = names
            .iter()
            .zip(&drawn)
            .filter(|(name, look)| looks(&more, HASH, name) != **look);
        assert!((1..100).contains(&changed.count()));
        // Those of another hash are none of these.
        assert_eq!(looks(&decoy, ScramHash::Sha1, "1"), (4096, 16));
        let decoy = decoy.with_looks_of(ScramHash::Sha1, &users);
        assert_eq!(looks(&decoy, ScramHash::Sha1, "1"), (4096, 16));
        // One whose password is kept looks as it would if it were not there.
        for name in &names[..20] {
            let (known, _) = decoy.keys(Found::Password(Secret::new("pw")), HASH, name);
            let look = (known.iterations(), known.salt().len());
            assert_eq!(look, looks(&decoy, HASH, name));
        }
    }

    #[test]
    fn s221_a_password_is_derived_for_nobody_as_often_as_for_whoever_looks_so() {
        let users = [10, 3000].map(|iterations| {
            ScramKeys::from_password(HASH, &Secret::new("pw"), [7; 16], iterations).unwrap()
        });
        let decoy = Decoy::new([1; 32]).with_looks_of(HASH, &users);
        let mut costs = HashSet::new();
        for name in ["1", "2", "3", "4", "5", "6", "7", "8"] {
            let keys = decoy.keys_of_nobody(HASH, name);
            assert_eq!((keys.iterations(), 16), looks(&decoy, HASH, name));
            costs.insert(keys.iterations());
        }
        assert_eq!(costs, [10, 3000].into());
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
