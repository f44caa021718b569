//! The header of the PROXY protocol, by which a proxy tells a server for whom it has opened a connection: made and read in both
//! versions, as haproxy's `proxy-protocol.txt` has them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use memchr::memchr;

use super::head::take_head;
use super::stream::{Peer, Stream};

/// How the header of the PROXY protocol is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// What a header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing: the connection is the proxy's own (LOCAL), or its client has no IP address (UNKNOWN).
    Nothing,
    /// The client's address.
    Client(SocketAddr),
}

/// What came is no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no header of the PROXY protocol")]
struct Malformed;

/// Section 2.1: the longest line, with its CRLF.
const LONGEST_LINE: usize = 107;
const LINE_BEGINS: &[u8] = b"PROXY ";
/// Section 2.2: the octets that every header of version 2 begins with, and those up to what its length counts.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED: usize = 16;
/// The most octets behind them: the addresses, which take 216 at most, and fields that are skipped.
const LONGEST_REST: usize = 536;

const TCP_4: u8 = 0x11;
const TCP_6: u8 = 0x21;

/// The header for a connection of `client` to `server`, or one that tells nothing.
pub(crate) fn proxy_header(
    version: ProxyVersion,
    client: Option<SocketAddr>,
    server: SocketAddr,
) -> Vec<u8> {
    let both = client.map(|client| of_one_family(client, server));
    match (version, both) {
        (ProxyVersion::V1, None) => b"PROXY UNKNOWN\r\n".to_vec(),
        (ProxyVersion::V1, Some((client, server))) => {
            let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
            format!(
                "PROXY {family} {} {} {} {}\r\n",
                client.ip(),
                server.ip(),
                client.port(),
                server.port()
            )
            .into_bytes()
        }
        (ProxyVersion::V2, None) => [SIGNATURE, &[0x20, 0, 0, 0]].concat(),
        (ProxyVersion::V2, Some((client, server))) => {
            let (family, length) = if client.is_ipv4() {
                (TCP_4, 12)
            } else {
                (TCP_6, 36)
            };
            let mut header = [SIGNATURE, &[0x21, family, 0, length]].concat();
            for address in [client.ip(), server.ip()] {
                match address {
                    IpAddr::V4(ip) => header.extend(ip.octets()),
                    IpAddr::V6(ip) => header.extend(ip.octets()),
                }
            }
            header.extend(client.port().to_be_bytes());
            header.extend(server.port().to_be_bytes());
            header
        }
    }
}

/// Two addresses as they are where both are of one family, else both as IPv6.
fn of_one_family(client: SocketAddr, server: SocketAddr) -> (SocketAddr, SocketAddr) {
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    if client.is_ipv4() == server.is_ipv4() {
        (client, server)
    } else {
        (mapped(client), mapped(server))
    }
}

/// Takes the header that a connection in clear begins with, and nothing of what follows. From then on the peer is whom the header
/// tells, if it tells. An error of the kind [`io::ErrorKind::InvalidData`] means that it is no header. Dropping the future leaves
/// the connection in the middle of it.
pub(crate) async fn take_proxy_header(stream: &mut Stream) -> io::Result<()> {
    let parse = |octets: &[u8]| {
        parse(octets).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    };
    let told = take_head(stream.plain()?, FIXED + LONGEST_REST, parse).await?;
    if let Told::Client(address) = told {
        stream.set_peer(Peer::Address(address));
    }
    Ok(())
}

/// The length of the header at the beginning of `octets` and what it tells, or `None` while it may become one.
fn parse(octets: &[u8]) -> Result<Option<(usize, Told)>, Malformed> {
    let begins_like = |start: &[u8]| {
        let both = start.len().min(octets.len());
        start[..both] == octets[..both]
    };
    if begins_like(LINE_BEGINS) {
        parse_line(octets)
    } else if begins_like(SIGNATURE) {
        parse_binary(octets)
    } else {
        Err(Malformed)
    }
}

fn parse_line(octets: &[u8]) -> Result<Option<(usize, Told)>, Malformed> {
    let most = &octets[..octets.len().min(LONGEST_LINE)];
    let Some(end) = memchr(b'\n', most) else {
        return if most.len() < LONGEST_LINE {
            Ok(None)
        } else {
            Err(Malformed)
        };
    };
    let line = most[..end].strip_suffix(b"\r").ok_or(Malformed)?;
    let line = line.strip_prefix(LINE_BEGINS).ok_or(Malformed)?;
    let line = str::from_utf8(line).map_err(|_| Malformed)?;
    // Whatever stands behind UNKNOWN is to be overlooked.
    let told = if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        Told::Nothing
    } else {
        let mut words = line.split(' ');
        let client = match words.next() {
            Some("TCP4") => addresses::<Ipv4Addr>(&mut words)?,
            Some("TCP6") => addresses::<Ipv6Addr>(&mut words)?,
            _ => return Err(Malformed),
        };
        if words.next().is_some() {
            return Err(Malformed);
        }
        Told::Client(client)
    };
    Ok(Some((end + 1, told)))
}

