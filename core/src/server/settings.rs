//! Options of a server by name and text, for configuration files and for languages without its types.

use std::time::Duration;

use super::{Extensions, Network, Options};
use crate::error::{Error, Status};
use crate::proto::data::LineEnds;
use crate::proto::{Domain, HoldFor, Protocol};
use crate::sasl::{Mechanism, ScramKeys, Secret};
use crate::tls::{Pem, ServerTls};

/// Every name that [`Options::set`] knows.
const NAMES: &[&str] = &[
    "listen",
    "reuse_port",
    "unix_mode",
    "hostname",
    "protocol",
    "tls",
    "tls_sni",
    "client_ca",
    "line_ends",
    "lenient_line_ends",
    "strict_spaces",
    "implicit_tls",
    "require_tls",
    "user",
    "user_keys",
    "decoy_secret",
    "auth_required",
    "mechanisms",
    "allow_plaintext_auth",
    "domains",
    "trusted_networks",
    "bind_sender",
    "stream",
    "received",
    "add_missing",
    "max_hops",
    "workers",
    "max_message_size",
    "max_recipients",
    "max_recipient_domains",
    "max_transactions",
    "extensions",
    "deliver_by_minimum",
    "longest_hold",
    "keyword",
    "mail_parameter",
    "rcpt_parameter",
    "verb",
    "xclient",
    "proxy_protocol",
    "command_line",
    "auth_line",
    "max_bad_commands",
    "max_idle_commands",
    "max_auth_failures",
    "auth_failures_per_address",
    "auth_failures_per_account",
    "auth_lockout",
    "auth_delay",
    "connections_per_minute",
    "messages_per_minute",
    "recipients_per_minute",
    "max_connections",
    "connections_per_address",
    "body_memory",
    "body_memory_per_address",
    "answer_timeout",
    "idle_timeout",
    "handshake_timeout",
    "session_timeout",
    "least_rate",
    "grace",
];

