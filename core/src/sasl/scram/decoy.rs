//! What a server shows of users that it does not have, so that nobody can find out who they are.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

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
    /// What the keys of users look like, and how many users have keys that look so.
    looks: Arc<[(Looks, u32)]>,
    derives: bool,
}

/// What the keys of one user look like, in the order of [`ScramHash::ALL`].
type Looks = [Option<Look>; 2];

/// What everybody sees of a user's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Look {
    iterations: u32,
    /// The octets of the salt.
    salt: usize,
}

/// How keys look that are made here, where there are none to look at.
const USUAL: Look = Look {
    iterations: LEAST_ITERATIONS,
    salt: 16,
};

impl Decoy {
    /// From a random secret, kept for as long as the server runs or longer. The iterations are 4096, and a salt has 16 octets.
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret: Secret::new(secret),
            looks: [([Some(USUAL); 2], 1)].into(),
            derives: false,
        }
    }

    /// The same with keys that look like those of these users, which are all that have any, each with one for each hash at most: of a
    /// hundred names as many have so many iterations and so long a salt as of a hundred users, each name always the same as long as the
    /// users are. Else whoever looks different would be a user. With no users all stays as it is.
    #[must_use]
    pub fn with_looks_of<'a>(mut self, users: impl IntoIterator<Item = &'a [ScramKeys]>) -> Self {
        let mut all: BTreeMap<Looks, u32> = BTreeMap::new();
        for keys in users.into_iter().filter(|keys| !keys.is_empty()) {
            let look = |hash| {
                let keys = keys.iter().find(|keys| keys.hash() == hash)?;
                Some(Look {
                    iterations: keys.iterations(),
                    salt: keys.salt().len(),
                })
            };
            *all.entry(ScramHash::ALL.map(look)).or_default() += 1;
        }
        if !all.is_empty() {
            self.looks = all.into_iter().collect();
        }
        self
    }

    /// Keys that look like those of one of the users for whom this holds, drawn by the name for this purpose.
    fn looks(
        &self,
        purpose: &[u8],
        username: &str,
        holds: impl Fn(&Looks) -> bool,
    ) -> Option<Looks> {
        let drawn = self.value(ScramHash::Sha256, purpose, username);
        let drawn = drawn.expose().iter().take(4);
        let drawn = drawn.fold(0, |drawn: u64, octet| drawn << 8 | u64::from(*octet));
        let fitting = || self.looks.iter().filter(|(looks, _)| holds(looks));
        // A part of all users, so that, of few kinds of looks, few names look different when there is one more user.
        let all: u64 = fitting().map(|(_, users)| u64::from(*users)).sum();
        let mut left = (drawn * all) >> 32;
        for (looks, users) in fitting() {
            match left.checked_sub((*users).into()) {
                Some(behind) => left = behind,
                None => return Some(*looks),
            }
        }
        None
    }

    /// What the keys of nobody with this name look like: those of one user.
    fn looks_of_nobody(&self, username: &str) -> Looks {
        self.looks(b"look", username, |_| true)
            .unwrap_or([Some(USUAL); 2])
    }

    /// The same for keys of this hash. Where that user has none, they look like another one's, and like anybody's: a user who has none of
    /// this hash is shown such too.
    fn look(&self, hash: ScramHash, username: &str) -> Look {
        let place = place(hash);
        let other = || self.looks(b"other look", username, |looks| looks[place].is_some())?[place];
        let look = self.looks_of_nobody(username)[place];
        look.or_else(other).unwrap_or(USUAL)
    }

    /// The strongest keys of nobody with this name, to be tried where a user's would be. No password fits them.
    #[cfg_attr(
        not(feature = "io"),
        allow(dead_code, reason = "the server with I/O asks for it")
    )]
    pub(crate) fn strongest_of_nobody(&self, username: &str) -> ScramKeys {
        let mut looks = ScramHash::ALL
            .into_iter()
            .zip(self.looks_of_nobody(username));
        let strongest = looks.find_map(|(hash, look)| Some((hash, look?)));
        let (hash, look) = strongest.unwrap_or((ScramHash::Sha256, USUAL));
        self.keys_that_look(look, hash, username)
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
        let nobodys = self.keys_that_look(self.look(hash, username), hash, username);
        let genuine = found.is_some();
        let keys = found.unwrap_or(nobodys);
        // As often as everybody sees that it would be done for a password that is kept.
        if self.derives {
            black_box(hash.salted_password(b"", keys.salt(), keys.iterations()));
        }
        (keys, genuine)
    }

    fn keys_that_look(&self, look: Look, hash: ScramHash, username: &str) -> ScramKeys {
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
    use std::collections::HashMap;

    use super::*;
    use crate::sasl::scram::{derivations, derived};

    const HASH: ScramHash = ScramHash::Sha256;

    fn keys(password: &str) -> ScramKeys {
        ScramKeys::from_password(HASH, &Secret::new(password), [7; 16], 4096).unwrap()
    }

    fn keys_of(hash: ScramHash, iterations: u32, salt: usize) -> ScramKeys {
        let salt = vec![7; salt];
        ScramKeys::from_password(hash, &Secret::new("pw"), salt, iterations).unwrap()
    }

    fn decoy_like(users: &[Vec<ScramKeys>]) -> Decoy {
        Decoy::new([1; 32]).with_looks_of(users.iter().map(Vec::as_slice))
    }

    fn names() -> Vec<String> {
        (0..1000).map(|number| number.to_string()).collect()
    }

    /// How the keys of nobody look: their iterations, and the octets of their salt.
    fn looks(decoy: &Decoy, hash: ScramHash, username: &str) -> (u32, usize) {
        let (keys, _) = decoy.keys(Found::Nobody, hash, username);
        (keys.iterations(), keys.salt().len())
    }

    #[test]
    fn s221_nobody_looks_like_users_do_and_as_often() {
        let mut users = vec![vec![keys_of(HASH, 10, 16)]; 3];
        users.push(vec![keys_of(HASH, 20, 70)]);
        let decoy = decoy_like(&users);
        let names = names();
        let drawn: Vec<_> = names.iter().map(|name| looks(&decoy, HASH, name)).collect();
        let rare = drawn.iter().filter(|look| **look == (20, 70)).count();
        assert!((200..300).contains(&rare), "{rare}");
        assert!(drawn.iter().all(|look| [(10, 16), (20, 70)].contains(look)));
        // Each name always the same, and few another one when there is one more user.
        users.push(vec![keys_of(HASH, 10, 16)]);
        let more = decoy_like(&users);
        let changed = names
            .iter()
            .zip(&drawn)
            .filter(|(name, look)| looks(&more, HASH, name) != **look);
        assert!((1..100).contains(&changed.count()));
        // Those of another hash are none of these.
        assert_eq!(looks(&decoy, ScramHash::Sha1, "1"), (4096, 16));
        // One whose password is kept looks as it would if it were not there.
        for name in &names[..20] {
            let (known, _) = decoy.keys(Found::Password(Secret::new("pw")), HASH, name);
            let look = (known.iterations(), known.salt().len());
            assert_eq!(look, looks(&decoy, HASH, name));
        }
    }

    #[test]
    fn s221_nobody_looks_like_one_user_by_all_mechanisms() {
        let sha1 = ScramHash::Sha1;
        let decoy = decoy_like(&[
            vec![keys_of(HASH, 10, 16), keys_of(sha1, 20, 16)],
            vec![keys_of(HASH, 30, 16), keys_of(sha1, 40, 16)],
            vec![keys_of(sha1, 50, 16)],
        ]);
        let mut seen: HashMap<_, u32> = HashMap::new();
        let mut of_users = 0;
        for name in names() {
            let by_scram = [HASH, sha1].map(|hash| looks(&decoy, hash, &name).0);
            let strongest = decoy.strongest_of_nobody(&name);
            let look = (by_scram, strongest.hash(), strongest.iterations());
            *seen.entry(look).or_default() += 1;
            of_users += u32::from(by_scram[0] == 10);
        }
        // Whoever has none of a hash is shown those of somebody who has, each as often.
        let expected = [
            (([10, 20], HASH, 10), 300..367),
            (([30, 40], HASH, 30), 300..367),
            (([10, 50], sha1, 50), 140..194),
            (([30, 50], sha1, 50), 140..194),
        ];
        assert_eq!(seen.len(), expected.len(), "{seen:?}");
        for (look, often) in expected {
            assert!(often.contains(&seen[&look]), "{seen:?}");
        }
        // As it is with a user who has none of this hash, whatever its name is drawn to look like.
        assert!((467..533).contains(&of_users), "{of_users}");
    }

    #[test]
    fn who_has_no_keys_is_none_to_look_like() {
        let users: [&[ScramKeys]; 2] = [&[], &[keys_of(HASH, 10, 16)]];
        let decoy = Decoy::new([1; 32]).with_looks_of(users);
        for name in names() {
            assert_eq!(decoy.strongest_of_nobody(&name).iterations(), 10);
        }
    }

    #[test]
    fn s221_a_password_is_derived_as_often_as_whoever_asks_is_shown() {
        let users = [10, 3000].map(|iterations| vec![keys_of(HASH, iterations, 16)]);
        let decoy = decoy_like(&users).with_derivation(true);
        for name in ["1", "2", "3", "4", "5", "6", "7", "8"] {
            for found in [
                Found::Nobody,
                Found::Password(Secret::new("pw")),
                Found::Keys(users[0][0].clone()),
                Found::Keys(users[1][0].clone()),
            ] {
                let before = derived();
                let (shown, _) = decoy.keys(found, HASH, name);
                assert_eq!(derived()[before.len()..], [(HASH, shown.iterations())]);
            }
        }
    }

    #[test]
    fn no_password_fits_the_keys_of_nobody_and_as_much_is_done_to_find_out() {
        let before = derivations();
        let keys = Decoy::new([7; 32]).strongest_of_nobody("tim");
        assert!(!keys.fits(&Secret::new("pw")));
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
