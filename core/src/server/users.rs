//! The table of users that a server answers AUTH from by itself.

use std::collections::HashMap;
use std::fmt;

use crate::error::Error;
use crate::sasl::{
    Credentials, Decoy, Found, Lookup, Proof, ScramHash, ScramKeys, Secret, Use, Wanted,
    comparable_password, saslprep,
};

/// User names, prepared by SASLprep, and what is kept of their passwords.
#[derive(Clone, Default)]
pub(super) struct Users {
    kept: HashMap<String, Kept>,
    /// How many users have a password here, and how many have keys.
    passwords: usize,
    keys: usize,
}

#[derive(Clone)]
enum Kept {
    Password {
        /// As it was given, for CRAM-MD5.
        given: Secret,
        /// As it is compared.
        comparable: Secret,
    },
    /// At most one of each hash.
    Keys(Vec<ScramKeys>),
}

impl Users {
    pub(super) fn add(&mut self, name: &str, password: Secret) -> Result<(), Error> {
        // What SASL could never carry would never match.
        Credentials::new(name, password.expose())
            .map_err(|error| Error::invalid(format!("user: {error}")))?;
        let comparable = comparable_password(&password, Use::Stored).ok_or_else(|| {
            Error::invalid(
                "user: SASLprep (RFC 4013) forbids the password, so that no login would fit it",
            )
        })?;
        let kept = Kept::Password {
            given: password,
            comparable,
        };
        self.put(prepared(name)?, kept);
        Ok(())
    }

    pub(super) fn add_keys(&mut self, name: &str, keys: ScramKeys) -> Result<(), Error> {
        let name = prepared(name)?;
        let mut all = match self.kept.remove(&name) {
            Some(Kept::Keys(all)) => {
                self.keys -= 1;
                all
            }
            Some(Kept::Password { .. }) => {
                self.passwords -= 1;
                Vec::new()
            }
            None => Vec::new(),
        };
        all.retain(|other| other.hash() != keys.hash());
        all.push(keys);
        // The strongest first.
        all.sort_by_key(|keys| ScramHash::ALL.iter().position(|hash| *hash == keys.hash()));
        self.put(name, Kept::Keys(all));
        Ok(())
    }

    fn put(&mut self, name: String, kept: Kept) {
        let count = |kept: &Kept| match kept {
            Kept::Password { .. } => (1, 0),
            Kept::Keys(_) => (0, 1),
        };
        let new = count(&kept);
        let old = self.kept.insert(name, kept).as_ref().map_or((0, 0), count);
        self.passwords = self.passwords + new.0 - old.0;
        self.keys = self.keys + new.1 - old.1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.kept.contains_key(name)
    }

    /// Whether every user, or with `some` any of them, can be asked for this.
    pub(super) fn have(&self, wanted: Wanted, some: bool) -> bool {
        let mut users = self.kept.values();
        let has = |kept: &Kept| match (kept, wanted) {
            (Kept::Password { given, .. }, Wanted::Keys(_)) => {
                str::from_utf8(given.expose()).is_ok()
            }
            (Kept::Keys(keys), Wanted::Keys(hash)) => keys.iter().any(|keys| keys.hash() == hash),
            (Kept::Password { .. }, _) => true,
            (Kept::Keys(_), _) => false,
        };
        if some { users.any(has) } else { users.all(has) }
    }

    /// A decoy that is like these users: its keys look as theirs do, and as much is derived for nobody as for them. Of users that the
    /// application looks up, it may give passwords.
    pub(super) fn decoy(&self, secret: [u8; 32], looked_up: bool) -> Decoy {
        let keys = self.kept.values().filter_map(|kept| match kept {
            Kept::Password { .. } => None,
            Kept::Keys(keys) => Some(&keys[..]),
        });
        Decoy::new(secret)
            .with_looks_of(keys)
            .with_derivation(self.passwords > 0 || looked_up)
    }

    /// Whether a password is derived to find out if it is right.
    pub(super) fn derive(&self) -> bool {
        self.keys > 0
    }

    /// What is kept of the user that a mechanism asks about.
    pub(super) fn find(&self, lookup: &Lookup) -> Found {
        match (self.kept.get(lookup.username()), lookup.wanted()) {
            (Some(Kept::Password { given, .. }), _) => Found::Password(given.clone()),
            (Some(Kept::Keys(keys)), Wanted::Keys(hash)) => keys
                .iter()
                .find(|keys| keys.hash() == hash)
                .map_or(Found::Nobody, |keys| Found::Keys(keys.clone())),
            _ => Found::Nobody,
        }
    }

