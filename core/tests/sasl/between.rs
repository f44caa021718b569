//! Somebody between client and server, whom the client takes for its server: TLS to either side, and each line passed on. The password
//! is right, and the server's proof would be too: only what is bound to TLS, or said of it, can tell (RFC 5802 section 6).

use mailwire::Status;
use mailwire::client::Options as ClientOptions;
use mailwire::sasl::{Credentials, Mechanism, Secret};
use mailwire::tls::TlsPolicy;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, split};
use tokio::net::{TcpListener, TcpStream};

use crate::peers::{Running, failure, send, serve};

fn offering(mechanisms: &[Mechanism]) -> Running {
    serve(|options| {
        options.add_user("tim", Secret::new("right")).unwrap();
        options.set_mechanisms(mechanisms).unwrap();
        options.set_implicit_tls(true);
    })
}

/// A client of whoever listens on `port`.
fn client(server: &Running, port: u16, mechanism: Option<Mechanism>) -> ClientOptions {
    let mut options = server.client();
    options.set_server("localhost", Some(port)).unwrap();
    options.set_tls(TlsPolicy::Implicit);
    options.set_credentials(Credentials::new("tim", "right").unwrap());
    options.set_mechanism(mechanism);
    options
}

/// Where somebody listens who passes on what client and server say, but for `hidden` in what the server says.
async fn in_between(server: &Running, hidden: &'static str) -> u16 {
    let (acceptor, connector) = server.pki.both_sides();
    let behind = server.port;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
            let name = "localhost".try_into().unwrap();
            let (from_server, to_server) = split(connector.connect(name, server).await.unwrap());
            let (from_client, to_client) = split(acceptor.accept(client).await.unwrap());
            tokio::join!(
                pass_on(from_client, to_server, ""),
                pass_on(from_server, to_client, hidden)
            );
        }
    });
    port
}

async fn pass_on(from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, hidden: &str) {
    let mut lines = BufReader::new(from);
    let mut line = String::new();
    while lines.read_line(&mut line).await.is_ok_and(|len| len > 0) {
        let passed = line.replace(hidden, "");
        if to.write_all(passed.as_bytes()).await.is_err() || to.flush().await.is_err() {
            break;
        }
        line.clear();
    }
    // Whoever is gone cannot be told that the other one is.
    let _ = to.shutdown().await;
}

#[tokio::test]
async fn s224_c094_a_binding_to_another_connection_is_refused() {
    for (bound, unbound) in [
        (Mechanism::ScramSha256Plus, Mechanism::ScramSha256),
        (Mechanism::ScramSha1Plus, Mechanism::ScramSha1),
    ] {
        let server = offering(&[bound, unbound]);
        let port = in_between(&server, "").await;
        send(&client(&server, port, Some(unbound))).await.unwrap();
        let (status, text) = failure(&client(&server, port, Some(bound))).await;
        assert_eq!(status, Status::AuthRejected, "{text}");
        assert!(text.contains("535 5.7.8"), "{text}");
        send(&client(&server, server.port, Some(bound)))
            .await
            .unwrap();
        assert_eq!(server.application.users(), ["tim", "tim"]);
    }
}

#[tokio::test]
async fn s223_c119_whoever_hides_that_binding_is_possible_is_noticed() {
    for (bound, unbound, hidden) in [
        (
            Mechanism::ScramSha256Plus,
            Mechanism::ScramSha256,
            " SCRAM-SHA-256-PLUS",
        ),
        (
            Mechanism::ScramSha1Plus,
            Mechanism::ScramSha1,
            " SCRAM-SHA-1-PLUS",
        ),
    ] {
        let server = offering(&[bound, unbound]);
        let port = in_between(&server, hidden).await;
        let (status, text) = failure(&client(&server, port, None)).await;
        assert_eq!(status, Status::AuthRejected, "{text}");
        assert!(text.contains("535 5.7.8"), "{text}");
        // A server that has nothing to hide is none the worse for it.
        let server = offering(&[unbound]);
        let port = in_between(&server, hidden).await;
        send(&client(&server, port, None)).await.unwrap();
    }
}
