//! The domains of a session's recipients, which RCPTDOMAINMAX limits (RFC 9422 section 4.3).

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::domain::canonical;

/// Domains in ASCII, each of which counts once, however it is written.
///
/// A peer may choose them, and many: they are in a tree, which no choice makes slow.
#[derive(Debug, Default)]
pub(in crate::proto) struct Domains(BTreeSet<Box<str>>);

impl Domains {
    pub(in crate::proto) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::proto) fn has(&self, domain: &str) -> bool {
        self.0.contains(&*canonical(domain))
    }

    pub(in crate::proto) fn insert(&mut self, domain: &str) {
        let domain = canonical(domain);
        if !self.0.contains(&*domain) {
            self.0.insert(domain.into());
        }
    }

    /// How many more there would be with all of these.
    pub(in crate::proto) fn count_new<'a>(&self, domains: impl Iterator<Item = &'a str>) -> usize {
        let new: BTreeSet<Cow<'_, str>> = domains
            .map(canonical)
            .filter(|domain| !self.0.contains(&**domain))
            .collect();
        new.len()
    }

    pub(in crate::proto) fn append(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(in crate::proto) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_counts_once_however_it_is_written() {
        let mut domains = Domains::default();
        for domain in ["A.example", "a.EXAMPLE", "[IPv6:::1]", "[IPV6:0::1]"] {
            domains.insert(domain);
        }
        assert_eq!(domains.len(), 2);
        assert!(domains.has("a.example") && domains.has("[ipv6:::0:1]"));
        assert!(!domains.has("b.example"));
        let more = ["A.Example", "b.example", "B.example", "[IPv6:::2]"];
        assert_eq!(domains.count_new(more.into_iter()), 2);
        let mut others = Domains::default();
        others.insert("a.example");
        others.insert("c.example");
        domains.append(others);
        assert!(domains.len() == 3 && domains.has("c.example"));
        domains.clear();
        assert!(domains.len() == 0 && !domains.has("a.example"));
    }
}