/// The client's address and port. The server's are checked and not needed: ours are known.
fn addresses<'a, T: FromStr + Into<IpAddr>>(
    words: &mut impl Iterator<Item = &'a str>,
) -> Result<SocketAddr, Malformed> {
    let mut address = || words.next()?.parse::<T>().ok();
    let client = address().ok_or(Malformed)?;
    address().ok_or(Malformed)?;
    let mut port = || words.next().and_then(port);
    let client_port = port().ok_or(Malformed)?;
    port().ok_or(Malformed)?;
    Ok(SocketAddr::new(client.into(), client_port))
}

/// A port in digits, without zeros in front.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|octet| octet.is_ascii_digit());
    let short = word == "0" || !word.starts_with('0');
    (plain && short).then(|| word.parse().ok())?
}

fn parse_binary(octets: &[u8]) -> Result<Option<(usize, Told)>, Malformed> {
    let Some((fixed, rest)) = octets.split_first_chunk::<FIXED>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_REST {
        return Err(Malformed);
    }
    // What stands behind the addresses is of no use here.
    let least = match (command, family) {
        (0x21, TCP_4) => 12,
        (0x21, TCP_6) => 36,
        // LOCAL, whatever family it says; a client whose family is not told or that came through a Unix socket.
        (0x20, _) | (0x21, 0x00 | 0x31) => 0,
        _ => return Err(Malformed),
    };
    if length < least {
        return Err(Malformed);
    }
    let Some(rest) = rest.get(..length) else {
        return Ok(None);
    };
    let told = match (least, rest) {
        (12, [a, b, c, d, _, _, _, _, high, low, ..]) => {
            let ip = Ipv4Addr::new(*a, *b, *c, *d);
            let port = u16::from_be_bytes([*high, *low]);
            Told::Client(SocketAddr::new(ip.into(), port))
        }
        (36, rest) => {
            let ip = rest.first_chunk::<16>().ok_or(Malformed)?;
            let port = rest[32..].first_chunk().ok_or(Malformed)?;
            Told::Client(SocketAddr::new((*ip).into(), u16::from_be_bytes(*port)))
        }
        _ => Told::Nothing,
    };
    Ok(Some((FIXED + length, told)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &length, rest].concat()
    }

    fn client(text: &str) -> Told {
        Told::Client(text.parse().unwrap())
    }

    #[test]
    fn both_versions_tell_the_client() {
        let mut four = vec![192, 0, 2, 1, 127, 0, 0, 1, 0x12, 0x34, 0, 25];
        let bare = binary(0x21, TCP_4, &four);
        four.extend(b"\x04\x00\x03abc");
        let six = [[0x20; 16], [0; 16]].concat();
        for (header, told) in [
            (
                b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 25\r\n".to_vec(),
                client("192.0.2.1:4660"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 65535 0\r\n".to_vec(),
                client("[2001:db8::1]:65535"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Told::Nothing),
            (b"PROXY UNKNOWN ffff::1 x \0 y\r\n".to_vec(), Told::Nothing),
            (bare, client("192.0.2.1:4660")),
            (binary(0x21, TCP_4, &four), client("192.0.2.1:4660")),
            (
                binary(0x21, TCP_6, &[&six[..], &[1, 2, 0, 25]].concat()),
                client("[2020:2020:2020:2020:2020:2020:2020:2020]:258"),
            ),
            (binary(0x21, 0x00, b""), Told::Nothing),
            (binary(0x21, 0x31, &[0; 216]), Told::Nothing),
            (binary(0x20, 0x00, b""), Told::Nothing),
            (binary(0x20, 0xff, b"anything"), Told::Nothing),
            (binary(0x20, 0x00, &[0; LONGEST_REST]), Told::Nothing),
        ] {
            let expected = Ok(Some((header.len(), told)));
            assert_eq!(parse(&header), expected, "{}", header.escape_ascii());
            let with_more = [&header[..], b"EHLO\r\n"].concat();
            assert_eq!(parse(&with_more), expected);
            for end in 0..header.len() {
                assert_eq!(parse(&header[..end]), Ok(None), "cut at {end}");
            }
        }
    }

    #[test]
    fn s372_s373_what_is_no_header_is_malformed() {
        let long_line = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 92], b"\r\n"].concat();
        assert_eq!(long_line.len(), LONGEST_LINE + 1);
        for octets in [
            &b"EHLO a\r\n"[..],
            b"P ",
            b"\r\n\r\nx",
            b"\x16\x03\x01",
            b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 25\n",
            b"PROXY TCP4 192.0.2.1 127.0.0.1 4660\r\n",
            b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 25 \r\n",
            b"PROXY TCP4  192.0.2.1 127.0.0.1 4660 25\r\n",
            b"PROXY TCP4 192.0.2.1 127.0.0.1 +466 25\r\n",
            b"PROXY TCP4 192.0.2.1 127.0.0.1 0466 25\r\n",
            b"PROXY TCP4 192.0.2.1 127.0.0.1 4660 65536\r\n",
            b"PROXY TCP4 192.0.2.01 127.0.0.1 4660 25\r\n",
            b"PROXY TCP4 ::1 ::1 4660 25\r\n",
            b"PROXY TCP6 192.0.2.1 127.0.0.1 4660 25\r\n",
            b"PROXY UDP4 192.0.2.1 127.0.0.1 4660 25\r\n",
            b"PROXY UNKNOWNS\r\n",
            b"PROXY \xff\r\n",
            b"PROXY \r\n",
            b"proxy UNKNOWN\r\n",
            &long_line,
            &binary(0x11, TCP_4, &[0; 12]),
            &binary(0x22, TCP_4, &[0; 12]),
            &binary(0x21, 0x12, &[0; 12]),
            &binary(0x21, TCP_4, &[0; 11]),
            &binary(0x21, TCP_6, &[0; 35]),
            &binary(0x20, 0x00, &[0; LONGEST_REST + 1]),
        ] {
            assert_eq!(parse(octets), Err(Malformed), "{}", octets.escape_ascii());
        }
        assert_eq!(parse(&long_line[..LONGEST_LINE - 1]), Ok(None));
    }

    fn any_address() -> impl Strategy<Value = SocketAddr> {
        let ip = prop_oneof![
            any::<[u8; 4]>().prop_map(IpAddr::from),
            any::<[u8; 16]>().prop_map(IpAddr::from),
        ];
        (ip, any::<u16>()).prop_map(SocketAddr::from)
    }

    fn any_octets() -> impl Strategy<Value = Vec<u8>> {
        let tail = proptest::collection::vec(any::<u8>(), 0..700);
        let words = "[A-Z0-9:. ]{0,90}\r?\n?".prop_map(String::into_bytes);
        let begin = prop_oneof![
            Just(Vec::new()),
            Just(LINE_BEGINS.to_vec()),
            Just(b"PROXY TCP4 ".to_vec()),
            Just(SIGNATURE.to_vec()),
            Just([SIGNATURE, &[0x21, TCP_6, 0]].concat()),
        ];
        (begin, prop_oneof![tail, words]).prop_map(|(begin, rest)| [begin, rest].concat())
    }

    proptest! {
        #[test]
        fn what_is_made_is_read(
            client in proptest::option::of(any_address()),
            server in any_address(),
            binary: bool,
        ) {
            let version = if binary { ProxyVersion::V2 } else { ProxyVersion::V1 };
            let header = proxy_header(version, client, server);
            let Ok(Some((length, told))) = parse(&header) else {
                panic!("{}", header.escape_ascii())
            };
            prop_assert_eq!(length, header.len());
            match (told, client) {
                (Told::Nothing, None) => {}
                (Told::Client(told), Some(client)) => {
                    prop_assert_eq!(told.ip().to_canonical(), client.ip().to_canonical());
                    prop_assert_eq!(told.port(), client.port());
                }
                _ => panic!("{told:?} of {client:?}"),
            }
        }

        #[test]
        fn s373_any_octets_at_any_split_end_within_the_bound_and_the_same(octets in any_octets()) {
            let whole = parse(&octets);
            // The first answer of all that come by and by is the answer to the whole.
            let first = (0..=octets.len())
                .map(|end| (end, parse(&octets[..end])))
                .find(|(_, said)| !matches!(said, Ok(None)));
            match first {
                None => prop_assert!(octets.len() < FIXED + LONGEST_REST),
                Some((end, said)) => {
                    prop_assert!(end <= FIXED + LONGEST_REST);
                    prop_assert_eq!(said, whole);
                    if let Ok(Some((length, _))) = said {
                        prop_assert_eq!(length, end);
                    }
                }
            }
        }
    }
}
