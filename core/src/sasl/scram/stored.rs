//! The keys of a SCRAM user as text, as RFC 5803 has them and as PostgreSQL and others keep them.

use super::{InvalidScramKeys, ScramHash, ScramKeys};
use crate::sasl::{Secret, base64};

impl ScramHash {
    /// `SCRAM-SHA-256` or `SCRAM-SHA-1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// The hash of this name, in capitals; `None` for any other.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hash| hash.name() == name)
    }
}

impl ScramKeys {
    /// As text to be stored: `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`, with salt and keys in base64. It is ASCII, and as secret as
    /// the keys are.
    ///
    /// ```
    /// use mailwire::sasl::{ScramHash, ScramKeys, Secret};
    ///
    /// let keys = ScramKeys::from_password(ScramHash::Sha256, &Secret::new("hunter2"), b"0123456789abcdef", 4096)?;
    /// let text = keys.to_text();
    /// assert!(text.expose().starts_with(b"SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"));
    /// let again = ScramKeys::from_text(std::str::from_utf8(text.expose())?)?;
    /// assert!(again.fits(&Secret::new("hunter2")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn to_text(&self) -> Secret {
        Secret::concat(&[
            self.hash().name().as_bytes(),
            b"$",
            self.iterations().to_string().as_bytes(),
            b":",
            base64::encode(self.salt()).expose(),
            b"$",
            base64::encode(self.stored_key().expose()).expose(),
            b":",
            base64::encode(self.server_key().expose()).expose(),
        ])
    }

    /// The keys that were stored as such a text. The error repeats nothing of it.
    pub fn from_text(text: &str) -> Result<Self, InvalidScramKeys> {
        let (hash, rest) = text.split_once('$').ok_or(InvalidScramKeys::Text)?;
        let hash = ScramHash::from_name(hash).ok_or(InvalidScramKeys::Text)?;
        let (salting, keys) = rest.split_once('$').ok_or(InvalidScramKeys::Text)?;
        let (iterations, salt) = salting.split_once(':').ok_or(InvalidScramKeys::Text)?;
        let (stored, server) = keys.split_once(':').ok_or(InvalidScramKeys::Text)?;
        let digits = iterations.bytes().all(|b| b.is_ascii_digit());
        let iterations = digits.then(|| iterations.parse().ok()).flatten();
        let octets =
            |text: &str| base64::decode(text.as_bytes()).map_err(|_| InvalidScramKeys::Text);
        Self::new(
            hash,
            octets(salt)?.expose(),
            iterations.ok_or(InvalidScramKeys::Iterations)?,
            octets(stored)?,
            octets(server)?,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        for hash in ScramHash::ALL {
            let password = Secret::new("pencil");
            let keys = ScramKeys::from_password(hash, &password, [7; 16], 20).unwrap();
            let text = keys.to_text();
            let text = str::from_utf8(text.expose()).unwrap();
            assert!(text.starts_with(hash.name()), "{text}");
            let again = ScramKeys::from_text(text).unwrap();
            assert!(again.fits(&password) && again.to_text().same_as(text.as_bytes()));
        }
    }

    /// The user of RFC 7677 section 3, whose keys Python's hashlib made.
    #[test]
    fn keys_of_another_program_fit_their_password() {
        let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        let keys = ScramKeys::from_text(text).unwrap();
        assert!(keys.fits(&Secret::new("pencil")));
        assert!(!keys.fits(&Secret::new("pen")));
    }

    #[test]
    fn other_texts_are_no_keys() {
        let key = "A".repeat(43) + "=";
        let good = format!("SCRAM-SHA-256$4096:c2FsdA==${key}:{key}");
        assert!(ScramKeys::from_text(&good).is_ok());
        for (from, to) in [
            ("SCRAM-SHA-256", "SCRAM-SHA-512"),
            ("SCRAM-SHA-256", "scram-sha-256"),
            ("SCRAM-SHA-256", "SCRAM-SHA-1"),
            ("4096", "0"),
            ("4096", "+4096"),
            ("4096", ""),
            ("4096", "99999999999"),
            ("c2FsdA==", "c2FsdA"),
            ("c2FsdA==", ""),
            (":c2FsdA==", ""),
            ("=:A", "=A"),
            ("==$", "=="),
            ("=:", "=:\r\n"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(ScramKeys::from_text(&bad).is_err(), "{bad}");
        }
        assert!(ScramKeys::from_text(&format!("{good}\n")).is_err());
        assert!(ScramKeys::from_text("").is_err());
    }
}
