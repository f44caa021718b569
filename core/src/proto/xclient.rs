//! XCLIENT: what a proxy that is trusted says about the client on whose behalf it speaks.
//!
//! The command is Postfix's (its XCLIENT_README is the specification): `XCLIENT NAME=value …`, values in xtext.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Domain, Xtext, limits};

/// What is said about a client. `None`: nothing is, and what is known stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientAttributes {
    /// NAME: its host name, told in A-labels.
    pub name: Option<Attribute<Domain>>,
    /// ADDR: its address.
    pub address: Option<Attribute<IpAddr>>,
    /// PORT: its port.
    pub port: Option<Attribute<u16>>,
    /// PROTO: SMTP or ESMTP; here, whether it may use extensions.
    pub extended: Option<bool>,
    /// HELO: what it called itself.
    pub hello: Option<Attribute<ClientText>>,
    /// LOGIN: the user who has authenticated.
    pub login: Option<Attribute<ClientText>>,
    /// DESTADDR: the address that it connected to.
    pub destination_address: Option<Attribute<IpAddr>>,
    /// DESTPORT: the port that it connected to.
    pub destination_port: Option<Attribute<u16>>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute<T> {
    /// It is this.
    Known(T),
    /// `[UNAVAILABLE]`: there is none.
    Unavailable,
    /// `[TEMPUNAVAIL]`: it could not be found out now.
    TemporarilyUnavailable,
}

/// A text without control characters, of 255 octets at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientText(Box<str>);

/// Arguments of XCLIENT that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the form is XCLIENT NAME=value, with values in xtext")]
pub struct InvalidAttributes;

impl<T> Attribute<T> {
    /// The value, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unavailable | Self::TemporarilyUnavailable => None,
        }
    }
}

impl ClientText {
    /// A text; `None` if it is empty, too long, or has control characters.
    pub fn new(text: &str) -> Option<Self> {
        let fits =
            (1..=limits::DOMAIN).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ClientAttributes {
    /// The names of all attributes, as a server announces them.
    pub const NAMES: &str = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Parses what follows the verb. Each attribute is given at most once, and values are looked at once they are decoded.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidAttributes> {
        let mut all = Self::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            let (name, value) = word.split_once('=').ok_or(InvalidAttributes)?;
            all.set(name, value).ok_or(InvalidAttributes)?;
        }
        if all.is_empty() {
            return Err(InvalidAttributes);
        }
        Ok(all)
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("NAME") {
            attribute(&mut self.name, value, |text| text.parse().ok())
        } else if is("ADDR") {
            attribute(&mut self.address, value, address)
        } else if is("PORT") {
            attribute(&mut self.port, value, port)
        } else if is("PROTO") {
            let extended = match decode(value)? {
                text if text.eq_ignore_ascii_case("ESMTP") => true,
                text if text.eq_ignore_ascii_case("SMTP") => false,
                _ => return None,
            };
            self.extended.replace(extended).is_none().then_some(())
        } else if is("HELO") {
            attribute(&mut self.hello, value, ClientText::new)
        } else if is("LOGIN") {
            attribute(&mut self.login, value, ClientText::new)
        } else if is("DESTADDR") {
            attribute(&mut self.destination_address, value, address)
        } else if is("DESTPORT") {
            attribute(&mut self.destination_port, value, port)
        } else {
            None
        }
    }
}

impl fmt::Display for ClientAttributes {
    /// As they follow the verb, each with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, "NAME", self.name.as_ref(), |name| {
            name.as_ascii().to_owned()
        })?;
        print(f, "ADDR", self.address.as_ref(), address_text)?;
        print(f, "PORT", self.port.as_ref(), u16::to_string)?;
        if let Some(extended) = self.extended {
            f.write_str(if extended {
                " PROTO=ESMTP"
            } else {
                " PROTO=SMTP"
            })?;
        }
        print(f, "HELO", self.hello.as_ref(), ClientText::to_string)?;
        print(f, "LOGIN", self.login.as_ref(), ClientText::to_string)?;
        print(
            f,
            "DESTADDR",
            self.destination_address.as_ref(),
            address_text,
        )?;
        print(
            f,
            "DESTPORT",
            self.destination_port.as_ref(),
            u16::to_string,
        )
    }
}

fn attribute<T>(
    place: &mut Option<Attribute<T>>,
    value: &str,
    known: impl FnOnce(&str) -> Option<T>,
) -> Option<()> {
    let attribute = if value.eq_ignore_ascii_case("[UNAVAILABLE]") {
        Attribute::Unavailable
    } else if value.eq_ignore_ascii_case("[TEMPUNAVAIL]") {
        Attribute::TemporarilyUnavailable
    } else {
        Attribute::Known(known(&decode(value)?)?)
    };
    place.replace(attribute).is_none().then_some(())
}

fn decode(value: &str) -> Option<String> {
    String::from_utf8(value.parse::<Xtext>().ok()?.decode()).ok()
}

