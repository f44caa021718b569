//! A server, or somebody in between, that will not have TLS: nothing that is to be secret leaves in clear, whatever is tried.

use std::sync::Arc;
use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::sasl::Credentials;
use mailwire::tls::{ClientTls, Pem, Roots, TlsPolicy};
use mailwire::{Delivery, Error, Outcome, Phase, Status};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::cases::{Case, Start, cases};
use crate::session::{MESSAGE, SESSIONS, send};

/// What the server heard, in clear and under TLS.
#[derive(Default)]
struct Heard {
    clear: String,
    secure: String,
}

struct BadServer {
    listener: TcpListener,
    trusted: TlsAcceptor,
    untrusted: TlsAcceptor,
    options: Options,
}

/// TLS with a certificate of its own, and that certificate.
pub(crate) fn tls() -> (TlsAcceptor, Pem) {
    let issued = rcgen::generate_simple_self_signed(["bad.example".to_owned()]).unwrap();
    let key = issued.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    let root = Pem::bytes(issued.cert.pem());
    (TlsAcceptor::from(Arc::new(config)), root)
}

impl BadServer {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (trusted, root) = tls();
        let mut options = Options::new();
        let port = listener.local_addr().unwrap().port();
        options.set_server("127.0.0.1", Some(port)).unwrap();
        options.set_local_hostname("client.example").unwrap();
        options.set_tls_name("bad.example").unwrap();
        let roots = Roots::Only(vec![root]);
        options.set_client_tls(ClientTls::new().with_roots(&roots).unwrap());
        Self {
            listener,
            trusted,
            untrusted: tls().0,
            options,
        }
    }

    async fn serve(&self, case: &Case) -> Heard {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut heard = Heard::default();
        say(&mut stream, "220 bad.example ESMTP\n").await;
        while talk(&mut stream, case.hello, &mut heard.clear).await {
            let acceptor = match case.start {
                Start::Says(reply) => {
                    say(&mut stream, reply).await;
                    continue;
                }
                Start::Closes(reply) => {
                    say(&mut stream, reply).await;
                    return heard;
                }
                Start::InClear | Start::Stalls => {
                    say(&mut stream, "220 go\n").await;
                    self.in_clear(&mut stream, case, &mut heard).await;
                    return heard;
                }
                Start::Tls => &self.trusted,
                Start::Untrusted => &self.untrusted,
            };
            say(&mut stream, "220 go\n").await;
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let again = talk(&mut stream, case.secure_hello, &mut heard.secure).await;
                assert!(!again, "STARTTLS under TLS");
            }
            return heard;
        }
        heard
    }

    /// Hears what should begin TLS, and answers in clear or not at all.
    async fn in_clear(&self, stream: &mut TcpStream, case: &Case, heard: &mut Heard) {
        let mut octets = vec![0; 4096];
        let count = stream.read(&mut octets).await.unwrap();
        octets.truncate(count);
        if matches!(case.start, Start::InClear) {
            say(stream, case.secure_hello).await;
        }
        let _ = stream.read_to_end(&mut octets).await;
        heard.clear.push_str(&String::from_utf8_lossy(&octets));
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), lines: &str) {
    let octets = lines.replace('\n', "\r\n");
    // A client that has heard enough is gone.
    let _ = stream.write_all(octets.as_bytes()).await;
    let _ = stream.flush().await;
}

/// Says yes to everything, up to STARTTLS: then it gives `true`.
async fn talk(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    hello: &str,
    heard: &mut String,
) -> bool {
    let mut in_body = false;
    let mut line = Vec::new();
    while let Ok(octet) = stream.read_u8().await {
        line.push(octet);
        if octet != b'\n' {
            continue;
        }
        let text = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
        heard.push_str(&text);
        let reply = match text.split_whitespace().next().unwrap_or_default() {
            "." => "250 2.0.0 Ok: queued as BAD1\n",
            _ if in_body => continue,
            "EHLO" => hello,
            "STARTTLS" => return true,
            "AUTH" => "235 2.7.0 welcome\n",
            "DATA" => "354 go on\n",
            "QUIT" => "221 2.0.0 bye\n",
            _ => "250 ok\n",
        };
        in_body = text == "DATA\r\n";
        say(stream, reply).await;
    }
    false
}

/// Compares the result with the table, and looks for what must not have been heard.
fn judge(
    case: &str,
    expected: Option<(Status, Phase)>,
    result: Result<Outcome, Error>,
    heard: &Heard,
    may_be_clear: bool,
) {
    match (expected, result) {
        (None, Ok(outcome)) => assert_eq!(outcome.delivery(), Delivery::Accepted, "{case}"),
        (Some(expected), Err(error)) => {
            let found = (error.status(), error.phase().unwrap());
            assert_eq!(found, expected, "{case}: {error}");
            let heard = format!("{}{}", heard.clear, heard.secure);
            assert!(!heard.contains("MAIL FROM"), "{case}: {heard}");
        }
        (_, result) => panic!("{case}: {result:?}"),
    }
    for secret in ["AUTH", "AHVzZXIAc2VjcmV0", "dXNlcg", "c2VjcmV0", "secret"] {
        assert!(!heard.clear.contains(secret), "{case}: {}", heard.clear);
    }
    let in_clear = heard.clear.contains("MAIL FROM") || heard.clear.contains("HELO");
    assert!(may_be_clear || !in_clear, "{case}: {}", heard.clear);
}

#[tokio::test]
async fn nothing_secret_leaves_in_clear_whatever_becomes_of_starttls() {
    let server = BadServer::new().await;
    for (number, case) in cases().iter().enumerate() {
        for (policy, login, column) in [
            (TlsPolicy::Required, false, 0),
            (TlsPolicy::Required, true, 1),
            (TlsPolicy::Auto, true, 1),
            (TlsPolicy::Opportunistic, false, 2),
            (TlsPolicy::Auto, false, 2),
            (TlsPolicy::Opportunistic, true, 3),
        ] {
            let mut options = server.options.clone();
            options.set_tls(policy);
            if login {
                options.set_credentials(Credentials::new("user", "secret").unwrap());
            }
            if matches!(case.start, Start::Stalls) {
                let soon = Some(Duration::from_secs(2));
                options.set_timeout(soon).unwrap();
            }
            let name = format!("case {number}, {policy:?}, login {login}");
            let expected = case.results[column];
            let (result, heard) =
                tokio::join!(send(&options, SESSIONS[0].envelope()), server.serve(case));
            judge(&name, expected, result, &heard, column == 2);

            let blocking = std::thread::spawn(move || {
                let client = Client::new(options).unwrap();
                client.send(
                    &SESSIONS[0].envelope(),
                    Content::bytes(MESSAGE),
                    Call::default(),
                )
            });
            let heard = server.serve(case).await;
            let result = blocking.join().unwrap();
            judge(
                &format!("{name}, blocking"),
                expected,
                result,
                &heard,
                column == 2,
            );
        }
    }
}
