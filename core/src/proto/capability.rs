//! What a server says it can do: the lines of its reply to EHLO or LHLO (RFC 5321 section 4.1.1.1).

use super::date_time::DateTime;
use super::params::HoldFor;
use super::{Extension, Reply};

/// The service extensions that a server announced. Those this library does not know are kept and shown too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What stands in front of the first space, in capitals up to an `=`, and what stands behind it, as given.
    entries: Vec<(String, String)>,
}

/// How much a server takes in a session (RFC 9422 section 4). `None`: it told no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// MAILMAX: transactions in the session.
    pub mail: Option<u32>,
    /// RCPTMAX: recipients in a transaction.
    pub recipients: Option<u32>,
    /// RCPTDOMAINMAX: domains of the recipients of a session.
    pub recipient_domains: Option<u32>,
}

/// How long a server holds a message at most (RFC 4865 section 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FutureRelease {
    /// For HOLDFOR.
    pub longest: HoldFor,
    /// For HOLDUNTIL.
    pub latest: DateTime,
}

impl Capabilities {
    /// Reads the reply to EHLO; its first line is the server's name. The reply to HELO has no others: none.
    pub fn from_reply(reply: &Reply) -> Self {
        let entries = reply
            .lines()
            .skip(1)
            .map(|line| entry(line.trim()))
            .filter(|(keyword, _)| !keyword.is_empty())
            .collect();
        Self { entries }
    }

    /// Whether the extension was announced.
    pub fn offers(&self, extension: Extension) -> bool {
        self.has(extension.keyword())
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

    /// All that was announced: keyword in capitals, parameters as given. What is joined to a keyword by `=` stays with it, as given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(keyword, parameters)| (keyword.as_str(), parameters.as_str()))
    }

