//! The name that a server's certificate must be for.

use rustls::pki_types::{DnsName, ServerName};

use crate::error::Error;

/// The name to verify and to ask for by SNI: a host name, in A-labels and without the dot of a fully qualified name (RFC 6066
/// section 3 forbids it there), or an IP address, in brackets or without.
pub(crate) fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(address) = bare.parse::<std::net::IpAddr>() {
        return Ok(ServerName::IpAddress(address.into()));
    }
    let refuse = || {
        Error::invalid(format!(
            "`{}` is neither a host name nor an IP address",
            host.escape_default()
        ))
    };
    let relative = host.strip_suffix('.').unwrap_or(host);
    let ascii = idna::domain_to_ascii(relative).map_err(|_| refuse())?;
    // An A-label that cannot be shown would still be compared; an empty name or one with spaces ends here.
    DnsName::try_from(ascii)
        .map(ServerName::DnsName)
        .map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(host: &str) -> String {
        server_name(host).unwrap().to_str().into_owned()
    }

    #[test]
    fn names_are_brought_to_the_form_of_certificates() {
        assert_eq!(written("mail.example.org"), "mail.example.org");
        assert_eq!(written("mail.example.org."), "mail.example.org");
        assert_eq!(written("MAIL.Example.org"), "mail.example.org");
        assert_eq!(written("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(written("localhost"), "localhost");
    }

    #[test]
    fn an_address_stays_an_address() {
        for (host, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::1", "::1"),
            ("[2001:db8::1]", "2001:db8::1"),
        ] {
            assert!(matches!(
                server_name(host).unwrap(),
                ServerName::IpAddress(_)
            ));
            assert_eq!(written(host), expected);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for host in ["", ".", "a b", "a\r\nb", "a\0", "-a.example", "a..b", "[x]"] {
            assert!(server_name(host).is_err(), "{host:?}");
        }
    }
}
