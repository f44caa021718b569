//! Domain names and address literals.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{InvalidAddress, check_characters};
use crate::proto::limits;

/// A domain name, or an address literal such as `[192.0.2.1]`.
///
/// It prints as it was given. Two are equal if they mean the same: case does not count, a name in letters outside ASCII
/// (U-labels) is the name in its A-labels (RFC 5890 section 2.3.2.1), and an IPv6 address is the same however it is shortened.
#[derive(Debug, Clone)]
pub struct Domain {
    text: Box<str>,
    /// The A-labels, where the text is not ASCII.
    a_labels: Option<Box<str>>,
}

impl Domain {
    /// The literal of an IP address: `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3).
    pub fn literal(address: IpAddr) -> Self {
        let text = match address {
            IpAddr::V4(v4) => format!("[{v4}]"),
            IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
        };
        Self {
            text: text.into(),
            a_labels: None,
        }
    }

    /// As given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In ASCII: as given, or in A-labels where it was given in letters outside ASCII.
    pub fn as_ascii(&self) -> &str {
        self.a_labels.as_deref().unwrap_or(&self.text)
    }

    /// Whether it is an address literal.
    pub fn is_literal(&self) -> bool {
        self.text.starts_with('[')
    }
}

impl FromStr for Domain {
    type Err = InvalidAddress;

    /// Parses a domain name or an address literal.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let a_labels = check(text)?;
        Ok(Self {
            text: text.into(),
            a_labels,
        })
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        canonical(self.as_ascii()) == canonical(other.as_ascii())
    }
}

impl Eq for Domain {}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        canonical(self.as_ascii()).hash(state);
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What all texts in ASCII of one domain have in common.
pub(super) fn canonical(ascii: &str) -> Cow<'_, str> {
    if let Some(address) = ipv6(ascii) {
        Cow::Owned(address.to_string())
    } else if ascii.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(ascii.to_ascii_lowercase())
    } else {
        Cow::Borrowed(ascii)
    }
}

/// The address of a literal such as `[IPv6:2001:db8::1]`, which is written in many ways; an IPv4 address is in one.
fn ipv6(ascii: &str) -> Option<Ipv6Addr> {
    let inside = ascii.strip_prefix('[')?.strip_suffix(']')?;
    let (tag, address) = inside.split_once(':')?;
    if tag.eq_ignore_ascii_case("IPv6") {
        address.parse().ok()
    } else {
        None
    }
}

/// Checks a domain name or an address literal, and gives the A-labels of a name that is not ASCII.
pub(super) fn check(text: &str) -> Result<Option<Box<str>>, InvalidAddress> {
    check_characters(text)?;
    if !text.is_ascii() {
        let ascii = idna::domain_to_ascii_strict(text)
            .map_err(|_| InvalidAddress::Domain("it is no internationalised domain name"))?;
        check_name(&ascii)?;
        check_u_labels(text, &ascii)?;
        return Ok(Some(ascii.into()));
    }
    match text.strip_prefix('[') {
        Some(rest) => check_literal(
            rest.strip_suffix(']')
                .ok_or(InvalidAddress::Domain("the ] is missing"))?,
        )?,
        None => check_name(text)?,
    }
    Ok(None)
}

fn check_name(name: &str) -> Result<(), InvalidAddress> {
    if name.is_empty() {
        return Err(InvalidAddress::Domain("it is empty"));
    }
    if name.len() > limits::DOMAIN {
        return Err(InvalidAddress::Domain("it is too long"));
    }
    if name.ends_with('.') {
        return Err(InvalidAddress::Domain(
            "the dot at its end has no place in SMTP: leave it out",
        ));
    }
    let mut internationalised = false;
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(InvalidAddress::Domain(
                "a label between the dots has 1 to 63 characters",
            ));
        }
        // The underscore is not in RFC 5321's grammar; container and intranet hosts have it, and it can do no harm.
        if !label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        {
            return Err(InvalidAddress::Domain(
                "it has letters, digits, hyphens and dots only",
            ));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(InvalidAddress::Domain(
                "a label does not begin or end with a hyphen",
            ));
        }
        internationalised |= label
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    }
    // RFC 5891 section 5.4: an A-label that stands for nothing is none.
    if internationalised && idna::domain_to_unicode(name).1.is_err() {
        return Err(InvalidAddress::Domain(
            "it is no internationalised domain name",
        ));
    }
    Ok(())
}

