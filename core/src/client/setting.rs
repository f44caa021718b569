//! Options by name and from a URL: for configuration files, command lines and the query of a URL.

use std::path::Path;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::{OnRefused, Options, ProxyHeader, ProxyVersion, TransferChoice};
use crate::error::Error;
use crate::proto::Protocol;
use crate::proto::data::LineEnds;
use crate::sasl::{Credentials, Mechanism};
use crate::tls::{InvalidPin, InvalidTlsPolicy, Pem, Pin, Roots, TlsPolicy, danger};

/// The names that [`Options::set`] knows.
const NAMES: &[&str] = &[
    "provider",
    "tls",
    "tls_name",
    "ca",
    "extra_ca",
    "pin",
    "verify",
    "client_cert",
    "auth",
    "allow_plaintext_auth",
    "local_hostname",
    "source_address",
    "proxy",
    "send_proxy_header",
    "connect_timeout",
    "timeout",
    "deadline",
    "line_ends",
    "on_refused",
    "all_or_nothing",
    "transfer",
    "max_in_flight",
    "max_octets_in_flight",
    "max_octets_ahead",
    "max_connections",
    "idle_timeout",
    "max_age",
    "max_messages",
    "max_messages_per_second",
    "max_recipients_per_second",
];

impl Options {
    /// Options from a URL: `smtp://`, `submission://`, `smtps://` or `lmtp://` with `user:password@host:port`, or
    /// `lmtp+unix:///path`. User and password are percent-encoded; every other option may stand in the query, by the names of
    /// [`Options::set`]. The password is never repeated in an error.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        // The parser would drop CR, LF and TAB without a word.
        if url.bytes().any(|octet| octet.is_ascii_control()) {
            return Err(Error::invalid(
                "url: a control character stands in it; was it read with the end of its line?",
            ));
        }
        let parsed = Url::parse(url).map_err(|e| {
            Error::invalid(format!(
                "url: {e}; the form is smtp://user:password@host:port"
            ))
        })?;
        let mut options = Self::new();
        let port = parsed.port();
        let port = match parsed.scheme() {
            "smtp" => port,
            "submission" => port.or(Some(587)),
            "smtps" => {
                options.set_tls(TlsPolicy::Implicit);
                port.or(Some(465))
            }
            "lmtp" | "lmtp+unix" => {
                options.set_protocol(Protocol::Lmtp);
                port
            }
            other => {
                return Err(Error::invalid(format!(
                    "url: the scheme {other:?} is not one of smtp, submission, smtps, lmtp and lmtp+unix"
                )));
            }
        };
        if parsed.fragment().is_some() {
            return Err(Error::invalid(
                "url: a # is written %23 in a user name, password or path",
            ));
        }
        // A password with a ? that was not encoded would be taken for options, and the error about those would show it.
        if parsed.query().is_some_and(|query| query.contains('@')) {
            return Err(Error::invalid(
                "url: a ? in a user name or password is written %3F, and an @ in an option %40",
            ));
        }
        if parsed.scheme() == "lmtp+unix" {
            if parsed.host_str().is_some_and(|host| !host.is_empty()) {
                return Err(Error::invalid(
                    "url: lmtp+unix has no host; the form is lmtp+unix:///path, with three slashes",
                ));
            }
            let path = decoded("path", parsed.path())?;
            options.set_unix_socket(Path::new(&path))?;
        } else {
            let host = parsed
                .host_str()
                .filter(|host| !host.is_empty())
                .ok_or_else(|| Error::invalid("url: the host is missing"))?;
            if !matches!(parsed.path(), "" | "/") {
                return Err(Error::invalid(
                    "url: nothing stands behind host and port but ?options",
                ));
            }
            options.set_server(&decoded("host", host)?, port)?;
        }
        if let Some(password) = parsed.password() {
            let credentials = Credentials::new(
                decoded("user name", parsed.username())?,
                decoded("password", password)?,
            )
            .map_err(|e| Error::invalid(format!("url: {e}")))?;
            options.set_credentials(credentials);
        } else if !parsed.username().is_empty() {
            return Err(Error::invalid(
                "url: a user name was given without a password: user:password@host",
            ));
        }
        for (name, value) in parsed.query_pairs() {
            options.set(&name, &value)?;
        }
        Ok(options)
    }

    /// Sets an option by its name, from text. Durations are seconds, as `2.5`; switches are `true` or `false`;
    /// `auth` is a mechanism and `pin` the pin of a key, or several with commas between; `client_cert` is a file in PEM that holds a
    /// certificate and its key; `proxy` is a URL, as [`Options::set_proxy`] has it. `ca` is a file of root certificates in PEM to
    /// trust instead of the system's, and `extra_ca` one to trust besides those that are trusted so far, as often as it is set.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "provider" => self.set_provider(value)?,
            "tls" => {
                self.set_tls(value.parse().map_err(|e: InvalidTlsPolicy| {
                    Error::invalid(format!("{e}; {value:?} is not"))
                })?);
            }
            "tls_name" => self.set_tls_name(value)?,
            "ca" => {
                let roots = Roots::Only(vec![Pem::file(value)]);
                self.client_tls = self.client_tls.clone().with_roots(&roots)?;
            }
            "extra_ca" => {
                let tls = self.client_tls.clone();
                self.client_tls = tls.with_extra_root(&Pem::file(value))?;
            }
            "pin" => self.client_tls = self.client_tls.clone().with_pins(&pins(value)?),
            "verify" => match switch(name, value)? {
                true if self.client_tls.verifies() => {}
                true => self.client_tls = self.client_tls.clone().with_roots(&Roots::System)?,
                false => self.client_tls = danger::accept_any_certificate(self.client_tls.clone()),
            },
            "client_cert" => {
                let both = Pem::file(value);
                self.client_tls = self.client_tls.clone().with_certificate(&both, &both)?;
            }
            "auth" => self.set_mechanisms(&mechanisms(value)?)?,
            "allow_plaintext_auth" => self.set_allow_plaintext_auth(switch(name, value)?),
            "local_hostname" => self.set_local_hostname(value)?,
            "source_address" => {
                let address = value.parse().map_err(|_| {
                    Error::invalid(format!("source_address: {value:?} is not an IP address"))
                })?;
                self.set_source_address(address);
            }
            "proxy" => self.set_proxy(Some(value))?,
            "send_proxy_header" => {
                let versions = [("v1", ProxyVersion::V1), ("v2", ProxyVersion::V2)];
                let version = choice(name, value, &versions)?;
                self.set_send_proxy_header(Some(ProxyHeader::new(version)));
            }
            "connect_timeout" => self.set_connect_timeout(seconds(name, value)?)?,
            "timeout" => self.set_timeout(Some(seconds(name, value)?))?,
            "deadline" => self.set_deadline(Some(seconds(name, value)?))?,
            "line_ends" => self.set_line_ends(choice(
                name,
                value,
                &[
                    ("normalise", LineEnds::Normalise),
                    ("refuse", LineEnds::Refuse),
                ],
            )?),
            "on_refused" => self.set_on_refused(choice(
                name,
                value,
                &[
                    ("raise_if_all", OnRefused::RaiseIfAll),
                    ("raise_if_any", OnRefused::RaiseIfAny),
                    ("never", OnRefused::Never),
                ],
            )?),
            "all_or_nothing" => self.set_all_or_nothing(switch(name, value)?),
            "transfer" => self.set_transfer(choice(
                name,
                value,
                &[
                    ("auto", TransferChoice::Auto),
                    ("data", TransferChoice::Data),
                    ("bdat", TransferChoice::Bdat),
                ],
            )?),
            "max_in_flight" => self.set_max_in_flight(number(name, value)?)?,
            "max_octets_in_flight" => self.set_max_octets_in_flight(number(name, value)?)?,
            "max_octets_ahead" => self.set_max_octets_ahead(number(name, value)?),
            _ => self.set_of_pool(name, value)?,
        }
        Ok(())
    }

    /// The same for the options of a pool.
    fn set_of_pool(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "max_connections" => self.set_max_connections(number(name, value)?)?,
            "idle_timeout" => self.set_idle_timeout(seconds(name, value)?),
            "max_age" => self.set_max_age(seconds(name, value)?),
            "max_messages" => self.set_max_messages(number(name, value)?)?,
            "max_messages_per_second" => {
                self.set_max_messages_per_second(Some(rate(name, value)?))?;
            }
            "max_recipients_per_second" => {
                self.set_max_recipients_per_second(Some(rate(name, value)?))?;
            }
            _ => {
                return Err(Error::invalid(format!(
                    "there is no option {name:?}; the options are {}",
                    NAMES.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// The names that [`Options::set`] knows.
    pub fn names() -> &'static [&'static str] {
        NAMES
    }
}

fn decoded(what: &str, text: &str) -> Result<String, Error> {
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Error::invalid(format!("url: the {what} is not UTF-8")))?;
    Ok(text.into_owned())
}

fn pins(value: &str) -> Result<Vec<Pin>, Error> {
    let pins = value.split(',').map(|pin| pin.trim_matches(' ').parse());
    pins.collect::<Result<_, _>>()
        .map_err(|error: InvalidPin| Error::invalid(format!("pin: {error}")))
}

fn mechanisms(value: &str) -> Result<Vec<Mechanism>, Error> {
    let named = value
        .split(',')
        .map(|word| Mechanism::from_name(word.trim_matches(' ')));
    named.collect::<Option<_>>().ok_or_else(|| {
        let known = Mechanism::ALL.map(Mechanism::name).join(", ");
        Error::invalid(format!(
            "auth: {value:?} is not a list of mechanisms that this library has: {known}"
        ))
    })
}

fn switch(name: &str, value: &str) -> Result<bool, Error> {
    choice(
        name,
        value,
        &[
            ("true", true),
            ("false", false),
            ("1", true),
            ("0", false),
            ("yes", true),
            ("no", false),
        ],
    )
}

fn choice<T: Copy>(name: &str, value: &str, choices: &[(&str, T)]) -> Result<T, Error> {
    choices
        .iter()
        .find(|(word, _)| *word == value)
        .map(|(_, choice)| *choice)
        .ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            Error::invalid(format!(
                "{name}: {value:?} is not one of {}",
                words.join(", ")
            ))
        })
}

