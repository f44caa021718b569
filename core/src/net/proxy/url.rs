//! The URL of a proxy. It may hold a password, so no error repeats it.

use percent_encoding::percent_decode_str;
use url::Url;
use zeroize::Zeroizing;

use super::{Kind, Login, Proxy};
use crate::error::Error;
use crate::net::host::checked_host;

const FORM: &str = "the form is socks5://user:password@host:port, socks5h:// or http://";

impl Proxy {
    /// A proxy by its URL: `socks5://`, `socks5h://` or `http://`, with `user:password@host:port`, of which user and password may be
    /// missing, and the port if it is 1080 for SOCKS5 or 80 for HTTP. User and password are percent-encoded. No error has a part of
    /// the URL in it but the host.
    pub(crate) fn from_url(text: &str) -> Result<Self, Error> {
        // The parser would drop CR, LF and TAB without a word.
        if text.contains(char::is_control) {
            return Err(invalid("a control character stands in it"));
        }
        let parsed = Url::parse(text).map_err(|error| invalid(&format!("{error}; {FORM}")))?;
        let proxy = Self::from_parsed(&parsed);
        drop(Zeroizing::new(String::from(parsed)));
        proxy
    }

    fn from_parsed(url: &Url) -> Result<Self, Error> {
        let (kind, usual) = match url.scheme() {
            "socks5" => (Kind::Socks5, 1080),
            "socks5h" => (Kind::Socks5h, 1080),
            "http" => (Kind::Http, 80),
            "https" => {
                return Err(invalid(
                    "TLS to a proxy is not supported; TLS to the server goes through http:// as well, and no proxy can read it",
                ));
            }
            _ => return Err(invalid(&format!("it is of another kind; {FORM}"))),
        };
        let rest = matches!(url.path(), "" | "/") && url.query().is_none();
        if !rest || url.fragment().is_some() {
            return Err(invalid(
                "nothing stands behind host and port; in a user name or password, / ? # @ are written %2F %3F %23 %40",
            ));
        }
        let port = url.port().unwrap_or(usual);
        if port == 0 {
            return Err(invalid("0 is no port to connect to"));
        }
        Ok(Self {
            kind,
            host: host(url)?,
            port,
            login: login(url, kind)?,
        })
    }
}

fn host(url: &Url) -> Result<String, Error> {
    let host = url.host_str().unwrap_or_default();
    let decoded = percent_decode_str(host).decode_utf8().unwrap_or_default();
    checked_host(&decoded).map_err(|why| invalid(&format!("its host {decoded:?}: {why}")))
}

fn login(url: &Url, kind: Kind) -> Result<Option<Login>, Error> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let login = Login {
        user: part("user name", url.username())?,
        password: part("password", url.password().unwrap_or_default())?,
    };
    if login.user.is_empty() || login.password.is_empty() {
        return Err(invalid(
            "a user name and a password belong together: user:password@host",
        ));
    }
    match kind {
        // RFC 1929 section 2: each has its length in one octet.
        Kind::Socks5 | Kind::Socks5h if login.user.len().max(login.password.len()) > 255 => Err(
            invalid("SOCKS5 has no room for a user name or password of more than 255 octets"),
        ),
        // RFC 7617 section 2.
        Kind::Http if login.user.contains(':') => {
            Err(invalid("HTTP has no user name with a colon in it"))
        }
        _ => Ok(Some(login)),
    }
}

fn part(what: &str, text: &str) -> Result<Zeroizing<String>, Error> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map(|decoded| Zeroizing::new(decoded.into_owned()))
        .map_err(|_| invalid(&format!("its {what} is not UTF-8")))?;
    if decoded.contains(char::is_control) {
        return Err(invalid(&format!(
            "a control character stands in its {what}"
        )));
    }
    Ok(decoded)
}

fn invalid(what: &str) -> Error {
    Error::invalid(format!("proxy: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_kind_place_and_login() {
        for (url, kind, label, login) in [
            (
                "socks5://proxy.example",
                Kind::Socks5,
                "proxy.example:1080",
                None,
            ),
            (
                "socks5h://127.0.0.1:9050/",
                Kind::Socks5h,
                "127.0.0.1:9050",
                None,
            ),
            ("http://[::1]:3128", Kind::Http, "[::1]:3128", None),
            ("socks5://[::1]", Kind::Socks5, "[::1]:1080", None),
            (
                "http://proxy.example.",
                Kind::Http,
                "proxy.example:80",
                None,
            ),
            (
                "socks5://us%40er:p%2Fw%3a@h:1",
                Kind::Socks5,
                "h:1",
                Some(("us@er", "p/w:")),
            ),
            ("http://u:p%C3%A9@h:1", Kind::Http, "h:1", Some(("u", "pé"))),
        ] {
            let proxy = Proxy::from_url(url).unwrap();
            assert_eq!((proxy.kind, proxy.label().as_str()), (kind, label), "{url}");
            let told = proxy.login.as_ref();
            let told = told.map(|login| (login.user.as_str(), login.password.as_str()));
            assert_eq!(told, login, "{url}");
        }
    }

    #[test]
    fn a_bad_url_is_refused_and_its_login_told_by_nothing() {
        let long = "x".repeat(256);
        for (url, word) in [
            ("", "form"),
            ("proxy.example:1080", "form"),
            ("ftp://u:hunter2@h", "form"),
            ("socks4://u:hunter2@h", "form"),
            ("https://u:hunter2@h", "TLS to a proxy"),
            ("socks5://", "host"),
            ("socks5://u:hunter2@", "host"),
            ("socks5://a%20b", "host"),
            ("socks5://a%0d%0ab", "host"),
            ("http://a_b..c", "host"),
            ("socks5://[IPv6:::1]", ""),
            ("socks5://h:0", "port"),
            ("socks5://h:99999", "port"),
            ("socks5://u:hunter2@h/path", "behind host"),
            ("socks5://u:12?hunter2@h", ""),
            ("socks5://u:12/hunter2@h", ""),
            ("http://u:12#hunter2@h", ""),
            ("socks5://u@h", "belong together"),
            ("socks5://:hunter2@h", "belong together"),
            ("socks5://u:hunter2%0d%0aX@h", "password"),
            ("socks5://u%00:hunter2@h", "user name"),
            ("socks5://u:hunter2%ff@h", "password"),
            ("socks5://u:hunter2\r\n@h", "control character"),
            ("http://u%3Ax:hunter2@h", "colon"),
            (&format!("socks5://u:{long}@h"), "255"),
        ] {
            let error = Proxy::from_url(url).expect_err(url);
            let told = format!("{error} {error:?}");
            assert!(error.message().starts_with("proxy: "), "{told}");
            assert!(told.contains(word), "{url}: {told}");
            assert!(!told.contains("hunter2") && !told.contains(&long), "{told}");
        }
    }

    #[test]
    fn the_login_is_not_printed() {
        let proxy = Proxy::from_url("socks5://someone:hunter2@h").unwrap();
        let told = format!("{proxy:?}");
        assert!(told.contains("h:1080"), "{told}");
        assert!(
            !told.contains("hunter2") && !told.contains("someone"),
            "{told}"
        );
    }
}