    /// Whether these credentials are right. Nobody acts as somebody else. The time that it takes tells neither whether the name is
    /// known nor how long its password is: what cannot be right is compared with itself, and where keys are kept, those of nobody are made
    /// and one password is derived for every name.
    pub(super) fn accept(&self, credentials: &Credentials, decoy: &Decoy) -> bool {
        let own = credentials
            .authorization_identity()
            .is_none_or(|identity| identity == credentials.username());
        if credentials.proof() != Proof::Password {
            return false;
        }
        let given = comparable_password(credentials.password(), Use::Query);
        let can_be_right = given.is_some();
        let given = given.unwrap_or_else(|| credentials.password().clone());
        let kept = self.kept.get(credentials.username());
        let password = match kept {
            Some(Kept::Password { comparable, .. }) => Some(comparable),
            _ => None,
        };
        let password = password.filter(|right| right.expose().len() == given.expose().len());
        // A copy, as reading the same octets twice would be quicker.
        let itself = Secret::new(given.expose());
        let same = password.unwrap_or(&itself).same_as(given.expose());
        let same = same & password.is_some();
        let fits = self.derive() && {
            let nobodys = decoy.strongest_of_nobody(credentials.username());
            let keys = match kept {
                Some(Kept::Keys(keys)) => keys.first(),
                _ => None,
            };
            keys.unwrap_or(&nobodys).fits(&given)
        };
        (same | fits) & own & can_be_right
    }
}