/// An IPv4 address, or an IPv6 one behind its tag.
fn address(text: &str) -> Option<IpAddr> {
    match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPV6:") => {
            text[5..].parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        }
        _ => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

fn address_text(address: &IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("IPV6:{v6}"),
    }
}

fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn print<T>(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    attribute: Option<&Attribute<T>>,
    text: impl FnOnce(&T) -> String,
) -> fmt::Result {
    match attribute {
        None => Ok(()),
        Some(Attribute::Unavailable) => write!(f, " {name}=[UNAVAILABLE]"),
        Some(Attribute::TemporarilyUnavailable) => write!(f, " {name}=[TEMPUNAVAIL]"),
        Some(Attribute::Known(value)) => {
            write!(f, " {name}={}", Xtext::encode(text(value).as_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<ClientAttributes, InvalidAttributes> {
        ClientAttributes::parse(text)
    }

    #[test]
    fn all_that_can_be_said_fits_on_a_command_line() {
        let label = "é".repeat(27);
        let name = [&label[..]; 4].join(".") + "." + &"é".repeat(17);
        let text = ClientText::new(&"\u{e9}".repeat(limits::DOMAIN / 2)).map(Attribute::Known);
        let address = Some(Attribute::Known([0xffff; 8].into()));
        let longest = ClientAttributes {
            name: name.parse().ok().map(Attribute::Known),
            address: address.clone(),
            port: Some(Attribute::TemporarilyUnavailable),
            extended: Some(true),
            hello: text.clone(),
            login: text,
            destination_address: address,
            destination_port: Some(Attribute::TemporarilyUnavailable),
        };
        assert!(longest.name.is_some() && longest.login.is_some());
        let line = format!("XCLIENT{longest}\r\n");
        assert!(line.len() < limits::COMMAND_LINE, "{}", line.len());
        assert_eq!(parse(&longest.to_string()), Ok(longest));
    }

    #[test]
    fn attributes_are_decoded_and_typed() {
        for (protocol, extended) in [("SMTP", false), ("smtp", false), ("ESMTP", true)] {
            let told = parse(&format!(" PROTO={protocol}")).unwrap();
            assert_eq!(told.extended, Some(extended));
        }
        let all = parse(
            " name=spike.example ADDR=IPv6:2001:db8::1 PORT=1234 PROTO=esmtp HELO=a+20b LOGIN=[UNAVAILABLE] DESTADDR=192.0.2.1 DESTPORT=[TEMPUNAVAIL]",
        )
        .unwrap();
        assert_eq!(
            all.address.as_ref().unwrap().known(),
            Some(&"2001:db8::1".parse().unwrap())
        );
        assert_eq!(
            (all.port.as_ref().unwrap().known(), all.extended),
            (Some(&1234), Some(true))
        );
        assert_eq!(all.hello.as_ref().unwrap().known().unwrap().as_str(), "a b");
        assert_eq!(all.login, Some(Attribute::Unavailable));
        assert_eq!(
            all.destination_port,
            Some(Attribute::TemporarilyUnavailable)
        );
    }

    #[test]
    fn a_name_outside_ascii_is_told_in_a_labels() {
        let name: Domain = "b\u{fc}cher.example".parse().unwrap();
        let all = ClientAttributes {
            name: Some(Attribute::Known(name)),
            ..ClientAttributes::default()
        };
        assert_eq!(all.to_string(), " NAME=xn--bcher-kva.example");
        assert_eq!(parse(&all.to_string()), Ok(all));
    }

    #[test]
    fn s377_s378_bad_attributes_and_hidden_line_ends_are_refused() {
        for text in [
            "",
            " ",
            " NAME",
            " FOO=1",
            " NAME=a+0D+0A",
            " NAME=a+0Ab",
            " LOGIN=a+0Db",
            " HELO=a+00",
            " HELO=+C3",
            " LOGIN=",
            " NAME=a b",
            " ADDR=1.2.3",
            " ADDR=2001:db8::1",
            " ADDR=[192.0.2.1]",
            " PORT=65536",
            " PORT=-1",
            " PORT=+1",
            " PORT=",
            " PROTO=HTTP",
            " NAME=a NAME=b",
            " PROTO=SMTP PROTO=SMTP",
            " NAME=a+2",
            " NAME=a=b",
        ] {
            assert_eq!(parse(text), Err(InvalidAttributes), "{text:?}");
        }
        assert!(parse(&format!(" HELO={}", "a".repeat(256))).is_err());
    }

    proptest! {
        #[test]
        fn what_parses_prints_and_parses_to_the_same(
            words in proptest::collection::vec(
                " (NAME|HELO|LOGIN|ADDR|DESTADDR|PORT|PROTO)=([a-c+20.-]{1,6}|IPV6:::[0-9]|[0-9]{1,5}|127.0.0.[0-9]|E?SMTP|\\[UNAVAILABLE\\])", 1..5
            )
        ) {
            if let Ok(attributes) = parse(&words.concat()) {
                prop_assert_eq!(parse(&attributes.to_string()).unwrap(), attributes);
            }
        }
    }
}
