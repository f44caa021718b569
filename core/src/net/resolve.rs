//! From the name of a host to its addresses, in the order in which they are tried.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};

use super::connect::deadline;
use super::deadline::{shown, until};
use super::host::{ascii_name, without_brackets};
use crate::error::{Error, Status};

/// The addresses of `host`, within `timeout`. An address is not looked up.
///
/// The error is [`Status::Dns`], which lasts where there is no such host and is transient where the name server did not answer;
/// [`Status::Timeout`]; or [`Status::InvalidArgument`]. Dropping the future leaves the look-up to end in its thread.
pub(super) async fn resolve(
    host: &str,
    port: u16,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, Error> {
    let bare = without_brackets(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = ascii_name(bare)?;
    let asked = name.clone();
    let looking = tokio::task::spawn_blocking(move || look_up(&asked, port));
    let looked_up = until(deadline(timeout), looking).await.ok_or_else(|| {
        let text = format!(
            "no name server told the address of {name} within {}: is the network up?",
            shown(timeout)
        );
        Error::new(Status::Timeout, text)
    })?;
    let found = looked_up
        .map_err(|_| Error::new(Status::Internal, "the look-up of a host name did not end"))??;
    if found.is_empty() {
        return Err(no_such_host(&name));
    }
    Ok(by_turns(found))
}

/// Asks the system, and blocks. Rust's own way hides the number that getaddrinfo failed with behind its text, and that is in the
/// user's language, so it cannot tell a name that does not exist from a name server that does not answer.
fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    let found = getaddrinfo(Some(name), None, Some(hints)).map_err(|e| fault(name, e))?;
    let mut addresses = Vec::new();
    // What is of neither family of IP is an error to the one who reads the list, and none to us.
    for info in found.flatten() {
        let mut address = info.sockaddr;
        address.set_port(port);
        addresses.push(address);
    }
    Ok(addresses)
}

fn fault(name: &str, error: LookupError) -> Error {
    let kind = error.kind();
    let cause = io::Error::from(error);
    let error = match kind {
        LookupErrorKind::NoName | LookupErrorKind::NoData => no_such_host(name),
        // A server that says SERVFAIL is among those too.
        LookupErrorKind::Again => Error::new(
            Status::Dns,
            format!(
                "the name server did not answer for `{name}`: try again later; if that does not help, see whether this machine \
                 reaches a name server"
            ),
        ),
        LookupErrorKind::Fail => Error::new(
            Status::Dns,
            format!("the name server refuses to look up `{name}`: check the name, and which name server this machine asks"),
        )
        .lasting(),
        _ => Error::new(
            Status::Dns,
            format!("the system could not look up `{name}`: {cause}; try again later"),
        ),
    };
    error.with_source(cause)
}

fn no_such_host(name: &str) -> Error {
    let text = format!("no such host `{name}`: check the spelling");
    Error::new(Status::Dns, text).lasting()
}

/// IPv6 and IPv4 by turns, beginning with the family that the resolver put first (RFC 8305 section 4). Each address once.
fn by_turns(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut unique = Vec::with_capacity(found.len());
    for address in found {
        if !unique.contains(&address) {
            unique.push(address);
        }
    }
    let first_is_v6 = unique.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = unique
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut second = second.into_iter();
    let mut ordered = Vec::new();
    for address in first {
        ordered.push(address);
        ordered.extend(second.next());
    }
    ordered.extend(second);
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_nothing_is_tried_twice() {
        let found = addresses(&[
            "[::1]:25",
            "[::2]:25",
            "[::1]:25",
            "[::3]:25",
            "1.1.1.1:25",
            "2.2.2.2:25",
        ]);
        let ordered = addresses(&[
            "[::1]:25",
            "1.1.1.1:25",
            "[::2]:25",
            "2.2.2.2:25",
            "[::3]:25",
        ]);
        assert_eq!(by_turns(found), ordered);
        let only_v4 = addresses(&["1.1.1.1:25", "2.2.2.2:25"]);
        assert_eq!(by_turns(only_v4.clone()), only_v4);
    }

    #[test]
    fn a_name_that_does_not_exist_is_told_from_a_name_server_that_does_not_answer() {
        let mut texts = Vec::new();
        for (number, may_work_later, word) in [
            (libc::EAI_NONAME, false, "no such host `mx.example`"),
            (
                libc::EAI_AGAIN,
                true,
                "did not answer for `mx.example`: try again later",
            ),
            (libc::EAI_FAIL, false, "refuses to look up `mx.example`"),
            (libc::EAI_MEMORY, true, "could not look up `mx.example`"),
        ] {
            let error = fault("mx.example", LookupError::new(number));
            assert_eq!(error.status(), Status::Dns);
            assert_eq!(error.is_transient(), may_work_later, "{error}");
            assert!(error.message().contains(word), "{error}");
            assert!(!texts.contains(&error.message().to_owned()), "{error}");
            texts.push(error.message().to_owned());
        }
    }

    #[tokio::test]
    async fn the_systems_own_name_is_found_with_the_port() {
        let found = resolve("localhost", 2525, Duration::from_secs(10)).await;
        let found = found.unwrap();
        let local = |a: &SocketAddr| a.ip().is_loopback() && a.port() == 2525;
        assert!(!found.is_empty() && found.iter().all(local), "{found:?}");
    }
}