/// Refuses a name whose labels are not those of its A-labels, as RFC 6531 section 3.3 has it: only by case may they differ. With other
/// dots, wide letters or marks that stand alone it would be one name to whoever maps them, and another one to the others.
fn check_u_labels(text: &str, ascii: &str) -> Result<(), InvalidAddress> {
    let (mut given, mut a_labels) = (text.split('.'), ascii.split('.'));
    let is_same = |given: &str, a_label: &str| {
        if given.is_ascii() {
            given.eq_ignore_ascii_case(a_label)
        } else {
            let (u_label, valid) = idna::domain_to_unicode(a_label);
            // The signs of kelvin, angstrom and ohm, the theta of formulas and the I with a dot map to letters whose capital is another one.
            let stays = |c: char| {
                !matches!(
                    c,
                    '\u{212a}' | '\u{212b}' | '\u{2126}' | '\u{3f4}' | '\u{130}'
                )
            };
            // Of some letters, as those of the Cherokee, the A-label stands for the capital ones.
            let small = |text: &str| {
                text.chars()
                    .flat_map(char::to_lowercase)
                    .collect::<String>()
            };
            valid.is_ok() && given.chars().all(stays) && small(given) == small(&u_label)
        }
    };
    loop {
        match (given.next(), a_labels.next()) {
            (None, None) => return Ok(()),
            (Some(given), Some(a_label)) if is_same(given, a_label) => {}
            _ => {
                return Err(InvalidAddress::Domain(
                    "it is not written as it is registered: letters are composed and of usual width, and dots are full stops",
                ));
            }
        }
    }
}

