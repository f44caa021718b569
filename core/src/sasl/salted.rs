//! The last SaltedPassword of a client (RFC 5802 section 3), so that a second connection to the same server does not spend the
//! thousands of rounds again.

use std::fmt;
use std::sync::Mutex;

use super::{ScramHash, Secret};

/// One SaltedPassword, and what it was derived with. The password is always the one of the credentials that hold this.
#[derive(Default)]
pub(super) struct Salted(Mutex<Option<Kept>>);

struct Kept {
    hash: ScramHash,
    salt: Vec<u8>,
    iterations: u32,
    password: Secret,
}

impl Salted {
    /// Whether the SaltedPassword for these is in memory.
    pub(super) fn has(&self, hash: ScramHash, salt: &[u8], iterations: u32) -> bool {
        self.kept(hash, salt, iterations).is_some()
    }

    /// Never waited for: were it locked when a process forks, the child would wait without end. Who finds it locked derives.
    fn kept(&self, hash: ScramHash, salt: &[u8], iterations: u32) -> Option<Secret> {
        let kept = self.0.try_lock().ok()?;
        let kept = kept.as_ref()?;
        let same = (kept.hash, &*kept.salt, kept.iterations) == (hash, salt, iterations);
        same.then(|| kept.password.clone())
    }

    /// The SaltedPassword for these, from memory or derived now.
    pub(super) fn password(
        &self,
        password: &Secret,
        hash: ScramHash,
        salt: &[u8],
        iterations: u32,
    ) -> Secret {
        if let Some(kept) = self.kept(hash, salt, iterations) {
            return kept;
        }
        let derived = hash.salted_password(password.expose(), salt, iterations);
        if let Ok(mut kept) = self.0.try_lock() {
            *kept = Some(Kept {
                hash,
                salt: salt.to_owned(),
                iterations,
                password: derived.clone(),
            });
        }
        derived
    }
}

impl fmt::Debug for Salted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salted(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::scram::derivations;

    #[test]
    fn the_same_salt_is_derived_once_and_another_anew() {
        let (salted, password) = (Salted::default(), Secret::new("pencil"));
        let derive = |hash, salt: &[u8], iterations| {
            let before = derivations();
            let derived = salted.password(&password, hash, salt, iterations);
            let afresh = hash.salted_password(b"pencil", salt, iterations);
            assert!(derived.same_as(afresh.expose()));
            derivations() - before - 1
        };
        assert!(!salted.has(ScramHash::Sha256, b"salt", 5));
        assert_eq!(derive(ScramHash::Sha256, b"salt", 5), 1);
        assert!(salted.has(ScramHash::Sha256, b"salt", 5));
        assert_eq!(format!("{salted:?}"), "Salted(…)");
        assert_eq!(derive(ScramHash::Sha256, b"salt", 5), 0);
        assert_eq!(derive(ScramHash::Sha256, b"salt", 6), 1);
        assert_eq!(derive(ScramHash::Sha256, b"tlas", 6), 1);
        assert_eq!(derive(ScramHash::Sha1, b"tlas", 6), 1);
        assert_eq!(derive(ScramHash::Sha1, b"tlas", 6), 0);
    }
}