impl Options {
    /// Sets an option by its name. `SERVER_OPTIONS.md` in this crate's sources lists them all, with their defaults.
    ///
    /// Switches are `true`, `yes`, `on` or `1`, or `false`, `no`, `off` or `0`, in any case of letters; times
    /// are seconds, as `300` or `0.5`; sizes are octets, as `1048576`, `1024K` or `1M`; `unix_mode` is octal. Lists are separated by
    /// commas, and no element is empty; of networks and `extensions` there may be none at all. Blanks around a value and around the
    /// elements of a list do not count, but for `user`, whose password may have them. `keyword`, `mail_parameter`, `rcpt_parameter`
    /// and `verb` add one each time, and so do `listen`, `user` and `user_keys`. `tls` is `certificate.pem,key.pem` or one file with
    /// both; set behind it, `tls_sni` is `host.example,certificate.pem,key.pem` for each further name, and `client_ca` a file of roots by
    /// which clients are asked for a certificate. `user` is `name:password`, and `user_keys` is `name:` and what
    /// [`ScramKeys::to_text`] gives; `decoy_secret` is 64 hexadecimal digits, as `openssl rand -hex 32` makes them.
    ///
    /// ```
    /// let mut options = mailwire::server::Options::new();
    /// options.set("listen", "127.0.0.1:0")?;
    /// options.set("max_message_size", "10M")?;
    /// assert!(options.set("max_message_size", "many").is_err());
    /// # Ok::<(), mailwire::Error>(())
    /// ```
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        // Blanks alone: a line end in it is the mistake of whoever made it. A password may begin with one.
        let value = match name {
            "user" => value,
            _ => value.trim_matches(' '),
        };
        match name {
            "listen" => self.listen(value)?,
            "reuse_port" => self.set_reuse_port(switch(name, value)?),
            "unix_mode" => {
                let mode = u32::from_str_radix(value, 8);
                self.set_unix_mode(mode.map_err(|_| unfit(name, value, "octal, as 660"))?)?;
            }
            "hostname" => self.set_hostname(value)?,
            "protocol" => self.set_protocol(match value {
                "smtp" => Protocol::Smtp,
                "lmtp" => Protocol::Lmtp,
                _ => return Err(unfit(name, value, "smtp or lmtp")),
            }),
            "tls" | "tls_sni" | "client_ca" => self.set_certificates(name, value)?,
            "line_ends" => self.set_line_ends(match value {
                "normalise" => LineEnds::Normalise,
                "refuse" => LineEnds::Refuse,
                _ => return Err(unfit(name, value, "normalise or refuse")),
            }),
            "lenient_line_ends" => self.set_lenient_line_ends(switch(name, value)?),
            "strict_spaces" => self.set_strict_spaces(switch(name, value)?),
            "implicit_tls" => self.set_implicit_tls(switch(name, value)?),
            "require_tls" => self.set_require_tls(switch(name, value)?),
            "user" => {
                // The value is not repeated: it holds a password.
                let (user, password) = value
                    .split_once(':')
                    .ok_or_else(|| Error::invalid("user: the form is name:password"))?;
                self.add_user(user, Secret::new(password))?;
            }
            "user_keys" => {
                let (user, keys) = value.split_once(':').ok_or_else(|| {
                    Error::invalid("user_keys: the form is name:SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
                })?;
                let keys = ScramKeys::from_text(keys)
                    .map_err(|error| Error::invalid(format!("user_keys: {error}")))?;
                self.add_user_keys(user, keys)
                    .map_err(|error| Error::invalid(format!("user_keys: {}", error.message())))?;
            }
            "decoy_secret" => self.set_decoy_secret_from_text(value)?,
            "auth_required" => self.set_auth_required(switch(name, value)?),
            "mechanisms" => {
                let mechanisms: Option<Vec<_>> =
                    list(name, value)?.map(Mechanism::from_name).collect();
                let mechanisms =
                    mechanisms.ok_or_else(|| unfit(name, value, "names such as PLAIN,LOGIN"))?;
                self.set_mechanisms(&mechanisms)?;
            }
            "allow_plaintext_auth" => self.set_allow_plaintext_auth(switch(name, value)?),
            "domains" => {
                let domains: Result<Vec<Domain>, _> = list(name, value)?.map(str::parse).collect();
                let domains =
                    domains.map_err(|error| Error::invalid(format!("domains: {error}")))?;
                if domains.is_empty() {
                    return Err(unfit(name, value, "a list of domains, as example.org"));
                }
                self.set_domains(Some(domains));
            }
            "trusted_networks" => self.set_trusted_networks(&networks(name, value)?),
            "bind_sender" => self.set_bind_sender(switch(name, value)?),
            "stream" => self.set_stream(switch(name, value)?),
            "received" => self.set_received(switch(name, value)?),
            "add_missing" => self.set_add_missing(switch(name, value)?),
            "max_hops" => self.set_max_hops(number(name, value)?),
            "workers" => self.set_workers(number(name, value)?)?,
            "max_message_size" => self.set_max_message_size(size(name, value)?)?,
            "max_recipients" => self.set_max_recipients(number(name, value)?)?,
            "max_recipient_domains" => self.set_max_recipient_domains(number(name, value)?)?,
            "max_transactions" => self.set_max_transactions(small_number(name, value)?)?,
            "extensions" => {
                let extensions = list(name, value)?.try_fold(Extensions::NONE, |all, keyword| {
                    Extensions::from_keyword(keyword).map(|one| all.with(one))
                });
                let form = "keywords such as PIPELINING,SIZE,8BITMIME,SMTPUTF8,CHUNKING,DSN";
                self.set_extensions(extensions.ok_or_else(|| unfit(name, value, form))?);
            }
            "deliver_by_minimum" => self.set_deliver_by_minimum(small_number(name, value)?),
            "longest_hold" => {
                let longest = HoldFor::new(small_number(name, value)?);
                let form = "a number of seconds from 1 to 999999999";
                self.set_longest_hold(longest.ok_or_else(|| unfit(name, value, form))?);
            }
            "keyword" => self.add_keyword(value)?,
            "mail_parameter" => self.add_mail_parameter(value)?,
            "rcpt_parameter" => self.add_rcpt_parameter(value)?,
            "verb" => self.add_verb(value)?,
            "xclient" => self.set_xclient(&networks(name, value)?),
            "proxy_protocol" => self.set_proxy_protocol(&networks(name, value)?),
            _ => return self.set_limit(name, value),
        }
        Ok(())
    }

