//! Networks of IP addresses, to say who is trusted.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An address, or all that begin with the same bits: `192.0.2.1`, `2001:db8::/32`. An IPv4 network inside IPv6, as
/// `::ffff:192.0.2.0/120`, is the IPv4 network; a prefix of fewer than 96 bits there is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address or network, as 192.0.2.1 or 2001:db8::/32")]
pub struct InvalidNetwork(String);

impl Network {
    /// Whether the address is one of the network. An IPv4 address inside an IPv6 one is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shift = |width: u8| u32::from(width - self.bits);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let different = own.to_bits() ^ other.to_bits();
                different.checked_shr(shift(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let different = own.to_bits() ^ other.to_bits();
                different.checked_shr(shift(128)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// Whether the address is one of any of these networks.
    pub(super) fn any_contains(networks: &[Self], address: IpAddr) -> bool {
        networks.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = match bits {
            None => width,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => {
                bits.parse().map_err(|_| invalid())?
            }
            Some(_) => return Err(invalid()),
        };
        if bits > width {
            return Err(invalid());
        }
        // An IPv4 network inside IPv6 is the IPv4 network, or it would hold nothing; a wider one is none of addresses that peers have.
        let inside = match address {
            IpAddr::V6(address) => address.to_ipv4_mapped(),
            IpAddr::V4(_) => None,
        };
        Ok(match inside {
            Some(inside) => Self {
                address: inside.into(),
                bits: bits.checked_sub(96).ok_or_else(invalid)?,
            },
            None => Self { address, bits },
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_like_it() {
        for (network, inside, outside) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.77/24", "::ffff:192.0.2.1", "::c000:201"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "2001:db8::1", "127.0.0.1"),
            ("::ffff:192.0.2.0/120", "192.0.2.255", "192.0.3.0"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("::ffff:0:0/96", "255.255.255.255", "::1"),
            ("2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(
                network.contains(inside.parse().unwrap()),
                "{network} {inside}"
            );
            assert!(
                !network.contains(outside.parse().unwrap()),
                "{network} {outside}"
            );
        }
    }

    #[test]
    fn an_ipv4_network_inside_ipv6_prints_as_what_it_is() {
        let network: Network = "::ffff:192.0.2.0/120".parse().unwrap();
        assert_eq!(network.to_string(), "192.0.2.0/24");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "a",
            "192.0.2",
            "192.0.2.1/33",
            "192.0.2.1/",
            "192.0.2.1/+8",
            "192.0.2.1/-1",
            "::1/129",
            "::ffff:192.0.2.0/95",
            "/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
