//! What a server says it can do: the lines of its reply to EHLO or LHLO (RFC 5321 section 4.1.1.1).

use super::Reply;

/// The service extensions that a server announced. Those this library does not know are kept and shown too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Keyword in capitals, and its parameters as given.
    entries: Vec<(String, String)>,
}

impl Capabilities {
    /// Reads the reply to EHLO; its first line is the server's name. The reply to HELO has no others: none.
    pub fn from_reply(reply: &Reply) -> Self {
        let entries = reply
            .lines()
            .skip(1)
            .filter_map(|line| {
                let line = line.trim();
                // Old servers write `AUTH=LOGIN PLAIN`; it is read as `AUTH LOGIN PLAIN`.
                let (keyword, rest) = line.split_once([' ', '\t', '=']).unwrap_or((line, ""));
                (!keyword.is_empty())
                    .then(|| (keyword.to_ascii_uppercase(), rest.trim().to_owned()))
            })
            .collect();
        Self { entries }
    }

    /// Whether the keyword was announced. Its case has no meaning.
    pub fn has(&self, keyword: &str) -> bool {
        self.parameters(keyword).is_some()
    }

    /// The parameters behind the keyword, if it was announced: the first time counts.
    pub fn parameters(&self, keyword: &str) -> Option<&str> {
        self.entries
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(keyword))
            .map(|(_, parameters)| parameters.as_str())
    }

    /// All that was announced: keyword in capitals, parameters as given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(keyword, parameters)| (keyword.as_str(), parameters.as_str()))
    }

    /// The most octets that a message may have (RFC 1870). `None` if the server tells no limit.
    pub fn size_limit(&self) -> Option<u64> {
        // Section 4: zero means that there is no fixed limit. Junk tells no limit either.
        self.parameters("SIZE")?
            .parse()
            .ok()
            .filter(|&limit| limit > 0)
    }

    /// The names of the SASL mechanisms (RFC 4954), from all AUTH lines, as given.
    pub fn auth_mechanisms(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(|(k, _)| k == "AUTH")
            .flat_map(|(_, names)| names.split_ascii_whitespace())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Capabilities {
        Capabilities::from_reply(&Reply::multiline(250, lines).unwrap())
    }

    #[test]
    fn keywords_are_found_in_any_case_and_unknown_ones_kept() {
        let caps = read(&[
            "PIPELINING",
            "8bitmime",
            "Size 1000",
            "X-Odd a b",
            "SIZE 5",
            "",
            "AUTH=LOGIN",
            "AUTH PLAIN CRAM-MD5",
        ]);
        assert!(
            !caps.has("PIPELINING"),
            "the first line is the server's name"
        );
        assert!(caps.has("8BITMIME"));
        assert_eq!(caps.size_limit(), Some(1000));
        assert_eq!(caps.parameters("x-odd"), Some("a b"));
        assert_eq!(
            caps.auth_mechanisms().collect::<Vec<_>>(),
            ["LOGIN", "PLAIN", "CRAM-MD5"]
        );
    }

    #[test]
    fn a_size_that_limits_nothing_is_no_limit() {
        for size in [
            "SIZE",
            "SIZE 0",
            "SIZE x",
            "SIZE 99999999999999999999999",
            "NOOP",
        ] {
            assert_eq!(read(&["host", size]).size_limit(), None, "{size}");
        }
    }
}