    /// The same for its limits.
    fn set_limit(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "command_line" => self.set_command_line(number(name, value)?)?,
            "auth_line" => self.set_auth_line(number(name, value)?)?,
            "max_bad_commands" => self.set_max_bad_commands(small_number(name, value)?)?,
            "max_idle_commands" => self.set_max_idle_commands(small_number(name, value)?)?,
            "max_auth_failures" => self.set_max_auth_failures(small_number(name, value)?)?,
            "auth_failures_per_address" => {
                self.set_auth_failures_per_address(small_number(name, value)?);
            }
            "auth_failures_per_account" => {
                self.set_auth_failures_per_account(small_number(name, value)?);
            }
            "auth_lockout" => self.set_auth_lockout(seconds(name, value)?)?,
            "auth_delay" => self.set_auth_delay(seconds(name, value)?),
            "connections_per_minute" => {
                self.set_connections_per_minute(small_number(name, value)?);
            }
            "messages_per_minute" => self.set_messages_per_minute(small_number(name, value)?),
            "recipients_per_minute" => self.set_recipients_per_minute(small_number(name, value)?),
            "max_connections" => self.set_max_connections(number(name, value)?)?,
            "connections_per_address" => {
                self.set_connections_per_address(number(name, value)?)?;
            }
            "body_memory" => self.set_body_memory(size(name, value)?)?,
            "body_memory_per_address" => {
                self.set_body_memory_per_address(size(name, value)?)?;
            }
            "answer_timeout" => self.set_answer_timeout(seconds(name, value)?)?,
            "idle_timeout" => self.set_idle_timeout(seconds(name, value)?)?,
            "handshake_timeout" => self.set_handshake_timeout(seconds(name, value)?)?,
            "session_timeout" => self.set_session_timeout(seconds(name, value)?)?,
            "least_rate" => self.set_least_rate(size(name, value)?),
            "grace" => self.set_grace(seconds(name, value)?),
            "disposition" => {
                return Err(Error::invalid(
                    "disposition: what becomes of messages is no option here: open a disposition::Destination, and start the server with it",
                ));
            }
            _ => {
                return Err(Error::invalid(format!(
                    "{name:?} is no option of a server; there are {}",
                    NAMES.join(", ")
                )));
            }
        }
        Ok(())
    }

    fn set_certificates(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "tls" => {
                let parts: Vec<_> = list(name, value)?.collect();
                let (certificate, key) = match parts[..] {
                    [both] => (both, both),
                    [certificate, key] => (certificate, key),
                    _ => return Err(unfit(name, value, "certificate.pem,key.pem")),
                };
                let tls = ServerTls::from_pem_files(certificate, key);
                self.set_tls(tls.map_err(|error| {
                    let form = match parts.len() {
                        1 => "; the form is certificate.pem,key.pem, or one file with both",
                        _ => "",
                    };
                    error.with_context(name).with_more(form)
                })?);
            }
            "tls_sni" => {
                let parts: Vec<_> = list(name, value)?.collect();
                let (host, certificate, key) = match parts[..] {
                    [host, both] => (host, both, both),
                    [host, certificate, key] => (host, certificate, key),
                    _ => return Err(unfit(name, value, "host.example,certificate.pem,key.pem")),
                };
                // Their own: clones of these options, and servers that were made of them, keep what they have.
                let tls = self.tls_before(name)?.copied()?;
                tls.add_certificate(host, &Pem::file(certificate), &Pem::file(key))
                    .map_err(|error| error.with_context(name))?;
                self.set_tls(tls);
            }
            _ => {
                let tls = self.tls_before(name)?.asking_clients(&[Pem::file(value)]);
                self.set_tls(tls.map_err(|error| error.with_context(name))?);
            }
        }
        Ok(())
    }

    fn tls_before(&self, name: &str) -> Result<&ServerTls, Error> {
        let missing = || {
            Error::new(
                Status::TlsConfiguration,
                format!("{name}: set tls before it"),
            )
        };
        self.tls.as_ref().ok_or_else(missing)
    }

    /// Every name that [`set`](Self::set) knows.
    pub fn names() -> &'static [&'static str] {
        NAMES
    }
}

