//! Options from a URL.

use std::path::Path;

use percent_encoding::percent_decode_str;
use url::Url;

use super::{Options, Provider};
use crate::error::Error;
use crate::proto::Protocol;
use crate::sasl::Credentials;
use crate::tls::TlsPolicy;

impl Options {
    /// Options from a URL: `smtp://`, `submission://`, `smtps://` or `lmtp://` with `user:password@host:port`, or
    /// `lmtp+unix:///path`. User and password are percent-encoded; every other option may stand in the query, by the names of
    /// [`Options::set`]. The password is never repeated in an error.
    ///
    /// A [`Provider`] is named as the host and in the query, `smtp://user:password@gmail?provider=gmail`, and gives host, port and TLS. Its
    /// own host, `smtp.gmail.com`, may stand there too, or none where there is no user. With any other host or port the URL is
    /// refused, for the password would go to a server that was not named; so is `smtps://` with a `tls` that is not `implicit`.
    ///
    /// ```
    /// use mailwire::client::Options;
    ///
    /// Options::from_url("smtps://me%40example.org:app-password@mail.example.org?deadline=60")?;
    /// Options::from_url("smtp://me%40gmail.com:app-password@gmail?provider=gmail")?;
    /// assert!(Options::from_url("smtp://me:password@mail.example.org?provider=gmail").is_err());
    /// assert!(Options::from_url("smtps://mail.example.org?tls=none").is_err());
    /// # Ok::<(), mailwire::Error>(())
    /// ```
    pub fn from_url(url: &str) -> Result<Self, Error> {
        // The parser would drop CR, LF and TAB without a word.
        if url.bytes().any(|octet| octet.is_ascii_control()) {
            return Err(Error::invalid(
                "url: a control character stands in it; was it read with the end of its line?",
            ));
        }
        let parsed = Url::parse(url).map_err(|e| {
            let e = match e {
                url::ParseError::RelativeUrlWithoutBase => "the scheme is missing".to_owned(),
                other => other.to_string(),
            };
            Error::invalid(format!(
                "url: {e}; the form is smtp://user:password@host:port"
            ))
        })?;
        let mut options = Self::new();
        let port = options.set_scheme(&parsed)?;
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
        options.set_place(&parsed, port)?;
        options.set_user(&parsed)?;
        for (name, value) in parsed.query_pairs() {
            options.set(&name, &value)?;
        }
        if parsed.scheme() == "smtps" && options.tls != TlsPolicy::Implicit {
            return Err(Error::invalid(format!(
                "url: smtps is TLS from the start, and tls={} is not; the scheme for that is smtp or submission",
                options.tls
            )));
        }
        Ok(options)
    }

    /// What the scheme says. Gives the port.
    fn set_scheme(&mut self, url: &Url) -> Result<Option<u16>, Error> {
        let port = url.port();
        Ok(match url.scheme() {
            "smtp" => port,
            "submission" => port.or(Some(587)),
            "smtps" => {
                self.set_tls(TlsPolicy::Implicit);
                port.or(Some(465))
            }
            "lmtp" | "lmtp+unix" => {
                self.set_protocol(Protocol::Lmtp);
                port
            }
            other => {
                return Err(Error::invalid(format!(
                    "url: the scheme {other:?} is not one of smtp, submission, smtps, lmtp and lmtp+unix"
                )));
            }
        })
    }

    /// Where the server is.
    fn set_place(&mut self, url: &Url, port: Option<u16>) -> Result<(), Error> {
        let host = url.host_str().unwrap_or_default();
        if url.scheme() == "lmtp+unix" {
            if !host.is_empty() {
                return Err(Error::invalid(
                    "url: lmtp+unix has no host; the form is lmtp+unix:///path, with three slashes",
                ));
            }
            let path = decoded("path", url.path())?;
            return self.set_unix_socket(Path::new(&path));
        }
        if !matches!(url.path(), "" | "/") {
            return Err(Error::invalid(
                "url: nothing stands behind host and port but ?options",
            ));
        }
        let provider = url.query_pairs().find(|(name, _)| name == "provider");
        let provider = provider
            .map(|(_, name)| Provider::named(&name))
            .transpose()?;
        let stands_for =
            |provider: &&Provider| host.is_empty() || host.eq_ignore_ascii_case(provider.name());
        if let Some(provider) = provider.filter(stands_for) {
            return self.set_server(provider.host(), port);
        }
        if host.is_empty() {
            return Err(Error::invalid("url: the host is missing"));
        }
        self.set_server(&decoded("host", host)?, port)
    }

