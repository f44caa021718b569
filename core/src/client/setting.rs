//! Options by name: for configuration files, command lines and the query of a URL.

use std::time::Duration;

use super::{OnRefused, Options, ProxyHeader, ProxyVersion, TransferChoice};
use crate::error::Error;
use crate::proto::data::LineEnds;
use crate::sasl::{Credentials, Mechanism, Proof};
use crate::tls::{InvalidPin, InvalidTlsPolicy, Pem, Pin, Roots, danger};

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
    "login",
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
    /// Sets an option by its name, from text. Each does what the setter of its name says, at once. The error names the option.
    ///
    /// | name | value | by default |
    /// | --- | --- | --- |
    /// | `provider` | the [name](super::Provider::name) of a provider | the server is set otherwise |
    /// | `tls` | `auto`, `implicit`, `required`, `opportunistic`, `none` | `auto` |
    /// | `tls_name` | a host name or IP address | the host of the server |
    /// | `ca` | a PEM file of roots to trust instead of the system's | the system's roots |
    /// | `extra_ca` | a PEM file of roots to trust besides those so far, as often as it is set | none |
    /// | `pin` | `sha256//` and base64, or base64 alone, with commas between several | any key |
    /// | `verify` | a switch: `false` takes any certificate | `true` |
    /// | `client_cert` | a PEM file of a certificate and its key | none |
    /// | `login` | `external`, by the certificate of `client_cert`, or `anonymous` | by user and password, or not at all |
    /// | `auth` | SASL mechanisms with commas between | all that the library has |
    /// | `allow_plaintext_auth` | a switch | `false` |
    /// | `local_hostname` | a domain or an address literal | this host's full name, or its address |
    /// | `source_address` | an IP address | the system chooses |
    /// | `proxy` | a URL, as [`Options::set_proxy`] has it | none |
    /// | `send_proxy_header` | `v1` or `v2` | none is sent |
    /// | `connect_timeout` | seconds | 10 |
    /// | `timeout` | seconds | RFC 5321's, by phase |
    /// | `deadline` | seconds | none |
    /// | `line_ends` | `normalise`, `refuse` | `normalise` |
    /// | `on_refused` | `raise_if_all`, `raise_if_any`, `never` | `raise_if_all` |
    /// | `all_or_nothing` | a switch | `false` |
    /// | `transfer` | `auto`, `data`, `bdat` | `auto` |
    /// | `max_in_flight` | messages | 8 |
    /// | `max_octets_in_flight` | octets | 1048576 |
    /// | `max_octets_ahead` | octets | 65536 |
    /// | `max_connections` | connections | 8 |
    /// | `idle_timeout` | seconds | 60 |
    /// | `max_age` | seconds | 3600 |
    /// | `max_messages` | messages | 1000 |
    /// | `max_messages_per_second` | a number | no limit |
    /// | `max_recipients_per_second` | a number | no limit |
    ///
    /// A switch is `true`, `yes` or `1`, or `false`, `no` or `0`. Seconds and numbers may have a fraction, as `2.5`.
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
            "login" => self.set_login(value)?,
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

    /// A login that needs no word of the caller's. Those that do have setters of their own.
    fn set_login(&mut self, value: &str) -> Result<(), Error> {
        let choices = [("external", true), ("anonymous", false)];
        let credentials = if choice("login", value, &choices)? {
            Credentials::with_certificate()
        } else {
            Credentials::anonymous("").map_err(|e| Error::invalid(format!("login: {e}")))?
        };
        if let Some(Proof::Password | Proof::Token) = self.login.proof() {
            return Err(Error::invalid(format!(
                "login: {value} stands beside a user name and what proves it; set one of them"
            )));
        }
        self.set_credentials(credentials);
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
    use super::*;

    /// A value for each name, and what then stands in the options and did not before.
    fn rows(folder: &std::path::Path) -> Vec<(&'static str, String, &'static str)> {
        let issued = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let (certificate, key) = (issued.cert.pem(), issued.signing_key.serialize_pem());
        let pem = folder.join("both.pem");
        std::fs::write(&pem, certificate + &key).unwrap();
        let pem = pem.to_str().unwrap().to_owned();
        let pin = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned();
        let text = str::to_owned;
        vec![
            ("provider", text("gmail"), "host: \"smtp.gmail.com\""),
            ("tls", text("required"), "tls: Required"),
            ("tls_name", text("a.example"), "tls_name: Some"),
            ("ca", pem.clone(), "roots: \"1 given\""),
            (
                "extra_ca",
                pem.clone(),
                "roots: \"the system's and 1 given\"",
            ),
            ("pin", pin, "pins: [Pin("),
            ("verify", text("false"), "roots: \"anyone"),
            ("client_cert", pem, "certificate: true"),
            ("login", text("external"), "proof: Certificate"),
            ("login", text("anonymous"), "proof: Nothing"),
            (
                "auth",
                text("LOGIN,PLAIN"),
                "mechanisms: Some([Login, Plain])",
            ),
            (
                "allow_plaintext_auth",
                text("true"),
                "allow_plaintext_auth: true",
            ),
            ("local_hostname", text("a.example"), "local_hostname: Some"),
            (
                "source_address",
                text("127.0.0.2"),
                "source_address: Some(127.0.0.2)",
            ),
            ("proxy", text("socks5://a.example"), "proxy: Some"),
            ("send_proxy_header", text("v2"), "version: V2"),
            ("connect_timeout", text("7"), "connect_timeout: 7s"),
            ("timeout", text("2.5"), " timeout: Some(2.5s)"),
            ("deadline", text("7"), "deadline: Some(7s)"),
            ("line_ends", text("refuse"), "line_ends: Refuse"),
            ("on_refused", text("never"), "on_refused: Never"),
            ("all_or_nothing", text("yes"), "all_or_nothing: true"),
            ("transfer", text("bdat"), "transfer: Bdat"),
            ("max_in_flight", text("7"), "max_in_flight: 7"),
            ("max_octets_in_flight", text("7"), "max_octets_in_flight: 7"),
            ("max_octets_ahead", text("7"), "max_octets_ahead: 7"),
            ("max_connections", text("7"), "max_connections: 7"),
            ("idle_timeout", text("7"), "idle_timeout: 7s"),
            ("max_age", text("7"), "max_age: 7s"),
            ("max_messages", text("7"), "max_messages: 7"),
            (
                "max_messages_per_second",
                text("0.5"),
                " messages_per_second: Some(0.5)",
            ),
            (
                "max_recipients_per_second",
                text("7"),
                "recipients_per_second: Some(7.0)",
            ),
        ]
    }

    #[test]
    fn each_name_changes_its_field() {
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(folder.path());
        let shown = |options: &Options| format!("{options:?}");
        for (name, value, now) in &rows {
            let mut options = Options::new();
            assert!(!shown(&options).contains(now), "{name}");
            options.set(name, value).unwrap();
            assert!(shown(&options).contains(now), "{name}: {options:?}");
        }
        let mut names: Vec<_> = rows.iter().map(|(name, ..)| *name).collect();
        names.dedup();
        assert_eq!(names, Options::names());
    }

    #[test]
    fn the_table_of_the_documentation_has_each_name() {
        let documented: Vec<_> = include_str!("setting.rs")
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix("/// | `")?.split('`').next())
            .collect();
        assert_eq!(documented, Options::names());
    }

    #[test]
    fn a_login_by_name_does_not_replace_a_user() {
        let mut options = Options::new();
        options.set("login", "anonymous").unwrap();
        options.set("login", "external").unwrap();
        options.set_credentials(Credentials::new("u", "p").unwrap());
        let error = options.set("login", "external").unwrap_err();
        assert!(error.to_string().contains("user name"), "{error}");
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