/// The elements of a list. None of them is empty; the list may be.
fn list<'a>(name: &str, value: &'a str) -> Result<impl Iterator<Item = &'a str>, Error> {
    // Only spaces around a word are overlooked: a line end in a value is a mistake, or worse.
    let words = || value.split(',').map(|word| word.trim_matches(' '));
    if !value.is_empty() && words().any(str::is_empty) {
        let form = "a list: between its commas something is missing";
        return Err(unfit(name, value, form));
    }
    Ok(words().filter(|word| !word.is_empty()))
}

fn networks(name: &str, value: &str) -> Result<Vec<Network>, Error> {
    let networks: Result<_, _> = list(name, value)?.map(str::parse).collect();
    networks.map_err(|error| Error::invalid(format!("{name}: {error}")))
}

fn switch(name: &str, value: &str) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err(unfit(name, value, "true or false")),
    }
}

fn number(name: &str, value: &str) -> Result<usize, Error> {
    value.parse().map_err(|_| unfit(name, value, "a number"))
}

fn small_number(name: &str, value: &str) -> Result<u32, Error> {
    value.parse().map_err(|_| unfit(name, value, "a number"))
}

fn size(name: &str, value: &str) -> Result<u64, Error> {
    let (digits, shift) = match value.as_bytes().last() {
        Some(b'k' | b'K') => (&value[..value.len() - 1], 10),
        Some(b'm' | b'M') => (&value[..value.len() - 1], 20),
        Some(b'g' | b'G') => (&value[..value.len() - 1], 30),
        _ => (value, 0),
    };
    let octets = digits.parse::<u64>().ok();
    octets
        .and_then(|octets| octets.checked_mul(1 << shift))
        .ok_or_else(|| unfit(name, value, "a number of octets, as 1048576 or 1M"))
}

fn seconds(name: &str, value: &str) -> Result<Duration, Error> {
    let seconds = value.parse::<f64>().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| unfit(name, value, "a number of seconds"))
}

