//! Commands, addresses and parameters: what was parsed is printed again, and reads the same.

use std::fmt::Display;
use std::str::FromStr;

use mailwire::proto::{
    Command, Domain, ForwardPath, Mailbox, Parameter, ReversePath, Xtext, limits,
};

/// A command line without its CRLF.
pub(crate) fn command(line: &[u8]) {
    let parsed = Command::parse(line);
    if line.iter().any(|octet| b"\r\n\0".contains(octet)) {
        assert!(parsed.is_err(), "no command holds CR, LF or NUL");
    }
    match parsed {
        Ok(Command::Mail(path, parameters)) => {
            let printed = wire(&format!("MAIL FROM:<{path}>{parameters}"));
            assert_eq!(
                Command::parse(printed.as_bytes()),
                Ok(Command::Mail(path, parameters)),
                "{printed}"
            );
        }
        Ok(Command::Rcpt(path, parameters)) => {
            let printed = wire(&format!("RCPT TO:<{path}>{parameters}"));
            assert_eq!(
                Command::parse(printed.as_bytes()),
                Ok(Command::Rcpt(path, parameters)),
                "{printed}"
            );
        }
        Ok(Command::Xclient(attributes)) => {
            let printed = wire(&format!("XCLIENT{attributes}"));
            let again = Command::parse(printed.as_bytes());
            assert_eq!(again, Ok(Command::Xclient(attributes)), "{printed}");
        }
        Ok(Command::Helo(name) | Command::Ehlo(name) | Command::Lhlo(name)) => {
            assert!(!name.is_empty() && name.len() <= limits::DOMAIN);
            assert!(
                name.bytes().all(|octet| octet.is_ascii_graphic()),
                "one printable word"
            );
        }
        Ok(Command::Auth(mechanism, _)) => {
            // RFC 4422 section 3.1: at most 20 letters, digits, hyphens and underscores.
            assert!((1..=20).contains(&mechanism.len()) && mechanism.is_ascii());
        }
        Ok(Command::Unknown(verb, _)) => {
            assert!(!verb.is_empty() && verb.bytes().all(|octet| octet.is_ascii_graphic()));
            for known in [
                "MAIL", "RCPT", "DATA", "RSET", "QUIT", "NOOP", "EHLO", "STARTTLS",
            ] {
                assert!(!verb.eq_ignore_ascii_case(known), "{known} is known");
            }
        }
        _ => {}
    }
}

/// An address, a domain or a path.
pub(crate) fn address(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    if let Some(mailbox) = identity::<Mailbox>(text) {
        assert!(
            mailbox.local_part().len() <= limits::LOCAL_PART,
            "the local part is bounded"
        );
        assert_eq!(
            format!("{}@{}", mailbox.local_part(), mailbox.domain()),
            mailbox.as_str()
        );
        assert!(
            mailbox.domain().parse::<Domain>().is_ok(),
            "its domain is one"
        );
    }
    if let Some(domain) = identity::<Domain>(text) {
        assert!(
            domain.as_str().len() <= limits::DOMAIN + "[]".len(),
            "a domain is bounded"
        );
    }
    identity::<ReversePath>(text);
    identity::<ForwardPath>(text);
}

/// Reads `text`, and holds that printing it gives what reads the same and prints the same again.
fn identity<T: FromStr + Display + PartialEq + std::fmt::Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let printed = wire(&value.to_string());
    let Ok(again) = printed.parse::<T>() else {
        panic!("{printed:?} was printed and cannot be read");
    };
    assert_eq!(again, value, "{text:?} means the same when it was printed");
    assert_eq!(again.to_string(), printed, "printing is stable");
    if text.is_ascii() && text != "<>" && !text.eq_ignore_ascii_case("postmaster") {
        assert_eq!(
            printed, text,
            "printing what was parsed gives back the same octets"
        );
    }
    Some(value)
}

/// What follows the path of MAIL and of RCPT, and a parameter of an application's own.
pub(crate) fn parameters(octets: &[u8]) {
    command(&[b"MAIL FROM:<> ", octets].concat());
    command(&[b"RCPT TO:<postmaster> ", octets].concat());
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    let (keyword, value) = text
        .split_once('=')
        .map_or((text, None), |(k, v)| (k, Some(v)));
    if let Ok(parameter) = Parameter::new(keyword, value) {
        assert_eq!((parameter.keyword(), parameter.value()), (keyword, value));
        assert!(
            !wire(&parameter.to_string()).contains(' '),
            "one word on the line"
        );
    }
}

/// What a proxy says behind XCLIENT.
pub(crate) fn xclient(octets: &[u8]) {
    command(&[b"XCLIENT ", octets].concat());
}

/// xtext, as text and as the octets that it stands for.
pub(crate) fn xtext(octets: &[u8]) {
    let encoded = Xtext::encode(octets);
    let plain = |octet: u8| octet.is_ascii_graphic() && octet != b'=';
    assert!(encoded.as_str().bytes().all(plain), "RFC 3461 section 4");
    assert_eq!(encoded.decode(), octets);
    assert_eq!(encoded.as_str().parse().as_ref(), Ok(&encoded));
    if let Some(given) = std::str::from_utf8(octets)
        .ok()
        .and_then(|text| text.parse::<Xtext>().ok())
    {
        assert_eq!(
            given.as_str().as_bytes(),
            octets,
            "it prints as it was given"
        );
        assert_eq!(
            Xtext::encode(&given.decode()),
            given,
            "equality is by meaning"
        );
    }
}

/// Holds that `text` can stand on a command line.
fn wire(text: &str) -> String {
    assert!(
        !text.chars().any(char::is_control),
        "{text:?} has a control character"
    );
    text.to_owned()
}
