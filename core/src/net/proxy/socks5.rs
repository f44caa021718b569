//! SOCKS5 (RFC 1928), with a login by user name and password (RFC 1929) or none. Every answer tells its length before its end, so
//! that no octet of the server is read with it.

use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

use super::super::socket::Socket;
use super::{Login, Refusal, Target, Trouble};
use crate::error::Status;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;

const OTHER: &str =
    "what answers there is no SOCKS5 proxy: is the port right, or is it one for http://?";

/// Asks for a connection to `target`.
pub(super) async fn ask(
    socket: &mut Socket,
    target: &Target,
    login: Option<&Login>,
) -> Result<(), Trouble> {
    let request = request(target)?;
    let methods: &[u8] = match login {
        None => &[VERSION, 1, NO_LOGIN],
        Some(_) => &[VERSION, 2, NO_LOGIN, PASSWORD],
    };
    socket.write_all(methods).await?;
    let mut chosen = [0; 2];
    socket.read_exact(&mut chosen).await?;
    match (chosen, login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, PASSWORD], Some(login)) => log_in(socket, login).await?,
        ([VERSION, _], None) => {
            return Err(Refusal::new(
                Status::AuthRequired,
                "it wants a login: give one with proxy=socks5://user:password@host:port",
            )
            .into());
        }
        ([VERSION, _], Some(_)) => {
            return Err(Refusal::new(
                Status::AuthMechanism,
                "it takes no login by user name and password, nor goes without one: ask who runs it for another proxy",
            )
            .into());
        }
        _ => return Err(Refusal::new(Status::Protocol, OTHER).into()),
    }
    socket.write_all(&request).await?;
    answer(socket).await
}

/// RFC 1929.
async fn log_in(socket: &mut Socket, login: &Login) -> Result<(), Trouble> {
    let mut words = Zeroizing::new(Vec::with_capacity(3 + 255 + 255));
    words.push(1);
    for word in [&login.user, &login.password] {
        words.push(length(word)?);
        words.extend_from_slice(word.as_bytes());
    }
    socket.write_all(&words).await?;
    let mut verdict = [0; 2];
    socket.read_exact(&mut verdict).await?;
    if verdict[1] == 0 {
        return Ok(());
    }
    Err(Refusal::new(
        Status::AuthRejected,
        "it did not accept the login: are the user name and password in proxy right?",
    )
    .into())
}

/// RFC 1928 section 4.
fn request(target: &Target) -> Result<Vec<u8>, Refusal> {
    let mut request = vec![VERSION, CONNECT, 0];
    let port = match target {
        Target::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    request.push(1);
                    request.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    request.push(4);
                    request.extend(ip.octets());
                }
            }
            address.port()
        }
        Target::Name(name, port) => {
            request.push(3);
            request.push(length(name)?);
            request.extend(name.as_bytes());
            *port
        }
    };
    request.extend(port.to_be_bytes());
    Ok(request)
}

fn length(word: &str) -> Result<u8, Refusal> {
    u8::try_from(word.len()).map_err(|_| {
        Refusal::new(
            Status::InvalidArgument,
            "a name of more than 255 octets cannot be told to it",
        )
    })
}

/// RFC 1928 section 6.
async fn answer(socket: &mut Socket) -> Result<(), Trouble> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let [version, reply, _, kind] = head;
    if version != VERSION {
        return Err(Refusal::new(Status::Protocol, OTHER).into());
    }
    if let Some(refusal) = refusal(reply) {
        return Err(refusal.into());
    }
    // The address that it connects from, which means nothing to us.
    let length = match kind {
        1 => 4,
        3 => usize::from(socket.read_u8().await?),
        4 => 16,
        _ => return Err(Refusal::new(Status::Protocol, OTHER).into()),
    };
    let mut bound = [0; 255 + 2];
    socket.read_exact(&mut bound[..length + 2]).await?;
    Ok(())
}

/// What each reply but success means.
fn refusal(reply: u8) -> Option<Refusal> {
    Some(match reply {
        0 => return None,
        1 => Refusal::new(
            Status::Io,
            "it failed and does not say why (general failure): try again later, or ask who runs it",
        ),
        2 => Refusal::new(
            Status::ConnectionRefused,
            "its rules do not allow it: ask who runs it, or try another port of the server, such as 587 or 465",
        ),
        3 => Refusal::new(
            Status::Io,
            "it has no way to the server's network: is the address right?",
        )
        .of_this_address(),
        4 => Refusal::new(
            Status::Io,
            "it cannot reach the host: is its name right, and is it up?",
        )
        .of_this_address(),
        5 => Refusal::new(
            Status::ConnectionRefused,
            "nothing listens there: is the server running, and the port right?",
        )
        .of_this_address(),
        6 => Refusal::new(
            Status::Timeout,
            "the server did not answer it (TTL expired): a firewall may be in between",
        )
        .of_this_address(),
        7 => Refusal::new(
            Status::Protocol,
            "it does not open connections (command not supported): use another proxy",
        ),
        8 => Refusal::new(
            Status::Io,
            "it does not take this kind of address: use socks5h://, and it looks up the name itself",
        )
        .of_this_address(),
        other => Refusal::new(
            Status::Protocol,
            format!("it answered {other}, which SOCKS5 does not know: is it a proxy of this kind?"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_address_or_the_name() {
        for (target, expected) in [
            (
                Target::Address("192.0.2.1:25".parse().unwrap()),
                b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x19".as_slice(),
            ),
            (
                Target::Address("[::1]:587".parse().unwrap()),
                b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02\x4b",
            ),
            (
                Target::Name("a.example".into(), 25),
                b"\x05\x01\x00\x03\x09a.example\x00\x19",
            ),
        ] {
            assert_eq!(request(&target).unwrap(), expected, "{target}");
        }
        assert!(request(&Target::Name("x".repeat(256), 25)).is_err());
    }

    #[test]
    fn every_reply_has_a_text_of_its_own() {
        assert!(refusal(0).is_none());
        let mut texts: Vec<_> = (1..=9).map(|reply| refusal(reply).unwrap().why).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 9);
    }
}