/// The inside of `[…]` (RFC 5321 section 4.1.3).
fn check_literal(inside: &str) -> Result<(), InvalidAddress> {
    if inside.len() > limits::DOMAIN {
        return Err(InvalidAddress::Domain("it is too long"));
    }
    let valid = match inside.split_once(':') {
        None => inside.parse::<Ipv4Addr>().is_ok(),
        Some((tag, rest)) if tag.eq_ignore_ascii_case("IPv6") => rest.parse::<Ipv6Addr>().is_ok(),
        Some((tag, rest)) => {
            let plain = |b: u8| (33..=90).contains(&b) || (94..=126).contains(&b);
            check_name(tag).is_ok() && !rest.is_empty() && rest.bytes().all(plain)
        }
    };
    if valid {
        Ok(())
    } else {
        Err(InvalidAddress::Domain(
            "the brackets hold no address, such as [192.0.2.1]",
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().expect(text)
    }

    #[test]
    fn the_literal_of_an_address_parses() {
        for address in ["192.0.2.1", "2001:db8::1"] {
            let literal = Domain::literal(address.parse().unwrap());
            assert_eq!(literal.as_str().parse::<Domain>(), Ok(literal.clone()));
            assert!(literal.is_literal());
        }
    }

    #[test]
    fn literals_of_one_address_are_equal_and_print_as_they_were_given() {
        let literal = domain("[IPv6:2001:db8::1]");
        for same in [
            "[IPv6:2001:db8:0:0:0:0:0:1]",
            "[ipv6:2001:0DB8::0001]",
            "[IPv6:2001:db8::0.0.0.1]",
        ] {
            assert_eq!(literal, domain(same), "{same}");
            assert_eq!(domain(same).as_str(), same);
        }
        assert_eq!(domain("[x:Y]"), domain("[X:y]"));
        for (one, other) in [
            ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::2]"),
            ("[IPv6:::ffff:192.0.2.1]", "[192.0.2.1]"),
            ("[IPv6:::1]", "[x:::1]"),
            ("[x:::1]", "[x:0::1]"),
            ("[192.0.2.1]", "192.0.2.1"),
        ] {
            assert_ne!(domain(one), domain(other));
        }
    }

    #[test]
    fn s299_u_labels_and_a_labels_are_the_same_name() {
        let u_labels = domain("Bücher.example");
        assert_eq!(u_labels.as_str(), "Bücher.example");
        assert_eq!(u_labels.as_ascii(), "xn--bcher-kva.example");
        assert_eq!(u_labels, domain("XN--bcher-kva.EXAMPLE"));
        assert_ne!(u_labels, domain("bucher.example"));
    }

    #[test]
    fn s299_a_name_that_only_maps_to_its_u_labels_is_refused() {
        for text in [
            "\u{ff42}\u{fc}cher.example",
            "bu\u{308}cher.example",
            "b\u{fc}cher\u{3002}example",
            "b\u{fc}cher\u{ff0e}example",
            "b\u{fc}cher.\u{ff45}xample",
            "\u{2460}.example",
            "\u{212a}elvin.example",
            "\u{212a}\u{fc}che.example",
            "b\u{fc}cher.stra\u{fb00}e",
            "\u{212b}ngstr\u{f6}m.example",
            "\u{2126}.example",
            "\u{3f4}.example",
            "\u{130}stanbul.example",
        ] {
            let error = text.parse::<Domain>().unwrap_err();
            assert!(error.to_string().contains("as it is registered"), "{text}");
        }
        for text in [
            "B\u{dc}CHER.Example",
            "xn--BCHER-kva.b\u{fc}cher.example",
            "fa\u{df}.example",
            "\u{3b2}\u{3cc}\u{3bb}\u{3bf}\u{3c2}.example",
            "\u{4f8b}\u{5b50}.\u{6d4b}\u{8bd5}",
            "\u{2603}.example",
            "\u{c5}NGSTR\u{d6}M.example",
            "\u{3a9}.example",
            "\u{398}.example",
            // Capital letters of the Cherokee, and small ones.
            "\u{13a0}\u{13a1}.example",
            "\u{ab70}\u{ab71}.example",
        ] {
            domain(text);
        }
        assert_eq!(domain("\u{13a0}.example"), domain("\u{ab70}.example"));
    }

    #[test]
    fn s299_an_a_label_that_stands_for_nothing_is_refused() {
        for text in [
            "xn--",
            "xn--0",
            "a.xn--zzzzzzzz99999.example",
            "xn--a-ecp.ru",
            "XN--\u{fc}",
        ] {
            assert!(text.parse::<Domain>().is_err(), "{text}");
        }
        domain("under_score.xn--bcher-kva.example-x.a");
    }

    #[test]
    fn s097_s296_what_is_no_domain_is_refused() {
        for text in [
            "",
            ".",
            ".b",
            "b.",
            "b..c",
            "-b",
            "b-",
            "b c",
            "b!",
            "[",
            "[]",
            "[1.2.3]",
            "[1.2.3.4",
            "[300.1.1.1]",
            "[IPv6:1::2::3]",
            "[IPv6:1.2.3.4]",
            "[-x:y]",
            "[x:]",
            "[x:a b]",
            "[x:a\\b]",
            "a\u{200b}b",
            "a\u{202e}b",
            "a\u{2028}b",
            "a\u{85}b",
            "b\u{fc}.",
        ] {
            assert!(text.parse::<Domain>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn labels_names_and_literals_are_as_long_as_they_may_be_and_no_longer() {
        let fits = |text: String| text.parse::<Domain>().is_ok();
        let label = |len: usize| "a".repeat(len);
        assert!(fits(label(63)) && !fits(label(64)) && !fits(label(65)));
        let name =
            |last: usize| format!("{}.{}.{}.{}", label(63), label(63), label(63), label(last));
        // RFC 5321 section 4.5.3.1.2: 255 octets.
        assert!(fits(name(63)) && name(63).len() == 255);
        assert!(!fits(format!("{}.a", name(63))) && !fits(format!("{}.aa", name(62))));
        domain("[x-tag:!Z^~]");
        let literal = |len: usize| format!("[x:{}]", "y".repeat(len - 2));
        assert!(fits(literal(255)) && !fits(literal(256)) && !fits(literal(300)));
    }

    #[test]
    fn equal_domains_have_the_same_hash_and_others_another() {
        use std::hash::{BuildHasher, RandomState};
        let state = RandomState::new();
        let hash = |text: &str| state.hash_one(domain(text));
        assert_eq!(hash("B\u{fc}cher.example"), hash("XN--bcher-kva.EXAMPLE"));
        assert_ne!(hash("a.example"), hash("b.example"));
        assert_eq!(hash("[IPV6:2001:DB8::1]"), hash("[IPv6:2001:db8:0::0:1]"));
        assert_ne!(hash("[IPv6:2001:db8::1]"), hash("[IPv6:2001:db8::2]"));
        assert!(!domain("a.example").is_literal());
    }

    proptest! {
        #[test]
        fn what_parses_prints_the_same_and_its_ascii_is_the_same_domain(text in "\\PC{0,12}|[a-c.xn\u{e9}\u{4e2d}-]{0,16}|\\[[0-9a-fIPv:.]{0,16}\\]") {
            if let Ok(domain) = text.parse::<Domain>() {
                prop_assert_eq!(domain.to_string(), text);
                prop_assert!(domain.as_ascii().is_ascii());
                prop_assert_eq!(domain.as_ascii().parse::<Domain>().unwrap(), domain);
            }
        }
    }
}
