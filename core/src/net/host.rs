//! The host of a server or a proxy: as people write it, as errors show it, and as name servers know it. And the name of our own.

use std::net::IpAddr;

use crate::error::Error;
use crate::proto::Domain;

/// The host that was given, by name or address, as it is kept: an address without brackets, a name without the dot at its end.
/// Fails with the reason.
pub(crate) fn checked_host(host: &str) -> Result<String, String> {
    let bare = without_brackets(host);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    // A trailing dot marks a name as absolute for the resolver; certificates and HELO are without it.
    let name = host.strip_suffix('.').unwrap_or(host);
    let domain: Domain = name.parse().map_err(|error| format!("{error}"))?;
    if domain.is_literal() {
        return Err("an address stands without a tag, as 192.0.2.1 or [2001:db8::1]".to_owned());
    }
    Ok(domain.as_str().to_owned())
}

/// `host:port`, with brackets where the host has colons.
pub(crate) fn host_and_port(host: &str, port: u16) -> String {
    let bare = without_brackets(host);
    if bare.contains(':') {
        format!("[{bare}]:{port}")
    } else {
        format!("{bare}:{port}")
    }
}

/// What this machine calls itself, if that is text.
pub(crate) fn machine_name() -> Option<String> {
    let uname = rustix::system::uname();
    uname.nodename().to_str().ok().map(str::to_owned)
}

pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

/// The name as name servers know it. What cannot be one never reaches the resolver, which would cut it at a NUL.
pub(super) fn ascii_name(host: &str) -> Result<String, Error> {
    idna::domain_to_ascii(host)
        .ok()
        .filter(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
        .ok_or_else(|| Error::invalid(format!("`{}` is not a host name", host.escape_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_stand_around_colons() {
        assert_eq!(host_and_port("mail.example", 25), "mail.example:25");
        assert_eq!(host_and_port("::1", 25), "[::1]:25");
        assert_eq!(host_and_port("[::1]", 25), "[::1]:25");
    }

    #[test]
    fn a_host_is_kept_without_brackets_and_without_its_last_dot() {
        for (given, kept) in [
            ("mail.example", "mail.example"),
            ("mail.example.", "mail.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[192.0.2.1]", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
        ] {
            assert_eq!(checked_host(given).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for wrong in [
            "",
            ".",
            "a b",
            "a..b",
            "a\r\nb",
            "a\0b",
            "[]",
            "[mail.example]",
        ] {
            checked_host(wrong).expect_err(wrong);
        }
        let why = checked_host("[IPv6:2001:db8::1]").unwrap_err();
        assert!(why.contains("without a tag"), "{why}");
    }
}
