//! HTTP's CONNECT (RFC 9110 section 9.3.6), with a login by Basic (RFC 7617) or none.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Response};
use tokio::io::AsyncWriteExt;
use zeroize::Zeroizing;

use super::super::head::take_head;
use super::super::socket::Socket;
use super::{Login, Refusal, Target, Trouble};
use crate::error::Status;

/// The most octets of an answer's head, and of header fields in it.
const HEAD: usize = 8192;
const FIELDS: usize = 64;
/// How many answers may come before the last one (1yz, RFC 9110 section 15.2).
const INTERIM: usize = 4;

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Answer {
    code: u16,
    /// Whether a login by Basic is among those that it asks for.
    basic: bool,
}

/// Asks for a connection to `target`.
pub(super) async fn ask(
    socket: &mut Socket,
    target: &Target,
    login: Option<&Login>,
) -> Result<(), Trouble> {
    socket.write_all(&request(target, login)).await?;
    for _ in 0..=INTERIM {
        let answer = take_head(socket, HEAD, parse).await?;
        // An answer of 2yz has no content, whatever its fields say: what follows is the server's.
        match answer.code {
            100..=199 => {}
            200..=299 => return Ok(()),
            _ => return Err(refusal(answer, login.is_some()).into()),
        }
    }
    Err(Refusal::new(
        Status::Protocol,
        "it says again and again that it is still at it: is it a proxy?",
    )
    .into())
}

fn request(target: &Target, login: Option<&Login>) -> Zeroizing<Vec<u8>> {
    let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    let room = login.map_or(0, |login| {
        64 + 2 * (login.user.len() + login.password.len())
    });
    // In one piece, because a vector that grows leaves a copy of the password behind.
    let mut request = Zeroizing::new(Vec::with_capacity(head.len() + room + 2));
    request.extend_from_slice(head.as_bytes());
    if let Some(login) = login {
        let mut words = Zeroizing::new(String::with_capacity(room));
        for part in [login.user.as_str(), ":", login.password.as_str()] {
            words.push_str(part);
        }
        let mut coded = Zeroizing::new(String::with_capacity(room));
        STANDARD.encode_string(words.as_bytes(), &mut coded);
        request.extend_from_slice(b"Proxy-Authorization: Basic ");
        request.extend_from_slice(coded.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// The length of the answer's head and what it says, or `None` while it is not all there.
fn parse(head: &[u8]) -> Result<Option<(usize, Answer)>, Trouble> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut response = Response::new(&mut fields);
    let parsed = response.parse(head).map_err(|_| {
        Refusal::new(
            Status::Protocol,
            "what answers there is no HTTP proxy: is the port right, or is it one for socks5://?",
        )
    })?;
    let httparse::Status::Complete(length) = parsed else {
        return Ok(None);
    };
    let basic = response.headers.iter().any(|field| {
        field.name.eq_ignore_ascii_case("Proxy-Authenticate")
            && field
                .value
                .split(|octet| matches!(octet, b' ' | b','))
                .any(|word| word.eq_ignore_ascii_case(b"Basic"))
    });
    let code = response.code.unwrap_or_default();
    Ok(Some((length, Answer { code, basic })))
}

fn refusal(answer: Answer, logged_in: bool) -> Refusal {
    let Answer { code, basic } = answer;
    match code {
        407 if !basic => Refusal::new(
            Status::AuthMechanism,
            "it wants a login by another scheme than Basic (HTTP status 407): ask who runs it for Basic",
        ),
        407 if logged_in => Refusal::new(
            Status::AuthRejected,
            "it did not accept the login (HTTP status 407): are the user name and password in proxy right?",
        ),
        407 => Refusal::new(
            Status::AuthRequired,
            "it wants a login (HTTP status 407): give one with proxy=http://user:password@host:port",
        ),
        401 | 403 | 405 => Refusal::new(
            Status::ConnectionRefused,
            format!(
                "it does not allow that (HTTP status {code}): many take port 443 or 465 alone; try tls=implicit, or ask who runs it"
            ),
        ),
        502 | 503 => Refusal::new(
            Status::Io,
            format!(
                "it cannot reach the server (HTTP status {code}): is the server's name right, and is it running?"
            ),
        ),
        504 => Refusal::new(
            Status::Timeout,
            "the server did not answer it (HTTP status 504): a firewall may be in between",
        ),
        _ => Refusal::new(
            Status::Protocol,
            format!("it answered with HTTP status {code}: is it a proxy that knows CONNECT?"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_is_base64_and_an_ipv6_address_has_brackets() {
        let target = Target::Address("[2001:db8::1]:25".parse().unwrap());
        assert_eq!(
            request(&target, None).as_slice(),
            b"CONNECT [2001:db8::1]:25 HTTP/1.1\r\nHost: [2001:db8::1]:25\r\n\r\n"
        );
        let login = Login {
            user: Zeroizing::new("Aladdin".into()),
            password: Zeroizing::new("open sesame".into()),
        };
        let target = Target::Name("a.example".into(), 25);
        let request = request(&target, Some(&login));
        assert_eq!(
            request.as_slice(),
            b"CONNECT a.example:25 HTTP/1.1\r\nHost: a.example:25\r\n\
              Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        );
    }

    #[test]
    fn an_answer_ends_where_its_head_does() {
        let head = b"HTTP/1.1 407 No\r\nproxy-authenticate: Digest x, basic realm=\"a\"\r\n\r\n";
        let mut all = head.to_vec();
        all.extend(b"220 mail");
        for end in 0..=all.len() {
            let parsed = parse(&all[..end]).unwrap();
            let basic = true;
            let expected = (end >= head.len()).then_some((head.len(), Answer { code: 407, basic }));
            assert_eq!(parsed, expected, "{end}");
        }
        for other in [
            &b"220 mail.example ESMTP\r\n"[..],
            b"\x05\x00",
            b"SSH-2.0-x\r\n",
        ] {
            assert!(parse(other).is_err());
        }
    }

    #[test]
    fn every_refusal_has_a_text_of_its_own() {
        let answer = |code, basic| Answer { code, basic };
        let mut texts: Vec<_> = [403, 502, 503, 504, 404, 500]
            .map(|code| refusal(answer(code, true), false).why)
            .into_iter()
            .chain(
                [(false, false), (true, false), (true, true)]
                    .map(|(basic, logged_in)| refusal(answer(407, basic), logged_in).why),
            )
            .collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 9);
    }
}
