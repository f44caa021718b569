//! What an error adds to the words of a server that belongs to a provider: what a login there needs, and how much may be sent.
//!
//! The provider is known by the name of its server, which a proxy of the test is asked for; nothing leaves loopback.

use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::Arc;

use mailwire::client::{Options, Provider};
use mailwire::sasl::Credentials;
use mailwire::tls::{ClientTls, Pem, Roots, TlsPolicy};
use mailwire::{Error, Phase, Status};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::script::{Server, Session};
use crate::send;

/// How the server is reached.
#[derive(Debug, Clone, Copy)]
enum Proxy {
    Http,
    Socks5h,
}

/// The start of a line that the server hears, and what it says to it.
type Line = (&'static str, &'static str);

/// A session up to the end of a message.
const GOOD: [Line; 7] = [
    ("", "220 provider.example ESMTP\n"),
    ("EHLO ", "250-provider.example\n250 AUTH PLAIN\n"),
    ("AUTH PLAIN ", "235 2.7.0 welcome\n"),
    ("MAIL FROM:", "250 2.1.0 ok\n"),
    ("RCPT TO:", "250 2.1.5 ok\n"),
    ("DATA", "354 go on\n"),
    (".\r\n", "250 2.0.0 ok\n"),
];

/// The same up to a line that begins like this, which gets another reply.
fn up_to(start: &str, reply: &'static str) -> Vec<Line> {
    let at = GOOD.iter().position(|(line, _)| *line == start).unwrap();
    let mut lines = GOOD[..=at].to_vec();
    lines[at].1 = reply;
    lines
}

impl Proxy {
    fn url(self, server: &Server) -> String {
        let scheme = match self {
            Self::Http => "http",
            Self::Socks5h => "socks5h",
        };
        format!("{scheme}://127.0.0.1:{}", server.port())
    }

    /// Opens a connection to that server, as it seems.
    fn open(self, session: &mut Session, host: &str, port: u16) {
        match self {
            Self::Http => {
                let server = format!("{host}:{port}");
                session.hear(&format!("CONNECT {server} HTTP/1.1\nHost: {server}"));
                session.hear_octets(b"\r\n");
                session.say_octets(b"HTTP/1.1 200 OK\r\n\r\n");
            }
            Self::Socks5h => {
                session.hear_octets(b"\x05\x01\x00");
                session.say_octets(b"\x05\x00");
                let length = u8::try_from(host.len()).unwrap();
                let port = port.to_be_bytes();
                session.hear_octets(
                    &[
                        b"\x05\x01\x00\x03".as_slice(),
                        &[length],
                        host.as_bytes(),
                        &port,
                    ]
                    .concat(),
                );
                session.say_octets(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34");
            }
        }
    }
}

/// TLS for a server of that name, and whom to trust for it.
fn tls(name: &str) -> (Arc<ServerConfig>, ClientTls) {
    let issued = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = issued.signing_key.serialize_der().try_into().unwrap();
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let roots = Roots::Only(vec![Pem::bytes(issued.cert.pem())]);
    (
        Arc::new(config),
        ClientTls::new().with_roots(&roots).unwrap(),
    )
}

/// Follows the lines under TLS, and says goodbye.
fn talk(session: &Session, config: &Arc<ServerConfig>, lines: &[Line]) {
    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, session.raw()));
    for (start, reply) in lines.iter().chain([&("QUIT", "221 2.0.0 bye\n")]) {
        let mut heard = String::new();
        while !start.is_empty() && !heard.starts_with(start) {
            heard.clear();
            // One that was told that the server closes says no more.
            if stream.read_line(&mut heard).unwrap_or(0) == 0 {
                assert_eq!(*start, "QUIT");
                return;
            }
            // Lines of the message come before its end, and nothing before any other line.
            assert!(
                *start == ".\r\n" || heard.starts_with(start),
                "{heard:?} is not {start:?}"
            );
        }
        let stream = stream.get_mut();
        stream
            .write_all(reply.replace('\n', "\r\n").as_bytes())
            .unwrap();
        stream.flush().unwrap();
    }
}