fn prepared(name: &str) -> Result<String, Error> {
    saslprep(name).ok_or_else(|| {
        Error::invalid("user: SASLprep (RFC 4013) forbids the name, or leaves nothing of it")
    })
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kept.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::sasl::derived;

    fn keys(hash: ScramHash, password: &str, iterations: u32) -> ScramKeys {
        ScramKeys::from_password(hash, &Secret::new(password), [1; 16], iterations).unwrap()
    }

    fn ask(users: &Users, name: &str, password: &str, identity: Option<&str>) -> bool {
        let mut credentials = Credentials::new(name, password).unwrap();
        if let Some(identity) = identity {
            credentials = credentials.with_authorization_identity(identity).unwrap();
        }
        users.accept(&credentials, &users.decoy([3; 32], false))
    }

    #[test]
    fn only_the_right_password_of_a_known_user_for_itself() {
        let mut of_passwords = Users::default();
        of_passwords.add("tim", Secret::new("right")).unwrap();
        let mut of_keys = Users::default();
        let sha1 = keys(ScramHash::Sha1, "right", 10);
        of_keys.add_keys("tim", sha1).unwrap();
        let mut of_both = of_keys.clone();
        of_both.add("kurt", Secret::new("other")).unwrap();
        for users in [of_passwords, of_keys, of_both] {
            let ask = |name, password, identity| ask(&users, name, password, identity);
            assert!(ask("tim", "right", None));
            assert!(ask("tim", "right", Some("tim")));
            assert!(!ask("tim", "right", Some("root")));
            assert!(!ask("tim", "wrong", None));
            assert!(!ask("tim", "righ", None));
            assert!(!ask("Tim", "right", None));
            assert!(!ask("nobody", "right", None));
            assert_eq!(ask("kurt", "other", None), users.knows("kurt"));
            assert!(!format!("{users:?}").contains("right"));
            let token = Credentials::with_token("tim", "right").unwrap();
            assert!(!users.accept(&token, &users.decoy([3; 32], false)));
        }
    }

    #[test]
    fn s221_every_name_costs_as_much() {
        let mut users = Users::default();
        users
            .add_keys("tim", keys(ScramHash::Sha1, "right", 10))
            .unwrap();
        let cost = |users: &Users, name: &str, password: &str| {
            let before = derived().len();
            ask(users, name, password, None);
            derived().split_off(before)
        };
        for _ in 0..2 {
            for (name, password) in [("tim", "right"), ("tim", "x"), ("nobody", "x")] {
                let once = [(ScramHash::Sha1, 10)];
                assert_eq!(cost(&users, name, password), once, "{name}");
                assert_eq!(cost(&users, name, "\t"), [], "{name}");
            }
            // And with one user whose password is kept.
            users.add("kurt", Secret::new("right")).unwrap();
            for password in ["right", "wrong"] {
                assert_eq!(cost(&users, "kurt", password), [(ScramHash::Sha1, 10)]);
            }
        }
        let mut users = Users::default();
        users.add("kurt", Secret::new("right")).unwrap();
        assert_eq!(cost(&users, "kurt", "right"), []);
        assert_eq!(cost(&users, "nobody", "right"), []);
    }

    #[test]
    fn s221_who_is_looked_up_by_the_application_costs_as_much_as_it_is_shown() {
        let users = Users::default();
        let decoy = users.decoy([3; 32], true);
        let hash = ScramHash::Sha256;
        let lookup = Lookup::new(Wanted::Keys(hash), "tim", None);
        for (found, iterations) in [
            (Found::Nobody, 4096),
            (Found::Password("right".into()), 4096),
            (Found::Keys(keys(hash, "right", 10)), 10),
        ] {
            let before = derived().len();
            let settled = decoy.settle(found, &lookup);
            assert!(!matches!(settled, Found::Password(_)));
            assert_eq!(derived().split_off(before), [(hash, iterations)]);
        }
        let lookup = Lookup::new(Wanted::Password, "tim", None);
        let found = decoy.settle(Found::Password("right".into()), &lookup);
        assert!(matches!(found, Found::Password(_)));
    }

    #[test]
    fn what_is_kept_decides_what_can_be_asked_for() {
        let mut users = Users::default();
        let wanted = [
            Wanted::Keys(ScramHash::Sha256),
            Wanted::Keys(ScramHash::Sha1),
            Wanted::Password,
        ];
        let have = |users: &Users, some| wanted.map(|wanted| users.have(wanted, some));
        users
            .add_keys("tim", keys(ScramHash::Sha256, "pw", 10))
            .unwrap();
        assert_eq!(have(&users, false), [true, false, false]);
        users.add("kurt", Secret::new("pw")).unwrap();
        assert_eq!(have(&users, false), [true, false, false]);
        assert_eq!(have(&users, true), [true, true, true]);
        users
            .add_keys("tim", keys(ScramHash::Sha1, "pw", 10))
            .unwrap();
        assert_eq!(have(&users, false), [true, true, false]);
        // What is no text can be a password of LOGIN only.
        users.add("tim", Secret::new(vec![0xff])).unwrap();
        assert_eq!(have(&users, false), [false, false, true]);
        let find = |name: &str, wanted| users.find(&Lookup::new(wanted, name, None));
        assert!(matches!(find("nobody", wanted[0]), Found::Nobody));
        assert!(matches!(find("kurt", wanted[0]), Found::Password(_)));
        assert!(matches!(find("kurt", wanted[2]), Found::Password(_)));
    }

    #[test]
    fn names_and_passwords_are_prepared() {
        let mut users = Users::default();
        users.add("\u{2168}", Secret::new("\u{AA}")).unwrap();
        assert!(users.knows("IX") && ask(&users, "IX", "a", None));
        assert!(ask(&users, "IX", "\u{AA}", None));
        assert!(users.add("\u{AD}", Secret::new("pw")).is_err());
        assert!(users.add("tim", Secret::new("\u{7}")).is_err());
        // What LOGIN carries besides text is compared octet by octet.
        users.add("tim", Secret::new(vec![b'p', 0xe4])).unwrap();
        let credentials = Credentials::new("tim", vec![b'p', 0xe4]).unwrap();
        assert!(users.accept(&credentials, &users.decoy([3; 32], false)));
    }

    #[test]
    fn a_name_that_is_not_known_takes_no_other_time() {
        let mut users = Users::default();
        users.add("tim", Secret::new("right")).unwrap();
        let decoy = users.decoy([3; 32], false);
        // As long as AUTH takes, so that what is done for each octet is seen.
        let password = "x".repeat(9000);
        let ask = |name: &str| {
            let credentials = Credentials::new(name, password.as_str()).unwrap();
            let quickest = (0..200).map(|_| {
                let begun = Instant::now();
                assert!(!users.accept(&credentials, &decoy));
                begun.elapsed()
            });
            quickest.min().unwrap()
        };
        let (known, unknown) = (ask("tim"), ask("nobody"));
        assert!(
            known * 3 > unknown && unknown * 3 > known,
            "{known:?} {unknown:?}"
        );
    }
}