    fn set_user(&mut self, url: &Url) -> Result<(), Error> {
        if let Some(password) = url.password() {
            let credentials = Credentials::new(
                decoded("user name", url.username())?,
                decoded("password", password)?,
            )
            .map_err(|e| Error::invalid(format!("url: {e}")))?;
            self.set_credentials(credentials);
        } else if !url.username().is_empty() {
            return Err(Error::invalid(
                "url: a user name was given without a password: user:password@host",
            ));
        }
        Ok(())
    }
}

fn decoded(what: &str, text: &str) -> Result<String, Error> {
    let text = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Error::invalid(format!("url: the {what} is not UTF-8")))?;
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            ("smtps://h?tls=none", "smtps"),
            ("smtps://h?tls=auto", "smtps"),
            ("smtps://h?tls=required", "smtps"),
            ("smtps://h:465?tls=opportunistic", "smtps"),
            ("smtp://u:p@my.host?provider=gmail", "my.host"),
            ("smtp://u:p@icloud?provider=gmail", "icloud"),
            ("smtp://u:p@smtp.gmail.com:465?provider=gmail", "465"),
            ("smtp://u:p@gmail:25?provider=gmail", ":25"),
            ("smtps://u:p@gmail?provider=gmail", ":465"),
            ("submission://u:p@aol?provider=aol", ":587"),
            ("lmtp://gmail?provider=gmail", "provider"),
            ("lmtp+unix:///run/lmtp?provider=gmail", "/run/lmtp"),
            ("smtp://u:p@gmail?provider=gmail&provider=icloud", "icloud"),
            ("smtp://u:p@gmial?provider=gmial", "gmial"),
            ("smtp://u:p@h?login=anonymous", "login"),
            ("smtp://h?login=password", "login"),
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
    fn a_provider_is_named_as_the_host_or_by_its_own() {
        for (url, port, tls) in [
            ("smtp://me:p@gmail?provider=gmail", 587, TlsPolicy::Required),
            ("smtp://me:p@GMAIL?provider=gmail", 587, TlsPolicy::Required),
            (
                "smtp://me:p@smtp.gmail.com?provider=gmail",
                587,
                TlsPolicy::Required,
            ),
            (
                "submission://me:p@gmail:587?provider=gmail",
                587,
                TlsPolicy::Required,
            ),
            ("smtp://?provider=gmail", 587, TlsPolicy::Required),
            ("smtp://me:p@aol?provider=aol", 465, TlsPolicy::Implicit),
            ("smtps://me:p@aol?provider=aol", 465, TlsPolicy::Implicit),
        ] {
            let options = Options::from_url(url).expect(url);
            let provider = options.provider().expect(url);
            assert!(url.to_lowercase().contains(provider.name()), "{url}");
            let expected = ServerAddress::Host {
                host: provider.host().to_owned(),
                port: Some(port),
            };
            assert_eq!(options.server, Some(expected), "{url}");
            assert_eq!(options.tls_policy(), tls, "{url}");
        }
    }

    #[test]
    fn smtps_takes_the_policy_that_it_is() {
        let options = Options::from_url("smtps://h?tls=implicit").unwrap();
        assert_eq!(options.tls_policy(), TlsPolicy::Implicit);
    }

    #[test]
    fn a_login_without_a_password_can_be_asked_for() {
        let options = Options::from_url("smtp://h?login=anonymous").unwrap();
        assert!(options.login.is_wanted() && !options.login.needs_tls());
        let options = Options::from_url("smtps://h?login=external").unwrap();
        let error = options.check().unwrap_err();
        assert!(error.to_string().contains("client_cert"), "{error}");
    }
}