/// The error of a client that logs in and sends through this provider, whose server follows the script.
fn error_of(provider: &str, proxy: Proxy, mut lines: Vec<Line>) -> Error {
    let known = Provider::named(provider).unwrap();
    let (config, client_tls) = tls(known.host());
    let server = Server::once(move |session| {
        proxy.open(session, known.host(), known.port());
        if known.tls() == TlsPolicy::Required {
            session.welcome(&["STARTTLS"]);
            session.hear("STARTTLS");
            session.say("220 2.0.0 go\n");
            // There is no second greeting.
            lines.remove(0);
        }
        talk(session, &config, &lines);
    });
    let mut options = Options::new();
    options.set_provider(provider).unwrap();
    options.set_proxy(Some(&proxy.url(&server))).unwrap();
    options.set_client_tls(client_tls);
    options.set_credentials(Credentials::new("me@example.org", "secret").unwrap());
    let error = send(options, &["you@example.net"]).unwrap_err();
    server.join();
    let peer = format!("{}:{}", known.host(), known.port());
    assert_eq!(error.peer(), Some(peer.as_str()));
    error
}

fn assert_says(error: &Error, expected: (Status, Phase, u16), words: &[&str]) {
    let code = error.reply().map(mailwire::proto::Reply::code);
    let found = (error.status(), error.phase(), code);
    let (status, phase, code) = expected;
    assert_eq!(found, (status, Some(phase), Some(code)), "{error}");
    let text = error.to_string();
    for word in words {
        assert_eq!(text.matches(word).count(), 1, "{word:?} in {text}");
    }
}

#[test]
fn a_refused_login_comes_with_what_the_provider_wants() {
    let reply = "534-5.7.9 Application-specific password required. Learn more at\n534 5.7.9 https://provider.example/help\n";
    let error = error_of("gmail", Proxy::Http, up_to("AUTH PLAIN ", reply));
    assert_says(
        &error,
        (Status::AuthMechanism, Phase::Auth, 534),
        &[
            "; Gmail: it takes an app password (the account needs 2-step verification for one)",
            "https://provider.example/help",
        ],
    );

    let reply = "535 5.7.0 Too bad for the server to say why\n";
    let error = error_of("yahoo", Proxy::Socks5h, up_to("AUTH PLAIN ", reply));
    assert_says(
        &error,
        (Status::AuthRejected, Phase::Auth, 535),
        &[
            "; Yahoo Mail: it takes an app password, made in the settings of the account",
            "Too bad",
        ],
    );
}

#[test]
fn what_is_too_much_for_a_provider_comes_with_its_limits() {
    const GMAIL: &str = "(Gmail has a limit of 500 messages a day, 2000 with Google Workspace)";
    const YAHOO: &str = "(Yahoo Mail has a limit of 500 messages a day)";
    for (provider, proxy, start, reply, expected, limits) in [
        (
            "gmail",
            Proxy::Socks5h,
            "MAIL FROM:",
            "550-5.4.5 Daily user sending limit exceeded. Learn more at\n550 5.4.5 https://provider.example/help\n",
            (Status::Permanent, Phase::Mail, 550),
            GMAIL,
        ),
        (
            "gmail",
            Proxy::Http,
            ".\r\n",
            "421 4.7.28 An unusual rate of mail comes from there\n",
            (Status::Transient, Phase::EndOfData, 421),
            GMAIL,
        ),
        (
            "yahoo",
            Proxy::Http,
            "RCPT TO:",
            "451 4.7.1 too many messages for now\n",
            (Status::Transient, Phase::Rcpt, 451),
            YAHOO,
        ),
        (
            "yahoo",
            Proxy::Socks5h,
            "",
            "421 4.7.0 too many connections from there\n",
            (Status::Transient, Phase::Greeting, 421),
            YAHOO,
        ),
    ] {
        let error = error_of(provider, proxy, up_to(start, reply));
        assert_says(&error, expected, &[limits]);
    }

    // Another refusal has nothing to do with them.
    let reply = "550 5.1.1 nobody has that name\n";
    let error = error_of("gmail", Proxy::Http, up_to("RCPT TO:", reply));
    assert_says(&error, (Status::Permanent, Phase::Rcpt, 550), &["nobody"]);
    assert!(!error.to_string().contains("limit"), "{error}");
}
