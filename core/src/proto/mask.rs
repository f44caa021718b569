//! Secrets that a peer may say back, and how they are kept out of what is kept of its words.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;

use super::reply::push_readable;
use crate::sasl::{Secret, base64};

/// What stands in place of a secret.
const HIDDEN: &str = "***";

/// A secret, or what is left of it in base64, that has fewer octets is not looked for: it stands in any text by chance.
const LEAST: usize = 4;

/// Secrets to look for, in clear and in base64.
#[derive(Default)]
pub(in crate::proto) struct Mask {
    /// The longest first, so that none is cut by a shorter one within it.
    needles: Vec<Secret>,
}

impl Mask {
    /// Hides these octets from now on: in clear, and in base64 wherever they stand in what was encoded.
    pub(in crate::proto) fn add(&mut self, secret: &[u8]) {
        // Room for all of it, as every octet may become `\xNN` and a string that grows leaves a copy behind.
        let mut clear = String::with_capacity(4 * secret.len());
        push_readable(&mut clear, secret);
        self.push(Secret::new(clear));
        for before in 0..3 {
            self.push(within_base64(secret, before));
        }
    }

    fn push(&mut self, needle: Secret) {
        let known = |other: &Secret| other.expose() == needle.expose();
        if needle.expose().len() < LEAST || self.needles.iter().any(known) {
            return;
        }
        let length = needle.expose().len();
        let at = self
            .needles
            .partition_point(|other| other.expose().len() >= length);
        self.needles.insert(at, needle);
    }

    /// The text with `***` in place of every secret.
    pub(in crate::proto) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for needle in self.needles.iter().map(Secret::expose) {
            let mut from = 0;
            // Most are longer than most texts, and looking for one begins with looking at it.
            while needle.len() <= text.len() - from
                && let Some(at) = memmem::find(&text.as_bytes()[from..], needle)
            {
                let at = from + at;
                text.to_mut().replace_range(at..at + needle.len(), HIDDEN);
                from = at + HIDDEN.len();
            }
        }
        text
    }
}

/// What base64 makes of these octets alone if so many others modulo 3 come before them.
fn within_base64(secret: &[u8], before: usize) -> Secret {
    let mut all = Vec::with_capacity(before + secret.len());
    all.resize(before, 0);
    all.extend_from_slice(secret);
    let all = Secret::new(all);
    // Six bits each: the first and the last may have a part of what stands around.
    let (first, end) = ((before * 8).div_ceil(6), all.expose().len() * 8 / 6);
    let coded = base64::encode(all.expose());
    Secret::new(coded.expose().get(first..end).unwrap_or_default())
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hiding(secrets: &[&[u8]]) -> Mask {
        let mut mask = Mask::default();
        for secret in secrets {
            mask.add(secret);
        }
        mask
    }

    #[test]
    fn a_secret_is_found_in_clear_and_in_base64_wherever_it_stands() {
        let mask = hiding(&[b"open sesame"]);
        assert_eq!(mask.hide("no open sesame, open sesame!"), "no ***, ***!");
        for before in ["", "a", "ab", "\0tim\0", "user=tim\x01auth="] {
            for after in ["", "y", "yz", "\x01\x01"] {
                let all = format!("{before}open sesame{after}");
                let coded = base64::encode(all.as_bytes());
                let coded = str::from_utf8(coded.expose()).unwrap();
                let hidden = mask.hide(coded);
                assert!(hidden.contains("***"), "{all:?}: {hidden}");
                // All but an edge of its first and last octet is gone.
                let alone = coded.len() - hidden.len() + 3;
                assert!(alone >= 11 * 8 / 6 - 1, "{all:?}: {hidden}");
            }
        }
    }

    #[test]
    fn the_longer_one_is_hidden_whole_and_a_second_time_is_none() {
        let mask = hiding(&[b"sesame", b"open sesame", b"sesame"]);
        assert_eq!(mask.hide("open sesame sesame"), "*** ***");
        assert_eq!(mask.needles.len(), 8);
    }

    #[test]
    fn what_is_not_text_is_found_as_it_is_shown() {
        let mask = hiding(&[b"p\x07w\xff1"]);
        let mut shown = String::new();
        push_readable(&mut shown, b"your p\x07w\xff1 is wrong");
        assert_eq!(mask.hide(&shown), "your *** is wrong");
    }

    #[test]
    fn what_is_too_short_is_not_looked_for() {
        let mask = hiding(&[b"", b"a", b"ok!"]);
        // Of three octets there is their whole base64.
        assert_eq!(mask.hide("ok! a b2sh"), "ok! a ***");
    }

    #[test]
    fn nothing_is_shown_or_copied_without_need() {
        let mask = hiding(&[b"hunter2!"]);
        assert!(matches!(mask.hide("nothing here"), Cow::Borrowed(_)));
        assert!(!format!("{mask:?}").contains("hunter2"));
    }
}