fn unfit(name: &str, value: &str, form: &str) -> Error {
    Error::invalid(format!("{name}: {value:?} is not {form}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_refuses_nonsense_under_its_name() {
        for name in Options::names() {
            let error = Options::new().set(name, "\u{0}").unwrap_err();
            assert!(
                matches!(
                    error.status(),
                    Status::InvalidArgument | Status::TlsConfiguration
                ),
                "{name}: {error}"
            );
            assert!(!error.to_string().contains("no option"), "{name}");
        }
        assert!(Options::new().set("nonsense", "1").is_err());
    }

    #[test]
    fn values_are_taken() {
        let mut options = Options::new();
        for (name, value) in [
            ("listen", "[::1]:0"),
            ("listen", "unix:/tmp/socket"),
            ("reuse_port", "true"),
            ("unix_mode", "660"),
            ("hostname", "mx.example.org"),
            ("protocol", "lmtp"),
            ("user", "tim:with:colon"),
            (
                "user_keys",
                "kurt:SCRAM-SHA-1$4096:c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            ),
            ("mechanisms", "login, PLAIN"),
            ("domains", "example.org,example.net"),
            ("trusted_networks", "192.0.2.0/24, ::1"),
            ("bind_sender", "true"),
            ("stream", "yes"),
            ("workers", "4"),
            ("max_message_size", "2M"),
            ("max_transactions", "5"),
            ("max_recipient_domains", "2"),
            ("extensions", "chunking, DSN"),
            ("deliver_by_minimum", "60"),
            ("longest_hold", "86400"),
            ("keyword", "X-FOO bar"),
            ("mail_parameter", "X-MAIL"),
            ("rcpt_parameter", "X-RCPT"),
            ("verb", "XFOO"),
            ("xclient", "127.0.0.1, 2001:db8::/32"),
            ("proxy_protocol", "10.0.0.0/8,::1"),
            ("answer_timeout", "0.5"),
        ] {
            options.set(name, value).unwrap();
        }
        assert_eq!(options.max_message_size, 2 << 20);
        assert_eq!(options.answer_timeout, Duration::from_millis(500));
        assert_eq!(
            options.mechanisms,
            Some(vec![Mechanism::Login, Mechanism::Plain])
        );
        assert!(options.stream && options.reuse_port);
        assert_eq!(options.unix_mode, Some(0o660));
        assert!(!format!("{options:?}").contains("colon"));
    }

    #[test]
    fn blanks_around_a_value_and_the_case_of_a_switch_do_not_count() {
        let mut options = Options::new();
        for (name, value) in [
            ("listen", " 127.0.0.1:0 "),
            ("idle_timeout", " 300 "),
            ("domains", " a.example , b.example "),
            ("bind_sender", " True "),
            ("stream", "YES"),
            ("trusted_networks", " "),
            ("user", "tim: secret "),
        ] {
            options.set(name, value).unwrap();
        }
        assert_eq!(options.domains.unwrap().len(), 2);
        assert!(options.bind_sender && options.stream);
        assert_eq!(options.trusted_networks, Some(Vec::new()));
    }

    #[test]
    fn files_for_tls_are_named_with_their_option() {
        let mut options = Options::new();
        for value in ["/no/such/file", "/no/such/file,/none"] {
            let error = options.set("tls", value).unwrap_err();
            assert_eq!(error.status(), Status::TlsConfiguration, "{value}");
            let message = error.message();
            assert!(message.starts_with("tls: cannot read /no/such"), "{error}");
            let tells_the_form = message.contains("the form is certificate.pem,key.pem");
            assert_eq!(tells_the_form, !value.contains(','), "{error}");
        }
        options.set_tls(
            crate::tls::test_pki::Authority::new("ours")
                .issue(&["a.example"])
                .server(),
        );
        let error = options.set("client_ca", "/none").unwrap_err();
        assert!(error.message().starts_with("client_ca: "), "{error}");
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for (name, value) in [
            ("workers", "0"),
            ("max_message_size", "0"),
            ("max_message_size", "99999999999999999999"),
            ("body_memory", "18446744073709551615G"),
            ("body_memory_per_address", "0"),
            ("idle_timeout", "0"),
            ("idle_timeout", "-1"),
            ("idle_timeout", "inf"),
            ("idle_timeout", "1e300"),
            ("hostname", "a\r\nb"),
            ("listen", "localhost:25"),
            ("listen", "unix:"),
            ("listen", "fd:"),
            ("listen", "fd:-1"),
            ("listen", "fd:999999"),
            ("unix_mode", "8"),
            ("unix_mode", "1777"),
            ("mechanisms", ""),
            ("user_keys", "tim"),
            ("user_keys", "tim:SCRAM-SHA-1$4096:c2FsdA==$AAAA:AAAA"),
            ("decoy_secret", "random"),
            ("max_transactions", "0"),
            ("max_recipient_domains", "0"),
            ("command_line", "511"),
            ("command_line", "32769"),
            ("auth_line", "511"),
            ("auth_line", "12291"),
            ("messages_per_minute", "-1"),
            ("recipients_per_minute", "4294967296"),
            ("max_bad_commands", "0"),
            ("max_idle_commands", "0"),
            ("max_auth_failures", "0"),
            ("auth_lockout", "0"),
            ("auth_delay", "-1"),
            ("connections_per_minute", "many"),
            ("extensions", "STARTTLS"),
            ("extensions", "X-FOO"),
            ("longest_hold", "0"),
            ("keyword", "SIZE 5"),
            ("keyword", "a\r\nb"),
            ("mail_parameter", "RET"),
            ("rcpt_parameter", "NOTIFY"),
            ("verb", "MAIL"),
            ("xclient", "proxy.example"),
            ("proxy_protocol", "10.0.0.0/33"),
            ("trusted_networks", "example.org"),
            ("bind_sender", "maybe"),
            ("mechanisms", "PLAIN\r\n"),
            ("domains", "example.org,\r\n"),
            ("domains", ""),
            ("domains", " "),
            ("domains", ","),
            ("domains", "a.example,,b.example"),
            ("trusted_networks", ","),
            ("extensions", "SIZE,,DSN"),
            ("mechanisms", "PLAIN,"),
            ("tls", "a,b,c"),
            ("tls", ""),
            ("tls", "a,"),
            ("tls_sni", "a"),
            ("tls_sni", "a.example,,b"),
            ("disposition", "discard"),
        ] {
            let error = Options::new().set(name, value).unwrap_err();
            assert_eq!(error.status(), Status::InvalidArgument, "{name}={value}");
            assert!(error.message().starts_with(name), "{error}");
        }
    }
}
