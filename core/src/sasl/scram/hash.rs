//! The functions that SCRAM is made of (RFC 5802 section 2.2), for each of its hashes.

use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::Sha256;

use crate::sasl::{Secret, digest};

/// The hash function of a SCRAM mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScramHash {
    /// SHA-1 (RFC 5802).
    Sha1,
    /// SHA-256 (RFC 7677).
    Sha256,
}

impl ScramHash {
    /// Both, the stronger first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha1];

    /// How many octets a hash has.
    pub fn octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// SaltedPassword := Hi(Normalize(password), salt, i). The one function here that takes long.
    pub(in crate::sasl) fn salted_password(
        self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
    ) -> Secret {
        #[cfg(test)]
        DERIVED.with_borrow_mut(|all| all.push((self, iterations)));
        let mut salted = Secret::new(vec![0; self.octets()]);
        let room = salted.expose_mut();
        match self {
            Self::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, iterations, room),
            Self::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, iterations, room),
        }
        salted
    }

    /// HMAC(key, all parts in a row).
    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Secret {
        match self {
            Self::Sha1 => digest::hmac::<Sha1>(key, parts),
            Self::Sha256 => digest::hmac::<Sha256>(key, parts),
        }
    }

    /// H(octets).
    pub(super) fn hash(self, octets: &[u8]) -> Secret {
        match self {
            Self::Sha1 => digest::hash::<Sha1>(octets),
            Self::Sha256 => digest::hash::<Sha256>(octets),
        }
    }

    /// ClientKey := HMAC(SaltedPassword, "Client Key").
    pub(super) fn client_key(self, salted_password: &Secret) -> Secret {
        self.hmac(salted_password.expose(), &[b"Client Key"])
    }

    /// ServerKey := HMAC(SaltedPassword, "Server Key").
    pub(super) fn server_key(self, salted_password: &Secret) -> Secret {
        self.hmac(salted_password.expose(), &[b"Server Key"])
    }
}

/// ClientProof := ClientKey XOR ClientSignature, and back.
pub(super) fn xor(one: &Secret, other: &[u8]) -> Secret {
    let mut both = one.clone();
    for (octet, with) in both.expose_mut().iter_mut().zip(other) {
        *octet ^= with;
    }
    both
}

#[cfg(test)]
thread_local! {
    static DERIVED: std::cell::RefCell<Vec<(ScramHash, u32)>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// By which hash, and how often, this thread has salted each password so far.
#[cfg(test)]
pub(crate) fn derived() -> Vec<(ScramHash, u32)> {
    DERIVED.with_borrow(Clone::clone)
}

/// How many passwords that were.
#[cfg(test)]
pub(crate) fn derivations() -> usize {
    DERIVED.with_borrow(Vec::len)
}