fn seconds(name: &str, value: &str) -> Result<Duration, Error> {
    value
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| Error::invalid(format!("{name}: {value:?} is not a number of seconds")))
}

fn rate(name: &str, value: &str) -> Result<f64, Error> {
    value
        .parse()
        .map_err(|_| Error::invalid(format!("{name}: {value:?} is not a number, as 14 or 0.5")))
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Error> {
    value
        .parse()
        .map_err(|_| Error::invalid(format!("{name}: {value:?} is not a whole number in range")))
}

#[cfg(test)]
mod tests {
    use super::super::login::Source;
    use super::super::options::ServerAddress;
    use super::*;

    #[test]
    fn a_url_says_everything() {
        let options =
            Options::from_url("smtp://me%40example.org:p%23%3As@[::1]:2525?tls=none&timeout=2.5&allow_plaintext_auth=true").unwrap();
        assert_eq!(
            options.server,
            Some(ServerAddress::Host {
                host: "::1".into(),
                port: Some(2525)
            })
        );
        let Some(Source::Known(credentials)) = &options.login.source else {
            panic!("no credentials")
        };
        assert_eq!(
            (credentials.username(), credentials.password().expose()),
            ("me@example.org", b"p#:s".as_slice())
        );
        assert_eq!(
            (options.tls, options.timeout),
            (TlsPolicy::None, Some(Duration::from_millis(2500)))
        );
    }

    #[test]
    fn each_scheme_has_its_port_and_protocol() {
        for (url, port, protocol, tls) in [
            ("smtp://h", 25, Protocol::Smtp, TlsPolicy::Opportunistic),
            ("smtp://u:p@h", 587, Protocol::Smtp, TlsPolicy::Required),
            ("submission://h", 587, Protocol::Smtp, TlsPolicy::Required),
            ("smtps://h", 465, Protocol::Smtp, TlsPolicy::Implicit),
            ("lmtp://h", 24, Protocol::Lmtp, TlsPolicy::Opportunistic),
        ] {
            let options = Options::from_url(url).unwrap();
            let Some(ServerAddress::Host { port: given, .. }) = options.server else {
                panic!("{url}")
            };
            assert_eq!(
                given.unwrap_or_else(|| options.default_port()),
                port,
                "{url}"
            );
            assert_eq!(
                (options.protocol, options.tls_policy()),
                (protocol, tls),
                "{url}"
            );
        }
        let options = Options::from_url("lmtp+unix:///run/a%20b").unwrap();
        assert_eq!(options.server, Some(ServerAddress::Unix("/run/a b".into())));
    }

    #[test]
    fn a_bad_url_is_an_error_that_says_what_is_wrong() {
        for (url, word) in [
            ("mail.example.org", "url"),
            ("http://h", "scheme"),
            ("smtp://", "host"),
            ("smtp://h/path", "behind host"),
            ("smtp://h:0", "port"),
            ("smtp://u@h", "password"),
            ("smtp://u:p%0d%0aQUIT@h", "password"),
            ("smtp://u:p@h?tls=never", "tls"),
            ("smtp://u%0d%0a:p@h", "user name"),
            ("smtp://u\r\nRSET:p@h", "control character"),
            ("smtp://u:p\nRSET@h", "control character"),
            ("smtp://h\r\n", "control character"),
            ("smtp://h\r\n.example:25", "control character"),
            ("smtp://h?tls=no\tne", "control character"),
            ("smtp://h?tls=none\0", "control character"),
            ("smtp://u:p%00@h", "password"),
            ("smtp://h%0d%0aQUIT", "host"),
            ("smtp://h?tsl=required", "tsl"),
            ("lmtp+unix://run/lmtp", "three slashes"),
            ("smtp://h?timeout=soon", "timeout"),
            ("smtp://h?timeout=-1", "timeout"),
            ("smtp://h?timeout=0", "timeout"),
            ("smtp://h?verify=maybe", "verify"),
            ("smtp://h?max_connections=0", "max_connections"),
            (
                "smtp://h?max_messages_per_second=0",
                "max_messages_per_second",
            ),
            (
                "smtp://h?max_messages_per_second=inf",
                "max_messages_per_second",
            ),
            (
                "smtp://h?max_recipients_per_second=-1",
                "max_recipients_per_second",
            ),
            (
                "smtp://h?max_recipients_per_second=NaN",
                "max_recipients_per_second",
            ),
            (
                "smtp://h?max_recipients_per_second=ten",
                "max_recipients_per_second",
            ),
            ("smtp://h?max_in_flight=0", "max_in_flight"),
            ("smtp://h?max_octets_in_flight=0", "max_octets_in_flight"),
            ("smtp://h?transfer=chunks", "transfer"),
            ("smtp://h?local_hostname=a%0d%0aRSET", "local_hostname"),
            ("smtp://h?auth=KERBEROS", "auth"),
            ("smtp://h?auth=PLAIN%0d%0a", "auth"),
            ("smtp://h?auth=PLAIN,,LOGIN", "auth"),
            ("smtp://h?ca=/no/such/file", "/no/such/file"),
            ("smtp://h?extra_ca=/no/such/file", "/no/such/file"),
            ("smtp://h?tls_name=a%20b", "tls_name"),
            ("smtp://h?proxy=h:1080", "proxy"),
            ("smtp://h?send_proxy_header=3", "send_proxy_header"),
            ("smtp://h?proxy=socks5://u:p%40h:p", "proxy"),
            ("smtp://h?tls_name=a%0d%0aRSET", "tls_name"),
            ("smtp://h?pin=abcd", "pin"),
            ("smtp://h?pin=", "pin"),
        ] {
            let error = Options::from_url(url).expect_err(url).to_string();
            assert!(error.contains(word), "{url}: {error}");
            assert!(
                !error.contains('\r') && !error.contains('\n'),
                "{url}: {error:?}"
            );
        }
    }

    #[test]
    fn the_password_is_in_no_error_and_no_debug_text() {
        let error = Options::from_url("smtp://user:hunter2@h:x").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        for url in [
            "smtp://user:12?hunter2@h",
            "smtp://user:12/hunter2@h",
            "smtp://user:12#hunter2@h",
            "smtp://user:12?tls=hunter2@h",
            "smtp://h?proxy=socks5://user:hunter2%40h:p",
            "smtp://h?proxy=socks5://user:hunter2@h",
        ] {
            let error = Options::from_url(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let options = Options::from_url("smtp://user:hunter2@h?proxy=http://hunter2:hunter2%40p");
        let options = options.unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn every_name_is_known_to_set() {
        for name in Options::names() {
            let error = Options::new()
                .set(name, "\u{1}")
                .err()
                .map_or(String::new(), |e| e.to_string());
            assert!(!error.contains("there is no option"), "{name}");
        }
    }
}