    /// The most octets that a message may have (RFC 1870). `None` if the server tells no limit.
    pub fn size_limit(&self) -> Option<u64> {
        // Section 4: zero means that there is no fixed limit. Junk tells no limit either.
        self.of(Extension::Size)?
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

    /// How much the server takes in this session (RFC 9422). Limits that are not known, and junk, tell nothing.
    pub fn session_limits(&self) -> SessionLimits {
        let limits = self.of(Extension::Limits).unwrap_or_default();
        let limit = |name: &str| {
            limits.split_ascii_whitespace().find_map(|word| {
                let (known, value) = word.split_once('=')?;
                // Section 4: one to six digits, and no limit is zero.
                let plain = known.eq_ignore_ascii_case(name)
                    && (1..=6).contains(&value.len())
                    && value.bytes().all(|b| b.is_ascii_digit());
                let number = plain.then(|| value.parse().ok())??;
                (number > 0).then_some(number)
            })
        };
        SessionLimits {
            mail: limit("MAILMAX"),
            recipients: limit("RCPTMAX"),
            recipient_domains: limit("RCPTDOMAINMAX"),
        }
    }

    /// The fewest seconds that BY may leave a message which is to be returned (RFC 2852 section 3), 0 where the server tells no
    /// minimum. `None` if it does not offer DELIVERBY.
    pub fn deliver_by_minimum(&self) -> Option<u32> {
        Some(self.of(Extension::DeliverBy)?.parse().unwrap_or(0))
    }

    /// The name of the profile that priorities follow (RFC 6710 section 3), perhaps empty. `None` if the server does not offer
    /// MT-PRIORITY.
    pub fn priority_profile(&self) -> Option<&str> {
        self.of(Extension::MtPriority)
    }

    /// How long the server holds a message at most (RFC 4865). `None` if it does not offer FUTURERELEASE as it should.
    pub fn future_release(&self) -> Option<FutureRelease> {
        let mut words = self.of(Extension::FutureRelease)?.split_ascii_whitespace();
        Some(FutureRelease {
            longest: HoldFor::parse(words.next()?)?,
            latest: words.next()?.parse().ok()?,
        })
    }

    /// The names of the attributes that the server takes with XCLIENT, as given.
    pub fn xclient_attributes(&self) -> impl Iterator<Item = &str> {
        self.of(Extension::Xclient)
            .unwrap_or_default()
            .split_ascii_whitespace()
    }

    fn of(&self, extension: Extension) -> Option<&str> {
        self.parameters(extension.keyword())
    }
}

/// Old servers write `AUTH=LOGIN PLAIN`; it is read as `AUTH LOGIN PLAIN`. What else has an equals sign in its first word is no keyword of
/// RFC 5321: from that sign on it stays as it was given.
fn entry(line: &str) -> (String, String) {
    let (name, rest) = line.split_at(line.find([' ', '\t', '=']).unwrap_or(line.len()));
    let keyword = name.to_ascii_uppercase();
    match rest.strip_prefix('=') {
        Some(names) if keyword == "AUTH" => (keyword, names.trim().to_owned()),
        Some(_) => {
            let (value, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            (keyword + value, rest.trim().to_owned())
        }
        None => (keyword, rest.trim().to_owned()),
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
        assert!(caps.has("8BITMIME") && caps.offers(Extension::EightBitMime));
        assert_eq!(caps.size_limit(), Some(1000));
        assert_eq!(caps.parameters("x-odd"), Some("a b"));
        assert_eq!(
            caps.auth_mechanisms().collect::<Vec<_>>(),
            ["LOGIN", "PLAIN", "CRAM-MD5"]
        );
        let all: Vec<_> = caps.iter().collect();
        assert_eq!(all[2], ("X-ODD", "a b"));
    }

    #[test]
    fn an_equals_sign_ends_the_keyword_auth_and_no_other() {
        let caps = read(&[
            "host",
            "xverp=a=b c",
            "=odd",
            "auth=Login =X",
            "Auth=",
            "AUTHOR=x",
            "SIZE=5",
            "X-Tab\t a=b ",
        ]);
        assert_eq!(
            caps.iter().collect::<Vec<_>>(),
            [
                ("XVERP=a=b", "c"),
                ("=odd", ""),
                ("AUTH", "Login =X"),
                ("AUTH", ""),
                ("AUTHOR=x", ""),
                ("SIZE=5", ""),
                ("X-TAB", "a=b"),
            ]
        );
        assert!(caps.has("xverp=A=b") && caps.has("auth") && !caps.has("size"));
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

    #[test]
    fn limits_of_a_session_are_read_and_junk_is_not() {
        let caps = read(&["host", "LIMITS MAILMAX=5 rcptmax=100 FOO=1 X"]);
        let limits = caps.session_limits();
        assert_eq!((limits.mail, limits.recipients), (Some(5), Some(100)));
        assert_eq!(limits.recipient_domains, None);
        for junk in [
            "LIMITS MAILMAX",
            "LIMITS MAILMAX=",
            "LIMITS MAILMAX=0",
            "LIMITS MAILMAX=+1",
            "LIMITS MAILMAX=1234567",
            "NOOP",
        ] {
            assert_eq!(
                read(&["host", junk]).session_limits(),
                SessionLimits::default(),
                "{junk}"
            );
        }
    }

    #[test]
    fn what_stands_behind_the_rarer_keywords_is_typed() {
        let caps = read(&[
            "host",
            "DELIVERBY 240",
            "MT-PRIORITY MIXER",
            "FUTURERELEASE 86400 2030-01-01T00:00:00Z",
            "XCLIENT NAME ADDR",
        ]);
        assert_eq!(caps.deliver_by_minimum(), Some(240));
        assert_eq!(caps.priority_profile(), Some("MIXER"));
        let hold = caps.future_release().unwrap();
        assert_eq!(
            (hold.longest.seconds(), hold.latest.as_str()),
            (86400, "2030-01-01T00:00:00Z")
        );
        assert_eq!(
            caps.xclient_attributes().collect::<Vec<_>>(),
            ["NAME", "ADDR"]
        );
        let bare = read(&[
            "host",
            "DELIVERBY",
            "MT-PRIORITY",
            "FUTURERELEASE 0",
            "XCLIENT",
        ]);
        assert_eq!(
            (bare.deliver_by_minimum(), bare.priority_profile()),
            (Some(0), Some(""))
        );
        assert_eq!(
            (bare.future_release(), bare.xclient_attributes().count()),
            (None, 0)
        );
        let none = read(&["host"]);
        assert_eq!(
            (none.deliver_by_minimum(), none.priority_profile()),
            (None, None)
        );
    }
}
